"""The kept counts are those of the ledger, whatever changes it, and reading them reads no ledger."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign, message_counts
from engage.campaigns.run_options import RunOptions
from engage.customers import erasure
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.viewer import Viewer
from engage.reports.campaign_list import listed
from engage.sending import delivery_receipts, ledger, message_reference, outcomes, queue, takeover
from engage.sending.ledger import Settlement
from engage.sending.providers import Outcome, Receipt, Reply
from engage.settings import Settings
from engage.statuses import MESSAGE_MOVES, ProviderFact
from engage.storage import connection, database_roles
from engage.storage.schema import message, message_count
from tests.integration.conftest import KEY
from tests.phones import fictional_phone

PEOPLE = 12


@pytest.fixture
def queued(world):
    """A campaign whose messages wait, with one customer who may not be texted."""
    for n in range(PEOPLE):
        world.purchase(world.customer(phone=fictional_phone(n)), 100)
    world.purchase(world.customer(phone=None), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    return world


def kept(world):
    with world.engine.connect() as conn:
        return message_counts.of(conn, world.window)


def check(world):
    """Compare the kept counts with the ledger's, and return them. A kept time of a claim may be an earlier one."""
    with world.engine.connect() as conn:
        counts, counted = message_counts.of(conn, world.window), message_counts.counted(conn)
    assert {group[:7] for group in counts.groups} == {group[:7] for group in counted.groups}
    assert counts.last_claim_at == counted.last_claim_at
    return counts


def receipt(world, customer_id, status, *, engine=None, **more):
    """Apply a receipt of the message, with the id that the provider has given it."""
    named = world.value(sa.select(message.c.provider_message_id).where(message.c.customer_id == customer_id))
    reference = message_reference.write(world.window, customer_id)
    found = Receipt(reference, named, fictional_phone(customer_id - 1), status, **more)
    assert delivery_receipts.apply(engine or world.engine, found, hash_key=KEY, as_of=world.now)


def test_the_queue_is_counted_when_it_is_made(queued):
    assert check(queued).by_status == {"queued": PEOPLE, "skipped": 1}


def test_a_queue_that_is_made_again_replaces_the_counts(queued):
    queued.customer(customer_id=99, phone=fictional_phone(99))
    queued.purchase(99, 100)
    queued.computed()
    queue.build(queued.engine, queued.window, options=RunOptions(backfill=True), as_of=queued.now)
    assert check(queued).skipped_by_reason == {"backfill": PEOPLE + 1, "no_phone": 1}


def test_a_dry_run_leaves_no_counts(queued):
    queued.message(dry_run=True)
    assert check(queued).total == 0


def test_sending_is_counted(queued):
    queued.message()
    counts = check(queued)
    assert (counts.by_status, counts.taken) == ({"accepted": PEOPLE, "skipped": 1}, PEOPLE)
    assert counts.first_claim_at == counts.last_claim_at == queued.now


def test_receipts_after_the_end_are_counted(queued):
    queued.message()
    receipt(queued, 1, "sent")
    receipt(queued, 1, "delivered")
    receipt(queued, 1, "delivered")
    receipt(queued, 2, "undelivered", error_code=30007, error="filtered", fact=ProviderFact.FILTERED)
    counts = check(queued)
    assert counts.by_status == {"accepted": PEOPLE - 2, "delivered": 1, "undelivered": 1, "skipped": 1}
    assert counts.count(fact="filtered") == 1


def test_the_service_counts_what_it_changes_in_its_own_role(queued, url):
    queued.message()
    service = connection.connect(sa.make_url(url).set(username=database_roles.SERVICE))
    for customer_id in range(1, PEOPLE):
        for status in ("sent", "delivered"):
            receipt(queued, customer_id, status, engine=service)
    erasure.forget(service, PEOPLE, as_of=queued.now)
    service.dispose()
    assert check(queued).by_status == {"delivered": PEOPLE - 1, "accepted": 1, "skipped": 1}


def test_an_erasure_moves_a_waiting_message_and_keeps_the_sum(queued):
    erasure.forget(queued.engine, 1, as_of=queued.now)
    counts = check(queued)
    assert counts.skipped_by_reason == {"no_phone": 1, "erased": 1}
    assert counts.total == PEOPLE + 1


