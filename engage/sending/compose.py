"""Composes the text message to one recipient, or says why none is sent now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engage.campaigns.segments import TEXTED
from engage.sending import message_reference
from engage.sending.eligibility import RecipientChecks
from engage.sending.providers import OutgoingSms
from engage.settings import Settings
from engage.statuses import SkipReason
from engage.texts import template
from engage.texts.sms_segments import segments
from engage.texts.template import Template
from engage.window import Window


@dataclass(slots=True)
class Composed:
    """A message to send, or the reason to skip it, or the moment until which it has to wait."""

    sms: OutgoingSms | None = None
    skip_reason: str | None = None
    hold_until: datetime | None = None


class Composer:
    """Composes a campaign's messages."""

    def __init__(self, window: Window, settings: Settings) -> None:
        self._max_segments = settings.max_segments
        self._checks = RecipientChecks(settings)
        self._window = window
        self._templates = {bucket: Template.parse(settings.message(bucket)) for bucket in TEXTED}
        self.personal = any(parsed.placeholders for parsed in self._templates.values())
        """Whether a text depends on the recipient."""
        self._same = {} if self.personal else {name: parsed.render({}) for name, parsed in self._templates.items()}

    def compose(self, row: Any, now: datetime) -> Composed:
        """The message to a recipient: ``row`` has the customer's id, bucket, phone, time zone, name and numbers."""
        readiness = self._checks.readiness(row.phone, row.time_zone, now)
        if readiness.skip_reason or readiness.hold_until:
            return Composed(skip_reason=readiness.skip_reason, hold_until=readiness.hold_until)
        body = self._same.get(row.bucket) or self._render(row)
        if segments(body) > self._max_segments:
            return Composed(skip_reason=SkipReason.TOO_LONG)
        reference = message_reference.write(self._window, row.customer_id)
        return Composed(OutgoingSms(row.phone, body, reference, readiness.valid_for))

    def _render(self, row: Any) -> str:
        known = template.values(row.name, row.total_spend_cents, row.avg_weekly_sessions)
        return self._templates[row.bucket].render(known)
