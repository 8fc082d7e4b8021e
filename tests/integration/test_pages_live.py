"""The running window on the pages: the card of *Campaigns*, and its customers to try rules on."""

import pytest
import sqlalchemy as sa

from engage.errors import InputError, NotReady
from engage.pages import segments_page as segments
from engage.pages.campaign_list import campaign_list
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.settings import Change, Settings
from engage.storage import database_roles
from engage.window import Window
from tests.integration.live import DAY, Running
from tests.integration.test_pages_campaigns import text_of

EDITOR = Editor(readable=Settings.model_fields, editable=Settings.model_fields)


@pytest.fixture
def running(server, world, in_window):
    """On its 21st day, with two customers; one of them will spend 100.00 by its end at this pace."""
    found = Running(in_window(world.window.next()), server)
    found.world.now = found.at(20.5)
    for cents in (1_000, 4_000):
        found.world.purchase(found.world.customer(name="Ada"), cents, at=found.at(3))
    return found


def campaigns(running, *, as_of=None, engine=None, **options):
    return campaign_list(engine or running.world.engine, Viewer(), Settings(), as_of=as_of or running.now, **options)


def card(page):
    return text_of(page[page.index('aria-labelledby="live"') :].split("</section>")[0])


def segments_of(running, window=None, engine=None):
    return segments.segments_page(engine or running.world.engine, Viewer(), EDITOR, window)


# --- the card


def test_the_list_begins_with_the_running_window(running):
    running.compute(price_per_segment="2")
    shown = card(campaigns(running))
    assert "9 Nov 2026 – 4 Jan 2027 · day 21 of 56 · 36 days left" in shown
    assert "as of 29 Nov 2026, 12:00 UTC" in shown
    assert "Purchases 2 5" in shown
    assert "Spend $50.00 $136.59" in shown
    assert "BOOST 2 100.0% 1 50.0%" in shown
    assert "NONE 0 0.0% 1 50.0%" in shown
    assert "Messages – 1 Cost, at most – $2.00" in shown
    assert "What the guard finds" not in shown


def test_what_is_projected_is_called_a_projection(running):
    running.compute()
    page = campaigns(running)
    shown = card(page)
    assert "Number So far Projection" in shown
    assert "Segment So far Projection" in shown
    early = campaigns(running, as_of=running.compute(as_of=running.at(4)).as_of)
    assert "There is a projection from 16 Nov 2026 on" in card(early)
    assert "Projection" not in card(early)


def test_findings_by_the_projection_say_so(running, world):
    ada = world.customer(registered_at=world.window.start)
    for _ in range(10):
        world.purchase(ada, 2_000)
    world.computed()
    budget = {"message_budget": "1 message", "over_budget": "cut"}
    running.compute(guard_min_volume_percent="60", guard_max_quiet_days="3", **budget)
    shown = card(campaigns(running))
    assert "Projection At this pace there will be 5 purchases, 50.0% of the 10 of the window before" in shown
    assert "The newest event is of 2026-11-12 00:00 UTC, 17.5 days ago" in shown
    assert "Projection The newest" not in shown
    assert "Budget, by the projection: cut to the budget of 1 message: BOOST keeps 1" in shown


def test_numbers_that_are_old_say_so(running):
    running.compute()
    assert "are 3 days old" in card(campaigns(running, as_of=running.now + 3 * DAY))
    assert "old" not in card(campaigns(running, as_of=running.now + DAY))


def test_a_window_that_is_over_or_not_computed_is_not_shown(running):
    empty = "It is not computed yet. The DAG engage_maintenance does so once a day"
    assert empty in card(campaigns(running))
    running.compute()
    assert empty in card(campaigns(running, as_of=running.window.end))
    assert empty not in card(campaigns(running, as_of=running.window.end - DAY))


def test_only_the_first_part_of_the_list_has_it(running, world):
    running.compute()
    assert "Running window" not in campaigns(running, before=world.window)


# --- the page Segments


def test_rules_are_tried_on_the_running_window_if_the_user_chooses_it(running, world):
    world.purchase(world.customer(registered_at=world.window.start), 100)
    world.computed()
    running.compute()
    usual = segments_of(running)
    assert f'<option value="{world.window.start:%Y-%m-%d}" selected>' in usual
    assert "Running window (so far)</option>" in usual
    assert "The window is still running" not in usual
    shown = text_of(segments_of(running, running.window))
    assert "These are the numbers of 9 Nov 2026 – 4 Jan 2027 so far, as of 29 Nov 2026, 12:00 UTC" in shown
    assert "3 customers" in shown


def test_it_is_the_only_choice_before_the_first_campaign(running):
    with pytest.raises(NotReady):
        segments_of(running)
    running.compute()
    assert "The window is still running" in segments_of(running)


def test_a_draft_is_counted_over_the_customers_so_far(running):
    running.compute()
    draft = [Change("low_spend_threshold", "15", None)]
    about = (running.world.engine, EDITOR, running.window, draft)
    found = segments.counts(*about)
    assert [(one["name"], one["customers"]) for one in found["segments"]] == [
        ("BOOST", "1 customer"),
        ("REWARD", "0 customers"),
        ("NONE", "1 customer"),
    ]
    assert found["may_save"]
    texted = segments.texted(*about, running.now)
    assert texted["by_segment"]["BOOST"] == "1 may be texted"
    [share] = [Change("low_spend_threshold", "lowest 50%", None)]
    found = segments.counts(running.world.engine, EDITOR, running.window, [share])
    assert found["shares"]["low_spend_threshold"]["number"] == "40"
    named = [Change("message_boost", "{{ name }} spent {{ total_spend }}. Reply STOP to opt out.", None)]
    texts = segments.read_texts(
        running.world.engine, Viewer(), EDITOR, running.window, named, customers={"BOOST": [10_000]}
    )
    assert "Ada spent 10.00" in text_of(texts["BOOST"])


def test_no_test_message_comes_of_the_customers_so_far(running, world):
    running.compute()
    draft = [Change("test_phones", "+99900000001", None)]
    viewer = Viewer(may_set_segments=True, may_trigger=True)
    wanted = {"segment": "BOOST", "example": "10000", "variant": "a"}
    with pytest.raises(InputError, match="No message comes of a window that is still running"):
        segments.text_to_try(running.world.engine, EDITOR, running.window, draft, **wanted)
    about = (running.world.engine, viewer, EDITOR, running.window, [])
    assert "Send to me" not in segments.read_texts(*about, customers={"BOOST": [10_000]})["BOOST"]
    running.world.now = running.window.end + DAY
    running.world.computed()
    assert segments.text_to_try(running.world.engine, EDITOR, running.window, [], **wanted)
    assert "Send to me" in segments.read_texts(*about, customers={"BOOST": [10_000]})["BOOST"]


def test_its_campaign_takes_its_place(running):
    running.compute()
    ended = running.world
    ended.now = running.window.end + DAY
    ended.computed(low_spend_threshold="15")
    page = segments_of(running)
    assert "so far" not in page
    assert page.count(f'value="{running.window.start:%Y-%m-%d}"') == 1
    assert "BOOST 1 2 100.0%" in text_of(page)


def test_the_role_of_the_pages_shows_it(running, opened):
    running.compute()
    running.compute()  # it has swapped the partitions
    engine = opened(sa.make_url(str(running.world.engine.url)).set(username=database_roles.PAGES))
    assert "day 21 of 56" in campaigns(running, engine=engine)
    assert "The window is still running" in segments_of(running, Window(running.window.start), engine)
