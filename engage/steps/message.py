"""Step 6: queue one message for each customer to be texted, then send what is queued.

The promise: at most one message per customer and per phone in a campaign. A message of unknown outcome is listed and
never sent again by machine. The ledger keeps this promise, not the scheduler, which may run one task twice at a time.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.sending import ledger, queue, sender
from engage.sending.ledger import MessageSummary
from engage.sending.sender import SendingContext
from engage.window import Window


def message(engine: sa.Engine, window: Window, *, options: RunOptions, context: SendingContext) -> MessageSummary:
    """Queue the window's messages and send them, as far as ``options`` allow. Idempotent.

    Raises:
        NotReady, GuardStop, NotApproved, TooLate: what ``queue.build`` raises.
        EngageError: what ``sender.send`` raises.
    """
    done = queue.build(engine, window, options=options, as_of=context.clock())
    if not done.note and done.unsettled:
        done = replace(sender.send(engine, window, context), frozen=done.frozen)
    return _with_unreported_problems(engine, window, done, context.clock())


def _with_unreported_problems(engine: sa.Engine, window: Window, done: MessageSummary, now: datetime) -> MessageSummary:
    """Add problems that no alert has reported yet, including those of earlier attempts; the caller reports them."""
    with engine.begin() as conn:
        found = campaign.existing(conn, window)
        unknown, why = ledger.unknown_since(conn, window, found.alerted_at), found.unreported_halt
        if unknown or why:
            campaign.update(conn, window, told_at=now)
        return replace(done, unknown_now=unknown, halted_because=why)
