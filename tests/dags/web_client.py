"""A client of the pages' routes in this process, without Airflow's login, for tests of what a route does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from engage.pages.viewer import Viewer

if TYPE_CHECKING:
    from fastapi.testclient import TestClient


def every_check() -> list[Callable[..., Any]]:
    """The checks of all routes, such as permissions and the audit log."""
    import engage_web

    return [one.dependency for route in engage_web.app.routes for one in route.dependencies]  # type: ignore[attr-defined]


def web_client(
    monkeypatch: pytest.MonkeyPatch,
    engine: sa.Engine,
    *,
    user: object,
    session: Callable[[], Any],
    without: Iterable[Callable[..., Any]],
    viewer: Viewer | None = None,
) -> TestClient:
    """The client of ``user``, on Engage's database ``engine``, Airflow's ``session``, and ``without`` these checks."""
    import engage_model
    import engage_web
    import engage_web_database
    from airflow.api_fastapi.common.db.common import SessionDep
    from airflow.api_fastapi.core_api.security import get_user
    from engage_web_access import TheViewer
    from fastapi.testclient import TestClient

    given: dict[Callable[..., Any], Callable[..., Any]] = dict.fromkeys(without, lambda: None)
    given |= {
        get_user: lambda: user,
        SessionDep.__metadata__[0].dependency: session,
        engage_web_database.engine: lambda: engine,
        engage_web_database.import_engine: lambda: engine,
        TheViewer.__metadata__[0].dependency: lambda: viewer or Viewer(),
        engage_model.exists: lambda: False,
    }
    monkeypatch.setattr(engage_web.app, "dependency_overrides", given)
    return TestClient(engage_web.app)
