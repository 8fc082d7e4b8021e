"""Campaigns with measured arms, and what pages and reports make of them."""

from __future__ import annotations

import csv
import io

import sqlalchemy as sa

from engage.campaigns import measured_arms
from engage.pages.campaign_report import campaign_report
from engage.pages.viewer import Viewer
from engage.reports import lift, report
from engage.storage.schema import campaign as campaigns
from tests.integration.test_pages_campaigns import text_of
from tests.measured import holdout, texted

FEW = (texted("BOOST", 900, 288, spend=5400), holdout("BOOST", 100, 27, spend=4700))
UNSOUND = (texted("BOOST", 9000, 2880, spend=5400), holdout("BOOST", 800, 270, spend=4700))


def send(world, **settings):
    for _ in range(40):
        world.purchase(world.customer(), 100)
        regular = world.customer()
        world.sessions(regular, 48)
        world.purchase(regular, 500_00)
    world.computed(**{"holdout_percent": "10", "price_per_segment": "0.5"} | settings)
    world.message()
    return world


def keep(world, arms, window=None):
    with world.engine.begin() as conn:
        measured_arms.keep(conn, window or world.window, arms)


def plan(world, **segments):
    drawn = {name: {"weights": weights, "why": "equal weights"} for name, weights in segments.items()}
    world.execute(sa.update(campaigns).values(variants=drawn))


def found(world):
    with world.engine.connect() as conn:
        about = report.of(conn, world.window)
        return lift.of(conn, about.record, about.counts)


def page(world):
    return campaign_report(world.engine, Viewer(), world.window)


def section(world):
    """The text of the section, without the rest of the page."""
    return text_of(page(world)).partition("What it did")[2].partition("From customers to messages")[0]


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))
