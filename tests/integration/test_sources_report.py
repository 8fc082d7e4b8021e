"""What a campaign pulled, where people look: the report, the command line, the page."""

import json

import pytest

from engage.campaigns.run_options import RunOptions
from engage.errors import InputError
from engage.pages.campaign_report import campaign_report
from engage.pages.viewer import Viewer
from engage.reports.report import report
from engage.settings import validate
from engage.steps.extract import extract
from tests.integration.conftest import UNGUARDED
from tests.integration.sources import Folder, sessions


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def pulled(world, folder):
    """A campaign of events from a folder, one of which is of no customer and one of another window."""
    world.customer()
    rows = sessions(world.window, 1200)
    rows[0]["customer_id"] = None
    folder.parquet("a.parquet", [*rows, *sessions(world.window.next(), 1, first=5000)])
    frame = {"as_of": world.now, "run_id": "r", "options": RunOptions(), "source": lambda name: folder.source()}
    extract(world.engine, world.window, validate(UNGUARDED | {"source": "warehouse"}), **frame)
    return world


def test_the_report_as_json_has_each_kind_of_event(pulled, command):
    kinds = {"session": {"counted": 1201, "read": 1201, "stored": 1199, "outside": 1,
                         "rejected": {"missing_customer": 1}}}  # fmt: skip
    assert report(pulled.engine).to_dict()["pulled"] == {"source": "warehouse", "kinds": kinds}
    assert json.loads(command("report", "--json"))["pulled"]["kinds"] == kinds


def test_the_report_on_the_command_line_is_a_sentence(pulled, command):
    words = " ".join(command("report").split())
    assert (
        "Source warehouse: session: pulled 1,201, the source says 1,201: 1,199 stored, 1 of other windows, "
        "1 rejected as missing_customer" in words
    )


def test_the_page_shows_it_among_what_happened_and_in_a_table(pulled):
    page = " ".join(campaign_report(pulled.engine, Viewer(), pulled.window).split())
    assert "1,201 rows from the source warehouse, which counts 1,201" in page
    assert "Pulled from the source warehouse" in page
    assert "1 of other windows, 1 rejected as missing_customer" in page


def test_a_campaign_without_a_source_says_nothing_of_one(world, command):
    world.sessions(world.customer())
    world.extract()
    assert "ource" not in command("report")
    assert report(world.engine).to_dict()["pulled"] is None
    assert "Pulled from" not in campaign_report(world.engine, Viewer(), world.window)


def test_the_command_line_without_airflow_says_that_a_source_needs_it(world):
    world.customer()
    with pytest.raises(InputError, match=r"^engage_source is warehouse, a connection of Airflow, and this run is not"):
        world.extract(source="warehouse")
