"""The macros and the frame that all pages share."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from engage.campaigns.distribution import Axis, Distribution
from engage.pages import charts, heat_map, render, static_files
from engage.pages.error_page import error_page
from engage.pages.gallery import gallery
from engage.pages.opening import opening
from engage.pages.segment_tones import tones
from engage.pages.threshold_words import RuleLine
from engage.pages.viewer import NextRun, Viewer

ROOT = Path(__file__).resolve().parents[2]
EVIL = "</td></script><script>alert(1)</script>'\""
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
COLOURS = tones(("BOOST", "REWARD", "NONE"))
LOW, HIGH = RuleLine("BOOST below", Decimal(100)), RuleLine("REWARD above", Decimal(1))
CELLS = {(0, 0, "BOOST"): 3, (2, 0, "NONE"): 1, (2, 2, "REWARD"): 5, (3, 1, "NONE"): 2}


def shown(source: str, **values: object) -> str:
    """What a template with this source shows, on one line."""
    return " ".join(render._templates.from_string(source).render(values).split())


@pytest.fixture(scope="module")
def page() -> str:
    return gallery(Viewer())


def test_the_gallery_shows_every_macro(page):
    folder = render._templates.list_templates(filter_func=lambda name: name.startswith("macros/"))
    source = "".join(render._templates.loader.get_source(render._templates, name)[0] for name in folder)
    used = render._templates.loader.get_source(render._templates, "gallery.html")[0] + source
    macros = re.findall(r"{% macro (\w+)\(", source)
    assert len(macros) > 30
    assert [
        name for name in macros if not re.search(rf"(ui\.|[{{( ]){name}\(", used.replace(f"macro {name}(", ""))
    ] == []


def test_no_page_has_anything_inline(page):
    for html in (page, error_page("Title", "A sentence."), opening("campaigns")):
        assert re.findall(r"<style|<script(?! src=)|\sstyle=|\son\w+=|javascript:", html) == []


def test_no_id_stands_twice(page):
    ids = Counter(re.findall(r'\sid="([^"]+)"', page))
    assert [name for name, count in ids.items() if count > 1] == []
    pointed = re.findall(r'\s(?:aria-labelledby|aria-describedby|for|data-opens)="([^"]+)"', page)
    assert {name for names in pointed for name in names.split()} <= ids.keys()


def test_no_time_is_raw_in_the_text(page):
    assert re.findall(r">[^<]*\d{4}-\d{2}-\d{2}T", page) == []


def test_a_tab_leads_to_each_page_and_one_is_current():
    tabs = opening("campaigns").partition("<nav")[2].partition("</nav>")[0]
    assert re.findall(r'<a href="([\w-]+)"', tabs) == [tab.address for tab in render.shown_tabs()]
    assert '<a href="campaigns" aria-current="page">Campaigns</a>' in tabs
    assert tabs.count("aria-current") == 1


def test_a_runs_tab_has_no_way_to_other_campaigns():
    html = error_page("Title", "A sentence.", in_run=True)
    assert "<nav" not in html
    assert "campaigns" not in html
    assert "<nav" in error_page("Title", "A sentence.")


def test_a_page_below_another_finds_the_files():
    html = error_page("Title", "A sentence.", root="../")
    assert f'href="../{static_files.address("page.css")}"' in html
    assert 'href="../campaigns"' in html


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (NextRun(NOW + timedelta(days=38), NOW), "Next campaign in 38 days · 3 Jan 2027, 12:00 UTC"),
        (NextRun(NOW - timedelta(minutes=1), NOW), "Next campaign is due · 26 Nov 2026, 11:59 UTC"),
        (NextRun(None, NOW), "No next campaign is planned"),
        (NextRun(NOW, NOW, paused=True), "The DAG is paused: no campaign starts by itself"),
        (None, ""),
    ],
)
def test_the_next_run_is_counted_down(run, text):
    assert re.sub(r"<[^>]+>", "", shown("{{ ui.next_run(run) }}", run=run)).strip() == text


def test_a_moment_follows_the_users_zone_and_a_day_does_not():
    assert shown("{{ ui.time(at) }}", at=NOW) == (
        '<time datetime="2026-11-26T12:00:00+00:00" data-form="moment">26 Nov 2026, 12:00 UTC</time>'
    )
    assert shown("{{ ui.day(at) }}", at=NOW) == '<time datetime="2026-11-26">26 Nov 2026</time>'
    assert shown("{{ ui.time(none) }}{{ ui.day(none) }}") == "––"


def test_a_bar_says_the_share_of_each_part():
    html = shown("{{ ui.buckets_bar(counts) }}", counts={"BOOST": 1, "REWARD": 2, "NONE": 1})
    assert 'aria-label="BOOST 25.0%, REWARD 50.0%, NONE 25.0%"' in html
    assert re.findall(r'tone-(\w+)" x="([\d.]+)" y="0" width="([\d.]+)"', html) == [
        ("boost", "0.000", "25.000"),
        ("reward", "25.000", "50.000"),
        ("rest", "75.000", "25.000"),
    ]


def test_a_meter_without_a_whole_is_empty():
    html = shown("{{ ui.meter(0, 0, 'nothing') }}")
    assert 'aria-label="nothing"' in html
    assert "<rect" not in html


def test_a_field_points_to_its_error():
    html = shown("{{ ui.field('low', 'BOOST below', 'abc', error='That is not a number.') }}")
    assert 'aria-describedby="low-error" aria-invalid="true"' in html
    assert '<p class="error" id="low-error">That is not a number.</p>' in html


def test_what_people_have_written_stays_text():
    source = "{{ ui.pill(t) }}{{ ui.bubble(t, t) }}{{ ui.kpi(t, t, t) }}{{ ui.field('a', t, t, error=t, hint=t) }}"
    source += "{{ ui.toast(t) }}{{ ui.empty(t, t) }}{{ ui.counts(t, {t: 1}, t) }}{{ ui.facts(((t, t),)) }}"
    assert "<script" not in shown(source, t=EVIL)


def test_a_charts_description_cannot_leave_its_attribute():
    chart = charts.columns(EVIL, [("a", EVIL)], [charts.Series(EVIL, "boost", [1], [EVIL])])
    html = shown("{{ ui.chart(chart) }}", chart=chart)
    assert "<script" not in html
    assert re.search(r"data-chart='[^'<>]*'", html)


def test_a_histogram_has_a_part_for_each_bucket_and_a_line_at_the_threshold():
    spend = Axis(border=100_00, width=50_00, below=2, bins=4, closed=False, unit=100)
    sessions = Axis(border=8, width=8, below=2, bins=3, closed=True, unit=8)
    spread = Distribution(spend, sessions, CELLS)
    customers = spread.spend_by_bucket()
    chart = charts.histogram("Spend", spend, customers, COLOURS, money=True, threshold="BOOST below $100")
    assert [one["name"] for one in chart.spec["bins"]] == ["$0 – $50", "$50 – $100", "$100 – $150", "$150 and more"]
    assert [{part["name"]: part["value"] for part in one["parts"]} for one in chart.spec["bins"]] == [
        {"BOOST": 3}, {}, {"REWARD": 5, "NONE": 1}, {"NONE": 2},
    ]  # fmt: skip
    assert chart.spec["thresholds"] == {"x": 100.0, "label": "BOOST below $100"}
    assert chart.spec["x"]["ticks"] == [(0, "$0"), (50, "$50"), (100, "$100"), (150, "$150"), (200, "$200")]
    assert chart.rows == [["$0 – $50", "3", "0", "0"], ["$100 – $150", "0", "5", "1"], ["$150 and more", "0", "0", "2"]]


def test_a_heat_map_has_a_cell_for_each_bin_with_customers():
    spend = Axis(border=100_00, width=50_00, below=2, bins=4, closed=False, unit=100)
    sessions = Axis(border=8, width=8, below=2, bins=3, closed=True, unit=8)
    spread = Distribution(spend, sessions, {(0, 0, "BOOST"): 4, (3, 2, "REWARD"): 1})
    chart = heat_map.heat_map(spread, COLOURS, LOW, HIGH, regions=True)
    assert [(one["tone"], one["strength"]) for one in chart.spec["cells"]] == [("boost", 1.0), ("reward", 0.575)]
    assert chart.spec["thresholds"] == {"x": 100.0, "label": "$100", "y": 1.0, "from": 100.0}
    assert chart.spec["cells"][0]["y"] == (-1.0, 0.0)  # customers without any session
    assert chart.spec["y"]["least"] == -1.0
    assert chart.rows[0] == ["$0 – $50", "0", "BOOST", "4"]
    assert [one["name"] for one in chart.spec["regions"]] == ["BOOST", "NONE", "REWARD"]


def test_a_place_with_several_segments_has_the_colour_of_the_largest_and_names_all():
    spend = Axis(border=0, width=50_00, below=0, bins=4, closed=False, unit=100, in_view=False)
    sessions = Axis(border=8, width=8, below=2, bins=3, closed=True, unit=8)
    cells = {(0, 0, "NONE"): 1, (0, 0, "LAPSING"): 3, (1, 2, "VIP"): 2}
    names = tones(("VIP", "LAPSING", "NONE"))
    chart = heat_map.heat_map(Distribution(spend, sessions, cells), names, None, HIGH, regions=False)
    assert [(one["tone"], one["strength"]) for one in chart.spec["cells"]] == [("segment_2", 1.0), ("segment_1", 0.751)]
    assert chart.spec["cells"][0]["name"] == "3 customers in LAPSING, 1 customer in NONE\n$0 – $50, 0 sessions a week"
    assert chart.spec["regions"] == []
    assert chart.spec["thresholds"] == {"y": 1.0, "from": 0.0}
    assert [row[2:] for row in chart.rows] == [["LAPSING", "3"], ["NONE", "1"], ["VIP", "2"]]


def test_a_histogram_has_all_segments_in_order_and_a_line_only_for_a_number_in_the_rules():
    spend = Axis(border=0, width=50_00, below=0, bins=2, closed=False, unit=100, in_view=False)
    names = tones(("VIP", "LAPSING", "NONE"))
    chart = charts.histogram("Spend", spend, {"NONE": [1, 0], "VIP": [0, 2]}, names, money=True)
    assert chart.columns == ["Spend", ("VIP", "number"), ("LAPSING", "number"), ("NONE", "number")]
    assert chart.rows == [["$0 – $50", "0", "0", "1"], ["$50 and more", "2", "0", "0"]]
    assert chart.spec["thresholds"] == {}


@pytest.mark.parametrize(("least", "step"), [(0.03, 0.05), (1, 1), (1.01, 2), (123, 200), (5000, 5000), (0, None)])
def test_ticks_are_round(least, step):
    if step is None:
        assert charts.round_step(1e-9) == 1e-9
    else:
        assert charts.round_step(least) == pytest.approx(step)


def test_a_column_without_values_says_why():
    chart = charts.columns(
        "Customers by bucket", [("6 Jan", "first"), ("3 Mar", "second")],
        [charts.Series("BOOST", "boost", [40, None], ["4 (40%)", "not computed"])], percent=True, gaps={1: "guard"},
    )  # fmt: skip
    assert [(one["gap"], len(one["parts"])) for one in chart.spec["bins"]] == [(None, 1), ("guard", 0)]
    assert chart.rows == [["first", "4 (40%)"], ["second", "not computed"]]
    assert [text for _, text in chart.spec["y"]["ticks"]] == ["0%", "25%", "50%", "75%", "100%"]


@pytest.mark.parametrize("name", static_files.names())
def test_the_address_of_a_file_changes_with_its_content(name, monkeypatch):
    address = static_files.address(name)
    versioned = address.removeprefix("static/")
    assert static_files.find(versioned) == (static_files.content(name), static_files.MEDIA_TYPES[name.split(".")[-1]])
    monkeypatch.setattr(static_files, "content", lambda name: "other")
    assert static_files.address.__wrapped__(name) != address


@pytest.mark.parametrize("name", ["page.css", "page.000000000000.css", "../render.py", "echarts.LICENSE.txt", ""])
def test_no_other_file_is_served(name):
    assert static_files.find(name) is None


def test_the_chart_library_is_the_file_that_its_decision_names():
    built = hashlib.sha256(static_files.content("echarts.js").encode()).hexdigest()
    assert f"sha256 `{built}`" in (ROOT / "docs/decisions/charts.md").read_text()


def test_the_outline_takes_no_click_on_a_tab_which_would_lose_against_its_going_on():
    assert '<nav class="tabs" aria-label="Engage" inert>' in opening("campaigns")
    assert '<nav class="tabs" aria-label="Engage">' in gallery(Viewer())
