"""Customers from a file: each row means what a PUT of it means, but a missing value erases nothing."""

import csv
import io
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.customers import consent_verification, profile, suppression
from engage.customers.profile import Profile
from engage.errors import InputError
from engage.imports.customer_values import MAX_CONSENT_SKEW
from engage.service import customer_models
from engage.statuses import ConsentSource, SuppressionReason
from engage.storage.schema import consent_event, customer
from engage.texts import phone
from tests.integration.conftest import KEY
from tests.integration.importing import ACTOR, AS_OF, Importing

PHONES = [f"+4474001234{n:02}" for n in range(8)] + [f"+4917012345{n:02}" for n in range(8)]
HEADER = (
    "customer_id,name,phone,locale,time_zone,registered_at,consent_at,consent_source,consent_wording,consent_evidence"
)
FIELDS = HEADER.split(",")[1:]


@pytest.fixture
def importing(world):
    return Importing(world)


def moments(draw):
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=draw.randrange(312), hours=draw.randrange(24))


def random_row(draw):
    """A row's values by field; most may be missing."""
    consent = draw.random() < 0.5
    row = {
        "name": draw.choice(["Ada", "José Müller", "李雷", None]),
        "phone": draw.choice([*PHONES, None, None]),
        "locale": draw.choice(["en-US", "de", None]),
        "time_zone": draw.choice(["Europe/Berlin", "America/New_York", None]),
        "registered_at": draw.choice([moments(draw), None]),
        "consent_at": draw.choice([moments(draw), AS_OF, AS_OF + timedelta(minutes=4)]) if consent else None,
        "consent_source": draw.choice(["till", "app, settings"]) if consent else None,
        "consent_wording": draw.choice(["Yes, text me", "Ja, größer", None]) if consent else None,
        "consent_evidence": draw.choice(["form 17", None]) if consent else None,
    }
    if draw.random() < 0.1:
        row["consent_source"] = None  # half a consent is none
    return row


def random_past(draw, conn):
    """Customers, opt-outs and suppressions before the import."""
    for customer_id in draw.sample(range(1, 60), 35):
        profile.put(conn, customer_id, Profile(**random_row(draw)), hash_key=KEY, as_of=moments(draw))
        if draw.random() < 0.4:
            profile.opt_out(conn, customer_id, as_of=moments(draw))
    taken = set(conn.execute(sa.select(customer.c.phone)).scalars())
    for number in PHONES:
        spellings = [number] if number in taken else [number, *phone.trunk_spellings(number)]
        if draw.random() < 0.7:
            hashed = phone.phone_hash(draw.choice(spellings), KEY)
            reason = draw.choice(list(SuppressionReason))
            suppression.suppress(conn, hashed, reason=reason, source="before", as_of=moments(draw))


def put(conn, customer_id, row):
    """A PUT of a row, whose missing values are those that are stored."""
    known = conn.execute(sa.select(customer).where(customer.c.customer_id == customer_id)).one_or_none()
    given = dict(row)
    if not (given["consent_at"] and given["consent_source"]):
        given["consent_at"] = given["consent_source"] = None
    if known:
        given = {name: value or getattr(known, name, None) for name, value in given.items()}
    profile.put(
        conn, customer_id, Profile(**given), hash_key=KEY, as_of=AS_OF, source=ConsentSource.IMPORT, actor=ACTOR
    )


def line(customer_id, row):
    values = [row[name].isoformat() if isinstance(row[name], datetime) else row[name] or "" for name in FIELDS]
    return ",".join(f'"{value}"' for value in (customer_id, *values))


def dump(conn):
    return {
        table: sorted(map(tuple, conn.execute(sa.text(f"SELECT * FROM {table}"))), key=repr)
        for table in ("customer", "suppression")
    }


def record(conn):
    """The consent record without what differs by chance: of each customer and each phone, the changes in order."""
    names = ("state", "source", "wording", "evidence", "actor", "happened_at", "recorded_at")
    rows = conn.execute(sa.select(consent_event).order_by(consent_event.c.chain, consent_event.c.number)).all()
    found = defaultdict(list)
    for row in rows:
        whose = row.phone_hash if row.customer_id is None else row.customer_id
        found[whose].append((row.phone_hash, *(getattr(row, name) for name in names)))
    return dict(found)


