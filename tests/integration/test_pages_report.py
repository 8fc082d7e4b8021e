"""The page *Campaign report*: its steps, figures, losses, texts, comparison and activity."""

import re
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop
from engage.formats import days
from engage.pages import campaign_progress, campaign_stepper
from engage.pages.campaign_progress import Before
from engage.pages.campaign_report import campaign_report
from engage.pages.runs import RunFacts, words
from engage.pages.viewer import Viewer
from engage.reports import report
from engage.sending import queue
from engage.steps import approve
from tests.integration.test_pages_campaigns import Tags, text_of
from tests.integration.test_status import Runs, make

VIEWER = Viewer()
NAMES = ["Extracted", "In segments", "Guard", "Approval", "Queued", "Sent"]
STATES = {
    "computing": ["done", "current", "todo", "skipped", "todo", "todo"],
    "computed": ["done", "done", "done", "skipped", "todo", "todo"],
    "stopped_by_guard": ["done", "todo", "stopped", "skipped", "todo", "todo"],
    "dry_run": ["done", "done", "done", "skipped", "skipped", "skipped"],
    "backfilled": ["done", "done", "done", "skipped", "skipped", "skipped"],
    "queued": ["done", "done", "done", "skipped", "done", "todo"],
    "waiting_for_approval": ["done", "done", "done", "waiting", "done", "todo"],
    "rejected": ["done", "done", "done", "stopped", "skipped", "skipped"],
    "sending": ["done", "done", "done", "skipped", "done", "waiting"],
    "halted": ["done", "done", "done", "skipped", "done", "stopped"],
    "sent": ["done", "done", "done", "skipped", "done", "done"],
}
LOOKS_AGAIN = {"computing", "queued", "sending"}


@pytest.fixture
def runs(world):
    return Runs(world)


@pytest.fixture
def done(world):
    """A campaign that has texted one of three customers, at a price. One customer is in NONE."""
    world.purchase(world.customer(name="Ada Diaz"), 100)
    world.sessions(world.customer(phone=None), 3)
    world.purchase(world.customer(), 500_00)
    world.computed(message_boost="Hi {{ first_name }}! Reply STOP to opt out.", price_per_segment="0.0079")
    world.message()
    return world


def page_of(world, **options):
    return campaign_report(world.engine, options.pop("viewer", VIEWER), world.window, **options)


def found(world):
    with world.engine.connect() as conn:
        return report.of(conn, world.window)


def links(page):
    return [attributes["href"] for tag, attributes in Tags(page).tags if tag == "a"]


# --- the steps


@pytest.mark.parametrize("key", STATES)
def test_each_status_has_its_steps(runs, world, key):
    make(runs, key)
    steps = campaign_stepper.steps(found(world))
    assert [step.name for step in steps] == NAMES
    assert [step.state for step in steps] == STATES[key]
    assert text_of(page_of(world)).count("Where the campaign stands") == 0  # it is the name of the list
    assert 'aria-label="Where the campaign stands"' in page_of(world)


def test_the_steps_have_figures_and_times(done):
    text = text_of(page_of(done))
    assert "Extracted done 3 sessions, 2 purchases 09:00:00 UTC" in text
    assert re.search(r"In segments done 3 customers, in [\d.]+ s", text)
    assert "Guard done nothing odd Approval left out not required Queued done 1, 1 skipped Sent done 1 09:00" in text


def test_events_that_do_not_count_stand_with_the_first_step(world):
    world.sessions(world.customer(), 2)
    world.sessions(None)
    world.extract()
    assert "2 sessions, 0 purchases, 1 event rejected" in text_of(page_of(world))


# --- while messages go out


@pytest.mark.parametrize("key", STATES)
def test_a_page_looks_again_only_while_a_campaign_moves_by_itself(runs, world, key):
    make(runs, key)
    assert ("data-again" in page_of(world)) == (key in LOOKS_AGAIN)
    assert ("data-again" in campaign_progress.progress(world.engine, world.window)) == (key in LOOKS_AGAIN)


@pytest.fixture
def sending(runs, world):
    """A campaign of which 7 of 20 messages have gone; its sender is at work."""
    make(runs, "sending")
    world.execute(sa.text("UPDATE campaign SET resume_at = NULL"))
    return world


def test_the_rate_and_the_time_left_are_those_since_the_last_look(sending):
    before = Before(gone=3, age=timedelta(seconds=2))
    text = text_of(campaign_progress.progress(sending.engine, sending.window, before))
    assert "Sending 35% · 7 of 20 messages gone · 2 a second · about 6 s left" in text  # 13 messages left
    still = text_of(campaign_progress.progress(sending.engine, sending.window, Before(7, timedelta(seconds=2))))
    assert "7 of 20 messages gone" in still
    assert "left" not in still.partition("gone")[2].partition("Texted")[0]


