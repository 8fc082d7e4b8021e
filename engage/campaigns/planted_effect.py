"""A planted effect: how a text truly changes what synthetic customers do, so that a report has something to find.

It acts on the customers that the campaign of the window before has texted, and on no customer of its holdout.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from engage.errors import InputError, SeedRefused
from engage.segments import SEGMENT_NAME
from engage.statuses import ExperimentArm
from engage.storage.schema import message
from engage.window import Window

LEAST, MOST = -100, 1000
"""Percent: from no purchase at all to eleven times as many."""
FORM = f"SEGMENT=PERCENT, such as BOOST=+10%, with a percentage from {LEAST} to +{MOST}"

_PERCENT = re.compile(r"[+-]?[0-9]{1,4}(\.[0-9]{1,2})?%")


def parse(texts: Iterable[str]) -> dict[str, float]:
    """Effects such as ``BOOST=+10%``: the factor of the purchase rate by segment, such as 1.1.

    Raises:
        InputError: another form, a percentage out of range, or a segment that is named twice.
    """
    found: dict[str, float] = {}
    for text in texts:
        segment, _, percent = text.partition("=")
        if not SEGMENT_NAME.fullmatch(segment) or not _PERCENT.fullmatch(percent):
            raise InputError(f"The effect {text[:60]!r} is not of the form {FORM}.")
        if not LEAST <= (change := float(percent[:-1])) <= MOST:
            raise InputError(f"The effect {text!r} is out of range; it takes {FORM}.")
        if segment in found:
            raise InputError(f"Two effects are of the segment {segment}; give one effect for each segment.")
        found[segment] = 1 + change / 100
    return found


def require_texted(conn: sa.Connection, window: Window, effects: Mapping[str, float]) -> None:
    """Refuse an effect on a segment of which the window before has texted no customer, so that it would do nothing.

    Raises:
        SeedRefused: names the segment, and what to do.
    """
    before = window.previous()
    texted = set(conn.execute(sa.select(message.c.bucket).where(*_texted(before)).distinct()).scalars())
    missing = [segment for segment in effects if segment not in texted]
    if not missing:
        return
    names = f"only of {', '.join(sorted(texted))}" if texted else "of no segment"
    raise SeedRefused(
        f"There is no texted customer of {missing[0]} for its effect to act on: the campaign of the window before, "
        f"{before}, has texted customers {names}. Nothing was changed. Text that window first, for example with "
        f"`engage run --window-start {before.start:%Y-%m-%d} --send-late --set holdout_percent=10`, or seed without "
        "this effect."
    )


def factors(
    conn: sa.Connection, window: Window, effects: Mapping[str, float], first: int, size: int
) -> npt.NDArray[np.float64]:
    """The factor of the purchase rate in ``window`` of each of ``size`` customers, from customer ``first`` on.

    It is 1 for customers whose text of the window before was not accepted by the provider.
    """
    found = np.ones(size)
    rows = conn.execute(
        sa.select(message.c.customer_id, message.c.bucket).where(
            *_texted(window.previous()),
            message.c.customer_id.between(first, first + size - 1),
            message.c.bucket.in_(list(effects)),
        )
    )
    for customer_id, segment in rows:
        found[customer_id - first] = effects[segment]
    return found


def _texted(window: Window) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        message.c.window_start == window.start,
        message.c.arm == ExperimentArm.TEXTED,
        message.c.accepted_at.is_not(None),
    )
