"""Customers over HTTP: profiles, phones, erasure, and the result of the last campaign."""

import json
import unicodedata
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from engage.campaigns.run_options import RunOptions
from engage.parsing import MAX_CUSTOMER_ID
from engage.sending import queue
from engage.storage.schema import message, metadata
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY, NOW
from tests.integration.customers import ADA, PHONE, told
from tests.integration.service import refused
from tests.phones import TRUNK

TOLD = {
    "customer_id": 4711,
    "name": "Ada Diaz",
    "phone": f"…{PHONE[-2:]}",
    "locale": "en-US",
    "time_zone": "America/New_York",
    "registered_at": "2026-01-05T07:00:00Z",
    "consent": {"source": "app settings", "at": "2026-01-05T09:00:00Z"},
    "opted_out_at": None,
    "suppressed": False,
    "campaign": None,
}


# --- storing a customer


def test_a_customer_is_added_then_replaced_and_told_of_twice_is_the_same_as_once(customers, world):
    assert told(customers.put(ADA), 201) == TOLD
    row = world.rows("SELECT phone, phone_hash, consent_at, synthetic FROM customer")
    assert row == [(PHONE, phone_hash(PHONE, KEY), datetime(2026, 1, 5, 9, tzinfo=UTC), False)]
    before = customers.dump()
    assert told(customers.put(ADA)) == told(customers.get()) == TOLD
    assert customers.dump() == before
    nothing = dict.fromkeys(TOLD) | {"customer_id": 4711, "registered_at": TOLD["registered_at"], "suppressed": False}
    assert told(customers.put({"name": None})) == nothing
    assert world.rows("SELECT phone, phone_hash, consent_at FROM customer") == [(None, None, None)]


def test_a_consent_that_was_withdrawn_later_does_not_come_back_from_an_old_copy(customers, world):
    told(customers.put(ADA), 201)
    assert told(customers.put({**ADA, "consent": None}))["consent"] is None
    record = world.rows("SELECT * FROM consent_event")
    old = told(customers.put({**ADA, "name": "Ada Díaz"}))
    assert (old["name"], old["consent"]) == ("Ada Díaz", None)
    assert world.rows("SELECT * FROM consent_event") == record
    again = {"source": "app settings", "at": "2026-11-10T09:01:00Z"}
    assert told(customers.put({**ADA, "consent": again}))["consent"] == again
    # the copy is older than the new consent, too
    assert told(customers.put(ADA))["consent"] == again


def test_a_customer_may_be_told_of_without_anything(customers):
    assert told(customers.put({}), 201)["registered_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert told(customers.put({"registered_at": "2026-01-05T07:00:00Z"}))["registered_at"] == "2026-01-05T07:00:00Z"
    assert told(customers.put({}))["registered_at"] == "2026-01-05T07:00:00Z"


WRONG = [
    ({"phone": "2025550123"}, "phone"),
    ({"phone": "+1 202 555 0123"}, "phone"),
    ({"phone": "+12025550123\n"}, "phone"),
    ({"phone": "+1202555012"}, "phone"),
    ({"phone": "+0123456789"}, "phone"),
    ({"phone": "+١٢٠٢٥٥٥٠١٢٣"}, "phone"),
    ({"phone": ""}, "phone"),
    ({"phone": 12025550123}, "phone"),
    ({"phone": "+5215512345678"}, "phone"),
    ({"phone": "+1911"}, "phone"),
    ({"phone": "\ud800"}, "phone"),
    ({"time_zone": "New York"}, "time_zone"),
    ({"time_zone": "../../etc/passwd"}, "time_zone"),
    ({"time_zone": "America/New_York\0"}, "time_zone"),
    ({"time_zone": ""}, "time_zone"),
    ({"locale": "english please"}, "locale"),
    ({"locale": "en\0"}, "locale"),
    ({"name": "Ada\0"}, "name"),
    ({"name": "Ada\nDiaz"}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"name": "\u202eAda"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"name": ["Ada"]}, "name"),
    ({"registered_at": "yesterday"}, "registered_at"),
    ({"registered_at": 0}, "registered_at"),
    ({"registered_at": "1999-12-31"}, "registered_at"),
    ({"consent": True}, "consent"),
    ({"consent": {}}, "consent.source"),
    ({"consent": {"source": "app"}}, "consent.at"),
    ({"consent": {"source": "", "at": "2026-01-05T09:00:00"}}, "consent.source"),
    ({"consent": {"source": "a\0", "at": "2026-01-05T09:00:00"}}, "consent.source"),
    ({"consent": {"source": "app", "at": "2026-01-05T09:00:00", "by": "me"}}, "consent.by"),
    ({"opted_out_at": None}, "opted_out_at"),
    ({"a\0b": 1}, None),
]


