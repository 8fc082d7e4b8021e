"""The commands as an operator types them, on a database that ENGAGE_DATABASE_URL names."""

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from engage.storage import connection, migrations
from engage.storage.schema import customer
from engage.texts.phone import phone_hash
from engage.window import Window
from tests.integration.conftest import NOW, World
from tests.integration.test_canonical_phones import BEFORE


@pytest.fixture(scope="module")
def commands():
    """A process that has imported what the commands take."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("command_server.py"))],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as server:
        yield server
        server.stdin.close()


@pytest.fixture
def engage(commands, empty_url, tmp_path):
    """Run ``engage …`` against an empty database."""
    environment = {
        "ENGAGE_DATABASE_URL": empty_url,
        "ENGAGE_HASH_KEY": "only for tests, of no use to anybody",
        "COLUMNS": "200",
    }

    def run(*arguments):
        asked = {"arguments": arguments, "environment": environment, "folder": str(tmp_path)}
        commands.stdin.write(json.dumps(asked) + "\n")
        code = int(commands.stdout.readline())
        printed = [(tmp_path / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess(arguments, code, *printed)

    return run


def test_it_is_a_command_of_python(empty_url):
    environment = os.environ | {"ENGAGE_DATABASE_URL": empty_url, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "engage", "report"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "db upgrade" in done.stderr


def test_an_upgrade_that_hashes_phones_refuses_another_key_and_changes_nothing(engage, empty_url):
    engine = connection.connect(empty_url)
    migrations.upgrade(engine, NOW, BEFORE)
    World(engine, Window.last_complete(NOW)).customer(phone="+4407400123456")
    refused = engage("db", "upgrade")
    assert refused.returncode == 1
    assert "another hash under ENGAGE_HASH_KEY" in refused.stderr
    assert "+44" not in refused.stderr
    with engine.begin() as conn:
        hashed = phone_hash("+4407400123456", b"only for tests, of no use to anybody")
        conn.execute(sa.update(customer).values(phone_hash=hashed))
    assert engage("db", "upgrade").returncode == 0
    with engine.connect() as conn:
        assert conn.execute(sa.select(customer.c.phone)).scalar_one() == "+447400123456"
    engine.dispose()


def test_a_campaign_from_an_empty_database_to_its_report(engage, empty_url):
    assert engage("db", "upgrade").returncode == 0
    nothing = engage("run")
    assert nothing.returncode == 0
    assert "no customers yet" in nothing.stdout
    seeded = engage("seed", "--customers", "200", "--rng-seed", "1")
    assert seeded.returncode == 0, seeded.stderr
    assert "200 customers" in seeded.stdout
    first = engage("run", "--set", "low_spend_threshold=120", "--send-late")
    assert first.returncode == 0, first.stderr
    assert "BOOST" in first.stdout
    report = json.loads(engage("report", "--json").stdout)
    assert report["settings"]["low_spend_threshold"] == 120
    assert report["customers"] == 200
    again = engage("run", "--send-late")
    assert again.returncode == 0
    assert json.loads(engage("report", "--json").stdout) == report
    engine = connection.connect(empty_url)
    with engine.connect() as conn:
        counts = conn.execute(sa.text("SELECT count(*), count(DISTINCT customer_id) FROM message")).one()
    engine.dispose()
    assert counts[0] == counts[1] == report["messages"]["total"]


def test_an_effect_of_the_texts_of_the_window_before(engage):
    before, window = ["--window-start", "2025-01-06"], ["--window-start", "2025-03-03"]
    size = ["--customers", "400", "--rng-seed", "1", "--behaviour", "varied"]
    engage("db", "upgrade")
    assert engage("seed", *size, *before).returncode == 0
    early = engage("seed", *size, *window, "--effect", "BOOST=+50%")
    assert early.returncode == 1
    assert "Text that window first, for example with `engage run --window-start 2025-01-06 --send-late" in early.stderr
    ran = engage("run", "--send-late", "--set", "holdout_percent=10", *before)
    assert ran.returncode == 0, ran.stderr
    plain = engage("seed", *size[:4], *window, "--effect", "BOOST=+50%")
    assert plain.returncode == 1
    assert "Add --behaviour varied, or leave out the effect." in plain.stderr
    seeded = engage("seed", *size, *window, "--effect", "BOOST=+50%", "--effect", "REWARD=-5%")
    assert seeded.returncode == 0, seeded.stderr
    texted = json.loads(engage("report", "--json", *before).stdout)["messages"]["by_status"]["accepted"]
    assert f"{texted} of them were texted, and buy as BOOST=+50%, REWARD=-5% says." in seeded.stdout
    again = engage("seed", *size, *window, "--effect", "BOOST=+50%", "--effect", "REWARD=-5%", "--json")
    assert json.loads(again.stdout)["affected"] == texted


def test_a_campaign_with_rules_from_a_file(engage, tmp_path):
    file = tmp_path / "rules.json"
    when = ["days_since_registered >= new_days_threshold"]
    file.write_text(json.dumps({"segments": [{"name": "LOYAL", "when": when}], "otherwise": "FRESH"}))
    engage("db", "upgrade")
    engage("seed", "--customers", "50", "--rng-seed", "1")
    given = ["--set", "new_days_threshold=1", "--set", "message_loyal=Thanks! Reply STOP to opt out."]
    done = engage("run", "--segments", str(file), *given, "--send-late")
    assert done.returncode == 0, done.stderr
    report = json.loads(engage("report", "--json").stdout)
    assert list(report["buckets"]) == ["LOYAL", "FRESH"]
    assert report["settings"]["new_days_threshold"] == 1
    assert report["settings"]["message_loyal"] == "Thanks! Reply STOP to opt out."
    printed = engage("report").stdout
    assert printed.index("LOYAL") < printed.index("FRESH") < printed.index("all")
    listed = engage("campaigns").stdout
    assert "new_days 1" in listed
    assert listed.index("LOYAL") < listed.index("FRESH")
    [campaign] = json.loads(engage("campaigns", "--json").stdout)
    assert campaign["thresholds"] == {"new_days_threshold": 1}
    preview = engage("run", "--segments", str(file), *given, "--dry-run").stdout
    assert "BOOST" not in preview


def times(value):
    """All times in the data of a command."""
    if isinstance(value, dict | list):
        return [time for each in (value.values() if isinstance(value, dict) else value) for time in times(each)]
    return [value] if isinstance(value, str) and re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]", value) else []


def test_every_command_that_prints_data_prints_it_as_json_with_one_form_of_times(engage):
    def data(*arguments):
        done = engage(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, ""), arguments
        return json.loads(done.stdout)

    engage("db", "upgrade")
    start, end = Window.last_complete(datetime.now(UTC)).start, Window.last_complete(datetime.now(UTC)).end
    window = {"start": start.isoformat(), "end": end.isoformat()}
    nothing = data("run")
    assert nothing["window"] == window
    assert nothing["run"]["note"].startswith("There are no customers yet")
    seeded = data("seed", "--customers", "20", "--rng-seed", "1")
    assert (seeded["window"], seeded["customers"], seeded["rng_seed"]) == (window, 20, 1)
    ran = data("run", "--send-late", "--set", "low_spend_threshold=1000000")
    report = data("report")
    assert ran == report | {"run": {"note": "", "resume_at": None}}
    messages = data("messages")
    assert {entry["status"] for entry in messages} == {"accepted", "skipped"}
    assert data("messages", "reconcile") == {"window": window, "found": 0, "not_found": 0, "still_unknown": 0}
    made = data("keys", "create", "the app", "--scope", "events", "--scope", "read", "--expires", "2099-01-31")
    assert made["key"].startswith(f"engage_{made['key_id']}_")
    [key] = data("keys", "list")
    assert key == {name: value for name, value in made.items() if name != "key"}
    assert (key["scopes"], key["expires_at"]) == (["events", "read"], "2099-02-01T00:00:00+00:00")
    maintained = data("maintain")
    assert maintained == {"idempotency_keys": 0, "event_ids": 0, "inbound_texts": 0, "alerts": 0, "dropped": [],
                          "late_events": 0, "kept": [], "test_messages": 0, "unarchived": []}  # fmt: skip
    forgotten = data("customers", "forget", str(messages[0]["customer_id"]))
    assert (forgotten["known"], forgotten["messages"]) == (True, 1)
    found = times([seeded, ran, report, messages, key])
    assert len(found) > 20
    assert [time for time in found if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", time)] == []


def test_a_dry_run_prints_what_would_have_been_queued(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "200", "--rng-seed", "1")
    late = engage("run", "--dry-run", "--set", "send_within_days=1")
    assert late.returncode == 0, late.stderr
    assert re.search(r"A run would have queued\s+", late.stdout)
    assert re.search(r"too_late\W+\d+", late.stdout)
    assert re.search(r"all\W+0\W+0\b", late.stdout)
    assert "With --send-late a run texts them." in late.stdout
    dry = engage("run", "--dry-run", "--send-late")
    preview = json.loads(engage("run", "--dry-run", "--send-late", "--json").stdout)["run"]
    queued, segments = preview["would_queue"]["messages"], preview["would_queue"]["segments"]
    for bucket in ("BOOST", "REWARD"):
        assert re.search(rf"{bucket}\W+{queued[bucket]}\W+{segments[bucket]}\b", dry.stdout)
    assert re.search(rf"all\W+{sum(queued.values())}\W+{sum(segments.values())}\b", dry.stdout)
    for reason, count in preview["would_skip"].items():
        assert re.search(rf"skipped\W+{reason}\W+{count}\b", dry.stdout)
    assert "A dry run: nothing was queued" in dry.stdout
    assert json.loads(engage("report", "--json").stdout)["messages"]["total"] == 0
    engage("run", "--send-late")
    report = json.loads(engage("report", "--json").stdout)["messages"]
    assert report["by_status"]["accepted"] == sum(queued.values())
    assert report["segments"] == sum(segments.values())
    assert report["skipped_by_reason"] == preview["would_skip"]
    frozen = engage("run", "--dry-run", "--send-late")
    assert "The campaign is frozen, so nothing was changed." in frozen.stdout
    assert "would have queued" not in frozen.stdout


def test_maintenance_says_what_it_did(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "20", "--rng-seed", "1", "--window-start", "2025-03-03")
    kept = engage("maintain", "--keep-windows", "1")
    assert kept.returncode == 0
    assert "kept because they have no complete campaign: 2025-03-03\n" in kept.stdout
    assert "The events of 2025-03-03 to 2025-04-28 are past their retention" in kept.stderr
    engage("run", "--window-start", "2025-03-03")
    gone = engage("maintain", "--keep-windows", "1")
    assert "Windows whose events were dropped: 2025-03-03\n" in gone.stdout
    assert "Deleted 0 idempotency keys, 0 event ids, 0 records of customers' texts" in gone.stdout
    assert gone.stderr == ""


def test_a_retention_that_cannot_be_is_refused(engage):
    refused = engage("maintain", "--keep-windows", "0")
    assert refused.returncode == 1
    assert "--keep-windows is 0, which is not allowed: it takes a whole number of windows from 1 to" in refused.stderr


def test_a_window_that_is_not_complete_is_refused(engage):
    engage("db", "upgrade")
    refused = engage("run", "--window-start", "2099-11-16")
    assert refused.returncode == 1
    assert "is not" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_without_the_schema_is_named_as_such(engage):
    refused = engage("report")
    assert refused.returncode == 1
    assert "db upgrade" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_ledger_the_brake_and_the_ways_to_settle_from_the_command_line(engage, empty_url):
    engage("db", "upgrade")
    engage("seed", "--customers", "20", "--rng-seed", "1")
    engage("run", "--send-late", "--set", "low_spend_threshold=1000000")
    start = json.loads(engage("report", "--json").stdout)["window"]["start"][:10]

    listed = json.loads(engage("messages", "--status", "accepted", "--json").stdout)
    assert listed
    assert {entry["phone"][0] for entry in listed} == {"…"}
    assert "+999" not in engage("messages").stdout
    customer_id = str(listed[0]["customer_id"])

    settle = ["messages", "resolve", customer_id, "--window-start", start, "--as", "failed", "--why", "they told us"]
    refused = engage(*settle)
    assert refused.returncode == 1
    assert "is accepted, and only an unknown one can be settled" in refused.stderr
    engine = connection.connect(empty_url)
    with engine.begin() as conn:
        conn.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
        conn.execute(sa.text(f"UPDATE message SET status = 'unknown' WHERE customer_id = {customer_id}"))
    unknown = engage("messages", "--status", "unknown")
    assert customer_id in unknown.stdout
    assert f"Unknown: customer {customer_id}, phone …" in engage("report").stdout
    assert engage(*settle, "--by", "ada").returncode == 0
    assert "(ada: they told us)" in engage("messages", "--status", "failed").stdout

    halt = ["messages", "halt", "--window-start", start, "--why", "a typo [/ops]", "--by", "ada"]
    finished = engage(*halt)
    assert finished.returncode == 1
    assert "is finished, and cannot be halted: none of its messages waits or is on its way." in finished.stderr

    assert "0 found at the provider" in engage("messages", "reconcile", "--window-start", start).stdout
    assert "is forgotten" in engage("customers", "forget", customer_id).stdout
    assert "no customer" in engage("customers", "forget", customer_id).stdout
    wrong = engage("messages", "--status", "lost")
    assert wrong.returncode == 1
    assert "There is no status 'lost'" in wrong.stderr
    engine.dispose()


def test_a_campaign_whose_messages_wait_is_halted_and_resumed_from_the_command_line(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "20", "--rng-seed", "1")
    run = ["run", "--send-late", "--set", "low_spend_threshold=1000000"]
    assert "max_messages_per_run allows 1" in engage(*run, "--set", "max_messages_per_run=1").stderr
    start = json.loads(engage("report", "--json").stdout)["window"]["start"][:10]
    halted = engage("messages", "halt", "--window-start", start, "--why", "a typo [/ops]", "--by", "ada")
    assert halted.returncode == 0, halted.stderr
    assert "by ada: a typo [/ops]" in engage("report").stdout
    assert [one["status"]["key"] for one in json.loads(engage("campaigns", "--json").stdout)] == ["halted"]
    assert engage("messages", "resume", "--window-start", start).returncode == 0
    assert "Halted" not in engage("report").stdout


def test_the_guard_stops_a_run_and_says_so_until_it_is_told_to_ignore_it(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "200", "--rng-seed", "1", "--window-start", "2025-01-06")
    assert engage("run", "--window-start", "2025-01-06").returncode == 0
    engage("seed", "--customers", "20", "--rng-seed", "1", "--window-start", "2025-03-03")
    run = ["run", "--window-start", "2025-03-03", "--send-late"]
    stopped = engage(*run)
    assert stopped.returncode == 1
    assert "The guard has stopped the campaign of the window 2025-03-03" in stopped.stderr
    assert "of the window before, and engage_guard_min_volume_percent is 50" in engage("report").stdout
    ignored = engage(*run, "--ignore-guard")
    assert ignored.returncode == 0, ignored.stderr
    assert "It was ignored by the run cli" in ignored.stdout
    assert json.loads(engage("report", "--json").stdout)["messages"]["by_status"]["accepted"]


def test_a_campaign_that_somebody_has_to_approve_of_texts_nobody_without_airflow(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "20", "--rng-seed", "1")
    done = engage("run", "--send-late", "--set", "require_approval=true")
    assert done.returncode == 1
    assert "require approval, as engage_require_approval was on" in done.stderr
    assert "Trigger a run of this window" in done.stderr
    for arguments in (["--send-late"], ["--dry-run"]):  # what was wanted is not forgotten, nor undone by the defaults
        again = engage("run", *arguments)
        assert again.returncode == 1
        assert "only Airflow can ask for it. No approval was requested." in again.stderr
        assert "--set require_approval=false" in again.stderr
    assert json.loads(engage("report", "--json").stdout)["messages"]["total"] == 0
    said = engage("run", "--send-late", "--set", "require_approval=false")
    assert said.returncode == 0, said.stderr
    assert json.loads(engage("report", "--json").stdout)["messages"]["by_status"]["accepted"]


def test_a_real_provider_without_an_account_is_refused_before_anything_is_sent(engage):
    engage("db", "upgrade")
    engage("seed", "--customers", "20", "--rng-seed", "1")
    real = ["run", "--send-late", "--set", "sms_provider=twilio"]
    assert json.loads(engage("report", "--json").stdout or "{}") == {}
    done = engage(*real)
    assert done.returncode == 0, done.stderr  # synthetic customers are never handed to it, so nothing waits
    assert "synthetic" in done.stdout
