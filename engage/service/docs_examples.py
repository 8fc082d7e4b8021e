"""Examples for the page ``/docs``, made from the OpenAPI description: a request as a curl line, and its answer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

AT = "2026-09-14T12:30:00Z"
_OF_TYPE = {"integer": 1, "number": 1.5, "boolean": False, "string": "a text"}


def curl(api: Mapping[str, Any], path: str, method: str, operation: Mapping[str, Any]) -> str:
    """The call as a curl line. The shell's variables ``API`` and ``API_KEY`` hold the address and the key."""
    parameters = operation.get("parameters", [])
    for parameter in (each for each in parameters if each["in"] == "path"):
        path = path.replace("{" + parameter["name"] + "}", str(example(api, parameter["schema"])))
    words = [f'"$API{path}"']
    if operation.get("security"):
        words.append('-H "Authorization: Bearer $API_KEY"')
    for parameter in (each for each in parameters if each["in"] == "header" and each.get("required")):
        name, value = parameter["name"], example(api, parameter["schema"])
        words.append(f"-H {shlex.quote(f'{name}: {value}')}")
    body = _body(api, operation)
    command = "curl -sS" if method == "get" or (body and method == "post") else f"curl -sS -X {method.upper()}"
    return " \\\n  ".join([f"{command} {words[0]}", *words[1:], *body])


def _body(api: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    """The body as words of the curl line."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        body = content.get("example") or _without_nothing(example(api, content["schema"]))
        if kind == "application/json":
            text = json.dumps(body, indent=2, ensure_ascii=False)
            return ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
        return [f"--data-urlencode {shlex.quote(f'{name}={value}')}" for name, value in body.items()]
    return []


def answer(api: Mapping[str, Any], operation: Mapping[str, Any]) -> str | None:
    """The body of the answer 200."""
    for content in operation["responses"]["200"].get("content", {}).values():
        if "example" in content:
            return str(content["example"])
        return json.dumps(example(api, content["schema"]), indent=2, ensure_ascii=False)
    return None


def example(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value of this form: the schema's own example, or one made of the examples of its parts."""
    if "$ref" in schema:
        return example(api, api["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    if "const" in schema or "enum" in schema:
        return schema.get("const") or schema["enum"][0]
    if "anyOf" in schema:
        return example(api, schema["anyOf"][0])
    return _of_parts(api, schema)


def _of_parts(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    if "properties" in schema:
        return {name: example(api, field) for name, field in schema["properties"].items()}
    if schema.get("type") == "array":
        return [example(api, schema["items"])]
    return AT if schema.get("format") == "date-time" else _OF_TYPE.get(schema.get("type", ""))


def _without_nothing(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
