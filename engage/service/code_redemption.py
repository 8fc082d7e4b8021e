"""Redeems offer codes that messages have: each once, until it expires."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.service.event_batch import Redemption
from engage.storage import event_ids, json_rows
from engage.storage.schema import offer_code

DETAILS = {
    "unknown_code": "There is no such code.",
    "code_not_given": "No message has this code.",
    "code_used": "It was redeemed before.",
    "code_expired": "It had expired.",
}
"""Why a code is not redeemed, by the reason's short name."""


class Judged(NamedTuple):
    """The redemptions to carry out, how many were carried out before by their event ids, and what is wrong with others.

    ``wrong`` has one ``RowProblem`` as a dict for each code that cannot be redeemed.
    """

    right: list[Redemption]
    repeated: int
    wrong: list[dict[str, Any]]


class LockedCodes:
    """Codes that no other transaction may redeem until the commit.

    They are locked in their order, so that two transactions cannot deadlock. A free code is not waited for, as another
    transaction may be giving it to a message.
    """

    def __init__(self, conn: sa.Connection, redemptions: Collection[Redemption]) -> None:
        self._conn = conn
        codes = {one.code for one in redemptions}
        given = sa.select(offer_code).where(_one_of(codes), offer_code.c.window_start.is_not(None))
        rows = conn.execute(given.order_by(offer_code.c.code).with_for_update()).all()
        self._given = {row.code: row.expires_at for row in rows}
        self._used = {row.code for row in rows if row.redeemed_at is not None}
        self._known = set(conn.execute(sa.select(offer_code.c.code).where(_one_of(codes))).scalars())
        self._repeated = event_ids.known(conn, {one.event_key for one in redemptions if one.event_key})

    def judged(self, redemptions: Sequence[Redemption]) -> Judged:
        """Which redemptions may be carried out. Of two with one code, or with one event id, the first may."""
        right, wrong, used, repeated = [], [], set(self._used), set(self._repeated)
        for one in redemptions:
            if one.event_key in repeated:
                continue
            if reason := self._reason(one, used):
                wrong.append({"index": one.place, "field": "code", "reason": reason, "detail": DETAILS[reason]})
                continue
            right.append(one)
            used.add(one.code)
            if one.event_key:
                repeated.add(one.event_key)
        return Judged(right, len(redemptions) - len(right) - len(wrong), wrong)

    def redeem(self, redemptions: Sequence[Redemption]) -> None:
        """Mark codes as redeemed. The caller gives those that are ``right``."""
        rows = [{"code": one.code, "redeemed_at": one.occurred_at.isoformat()} for one in redemptions]
        given = json_rows.table(rows, *(sa.column(name, offer_code.c[name].type) for name in ("code", "redeemed_at")))
        same = offer_code.c.code == given.c.code
        self._conn.execute(sa.update(offer_code).where(same).values(redeemed_at=given.c.redeemed_at))
        self._used |= {one.code for one in redemptions}
        self._repeated |= {one.event_key for one in redemptions if one.event_key}

    def _reason(self, one: Redemption, used: Collection[str]) -> str | None:
        if one.code not in self._known:
            return "unknown_code"
        if one.code not in self._given:
            return "code_not_given"
        if one.code in used:
            return "code_used"
        expires_at = self._given[one.code]
        return "code_expired" if expires_at is not None and expires_at <= one.occurred_at else None


def _one_of(codes: Collection[str]) -> sa.ColumnElement[bool]:
    return offer_code.c.code == sa.any_(sa.literal(list(codes), ARRAY(sa.Text)))
