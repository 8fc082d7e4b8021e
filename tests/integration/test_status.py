"""A campaign in each status for people, made by the steps themselves, and the same in list, report, command and API."""

import json
import re
from contextlib import suppress

import pytest

from engage.campaigns import campaign, message_counts
from engage.campaigns.run_options import RunOptions
from engage.campaigns.status import StatusKey, tally
from engage.errors import GuardStop, NothingToHalt, TooManyMessages
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.viewer import Viewer
from engage.reports import customer_history
from engage.reports.campaign_list import comparable, listed
from engage.reports.report import of
from engage.sending.sender import SendingContext
from engage.settings import Settings, validate
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.steps.message import message
from tests.integration.conftest import UNGUARDED
from tests.integration.texting import NOON_IN_NEW_YORK
from tests.phones import fictional_phone

LABELS = {
    "computing": "Computing",
    "computed": "Computed",
    "stopped_by_guard": "Stopped by the guard",
    "dry_run": "Dry run",
    "backfilled": "Backfilled",
    "queued": "Queued",
    "waiting_for_approval": "Waiting for approval",
    "rejected": "Rejected",
    "sending": "Sending 35%",
    "halted": "Halted",
    "sent": "Sent",
}
NEED_A_PERSON = {"stopped_by_guard", "waiting_for_approval", "halted"}
MAY_BE_HALTED = {"computing", "computed", "stopped_by_guard", "queued", "waiting_for_approval", "sending"}
PEOPLE, AWAKE = 20, 7
STEPS = 4


class Runs:
    """Runs of one window, as the DAG makes them. At noon in New York, 7 of the 20 customers may be texted."""

    def __init__(self, world):
        self.world = world
        world.now = NOON_IN_NEW_YORK
        for n in range(PEOPLE):
            zone = "America/New_York" if n < AWAKE else "Pacific/Honolulu"
            world.sessions(world.customer(phone=fictional_phone(n), time_zone=zone), 3)

    def run(self, *, steps=STEPS, options=None, **settings):
        """Run the first steps of the DAG."""
        world, options = self.world, options or RunOptions()
        chosen = validate(UNGUARDED | settings)
        context = SendingContext(lambda: world.now)
        for step in (
            lambda: extract(world.engine, world.window, chosen, as_of=world.now, run_id="a run", options=options),
            lambda: aggregate(world.engine, world.window),
            lambda: bucket(world.engine, world.window),
            lambda: message(world.engine, world.window, options=options, context=context),
        )[:steps]:
            step()

    def ask(self):
        self.run(steps=3, require_approval="true")
        options = RunOptions()
        world = self.world
        approve.ask(world.engine, world.window, options=options, run_id="a run", as_of=world.now)

    def answer(self, *, approved):
        world = self.world
        approve.answer(world.engine, world.window, approved=approved, by="ada", run_id="a run", as_of=world.now)

    # --- one for each status

    def computing(self):
        self.run(steps=2)

    def computed(self):
        self.run(steps=3)

    def stopped_by_guard(self):
        self.run(guard_max_quiet_days="3")

    def dry_run(self):
        self.run(options=RunOptions(dry_run=True))

    def backfilled(self):
        self.run(options=RunOptions(backfill=True))

    def queued(self):
        self.run(max_messages_per_run="1")

    def waiting_for_approval(self):
        self.ask()

    def rejected(self):
        self.ask()
        self.answer(approved=False)

    def sending(self):
        self.run(sandbox_strict="true")

    def halted(self):
        self.sending()
        with self.world.engine.begin() as conn:
            campaign.halt(conn, self.world.window, by="ada", why="a typo", as_of=self.world.now)

    def sent(self):
        self.run()


@pytest.fixture
def runs(world):
    return Runs(world)


def make(runs, key):
    """Bring the campaign into a status. Some runs of it fail, as they should."""
    with suppress(GuardStop, TooManyMessages):
        getattr(runs, key)()


def test_each_status_has_a_label_here():
    assert list(LABELS) == list(StatusKey)


