"""The promise: whenever the sender dies, each customer gets at most one message, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import twilio_double
from tests.integration.texting import NOON_IN_NEW_YORK
from tests.waiting import until

CRASHES = int(os.environ.get("ENGAGE_TEST_CRASHES", "2"))
"""Kills at each boundary; CI asks for more."""
AT_WORK = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crashing'"


@pytest.fixture
def crashing(world, url, double):
    """Send in a process that is killed at a boundary; returns after its death."""
    arguments = [url, world.window.start.isoformat(), NOON_IN_NEW_YORK.isoformat(), double.url]
    environment = {"SMS_SID": twilio_double.SID, "SMS_TOKEN": twilio_double.TOKEN, "SMS_SENDER": twilio_double.SENDER}
    environment["PGAPPNAME"] = "crashing"
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("crash.py")), *arguments],
        env=os.environ | environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:

        def crash(boundary, at):
            victim = None

            def kill(post):
                if boundary == "posted" and post.number == at:
                    os.kill(victim, signal.SIGKILL)

            double.on_post = kill
            process.stdin.write(f"{boundary} {at}\n")
            victim = int(process.stdout.readline())
            ended = int(process.stdout.readline())
            double.on_post = lambda post: None
            until(lambda: not world.value(AT_WORK), "Postgres has ended what the dead process asked for")
            return ended

        yield crash
        process.stdin.close()


@pytest.mark.parametrize(
    ("boundary", "rate"),
    [(boundary, "0") for boundary in ("claimed", "committed", "marking", "marked", "posted", "answered", "recording")]
    + [("committed", "60")],
)
def test_whenever_the_sender_is_killed_nobody_is_texted_twice_and_nobody_is_missing(texting, crashing, boundary, rate):
    customers, at_once = 12, 3
    texting.customers(customers)
    for crash in range(CRASHES):
        texting.double.posts.clear()
        texting.queued(send_concurrency=str(at_once), messages_per_second=rate)
        assert crashing(boundary, 1 + crash % 4) == -signal.SIGKILL
        handed = texting.world.value(
            "SELECT count(*) FROM message WHERE status = 'sending' AND handed_over_at IS NOT NULL"
        )
        posted = set(texting.texted())

        texting.send()

        assert max(texting.texted().values()) == 1
        unknown, accepted = texting.listed("unknown"), texting.listed("accepted")
        assert unknown | accepted == set(range(1, customers + 1))
        assert len(unknown) == handed  # what was claimed and never handed over has been sent by the next sender
        assert len(unknown - posted) <= at_once
        if crash % 4 == 0 and boundary in {"claimed", "committed", "marking"}:
            assert not unknown  # nothing was marked before
        assert posted <= unknown | accepted
        assert accepted <= set(texting.texted())
        if boundary == "claimed":
            assert len(unknown) < customers  # what was not committed was not claimed
        if boundary in {"posted", "answered"}:
            assert unknown & posted
        texting.send()
        assert max(texting.texted().values()) == 1
