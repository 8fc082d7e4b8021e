"""The days of a report: on the page, on the command line, and by the roles of the database."""

import json
from datetime import date, timedelta

import pytest

from engage.campaigns import explained_days
from engage.campaigns.run_options import RunOptions
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.viewer import Viewer
from engage.reports import days
from engage.reports.report import of
from engage.settings import Settings
from engage.statuses import ExplainedSource
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.steps.extract import extract
from engage.storage import database_roles
from tests.integration.days import as_usual, before, fill
from tests.integration.test_database_roles import connected, pages, service  # noqa: F401
from tests.integration.test_pages_campaigns import EVIL, text_of

OP = Viewer(may_change_runs=True)
TUESDAY = date(2026, 9, 22)
BUTTON = ">Explain…</button>"


def computed(world, rhythm="tell"):
    settings = Settings(guard_rhythm=rhythm)
    extract(world.engine, world.window, settings, as_of=world.now, run_id="a_run", options=RunOptions(dry_run=True))
    aggregate(world.engine, world.window)
    bucket(world.engine, world.window)


@pytest.fixture
def odd(world):
    """A campaign with three days without events and one with twice as many sessions, after two windows as usual."""
    as_usual(world)
    fill(world, world.window, {TUESDAY + timedelta(days=n): 0 for n in range(3)} | {date(2026, 10, 14): 180})
    computed(world)
    return world


def explain(world, first, last=None, engine=None, **options):
    with (engine or world.engine).begin() as conn:
        given = {"reason": "a storm", "by": "ada", "as_of": world.now} | options
        return explained_days.explain(conn, first, last or first, **given)


def rows(world):
    with world.engine.connect() as conn:
        found = days.of(conn, of(conn, world.window).record)
    return [(row.words, row.events, row.usual, [one.reason for one in row.reasons], row.unexplained)
            for row in found.rows]  # fmt: skip


def page_of(world, viewer=OP):
    return campaign_report(world.engine, viewer, world.window)


OUTAGE = "Tue, 22 Sep 2026 – Thu, 24 Sep 2026"
BOTH = ("sessions", "purchases")


def test_odd_days_that_belong_together_are_one_row(odd):
    assert rows(odd) == [
        (OUTAGE, ("0 sessions", "0 purchases"), ("about 280", "about 140"), [], BOTH),
        ("Wednesday, 14 Oct 2026", ("180 sessions", "90 purchases"), ("about 90", "about 45"), [], BOTH),
    ]


def test_a_reason_for_some_of_the_days_parts_the_row(odd):
    explain(odd, TUESDAY + timedelta(days=2))
    explain(odd, date(2026, 10, 14), source=ExplainedSource.SESSIONS)
    explain(odd, date(2026, 11, 1), reason="a strike")
    assert [(words, reasons, unexplained) for words, _, _, reasons, unexplained in rows(odd)] == [
        ("Tue, 22 Sep 2026 – Wed, 23 Sep 2026", [], BOTH),
        ("Thursday, 24 Sep 2026", ["a storm"], ()),
        ("Wednesday, 14 Oct 2026", ["a storm"], ("purchases",)),
        ("Sunday, 1 Nov 2026", ["a strike"], ()),
    ]


def test_the_report_shows_the_odd_days_and_how_to_explain_them(odd):
    page = page_of(odd)
    text = text_of(page)
    assert "From Tuesday 2026-09-22 to Thursday 2026-09-24 there were 0 sessions" in text
    assert "This stops no run, as engage_guard_rhythm is tell." in text
    assert "4 odd days without a reason" in text
    assert page.count(BUTTON) == 2
    assert "odd days" in text_of(campaign_list(odd.engine, OP, Settings(), as_of=odd.now))
    explain(odd, TUESDAY, TUESDAY + timedelta(days=2), reason=EVIL)
    explain(odd, date(2026, 10, 14))
    page = page_of(odd)
    assert EVIL not in page
    assert "What the guard found" not in page
    assert page.count(BUTTON) == 0
    assert page.count(">Take back…</button>") == 2
    assert "odd days" not in text_of(campaign_list(odd.engine, OP, Settings(), as_of=odd.now))


def test_a_viewer_reads_the_days_and_changes_nothing(odd):
    explain(odd, TUESDAY)
    page = page_of(odd, Viewer())
    assert "Tuesday, 22 Sep 2026" in page
    assert "explain-days" not in page
    assert "Take back" not in page


def test_the_chart_has_a_column_and_a_band_for_each_day(odd):
    page = page_of(odd)
    assert page.count('class="band"') == 2 * 56
    assert "Sessions a day, 14 Sep – 8 Nov 2026. 4 odd days." in page
    assert "Tuesday, 22 Sep 2026: sessions 0, about 85 usual" in page


@pytest.mark.parametrize(
    ("windows", "words"),
    [
        (0, "Engage knows 0, so 56 are missing, and no day of this window was checked."),
        (1, "Engage knows 56 days before this window. With 112 it also sees"),
        (2, "Every day has about as many events as is usual for its weekday."),
    ],
)
def test_the_report_says_what_history_is_missing(world, windows, words):
    world.customer(registered_at=world.window.start - timedelta(days=400))
    for window in [*before(world.window, windows), world.window]:
        fill(world, window, customers=1)
    computed(world)
    assert words in text_of(page_of(world))


def test_the_report_says_if_the_check_was_off(odd):
    computed(odd, "off")
    assert "engage_guard_rhythm was off" in text_of(page_of(odd))


def test_a_campaign_whose_days_were_never_counted_has_no_such_section(odd):
    odd.execute(database_roles.schema.daily_volume.delete())
    assert 'id="days"' not in page_of(odd)


def test_the_pages_role_explains_days_and_the_service_reads_the_findings(odd, pages, service):  # noqa: F811
    assert "0 sessions" in campaign_report(pages, OP, odd.window)
    explain(odd, TUESDAY, TUESDAY + timedelta(days=2), engine=pages)
    with service.connect() as conn:
        assert [one.of for one in of(conn, odd.window, whole=False).record.guard.findings] == ["sessions", "purchases"]
    with pages.begin() as conn:
        assert explained_days.unexplain(conn, TUESDAY, TUESDAY) == 1


# --- the command line


def test_the_command_lists_explains_and_takes_back(odd, command):
    named = ("--window-start", "2026-09-14")
    assert "odd, no reason yet" in command("days", "list", *named)
    said = command("days", "explain", "2026-09-22", "--until", "2026-09-24", "--reason", "a storm")
    assert said == "Explained: 3 days.\n"
    found = json.loads(command("days", "list", *named, "--json"))
    assert [(row["first"], row["last"], row["unexplained"]) for row in found["days"]] == [
        ("2026-09-22", "2026-09-24", []),
        ("2026-10-14", "2026-10-14", ["sessions", "purchases"]),
    ]
    assert found["days"][0]["reasons"][0]["reason"] == "a storm"
    assert "Guard: on Wednesday 2026-10-14 there were 180 sessions" in command("report", *named)
    assert command("days", "unexplain", "2026-09-22", "--until", "2026-09-24") == "Taken back: the reasons of 3 days.\n"
    assert odd.value("SELECT count(*) FROM explained_day") == 0