def test_an_unknown_outcome_and_its_settlement_are_counted(queued):
    owned = takeover.take_over(queued.engine, queued.window, lambda name: SANDBOX, queued.now)
    queued.execute(
        sa.update(message).where(message.c.customer_id <= 2).values(
            status="sending", sender_token=owned.token, sending_at=queued.now, handed_over_at=queued.now
        )
    )  # fmt: skip
    outcomes.record(queued.engine, queued.window, owned.token, [outcomes.Answer(1, error="ReadTimeout")], queued.now)
    assert check(queued).by_status == {"queued": PEOPLE - 2, "sending": 1, "unknown": 1, "skipped": 1}
    queued.now += timedelta(hours=1)
    with queued.engine.begin() as conn:
        outcomes.abandon(conn, queued.window, queued.now)
    assert check(queued).count(status="unknown") == 2
    ledger.settle(queued.engine, queued.window, 1, Settlement("delivered", "a call", "ada"), as_of=queued.now)
    late = outcomes.Answer(2, Reply(Outcome.ACCEPTED, "id"))
    outcomes.record(queued.engine, queued.window, owned.token, [late], queued.now)
    assert check(queued).by_status == {"queued": PEOPLE - 2, "accepted": 1, "delivered": 1, "skipped": 1}


class SANDBOX:
    name, concurrent = "sandbox", False


def test_rows_that_are_added_or_deleted_by_hand_are_counted(queued):
    queued.execute(sa.delete(message).where(message.c.customer_id <= 3))
    assert check(queued).waiting == PEOPLE - 3
    row = {"window_start": queued.window.start, "bucket": "BOOST", "status": "queued", "queued_at": queued.now}
    queued.execute(sa.insert(message), [row | {"customer_id": 1}, row | {"customer_id": 2}])
    assert check(queued).waiting == PEOPLE - 1


def test_a_change_that_is_rolled_back_is_not_counted(queued):
    before = kept(queued)
    with queued.engine.connect() as conn:
        conn.execute(sa.update(message).where(message.c.reason.is_(None)).values(status="sending"))
        assert message_counts.of(conn, queued.window).on_their_way == PEOPLE
        conn.rollback()
    assert kept(queued) == before


class Mover:
    """Moves some messages on at random, with segments at random; rolls some moves back, and starts over at the end."""

    def __init__(self, engine, customers, seed):
        self.engine, self.customers, self.rng = engine, customers, random.Random(seed)

    def move(self):
        for _ in range(100):
            customer_id = self.rng.choice(self.customers)
            with self.engine.connect() as conn:
                theirs = message.c.customer_id == customer_id
                now = conn.execute(sa.select(message.c.status).where(theirs)).scalar_one()
                ends = [end for end in MESSAGE_MOVES[now] if end != "skipped"] or ["queued"]
                values = {"status": self.rng.choice(ends), "segments": self.rng.randint(1, 3)}
                conn.execute(sa.update(message).where(theirs).values(values))
                if self.rng.random() < 0.7:
                    conn.commit()


def test_many_changes_at_once_stay_exact_and_are_folded(queued):
    """While threads move messages, each read of the counts adds up."""
    queued.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    movers = [Mover(queued.engine, range(n * 3 + 1, n * 3 + 4), n) for n in range(4)]
    sums = set()
    with ThreadPoolExecutor(4) as threads:
        moving = [threads.submit(mover.move) for mover in movers]
        while not all(one.done() for one in moving):
            sums.add(kept(queued).total)
    assert [one.exception() for one in moving] == [None] * 4
    assert sums == {PEOPLE + 1}
    check(queued)
    changes = queued.value(sa.select(sa.func.max(message_count.c.change_id)))
    rows = queued.value(sa.select(sa.func.count()).select_from(message_count))
    assert rows < changes / 2


def test_campaigns_do_not_share_their_counts(queued, in_window):
    earlier = in_window(queued.window.previous())
    earlier.purchase(1, 100)
    earlier.computed()
    queue.build(earlier.engine, earlier.window, options=RunOptions(backfill=True), as_of=earlier.now)
    with queued.engine.connect() as conn:
        both = message_counts.of_windows(conn, [queued.window, earlier.window])
    assert both[queued.window].total == PEOPLE + 1
    assert both[earlier.window].skipped_by_reason == {"backfill": PEOPLE, "no_phone": 1}


@pytest.fixture
def statements(queued):
    """The statements that are executed."""
    seen = []
    sa.event.listen(queued.engine, "before_cursor_execute", lambda *event: seen.append(event[2]))
    return seen


@pytest.mark.parametrize("finished", [True, False])
def test_the_list_and_the_report_read_no_ledger(queued, statements, finished):
    if finished:
        queued.message()
    else:
        with queued.engine.begin() as conn:
            campaign.update(conn, queued.window, status="sending", frozen_at=queued.now)
    statements.clear()
    campaign_list(queued.engine, Viewer(), Settings(), as_of=queued.now + timedelta(hours=2))
    campaign_report(queued.engine, Viewer(), queued.window)
    with queued.engine.connect() as conn:
        assert listed(conn, limit=9)
    assert len(statements) > 3
    ledger = [one for one in statements if re.search(r"\b(FROM|JOIN) message\w*(?<!_count)\b", one)]
    # the sample texts are a few rows; the opt-outs since a campaign are found from the side of the opt-outs
    assert [one for one in ledger if "LIMIT" not in one and 'AS "both"' not in one] == []
