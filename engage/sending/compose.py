"""Composes the text message to one recipient, or says why none is sent now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engage.errors import NoOfferCode
from engage.sending import message_reference
from engage.sending.eligibility import RecipientChecks
from engage.sending.providers import OutgoingSms
from engage.sending.segment_templates import SegmentTemplates, filled_in
from engage.settings import Settings
from engage.settings.languages import OWN
from engage.statuses import SkipReason
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
        self._templates = {segment: SegmentTemplates(settings.by_variant(segment)) for segment in settings.texted}
        self.personal = any(texts.placeholders for texts in self._templates.values())
        """Whether a text depends on what Engage knows of the recipient, besides the language."""
        self.names_codes = settings.uses("offer_code")
        """Whether a text names the message's offer code."""

    def compose(self, row: Any, now: datetime) -> Composed:
        """The message to a recipient.

        ``row`` has the id, segment, variant, phone, time zone and locale, and what texts name.

        Raises:
            NoOfferCode: the text names the offer code, and the message has none.
        """
        readiness = self._checks.readiness(row.phone, row.time_zone, now)
        if readiness.skip_reason or readiness.hold_until:
            return Composed(skip_reason=readiness.skip_reason, hold_until=readiness.hold_until)
        variant = row.variant or OWN  # an earlier version wrote no variant
        _, template = self._templates[row.bucket].chosen(variant, row.locale)
        body = self._render(template, row)
        if segments(body) > self._max_segments:
            return Composed(skip_reason=SkipReason.TOO_LONG)
        reference = message_reference.write(self._window, row.customer_id)
        return Composed(OutgoingSms(row.phone, body, reference, readiness.valid_for))

    def _render(self, parsed: Template, row: Any) -> str:
        code = row.offer_code if self.names_codes else None
        if code is None and "offer_code" in parsed.placeholders:
            raise NoOfferCode(
                f"The message to customer {row.customer_id} of the window {self._window} has no offer code, and its "
                "text names one. No message of this claim was sent. Look for its row in the table offer_code."
            )
        return parsed.render(filled_in(parsed, row, self._window, code or ""))
