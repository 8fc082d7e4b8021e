"""The page about one customer."""

import pytest
import sqlalchemy as sa

from engage.errors import InputError, NoSuchCustomer
from engage.pages import customer_page
from engage.pages.viewer import Viewer
from engage.reports import customer_history
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of


def test_it_has_the_numbers_the_bucket_and_why_of_every_campaign(world, in_window):
    ada = world.customer(name="Ada")
    world.purchase(ada, 123_45)
    world.sessions(ada, 44)
    earlier = in_window(world.window.previous())
    earlier.purchase(ada, 99)
    earlier.computed()
    world.computed()
    text = text_of(customer_page.customer_page(world.engine, Viewer(), str(ada)))
    assert "Ada" in text
    assert "$123.45 1 purchase 5.5 44 in all REWARD The spend is 100.00 or more, with more than 5.0 sessions" in text
    assert "$0.99 1 purchase 0 0 in all BOOST The spend is below 100.00. none" in text
    assert text.index("$123.45") < text.index("$0.99")


def test_it_has_what_became_of_the_messages(world):
    world.sessions(world.customer())
    ben = world.customer(phone=None)
    world.computed()
    world.message()
    text = text_of(customer_page.customer_page(world.engine, Viewer(), "1"))
    assert (
        "accepted queued 10 Nov 2026, 09:00 UTC sending 10 Nov 2026, 09:00 UTC accepted 10 Nov 2026, 09:00 UTC" in text
    )
    assert "skipped, no_phone" in text_of(customer_page.customer_page(world.engine, Viewer(), str(ben)))


def test_a_campaign_that_is_computed_anew_explains_no_bucket_of_before(world, in_window):
    ada = world.customer()
    world.purchase(ada, 150_00)
    earlier = in_window(world.window.previous())
    earlier.purchase(ada, 99)
    earlier.computed()
    world.computed()
    world.extract(low_spend_threshold=200)
    assert "200.00" not in customer_page.customer_page(world.engine, Viewer(), str(ada))
    with world.engine.begin() as conn:
        assert customer_history.view(conn, ada)["campaign"]["window_start"] == world.window.previous().start
    world.computed(low_spend_threshold=200)
    assert "BOOST The spend is below 200.00" in text_of(customer_page.customer_page(world.engine, Viewer(), str(ada)))


def test_it_shows_no_more_of_a_phone_than_two_digits(world):
    page = customer_page.customer_page(world.engine, Viewer(), str(world.customer(phone="+15550123456")))
    assert "…56" in page
    assert "5550123" not in page


def test_without_an_id_it_asks_for_one(engine):
    assert "Customer's id" in text_of(customer_page.customer_page(engine, Viewer(), None))
    assert "Customer's id" in text_of(customer_page.customer_page(engine, Viewer(), ""))


def test_a_customer_of_no_campaign_can_be_seen(world):
    assert "No campaign has put this customer" in customer_page.customer_page(
        world.engine, Viewer(), f" {world.customer()} "
    )


@pytest.mark.parametrize("wanted", ["x", "0", "1.5", "--1", "١", "9" * 19, "9" * 5000, EVIL])
def test_an_id_that_nobody_can_have_is_refused(engine, wanted):
    with pytest.raises(InputError, match="is not a customer's id"):
        customer_page.customer_page(engine, Viewer(), wanted)


@pytest.mark.parametrize("wanted", ["-1", str(2**63 - 1), str(-(2**63) + 1)])
def test_an_id_that_nobody_has_is_told_apart(engine, wanted):
    with pytest.raises(NoSuchCustomer):
        customer_page.customer_page(engine, Viewer(), wanted)


def test_what_people_have_written_stays_text(world):
    ada = world.customer(name=EVIL, locale=EVIL, time_zone=EVIL, consent_source=EVIL)
    world.sessions(ada)
    world.computed()
    world.message()
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER USER"))
    world.execute(sa.text(f"UPDATE message SET error = '{EVIL}', settled_by = '{EVIL}', settled_why = '{EVIL}'"))
    page = customer_page.customer_page(world.engine, Viewer(), str(ada))
    assert page.count("&lt;script&gt;") == 8
    assert_inert(page)