def test_the_first_look_has_the_average_since_the_first_message(sending):
    sending.execute(sa.text("UPDATE message SET sending_at = sending_at - interval '14 seconds' WHERE customer_id = 1"))
    text = text_of(campaign_progress.progress(sending.engine, sending.window))
    assert "30 a minute · about 26 s left" in text


def test_messages_that_wait_for_the_morning_have_no_rate(runs, world):
    make(runs, "sending")
    text = text_of(campaign_progress.progress(world.engine, world.window, Before(0, timedelta(seconds=5))))
    assert "goes on" in text
    assert "a second" not in text


def test_a_halted_campaign_is_not_looked_at_again(sending):
    with sending.engine.begin() as conn:
        campaign.halt(conn, sending.window, by="ada", why="a typo", as_of=sending.now)
    assert "data-again" not in campaign_progress.progress(sending.engine, sending.window)


@pytest.mark.parametrize(
    ("rate", "words"), [(2674.2, "2,674 a second"), (1, "1 a second"), (0.5, "30 a minute"), (0.005, "18 an hour")]
)
def test_a_rate_has_the_unit_that_fits(rate, words):
    assert campaign_stepper.rate_in_words(rate) == words


# --- the figures


def test_the_sandbox_reports_no_receipts_rather_than_zero(done):
    text = text_of(page_of(done))
    assert "Texted 1 33.3% of 3 customers" in text
    assert "Delivered – the sandbox reports no receipts Not delivered – the sandbox delivers no message" in text
    assert 'class="value tone-failed"' not in page_of(done)
    assert "Cost $0.01 1 SMS segment at $0.0079" in text
    assert "Opted out since 0 0.0% of those texted" in text


def test_without_a_price_there_is_no_cost(world):
    world.sessions(world.customer())
    world.computed()
    world.message()
    text = text_of(page_of(world))
    assert "SMS segments 1 engage_price_per_segment shows their cost" in text
    assert "$0.00" not in text
    assert found(world).cost is None


def test_what_a_real_provider_reports_is_counted_and_each_count_leads_to_its_messages(done):
    done.execute(sa.text('UPDATE campaign SET settings = settings || \'{"sms_provider": "twilio"}\''))
    assert "Delivered 0 0.0% · 1 accepted, no receipt yet Not delivered 0 no message failed" in text_of(page_of(done))
    done.execute(sa.text("UPDATE message SET status = 'undelivered', settled_at = accepted_at WHERE reason IS NULL"))
    page = page_of(done)
    assert "Not delivered 1 1 undelivered" in text_of(page)
    assert 'class="value tone-failed">1<' in page
    assert f"messages?window_start={done.window.start:%Y-%m-%d}&status=undelivered" in links(page)


def test_the_cost_stands_in_the_json_too(done):
    assert found(done).to_dict()["cost"] == "0.0079"


# --- the funnel


def test_each_loss_has_its_reason_and_leads_to_its_messages(done):
    done.execute(sa.text('UPDATE campaign SET settings = settings || \'{"sms_provider": "twilio"}\''))
    page = page_of(done)
    start = f"{done.window.start:%Y-%m-%d}"
    text = text_of(page)
    assert "In BOOST or REWARD 2 66.7% 1 in NONE" in text
    assert "May be texted 1 33.3% 1 no phone" in text
    assert "Delivered 0 0.0% 1 accepted, no receipt yet" in text
    assert f"messages?window_start={start}&reason=no_phone" in links(page)
    assert f"messages?window_start={start}&status=accepted" in links(page)
    assert f"messages?window_start={start}&segment=BOOST" in links(page)


def test_the_sandbox_has_no_last_stage(done):
    funnel = page_of(done).partition('id="funnel"')[2].partition("</section>")[0]
    assert "Delivered – – the sandbox reports no receipts" in text_of(funnel)


def test_messages_that_wait_are_a_loss_before_the_provider(world):
    world.sessions(world.customer())
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    page = page_of(world)
    assert "Accepted by the provider 0 0.0% 1 waiting" in text_of(page)
    assert f"messages?window_start={world.window.start:%Y-%m-%d}&status=queued" in links(page)


# --- the texts


def test_the_texts_are_those_of_real_customers_with_what_they_cost(done):
    text = text_of(page_of(done))
    assert "BOOST 1 customer Hi Ada! Reply STOP to opt out." in text
    assert (
        "30 characters · 1 segment · plain letters · $0.0079 each As customer 1 reads it. 1 SMS segment in all" in text
    )
    assert "REWARD no customer Thank you for being a regular!" in text
    assert "<mark>Ada</mark>" in page_of(done)


