"""Odd and excluded customers on the pages *Campaign report* and *Customer*."""

import pytest

from engage.customers import exclusion
from engage.pages import odd_section
from engage.pages.campaign_report import campaign_report
from engage.pages.customer_page import customer_page
from engage.pages.viewer import Viewer
from engage.settings import Settings
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of

VIEWER, OPERATOR = Viewer(), Viewer(may_change_runs=True)


@pytest.fixture
def bot(world):
    """A customer with more sessions than allowed, and one with fewer."""
    world.sessions(world.customer(customer_id=17), 57)
    world.sessions(world.customer(), 56)
    world.computed(odd_sessions_per_day="1")
    return 17


def report(world, viewer=VIEWER):
    return campaign_report(world.engine, viewer, world.window)


def exclude(world, customer_id, reason="test account"):
    with world.engine.begin() as conn:
        exclusion.exclude(conn, customer_id, reason=reason, by="ada", as_of=world.now)


def test_the_report_lists_an_odd_customer_with_the_limit(world, bot):
    text = text_of(report(world))
    assert f"{bot} Sessions in the 8 weeks 57 sessions 56 sessions a setting" in text
    assert "Sessions in the 8 weeks none: too few large numbers to tell" in text


def test_only_an_operator_has_a_button_to_exclude_a_customer(world, bot):
    assert f'data-opens="exclude-{bot}"' in report(world, OPERATOR)
    assert "exclude-" not in report(world)
    assert f'data-opens="exclude-{bot}"' in customer(world, bot, OPERATOR)
    assert "exclude-" not in customer(world, bot)


def customer(world, customer_id, viewer=VIEWER):
    return customer_page(world.engine, viewer, str(customer_id), Settings(), as_of=world.now)


def test_an_excluded_customer_has_no_button_any_more(world, bot):
    exclude(world, bot)
    page = report(world, OPERATOR)
    assert "exclude-" not in page
    assert "56 sessions a setting Excluded" in text_of(page)


def test_the_customers_page_says_who_excluded_the_customer_and_ends_it(world, bot):
    exclude(world, bot)
    page = customer(world, bot, OPERATOR)
    assert "Not texted: excluded by an operator" in text_of(page)
    assert "by ada: test account" in text_of(page)
    assert 'data-opens="include"' in page
    assert 'data-opens="include"' not in customer(world, bot)


def test_a_reason_is_no_markup(world, bot):
    exclude(world, bot, EVIL)
    assert_inert(customer(world, bot))


def test_without_an_odd_customer_the_report_says_so(world):
    world.sessions(world.customer(), 1)
    world.computed()
    assert "No customer is beyond a limit." in text_of(report(world))


def test_a_campaign_of_an_earlier_version_has_no_such_section(world, bot):
    with world.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE campaign SET odd = NULL")
    assert "Odd customers" not in text_of(report(world))


def test_the_table_is_short_and_says_how_many_it_leaves_out(world):
    for _ in range(odd_section.SHOWN + 3):
        world.sessions(world.customer(), 57)
    world.computed(odd_sessions_per_day="1")
    text = text_of(report(world))
    assert text.count("56 sessions a setting") == odd_section.SHOWN
    assert "3 more are beyond a limit" in text
