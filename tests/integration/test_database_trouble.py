"""Trouble of the database is called what it is, whichever library raises it, at every door."""

import psycopg
import pytest
import sqlalchemy as sa

from engage.cli import main
from engage.reports import customer_history
from engage.service import connection_pool
from engage.storage.database_errors import SENTENCES, Trouble, trouble
from tests.integration.service import inside, refused, session

KINDS = {
    "08006": Trouble.AWAY,
    "57P01": Trouble.AWAY,
    "57P02": Trouble.AWAY,
    "57P03": Trouble.AWAY,
    "53300": Trouble.BUSY,
    "53200": Trouble.BUSY,
    "40P01": Trouble.BUSY,
    "40001": Trouble.BUSY,
    "57014": Trouble.SLOW,
    "55P03": Trouble.SLOW,
    "53100": Trouble.DISK_FULL,
    "58030": Trouble.DISK_FULL,
    "25006": Trouble.READ_ONLY,
    "42501": Trouble.NO_RIGHT,
}
RAISE = """
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '{}'; END $$;
CREATE TRIGGER trouble BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION trouble()
"""


def raised(state):
    return psycopg.errors.lookup(state)("a text")


def wrapped(state):
    error = raised(state)
    return sa.exc.DBAPIError.instance("SELECT 1", {}, error, psycopg.Error)


@pytest.mark.parametrize(("state", "kind"), KINDS.items())
def test_both_libraries_errors_have_the_same_kind(state, kind):
    assert trouble(raised(state)) is kind
    assert trouble(wrapped(state)) is kind
    assert SENTENCES[kind]


def test_errors_without_a_state_are_an_absent_database_and_wrong_statements_are_no_trouble():
    assert trouble(psycopg.OperationalError("connection refused")) is Trouble.AWAY
    assert trouble(sa.exc.OperationalError("x", None, Exception("away"))) is Trouble.AWAY
    assert trouble(sa.exc.TimeoutError("busy")) is Trouble.BUSY
    for state in ("23505", "42P01", "22021"):
        assert trouble(raised(state)) is trouble(wrapped(state)) is None
    assert trouble(ValueError()) is None


@pytest.mark.parametrize("state", ["53100", "25006", "57P01", "42501"])
@pytest.mark.parametrize("table", ["app_session", "intake_batch"])
def test_a_batch_that_the_database_cannot_take_gets_a_503_and_is_stored_later(api, world, state, table):
    world.execute(sa.text(RAISE.format(state, table)))
    answer = api.send(session(), name="mine")
    assert SENTENCES[KINDS[state]] in refused(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert api.counted("batches", "outcome") == {"unavailable": 1}
    world.execute(sa.text(f"DROP TRIGGER trouble ON {table}"))
    assert api.send(session(), name="mine").status_code == 200
    assert world.value("SELECT count(*) FROM app_session") == 1


def test_a_lock_in_front_of_copy_gets_a_503(world, monkeypatch):
    monkeypatch.setattr(connection_pool, "STATEMENT_SECONDS", 0.5)
    with inside(world) as api:
        with world.engine.begin() as conn:
            conn.execute(sa.text("LOCK TABLE app_session"))
            answer = api.send(session())
        assert SENTENCES[Trouble.SLOW] in refused(answer, 503)
        assert answer.headers["retry-after"]


def test_a_row_that_copy_refuses_is_in_no_error(api, world):
    world.execute(sa.text("ALTER TABLE app_session ADD CHECK (customer_id <> 4711)"))
    assert refused(api.send(session(customer_id=4711)), 500)
    (failed,) = [line for line in api.logs if line["event"] == "failed"]
    assert failed


@pytest.mark.parametrize(("state", "kind"), KINDS.items())
def test_every_route_answers_trouble_with_a_503(api, monkeypatch, state, kind):
    for error in (raised(state), wrapped(state)):

        def fails(*arguments, error=error):
            raise error

        monkeypatch.setattr(customer_history, "view", fails)
        answer = api.get("/v1/customers/1")
        assert SENTENCES[kind] in refused(answer, 503)
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(("state", "kind"), KINDS.items())
def test_a_command_ends_with_one_sentence(monkeypatch, capsys, state, kind):
    for error in (raised(state), wrapped(state)):

        def fails(error=error, **options):
            raise error

        monkeypatch.setattr(main, "app", fails)
        with pytest.raises(SystemExit):
            main.main()
        assert f"{SENTENCES[kind]} (a text)" in capsys.readouterr().err
