"""The pages about campaigns, as HTML and as CSV."""

import csv
import io
import re
from contextlib import suppress
from datetime import timedelta
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import GuardStop, NotReady
from engage.formats import days
from engage.pages.campaign_list import SHOWN, campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.csv_download import counts_csv, safe_cell
from engage.pages.static_files import address, content, names
from engage.pages.viewer import Viewer
from engage.sending import queue
from engage.settings import Settings
from engage.steps import approve
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.window import Window

EVIL = "</td></script><script>alert(1)</script><img src=x onerror=alert(1)>"
VIEWER = Viewer()
HOUR = timedelta(hours=1)


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.text += " "

    def handle_data(self, data):
        self.text += data


def the_list(world, viewer=VIEWER, before=None):
    return campaign_list(world.engine, viewer, Settings(), before=before, as_of=world.now)


def text_of(page):
    return " ".join(Tags(page).text.split())


@pytest.fixture
def done(world):
    """A campaign that has texted one of two customers."""
    world.purchase(world.customer(), 100)
    world.sessions(world.customer(phone=None), 3)
    world.computed(message_boost=f"{EVIL} Reply STOP")
    world.message()
    return world


def test_the_report_says_what_was_answered_about_the_list(world):
    world.sessions(world.customer())
    world.computed(require_approval=True)
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=world.now)
    assert "Approval was requested on" in text_of(campaign_report(world.engine, VIEWER, world.window))
    approve.answer(world.engine, world.window, approved=False, by=EVIL, run_id="a run", as_of=world.now)
    page = campaign_report(world.engine, VIEWER, world.window)
    assert f"Its messages were rejected by {EVIL} on" in text_of(page)
    assert "<script>alert" not in page


def test_the_list_has_a_row_per_campaign_with_what_it_did(done):
    page = Tags(the_list(done))
    text = " ".join(page.text.split())
    assert ("a", {"href": f"report?window_start={done.window.start:%Y-%m-%d}"}) in page.tags
    assert "14 Sep – 9 Nov 2026 Sent 2 100.0% · 0.0% · 0.0%" in text
    assert "1 accepted" in text
    assert "1 skipped" in text
    shares = [attributes["aria-label"] for tag, attributes in page.tags if attributes.get("class") == "bar"]
    assert shares == ["BOOST 100.0%, REWARD 0.0%, NONE 0.0%", "accepted 100.0%"]


def test_the_list_links_to_the_run_unless_there_is_none(done):
    link = "/air/dags/customer_engagement/runs/test"
    assert link in the_list(done, Viewer(airflow="/air"))
    done.execute(sa.text("UPDATE campaign SET run_id = 'cli'"))
    assert "/runs/" not in the_list(done, Viewer(airflow="/air"))
    done.execute(sa.text("UPDATE campaign SET run_id = 'a/b+\"c'"))
    assert "/runs/a%2Fb%2B%22c" in the_list(done)


def test_without_a_campaign_the_list_says_what_to_do(world):
    assert "trigger a run of customer_engagement" in the_list(world)


def test_a_window_that_needs_the_operator_is_named_with_the_way_out(world):
    world.purchase(world.customer(), 100)
    world.computed()
    page = the_list(world)
    dates = days(world.window.start, world.window.end)
    assert f"A campaign needs you {dates}: Its run stopped when the campaign was bucketed." in text_of(page)
    assert "Go on" not in text_of(page)
    triggers = the_list(world, Viewer(may_trigger=True))
    assert ("input", {"type": "hidden", "name": "window_start", "value": f"{world.window.start:%Y-%m-%d}"}) in Tags(
        triggers
    ).tags
    assert "Go on…" in text_of(triggers)
    assert "needs you" not in text_of(the_list(world, before=world.window))


def test_a_halt_that_may_be_forgotten_has_to_be_resumed_first(world):
    world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    world.execute(sa.text("UPDATE campaign SET status = 'sending', frozen_at = opened_at, halted_at = opened_at"))
    world.now += timedelta(days=2)
    page = text_of(the_list(world, Viewer(may_trigger=True)))
    assert "It is halted, and messages wait. Resume it first." in page
    assert "Go on" not in page


def rows_of(page):
    """How many rows the table of campaigns has, with its head."""
    return page.partition('id="all-campaigns"')[2].partition("</section>")[0].count("<tr")


def test_older_campaigns_are_on_the_next_page(world):
    window = world.window
    for _ in range(SHOWN + 2):
        world.execute(sa.text(
            f"INSERT INTO campaign (window_start, window_end, status, settings, events, rejected, opened_at) VALUES "
            f"('{window.start.isoformat()}', '{window.end.isoformat()}', 'extracted', '{{}}', '{{}}', '{{}}', now())"
        ))  # fmt: skip
        window = window.previous()
    first = the_list(world)
    assert rows_of(first) == SHOWN + 1
    before = Window.named(re.findall(r"before=([\d-]+)", first)[0], world.now)
    second = the_list(world, before=before)
    assert rows_of(second) == 2 + 1
    assert "before=" not in second


