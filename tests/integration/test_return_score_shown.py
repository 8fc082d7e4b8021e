"""The return score where people read it: the page Segments, a customer's page, engage why and engage train."""

from __future__ import annotations

import json
import logging

import pytest
import sqlalchemy as sa

from engage.campaigns import return_models
from engage.cli import main
from engage.pages.customer_page import customer_page
from engage.pages.segments_page import segments_page
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from engage.reports import why
from engage.settings import Settings
from engage.storage.schema import campaign
from tests.integration.returning import VARIED, compute, seeded, trained, windows_until
from tests.integration.test_pages_campaigns import text_of
from tests.simulated_model import simulated_model

RULES = json.dumps({"segments": [{"name": "LEAVING", "when": ["return_percentile < 20"]}]})


@pytest.fixture
def model(world):
    """A score that may be used."""
    with world.engine.begin() as conn:
        return return_models.add(conn, simulated_model(world.window.previous()), as_of=world.now)


@pytest.fixture
def scored(world, model):
    """A regular customer and one who never bought, with scores."""
    regular, never = world.customer(), world.customer()
    world.sessions(regular, 20)
    for cents in (10_00, 77_00):
        world.purchase(regular, cents)
    world.computed(segments=RULES)
    return regular, never


def panel(world):
    page = text_of(segments_page(world.engine, Viewer(), Editor(), None))
    return page.partition("Return score In use")[2] or page.partition("Return score Not in use")[2]


def test_the_panel_says_how_well_the_score_ranks(world, scored, model):
    found, tested = panel(world), model.model.evaluation
    assert "In use since" in found
    assert f"the score ranks the right one first in {100 * tested.auc:.0f} of 100 cases." in found
    assert f"Spend alone does so in {100 * tested.auc_static:.0f}." in found
    assert "Learnt 10 Nov 2026 from 3 windows with 6,000 customers" in found
    assert "Tenth 10" in found
    assert "Days since the last purchase" in found
    assert "was computed without it" not in found


def test_the_panel_says_that_the_window_shown_has_no_scores(world, scored):
    world.execute(sa.update(campaign).values(model_id=None))
    assert "The window shown was computed without it" in panel(world)


def test_the_panel_says_what_is_missing(world):
    world.sessions(world.customer())
    world.computed()
    assert "0 of 3 windows to learn from." in panel(world)
    assert "Nothing to do" in panel(world)


def test_a_customers_page_says_why_the_score_is_as_it_is(world, scored):
    regular, never = (
        text_of(customer_page(world.engine, Viewer(), str(one), Settings(), as_of=world.now)) for one in scored
    )
    assert "50.0% of the window's customers have a lower one." in regular
    assert "Bought 2 times so far:" in regular
    assert "0.0% of the window's customers have a lower one." in never
    assert "No purchase is known:" in never


def test_a_customers_page_without_a_score_has_no_such_card(world):
    one = world.customer()
    world.sessions(one)
    world.computed()
    assert "Return score" not in text_of(customer_page(world.engine, Viewer(), str(one), Settings(), as_of=world.now))


def test_engage_why_explains_the_score_and_the_rule(world, scored):
    with world.engine.connect() as conn:
        found = why.explain(conn, world.window, scored[1], currency="USD", as_of=world.now)
    sections = {one.title: one.sentences for one in found.sections}
    assert sections["Rule"][0] == "LEAVING: return percentile 0% is below 20%."
    assert sections["Return score"][0].startswith("Return score 0.")
    assert len(sections["Return score"]) > 2


def test_a_rule_takes_the_customers_with_the_lowest_scores(world, scored):
    assert dict(world.rows("SELECT customer_id, bucket FROM customer_bucket")) == {
        scored[0]: "NONE",
        scored[1]: "LEAVING",
    }


@pytest.mark.parametrize(
    ("line", "leaving"),
    [("return_score in lowest 50%", {2}), ("return_percentile in lowest 50%", {2}), ("return_score in highest 1", {1})],
)
def test_a_rule_takes_a_share_of_the_customers_by_score(world, scored, line, leaving):
    assert scored == (1, 2)
    world.computed(segments=json.dumps({"segments": [{"name": "LEAVING", "when": [line]}]}))
    assert {row[0] for row in world.rows("SELECT customer_id FROM customer_bucket WHERE bucket = 'LEAVING'")} == leaving


def test_a_rule_without_a_score_in_use_has_no_customers_and_a_warning(world, caplog):
    world.sessions(world.customer())
    with caplog.at_level(logging.WARNING):
        assert world.computed(segments=RULES).buckets == {"LEAVING": 0, "NONE": 1}
    assert "No return score is in use, so no condition on it holds: LEAVING may have no customers." in caplog.text


def test_a_frozen_campaign_keeps_its_scores(world, model):
    world.sessions(world.customer())
    world.computed()
    world.message()
    assert world.value("SELECT frozen_at IS NOT NULL AND model_id IS NOT NULL FROM campaign")
    before = world.dump("customer_activity", "campaign")
    with world.engine.begin() as conn:
        return_models.add(conn, simulated_model(world.window.previous().previous()), as_of=world.now)
    compute(world.engine, world.window)
    assert world.dump("customer_activity", "campaign") == before


def test_engage_train_says_what_it_has_learnt(world, window, command):
    seeded(world.engine, windows_until(window, 3), 200, VARIED)
    first, again = command("train"), command("train")
    assert "Learnt from 400 customers of 2 windows, of whom" in first
    assert "Not in use: 2 of 3 windows to learn from." in first
    assert "Days since the last purchase" in first
    assert "learnt the same, and stays." in again
    found = json.loads(command("train", "--json"))
    assert found["windows"] == 2
    assert found["coefficients"][0]["feature"] == "constant"
    assert trained(world).model_id == found["model_id"]


def test_engage_train_without_windows_says_what_to_do(url, monkeypatch, capsys):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    monkeypatch.setattr("sys.argv", ["engage", "train"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert "There is nothing to learn from yet" in " ".join(capsys.readouterr().err.split())
