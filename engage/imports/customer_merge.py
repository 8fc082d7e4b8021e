"""A file's customers beside the stored ones: what each becomes, as expressions of SQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engage.imports.staging import staged_customer as staged
from engage.storage.schema import customer

PROFILE = ("registered_at", "name", "phone", "phone_hash", "locale", "time_zone")
CONSENT = ("consent_at", "consent_source")


def with_known() -> sa.FromClause:
    """The file's rows, each with the stored customer if there is one."""
    return staged.outerjoin(customer, customer.c.customer_id == staged.c.customer_id)


def given(name: str) -> sa.ColumnElement[Any]:
    """A field as it is after the import: the file's value, or the stored one if the file has none."""
    return sa.func.coalesce(staged.c[name], customer.c[name])


def is_new() -> sa.ColumnElement[bool]:
    """Whether no customer of this id is stored."""
    return customer.c.customer_id.is_(None)


def differs() -> sa.ColumnElement[bool]:
    """Whether the import changes a field of a stored customer."""
    return sa.or_(*(customer.c[name].is_distinct_from(given(name)) for name in (*PROFILE, *CONSENT)))


def has_another_phone() -> sa.ColumnElement[bool]:
    """Whether the file has a phone that is not the stored one."""
    return sa.and_(staged.c.phone_hash.is_not(None), customer.c.phone_hash.is_distinct_from(staged.c.phone_hash))


def has_another_consent() -> sa.ColumnElement[bool]:
    """Whether the file has a consent whose time or source is not the stored one."""
    another = sa.or_(*(customer.c[name].is_distinct_from(staged.c[name]) for name in CONSENT))
    return sa.and_(staged.c.consent_at.is_not(None), another)


def consents_anew(as_of: datetime) -> sa.ColumnElement[bool]:
    """Whether the file has a consent of another time than the stored one, which counts by now."""
    return sa.and_(staged.c.consent_at <= as_of, customer.c.consent_at.is_distinct_from(staged.c.consent_at))
