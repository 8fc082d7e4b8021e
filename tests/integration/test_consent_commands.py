"""``engage consent``: what held at a time, and whether the record is whole."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.cli import main
from engage.customers import erasure, profile, replies
from engage.customers.profile import Profile
from engage.customers.replies import InboundSms
from engage.errors import BrokenRecord, InputError
from engage.statuses import TextClass
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY, NOW
from tests.phones import fictional_phone

PHONE = fictional_phone(7)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def engage(url, monkeypatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    monkeypatch.setenv("ENGAGE_HASH_KEY", KEY.decode())
    return lambda *arguments: CliRunner().invoke(main.app, ["consent", *arguments])


@pytest.fixture
def known(world):
    """A consent of a day ago, known at NOW; a STOP an hour later; a START an hour after that."""
    given = Profile(phone=PHONE, consent_at=NOW - DAY, consent_source="app settings", consent_wording="Yes, text me")
    with world.engine.begin() as conn:
        profile.put(conn, 17, given, hash_key=KEY, as_of=NOW, actor="key app")
    for n, kind in enumerate((TextClass.STOP, TextClass.START), 1):
        sms = InboundSms(f"SM{n}", phone_hash(PHONE, KEY), kind)
        replies.receive(world.engine, sms, as_of=NOW + n * HOUR)
    return world


@pytest.mark.parametrize(
    ("at", "sentence"),
    [
        ("2026-11-10T09:00Z", "Customer 17 might be texted: consent given (app settings), 9 Nov 2026, 09:00:00 UTC."),
        ("2026-11-10T10:59:59+01:00", "Customer 17 might be texted"),
        ("2026-11-10T10:00Z", "Customer 17 might not be texted. The phone gets no more texts: texts to the phone "
                              "stopped (text SM1), 10 Nov 2026, 10:00:00 UTC."),
        ("2026-11-10T10:59:59.999999Z", "Customer 17 might not be texted"),
        ("2026-11-10T11:00Z", "Customer 17 might be texted"),
        ("2026-11-10T08:59:59.999999Z", "No customer of whom the record knew a consent or a refusal by then."),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("known")
def test_it_says_what_held_right_at_each_boundary(engage, at, sentence):
    for whose in (("--phone", PHONE), ("--customer", "17")):
        said = " ".join(engage("show", *whose, "--at", at).output.split())
        assert sentence in said
        assert PHONE not in said


@pytest.mark.usefixtures("known")
def test_it_lists_the_changes_that_were_known_by_then(engage):
    found = json.loads(engage("show", "--phone", PHONE, "--at", "2026-11-10T10:00Z", "--json").output)
    [given, stopped] = found["changes"]
    assert (given["state"], given["wording"], given["actor"]) == ("given", "Yes, text me", "key app")
    assert (given["happened_at"], given["recorded_at"]) == ("2026-11-09T09:00:00+00:00", "2026-11-10T09:00:00+00:00")
    assert (stopped["state"], stopped["source"], stopped["customer_id"]) == ("stopped", "stop", None)
    assert found["later_changes"] == 1
    [customer] = found["customers"]
    assert (customer["customer_id"], customer["may_be_texted"], customer["reason"]) == (17, False, "suppressed")
    assert customer["because"] == {"chain": stopped["chain"], "number": 1}
    assert "1 later change left out." in engage("show", "--phone", PHONE, "--at", "2026-11-10T10:00Z").output


def test_a_forgotten_customer_is_on_record_by_the_phone_and_without_a_name(engage, known):
    erasure.forget(known.engine, 17, as_of=NOW + DAY, actor="ada")
    said = engage("show", "--phone", PHONE, "--at", "2026-11-10T09:00Z").output
    assert "A customer who is forgotten by now might be texted: consent given, 9 Nov 2026" in said
    assert "Customer 17" not in said
    assert "app settings" not in engage("show", "--phone", PHONE, "--json").output
    assert json.loads(engage("show", "--customer", "17", "--json").output)["changes"] == []
    later = json.loads(engage("show", "--phone", PHONE, "--at", "2027-01-01T00:00Z", "--json").output)
    assert later["customers"] == []
    assert [one["actor"] for one in later["changes"] if one["state"] == "erased"] == ["ada", "ada"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "takes either --phone or --customer"),
        (("--phone", PHONE, "--customer", "17"), "takes either --phone or --customer"),
        (("--phone", "12"), "12"),
        (("--phone", PHONE, "--at", "yesterday"), "'yesterday' is not a time such as"),
    ],
)
def test_a_wrong_question_is_refused(engage, arguments, sentence):
    done = engage("show", *arguments)
    assert isinstance(done.exception, InputError)
    assert sentence in str(done.exception)


def test_verify_names_the_chain_and_the_row_that_does_not_fit(engage, known):
    assert engage("verify").output == "The consent record is whole: 3 rows fit.\n"
    with known.engine.begin() as conn:
        conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        conn.execute(sa.text("UPDATE consent_event SET happened_at = happened_at + interval '1 s' WHERE chain = 17"))
    done = engage("verify")
    assert done.exit_code == 1
    assert isinstance(done.exception, BrokenRecord)
    assert "Chain 17, row 1: the row was changed." in str(done.exception)
    as_json = engage("verify", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.output)["misfits"] == [{"chain": 17, "number": 1, "fault": "the row was changed"}]
