"""The pages with segments that staff have written: names, colours, thresholds, texts and reasons of their own."""

import json
import re

import pytest
import sqlalchemy as sa

from engage.formats import days
from engage.pages import messages_page
from engage.pages.approval_page import Question, approval_page
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_report import campaign_report
from engage.pages.campaign_trend import Trend
from engage.pages.customer_page import customer_page
from engage.pages.viewer import Viewer
from engage.reports.message_list import Filters
from engage.settings import Settings
from tests.integration.approvals import ask
from tests.integration.test_pages_campaigns import Tags, text_of

VIEWER = Viewer()
RULES = {
    "segments": [
        {"name": "VIP", "when": ["total_spend >= vip_spend_threshold", "purchases > 0"]},
        {"name": "LAPSING", "when": ["days_since_last_purchase > lapsing_days_threshold", {"any": ["liked > 0"]}]},
        {"name": "BOOST", "when": ["total_spend < low_spend_threshold"]},
    ],
    "otherwise": "OTHERS",
}
WRITTEN = {
    "segments": json.dumps(RULES),
    "vip_spend_threshold": "500",
    "lapsing_days_threshold": "28",
    "message_vip": "Hi {{ first_name }}, you are a VIP. Reply STOP to opt out.",
    "messages": json.dumps({"VIP": {"es": "Gracias, {{ first_name }}. Reply STOP to opt out."}}),
    "min_days_between_messages": "0",
}
USUAL = {"min_days_between_messages": "0"}


@pytest.fixture
def written(world):
    """Ada is in VIP, Ben in LAPSING without a text, Cleo in BOOST, Dan in OTHERS; Eva is in VIP and reads Spanish."""
    ada, ben, cleo, dan, eva = (world.customer(name=name) for name in ("Ada", "Ben", "Cleo", "Dan", "Eva"))
    world.execute(_reads_spanish(eva))
    for customer, cents in ((ada, 600_00), (dan, 200_00), (eva, 700_00)):
        world.purchase(customer, cents)
    world.app_event(ben, "liked")
    world.sessions(cleo, 3)
    world.computed(**WRITTEN)
    return world


def _reads_spanish(customer_id):
    return sa.text(f"UPDATE customer SET locale = 'es-MX' WHERE customer_id = {customer_id}")


def report_of(world, **options):
    return campaign_report(world.engine, VIEWER, world.window, **options)


def listed(world, **options):
    return campaign_list(world.engine, VIEWER, Settings(), as_of=world.now, **options)


def dots(page):
    """The tone of each name that stands beside a colour."""
    return {name: tone for tone, name in re.findall(r'class="dot tone-(\w+)"></span>(\w+)', page)}


def test_a_report_names_and_colours_the_campaigns_own_segments(written):
    page = report_of(written)
    assert dots(page) == {"VIP": "segment_1", "LAPSING": "segment_2", "BOOST": "boost", "OTHERS": "rest"}
    assert "VIP 2 40.0%LAPSING 1 20.0%BOOST 1 20.0%OTHERS 1 20.0%" in text_of(page).replace("% ", "%")
    assert "REWARD" not in text_of(page)


def test_a_charts_line_is_the_first_number_that_the_rules_compare(written):
    text = text_of(report_of(written))
    assert "Vip spend $500" in text
    assert "BOOST below $100" not in text
    assert "REWARD above" not in text
    assert "Segment Customers" in text  # the table behind the heat map


def test_the_funnel_loses_each_segment_without_a_text(written):
    written.message()
    text = text_of(report_of(written))
    assert "In VIP or BOOST 3" in text
    assert "1 in LAPSING" in text
    assert "1 in OTHERS" in text


def test_a_report_has_each_text_in_each_language(written):
    text = text_of(report_of(written))
    assert "Hi Ada Diaz, you are a VIP." in text or "Hi Ada, you are a VIP." in text
    assert "In es Gracias, Ada. Reply STOP to opt out." in text  # a made-up name: no list yet
    written.message()
    text = text_of(report_of(written))
    assert "Hi Ada, you are a VIP. Reply STOP to opt out." in text
    assert "In es Gracias, Eva. Reply STOP to opt out." in text
    assert "As customer 5 reads it." in text


def test_campaigns_with_different_segments_are_compared_by_name(written, in_window):
    earlier = in_window(written.window.previous())
    earlier.purchase(1, 1)
    earlier.computed(**USUAL)
    text = text_of(report_of(written, against=earlier.window))
    assert "VIP, of all customers – 40.0% –" in text
    assert "REWARD, of all customers 0.0% – –" in text
    assert "BOOST, of all customers 100.0% 20.0% −80.0 points" in text
    assert "Vip spend from – $500 –" in text
    assert "Lapsing days above – 28 days –" in text
    assert "Low spend below $100 $100 –" in text
    assert "High activity above 5 a week – –" in text
    assert text.index("VIP, of all") < text.index("BOOST, of all") < text.index("REWARD, of all")


