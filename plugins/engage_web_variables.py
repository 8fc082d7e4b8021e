"""Airflow's Variables, as the pages read and change them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import VariableDetails
from airflow.models.dag import DagModel
from airflow.models.variable import Variable
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engage import settings
from engage.airflow_names import DAG_ID
from engage.errors import SettingsError
from engage.settings import PREFIX, Change, Settings, described, is_setting, refusals


class Outdated(Exception):
    """Other changes came first. ``current``: the Variables' values now, by setting."""

    def __init__(self, current: dict[str, str | None]) -> None:
        super().__init__()
        self.current = current


class Refused(Exception):
    """A run would not take the Variables. ``errors``: sentences by setting, in the words of a page."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__()
        self.errors = errors


def values(session: Session) -> dict[str, str]:
    """The texts of all Variables of settings, by setting, also of those whose names staff chose.

    They are what a page shows and changes. A fixed setting without a Variable has its default.
    """
    return {name: one.val for name, one in _rows(session).items()}


def overriding() -> dict[str, str]:
    """The texts of the settings that Airflow's environment sets. A run takes these, whatever the Variables are."""
    start = environment_name("")
    found = {name.removeprefix(start).lower(): text for name, text in os.environ.items() if name.startswith(start)}
    return {name: text for name, text in found.items() if is_setting(name)}


def environment_name(name: str) -> str:
    """The environment variable that overrides a setting's Variable."""
    return f"AIRFLOW_VAR_{PREFIX}{name}".upper()


def may_read(user: BaseUser, name: str) -> bool:
    """Whether Airflow lets the user see the setting's Variable."""
    asked: bool = get_auth_manager().is_authorized_variable(
        method="GET", details=VariableDetails(key=PREFIX + name), user=user
    )
    return asked


def may_read_all(user: BaseUser, session: Session) -> bool:
    """Whether Airflow lets the user see the Variables of all settings."""
    return all(may_read(user, name) for name in {*Settings.model_fields, *values(session)})


def may_edit(user: BaseUser, name: str) -> bool:
    """Whether Airflow lets the user make, change and delete the setting's Variable."""
    ask = get_auth_manager().is_authorized_variable
    details = VariableDetails(key=PREFIX + name)
    return all(ask(method=method, details=details, user=user) for method in ("GET", "POST", "PUT", "DELETE"))


def change(session: Session, changes: Sequence[Change]) -> None:
    """Set and delete Variables, all or none. The session keeps other changes away until its transaction ends.

    Raises:
        Outdated: a Variable has another value than the user saw.
        Refused: a run would not take the Variables.
    """
    _one_at_a_time(session)
    rows = _rows(session, lock=True)
    stored = {name: one.val for name, one in rows.items()}
    current = {one.name: stored.get(one.name) for one in changes}
    if any(one.was != current[one.name] for one in changes):
        raise Outdated(current)
    if errors := refusals(stored, changes):
        raise Refused(errors)
    for one in changes:
        found = rows.get(one.name)
        if one.value is None:
            if found is not None:
                session.delete(found)
        elif found is not None:
            found.set_val(one.value)
        else:
            session.add(Variable(PREFIX + one.name, one.value, described(one.name)))
    try:
        session.flush()
    except IntegrityError:  # Airflow's own page has made one of them at the same time
        session.rollback()
        stored = values(session)
        raise Outdated({name: stored.get(name) for name in current}) from None


def _one_at_a_time(session: Session) -> None:
    """Wait until no other page changes settings. A Variable that is yet to be made has no row to lock; the DAG has."""
    session.execute(sa.select(DagModel.dag_id).where(DagModel.dag_id == DAG_ID).with_for_update())


def lateness_settings(session: Session) -> settings.Settings:
    """The setting of the moment by which a window is late."""
    return settings.for_lateness(_taken(session))


def eligibility_settings(session: Session) -> settings.Settings:
    """The settings of the moment by which a customer may be texted; the defaults if a Variable is wrong."""
    names = ("sms_provider", "sandbox_strict", "sending_hours")
    try:
        return settings.from_variables(_taken(session), *names)
    except SettingsError:
        return settings.Settings()


def current(session: Session) -> settings.Settings:
    """The settings that a run would take now.

    Raises:
        SettingsError: names each wrong Variable, its value, and what is allowed.
    """
    return settings.from_variables(_taken(session))


def _taken(session: Session) -> Callable[[str], str | None]:
    """Reads the text that a run would take now, by key: the environment's before the Variable's."""
    return {PREFIX + name: text for name, text in (values(session) | overriding()).items()}.get


def _rows(session: Session, *, lock: bool = False) -> dict[str, Variable]:
    """The settings' Variables, by setting; with ``lock`` as they are once no other transaction changes them."""
    query = sa.select(Variable).where(Variable.key.startswith(PREFIX, autoescape=True)).order_by(Variable.key)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = {one.key.removeprefix(PREFIX): one for one in session.scalars(query)}
    return {name: one for name, one in found.items() if is_setting(name)}
