"""Which users may approve a campaign's list: the campaign's record, with the editors in Airflow's audit log.

Only the API server may read the audit log. It checks an approver before Airflow takes the answer, and keeps in the
campaign's row who has passed. The task ``approve`` takes an approval only from such a user.
"""

from __future__ import annotations

from dataclasses import replace

import engage_web_audit
import sqlalchemy as sa
from sqlalchemy.orm import Session

from engage.campaigns import approvers
from engage.campaigns.approvers import Approvers
from engage.campaigns.campaign import Campaign
from engage.pages.setting_editors import last_edits
from engage.window import Window


class Refused(Exception):
    """The user may not approve ``window``'s list. ``why``: a sentence that says who may."""

    def __init__(self, window: Window, why: str) -> None:
        super().__init__(why)
        self.window, self.why = window, why


def of(conn: sa.Connection, session: Session, found: Campaign) -> Approvers:
    """The users who may approve the campaign's list."""
    users = approvers.of(found)
    if not users.named or not users.four_eyes:
        return users
    changed = approvers.changes(conn, found)
    entries = engage_web_audit.setting_edits(session, since=changed.since, until=changed.until)
    edits, unknown = last_edits(entries, changed.settings, until=changed.until)
    return replace(users, edits=edits, unknown=unknown)


def check(conn: sa.Connection, session: Session, found: Campaign, user: str) -> None:
    """Let the user approve the campaign's present list, and keep that.

    Raises:
        Refused: the user may not approve it.
    """
    users = of(conn, session, found)
    if why := users.refusal(user):
        raise Refused(found.window, why)
    if users.named:
        approvers.passed(conn, found, user)