@pytest.mark.parametrize("key", LABELS)
def test_a_campaign_shows_its_status_everywhere(runs, world, api, command, key):
    make(runs, key)
    label = LABELS[key]

    page = campaign_list(world.engine, Viewer(), Settings(), as_of=world.now)
    [pill] = re.findall(r'<span class="pill[^"]*">([^<]*)</span>', page)
    assert pill == label
    assert f">{label}</span>" in campaign_report(world.engine, Viewer(), world.window)

    with world.engine.connect() as conn:
        report = of(conn, world.window).to_dict()
        [line] = listed(conn, limit=9)
    assert report["status"] == line.to_dict()["status"]
    assert (report["status"]["key"], report["status"]["label"]) == (key, label)
    assert report["status"]["needs_person"] == (key in NEED_A_PERSON)

    [shown] = json.loads(command("campaigns", "--json"))
    assert shown["status"] == json.loads(json.dumps(report["status"]))
    assert label in command("campaigns")
    assert f"({label})" in command("report")
    assert json.loads(command("report", "--json"))["status"]["key"] == key

    theirs = api.get("/v1/customers/1").json()["campaign"]
    if report["buckets"]:
        assert (theirs["status"], theirs["status_label"]) == (key, label)
    else:
        assert theirs is None
    metrics = api.get("/metrics").text
    assert {found for found in LABELS if f'engage_campaigns{{status="{found}"}} 1.0' in metrics} == {key}


@pytest.mark.parametrize("key", LABELS)
def test_only_a_campaign_with_messages_that_may_go_out_is_halted(runs, world, key):
    make(runs, key)
    with world.engine.begin() as conn:
        if key in MAY_BE_HALTED:
            assert campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)
        elif key == "halted":
            assert not campaign.halt(conn, world.window, by="ben", why="another typo", as_of=world.now)
        else:
            with pytest.raises(NothingToHalt, match="none of its messages waits or is on its way"):
                campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)


@pytest.mark.parametrize("key", LABELS)
def test_the_kept_counts_are_those_of_the_ledger(runs, world, key):
    make(runs, key)
    with world.engine.connect() as conn:
        kept, counted = message_counts.of(conn, world.window), message_counts.counted(conn)
    assert set(kept.groups) == set(counted.groups)


def status(world):
    with world.engine.connect() as conn:
        [line] = listed(conn, limit=9)
    return line.status


def test_messages_that_wait_for_the_morning_have_the_colour_of_a_task_that_does(runs, world):
    make(runs, "sending")
    assert (status(world).tone, status(world).percent) == ("up_for_reschedule", 35)


def test_a_halted_campaign_keeps_how_many_of_its_messages_have_gone(runs, world):
    make(runs, "halted")
    assert status(world).percent == 35
    with world.engine.connect() as conn:
        counts = of(conn, world.window).counts
    assert (counts.waiting, counts.on_their_way, counts.gone) == (PEOPLE - AWAKE, 0, AWAKE)


def test_an_approved_list_is_queued_until_a_sender_claims_it(runs, world):
    make(runs, "waiting_for_approval")
    runs.answer(approved=True)
    assert status(world).key == "queued"


@pytest.mark.parametrize("after", ["backfilled", "dry_run", "sent", "computed"])
def test_a_rejected_campaign_that_is_computed_again_is_no_longer_rejected(runs, world, after):
    make(runs, "rejected")
    make(runs, after)
    assert status(world).key == after


@pytest.mark.parametrize("options", [RunOptions(dry_run=True), RunOptions(backfill=True), RunOptions(send_late=True)])
def test_a_run_of_a_sent_campaign_leaves_it_sent(runs, world, options):
    make(runs, "sent")
    runs.run(options=options)
    assert status(world).key == "sent"


def test_a_campaign_that_came_too_late_is_computed(runs, world):
    world.now = world.window.next().end
    make(runs, "sent")
    assert status(world).key == "computed"
    with world.engine.connect() as conn:
        assert of(conn, world.window).messages["skipped_by_reason"] == {"too_late": PEOPLE}


