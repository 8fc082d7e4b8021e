"""A process that sends and is killed on the way, again and again: ``python crash.py URL START NOW API``.

It imports everything once and then forks for each line that it reads: the boundary to die at, and at which occurrence.
It prints the child's number when that is about to begin, and how it ended.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.sending import claims, handover, outcomes, queue, sender
from engage.sending.providers import Account
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.storage import connection
from engage.window import Window


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Dies at the ``at``-th call."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self) -> None:
        self.left -= 1
        if not self.left:
            die()


WRITES = {"claimed": "sending_at=", "marking": "SET handed_over_at=", "recording": "provider_message_id="}
"""Boundaries just before a commit, and words that only that transaction's update has."""
QUEUES = {"giving": "UPDATE offer_code", "swapping": "ALTER TABLE message ATTACH"}
"""Boundaries while the queue is made, and how the statement begins after which the process dies."""


def plant(engine: sa.Engine, boundary: str, countdown: Countdown) -> None:
    """Make this process die at a boundary of the sender's steps."""
    if boundary in WRITES:
        sa.event.listen(engine, "after_cursor_execute", lambda *of: _written(of[2], WRITES[boundary], countdown))
    elif boundary in QUEUES:
        sa.event.listen(engine, "after_cursor_execute", lambda *of: _begun(of[2], QUEUES[boundary], countdown))
    elif boundary == "committed":
        claim = claims.claim
        claims.claim = lambda *arguments: (claim(*arguments), countdown())[0]
    elif boundary == "marked":
        mark = handover.mark
        handover.mark = lambda *arguments: (mark(*arguments), countdown())[0]
    elif boundary == "answered":  # before any of it is written down
        record = outcomes.record
        outcomes.record = lambda *arguments: (countdown(), record(*arguments))[1]


def _written(statement: str, column: str, countdown: Countdown) -> None:
    if statement.startswith("UPDATE message") and column in statement:
        countdown()


def _begun(statement: str, words: str, countdown: Countdown) -> None:
    if words in statement:
        countdown()


def send(boundary: str, at: int) -> None:
    url, start, now, api = sys.argv[1:]
    engine = connection.connect(url)
    plant(engine, boundary, Countdown(at))
    account = Account(os.environ["SMS_SID"], os.environ["SMS_TOKEN"], os.environ["SMS_SENDER"], api=api)
    moment = datetime.fromisoformat(now)
    context = sender.SendingContext(lambda: moment, lambda name: TwilioProvider(account))
    window = Window(datetime.fromisoformat(start))
    if boundary in QUEUES:
        queue.build(engine, window, options=RunOptions(), as_of=moment)
    sender.send(engine, window, context)
    engine.dispose()


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        boundary, at = line.split()
        go, begin = os.pipe()
        child = os.fork()
        if not child:
            os.read(go, 1)
            send(boundary, int(at))
            os._exit(0)
        say(child)
        os.write(begin, b"x")
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status))
        os.close(go)
        os.close(begin)


main()
