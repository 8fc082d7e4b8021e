"""The return score on Engage's pages in a real browser, as a viewer sees it: the panel, and a customer's reasons."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from engage.campaigns import return_models
from engage.steps.aggregate import aggregate
from engage.steps.bucket import bucket
from engage.storage.schema import campaign, model
from tests.e2e.pages import START, WINDOW, Watched, violations
from tests.e2e.support import Campaigns, Run
from tests.simulated_model import simulated_model

CARD = "section[aria-labelledby=return-score]"


@pytest.fixture(scope="module", autouse=True)
def scored(campaigns: Campaigns, computed: Run) -> Iterator[None]:
    """The computed campaign's customers have scores. In the end they have none."""
    with campaigns.engine.begin() as conn:
        kept = simulated_model(WINDOW.previous())
        return_models.add(conn, kept, as_of=WINDOW.end)
    _compute(campaigns)
    yield
    with campaigns.engine.begin() as conn:
        conn.execute(sa.update(campaign).values(model_id=None))
        conn.execute(sa.delete(model))
    _compute(campaigns)


def _compute(campaigns: Campaigns) -> None:
    aggregate(campaigns.engine, WINDOW)
    bucket(campaigns.engine, WINDOW)


@pytest.mark.parametrize("width", [390, 1280])
def test_a_viewer_reads_whether_the_score_is_in_use_and_how_well_it_ranks(seen: Watched, width: int) -> None:
    page = seen.open_at(f"segments?window_start={START}", width)
    panel = page.locator(CARD)
    expect(panel.get_by_text("In use since")).to_be_visible()
    expect(panel.get_by_text("the score ranks the right one first in")).to_be_visible()
    expect(panel.locator("canvas, svg").first).to_be_visible()
    panel.get_by_text("What it has learnt").click()
    expect(panel.get_by_role("rowheader", name="Purchases to date")).to_be_visible()
    panel.get_by_text("The numbers as a table").click()
    expect(panel.get_by_role("rowheader", name="Tenth 10")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


@pytest.mark.parametrize("width", [390, 1280])
def test_a_viewer_reads_why_a_customers_score_is_as_it_is(seen: Watched, width: int) -> None:
    page = seen.open_at("customer?customer_id=1", width)
    card = page.locator(CARD)
    expect(card.get_by_text("of the window's customers have a lower one")).to_be_visible()
    expect(card.get_by_role("listitem")).to_have_count(3)
    expect(card.get_by_role("listitem").first).to_contain_text("it.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(page) == []


def test_the_fields_of_the_score_are_in_the_list_of_a_rule(seen: Watched) -> None:
    page = seen.open_at(f"segments?window_start={START}", 1280)
    names = page.locator("[data-segment] select").first.locator("option").all_inner_texts()
    assert {"Return score, 0 to 1", "Return percentile, in percent"} <= set(names)
