"""The HTML page ``/docs``, made from the OpenAPI description. It has no script and loads nothing from other sites."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def _code(text: str | None) -> Markup:
    """Text with `code` in backquotes, as HTML."""
    pieces = (text or "").split("`")
    return Markup("").join(Markup("<code>{}</code>").format(p) if n % 2 else escape(p) for n, p in enumerate(pieces))


def _kind(schema: Mapping[str, Any]) -> str:
    """The type of a field, in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema or "enum" in schema:
        return ", ".join(map(str, schema.get("enum") or [schema["const"]]))
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "any"))


_templates = Environment(loader=PackageLoader("engage.service"), autoescape=True, trim_blocks=True)
_templates.filters |= {"code": _code, "kind": _kind}


def docs_page(api: Mapping[str, Any]) -> str:
    """The page for an OpenAPI description."""
    return _templates.get_template("docs.html").render(api=api, operations=list(_operations(api)))


def _operations(api: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield operation | {"path": path, "method": method.upper(), "example": _example(api, operation)}


def _example(api: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    """The request body to show: the route's own example, or one made of the fields' examples."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return json.dumps(content.get("example") or _made_up(api, content["schema"]), indent=2, ensure_ascii=False)


def _made_up(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _made_up(api, api["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("examples"):
        return schema["examples"][0]
    if "anyOf" in schema:
        return _made_up(api, schema["anyOf"][0])
    if "properties" in schema:
        found = {name: _made_up(api, field) for name, field in schema["properties"].items()}
        return {name: value for name, value in found.items() if value is not None}
    return "2026-09-14T12:30:00Z" if schema.get("format") == "date-time" else None
