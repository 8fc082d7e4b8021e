"""The consent record is append-only, and a change past Engage is found at its row."""

from __future__ import annotations

import hashlib
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from engage.customers import consent_record, consent_verification, erasure, profile, replies
from engage.customers.consent_record import ConsentEvent
from engage.customers.profile import Profile
from engage.customers.replies import InboundSms
from engage.errors import BrokenRecord
from engage.statuses import ConsentSource, ConsentState, TextClass
from engage.storage.database_errors import sqlstate
from engage.storage.schema import consent_event
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY
from tests.phones import fictional_phone

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def field(value):
    """A value as the chain has it: its length, then its bytes."""
    if value is None:
        return b"\xff\xff\xff\xff"
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


def number(value):
    return None if value is None else struct.pack(">q", value)


def moment(value):
    return struct.pack(">q", (value - EPOCH) // timedelta(microseconds=1))


def expected_hash(previous, row):
    """A row's hash, without the database's functions."""
    fields = [struct.pack(">hq", row.chain, row.number), field(row.phone_hash), field(row.state), field(row.source)]
    fields += [field(row.actor), moment(row.happened_at), moment(row.recorded_at), field(number(row.blanked))]
    return hashlib.sha256(previous + b"".join(fields) + field(row.sealed)).digest()


def expected_seal(row):
    sealed = field(number(row.customer_id)) + field(row.wording) + field(row.evidence)
    return hashlib.sha256(row.salt + sealed).digest()


def rows(world):
    with world.engine.connect() as conn:
        return conn.execute(sa.select(consent_event).order_by(consent_event.c.chain, consent_event.c.number)).all()


def many(conn, customers, now):
    """Add a consent of each of so many customers, by one query."""
    n = sa.func.generate_series(1, customers).column_valued("n")
    given = sa.select(
        sa.cast(n, sa.BigInteger).label("customer_id"),
        sa.func.sha256(sa.func.int8send(n), type_=sa.LargeBinary).label("phone_hash"),
        sa.literal(ConsentState.GIVEN, sa.Text).label("state"),
        sa.literal(ConsentSource.IMPORT, sa.Text).label("source"),
        sa.literal("Yes, text me 🌮", sa.Text).label("wording"),
        sa.literal("customers.csv", sa.Text).label("evidence"),
        (sa.literal(now) - sa.cast(sa.cast(n, sa.Text) + " minutes", sa.Interval)).label("happened_at"),
    )
    return consent_record.append_from(conn, given, as_of=now)


def put(world, customer_id, consent_at=None, **values):
    given = Profile(consent_at=consent_at, consent_source=consent_at and "app settings", **values)
    with world.engine.begin() as conn:
        profile.put(conn, customer_id, given, hash_key=KEY, as_of=world.now, actor="key app")


def test_a_query_may_have_the_salts_of_some_changes_and_the_others_get_their_own(world):
    n = sa.func.generate_series(1, 200).column_valued("n")
    given = sa.select(
        sa.cast(n, sa.BigInteger).label("customer_id"),
        sa.null().cast(sa.LargeBinary).label("phone_hash"),
        sa.literal(ConsentState.ABSENT, sa.Text).label("state"),
        sa.literal(ConsentSource.IMPORT, sa.Text).label("source"),
        sa.literal(world.now).label("happened_at"),
        sa.case((n % 2 == 0, sa.func.decode(sa.func.md5(sa.cast(n, sa.Text)), "hex"))).label("salt"),
    )
    with world.engine.begin() as conn:
        assert consent_record.append_from(conn, given, as_of=world.now) == 200
    salts = {row.customer_id: row.salt for row in rows(world)}
    assert all((salts[n] == hashlib.md5(str(n).encode()).digest()) is (n % 2 == 0) for n in salts)
    assert len(set(salts.values())) == 200
    assert {len(salt) for salt in salts.values()} == {16}
    assert consent_verification.verify(world.engine).misfits == []


@pytest.fixture
def recorded(world):
    """A record with changes of each kind of writing: one by one, by a query, and an erasure."""
    with world.engine.begin() as conn:
        assert many(conn, 500, world.now) == 500
    for n in range(3):
        put(world, 64 * n + 7, world.now - timedelta(days=1), phone=fictional_phone(n), consent_wording="Ja, größer")
    put(world, 71, None)
    erasure.forget(world.engine, 7, as_of=world.now, actor="ada")
    with world.engine.begin() as conn:
        assert many(conn, 100, world.now) == 100
    assert consent_verification.verify(world.engine).misfits == []
    return world


def tamper(world, statement):
    """Change the record as a superuser can: without its triggers."""
    with world.engine.begin() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        assert conn.exec_driver_sql(statement).rowcount > 0


def misfits(world):
    return [(misfit.chain, misfit.number) for misfit in consent_verification.verify(world.engine).misfits]


def test_each_hash_is_what_another_program_computes(recorded):
    previous, places = {}, {}
    for row in rows(recorded):
        assert row.number == places.get(row.chain, 0) + 1
        assert row.hash == expected_hash(previous.get(row.chain, b""), row)
        if row.salt is not None:
            assert row.sealed == expected_seal(row)
        previous[row.chain], places[row.chain] = row.hash, row.number
    assert sum(places.values()) == len(rows(recorded)) >= 600
    heads = recorded.rows("SELECT chain, length, last_hash FROM consent_chain WHERE length > 0 ORDER BY chain")
    assert [tuple(head) for head in heads] == [(chain, places[chain], previous[chain]) for chain in sorted(places)]


CHANGES = {
    "chain": "128",
    "number": "number + 1000",
    "customer_id": "customer_id + 64",
    "phone_hash": "set_byte(phone_hash, 0, get_byte(phone_hash, 0) # 1)",
    "state": "'absent'",
    "source": "'app'",
    "wording": "wording || ' '",
    "evidence": "'Customers.csv'",
    "actor": "'a'",
    "happened_at": "happened_at - interval '1 microsecond'",
    "recorded_at": "recorded_at + interval '1 microsecond'",
    "blanked": "0",
    "salt": "set_byte(salt, 0, get_byte(salt, 0) # 1)",
    "sealed": "set_byte(sealed, 31, get_byte(sealed, 31) # 1)",
    "hash": "set_byte(hash, 0, get_byte(hash, 0) # 128)",
}


def test_a_changed_byte_of_any_column_is_found_at_its_row(recorded):
    assert set(CHANGES) == set(consent_event.c.keys())
    for column, value in CHANGES.items():
        with recorded.engine.begin() as conn:
            conn.exec_driver_sql("CREATE TABLE saved AS SELECT * FROM consent_event")
        tamper(recorded, f"UPDATE consent_event SET {column} = {value} WHERE chain = 9 AND number = 3")
        assert (9, 3) in misfits(recorded), column
        tamper(recorded, "DELETE FROM consent_event")
        tamper(recorded, "INSERT INTO consent_event SELECT * FROM saved")
        with recorded.engine.begin() as conn:
            conn.exec_driver_sql("DROP TABLE saved")
    assert misfits(recorded) == []


@pytest.mark.parametrize("column", ["phone_hash", "wording", "evidence", "customer_id", "salt"])
def test_a_value_that_is_taken_away_is_found_too(recorded, column):
    tamper(recorded, f"UPDATE consent_event SET {column} = NULL WHERE chain = 9 AND number = 3")
    assert misfits(recorded) == [(9, 3)]


@pytest.mark.parametrize("gone", [1, 3])
def test_a_row_that_is_removed_is_found_at_its_place(recorded, gone):
    tamper(recorded, f"DELETE FROM consent_event WHERE chain = 9 AND number = {gone}")
    assert misfits(recorded) == [(9, gone)]
    with pytest.raises(BrokenRecord, match=f"Chain 9, row {gone}: the row is missing"):
        consent_verification.require_whole(recorded.engine)


def test_a_row_that_is_removed_is_found_though_the_others_close_ranks(recorded):
    tamper(recorded, "DELETE FROM consent_event WHERE chain = 9 AND number = 3")
    tamper(recorded, "UPDATE consent_event SET number = number - 1 WHERE chain = 9 AND number = 4")
    assert (9, 3) in misfits(recorded)


def test_an_end_that_is_cut_off_is_found(recorded):
    last = recorded.value("SELECT length FROM consent_chain WHERE chain = 9")
    tamper(recorded, f"DELETE FROM consent_event WHERE chain = 9 AND number >= {last - 1}")
    assert misfits(recorded) == [(9, last - 1)]


def test_a_chain_that_is_removed_whole_is_found(recorded):
    tamper(recorded, "DELETE FROM consent_event WHERE chain = 9")
    assert misfits(recorded) == [(9, 1)]
    tamper(recorded, "DELETE FROM consent_event WHERE chain = 10")
    tamper(recorded, "DELETE FROM consent_chain WHERE chain = 11")
    assert misfits(recorded)[:2] == [(9, 1), (10, 1)]
    assert [chain for chain, _ in misfits(recorded)] == [9, 10, 11]


@pytest.mark.parametrize(
    "change",
    ["salt = NULL, wording = NULL, evidence = NULL, customer_id = -1", "salt = NULL, wording = NULL, evidence = NULL"],
)
def test_a_row_that_is_blanked_without_an_erasure_is_found(recorded, change):
    tamper(recorded, f"UPDATE consent_event SET {change} WHERE chain = 9 AND number = 3")
    assert misfits(recorded) == [(9, 3)]


def test_an_erasures_rows_cannot_change_owner_or_number(recorded):
    tamper(recorded, "UPDATE consent_event SET customer_id = customer_id - 64 WHERE salt IS NULL")
    assert [chain for chain, _ in misfits(recorded)] == [7]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_event SET evidence = 'another'",
        "UPDATE consent_event SET salt = NULL, wording = NULL, evidence = 'another', customer_id = -1",
        "UPDATE consent_event SET salt = NULL, wording = NULL, evidence = NULL, customer_id = 9",
        "UPDATE consent_event SET salt = NULL, wording = NULL, evidence = NULL, customer_id = -1, actor = 'another'",
        "UPDATE consent_event SET customer_id = -1 WHERE salt IS NULL",
        "DELETE FROM consent_event",
        "TRUNCATE consent_event",
    ],
)
def test_the_database_refuses_changes_also_from_the_tables_owner(recorded, statement):
    with pytest.raises(sa.exc.IntegrityError, match="append-only") as caught, recorded.engine.begin() as conn:
        conn.exec_driver_sql(statement)
    assert sqlstate(caught.value) == "23001"