def test_what_is_wrong_of_a_customer_is_named_and_nothing_changes(customers):
    customers.put(ADA)
    before = customers.dump()
    for body, field in WRONG:
        answer = customers.put(ADA | body)
        assert refused(answer), body
        assert answer.json()["errors"][0]["field"] == field
    for body in (None, [], "x", 1, [ADA]):
        assert refused(customers.put(body))
    assert customers.dump() == before


def test_an_id_is_a_number_that_the_database_can_keep(customers):
    before = customers.dump()
    for id_ in (
        "0",
        "-1",
        str(MAX_CUSTOMER_ID + 1),
        "9" * 500,
        "x",
        "1.5",
        "1e3",
        "%00",
        "%ED%A0%80",
        "%D9%A3",
        "1_000",
        "+1",
        "1.0",
        "%201",
        "1%20",
        "01",
    ):
        for call in (lambda i: customers.put(ADA, i), customers.get, customers.opt_out, customers.delete):
            assert refused(call(id_))
    assert customers.dump() == before
    assert told(customers.put(ADA, MAX_CUSTOMER_ID), 201)["customer_id"] == MAX_CUSTOMER_ID


def test_a_mexican_number_in_its_old_form_is_refused_with_a_word_about_the_1(customers):
    answer = customers.put({**ADA, "phone": "+5215512345678"})
    assert "dropped the 1" in answer.json()["errors"][0]["detail"]


def test_a_consent_in_the_future_and_a_zone_of_the_machine_are_refused(customers):
    customers.put(ADA)
    before = customers.dump()
    for at in ("2026-11-10T09:06:00Z", "2027-01-01T00:00:00Z", "9999-12-31T00:00:00Z"):
        answer = customers.put({**ADA, "consent": {"source": "app", "at": at}})
        assert "future" in refused(answer)
        assert answer.json()["errors"][0]["field"] == "consent.at"
    for zone in ("localtime", "Factory"):
        assert customers.put({**ADA, "time_zone": zone}).json()["errors"][0]["field"] == "time_zone"
    assert customers.dump() == before


def test_a_synthetic_customer_is_not_replaced(customers, world):
    world.customer(customer_id=4711, synthetic=True)
    before = customers.dump()
    assert "synthetic" in refused(customers.put(ADA), 409)
    assert customers.dump() == before


def test_an_unknown_customer_is_said_to_be_unknown(customers):
    assert refused(customers.get(), 404) == refused(customers.opt_out(), 404) == "There is no customer 4711."


@pytest.mark.parametrize("name", ["می\u200cخواهم", "👩\u200d🚀", "Zoe\u0308"])
def test_a_name_may_have_the_joiners_that_its_script_needs_and_is_composed(customers, name):
    assert told(customers.put({"name": name}), 201)["name"] == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("name", ["A\u200bda", "A\u200dda", "\u3164", "Ada\u2028", "\u2800", "A\u00adda"])
def test_a_name_with_what_nobody_sees_is_refused(customers, name):
    assert "U+" in customers.put({"name": name}).json()["errors"][0]["detail"]


# --- one phone, one form


@pytest.mark.parametrize(("spelling", "phone"), TRUNK)
def test_a_phone_is_stored_in_its_canonical_form_however_it_is_spelled(customers, world, spelling, phone):
    customers.put({**ADA, "phone": spelling}, 1)
    customers.put({**ADA, "phone": phone}, 2)
    assert world.rows("SELECT phone, phone_hash FROM customer") == [(phone, phone_hash(phone, KEY))] * 2


def test_two_spellings_of_a_phone_get_one_message_and_share_an_opt_out(customers, world):
    for id_, (spelling, phone) in enumerate(TRUNK[:3]):
        customers.put({**ADA, "phone": spelling}, 2 * id_ + 1)
        customers.put({**ADA, "phone": phone}, 2 * id_ + 2)
    for id_ in range(1, 7):
        world.purchase(id_, 100)
    customers.opt_out(3)
    world.computed()
    world.message()
    assert world.ledger() == {
        1: "accepted", 2: "skipped/duplicate_phone", 3: "skipped/opted_out", 4: "skipped/opted_out", 5: "accepted",
        6: "skipped/duplicate_phone",
    }  # fmt: skip


