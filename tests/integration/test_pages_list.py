"""The page *Campaigns*: what needs a person, the figures, the chart, the filters, the rows, and the run to start."""

import re
from contextlib import suppress
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.customers import profile
from engage.errors import GuardStop
from engage.formats import days
from engage.pages.campaign_list import Show, campaign_list
from engage.pages.campaign_trend import Trend
from engage.pages.runs import RunFacts
from engage.pages.viewer import NextRun, Viewer
from engage.reports import freshness
from engage.sending import queue
from engage.settings import Settings
from engage.steps import approve
from tests.integration.test_pages_campaigns import Tags, text_of

HOUR = timedelta(hours=1)
TWILIO = 'UPDATE campaign SET settings = settings || \'{"sms_provider": "twilio"}\''


@pytest.fixture
def several(world, in_window):
    """Five campaigns: a list that waits, one halted, one stopped by the guard, and two that were sent. Newest first."""
    windows = [world.window]
    while len(windows) < 5:
        windows.append(windows[-1].previous())
    worlds = [world, *map(in_window, windows[1:])]
    for _ in range(2):
        world.customer(registered_at=windows[-1].start)
    usual = {"min_days_between_messages": "0", "price_per_segment": "0.5"}
    for one in worlds:
        one.sessions(1)
    for one in worlds[3:]:
        one.computed(**usual)
        one.message()
    with suppress(GuardStop):
        worlds[2].computed(**usual, guard_max_quiet_days="3")
    worlds[1].computed(**usual, low_spend_threshold="120")
    queue.build(world.engine, worlds[1].window, options=RunOptions(), as_of=worlds[1].now)
    with world.engine.begin() as conn:
        campaign.halt(conn, worlds[1].window, by="ada", why="a typo", as_of=worlds[1].now)
    world.computed(**usual, require_approval="true", low_spend_threshold="120")
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=world.now)
    return worlds


def the_list(world, viewer=None, **options):
    return campaign_list(world.engine, viewer or Viewer(), Settings(), as_of=world.now, **options)


def start(one):
    return f"{one.window.start:%Y-%m-%d}"


def dates(one):
    return days(one.window.start, one.window.end)


def links(page):
    return [attributes["href"] for tag, attributes in Tags(page).tags if tag == "a"]


def rows(page):
    """The windows in the table, newest first."""
    table = page.partition('id="all-campaigns"')[2].partition("</section>")[0]
    return re.findall(r'<th role="rowheader"[^>]*><div><a href="report\?window_start=([\d-]+)"', table)


# --- what needs a person


def test_what_needs_a_person_stands_first_with_its_action(several):
    page = the_list(several[0])
    text = text_of(page)
    assert "3 campaigns need you" in text
    assert (
        f"{dates(several[0])}: 2 messages wait for an approval, about $1.00. The list rejects itself in 2 days." in text
    )
    assert f"{dates(several[1])}: 2 messages wait. Halted" in text
    assert "by ada: a typo" in text
    assert f"{dates(several[2])}: The guard has stopped it, with 1 finding." in text
    assert f"approval?window_start={start(several[0])}" in links(page)
    assert page.index("needs-you") < page.index("all-campaigns")


def test_what_the_watchdog_found_about_a_halted_campaign_stands_with_it(several):
    several[0].now += timedelta(days=70)
    several[0].execute(sa.text("UPDATE campaign SET frozen_at = opened_at WHERE halted_at IS NOT NULL"))
    page = the_list(several[0], Viewer(may_trigger=True))
    needs = text_of(page.partition('id="needs-you"')[2].partition("</section>")[0])
    assert needs.count(dates(several[1])) == 1
    assert "It is halted, and messages wait. Resume it first." in needs.partition(dates(several[1]))[2]


def test_a_campaign_whose_sender_is_lost_can_go_on_from_the_list(several):
    with several[0].engine.begin() as conn:
        campaign.resume(conn, several[1].window, as_of=several[1].now)
    several[0].execute(sa.text("UPDATE campaign SET status = 'sending', frozen_at = opened_at WHERE halted_at IS NULL "
                               f"AND window_start = '{several[1].window.start.isoformat()}'"))  # fmt: skip
    page = the_list(several[0], Viewer(may_trigger=True))
    assert "Of its messages 2 wait, and no sender is at work." in text_of(page)
    assert ("input", {"type": "hidden", "name": "window_start", "value": start(several[1])}) in Tags(page).tags
    assert "Go on…" in text_of(page)
    assert "Go on…" not in text_of(the_list(several[0]))


# --- the figures


def test_the_next_campaign_has_its_checks(several):
    world = several[0]
    run = NextRun(world.now + timedelta(days=38), world.now)
    text = text_of(the_list(world, Viewer(next_run=run)))
    assert "in 38 days · the DAG is on · settings valid ✓ · no events over HTTP in a week" in text
    paused = text_of(the_list(world, Viewer(next_run=NextRun(run.at, world.now, paused=True))))
    assert "Next campaign – the DAG is paused" in paused
    wrong = text_of(the_list(world, settings_error="engage_low_spend_threshold is 'abc'."))
    assert "settings are not valid" in wrong
    assert "The next run would stop: a setting is not valid engage_low_spend_threshold is 'abc'." in wrong


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(minutes=2), "in the last 10 minutes"),
        (timedelta(minutes=50), "in the last hour"),
        (timedelta(hours=20), "in the last day"),
        (timedelta(days=6), "in the last week"),
        (timedelta(days=8), None),
    ],
)
def test_the_newest_batch_of_events_has_an_age_in_words(world, ago, words):
    world.execute(
        sa.text("INSERT INTO intake_batch VALUES ('app', 'k', '\\x00', :at, '{}')").bindparams(at=world.now - ago)
    )
    with world.engine.connect() as conn:
        found = freshness.newest_batch(conn, world.now)
    assert (found and found[1]) == words


