"""Renders templates, with the filters and macros that all of them share, under one Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engage import formats
from engage.airflow_names import DAG_ID, MODEL_CONNECTION
from engage.currency import currency
from engage.pages import static_files
from engage.pages.tabs import TABS, Tab
from engage.settings import STAFF, label

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'"
)
"""Nothing from other sites, nothing inline, and no frame except Airflow's."""
FILTERS = ("number", "signed", "share", "points", "change", "counted", "day", "days", "moment", "second", "clock",
           "iso", "iso_day", "duration")  # fmt: skip
"""The functions of ``engage.formats`` that need no currency."""
WITH_CURRENCY = ("money", "cents", "price", "threshold")
DEFAULTS = {
    "in_run": False,  # true in the tab of a DAG run, where other campaigns would stand under that run's heading
    "root": "",  # what leads from a page's address to the others, such as ../
}


def html(template: str, **values: Any) -> str:
    """The HTML of a template."""
    return _templates.get_template(template).render(DEFAULTS | values)


def shown_tabs() -> list[Tab]:
    """The tabs whose pages exist."""
    known = set(_templates.list_templates())
    return [tab for tab in TABS if tab.template in known]


def _in_currency(function: Callable[[Any, str], str]) -> Callable[[Any], str]:
    return lambda value: function(value, currency())


def _macros(environment: Environment) -> dict[str, Callable[..., str]]:
    """All macros of the folder ``macros``, by name."""
    found: dict[str, Callable[..., str]] = {}
    for name in environment.list_templates(filter_func=lambda name: name.startswith("macros/")):
        module = vars(environment.get_template(name).module)
        found |= {macro: body for macro, body in module.items() if callable(body)}
    return found


_templates = Environment(
    loader=PackageLoader("engage.pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_templates.filters |= {name: getattr(formats, name) for name in FILTERS}
_templates.filters["setting_label"] = label
_templates.filters |= {name: _in_currency(getattr(formats, name)) for name in WITH_CURRENCY}
_templates.globals |= {
    "DAG_ID": DAG_ID,
    "MODEL_CONNECTION": MODEL_CONNECTION,
    "STAFF": STAFF,
    "NOTHING": formats.NOTHING,
    "static": static_files.address,
    "tabs": shown_tabs,
}
_ui = SimpleNamespace()
"""The macros. Templates and other macros call them as ``ui.pill(...)``, without an import."""
_templates.globals["ui"] = _ui
vars(_ui).update(_macros(_templates))
