"""The state machine of a message: what the database lets through, what receipts do, how unknown ones are settled."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.errors import InputError, NotUnknown
from engage.sending import delivery_receipts, ledger
from engage.sending.ledger import Settlement
from engage.sending.providers import Receipt
from engage.sending.providers.twilio.provider import TwilioProvider
from engage.sending.reconcile import Reconciled, reconcile
from engage.statuses import MESSAGE_MOVES, MessageStatus, ProviderFact
from engage.storage.schema import message
from tests.integration.conftest import KEY
from tests.phones import fictional_phone


@pytest.fixture
def sent(world):
    """One message, accepted as ``id-1``."""
    world.purchase(world.customer(phone=fictional_phone(0)), 100)
    world.computed()
    world.message()
    put(world, "accepted", provider_message_id="id-1")
    return world


def put(world, status, **values):
    """Put the message into a status, whatever it was in."""
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    values = {"reason": "opted_out" if status == "skipped" else None, "status": status, **values}
    world.execute(sa.update(message).values(values))
    world.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))


def status(world):
    return world.value("SELECT status FROM message")


@pytest.mark.parametrize("old", MessageStatus)
def test_the_database_lets_exactly_the_moves_of_the_schema_through(sent, old):
    for new in MessageStatus:
        put(sent, old)
        move = sa.update(message).values(status=new, reason="opted_out" if new == "skipped" else None)
        if new in MESSAGE_MOVES[old] or new == old:
            sent.execute(move)
            assert status(sent) == new
        else:
            with pytest.raises(sa.exc.IntegrityError, match=f"cannot move from {old} to {new}"):
                sent.execute(move)
            assert status(sent) == old


# --- receipts


def reference(world, customer_id=1):
    return f"{world.window.key}-{customer_id}"


def receive(world, status, *, id_="id-1", minutes=1, ref=None, **why):
    receipt = Receipt(ref or reference(world), id_, fictional_phone(0), status, **why)
    return delivery_receipts.apply(world.engine, receipt, hash_key=KEY, as_of=world.now + timedelta(minutes=minutes))


def test_receipts_in_order_move_a_message_on_and_each_has_its_time(sent):
    assert receive(sent, "sent", minutes=1)
    assert receive(sent, "delivered", minutes=2)
    minute = timedelta(minutes=1)
    assert sent.rows("SELECT status, accepted_at, sent_at, settled_at FROM message") == [
        ("delivered", sent.now, sent.now + minute, sent.now + 2 * minute)
    ]


@pytest.mark.parametrize("order", [*itertools.permutations(["accepted", "sent", "delivered"])])
def test_receipts_in_any_order_end_in_the_same_status(sent, order):
    for reported in order:
        assert receive(sent, reported)
    assert status(sent) == "delivered"
    assert None not in sent.rows("SELECT accepted_at, sent_at, settled_at FROM message")[0]


@pytest.mark.parametrize("final", ["delivered", "undelivered", "failed"])
def test_nothing_moves_a_message_that_is_settled(sent, final):
    receive(sent, final)
    for late in ("accepted", "sent", "delivered", "undelivered", "failed"):
        assert receive(sent, late, minutes=9)
        assert status(sent) == final
        assert sent.value("SELECT settled_at FROM message") == sent.now + timedelta(minutes=1)


def test_any_storm_of_receipts_only_moves_forward(sent):
    rng = random.Random(1)
    seen = [status(sent)]
    for minute in range(60):
        receive(sent, rng.choice(["accepted", "sent", "sent", "accepted", "delivered", "undelivered"]), minutes=minute)
        seen.append(status(sent))
    changes = [(a, b) for a, b in itertools.pairwise(seen) if a != b]
    assert all(b in MESSAGE_MOVES[a] for a, b in changes)


def test_a_receipt_twice_is_the_same_as_once(sent):
    why = {"error": "no such place", "error_code": 7, "fact": ProviderFact.UNREACHABLE}
    receive(sent, "undelivered", **why)
    before = sent.dump("message")
    receive(sent, "undelivered", **why, minutes=5)
    assert sent.dump("message") == before
    assert sent.rows("SELECT error, error_code, fact FROM message") == [("no such place", 7, "unreachable")]


def test_a_receipt_that_moves_nothing_leaves_the_reason_alone(sent):
    receive(sent, "delivered")
    receive(sent, "undelivered", error="a landline", error_code=7, fact=ProviderFact.NOT_MOBILE)
    assert sent.rows("SELECT status, error, error_code, fact FROM message") == [("delivered", None, None, None)]


def test_the_database_takes_only_the_facts_that_engage_knows(sent):
    for fact in ProviderFact:
        put(sent, "failed", fact=fact)
        assert sent.value("SELECT fact FROM message") == fact
    with pytest.raises(sa.exc.IntegrityError, match="message_fact_check"):
        put(sent, "failed", fact="eaten")


@pytest.mark.parametrize("state", ["sending", "unknown"])
def test_a_receipt_settles_what_the_sender_could_not_tell(sent, state):
    for reported in ("accepted", "sent", "delivered", "undelivered", "failed"):
        put(sent, state, provider_message_id=None, accepted_at=None)
        assert receive(sent, reported, id_="id-9")
        assert sent.rows("SELECT status, provider_message_id FROM message") == [(reported, "id-9")]


def test_a_receipt_for_no_message_of_the_ledger_changes_nothing(sent):
    before = sent.dump("message")
    assert not receive(sent, "delivered", id_="somebody-elses")
    for ref in (
        "20260914-999",
        "20260915-1",
        "20261399-1",
        "99999999-1",
        "20260914-99999999999999999999999",
        "'; DROP TABLE message; --",
        " ",
    ):
        assert not receive(sent, "delivered", ref=ref)
    assert sent.dump("message") == before


@pytest.mark.parametrize("state", ["queued", "skipped"])
def test_a_receipt_for_a_message_that_was_never_handed_over_changes_nothing(sent, state):
    put(sent, state, provider_message_id=None)
    assert not receive(sent, "delivered")
    assert status(sent) == state


# --- settled by a person


def settle(world, status="delivered", why="the customer showed it at the counter", by="ada"):
    ledger.settle(world.engine, world.window, 1, Settlement(status, why, by), as_of=world.now)


def test_a_person_settles_an_unknown_message_with_name_and_reason(sent):
    for end in MESSAGE_MOVES["unknown"]:
        put(sent, "unknown")
        settle(sent, end)
        assert sent.rows("SELECT status, settled_by, settled_why FROM message") == [
            (end, "ada", "the customer showed it at the counter")
        ]


def test_a_settlement_is_kept_without_blanks_around_it(sent):
    put(sent, "unknown")
    settle(sent, why=" seen at the counter ", by=" ada ")
    assert sent.rows("SELECT settled_by, settled_why FROM message") == [("ada", "seen at the counter")]


def test_only_an_unknown_message_can_be_settled(sent):
    for state in sorted(set(MessageStatus) - {"unknown"}):
        put(sent, state)
        with pytest.raises(NotUnknown, match=f"is {state}, and only an unknown one"):
            settle(sent)


def test_a_message_that_is_not_there_cannot_be_settled(sent):
    with pytest.raises(NotUnknown, match="does not exist"):
        ledger.settle(sent.engine, sent.window, 99, Settlement("failed", "x", "ada"), as_of=sent.now)


@pytest.mark.parametrize("wrong", [{"status": "queued"}, {"status": "skipped"}, {"why": " "}, {"by": ""}])
def test_a_settlement_takes_an_end_a_name_and_a_reason(sent, wrong):
    put(sent, "unknown")
    with pytest.raises(InputError):
        settle(sent, **wrong)
    assert status(sent) == "unknown"


def test_a_settled_message_is_not_sent_again(sent):
    put(sent, "unknown")
    settle(sent, "failed")
    assert sent.message().by_status == {"failed": 1}


# --- settled by asking the provider


@pytest.fixture
def unknown(sent):
    """An unknown message of an hour ago."""
    sent.now = datetime.now(UTC)
    sent.execute(sa.update(message).values(sending_at=sent.now, provider="twilio", provider_message_id=None))
    put(sent, "unknown")
    return sent


def ask(world, double, *, after=timedelta(hours=1)):
    return reconcile(
        world.engine, world.window, lambda name: TwilioProvider(double.account, 2.0), as_of=world.now + after
    )


def post(world, double, **form):
    body = world.value("SELECT body FROM message")
    return double.receive({"To": fictional_phone(0), "Body": body, **form})


@pytest.mark.parametrize(
    ("theirs", "ours"), [("queued", "accepted"), ("sent", "sent"), ("delivered", "delivered"), ("failed", "failed")]
)
def test_a_message_that_the_provider_has_gets_its_status(unknown, double, theirs, ours):
    found = post(unknown, double)
    double.statuses[found.sid] = theirs
    assert ask(unknown, double).found == 1
    assert unknown.rows("SELECT status, provider_message_id, settled_by FROM message") == [
        (ours, found.sid, "reconcile")
    ]
    assert ask(unknown, double) == Reconciled()


def test_a_message_that_the_provider_could_not_deliver_gets_its_reason(unknown, double):
    found = post(unknown, double)
    double.statuses[found.sid], double.error_codes[found.sid] = "undelivered", 30007
    assert ask(unknown, double).found == 1
    assert unknown.rows("SELECT status, settled_why, error_code, fact FROM message") == [
        ("undelivered", "filtered as spam", 30007, "filtered")
    ]


def test_a_message_that_the_provider_never_got_has_failed_and_is_not_sent_again(unknown, double):
    post(unknown, double, To=fictional_phone(1))
    assert ask(unknown, double).not_found == 1
    assert status(unknown) == "failed"
    assert len(double.posts) == 1


def test_a_message_that_the_provider_has_with_another_text_stays_unknown(unknown, double):
    post(unknown, double, Body="another text")
    assert ask(unknown, double).still_unknown == 1
    assert status(unknown) == "unknown"


def test_an_attempt_of_a_moment_ago_stays_unknown(unknown, double):
    assert ask(unknown, double, after=timedelta(minutes=1)).still_unknown == 1
    assert status(unknown) == "unknown"


@pytest.mark.parametrize("change", ["DELETE FROM customer", "UPDATE customer SET phone_hash = '\\x00'"])
def test_a_customer_who_is_gone_or_has_another_phone_cannot_be_asked_about(unknown, double, change):
    unknown.execute(sa.text(change))
    assert ask(unknown, double).still_unknown == 1


def test_a_provider_that_does_not_answer_settles_nothing(unknown, double, caplog):
    double.url = "http://127.0.0.1:9"
    assert ask(unknown, double).still_unknown == 1
    assert status(unknown) == "unknown"
    assert fictional_phone(0)[2:] not in caplog.text