def test_a_report_shows_the_campaign_at_every_stage(world):
    world.sessions(world.customer(), 3)
    world.extract()
    page = text_of(campaign_report(world.engine, VIEWER, world.window))
    assert f"{days(world.window.start, world.window.end)} Computing" in page
    assert "Customers not computed" in page
    assert "Delivered not computed" in page
    world.computed()
    page = text_of(campaign_report(world.engine, VIEWER, world.window))
    assert f"{days(world.window.start, world.window.end)} Computed" in page
    world.message()
    page = campaign_report(world.engine, VIEWER, world.window)
    assert f"{days(world.window.start, world.window.end)} Sent" in text_of(page)
    assert page.count('<svg class="area"') == 4


def test_a_report_is_held_against_the_last_campaign_that_was_sent(done, in_window):
    assert "Compared with" not in campaign_report(done.engine, VIEWER, done.window)
    earlier = in_window(done.window.previous().previous())
    earlier.sessions(earlier.customer())
    earlier.computed(low_spend_threshold="77", min_days_between_messages="0")
    between = in_window(done.window.previous())
    between.sessions(1)
    between.computed(low_spend_threshold="66")
    assert "Compared with" not in campaign_report(done.engine, VIEWER, done.window)
    earlier.message()
    page = campaign_report(done.engine, VIEWER, done.window)
    assert f"This campaign and the one of {days(earlier.window.start, earlier.window.end)}" in page
    assert "Low spend below $77 $100 –" in text_of(page)
    chosen = campaign_report(done.engine, VIEWER, done.window, against=between.window)
    assert f"This campaign and the one of {days(between.window.start, between.window.end)}" in chosen
    assert "Low spend below $66 $100 –" in text_of(chosen)
    assert "Messages not computed 2 –" in text_of(chosen)


def test_the_change_of_a_share_is_in_points_and_of_a_number_in_percent(done, in_window):
    earlier = in_window(done.window.previous())
    earlier.sessions(1, 4)
    for customer in (1, 2):
        earlier.purchase(customer, 100_00 if customer == 2 else 1)
    earlier.computed(min_days_between_messages="0")
    earlier.message()
    text = text_of(campaign_report(done.engine, VIEWER, done.window))
    assert "BOOST, of all customers 50.0% 100.0% +50.0 points" in text
    assert "NONE, of all customers 50.0% 0.0% −50.0 points" in text
    assert "Sessions 4 3 −25.0%" in text
    assert "Purchases 2 1 −50.0%" in text
    assert "Customers 2 2 –" in text
    assert "Messages 1 2 +100.0%" in text


@pytest.fixture
def odd(world, in_window):
    """A campaign with a quarter of the sessions of the one before, and with another bucket for every customer."""
    earlier = in_window(world.window.previous())
    people = [world.customer() for _ in range(4)]
    for one in people:
        earlier.sessions(one, 4, at=earlier.window.end - HOUR)
        earlier.purchase(one, 1_000_00, at=earlier.window.end - HOUR)
    earlier.computed()
    for one in people:
        world.sessions(one, 1, at=world.window.end - HOUR)
        world.purchase(one, 1, at=world.window.end - HOUR)
    return world


def begin(world, options):
    """Run the campaign up to its buckets, with the guard's usual limits."""
    with suppress(GuardStop):  # its findings are stored all the same
        extract(world.engine, world.window, Settings(), as_of=world.now, run_id="a_run", options=options)
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)


def test_what_the_guard_has_found_is_in_the_report_and_marked_in_the_list(odd):
    begin(odd, RunOptions())
    text = text_of(campaign_report(odd.engine, VIEWER, odd.window, against=odd.window.previous()))
    assert "What the guard found" in text
    assert "There are 4 sessions, 25.0% of the 16 of the window before, and engage_guard_min_volume" in text
    assert "BOOST has 100.0% of the customers, 100.0 points more than in the window before" in text
    assert "only a run that ignores the guard texts customers" in text
    assert "BOOST, of all customers 0.0% 100.0% +100.0 points" in text
    assert "Stopped by the guard 4 100.0%" in text_of(the_list(odd))


