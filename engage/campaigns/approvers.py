"""Which users may approve a campaign's list: those whom the settings name, and with four eyes none who made the list.

A list is made by the user who triggered a run of it, and by the last user to change each setting since a list was last
approved. A changed setting is one whose value differs from that list's: an approver has seen the others.

Airflow's audit log knows who changed a setting, and only Airflow's API server may read it. So the API server checks an
approver, and keeps in ``approval_checked`` who has passed. The task takes an approval only from such a user.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns.campaign import Campaign, find
from engage.errors import ApproverRefused
from engage.settings import PREFIX, Settings
from engage.statuses import ApprovalState
from engage.storage.schema import campaign
from engage.window import Window

WHILE_SENDING = frozenset({"messages_per_second", "send_concurrency", "keep_windows", "alert_emails"})
"""Settings that do not make a campaign: they are read again later."""


@dataclass(frozen=True)
class Edit:
    """The last change of a setting by a user."""

    setting: str
    by: str
    at: datetime
    command_line: bool = False
    """Whether ``by`` is a user of the machine, who may be any of Airflow's."""


@dataclass(frozen=True)
class Approvers:
    """The users who may approve one list. Without ``named`` each user may whom Airflow lets answer."""

    named: tuple[str, ...] = ()
    four_eyes: bool = True
    triggered_by: tuple[str, ...] = ()
    """The users who triggered the runs that made the list or ask about it."""
    edits: tuple[Edit, ...] = ()
    """The last changes of the settings that make the list."""
    unknown: tuple[str, ...] = ()
    """Changed settings of which the audit log has no editor."""

    @property
    def may(self) -> tuple[str, ...]:
        """The named users who may approve."""
        return tuple(name for name in self.named if not any(self._reasons(name)))

    @property
    def who_may(self) -> str:
        """The users who may approve, as a sentence."""
        if not self.named:
            return "Each user whom Airflow lets answer may approve."
        if not self.may:
            return (
                "No user is left who may approve: reject the list, name another user in engage_approvers, and trigger "
                "a new run."
            )
        return f"{in_words(self.may)} may approve."

    def refusal(self, user: str) -> str | None:
        """Why the user may not approve, and who may, in a sentence or two; None if the user may."""
        reasons = list(self._reasons(user))
        if not self.named or not reasons:
            return None
        return f"{user} may not approve this list: {'; '.join(reasons)}. {self.who_may} {user} may reject it."

    def _reasons(self, user: str) -> Iterator[str]:
        if user not in self.named:
            yield f"engage_approvers does not name {user}"
        if not self.four_eyes:
            return
        if user in self.triggered_by:
            yield f"{user} triggered its run, and the approver must be another user"
        if edited := [one for one in self.edits if one.by == user]:
            names = in_words([f"{PREFIX}{one.setting} on {one.at:%Y-%m-%d %H:%M} UTC" for one in edited])
            yield f"{user} was the last to change {names}, and the approver must be another user"


@dataclass(frozen=True)
class Changes:
    """The settings of a campaign that differ from those of the last approved list."""

    settings: tuple[str, ...]
    since: datetime | None
    """When that list's run read its settings; None if no list was approved before. Then the defaults count."""
    until: datetime
    """When this campaign's run read its settings."""


def of(found: Campaign) -> Approvers:
    """The users who may approve, as far as the campaign's record knows. It does not know the edits."""
    settings = found.require_settings()
    asking = (found.approval.asked[run_id].by for run_id in found.approval.asking_runs)
    users = dict.fromkeys(user for user in (found.triggered_by, *asking) if user)
    return Approvers(settings.approver_names, settings.four_eyes, tuple(users))


def changes(conn: sa.Connection, found: Campaign) -> Changes:
    """What the campaign's settings change, compared with the last list that a user approved."""
    taken = sa.func.coalesce(campaign.c.settings_at, campaign.c.opened_at)
    until = found.settings_at or found.opened_at
    query = (
        sa.select(campaign.c.settings, taken.label("at"))
        .where(
            campaign.c.approval == ApprovalState.APPROVED,
            campaign.c.approval_by.is_not(None),
            campaign.c.window_start != found.window.start,
            taken < until,
        )
        .order_by(taken.desc())
        .limit(1)
    )
    last = conn.execute(query).one_or_none()
    before = (Settings.from_snapshot(last.settings) if last else Settings()).snapshot()
    now = found.require_settings().snapshot()
    names = [name for name in {**before, **now} if name not in WHILE_SENDING and before.get(name) != now.get(name)]
    return Changes(tuple(names), last.at if last else None, until)


def asked_by_run(conn: sa.Connection, run_id: str) -> Campaign | None:
    """The campaign about whose present list the run asks; None if no answer to it is waited for."""
    query = sa.select(campaign.c.window_start).where(
        campaign.c.approval == ApprovalState.REQUESTED, campaign.c.asked.has_key(run_id)
    )
    found = find(conn, Window(start)) if (start := conn.execute(query).scalar()) else None
    return found if found and run_id in found.approval.asking_runs else None


def passed(conn: sa.Connection, found: Campaign, user: str) -> None:
    """Keep that the user may approve the campaign's present list."""
    checked = campaign.c.approval_checked.concat({user: found.approval.list_id})
    conn.execute(
        sa.update(campaign).where(campaign.c.window_start == found.window.start).values(approval_checked=checked)
    )


def refuse(found: Campaign, user: str) -> None:
    """Refuse an approval by a user who may not approve, or whom the check has not passed.

    Raises:
        ApproverRefused: the approval does not count.
    """
    users = of(found)
    if why := users.refusal(user):
        raise ApproverRefused(why)
    if users.named and found.approval.checked.get(user) != found.approval.list_id:
        raise ApproverRefused(
            f"The approval by {user} has not passed the check of approvers in Airflow's API server, so it does not "
            "count. Answer again on the page Approval, and check that the API server loads the plugin engage."
        )


def in_words(names: Sequence[str]) -> str:
    """Names in a sentence, such as *ada, bob and cleo*."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
