"""Templates, the files that go with them, and what a browser may do with a page."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from engage.airflow_names import DAG_ID

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'"
)
"""Nothing from elsewhere, nothing inline, and in nobody's frame but Airflow's."""

STATIC = {"page.css": "text/css", "page.js": "text/javascript", "what-if.js": "text/javascript"}

_templates = Environment(
    loader=PackageLoader("engage.pages"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)


def html(template: str, **values: Any) -> str:
    """A page, or a part of one."""
    return _templates.get_template(template).render(values)


def static(name: str) -> str:
    """The text of one of ``STATIC``."""
    return files("engage.pages").joinpath("static", name).read_text("utf-8")


def number(value: float | None) -> str:
    """A count as a person reads it: 12,345; a dash for none."""
    return "–" if value is None else f"{value:,}"


def share(part: float, whole: float | None) -> str:
    """A part in percent of the whole."""
    return f"{part / whole:.1%}" if whole else "–"


_templates.filters |= {"number": number, "share": share}
_templates.globals |= {"DAG_ID": DAG_ID}
