"""A campaign that requires an approval: ask about it, and answer as the approver."""

from __future__ import annotations

from datetime import timedelta

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.steps import approve

QUEUED = dict.fromkeys((1, 2), "queued")
ACCEPTED = dict.fromkeys((1, 2), "accepted")
REJECTED = dict.fromkeys((1, 2), "skipped/rejected")
LATER = timedelta(hours=3)
TABLES = ("campaign", "customer_activity", "customer_bucket", "message")


def ask(world, at=timedelta(0), run_id="a run", **options):
    return approve.ask(world.engine, world.window, options=RunOptions(**options), run_id=run_id, as_of=world.now + at)


def answer(world, *, approved, by="ada", run_id="a run", at=timedelta(hours=1)):
    return approve.answer(world.engine, world.window, approved=approved, by=by, run_id=run_id, as_of=world.now + at)


def texted(world):
    return {customer: fate for customer, fate in world.ledger().items() if not fate.endswith("opted_out")}


def found(world):
    with world.engine.begin() as conn:
        return campaign.find(conn, world.window)