@pytest.mark.parametrize("seed", range(12))
def test_a_file_means_what_a_put_of_each_row_means(importing, world, seed):
    draw = random.Random(seed)
    with world.engine.begin() as conn:
        random_past(draw, conn)
    rows = {customer_id: random_row(draw) for customer_id in draw.sample(range(1, 60), 45)}
    with world.engine.connect() as conn:
        before = dump(conn)
        for customer_id, row in rows.items():
            put(conn, customer_id, row)
        expected, recorded = dump(conn), record(conn)
    known = {row[0]: row for row in before["customer"]}
    after = {row[0]: row for row in expected["customer"]}
    content = "\n".join([HEADER, *(line(customer_id, row) for customer_id, row in rows.items())])

    checked = importing.customers(content, apply=False)
    assert world.dump("customer", "suppression") == before
    done = importing.customers(content)
    assert world.dump("customer", "suppression") == expected
    with world.engine.connect() as conn:
        assert record(conn) == recorded
    assert consent_verification.verify(world.engine).misfits == []
    assert (done.added, done.changed, done.rejected) == (
        sum(one not in known for one in rows),
        sum(one in known and known[one] != after[one] for one in rows),
        0,
    )
    assert (checked.added, checked.changed, checked.unchanged) == (done.added, done.changed, done.unchanged)
    again = importing.customers(content)
    assert (again.added, again.changed, again.unchanged) == (0, 0, len(rows))
    assert world.dump("customer", "suppression") == expected
    with world.engine.connect() as conn:
        assert record(conn) == recorded


def test_a_missing_value_erases_nothing(importing, world):
    full = "7,Ada,+447400123101,en-GB,Europe/London,2026-01-02,2026-01-03,till,Yes,form 17"
    importing.customers(f"{HEADER}\n{full}\n")
    before = world.dump("customer")
    report = importing.customers(f"{HEADER}\n7,, NULL,\\N,,,,,,\n")
    assert (report.unchanged, world.dump("customer")) == (1, before)


def test_a_consent_without_its_source_or_time_does_not_count_and_the_customer_is_kept(importing, world):
    report = importing.customers("customer_id,consent_at,consent_source\n1,2026-01-01,\n2,,till\n3,2026-01-01,till\n")
    assert (report.added, report.notes["consent_incomplete"], report.notes["without_consent"]) == (3, 2, 2)
    assert world.rows("SELECT customer_id FROM customer WHERE consent_at IS NOT NULL") == [(3,)]


def test_a_consent_that_was_given_before_its_withdrawal_does_not_come_back(importing, world):
    given, withdrawn = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    with world.engine.begin() as conn:
        for customer_id in (1, 2, 3):
            consent = Profile(consent_at=given, consent_source="app")
            profile.put(conn, customer_id, consent, hash_key=KEY, as_of=given)
            profile.put(conn, customer_id, Profile(), hash_key=KEY, as_of=withdrawn)
    content = (
        "id,name,consent_at,consent_source\n1,Ada,2026-01-01,app\n2,Bob,2026-06-01T00:00:00Z,till\n"
        "3,Eve,2026-06-01T00:00:01Z,till\n4,Zed,2026-01-01,till\n"
    )
    for apply in (False, True):
        report = importing.customers(content, apply=apply)
        assert (report.added, report.changed, report.unchanged) == (1, 3, 0)
        assert (report.notes["consent_withdrawn"], report.notes["without_consent"]) == (2, 2)
    assert world.rows("SELECT customer_id FROM customer WHERE consent_at IS NOT NULL ORDER BY 1") == [(3,), (4,)]
    assert importing.customers(content).unchanged == 4
    newer = Profile(name="Ada", consent_at=withdrawn + timedelta(days=9), consent_source="app")
    with world.engine.begin() as conn:
        profile.put(conn, 1, newer, hash_key=KEY, as_of=AS_OF)
    assert importing.customers(content).unchanged == 4


def test_a_consent_in_the_future_is_refused_as_the_service_does(importing):
    assert MAX_CONSENT_SKEW == customer_models.MAX_CONSENT_SKEW
    report = importing.customers("customer_id,consent_at,consent_source\n1,2026-11-10T09:06:00Z,till\n")
    assert report.reasons == {"invalid_consent_at": 1}


def test_the_first_row_of_a_customer_counts_and_the_others_are_rejected(importing, world):
    report = importing.customers("id,name\n5,Ada\n6,Bob\n5,Eve\n5,Ada\n")
    assert (report.added, report.reasons) == (2, {"repeated_customer": 2})
    assert report.first_rejected[0] == (4, "Row 2 has the same customer id, and is the one that counts.")
    assert '4,"Row 2 has the same customer id, and is the one that counts.",5,Eve' in importing.rejected
    assert world.rows("SELECT customer_id, name FROM customer ORDER BY 1") == [(5, "Ada"), (6, "Bob")]


def test_a_rejected_row_keeps_values_of_any_characters(importing):
    odd = ['"], ["', "],\n[", "[", "]", '\\"', "\u2028", ", "]
    row = ",".join('"' + value.replace('"', '""') + '"' for value in odd)
    header = ",".join(f"note{n}" for n in range(len(odd)))
    report = importing.customers(f"id,{header}\n5,{row}\n5,{row}\n6,{row}\n5,{row}\n")
    assert report.reasons == {"repeated_customer": 2}
    _, *rejected = csv.reader(io.StringIO(importing.rejected))
    assert [values[2:] for values in rejected] == [["5", *odd]] * 2


