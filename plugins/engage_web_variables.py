"""Airflow's Variables, as the pages read and change them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import VariableDetails
from airflow.models.variable import Variable
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from engage import settings
from engage.errors import SettingsError
from engage.settings import PREFIX, Change, Settings, descriptions


class Outdated(Exception):
    """Other changes came first. ``current``: the Variables' values now, by setting."""

    def __init__(self, current: dict[str, str | None]) -> None:
        super().__init__()
        self.current = current


def variable(session: Session, name: str) -> Variable | None:
    """The Variable of a setting; None if it has its default."""
    found: Variable | None = session.scalar(sa.select(Variable).where(Variable.key == PREFIX + name))
    return found


def value(session: Session, name: str) -> str | None:
    """The text of a setting's Variable; None if it has its default."""
    found = variable(session, name)
    return None if found is None else found.val


def values(session: Session) -> dict[str, str]:
    """The texts of the stored Variables, by setting: what a page shows and changes. Others have their default."""
    return {name: one.val for name, one in _rows(session, list(Settings.model_fields)).items()}


def overriding() -> dict[str, str]:
    """The texts of the settings that Airflow's environment sets. A run takes these, whatever the Variables are."""
    found = {name: os.environ.get(environment_name(name)) for name in Settings.model_fields}
    return {name: text for name, text in found.items() if text is not None}


def environment_name(name: str) -> str:
    """The environment variable that overrides a setting's Variable."""
    return f"AIRFLOW_VAR_{PREFIX}{name}".upper()


def may_read(user: BaseUser, name: str) -> bool:
    """Whether Airflow lets the user see the setting's Variable."""
    asked: bool = get_auth_manager().is_authorized_variable(
        method="GET", details=VariableDetails(key=PREFIX + name), user=user
    )
    return asked


def may_read_all(user: BaseUser) -> bool:
    """Whether Airflow lets the user see the Variables of all settings."""
    return all(may_read(user, name) for name in Settings.model_fields)


def may_edit(user: BaseUser, name: str) -> bool:
    """Whether Airflow lets the user make, change and delete the setting's Variable."""
    ask = get_auth_manager().is_authorized_variable
    details = VariableDetails(key=PREFIX + name)
    return all(ask(method=method, details=details, user=user) for method in ("GET", "POST", "PUT", "DELETE"))


def change(session: Session, changes: Sequence[Change]) -> None:
    """Set and delete Variables, all or none.

    Raises:
        Outdated: a Variable has another value than the user saw.
    """
    names = [one.name for one in changes]
    stored = _rows(session, names, lock=True)
    current = {name: stored[name].val if name in stored else None for name in names}
    if any(one.was != current[one.name] for one in changes):
        raise Outdated(current)
    for one in changes:
        found = stored.get(one.name)
        if one.value is None:
            if found is not None:
                session.delete(found)
        elif found is not None:
            found.set_val(one.value)
        else:
            session.add(Variable(PREFIX + one.name, one.value, descriptions()[one.name]))
    try:
        session.flush()
    except IntegrityError:  # another user has made one of them at the same time
        session.rollback()
        raise Outdated({name: value(session, name) for name in names}) from None


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


def _rows(session: Session, names: Sequence[str], *, lock: bool = False) -> dict[str, Variable]:
    query = sa.select(Variable).where(Variable.key.in_([PREFIX + name for name in names]))
    found = session.scalars(query.with_for_update() if lock else query)
    return {one.key.removeprefix(PREFIX): one for one in found}
