"""Airflow's Variables, as the pages read them."""

from __future__ import annotations

import sqlalchemy as sa
from airflow.models.variable import Variable
from sqlalchemy.orm import Session

from engage import settings
from engage.errors import SettingsError
from engage.settings import PREFIX


def variable(session: Session, name: str) -> Variable | None:
    """The Variable of a setting; None if it has its default."""
    found: Variable | None = session.scalar(sa.select(Variable).where(Variable.key == PREFIX + name))
    return found


def value(session: Session, name: str) -> str | None:
    """The text of a setting's Variable; None if it has its default."""
    found = variable(session, name)
    return None if found is None else found.val


def lateness_settings(session: Session) -> settings.Settings:
    """The setting of the moment by which a window is late."""
    return settings.for_lateness(lambda key: value(session, key.removeprefix(PREFIX)))


def eligibility_settings(session: Session) -> settings.Settings:
    """The settings of the moment by which a customer may be texted; the defaults if a Variable is wrong."""
    names = ("sms_provider", "sandbox_strict", "sending_hours")
    try:
        return settings.from_variables(lambda key: value(session, key.removeprefix(PREFIX)), *names)
    except SettingsError:
        return settings.Settings()


def current(session: Session) -> settings.Settings:
    """The settings that a run would take now.

    Raises:
        SettingsError: names each wrong Variable, its value, and what is allowed.
    """
    keys = [PREFIX + name for name in settings.Settings.model_fields]
    stored = {found.key: found.val for found in session.scalars(sa.select(Variable).where(Variable.key.in_(keys)))}
    return settings.from_variables(stored.get)
