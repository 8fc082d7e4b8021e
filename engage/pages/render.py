"""Renders templates, and serves the static files and the Content-Security-Policy that belong to them."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engage.airflow_names import DAG_ID

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'"
)
"""Nothing from other sites, nothing inline, and no frame except Airflow's."""

STATIC = {"page.css": "text/css", "page.js": "text/javascript", "what-if.js": "text/javascript"}

_templates = Environment(
    loader=PackageLoader("engage.pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def html(template: str, **values: Any) -> str:
    """The HTML of a template."""
    return _templates.get_template(template).render(values)


def static(name: str) -> str:
    """The text of a file in ``STATIC``."""
    return files("engage.pages").joinpath("static", name).read_text("utf-8")


def number(value: float | None) -> str:
    """A count with thousands separators, such as 12,345, or a dash for None."""
    return "–" if value is None else f"{value:,}"


def share(part: float, whole: float | None) -> str:
    """A part in percent of the whole, or a dash without a whole."""
    return f"{part / whole:.1%}" if whole else "–"


_templates.filters |= {"number": number, "share": share}
_templates.globals |= {"DAG_ID": DAG_ID}
