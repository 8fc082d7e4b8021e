"""Step 6: queue one message for each customer to be texted, then send what is queued.

The promise: at most one message per customer and per phone in a campaign. A message of unknown outcome is listed and
never sent again by machine. The ledger keeps this promise, not the scheduler, which may run one task twice at a time.
"""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from engage import alert_outbox
from engage.campaigns import message_counts
from engage.campaigns.run_options import RunOptions
from engage.errors import Superseded
from engage.sending import queue, sender, takeover
from engage.sending.ledger import MessageSummary
from engage.sending.sender import SendingContext
from engage.window import Window


def message(engine: sa.Engine, window: Window, *, options: RunOptions, context: SendingContext) -> MessageSummary:
    """Queue the window's messages and send them, as far as ``options`` allow. Idempotent.

    Two runs may send at the same time. The sender that stops waits a while for the other one to finish.

    Raises:
        NotReady, GuardStop, NotApproved, TooLate: what ``queue.build`` raises.
        EngageError: what ``sender.send`` raises.
    """
    done = queue.build(engine, window, options=options, as_of=context.clock())
    if not done.note and done.unsettled:
        done = replace(_send(engine, window, context), frozen=done.frozen)
    with engine.connect() as conn:
        unknown, why = alert_outbox.unreported(conn, window)
    return replace(done, unknown_now=unknown, halted_because=why)


def _send(engine: sa.Engine, window: Window, context: SendingContext) -> MessageSummary:
    try:
        return sender.send(engine, window, context)
    except Superseded:
        if not takeover.finished_by_another(engine, window):
            raise
    with engine.connect() as conn:
        return MessageSummary.of(message_counts.of(conn, window))