def test_a_stored_phone_that_is_no_valid_number_any_more_stays_and_stops_no_import(importing, world):
    """Numbering plans change, and earlier versions stored any number."""
    for customer_id in (1, 2):
        world.customer(customer_id=customer_id, phone="+12025", opted_out_at=datetime(2026, 5, 1, tzinfo=UTC))
    content = "customer_id,consent_at,consent_source,phone\n1,2026-10-01,till,\n2,,,+447400123401\n"
    assert importing.customers(content).changed == 2
    assert world.rows("SELECT phone, opted_out_at IS NULL FROM customer ORDER BY customer_id") == [
        ("+12025", True), ("+447400123401", False),
    ]  # fmt: skip


def test_synthetic_customers_are_rejected_and_stay(importing, world):
    world.customer(customer_id=1, synthetic=True)
    before = world.dump("customer")
    report = importing.customers("id,name\n1,Ada\n")
    assert (report.reasons, world.dump("customer")) == ({"synthetic_customer": 1}, before)


def test_shared_phones_and_customers_without_phone_are_counted(importing):
    report = importing.customers("id,phone\n1,+447400123101\n2,+44 (0)7400 123101\n3,\n")
    assert (report.notes["shared_phones"], report.notes["without_phone"]) == (1, 1)


def test_rejected_rows_that_are_mended_are_loaded_again(importing, world):
    importing.customers("Customer;Mobile;Note\n1;+447400123101;a\n2;0770 09;b\n3;x;c\n4;+447400123102;d\n")
    assert importing.rejected.splitlines()[0] == "rejected_row,rejected_reason,Customer,Mobile,Note"
    mended = importing.rejected.replace("0770 09", "+447400123103")
    report = importing.customers(mended)
    assert (report.added, report.rejected) == (1, 1)
    assert importing.rejected.splitlines()[0] == "rejected_row,rejected_reason,Customer,Mobile,Note"
    assert world.value("SELECT count(*) FROM customer") == 3


def test_first_and_last_name_make_a_name(importing, world):
    importing.customers("id,First Name,Surname\n1,Ada,Diaz\n2,,Smith\n")
    assert world.rows("SELECT name FROM customer ORDER BY 1") == [("Ada Diaz",), ("Smith",)]


@pytest.mark.parametrize(
    "column",
    [
        "Unsubscribed", "unsubscribe_date", "Opt-Out Date", "sms_opted_out_at", "Marketing Opt Out", "HasOptedOutOfSMS",
        "Do Not Call", "DoNotText", "DNC", "STOP", "Optout",
    ],
)  # fmt: skip
def test_a_column_of_opt_outs_stops_the_import_until_it_is_waived(importing, world, column):
    content = f"id,{column}\n1,yes\n"
    with pytest.raises(InputError, match=f"'{column}' seems to list opt-outs"):
        importing.customers(content)
    assert importing.customers(content, mapping=(f"{column.lower()}=-",)).added == 1


@pytest.mark.parametrize("column", ["Stopover", "Bus stop", "donor", "Opt in date of the card", "Optometrist"])
def test_a_column_of_something_else_does_not(importing, column):
    assert importing.customers(f"id,{column}\n1,yes\n").added == 1


def test_an_opt_out_that_comes_late_in_a_file_of_json_lines_is_not_lost(importing, world):
    content = "".join(f'{{"id": {n}}}\n' for n in range(1, 1002)) + '{"id": 2000, "Opted Out": true}\n'
    report = importing.customers(content)
    assert (report.added, report.reasons) == (1001, {"late_field": 1})


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("id", "0", "invalid_id"), ("phone", "12345", "phone"), ("phone", "1.20E+10", "phone"),
        ("phone", "+4412", "phone"), ("name", "a\x07b", "name"), ("name", "Jos\ufffd", "name"),
        ("name", "x" * 201, "name"), ("locale", "english", "locale"), ("time_zone", "CEST", "time_zone"),
        ("registered_at", "14/09/2026", "registered_at"), ("registered_at", "1999-12-31", "registered_at"),
        ("consent_source", "a\tb", "consent_source"), ("consent_wording", "w" * 2001, "consent_wording"),
    ],
)  # fmt: skip
def test_a_value_that_the_service_would_refuse_is_refused_with_its_column(importing, world, column, value, code):
    header, row = ("id", f'"{value}"') if column == "id" else (f"id,{column}", f'1,"{value}"')
    report = importing.customers(f"{header}\n{row}\n")
    assert report.reasons == {f"invalid_{'customer_id' if column == 'id' else code}": 1}
    assert report.first_rejected[0][1].startswith(f"{column}: ")
    assert value not in report.first_rejected[0][1] or len(value) < 3 or value == "1.20E+10"
    assert world.value("SELECT count(*) FROM customer") == 0
