"""Airflow's tables, a user with permissions, and the pages on which the user changes settings."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from engage.pages.viewer import Viewer
from tests.dags.settings.stored import ADA
from tests.dags.web_client import web_client


class Permissions:
    """Airflow's auth manager: which methods the user may use on a Variable, and whether the audit log may be read."""

    def __init__(self) -> None:
        self.methods = {"GET", "POST", "PUT", "DELETE"}
        self.hidden: set[str] = set()
        self.audit_log = True

    def is_authorized_variable(self, *, method, details, user):
        return method in self.methods and details.key not in self.hidden

    def is_authorized_dag(self, *, method, access_entity, details, user):
        return self.audit_log


@pytest.fixture
def airflow_tables(engine):
    """Airflow's tables of Variables and of the audit log, and the DAG's own row."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.log import Log
    from airflow.models.team import Team
    from airflow.models.variable import Variable

    tables = [one.__table__ for one in (Team, DagBundleModel, DagModel, Variable, Log)]
    Variable.metadata.create_all(engine, tables=tables)
    with Session(engine) as session, session.begin():
        session.add(DagBundleModel(name="dags-folder"))
        session.flush()
        session.add(DagModel(dag_id="customer_engagement", bundle_name="dags-folder"))
    return engine


@pytest.fixture
def session(airflow_tables):
    with Session(airflow_tables) as found:
        yield found


@pytest.fixture
def permissions(monkeypatch):
    import engage_web_audit
    import engage_web_variables

    found = Permissions()
    for module in (engage_web_audit, engage_web_variables):
        monkeypatch.setattr(module, "get_auth_manager", lambda: found)
    return found


@pytest.fixture
def client(airflow_tables, permissions, monkeypatch):
    """A user with the permissions, from a page of ours."""
    import engage_web_access

    def a_session():
        with Session(airflow_tables) as found, found.begin():
            yield found

    access = [engage_web_access._run_access, engage_web_access._same_origin]
    return web_client(
        monkeypatch,
        airflow_tables,
        user=ADA,
        session=a_session,
        without=access,
        viewer=Viewer(may_set_segments=True),
    )


@pytest.fixture
def set_in_environment(monkeypatch):
    """Sets a setting as an operator of Airflow may: in its environment, which hides the Variable."""
    return lambda name, value: monkeypatch.setenv(f"AIRFLOW_VAR_ENGAGE_{name}".upper(), value)


@pytest.fixture
def runs(monkeypatch):
    """The runs that are triggered."""
    import engage_web_runs

    found = []
    monkeypatch.setattr(
        engage_web_runs, "trigger_dag", lambda dag_id, *, conf, session, **more: found.append((dag_id, conf, more))
    )
    return found