def test_the_list_has_all_names_the_newest_campaigns_first_and_few_thresholds(written, in_window):
    earlier = in_window(written.window.previous())
    earlier.purchase(1, 1)
    earlier.computed(**USUAL)
    page = listed(written)
    assert list(dots(page)) == ["VIP", "LAPSING", "BOOST", "REWARD", "OTHERS", "NONE"]
    assert "VIP 40.0%, LAPSING 20.0%, BOOST 20.0%, OTHERS 20.0%" in page
    text = text_of(page)
    assert "Vip spend from $500 changed" in text
    assert "Lapsing days above 28 days changed" in text
    assert "Low spend below $100" in text
    assert "< $100 > 5 a week" in text  # the usual rules
    assert "more" not in text.partition("Vip spend from")[2].partition("5 a week")[0]


def test_the_list_names_three_thresholds_and_counts_the_others(world):
    many = [f"liked > t{number}_threshold" for number in range(6)]
    values = {f"t{number}_threshold": str(number) for number in range(6)}
    world.sessions(world.customer())
    world.computed(segments=json.dumps({"segments": [{"name": "A", "when": many}]}), **values)
    text = text_of(listed(world))
    assert "T2 above 2 and 3 more" in text
    assert "T3 above" not in text


def test_the_trend_has_the_segments_of_all_campaigns(written, in_window):
    earlier = in_window(written.window.previous())
    earlier.purchase(1, 1)
    earlier.computed(**USUAL)
    text = text_of(listed(written))
    header = "Campaign VIP LAPSING BOOST REWARD OTHERS NONE"
    assert header in text
    [before, now] = [days(world.window.start, world.window.end) for world in (earlier, written)]
    assert f"{before} – – 5 (100.0%) 0 (0.0%) – 0 (0.0%)" in text
    assert f"{now} 2 (40.0%) 1 (20.0%) 1 (20.0%) – 1 (20.0%) –" in text
    written.message()
    assert "Campaign VIP BOOST" in text_of(listed(written, trend=Trend.MESSAGES))


def test_the_approver_reads_every_text_in_every_language(world, written):
    written.computed(**WRITTEN, require_approval=True)
    ask(written)
    question = Question("a run", open=True)
    page = approval_page(
        written.engine, Viewer(may_answer=True), written.window, ask=lambda _: question, as_of=written.now
    )
    text = text_of(page)
    assert "2 VIP · 1 BOOST" in text
    assert "Hi Ada, you are a VIP." in text
    assert "In es Gracias, Eva." in text
    assert dots(page)["VIP"] == "segment_1"


def test_messages_are_filtered_by_the_windows_own_segments(written):
    written.message()

    def page_of(**filters):
        return messages_page.messages_page(written.engine, VIEWER, written.window, Filters(**filters))

    options = [a["value"] for tag, a in Tags(page_of()).tags if tag == "option" and a["value"].isupper()]
    assert options == ["VIP", "BOOST"]
    assert dots(page_of()) == {"VIP": "segment_1", "BOOST": "boost"}
    assert "2 messages" in text_of(page_of(segment="VIP"))
    gone = page_of(segment="REWARD")
    assert "REWARD (0)" in text_of(gone)
    message = messages_page.message_page(written.engine, VIEWER, written.window, 1)
    assert dots(message) == {"VIP": "segment_1"}


def test_a_customers_page_says_why_in_words(written):
    def page_of(customer):
        return customer_page(written.engine, VIEWER, str(customer), Settings(), as_of=written.now)

    assert "VIP: spend $600 is at least $500; 1 purchase is more than 0." in text_of(page_of(1))
    assert "LAPSING: no purchase is known, so longer ago than 28 days; 1 like is more than 0." in text_of(page_of(2))
    assert "No message: LAPSING is not texted" in text_of(page_of(2))
    others = text_of(page_of(4))
    assert "Not VIP: spend $200 is less than $500. Not LAPSING:" in others
    assert "Sessions a week Segment" in others  # the table of a chart without a line
    assert "REWARD" not in others


def test_a_customers_chart_has_a_line_only_where_the_rules_name_one(written, in_window):
    earlier = in_window(written.window.previous())
    earlier.purchase(1, 1)
    earlier.computed(**USUAL)
    text = text_of(customer_page(written.engine, VIEWER, "1", Settings(), as_of=written.now))
    assert "Threshold" in text
    assert f"{days(written.window.start, written.window.end)} 0 – VIP" in text