def test_eight_writers_at_once_leave_a_whole_record(world):
    def writes(first):
        for n in range(first, first + 40):
            put(world, n, world.now - timedelta(hours=1), phone=fictional_phone(n % 11))
            with world.engine.begin() as conn:
                profile.opt_out(conn, n, as_of=world.now)
            put(world, n, world.now, phone=fictional_phone(n % 7))

    with ThreadPoolExecutor() as pool:
        list(pool.map(writes, range(1, 321, 40)))
    done = consent_verification.verify(world.engine)
    assert done.misfits == []
    assert done.events >= 3 * 320


def test_a_stop_does_not_wait_for_the_consents_of_a_large_import(world, url, opened):
    """Twilio waits 15 seconds for an answer, and the service 10 for a statement."""
    hurried = opened(url, patience=2)
    sms = InboundSms("SM1", phone_hash(fictional_phone(1), KEY), TextClass.REVOCATION)
    with world.engine.begin() as conn:
        assert many(conn, 500, world.now) == 500
        assert replies.receive(hurried, sms, as_of=world.now)
    assert world.value("SELECT reason FROM suppression") == "revocation"
    assert consent_verification.verify(world.engine) == consent_verification.Verification(501, [])


def test_a_query_may_change_customers_and_phones(world):
    n = sa.func.generate_series(1, 200).column_valued("n")
    odd = sa.cast(n % 2, sa.Boolean)
    given = sa.select(
        sa.case((odd, sa.cast(n, sa.BigInteger))).label("customer_id"),
        sa.func.sha256(sa.func.int8send(n), type_=sa.LargeBinary).label("phone_hash"),
        sa.case((odd, ConsentState.GIVEN), else_=ConsentState.STOPPED).label("state"),
        sa.literal(ConsentSource.IMPORT, sa.Text).label("source"),
        sa.literal(world.now).label("happened_at"),
    )
    for _ in range(2):
        with world.engine.begin() as conn:
            assert consent_record.append_from(conn, given, as_of=world.now) == 200
    assert consent_verification.verify(world.engine) == consent_verification.Verification(400, [])
    places = world.rows("SELECT chain >= 64, customer_id IS NULL, count(*) FROM consent_event GROUP BY 1, 2 ORDER BY 1")
    assert places == [(False, False, 200), (True, True, 200)]


def test_a_hundred_thousand_rows_are_verified_in_under_five_seconds(world):
    with world.engine.begin() as conn:
        assert many(conn, 100_000, world.now) == 100_000
    begun = time.perf_counter()
    assert consent_verification.verify(world.engine) == consent_verification.Verification(100_000, [])
    assert time.perf_counter() - begun < 5


def test_changes_are_written_in_the_order_of_their_chains(world):
    """Otherwise two writers could wait for each other."""
    events = [
        ConsentEvent(state=ConsentState.GIVEN, source=ConsentSource.APP, happened_at=world.now, customer_id=id_)
        for id_ in (5, 3, 67, 1)
    ]
    statements = []
    sa.event.listen(world.engine, "before_cursor_execute", lambda *call: statements.append(call[3]))
    with world.engine.begin() as conn:
        consent_record.append(conn, events, as_of=world.now)
    [parameters] = [call for call in statements if call]
    assert [row["new_chain"] for row in parameters] == [1, 3, 3, 5]
    assert world.rows("SELECT chain, number, customer_id FROM consent_event ORDER BY chain, number") == [
        (1, 1, 1), (3, 1, 3), (3, 2, 67), (5, 1, 5),
    ]  # fmt: skip
