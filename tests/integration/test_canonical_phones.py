"""The migration canonical_phones: two spellings of a phone become one, and the stricter state wins."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from engage.campaigns.run_options import RunOptions
from engage.errors import InputError
from engage.sending import queue
from engage.storage import migrations
from engage.storage.schema import customer, inbound_sms, message, suppression
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY, NOW

BEFORE = next(
    str(script.down_revision)
    for script in ScriptDirectory(str(Path(migrations.__file__).parent)).walk_revisions()
    if script.path.endswith("_canonical_phones.py")
)
SPELLING, PHONE = "+4407400123456", "+447400123456"
OLD, NEW = phone_hash(SPELLING, KEY), phone_hash(PHONE, KEY)
OTHER = "+112025550123", "+12025550123"


@pytest.fixture
def old(world):
    """A database that stores every spelling as it comes. ``upgrade`` takes it back to the version before first."""
    return world


def upgrade(world, key=KEY):
    migrations.downgrade(world.engine, BEFORE)
    migrations.upgrade(world.engine, NOW, hash_key=lambda: key)


def suppress(world, phone, reason, *, days=0):
    row = {"phone_hash": phone_hash(phone, KEY), "reason": reason, "source": f"a test, {reason}"}
    world.execute(sa.insert(suppression).values(row | {"suppressed_at": NOW - timedelta(days=days)}))


def suppressed(world):
    return world.rows(sa.select(suppression.c.phone_hash, suppression.c.reason).order_by("reason"))


def phones(world):
    columns = customer.c.customer_id, customer.c.phone, customer.c.phone_hash
    return {id_: (number, hashed) for id_, number, hashed in world.rows(sa.select(*columns))}


def test_customers_get_the_canonical_phone_and_its_hash(old):
    old.customer(phone=SPELLING)
    old.customer(phone=PHONE)
    old.customer(phone=OTHER[0], synthetic=True)
    old.customer(phone=None)
    old.customer()
    upgrade(old)
    other = OTHER[1], phone_hash(OTHER[1], KEY)
    synthetic = "+999000000005", phone_hash("+999000000005", KEY)
    assert phones(old) == {1: (PHONE, NEW), 2: (PHONE, NEW), 3: other, 4: (None, None), 5: synthetic}


def test_the_two_spellings_get_one_message_afterwards_and_share_an_opt_out(old):
    for number in (SPELLING, PHONE, *OTHER):
        old.purchase(old.customer(phone=number), 100)
    old.execute(sa.text("UPDATE customer SET opted_out_at = consent_at WHERE customer_id = 3"))
    upgrade(old)
    old.computed()
    old.message()
    assert old.ledger() == {
        1: "accepted", 2: "skipped/duplicate_phone", 3: "skipped/opted_out", 4: "skipped/opted_out"
    }  # fmt: skip


# --- suppression


@pytest.mark.parametrize("stored", [SPELLING, PHONE])
@pytest.mark.parametrize(
    ("spelling", "phone", "left"),
    [
        ("stop", None, "stop"),
        ("erasure", None, "erasure"),
        ("provider", None, "provider"),
        (None, "stop", "stop"),
        ("stop", "stop", "stop"),
        ("erasure", "stop", "erasure"),
        ("stop", "erasure", "erasure"),
        ("provider", "stop", "stop"),
        ("stop", "provider", "stop"),
        ("revocation", "provider", "provider"),  # a consent ends a revocation only
        ("provider", "revocation", "provider"),
        ("revocation", "stop", "stop"),
        ("stop", "revocation", "stop"),
        ("revocation", "erasure", "erasure"),
        ("revocation", None, "revocation"),
        (None, None, None),
    ],
)
def test_a_suppression_of_either_spelling_holds_and_the_stricter_reason_stays(old, stored, spelling, phone, left):
    """Also if the customer has the canonical phone by now, and only the suppression is of the other spelling."""
    old.customer(phone=stored)
    for number, reason in ((SPELLING, spelling), (PHONE, phone)):
        if reason:
            suppress(old, number, reason)
    upgrade(old)
    assert suppressed(old) == ([(NEW, left)] if left else [])


def days_that_stay(old, reason, *, spelling, phone):
    """The age in days of the one suppression that is left of two, one for each spelling."""
    old.customer(phone=SPELLING)
    suppress(old, SPELLING, reason, days=spelling)
    suppress(old, PHONE, reason, days=phone)
    upgrade(old)
    return (NOW - old.value(sa.select(suppression.c.suppressed_at))) / timedelta(days=1)


def test_of_equal_reasons_the_first_stays(old):
    assert days_that_stay(old, "stop", spelling=3, phone=9) == 9


def test_of_two_revocations_the_later_stays_as_no_older_consent_ends_it(old):
    assert days_that_stay(old, "revocation", spelling=9, phone=1) == 1


def test_a_suppression_of_a_phone_that_no_customer_has_stays_as_it_is(old):
    old.customer(phone=PHONE)
    suppress(old, OTHER[0], "erasure")
    upgrade(old)
    assert suppressed(old) == [(phone_hash(OTHER[0], KEY), "erasure")]


def test_the_record_of_a_text_follows_the_phone_so_that_an_erasure_finds_it(old):
    old.customer(phone=PHONE)
    row = {"provider_message_id": "SM1", "phone_hash": OLD, "text_class": "stop", "received_at": NOW}
    old.execute(sa.insert(inbound_sms).values(row))
    upgrade(old)
    assert old.rows(sa.select(inbound_sms.c.phone_hash)) == [(NEW,)]


# --- the ledger


def queued(world, *numbers):
    for number in numbers:
        world.purchase(world.customer(phone=number), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)


def mark(world, customer_id, status):
    where = message.c.customer_id == customer_id
    world.execute(sa.update(message).where(where).values(status="sending", sending_at=NOW))
    if status != "sending":
        world.execute(sa.update(message).where(where).values(status=status))


def ledger(world):
    columns = message.c.customer_id, message.c.status, message.c.reason, message.c.phone_hash
    return {row[0]: row[1:] for row in world.rows(sa.select(*columns))}


def test_a_message_keeps_to_its_customers_phone(old):
    queued(old, SPELLING)
    upgrade(old)
    assert ledger(old) == {1: ("queued", None, NEW)}
    old.message()
    assert old.ledger() == {1: "accepted"}


def test_of_two_messages_that_wait_for_one_phone_the_second_is_skipped(old):
    queued(old, SPELLING, PHONE)
    upgrade(old)
    assert ledger(old) == {1: ("queued", None, NEW), 2: ("skipped", "duplicate_phone", NEW)}


@pytest.mark.parametrize("status", ["sending", "accepted", "unknown", "failed"])
@pytest.mark.parametrize("handed_over", [1, 2])
def test_a_message_that_waits_is_skipped_if_the_phones_other_spelling_was_handed_over(old, handed_over, status):
    queued(old, SPELLING, PHONE)
    mark(old, handed_over, status)
    upgrade(old)
    waiting = 3 - handed_over
    assert ledger(old) == {handed_over: (status, None, NEW), waiting: ("skipped", "duplicate_phone", NEW)}


def test_two_messages_that_were_both_handed_over_stay_on_record(old):
    queued(old, SPELLING, PHONE)
    mark(old, 1, "accepted")
    mark(old, 2, "unknown")
    upgrade(old)
    assert ledger(old) == {1: ("accepted", None, OLD), 2: ("unknown", None, NEW)}


def test_a_skipped_message_follows_the_phone(old):
    queued(old, SPELLING)
    old.execute(sa.update(message).values(status="skipped", reason="no_consent"))
    upgrade(old)
    assert ledger(old) == {1: ("skipped", "no_consent", NEW)}


def test_the_cap_counts_a_message_to_the_other_spelling(old, in_window):
    old.purchase(old.customer(phone=SPELLING, registered_at="2025-01-06"), 100)
    before = in_window(old.window.previous())
    before.sessions(1)
    before.computed()
    before.now = NOW - timedelta(days=1)
    before.message(send_late=True)
    upgrade(old)
    old.execute(sa.delete(customer))
    old.purchase(old.customer(phone=PHONE), 100)
    old.computed()
    old.message()
    assert old.ledger() == {2: "skipped/too_soon"}


# --- the key


def unchanged(old):
    [(version,)] = old.rows("SELECT version_num FROM engage_schema_version")
    return version == BEFORE and phones(old) == {1: (SPELLING, OLD)}


def missing():
    raise InputError("ENGAGE_HASH_KEY is not set.")


@pytest.mark.parametrize("hash_key", [None, missing])
def test_without_the_key_the_upgrade_is_refused_and_nothing_changes(old, hash_key):
    old.customer(phone=SPELLING)
    migrations.downgrade(old.engine, BEFORE)
    with pytest.raises(InputError, match=r"ENGAGE_HASH_KEY is not set.*the key that this database was filled with"):
        migrations.upgrade(old.engine, NOW, hash_key=hash_key)
    assert unchanged(old)


def test_with_another_key_the_upgrade_is_refused_and_nothing_changes(old):
    old.customer(phone=SPELLING)
    with pytest.raises(InputError, match=r"customer 1 .* another hash") as raised:
        upgrade(old, b"k" * 32)
    assert SPELLING not in str(raised.value)
    assert "kkk" not in str(raised.value)
    assert unchanged(old)


def test_a_database_with_synthetic_phones_alone_needs_no_key(old):
    old.customer(synthetic=True)
    migrations.downgrade(old.engine, BEFORE)
    migrations.upgrade(old.engine, NOW)
    assert phones(old) == {1: ("+999000000001", phone_hash("+999000000001", KEY))}


def test_an_upgraded_database_needs_no_key_again(old):
    old.customer(phone=SPELLING)
    upgrade(old)
    migrations.upgrade(old.engine, NOW)
    assert phones(old) == {1: (PHONE, NEW)}


def test_going_back_keeps_the_canonical_phones(old):
    old.customer(phone=SPELLING)
    upgrade(old)
    migrations.downgrade(old.engine, BEFORE)
    upgrade(old)
    assert phones(old) == {1: (PHONE, NEW)}
