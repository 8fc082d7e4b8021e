"""Composes the text message to one recipient, or says why there is none to send now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engage.campaigns.segments import TEXTED
from engage.sending.eligibility import Recipients
from engage.sending.providers import OutgoingSms
from engage.settings import Settings
from engage.texts import template
from engage.texts.sms_segments import segments
from engage.texts.template import Template
from engage.window import Window


@dataclass(slots=True)
class Composed:
    """A message to send, or a ``reason`` to skip it, or the moment until which it has to wait."""

    sms: OutgoingSms | None = None
    reason: str | None = None
    hold_until: datetime | None = None


class Composer:
    """Composes a campaign's messages."""

    def __init__(self, window: Window, settings: Settings) -> None:
        self._max_segments = settings.max_segments
        self._recipients = Recipients(settings)
        self._prefix = window.key
        self._templates = {bucket: Template.parse(settings.message(bucket)) for bucket in TEXTED}
        self.personal = any(parsed.placeholders for parsed in self._templates.values())
        """Whether a text depends on who gets it."""
        self._same = {} if self.personal else {name: parsed.render({}) for name, parsed in self._templates.items()}

    def compose(self, row: Any, now: datetime) -> Composed:
        """The message to a recipient: ``row`` has the customer's id, bucket, phone, time zone, name and numbers."""
        moment = self._recipients.moment(row.phone, row.time_zone, now)
        if moment.reason or moment.hold_until:
            return Composed(reason=moment.reason, hold_until=moment.hold_until)
        body = self._same.get(row.bucket) or self._render(row)
        if segments(body) > self._max_segments:
            return Composed(reason="too_long")
        return Composed(OutgoingSms(row.phone, body, f"{self._prefix}-{row.customer_id}", moment.valid_for))

    def _render(self, row: Any) -> str:
        known = template.values(row.name, row.total_spend_cents, row.avg_weekly_sessions)
        return self._templates[row.bucket].render(known)
