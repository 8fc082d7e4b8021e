"""What the consent record says held at a time is what eligibility went by then, whatever happened."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import consent_record, consent_state, consent_verification, erasure, profile, replies, suppression
from engage.customers.profile import Profile
from engage.customers.replies import InboundSms
from engage.errors import NoSuchCustomer
from engage.sending import eligibility
from engage.settings import Settings
from engage.statuses import SkipReason, SuppressionReason, TextClass
from engage.storage.schema import customer
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.phones import fictional_phone

PHONES = [fictional_phone(n) for n in range(4)]
CUSTOMERS = range(1, 6)
MICROSECOND = timedelta(microseconds=1)


class Walk:
    """Customers who share a few phones, and all that may happen to their consent."""

    def __init__(self, world, seed):
        self.engine, self.now, self.random, self.texts = world.engine, world.now, random.Random(seed), 0

    def step(self):
        """Let one thing happen, up to a day later; yields times at which nothing more can change before it."""
        then = self.now + timedelta(microseconds=self.random.randrange(2, 86_400 * 10**6))
        begin = sa.select(customer.c.consent_at).where(customer.c.consent_at > self.now, customer.c.consent_at < then)
        with self.engine.connect() as conn:
            consents = conn.execute(begin.distinct().order_by(customer.c.consent_at)).scalars().all()
        for consent in consents:  # in the future when they were stored
            yield from (consent - MICROSECOND, consent)
        yield then - MICROSECOND
        self.now = then
        happenings = (
            self.put,
            self.put,
            self.put,
            self.opt_out,
            self.text,
            self.text,
            self.fact,
            self.fact,
            self.erase,
        )
        self.random.choice(happenings)()
        yield then

    def put(self):
        consent = self.random.choice((None, 0, 0, 0, 60, 3600, 172_800, -300))
        at = None if consent is None else self.now - timedelta(seconds=consent)
        given = Profile(phone=self.random.choice((None, *PHONES)), consent_at=at, consent_source=at and "a test")
        with self.engine.begin() as conn:
            again = sa.select(customer.c.consent_at).where(customer.c.customer_id == (id_ := self.one()))
            if at and self.random.random() < 0.3 and (known := conn.execute(again).scalar()):
                given = Profile(phone=given.phone, consent_at=known, consent_source="a test")
            profile.put(conn, id_, given, hash_key=KEY, as_of=self.now)

    def opt_out(self):
        try:
            with self.engine.begin() as conn:
                profile.opt_out(conn, self.one(), as_of=self.now)
        except NoSuchCustomer:
            pass

    def text(self):
        self.texts += 1
        kind = self.random.choice((TextClass.STOP, TextClass.START, TextClass.START, TextClass.REVOCATION))
        replies.receive(self.engine, InboundSms(f"SM{self.texts}", self.phone(), kind), as_of=self.now)

    def fact(self):
        reason = self.random.choice((SuppressionReason.PROVIDER, *[SuppressionReason.DEAD_NUMBER] * 3))
        with self.engine.begin() as conn:
            changes = suppression.suppress(conn, self.phone(), reason=reason, source="a fact", as_of=self.now)
            consent_record.append(conn, changes, as_of=self.now)

    def erase(self):
        if self.random.random() < 0.25:
            erasure.forget(self.engine, self.one(), as_of=self.now)

    def one(self):
        return self.random.choice(CUSTOMERS)

    def phone(self):
        return phone_hash(self.random.choice(PHONES), KEY)

    def decided(self, at):
        """By customer, the phone and why not to text it at a time, or None, by the tables as they are."""
        reason = eligibility.ineligible(Settings(), None, at)
        with self.engine.connect() as conn:
            rows = conn.execute(sa.select(customer.c.customer_id, customer.c.phone_hash, reason)).all()
        return {id_: (hashed, why) for id_, hashed, why in rows}

    def recorded(self, id_, at):
        """The same of one customer, by the record."""
        with self.engine.connect() as conn:
            found = consent_state.standings(consent_state.of_customer(conn, id_), at)
        return next(((one.phone_hash, one.reason) for one in found if one.customer_id == id_), None)

    def recorded_of_phone(self, hashed, at):
        """Why not to text the customers who had a phone at a time, also those who are erased by now."""
        with self.engine.connect() as conn:
            found = consent_state.standings(consent_state.of_phone(conn, hashed), at)
        return Counter(one.reason for one in found if one.phone_hash == hashed)


@pytest.mark.parametrize(("seed", "also"), [(1, set()), (2, {SkipReason.DEAD_NUMBER, SkipReason.NO_PHONE}), (3, set())])
def test_at_each_time_of_a_random_walk_the_record_says_what_eligibility_decided(world, seed, also):
    walk, decided, gone = Walk(world, seed), {}, {}
    for _ in range(50):
        before = {}
        for at in walk.step():
            decided[at] = walk.decided(at)
            assert {id_: walk.recorded(id_, at) for id_ in decided[at]} == decided[at]
            gone |= dict.fromkeys(set(before) - set(decided[at]), at)
            before = decided[at]
    assert len(decided) > 100
    met = {why for then in decided.values() for _, why in then.values()}
    assert met >= {None, SkipReason.OPTED_OUT, SkipReason.SUPPRESSED, SkipReason.NO_CONSENT, *also}
    for at, then in decided.items():  # the past stays as it was, whatever came later
        for id_ in set(then) - {id_ for id_, erased in gone.items() if at < erased}:
            assert walk.recorded(id_, at) == then[id_], (id_, at)
        for hashed in (phone_hash(number, KEY) for number in PHONES):
            reasons = Counter(why for phone, why in then.values() if phone == hashed)
            assert walk.recorded_of_phone(hashed, at) == reasons, at
    assert gone
    assert consent_verification.verify(world.engine).misfits == []
