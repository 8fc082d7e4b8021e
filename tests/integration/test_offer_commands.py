"""``engage offers …``: codes are imported, made and listed."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.cli import main, offers
from engage.errors import InputError
from engage.sending import offer_pool
from engage.storage.schema import offer_code
from engage.texts.offer_code import ALPHABET, generated

CODES = "SELECT code, offer, expires_at FROM offer_code ORDER BY code"
FREE = {"offer": "summer", "added": 0, "known": 0, "in_other_offers": 0, "repeated": 0}


@pytest.fixture
def run(url, monkeypatch):
    """The exit code of a command, and what it prints; an error of Engage is raised."""
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)

    def invoke(*arguments):
        done = CliRunner().invoke(main.app, ["offers", *map(str, arguments)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    return invoke


@pytest.fixture
def file(tmp_path):
    def write(text, name="codes.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_the_codes_of_a_file_are_added_until_their_last_day(run, file, world):
    code, said = run("import", file("AB12\n\nCD34\n"), "--offer", "summer", "--expires", "2099-01-31")
    assert (code, said) == (0, "Codes of the offer summer: 2 added.\n")
    end = datetime(2099, 2, 1, tzinfo=UTC)
    assert world.rows(CODES) == [("AB12", "summer", end), ("CD34", "summer", end)]


def test_a_csv_file_with_a_byte_order_mark_is_read(run, file, world):
    run("import", file(b"\xef\xbb\xbfcode;note\r\nAB12;x\r\n", "codes.csv"), "--offer", "summer")
    assert world.rows(CODES) == [("AB12", "summer", None)]


def test_codes_that_are_there_or_stand_twice_are_counted_and_nothing_is_lost(run, file, world):
    run("import", file("OLD1\n"), "--offer", "summer")
    run("import", file("WIN1\n"), "--offer", "winter")
    before = world.dump("offer_code")["offer_code"]
    path = file("NEW1\nOLD1\nNEW1\nWIN1\nNEW2\n")
    code, said = run("import", path, "--offer", "summer", "--expires", "2099-01-31")
    assert code == offers.NOT_ALL_ADDED
    assert said == (
        "Codes of the offer summer: 2 added, 1 there before, 1 there before in another offer, 1 twice in the file.\n"
    )
    after = world.dump("offer_code")["offer_code"]
    assert set(before) < set(after)
    assert {row[0] for row in after} == {"OLD1", "WIN1", "NEW1", "NEW2"}
    code, said = run("import", path, "--offer", "summer", "--json")
    assert code == offers.NOT_ALL_ADDED
    assert json.loads(said) == FREE | {"known": 3, "in_other_offers": 1, "repeated": 1}
    assert world.dump("offer_code")["offer_code"] == after


@pytest.mark.parametrize(
    ("text", "said"),
    [("GOOD1\nno\n", "line 2 has 'no'"), ("", "holds no code"), (b"\xff\xfe", "is not in UTF-8. No code was added.")],
)
def test_of_a_file_with_a_wrong_line_no_code_is_added(run, file, world, text, said):
    with pytest.raises(InputError, match=said):
        run("import", file(text), "--offer", "summer")
    assert world.rows(CODES) == []


def test_a_last_day_in_the_past_is_refused(run, file, world):
    for command in (["import", file("AB12")], ["generate", "2"]):
        with pytest.raises(InputError, match="--expires 2020-01-01 is in the past"):
            run(*command, "--offer", "summer", "--expires", "2020-01-01")
    assert world.rows(CODES) == []


def test_a_file_that_is_missing_and_an_offer_that_is_none_are_refused(run, tmp_path, file):
    assert run("import", tmp_path / "none.txt", "--offer", "summer")[0] == 2
    code, said = run("import", file("AB12"), "--offer", "My Offer")
    assert code == 2
    assert "names no offer" in said


def test_codes_are_made(run, world):
    code, said = run("generate", "500", "--offer", "summer", "--expires", "2099-01-31")
    assert (code, said) == (0, "Codes of the offer summer: 500 added.\n")
    found = world.rows(CODES)
    assert len(found) == 500
    assert {(offer, at) for _, offer, at in found} == {("summer", datetime(2099, 2, 1, tzinfo=UTC))}
    assert all(len(code) == 10 and set(code) <= set(ALPHABET) for code, *_ in found)
    assert json.loads(run("generate", "1", "--offer", "summer", "--json")[1]) == FREE | {"added": 1}


def test_a_made_code_that_is_there_before_is_made_anew(world, monkeypatch):
    drawn = iter([{"AAAA", "BBBB"}, {"BBBB", "CCCC"}, {"DDDD"}])
    monkeypatch.setattr(offer_pool.codes, "generated", lambda count: next(drawn))
    with world.engine.begin() as conn:
        for _ in range(2):
            offer_pool.generate(conn, "summer", 2, expires_at=None, as_of=world.now)
    assert [code for code, *_ in world.rows(CODES)] == ["AAAA", "BBBB", "CCCC", "DDDD"]


@pytest.mark.parametrize("count", ["0", "-1", "10000001", "x"])
def test_another_number_of_codes_is_refused(run, count):
    assert run("generate", count, "--offer", "summer")[0] == 2


def test_a_list_says_what_became_of_each_offers_codes(run, world, now):
    with world.engine.begin() as conn:
        for offer, code, expires_at in (
            ("summer", "FREE", None), ("summer", "LAST", now + timedelta(days=9999)), ("summer", "GONE", now),
            ("summer", "GAVE", now), ("summer", "USED", None), ("winter", "COLD", None),
        ):  # fmt: skip
            offer_pool.add(conn, offer, [code], expires_at=expires_at, as_of=now)
        given = {"window_start": world.window.start, "segment": "BOOST", "variant": "a"}
        for id_, (code, more) in enumerate({"GAVE": {}, "USED": {"redeemed_at": now}}.items()):
            mine = sa.update(offer_code).where(offer_code.c.code == code)
            conn.execute(mine.values(customer_id=id_, **given, **more))
    counts = [
        {"offer": "summer", "codes": 5, "free": 2, "given": 2, "redeemed": 1, "expired": 1},
        {"offer": "winter", "codes": 1, "free": 1, "given": 0, "redeemed": 0, "expired": 0},
    ]
    assert json.loads(run("list", "--json")[1]) == counts
    shown = [line.replace("│", " ").split() for line in run("list")[1].splitlines()]
    assert ["summer", "5", "2", "2", "1", "1"] in shown


def test_two_imports_at_once_add_each_code_once(world, now):
    shared = sorted(generated(3000))

    def add(part):
        with world.engine.begin() as conn:
            return offer_pool.add(conn, "summer", part, expires_at=None, as_of=now)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(add, [shared[:2000], shared[:999:-1]]))
    assert sum(one.added for one in found) == 3000
    assert sum(one.known for one in found) == 1000
    assert world.value("SELECT count(*) FROM offer_code") == 3000
