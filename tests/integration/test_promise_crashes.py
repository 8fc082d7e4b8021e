"""The promise: whenever the sender dies, each customer gets at most one message, and none is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from engage.storage.schema import offer_code
from tests import twilio_double
from tests.integration.offers import TEXT
from tests.integration.texting import NOON_IN_NEW_YORK
from tests.phones import fictional_phone
from tests.waiting import until

CRASHES = int(os.environ.get("ENGAGE_TEST_CRASHES", "2"))
"""Kills at each boundary; CI asks for more."""
CUSTOMERS = 12
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


every_boundary = pytest.mark.parametrize(
    ("boundary", "rate"),
    [(boundary, "0") for boundary in ("claimed", "committed", "marking", "marked", "posted", "answered", "recording")]
    + [("committed", "60")],
)


@every_boundary
def test_whenever_the_sender_is_killed_nobody_is_texted_twice_and_nobody_is_missing(texting, crashing, boundary, rate):
    for _ in crashes(texting, crashing, boundary, rate):
        pass


@every_boundary
def test_whenever_the_sender_is_killed_each_message_has_a_code_of_its_own(texting, offers, crashing, boundary, rate):
    """Its own in each of its places: the provider's, the ledger's and the table of codes. No code is lost."""
    offers.make(CUSTOMERS * (CRASHES + 1))
    for crash in crashes(texting, crashing, boundary, rate, offer="summer", message_boost=TEXT):
        check_codes(texting, offers, crash)


def crashes(texting, crashing, boundary, rate, **settings):
    """Send a campaign again and again in a process that is killed, and then to its end; yields after each."""
    customers, at_once = CUSTOMERS, 3
    texting.customers(customers)
    for crash in range(CRASHES):
        texting.double.posts.clear()
        texting.queued(send_concurrency=str(at_once), messages_per_second=rate, **settings)
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
        yield crash


def check_codes(texting, offers, crash):
    expected = {customer: f"Show {code}. Reply STOP" for customer, code in given_now(texting).items()}
    assert set(expected) == set(range(1, CUSTOMERS + 1))
    assert offers.bodies() == expected
    phones = {fictional_phone(n - 1): body for n, body in expected.items()}
    assert {post.to: post.form["Body"] for post in texting.double.posts}.items() <= phones.items()
    # as if it was another campaign, because the next one deletes this one
    earlier = f"window_start - interval '{8 * (crash + 1)} weeks'"
    texting.world.execute(sa.text(f"UPDATE offer_code SET window_start = {earlier} WHERE window_start = '2026-09-14'"))
    counts = (
        "SELECT count(*), count(DISTINCT (window_start, customer_id)) FROM offer_code WHERE window_start IS NOT NULL"
    )
    assert texting.world.rows(counts) == [(CUSTOMERS * (crash + 1),) * 2]
    assert len(offers.free()) == CUSTOMERS * (CRASHES - crash)


def given_now(texting):
    query = sa.select(offer_code.c.customer_id, offer_code.c.code)
    return dict(texting.world.rows(query.where(offer_code.c.window_start == texting.world.window.start)))


@pytest.mark.parametrize("boundary", ["giving", "swapping"])
def test_a_queue_that_is_killed_takes_no_code(texting, offers, crashing, boundary):
    texting.customers(CUSTOMERS)
    offers.make(CUSTOMERS)
    texting.queued(offer="summer", message_boost=TEXT)
    before = texting.world.dump("message", "offer_code", "campaign")
    for at in (1, 2) if boundary == "giving" else (1,):
        assert crashing(boundary, at) == -signal.SIGKILL
        assert texting.world.dump("message", "offer_code", "campaign") == before
    texting.rerun()
    assert offers.bodies() == {n: f"Show {code}. Reply STOP" for n, code in given_now(texting).items()}
    assert len(set(offers.bodies().values())) == CUSTOMERS
