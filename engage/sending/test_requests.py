"""Requests for test messages: a text that a user wants to see on a phone of the staff.

A request is a row, which a page may write. A process with the provider's account sends it: ``test_sends``. The text
begins with ``TEST`` and goes only to a number of the setting ``test_phones``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from engage.errors import InputError
from engage.settings import Settings
from engage.statuses import SendTestStatus
from engage.storage.schema import test_send
from engage.texts import phone
from engage.texts.sms_segments import segments

MARK = "TEST "
"""What the text of a test message begins with."""
MOST_AN_HOUR = 20
"""Test messages of one user within an hour."""
EXPIRES_AFTER = timedelta(minutes=10)
"""A test message that waits longer is not sent: its user has left."""
EXPIRED = "it waited for more than 10 minutes"
LOST = "the process that sent it ended before the provider's answer"
_LOCK = 0x74657374  # "test"


@dataclass(frozen=True)
class TextToTry:
    """The text that a user wants to see on a phone. ``language`` is empty for the text of all others."""

    segment: str
    language: str
    variant: str
    body: str = field(repr=False)

    @property
    def marked(self) -> str:
        """The text as it goes out."""
        return f"{MARK}{self.body}"


@dataclass(frozen=True)
class OutcomeOfTest:
    """What became of a test message, for Airflow's log. ``note``: why it was not sent."""

    status: str
    provider: str
    note: str


@dataclass(frozen=True)
class SentTest:
    """A test message and where it is on its way."""

    test_send_id: UUID
    requested_at: datetime
    requested_by: str
    segment: str
    language: str
    variant: str
    to: str
    """The number's last digits."""
    segments: int
    status: SendTestStatus
    provider: str | None
    provider_message_id: str | None
    error: str | None

    @property
    def on_its_way(self) -> bool:
        """Whether its outcome is still open."""
        return self.status in {SendTestStatus.WAITING, SendTestStatus.SENDING}

    @property
    def summary(self) -> OutcomeOfTest:
        """What a task returns of it."""
        return OutcomeOfTest(str(self.status), self.provider or "", self.error or "")

    @property
    def sentence(self) -> str:
        """Where it is, in words."""
        name = (self.provider or "").title()
        through = "the sandbox, which sends no real text" if name == "Sandbox" else name
        return {
            SendTestStatus.WAITING: f"The test message to {self.to} waits for its run.",
            SendTestStatus.SENDING: f"The test message to {self.to} is on its way.",
            SendTestStatus.ACCEPTED: f"The test message to {self.to} was accepted by {through}.",
            SendTestStatus.FAILED: f"The test message to {self.to} was not sent: {self.error}.",
            SendTestStatus.UNKNOWN: f"It is not known whether the test message to {self.to} went out: {self.error}.",
            SendTestStatus.REFUSED: f"The test message to {self.to} was not sent: {self.error}.",
        }[self.status].replace("..", ".")


def request(
    conn: sa.Connection, test_send_id: UUID, text: TextToTry, *, to: str, by: str, settings: Settings, as_of: datetime
) -> bool:
    """Write down that a user wants a text on a phone; returns whether the id is new. Idempotent.

    Raises:
        InputError: the number is not on the list, or the user has had too many within the hour.
    """
    number = listed(settings, to)
    conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    if conn.execute(sa.select(test_send.c.test_send_id).where(test_send.c.test_send_id == test_send_id)).first():
        return False
    _refuse_too_many(conn, by, as_of)
    conn.execute(
        insert(test_send).values(
            test_send_id=test_send_id,
            requested_at=as_of,
            requested_by=by,
            segment=text.segment,
            locale=text.language,
            variant=text.variant,
            phone_end=number[-2:],
            phone=number,
            body=text.marked,
            segments=segments(text.marked),
            status=SendTestStatus.WAITING,
        )
    )
    return True


def listed(settings: Settings, to: str) -> str:
    """The canonical form of a number on the list of test phones.

    Raises:
        InputError: it is not on the list.
    """
    numbers = phone.numbers(settings.test_phones)
    number = phone.canonical(to.strip())
    if number in numbers:
        return str(number)
    if not numbers:
        raise InputError(
            "There is no phone for test messages. Set engage_test_phones to numbers of your staff in E.164, such as "
            "+12025550123, with commas between them."
        )
    ends = ", ".join(map(phone.masked, numbers))
    raise InputError(
        f"A test message goes only to a number of engage_test_phones, and this one is not there. The list has {ends}. "
        "Add the number to it, or choose another."
    )


def _refuse_too_many(conn: sa.Connection, by: str, as_of: datetime) -> None:
    within = sa.and_(test_send.c.requested_by == by, test_send.c.requested_at > as_of - timedelta(hours=1))
    count, first = conn.execute(sa.select(sa.func.count(), sa.func.min(test_send.c.requested_at)).where(within)).one()
    if count >= MOST_AN_HOUR:
        again = first + timedelta(hours=1)
        raise InputError(
            f"You have sent {count} test messages within the hour, and {MOST_AN_HOUR} are allowed. Send the next one "
            f"from {again:%H:%M} UTC."
        )


def find(conn: sa.Connection, test_send_id: UUID, *, as_of: datetime) -> SentTest | None:
    """A test message; None if there is none with this id."""
    row = conn.execute(_columns().where(test_send.c.test_send_id == test_send_id)).one_or_none()
    return None if row is None else _of(row, as_of)


def latest(
    conn: sa.Connection, *, limit: int, as_of: datetime, before: datetime | None = None, by: str | None = None
) -> list[SentTest]:
    """The newest test messages, of those requested at ``before`` or earlier, and by one user or all."""
    query = _columns().order_by(test_send.c.requested_at.desc(), test_send.c.test_send_id).limit(limit)
    if before is not None:
        query = query.where(test_send.c.requested_at <= before)
    if by is not None:
        query = query.where(test_send.c.requested_by == by)
    return [_of(row, as_of) for row in conn.execute(query)]


def _columns() -> sa.Select[Any]:
    """All columns but the number and the text."""
    return sa.select(*(column for column in test_send.c if column.name not in {"phone", "body", "phone_hash"}))


def _of(row: Any, as_of: datetime) -> SentTest:
    status, error = SendTestStatus(row.status), row.error
    if as_of - row.requested_at > EXPIRES_AFTER:
        if status is SendTestStatus.WAITING:
            status, error = SendTestStatus.REFUSED, EXPIRED
        elif status is SendTestStatus.SENDING:
            status, error = SendTestStatus.UNKNOWN, LOST
    return SentTest(
        row.test_send_id, row.requested_at, row.requested_by, row.segment, row.locale, row.variant,
        phone.masked(row.phone_end), row.segments, status, row.provider, row.provider_message_id, error,
    )  # fmt: skip
