"""The approval of a campaign's messages: its states, every move between them, and what each state allows.

::

    None ── requested ──► REQUESTED ── answered ──┬──► APPROVED    the frozen list goes out
     ▲                        ▲                   └──► REJECTED    the list is skipped, and the campaign open again
     └─────── cleared ────────┴── requested ─────────────┘         once it is computed again

It is required only if ``require_approval`` was on when the campaign was computed, or if the list is longer than
``approval_above``. The list is frozen before the approver is asked, so the approved list is the one that goes out,
less customers who may no longer be texted. The campaign row keeps the approval, and every sender reads it there:
neither a cleared task nor another run gets past it. ``approvers`` decides which users may approve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from engage.errors import NotApproved
from engage.statuses import APPROVAL_MOVES, ApprovalState
from engage.window import Window


@dataclass(frozen=True)
class Asking:
    """One run's question."""

    about: str | None
    """The list, by the time at which it was frozen."""
    until: datetime | None = None
    """When the time for an answer is up; None of a run by a version that did not keep it."""
    by: str | None = None
    """The user who triggered the run; None for the scheduler."""

    @classmethod
    def from_json(cls, kept: str | dict[str, Any] | None) -> Asking:
        """The question as the campaign row keeps it; earlier versions kept only the list."""
        if not isinstance(kept, dict):
            return cls(kept)
        return cls(kept["about"], datetime.fromisoformat(kept["until"]), kept.get("by"))

    def to_json(self) -> str | dict[str, Any] | None:
        """The question for the campaign row."""
        if self.until is None:
            return self.about
        by = {"by": self.by} if self.by else {}
        return {"about": self.about, "until": self.until.isoformat(), **by}


