"""What happened to the campaigns, and the page that shows it with Airflow's audit log."""

from datetime import timedelta

import pytest

from engage.campaigns import campaign
from engage.campaigns.run_options import RunOptions
from engage.errors import InputError
from engage.pages.activity_page import SHOWN, Position, Wanted, activity_page
from engage.pages.audit_log import AuditEntry
from engage.pages.happenings import Kind
from engage.pages.viewer import Viewer
from engage.reports.activity import CampaignEvent, occurrences
from engage.steps import approve
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of

MINUTE = timedelta(minutes=1)


def events(world):
    with world.engine.connect() as conn:
        return [(one.event, one.user) for one in occurrences(conn)]


def the_page(world, entries=(), **wanted):
    return activity_page(world.engine, Viewer(airflow="/air"), Wanted(**wanted), entries, as_of=world.now)


def entry(world, number, event="patch_variable", user="ada", at=None, **details):
    details = details or {"key": "engage_holdout_percent"}
    return AuditEntry(number, at or world.now + number * MINUTE, user, event, None, details)


@pytest.fixture
def sent(world):
    world.purchase(world.customer(), 100)
    world.computed()
    world.message()
    return world


def test_a_campaign_that_was_sent_has_its_steps(sent):
    assert {event for event, _ in events(sent)} == {CampaignEvent.FINISHED, CampaignEvent.SENDING, CampaignEvent.OPENED}
    text = text_of(the_page(sent))
    assert "The campaign was finished: 1 message accepted by the provider" in text
    assert "The first of 1 message went out" in text
    assert "1 customer: 1 in BOOST, 0 in REWARD, 0 in NONE" in text
    assert "/air/dags/customer_engagement/runs/test" in the_page(sent)


def test_halts_and_answers_have_their_user_and_reason(world):
    world.purchase(world.customer(), 100)
    world.computed(require_approval=True)
    approve.ask(world.engine, world.window, options=RunOptions(), run_id="a run", as_of=world.now)
    assert (CampaignEvent.APPROVAL_REQUESTED, None) in events(world)
    approve.answer(world.engine, world.window, approved=True, by="ben", run_id="a run", as_of=world.now)
    with world.engine.begin() as conn:
        campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)
    assert {(CampaignEvent.APPROVED, "ben"), (CampaignEvent.HALTED, "ada")} <= set(events(world))
    text = text_of(the_page(world))
    assert "ada halted the campaign" in text
    assert "a typo" in text
    assert "ben approved the messages" in text


def test_what_a_campaign_tells_the_audit_log_does_not_tell_again(world):
    world.purchase(world.customer(), 100)
    world.computed()
    with world.engine.begin() as conn:
        campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)
    start = f"{world.window.start:%Y-%m-%d}"
    log = [
        entry(world, 3, "engage.halt", at=world.now + 5 * MINUTE, window_start=start, why="another"),
        entry(world, 2, "engage.halt", user="ben", at=world.now, window_start=start, why="a typo"),
        entry(world, 1, "engage.halt", at=world.now, window_start=start, why="a typo"),
    ]
    text = text_of(the_page(world, log))
    assert text.count("ada halted the campaign") == 1
    assert text.count("ada used Halt…") == 1
    assert text.count("ben used Halt…") == 1


def test_a_resume_has_its_user_if_the_audit_log_knows(world):
    world.purchase(world.customer(), 100)
    world.computed()
    with world.engine.begin() as conn:
        campaign.halt(conn, world.window, by="ada", why="a typo", as_of=world.now)
        campaign.resume(conn, world.window, as_of=world.now + MINUTE)
    assert "The campaign was resumed" in text_of(the_page(world))
    log = [entry(world, 1, "engage.resume", window_start=f"{world.window.start:%Y-%m-%d}")]
    text = text_of(the_page(world, log))
    assert "ada used Resume…" in text
    assert "The campaign was resumed" not in text


def test_it_is_filtered_by_kind_and_by_user(sent):
    log = [entry(sent, 2, user="ben"), entry(sent, 1)]
    assert "ben changed Holdout" in text_of(the_page(sent, log))
    assert "changed Holdout" in text_of(the_page(sent, log, kind=Kind.SETTINGS))
    assert "campaign was finished" not in text_of(the_page(sent, log, kind=Kind.SETTINGS))
    only = text_of(the_page(sent, log[:1], user="ben"))
    assert "ben changed Holdout" in only
    assert "campaign was finished" not in only
    assert 'href="activity?kind=runs&amp;by=ben"' in the_page(sent, log[:1], user="ben")


def test_older_pages_have_each_happening_once(sent):
    """Also where many have the same time, and entries that are not about Engage stand between them."""
    with sent.engine.connect() as conn:
        times = [one.at for one in occurrences(conn)]
    whole = [
        entry(
            sent,
            n,
            at=times[0] + (n // 7 - 12) * MINUTE,
            user=f"user{n}",
            **({"key": "engage_x"} if n % 5 == 0 else {}),
        )
        for n in range(130, 0, -1)
    ]
    whole.sort(key=lambda one: (one.at, one.entry_id), reverse=True)
    seen, before, pages, finished = [], None, 0, 0
    while True:
        place = before.in_log if before else None
        left = [one for one in whole if place is None or (one.at, one.entry_id) < (place.at, place.below)]
        page = the_page(sent, left[: SHOWN + 1], before=before)
        text = text_of(page)
        seen += [f"user{n}" for n in range(1, 131) if f"user{n} changed" in text]
        pages += 1
        finished += text.count("The campaign was finished")
        if "before=" not in page:
            break
        before = Position.parse(page.split("before=")[1].split('"')[0])
    assert sorted(seen) == sorted(f"user{n}" for n in range(1, 131) if n % 5)
    assert (pages, finished) == (3, 1)


def test_a_place_that_is_none_is_refused():
    for text in ("", "x", "1-3-3", "1-1", "1-1-1-1", "-1-1-1", "9" * 30 + "-1-1"):
        with pytest.raises(InputError, match="is not a place in the activity"):
            Position.parse(text)
    assert str(Position.parse("17-1-4")) == "17-1-4"
    assert Position.parse("17-0-4").in_log.below == 0


def test_without_the_audit_log_the_page_says_so(sent):
    page = text_of(activity_page(sent.engine, Viewer(), Wanted(), None, as_of=sent.now))
    assert "Only the campaigns' own records are shown" in page
    assert "The campaign was finished" in page


def test_without_anything_it_says_what_to_do(world):
    assert "Trigger a run of customer_engagement to begin." in text_of(the_page(world))
    assert "Nothing of that has happened yet" in text_of(the_page(world, kind=Kind.RUNS))


def test_what_users_have_written_does_not_run(world):
    log = [entry(world, 1, "engage.halt", user=EVIL, why=EVIL, window_start=EVIL)]
    assert_inert(the_page(world, log, user=EVIL))
