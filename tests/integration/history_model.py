"""What ``aggregate`` and ``engage history rebuild`` must find, by customer, counted from a plain list of events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engage.campaigns.history import COLUMNS
from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.window import Window

Row = dict[str, Any]


@dataclass
class Model:
    """Events as the log has them, and the rows of each window as its last computation left them."""

    registered: dict[int, datetime]
    events: list[tuple[str, int | None, datetime | None, int | None]] = field(default_factory=list)
    """Kind, customer, time, cents."""
    rows: dict[Window, dict[int, Row]] = field(default_factory=dict)
    segments: dict[Window, dict[int, str]] = field(default_factory=dict)
    """Of windows whose customers are in segments."""

    def aggregate(self, window: Window) -> None:
        """The window is computed anew, and its customers are in no segments."""
        self.segments.pop(window, None)
        self.rows[window] = {
            customer: self._row(window, customer, self._own(window, customer))
            for customer, since in self.registered.items()
            if since < window.end
        }

    def bucket(self, window: Window) -> None:
        """By the default rules, with the default thresholds."""
        self.segments[window] = {
            customer: "BOOST" if row["spend"] < 100_00 else "REWARD" if row["sessions"] > 40 else "NONE"
            for customer, row in self.rows[window].items()
        }

    def rebuild(self) -> int:
        """All windows in order, each from its own numbers; returns how many rows it changes."""
        changed = 0
        for window in sorted(self.rows):
            for customer, row in self.rows[window].items():
                own = row | {
                    name: row[name] if row[name] and row[name] >= window.start else None
                    for name in ("last_session_at", "last_purchase_at")
                }
                own["first_purchase_at"] = row["first_purchase_at"] if row["purchases"] else None
                anew = self._row(window, customer, own)
                changed += anew != row
                self.rows[window][customer] = anew
        return changed

    def carried_on(self, window: Window) -> dict[int, tuple[Any, ...]]:
        """The columns of ``history.COLUMNS`` by customer."""
        return {customer: tuple(row[name] for name in COLUMNS) for customer, row in self.rows[window].items()}

    def _own(self, window: Window, customer: int) -> Row:
        def of(kind: str, least: int = 0) -> list[tuple[datetime, int]]:
            return [
                (at, cents or 0)
                for what, who, at, cents in self.events
                if (what, who) == (kind, customer)
                and at is not None
                and window.start <= at < window.end
                and (kind == "session" or (cents is not None and least <= cents <= MAX_AMOUNT_CENTS))
            ]

        sessions, purchases, refunds = of("session"), of("purchase"), of("refund", least=1)
        spend = sum(cents for _, cents in purchases) - sum(cents for _, cents in refunds)
        return {
            "sessions": len(sessions),
            "purchases": len(purchases),
            "spend": max(spend, 0),
            "last_session_at": max((at for at, _ in sessions), default=None),
            "first_purchase_at": min((at for at, _ in purchases), default=None),
            "last_purchase_at": max((at for at, _ in purchases), default=None),
        }

    def _row(self, window: Window, customer: int, own: Mapping[str, Any]) -> Row:
        before = window.previous()
        known = before in self.segments and customer in self.rows[before]
        earlier = self.rows[before][customer] if known else {}
        return {
            "sessions": own["sessions"],
            "purchases": own["purchases"],
            "spend": own["spend"],
            "last_session_at": own["last_session_at"] or earlier.get("last_session_at"),
            "first_purchase_at": earlier.get("first_purchase_at") or own["first_purchase_at"],
            "last_purchase_at": own["last_purchase_at"] or earlier.get("last_purchase_at"),
            "previous_total_spend_cents": earlier.get("spend"),
            "previous_sessions": earlier.get("sessions"),
            "previous_segment": self.segments[before][customer] if known else None,
            "purchases_to_date": own["purchases"] + earlier.get("purchases_to_date", 0),
            "spend_3_windows_cents": own["spend"]
            + earlier.get("spend", 0)
            + (earlier.get("previous_total_spend_cents") or 0),
            "sessions_3_windows": own["sessions"]
            + earlier.get("sessions", 0)
            + (earlier.get("previous_sessions") or 0),
            "windows_active": (own["sessions"] > 0 or own["purchases"] > 0) + earlier.get("windows_active", 0),
        }