def test_a_run_that_was_told_to_ignore_the_guard_is_named_beside_what_it_ignored(odd):
    begin(odd, RunOptions(ignore_guard=True, by=EVIL))
    odd.message()
    page = campaign_report(odd.engine, VIEWER, odd.window)
    text = text_of(page)
    assert "There are 4 sessions, 25.0% of the 16" in text
    assert f"Ignored by a_run, triggered by {EVIL}" in text
    assert "no run texts anybody" not in text
    assert "guard ignored" in text_of(the_list(odd))
    assert_inert(page)


def test_a_run_may_have_been_told_to_ignore_a_guard_that_found_nothing(world):
    world.sessions(world.customer(), 1, at=world.window.end - HOUR)
    begin(world, RunOptions(ignore_guard=True))
    text = text_of(campaign_report(world.engine, VIEWER, world.window))
    assert "The guard found nothing. Ignored by a_run" in text
    assert "guard" not in text_of(the_list(world))


def test_a_campaign_that_the_guard_has_nothing_to_say_of_says_nothing_of_it(done):
    assert "guard has found" not in campaign_report(done.engine, VIEWER, done.window)


def test_a_report_lists_unknown_messages_with_their_phones_masked(done):
    done.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    done.execute(sa.text(f"UPDATE message SET status = 'unknown', error = '{EVIL}' WHERE status = 'accepted'"))
    page = campaign_report(done.engine, VIEWER, done.window)
    assert "Messages of unknown outcome" in page
    assert "…01" in page
    assert "+999" not in page


def test_what_people_have_written_stays_text(done):
    with done.engine.begin() as conn:
        campaign.update(conn, done.window, halted_at=done.now, halted_by=EVIL, halted_why=EVIL)
    done.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    done.execute(sa.text(f"UPDATE message SET status = 'unknown', error = '{EVIL}' WHERE status = 'accepted'"))
    done.execute(sa.text(f"UPDATE campaign SET run_id = '{EVIL}'"))
    for page in (the_list(done), campaign_report(done.engine, VIEWER, done.window)):
        assert_inert(page)


def assert_inert(page):
    """Check that all scripts are our own files, and that no tag has an inline handler or style."""
    tags = Tags(page).tags
    scripts = [attributes for tag, attributes in tags if tag == "script"]
    assert scripts
    assert {attributes["src"] for attributes in scripts} <= {address(name) for name in names()}
    assert [tag for tag, _ in tags if tag in {"img", "iframe", "object", "style"}] == []
    assert [name for _, attributes in tags for name in attributes if name.startswith("on") or name == "style"] == []


def test_only_who_may_is_offered_the_brake_and_only_one_side_of_it(world):
    for _ in range(2):
        world.purchase(world.customer(), 100)
    world.computed()
    queue.build(world.engine, world.window, options=RunOptions(), as_of=world.now)
    may = Viewer(may_change_runs=True)
    assert "data-opens" not in campaign_report(world.engine, VIEWER, world.window)
    page = campaign_report(world.engine, may, world.window)
    assert ('data-opens="halt"' in page, 'data-opens="resume"' in page) == (True, False)
    assert "Halt 2 messages…" in page
    with world.engine.begin() as conn:
        campaign.halt(conn, world.window, by="ada", why=EVIL, as_of=world.now)
    page = campaign_report(world.engine, may, world.window)
    assert ('data-opens="halt"' in page, 'data-opens="resume"' in page) == (False, True)
    assert "Halted 10 Nov 2026, 09:00 UTC by ada: </td>" in text_of(page)
    assert_inert(page)


def test_a_finished_campaign_is_not_offered_the_brake(done):
    page = campaign_report(done.engine, Viewer(may_change_runs=True), done.window)
    assert 'data-opens="halt"' not in page
    assert 'id="halt"' not in page


def test_a_report_of_no_campaign_says_so(world):
    with pytest.raises(NotReady, match="no campaign"):
        campaign_report(world.engine, VIEWER, world.window)


def test_counts_can_be_had_as_csv(done):
    rows = list(csv.reader(io.StringIO(counts_csv(done.engine, done.window))))
    start = f"{done.window.start:%Y-%m-%d}"
    assert rows == [
        ["window_start", "what", "name", "count"],
        [start, "bucket", "BOOST", "2"],
        [start, "bucket", "REWARD", "0"],
        [start, "bucket", "NONE", "0"],
        [start, "message", "accepted", "1"],
        [start, "message", "skipped", "1"],
        [start, "skipped", "no_phone", "1"],
        [start, "segments", "all", "1"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(text):
    assert safe_cell(text) == f"'{text}"
    assert safe_cell("BOOST") == "BOOST"
    assert safe_cell(-1) == -1


@pytest.mark.parametrize("name", names())
def test_what_goes_with_the_pages_asks_nobody_else(name):
    text = re.sub(r"http://www\.w3\.org/\w+/[\w/]+", "", content(name))  # names of languages, not addresses
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\((?!#)", text)
