"""Erasure keeps the chains of the consent record, and leaves no number and nothing else of the customer."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import consent_verification, erasure, profile, replies
from engage.customers.profile import Profile
from engage.customers.replies import InboundSms
from engage.statuses import TextClass
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.phones import fictional_phone

OLD, NEW, OTHER = map(fictional_phone, range(3))
HOUR = timedelta(hours=1)


def dump(world):
    """Every row of every table as text, as pg_dump writes them; bytes also as the characters that they are."""
    found = []
    with world.engine.connect() as conn:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        for name in conn.exec_driver_sql(tables).scalars().all():
            found += [f"{name} {row}" for row in conn.exec_driver_sql(f"SELECT t::text FROM {name} t").scalars()]
    text = "\n".join(found)
    hidden = re.findall(r"\\x((?:[0-9a-f]{2})+)", text)
    assert hidden
    return text + "\n".join(bytes.fromhex(one).decode("latin-1") for one in hidden)


def spellings(number):
    """A pattern for the digits of a number, with or without country code, whatever stands between them."""
    national = number[2:]
    return re.compile(r"[ ().+/-]*".join(national)), re.compile(r"[ ().+/-]*".join(national[::-1]))


@pytest.fixture
def forgotten(world):
    """A customer with every kind of row in the record, two phones, a message and a purchase; then forgotten."""
    with world.engine.begin() as conn:
        for customer_id, number in ((17, OLD), (17, NEW), (18, NEW), (19, OTHER)):
            given = Profile(
                name="Augusta King",
                phone=number,
                consent_at=world.now - HOUR,
                consent_source=f"called from {number}",
                consent_wording="Yes, Augusta King agrees",
            )
            profile.put(conn, customer_id, given, hash_key=KEY, as_of=world.now)
    for n, kind in enumerate((TextClass.REVOCATION, TextClass.START, TextClass.STOP, TextClass.START)):
        sms = InboundSms(f"SM-of-augusta-{n}", phone_hash(NEW, KEY), kind)
        replies.receive(world.engine, sms, as_of=world.now)
    world.purchase(17, 100)
    world.computed()
    world.message()
    for customer_id in (17, 18):
        with world.engine.begin() as conn:
            profile.opt_out(conn, customer_id, as_of=world.now, evidence=f"wrote that {NEW} is hers")
    assert any(pattern.search(dump(world)) for pattern in spellings(NEW))
    for customer_id in (17, 18):
        erasure.forget(world.engine, customer_id, as_of=world.now + HOUR)
    return world


def test_no_table_has_the_number_in_any_spelling_and_the_chains_are_whole(forgotten):
    everything = dump(forgotten)
    for number in (OLD, NEW):
        for pattern in spellings(number):
            assert not pattern.search(everything), pattern
    assert "SM-of-augusta" not in everything
    assert any(pattern.search(everything) for pattern in spellings(OTHER))
    assert consent_verification.verify(forgotten.engine).misfits == []


def test_the_rows_stay_under_a_number_that_nothing_else_has(forgotten):
    kept = forgotten.rows("SELECT DISTINCT customer_id FROM consent_event WHERE customer_id IS NOT NULL")
    assert sum(id_ < 0 for (id_,) in kept) == 2
    assert {id_ for (id_,) in kept if id_ > 0} == {19}
    assert (
        forgotten.rows("SELECT customer_id FROM message WHERE customer_id IN (SELECT customer_id FROM consent_event)")
        == []
    )
    of_others = "SELECT count(*) FROM consent_event WHERE customer_id = 19 AND (salt IS NULL OR evidence IS NULL)"
    assert forgotten.value(of_others) == 0
    blanked = "SELECT count(*) FROM consent_event WHERE salt IS NULL"
    assert forgotten.value(blanked) == forgotten.value("SELECT sum(blanked) FROM consent_event") == 9


def test_a_customer_who_comes_back_and_is_forgotten_again_leaves_a_whole_record(forgotten):
    with forgotten.engine.begin() as conn:
        given = Profile(phone=NEW, consent_at=forgotten.now, consent_source="app settings")
        profile.put(conn, 17, given, hash_key=KEY, as_of=forgotten.now + 2 * HOUR)
    erasure.forget(forgotten.engine, 17, as_of=forgotten.now + 3 * HOUR)
    assert consent_verification.verify(forgotten.engine).misfits == []
    rows = sa.text("SELECT count(*) FROM consent_event")
    before = forgotten.value(rows)
    erasure.forget(forgotten.engine, 17, as_of=forgotten.now + 4 * HOUR)
    assert forgotten.value(rows) == before
