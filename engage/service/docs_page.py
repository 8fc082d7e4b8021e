"""The HTML page ``/docs``, made from the OpenAPI description. It has no script and loads nothing from other sites."""

from __future__ import annotations

import json
import re
import shlex
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from engage.service import docs_examples
from engage.service.problem_details import title
from engage.statuses import ApiScope

STYLE = (files("engage.service") / "templates" / "docs.css").read_text(encoding="utf-8")
CSP = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
SCOPES = {
    ApiScope.EVENTS: "send events",
    ApiScope.CUSTOMERS: "store customers, opt them out, forget them; without read the answers hold no profile",
    ApiScope.READ: "look customers up, see this page",
    ApiScope.METRICS: "read the metrics",
}
"""What a key with each scope may do."""
GROUPS = {"twilio": "Calls by Twilio", "about": "Metrics"}
"""Headings of tags that are no heading themselves."""


def _code(text: str | None) -> Markup:
    """Text with `code` in backquotes, as HTML."""
    pieces = (text or "").split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(pieces))


def _kind(schema: Mapping[str, Any]) -> Markup | str:
    """The type of a field, in a word or two, with a link to its fields if it has any."""
    if "$ref" in schema:
        return Markup('<a href="#{0}">{0}</a>').format(str(schema["$ref"]).rpartition("/")[2])
    if "const" in schema or "enum" in schema:
        return ", ".join(map(str, schema.get("enum") or [schema["const"]]))
    if "anyOf" in schema:
        return Markup(" or ").join(map(_kind, schema["anyOf"]))
    if "oneOf" in schema:
        return Markup(" or ").join(map(_kind, schema["oneOf"]))
    if schema.get("type") == "array":
        return Markup("list of {}").format(_kind(schema["items"]))
    return str(schema.get("format") or schema.get("type", "any"))


_templates = Environment(loader=PackageLoader("engage.service"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
_templates.filters |= {"code": _code, "kind": _kind, "title_of": lambda status: title(int(status))}


def docs_page(api: Mapping[str, Any], address: str = "http://127.0.0.1:8000") -> str:
    """The page for an OpenAPI description of the service at this address."""
    operations = groupby(_operations(api), key=lambda operation: operation["group"])
    problem = api["components"]["schemas"].get("Problem", {})
    return _templates.get_template("docs.html").render(
        api=api,
        address=shlex.quote(address),
        groups=[(heading, list(those)) for heading, those in operations],
        problem=json.dumps(docs_examples.example(api, problem), indent=2, ensure_ascii=False),
        scopes=SCOPES,
        style=STYLE,
    )


def _operations(api: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            yield operation | {
                "path": path,
                "method": method.upper(),
                "id": re.sub(r"\W+", "-", operation["summary"].lower()).strip("-"),
                "group": GROUPS.get(tag, tag.capitalize()),
                "access": _access(operation),
                "curl": docs_examples.curl(api, path, method, operation),
                "answer": docs_examples.answer(api, operation),
            }


def _access(operation: Mapping[str, Any]) -> str:
    """Which requests the call takes."""
    if scopes := [scope for each in operation.get("security", []) for scope in each["key"]]:
        return f"Key with the scope `{scopes[0]}`"
    return "Signed by Twilio" if operation["tags"] == ["twilio"] else "No key needed"