@pytest.mark.parametrize("reason", ["stop", "erasure"])
@pytest.mark.parametrize(("spelling", "phone"), TRUNK)
def test_a_suppression_of_an_earlier_version_under_another_spelling_holds_for_the_phone(
    customers, world, spelling, phone, reason
):
    suppressed = metadata.tables["suppression"]
    old = {"phone_hash": phone_hash(spelling, KEY), "reason": reason, "source": "a test", "suppressed_at": NOW}
    world.execute(sa.insert(suppressed).values(old))
    answer = customers.put({**ADA, "phone": phone})
    assert (answer.status_code, answer.json()["suppressed"]) == (201, True)
    assert world.rows(sa.select(suppressed)) == [(phone_hash(phone, KEY), reason, "a test", NOW)]


def test_an_erasure_under_another_spelling_outranks_a_stop_and_a_stop_stays(customers, world):
    suppressed = metadata.tables["suppression"]
    for (spelling, phone), reasons in zip(TRUNK, (("erasure", "stop"), ("stop", "erasure")), strict=False):
        for text, reason in zip((spelling, phone), reasons, strict=True):
            row = {"phone_hash": phone_hash(text, KEY), "reason": reason, "source": "a test", "suppressed_at": NOW}
            world.execute(sa.insert(suppressed).values(row))
        customers.put({**ADA, "phone": phone})
    assert world.rows("SELECT DISTINCT reason, count(*) FROM suppression GROUP BY 1") == [("erasure", 2)]


# --- looking one up


def test_a_customer_is_shown_with_what_the_last_campaign_made_of_them(customers, world):
    customers.put(ADA)
    customers.put({}, 4712)
    world.sessions(4711, 4)
    world.purchase(4711, 1250)
    world.purchase(4711, 5)
    world.computed()
    world.message()
    assert told(customers.get())["campaign"] == {
        "window_start": world.window.start.isoformat().replace("+00:00", "Z"),
        "window_end": world.window.end.isoformat().replace("+00:00", "Z"),
        "status": "sent",
        "status_label": "Sent",
        "sessions": 4,
        "purchases": 2,
        "total_spend": "12.55",
        "avg_weekly_sessions": 0.5,
        "bucket": "BOOST",
        "why": "BOOST: spend 12.55 is below 100.00.",
        "message": {"status": "accepted", "reason": None},
    }
    assert told(customers.get(4712))["campaign"] is None


def test_a_segment_of_any_name_is_shown_with_why(customers, world):
    customers.put(ADA)
    world.app_event(4711, "liked")
    world.sessions(4711)
    when = ["days_since_last_purchase > 28", {"any": ["liked > 0", "viewed > 0"]}]
    rules = {"segments": [{"name": "VIP", "when": ["purchases > 9"]}, {"name": "LAPSING", "when": when}]}
    world.computed(segments=json.dumps(rules | {"otherwise": "OTHERS"}))
    found = told(customers.get())["campaign"]
    assert found["bucket"] == "LAPSING"
    assert found["why"] == "LAPSING: no purchase is known, so longer ago than 28 days; 1 like is more than 0."


def test_the_latest_of_several_campaigns_is_shown(customers, world, in_window):
    customers.put(ADA)
    earlier = in_window(world.window.previous())
    earlier.purchase(4711, 100)
    earlier.computed()
    assert told(customers.get())["campaign"]["total_spend"] == "1.00"
    world.purchase(4711, 200)
    world.computed()
    found = told(customers.get())["campaign"]
    assert (found["total_spend"], found["message"]) == ("2.00", None)


def test_a_phone_that_is_never_texted_is_shown_as_such(customers, world):
    customers.put(ADA)
    row = {"phone_hash": phone_hash(PHONE, KEY), "reason": "stop", "source": "a test", "suppressed_at": world.now}
    world.execute(sa.insert(metadata.tables["suppression"]).values(row))
    assert told(customers.get())["suppressed"] is True
    assert told(customers.put(ADA))["suppressed"] is True


# --- forgetting


def test_a_forgotten_customer_leaves_nothing_and_is_forgotten_once(customers, world):
    customers.put(ADA)
    world.sessions(4711, 3)
    world.purchase(4711, 1250)
    world.computed()
    world.message()
    assert told(customers.delete()) == {"events": 4, "messages": 1}
    everything = str(customers.dump())
    assert not [trace for trace in ("4711", "Ada Diaz", PHONE) if trace in everything]
    assert refused(customers.get(), 404)
    before = customers.dump()
    assert told(customers.delete()) == {"events": 0, "messages": 0}
    assert customers.dump() == before
    assert told(customers.put(ADA), 201)["suppressed"] is True


def test_a_customer_who_is_being_texted_is_forgotten_a_minute_later(customers, world):
    customers.put(ADA)
    world.purchase(4711, 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.execute(sa.update(message).values(status="sending", sending_at=world.now))
    before = customers.dump()
    answer = customers.delete()
    assert "Try again in a minute" in refused(answer, 409)
    assert answer.headers["retry-after"] == "60"
    assert customers.dump() == before