@dataclass(frozen=True)
class Approval:
    """An approval as the campaign row keeps it. A move returns a new value, and ``columns`` are what to write."""

    window: Window
    frozen_at: datetime | None = None
    """When the campaign's list was frozen, which identifies the list; None while the campaign is open."""
    required: bool = False
    """Whether the campaign's settings require an approval of each list."""
    above: int = 0
    """A list of more messages requires an approval, too; 0 is none."""
    state: ApprovalState | None = None
    at: datetime | None = None
    """When it was requested, or answered."""
    by: str | None = None
    """The user name of the approver; None if the time was up."""
    reason: str | None = None
    """Why the approver rejected the list; None if no reason was given."""
    checked: Mapping[str, str] = field(default_factory=dict)
    """Users who have passed the check of approvers, each with the list that it was about."""
    asked: Mapping[str, Asking] = field(default_factory=dict)
    """For each run that has asked, by id: its question."""

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of the campaign row, with the values of this approval."""
        asked = {run_id: asking.to_json() for run_id, asking in self.asked.items()}
        return {
            "approval": self.state,
            "approval_at": self.at,
            "approval_by": self.by,
            "approval_reason": self.reason,
            "asked": asked,
        }

    @property
    def sentence(self) -> str:
        """The state as a sentence; empty if no approval was requested."""
        if self.state is None or self.at is None:
            return ""
        at = f"{self.at:%Y-%m-%d %H:%M} UTC"
        if self.state is ApprovalState.REQUESTED:
            return f"Approval was requested on {at}."
        if self.by is None:
            return f"Its messages were {self.state} on {at}: no answer came in time."
        why = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"Its messages were {self.state} by {self.by} on {at}{why}."

    @property
    def asking_runs(self) -> list[str]:
        """The runs that have asked about the present list, by id."""
        return [run_id for run_id, asking in self.asked.items() if asking.about == self.list_id]

    @property
    def may_be_required(self) -> bool:
        """Whether the campaign's settings require an approval of some lists."""
        return self.required or self.above > 0

    def requires(self, messages: int) -> bool:
        """Whether a list of so many messages needs an approval; one that was asked about does, however it shrinks."""
        return self.required or 0 < self.above < messages or self.state is ApprovalState.REQUESTED

    # --- the moves

    def requested(self, as_of: datetime) -> Approval:
        """A new list waits for an answer."""
        return self._moved(ApprovalState.REQUESTED, at=as_of)

    def asked_by(self, run_id: str, until: datetime, user: str | None = None) -> Approval:
        """The run, which ``user`` triggered, asks about the present list, and takes an answer ``until`` a time.

        Raises:
            NotApproved: the run asked about another list before.
        """
        self.refuse_another_list(run_id)
        return replace(self, asked={**self.asked, run_id: Asking(self.list_id, until, user)})

    def answered(
        self, *, approved: bool, by: str | None, run_id: str, as_of: datetime, reason: str | None = None
    ) -> Approval:
        """The list was approved or rejected; the same answer again changes nothing.

        If the time is up for this run's question, and another run's question about the list is open, the list waits.

        Raises:
            NotApproved: no approval was requested, the run asked about another list, or the other answer came first.
                If the time was up for this run's question, the answer to another run's question stands.
        """
        wanted = ApprovalState.APPROVED if approved else ApprovalState.REJECTED
        settled = self.state is not None and self.state is not ApprovalState.REQUESTED
        if self.state is wanted or (settled and by is None):
            return self
        if self.state is not ApprovalState.REQUESTED:
            raise NotApproved(
                f"The list of the window {self.window} cannot be {wanted}. {self._where_it_stands} To stop a campaign "
                "that goes out, halt it. To be asked again about a rejected one, trigger a run of the window."
            )
        self.refuse_another_list(run_id)
        if by is None and self._open_elsewhere(run_id, as_of):
            return self
        asked = {run_id: Asking(self.list_id), **self.asked}  # a run that asked before migration 0007 is not listed
        return replace(self, asked=asked)._moved(wanted, at=as_of, by=by, reason=None if approved else reason)

    def cleared(self) -> Approval:
        """The campaign was computed again, and requires none."""
        return self._moved(None)

    def _moved(
        self,
        state: ApprovalState | None,
        *,
        at: datetime | None = None,
        by: str | None = None,
        reason: str | None = None,
    ) -> Approval:
        assert state is self.state or state in APPROVAL_MOVES[self.state], f"from {self.state} to {state}"
        return replace(self, state=state, at=at, by=by, reason=reason)

    # --- what a state allows

    def enforce(self, messages: int) -> None:
        """Refuse to send before the list is approved, if one of so many messages requires approval.

        Raises:
            NotApproved: the list is not approved.
        """
        if self.requires(messages) and self.state is not ApprovalState.APPROVED:
            why = "engage_require_approval was on" if self.required else f"engage_approval_above was {self.above}"
            raise NotApproved(
                f"The messages of the window {self.window} require approval, as {why} when "
                f"the campaign was computed. No message was sent. {self._where_it_stands} Trigger a run of this "
                "window: its task approve asks the approver. An answer counts only while the task that asks still "
                "waits for it."
            )

    def refuse_another_list(self, run_id: str) -> None:
        """Refuse a run that has asked about another list: Airflow would show that question again, with its old text.

        Raises:
            NotApproved: the run asked before, and the list was computed anew since.
        """
        if run_id in self.asked and self.asked[run_id].about != self.list_id:
            raise NotApproved(
                f"This run has asked about an earlier list of the window {self.window}, and Airflow would show that "
                "question again. The new list waits for its own question, and no message was sent. Trigger a new run "
                "of the window: it asks about the new list."
            )

    def refuse_to_bypass(self) -> None:
        """Refuse a run outside Airflow, which can neither ask the approver nor read Airflow's Variables.

        Raises:
            NotApproved: the campaign requires approval and is open, so the run could compute it again without one.
        """
        if self.may_be_required and self.frozen_at is None:
            which = "" if self.required else f" of a list of more than {self.above} messages"
            raise NotApproved(
                f"The campaign of the window {self.window} requires approval{which}, and only Airflow can ask for it. "
                f"{self._where_it_stands} Trigger a run of the window there. To send without approval, add "
                "--set require_approval=false."
            )

    def _open_elsewhere(self, run_id: str, as_of: datetime) -> bool:
        """Whether another run's question about the present list may still be answered."""
        others = (asking for other, asking in self.asked.items() if other != run_id and asking.about == self.list_id)
        return any(asking.until is not None and asking.until > as_of for asking in others)

    @property
    def _where_it_stands(self) -> str:
        return self.sentence or "No approval was requested."

    @property
    def list_id(self) -> str | None:
        """The present list, by the time at which it was frozen; None while the campaign is open."""
        return self.frozen_at.astimezone(UTC).isoformat() if self.frozen_at else None
