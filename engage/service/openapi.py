"""The OpenAPI description of the service, with what FastAPI cannot know: keys, problem details, the events' schemas."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from engage.service.event_models import DocumentedBatch
from engage.service.problem_details import Problem
from engage.service.strict_route import StrictRoute

DESCRIPTION = (
    "Takes the app's events, customers' profiles and opt-outs, and the SMS provider's reports. Times are UTC, and "
    "amounts have one currency. Every request needs an API key, 'Authorization: Bearer engage_…', except the health "
    "checks and the provider's own requests, which are signed. Errors are problem details (RFC 9457)."
)
_SCHEMAS = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description of all routes."""
    found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = found.setdefault("components", {})
    components["securitySchemes"] = {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "engage_ID_SECRET",
            "description": "A key with the scope that the call lists.",
        }
    }
    of_events = DocumentedBatch.model_json_schema(ref_template=_SCHEMAS)["$defs"]
    components.setdefault("schemas", {}).update(of_events | {"Problem": _problem_schema()})
    components["schemas"].pop("HTTPValidationError", None)
    components["schemas"].pop("ValidationError", None)
    strict = [route for route in app.routes if isinstance(route, StrictRoute)]
    scopes = {(route.path, method): route.scope for route in strict for method in route.methods}
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            if scope := scopes[path, method.upper()]:
                operation["security"] = [{"key": [str(scope)]}]
    return found


def _problem_schema() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template=_SCHEMAS)
    schema.pop("$defs", None)
    return schema