def test_a_customers_name_stays_text(world):
    world.sessions(world.customer(name="<script>alert(1)</script>"))
    world.computed(message_boost="Hi {{ name }}! Reply STOP to opt out.")
    world.message()
    assert "<mark>&lt;script&gt;" in page_of(world)
    assert "<script>alert" not in page_of(world)


def test_a_campaign_without_buckets_has_no_texts(world):
    world.sessions(world.customer())
    world.extract()
    assert "The texts" not in text_of(page_of(world))


# --- the comparison


def test_another_campaign_can_be_chosen_to_compare_with(done, in_window):
    earlier = in_window(done.window.previous())
    earlier.sessions(1)
    earlier.computed(min_days_between_messages="0")
    earlier.message()
    page = page_of(done)
    dates = days(earlier.window.start, earlier.window.end)
    assert f"{dates}, the last one sent" in text_of(page)
    assert ("option", {"value": f"{earlier.window.start:%Y-%m-%d}", "selected": None}) in Tags(page).tags
    assert "Cost – $0.01 –" in text_of(page)
    in_run = page_of(done, in_run=True)
    assert f"Compared with the campaign of {dates}" in text_of(in_run)
    assert "<select" not in in_run
    assert 'name="against"' not in in_run


# --- the activity


def events(page):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", page.partition('class="timeline">')[2].partition("</ol>")[0]))


def test_the_activity_tells_what_happened_newest_first(unapproved):
    world = unapproved
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=world.now)
    answered = world.now + timedelta(hours=1)
    approve.answer(world.engine, world.window, approved=True, by="ada", run_id="a run", as_of=answered)
    world.now += timedelta(hours=2)
    world.message()
    run = RunFacts("manual", "ben", world.now - timedelta(hours=3), {"send_late": True, "dry_run": False})
    told = events(page_of(world, facts=lambda asked: dict.fromkeys(asked, run)))
    order = ["Sent 2 messages", "Sending began", "Approved by ada", "Approval was requested",
             "Extracted 48 sessions and 1 purchase", "ben triggered a run, with send late"]  # fmt: skip
    places = [told.find(words) for words in order]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize(("kind", "words"), [("scheduled", "Run started by the schedule"), ("manual", "Run started"),
                                             ("operator_triggered", "Run started")])  # fmt: skip
def test_only_a_scheduled_run_is_the_schedules(sending, kind, words):
    run = RunFacts(kind, None, sending.now - timedelta(hours=3))
    told = events(page_of(sending, facts=lambda asked: dict.fromkeys(asked, run)))
    assert words in told
    assert ("by the schedule" in told) == (kind == "scheduled")


def test_a_halt_and_its_end_are_in_the_activity(sending):
    with sending.engine.begin() as conn:
        campaign.halt(conn, sending.window, by="ada", why="a typo", as_of=sending.now + timedelta(hours=1))
    assert "Halted by ada: a typo" in events(page_of(sending))
    with sending.engine.begin() as conn:
        campaign.resume(conn, sending.window, as_of=sending.now + timedelta(hours=2))
    assert events(page_of(sending)).strip().startswith("Resumed")


def test_no_time_is_raw_in_the_text_of_a_report(unapproved):
    approve.ask(unapproved.engine, unapproved.window, options=RunOptions(), run_id="a run", as_of=unapproved.now)
    page = page_of(unapproved)
    assert re.findall(r">[^<]*\d{4}-\d{2}-\d{2}[T ]\d{2}:", page) == []
    assert "Approval was requested on <time" in page
    assert f"approval?window_start={unapproved.window.start:%Y-%m-%d}" in links(page)


def test_the_newest_event_of_the_guard_is_a_time(world):
    world.sessions(world.customer(), 3)
    with suppress(GuardStop):
        world.extract(guard_max_quiet_days="3")
    page = page_of(world)
    assert "The newest event is of <time" in page
    assert "17 Sep 2026, 00:00 UTC, 53.0 days before the window's end" in text_of(page).replace("&#39;", "'")


@pytest.mark.parametrize(
    ("run_id", "facts", "text"),
    [
        ("cli", None, "command line"),
        ("gone", None, ""),
        ("m", RunFacts("manual", "ada"), "run by ada"),
        ("m", RunFacts("manual"), "run"),
        ("s", RunFacts("scheduled", "ada"), "scheduled run"),
        ("b", RunFacts("backfill", "ada"), "backfill by ada"),
        ("b", RunFacts("backfill"), "backfill"),
    ],
)
def test_a_run_is_named_in_words(run_id, facts, text):
    assert words(run_id, facts) == text