def test_a_backfill_with_odd_data_is_not_stopped_and_says_so(runs, world):
    runs.run(options=RunOptions(backfill=True), guard_max_quiet_days="3")
    assert status(world).key == "backfilled"


def test_an_earlier_queue_does_not_count_while_a_campaign_is_computed_again(runs, world):
    make(runs, "queued")
    runs.run(steps=1)
    assert status(world).key == "computing"
    with world.engine.connect() as conn:
        found = of(conn, world.window)
    assert (found.counts, found.messages["total"], found.customers, found.buckets) == (None, 0, None, {})


def test_what_was_not_computed_is_never_zero(runs, world, command):
    make(runs, "stopped_by_guard")
    report = json.loads(command("report", "--json"))
    assert (report["customers"], report["buckets"]) == (None, {})
    assert re.search(r"all +│ not computed", command("report"))
    assert command("campaigns").count("not computed") == 2
    page = campaign_report(world.engine, Viewer(), world.window)
    assert "−100.0%" not in page


# --- the list


def test_the_command_lists_the_latest_campaigns_with_their_numbers(runs, command, in_window):
    runs.sent()
    earlier = in_window(runs.world.window.previous())
    earlier.sessions(1, 3)
    earlier.computed(low_spend_threshold="12.5", high_activity_threshold="0.25")
    newest, older = json.loads(command("campaigns", "--json"))
    assert newest["messages"] == {
        "total": PEOPLE,
        "by_status": {"accepted": PEOPLE},
        "skipped_by_reason": {},
        "segments": PEOPLE,
        "charged_segments": PEOPLE,
    }
    assert (newest["customers"], newest["buckets"]) == (PEOPLE, {"BOOST": PEOPLE, "REWARD": 0, "NONE": 0})
    assert older["thresholds"] == {"low_spend_threshold": 12.5, "high_activity_threshold": 0.25}
    table = command("campaigns")
    for cell in ("20 BOOST", "0 REWARD", "20 accepted", "segments", "< 12.50", "> 0.25"):
        assert cell in table
    assert "There are more campaigns; --limit shows them." in command("campaigns", "--limit", "1")
    assert [one["window"] for one in json.loads(command("campaigns", "--limit", "1", "--json"))] == [newest["window"]]


def test_without_a_campaign_the_command_says_what_to_do(world, command):
    assert "There is no campaign yet: trigger a run of the DAG first" in command("campaigns")
    assert json.loads(command("campaigns", "--json")) == []


def test_a_campaign_is_compared_with_the_last_one_that_was_sent(runs, in_window):
    world = runs.world
    runs.sent()
    windows = [world.window]
    for _ in range(3):
        windows.append(windows[-1].previous())
        earlier = in_window(windows[-1])
        earlier.sessions(earlier.customer(customer_id=len(windows) * 1000))
        earlier.computed()
    in_window(windows[2]).message()
    with world.engine.connect() as conn:
        found = comparable(conn, world.window)
        assert found.default == windows[2]
        assert {window: status.key for window, status in found.campaigns.items()} == {
            windows[1]: "computed",
            windows[2]: "sent",
            windows[3]: "computed",
        }
        assert comparable(conn, windows[2]).default is None
        assert list(comparable(conn, windows[2]).campaigns) == [windows[0], windows[1], windows[3]]


def test_campaigns_are_counted_by_status(runs, in_window):
    runs.sent()
    earlier = in_window(runs.world.window.previous())
    earlier.sessions(1)
    earlier.extract()
    with runs.world.engine.connect() as conn:
        counts = tally(conn)
    assert {key: count for key, count in counts.items() if count} == {"computing": 1, "sent": 1}
    assert list(counts) == list(StatusKey)


def test_a_customers_history_names_each_campaigns_status(runs, in_window):
    runs.sent()
    earlier = in_window(runs.world.window.previous())
    earlier.sessions(1)
    earlier.computed()
    with runs.world.engine.connect() as conn:
        found = customer_history.campaigns(conn, 1, limit=9)
    assert [(one["status"], one["status_label"]) for one in found] == [("sent", "Sent"), ("computed", "Computed")]
