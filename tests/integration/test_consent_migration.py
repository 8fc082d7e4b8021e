"""The upgrade begins the consent record with what the tables of an earlier version say."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import consent_state, consent_verification, profile
from engage.customers.profile import Profile
from engage.sending import eligibility
from engage.settings import Settings
from engage.statuses import SuppressionReason
from engage.storage import migrations
from engage.storage.schema import customer, suppression
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.phones import fictional_phone

DAY = timedelta(days=1)


@pytest.fixture
def upgraded(world):
    """Customers of every kind that an earlier version left, after the upgrade."""
    for n, reason in enumerate((*SuppressionReason, None)):
        number = fictional_phone(n)
        world.customer(customer_id=10 * n + 1, phone=number)
        world.customer(customer_id=10 * n + 2, phone=number, consent_at=None, consent_source=None)
        if reason is not None:
            row = {"phone_hash": phone_hash(number, KEY), "reason": reason, "source": "a test"}
            world.execute(sa.insert(suppression).values(row | {"suppressed_at": world.now - DAY}))
    world.customer(customer_id=101, phone=fictional_phone(20), opted_out_at=world.now - DAY)
    world.customer(customer_id=102, phone=fictional_phone(20))
    world.customer(customer_id=103, phone=None)
    world.customer(customer_id=104, synthetic=True)
    migrations.downgrade(world.engine, "0020")
    migrations.upgrade(world.engine, world.now)
    return world


def decided(world, at):
    with world.engine.connect() as conn:
        reason = eligibility.ineligible(Settings(), None, at)
        rows = conn.execute(sa.select(customer.c.customer_id, reason).where(~customer.c.synthetic)).all()
        found = {}
        for id_, _ in rows:
            standings = consent_state.standings(consent_state.of_customer(conn, id_), at)
            found[id_] = next(one.reason for one in standings if one.customer_id == id_)
    return dict(map(tuple, rows)), found


def test_each_customer_stands_in_the_record_as_in_the_tables(upgraded):
    by_tables, by_record = decided(upgraded, upgraded.now)
    assert by_record == by_tables
    assert len({*by_record.values()}) >= 5
    assert upgraded.value("SELECT count(*) FROM consent_event WHERE customer_id = 104") == 0
    assert upgraded.rows("SELECT DISTINCT source FROM consent_event") == [("earlier",)]
    done = consent_verification.verify(upgraded.engine)
    assert (done.events, done.misfits) == (15 + 1 + 5, [])


def test_what_is_recorded_later_follows_in_the_same_chains(upgraded):
    given = Profile(phone=fictional_phone(20), consent_at=upgraded.now, consent_source="app settings")
    with upgraded.engine.begin() as conn:
        profile.put(conn, 101, given, hash_key=KEY, as_of=upgraded.now)
    by_tables, by_record = decided(upgraded, upgraded.now)
    assert by_record == by_tables
    assert by_record[101] is None
    assert by_record[102] is None
    assert consent_verification.verify(upgraded.engine).misfits == []


def test_before_the_record_a_change_counts_from_its_time_on(upgraded):
    with upgraded.engine.connect() as conn:
        changes = consent_state.of_customer(conn, 102)
    reasons = [
        {one.customer_id: one.reason for one in consent_state.standings(changes, upgraded.now - DAY - early)}
        for early in (timedelta(microseconds=1), timedelta(0))
    ]
    assert reasons == [{101: None, 102: None}, {101: "opted_out", 102: "opted_out"}]