def test_the_last_campaign_that_was_sent_has_its_cost_and_its_change(several):
    world = several[0]
    text = text_of(the_list(world))
    assert f"Last campaign, texted 2 {dates(several[3])} · – on the one before · $1.00" in text
    assert "Delivered – the sandbox reports no receipts" in text


def test_the_share_that_was_delivered_is_that_of_real_messages(several):
    world = several[0]
    world.execute(sa.text(TWILIO))
    done = f"window_start = '{several[3].window.start.isoformat()}' AND reason IS NULL"
    for status, customer in (("delivered", 1), ("undelivered", 2)):
        world.execute(sa.text(f"UPDATE message SET status = '{status}' WHERE {done} AND customer_id = {customer}"))
    text = text_of(the_list(world))
    assert "Delivered, the last 2 sent 25.0% 1 not delivered · 0 unknown" in text


def test_opt_outs_are_counted_since_the_last_campaign(several):
    world = several[0]
    with world.engine.begin() as conn:
        profile.opt_out(conn, 2, as_of=several[3].now + HOUR)
    assert "Opt-outs since the last campaign 1" in text_of(the_list(world))


def test_without_a_campaign_there_are_no_figures(world):
    page = the_list(world, Viewer(may_trigger=True))
    assert "There is no campaign yet" in text_of(page)
    assert "Last campaign" not in text_of(page)
    assert "Run a campaign…" in text_of(page)


# --- the chart


@pytest.mark.parametrize(
    ("trend", "title", "cell"),
    [
        (Trend.SEGMENTS, "Customers by segment", "2 (100.0%)"),
        (Trend.MESSAGES, "Messages that the provider accepted", "2"),
        (Trend.DELIVERY, "What became of the messages", "2 (100.0%)"),
        (Trend.OPT_OUTS, "Opt-outs from each campaign up to the next one", "1"),
    ],
)
def test_each_chart_has_its_numbers_in_a_table(several, trend, title, cell):
    with several[0].engine.begin() as conn:
        profile.opt_out(conn, 2, as_of=several[3].now + HOUR)
    page = the_list(several[0], trend=trend)
    table = page.partition(f'aria-label="{title}, as a table"')[2].partition("</table>")[0]
    row = table.partition(f">{dates(several[3])}<")[2].partition("</tr>")[0]
    assert f">{cell}<" in row
    chip = {"href": f"campaigns?trend={trend}#over-time" if trend != "segments" else "campaigns#over-time",
            "aria-current": "true"}  # fmt: skip
    assert ("a", chip) in Tags(page).tags


def test_a_campaign_without_numbers_is_a_gap_that_says_why(several):
    page = the_list(several[0], trend=Trend.MESSAGES)
    assert page.count("not sent") >= 2  # the halted one, and the one that waits
    assert "guard" in page.partition("data-chart=")[2].partition(">")[0]


# --- filters and rows


@pytest.mark.parametrize(
    ("show", "places"),
    [(Show.ALL, [0, 1, 2, 3, 4]), (Show.ATTENTION, [0, 1, 2]), (Show.SENT, [3, 4]), (Show.NOT_SENT, [0, 1, 2])],
)
def test_a_filter_shows_the_campaigns_that_it_counts(several, show, places):
    page = the_list(several[0], show=show)
    assert rows(page) == [start(several[place]) for place in places]
    text = text_of(page)
    assert "All 5 Needs attention 3 Sent 2 Not sent 3" in text
    assert f"1 – {len(places)} of {len(places)}" in text


def test_a_filter_without_a_campaign_says_so(world):
    world.sessions(world.customer())
    world.computed()
    assert "No campaign fits this filter." in text_of(the_list(world, show=Show.SENT))


def test_a_row_has_outcome_cost_and_the_thresholds_that_changed(several):
    page = the_list(several[0])
    text = text_of(page)
    assert f"{dates(several[3])} Sent 2 100.0% · 0.0% · 0.0% 2 2 accepted $1.00 < $100 > 5 a week" in text
    assert f"{dates(several[1])} Halted 0% sent 2 100.0% · 0.0% · 0.0% 2 2 waiting – < $120 changed > 5 a week" in text
    assert f"{dates(several[2])} Stopped by the guard – not computed – – – < $100 > 5 a week" in text
    assert page.count('class="unseen"> changed<') == 1  # the newest has the same as the one before
    assert f"messages?window_start={start(several[3])}&status=accepted" in links(page)


def test_a_row_says_how_it_came_to_be_computed(several):
    world = several[0]
    asked = []
    facts = lambda run_ids: asked.extend(run_ids) or {"test": RunFacts("manual", "ben")}  # noqa: E731
    assert f"{dates(world)} run by ben" in text_of(the_list(world, facts=facts))
    assert asked == ["test"] * 5
    world.execute(sa.text("UPDATE campaign SET run_id = 'cli'"))
    assert f"{dates(world)} command line" in text_of(the_list(world))


# --- the run to start


def test_the_dialog_offers_the_complete_windows_and_the_risks_in_words(several):
    page = the_list(several[0], Viewer(may_trigger=True))
    text = text_of(page)
    assert f"{dates(several[0])}, waiting for approval" in text
    assert f"{dates(several[4])}, sent" in text
    assert "not computed yet" in text
    assert "A message that is out cannot be taken back." in text
    names = {attributes["name"] for tag, attributes in Tags(page).tags if "name" in attributes and tag != "meta"}
    assert names >= {"window_start", "dry_run", "send_late", "ignore_guard", "seed", "customers", "rng_seed"}
    assert "Run a campaign" not in text_of(the_list(several[0]))
