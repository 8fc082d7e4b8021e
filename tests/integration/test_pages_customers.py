"""The page about one customer."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.customers import profile, replies
from engage.customers.profile import Profile
from engage.customers.replies import InboundSms
from engage.errors import InputError, NoSuchCustomer
from engage.pages import customer_page
from engage.pages.viewer import Viewer
from engage.reports import customer_history, customer_search
from engage.settings import Settings, validate
from engage.statuses import ConsentSource
from engage.storage.schema import customer_activity
from engage.texts.phone import phone_hash
from tests.integration.conftest import KEY, NOW
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of
from tests.phones import fictional_phone

VIEWER = Viewer()
HOUR = timedelta(hours=1)


def page_of(world, wanted, viewer=VIEWER, **settings):
    chosen = Settings() if not settings else validate(settings)
    return customer_page.customer_page(world.engine, viewer, wanted, chosen, as_of=world.now)


def test_it_has_the_numbers_the_bucket_and_why_of_every_campaign(world, in_window):
    ada = world.customer(name="Ada")
    world.purchase(ada, 123_45)
    world.sessions(ada, 44)
    earlier = in_window(world.window.previous())
    earlier.purchase(ada, 99)
    earlier.computed()
    world.computed()
    text = text_of(page_of(world, str(ada)))
    assert "Ada" in text
    assert (
        "REWARD $123.45 in 1 purchase · 5.5 sessions a week, 44 in all REWARD: 5.5 sessions a week are more than 5."
        in text
    )
    assert (
        "BOOST $0.99 in 1 purchase · 0 sessions a week, 0 in all BOOST: spend $0.99 is below $100. No message" in text
    )
    assert text.index("$123.45 in 1") < text.index("$0.99 in 1")


def test_it_has_the_sums_of_the_windows_up_to_the_newest_campaign(world, in_window):
    ada = world.customer(registered_at=world.window.previous().start)
    earlier = in_window(world.window.previous())
    for each in (earlier, world):
        each.purchase(ada, 1_050)
        each.sessions(ada, 2)
        each.computed()
    assert (
        "Purchases to date 2 Active windows 2 with a session or a purchase Last 3 windows $21.00 · 4 sessions "
        "Counted until 9 Nov 2026" in text_of(page_of(world, str(ada)))
    )


def test_sums_that_an_earlier_version_did_not_keep_are_not_shown_as_zero(world):
    world.sessions(world.customer())
    world.computed()
    world.execute(sa.update(customer_activity).values(purchases_to_date=None))
    text = text_of(page_of(world, "1"))
    assert "Not known: an earlier version computed the newest campaign." in text
    assert "Purchases to date" not in text


def test_it_has_what_became_of_the_messages(world):
    world.sessions(world.customer())
    ben = world.customer(phone=None)
    world.computed()
    world.message()
    text = text_of(page_of(world, "1"))
    assert "1 SMS segment Accepted 10 Nov 2026, 09:00:00 UTC Details of the message" in text
    assert "Skipped No phone 10 Nov 2026, 09:00:00 UTC" in text_of(page_of(world, str(ben)))


def test_a_campaign_that_is_computed_anew_explains_no_bucket_of_before(world, in_window):
    ada = world.customer()
    world.purchase(ada, 150_00)
    earlier = in_window(world.window.previous())
    earlier.purchase(ada, 99)
    earlier.computed()
    world.computed()
    world.extract(low_spend_threshold=200)
    assert "$200" not in page_of(world, str(ada))
    with world.engine.begin() as conn:
        assert customer_history.view(conn, ada)["campaign"]["window_start"] == world.window.previous().start
    world.computed(low_spend_threshold=200)
    assert "BOOST: spend $150 is below $200." in text_of(page_of(world, str(ada)))


def test_it_shows_no_more_of_a_phone_than_two_digits(world):
    page = page_of(world, str(world.customer(phone="+15550123456")))
    assert "…56" in page
    assert "5550123" not in page


@pytest.mark.parametrize("wanted", [None, ""])
def test_without_an_id_it_asks_for_one(world, wanted):
    assert "Id, name, or last digits of the phone" in text_of(page_of(world, wanted))


def test_a_customer_of_no_campaign_can_be_seen(world):
    assert "No campaign has put this customer" in page_of(world, f" {world.customer()} ")


@pytest.mark.parametrize("wanted", ["x", "0", "1.5", "--1", "١", "9" * 19, "9" * 5000, EVIL])
def test_an_id_that_nobody_can_have_is_refused(engine, wanted):
    with pytest.raises(InputError, match="is not a customer's id"):
        customer_page.customer_page(engine, Viewer(), wanted, Settings(), as_of=NOW)


@pytest.mark.parametrize("wanted", ["-1", str(2**63 - 1), str(-(2**63) + 1)])
def test_an_id_that_nobody_has_is_told_apart(engine, wanted):
    with pytest.raises(NoSuchCustomer):
        customer_page.customer_page(engine, Viewer(), wanted, Settings(), as_of=NOW)


def test_what_people_have_written_stays_text(world):
    ada = world.customer(name=EVIL, locale=EVIL, time_zone=EVIL, consent_source=EVIL)
    world.sessions(ada)
    world.computed()
    world.message()
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER USER"))
    world.execute(
        sa.text(
            f"UPDATE message SET status = 'failed', error = '{EVIL}', settled_by = '{EVIL}', settled_why = '{EVIL}'"
        )
    )
    page = page_of(world, str(ada))
    assert page.count("&lt;script&gt;") == 9
    assert_inert(page)


# --- the head of the page


def test_it_says_whether_the_customer_may_be_texted_now(world):
    assert "May be texted" in page_of(world, str(world.customer()))
    out = world.customer(opted_out_at=world.now)
    assert "Not texted: opted out" in page_of(world, str(out))
    assert "Not texted: no consent" in page_of(world, str(world.customer(consent_at=None)))
    synthetic = str(world.customer(synthetic=True))
    assert "May be texted" in page_of(world, synthetic)
    assert "Not texted: a synthetic customer" in page_of(world, synthetic, sms_provider="twilio")


def test_it_has_the_time_there_and_when_quiet_hours_end(world):
    page = text_of(page_of(world, str(world.customer(time_zone="America/Los_Angeles"))))
    assert "01:00 in America/Los Angeles quiet hours until 08:00 PST" in page
    assert "quiet" not in page_of(world, str(world.customer(time_zone="Europe/Berlin")))
    assert "10:00 in Europe/Berlin" in text_of(page_of(world, str(world.customer(time_zone="Europe/Berlin"))))


def test_a_number_of_several_time_zones_has_no_time(world):
    assert "Time there not known" in text_of(page_of(world, str(world.customer(phone="+18005550123"))))


def test_a_text_has_the_time_by_the_customers_clock_and_its_cost(world):
    world.purchase(world.customer(time_zone="America/Los_Angeles"), 99)
    world.computed(price_per_segment="0.0079")
    world.message()
    page = text_of(page_of(world, "1"))
    assert "1 SMS segment · $0.0079" in page
    assert "01:00 PST where they are" in page
    assert "Texted 1 time, last 10 Nov 2026 Held out never" in page


def test_the_charts_show_each_campaigns_own_threshold(world, in_window):
    ada = world.customer()
    earlier = in_window(world.window.previous())
    earlier.purchase(ada, 50_00)
    earlier.computed(low_spend_threshold=60)
    world.purchase(ada, 150_00)
    world.computed()
    page = text_of(page_of(world, str(ada)))
    assert "20 Jul – 14 Sep 2026 $50.00 $60 BOOST 14 Sep – 9 Nov 2026 $150.00 $100 NONE" in page


@pytest.mark.parametrize(
    ("viewer", "buttons"),
    [(Viewer(), 0), (Viewer(may_change_runs=True), 2), (Viewer(may_change_runs=True, may_edit_connection=True), 3)],
)
def test_only_users_who_may_are_offered_an_action(world, viewer, buttons):
    assert page_of(world, str(world.customer()), viewer).count("data-opens") == buttons


def test_only_users_who_may_are_led_to_the_import(world):
    assert 'href="import"' in page_of(world, None, Viewer(may_edit_connection=True))
    assert 'href="import"' not in page_of(world, None, Viewer(may_change_runs=True))


def test_a_customer_who_has_opted_out_is_not_opted_out_again(world):
    page = page_of(world, str(world.customer(opted_out_at=world.now)), Viewer(may_change_runs=True))
    assert page.count("data-opens") == page.count('data-opens="exclude-') == 1


# --- the search


@pytest.fixture
def known(world):
    """Customers with like names and phones."""
    names = ("Ada Diaz", "Adam O'Neil", "Zoë Müller-Lüdenscheidt", "ada lovelace", None)
    for number, name in enumerate(names, 1):
        world.customer(customer_id=number, name=name, phone=f"+1202555{number:04}")
    world.customer(customer_id=4711, name="Élodie", phone="+12025560001")
    return world


def ids(world, text, *, full_phone=False):
    with world.engine.begin() as conn:
        return [one.customer_id for one in customer_search.search(conn, text, full_phone=full_phone).matches]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("4711", [4711]),
        (" 3 ", [3]),
        ("0003", [3]),
        ("550003", [3]),
        ("55-0003", [3]),
        ("0001", [1, 4711]),
        ("ada", [1, 4, 2]),
        ("ADA DI", [1]),
        ("diaz ada", [1]),
        ("o'neil", [2]),
        ("neil", [2]),
        ("müller", [3]),
        ("MÜLLER", [3]),
        ("Lüdenscheidt zoë", [3]),
        ("élodie", [4711]),
    ],
)
def test_a_customer_is_found_by_id_words_of_the_name_and_last_digits(known, text, found):
    assert ids(known, text) == found


@pytest.mark.parametrize("text", ["999", "12", "nobody", "ada nobody", "'", "a & !b", "x:*", "9999", EVIL, "'); --"])
def test_what_no_customer_has_is_not_repeated(known, text):
    with pytest.raises((NoSuchCustomer, InputError)) as failed:
        ids(known, text)
    assert text not in str(failed.value).replace("'s id", "") or len(text) == 1


@pytest.mark.parametrize("text", ["", "  ", "\0", "a\nb", "***"])
def test_what_means_nothing_is_refused(known, text):
    with pytest.raises(InputError, match="Type a customer's id, a name"):
        ids(known, text)


@pytest.mark.parametrize("text", ["12025550003", "+1 (202) 555-0003", "2025550003", "02025550003"])
def test_a_full_phone_is_searched_only_for_users_who_may_read_phones(known, text):
    assert ids(known, text, full_phone=True) == [3]
    assert customer_search.has_full_phone(text)
    with pytest.raises(NoSuchCustomer, match="type its last 4 to 6 digits"):
        ids(known, text)


def test_zeros_alone_are_the_digits_of_no_phone(known):
    with pytest.raises(NoSuchCustomer):
        ids(known, "0000000", full_phone=True)


def test_the_full_phone_of_no_customer_is_not_in_the_error(known):
    for full_phone in (False, True):
        with pytest.raises(NoSuchCustomer) as failed:
            ids(known, "+1 202 555 0187", full_phone=full_phone)
        assert "0187" not in str(failed.value)


def test_one_customer_is_gone_to_and_several_are_a_list_with_masked_phones(known):
    assert customer_page.results(known.engine, "diaz", full_phone=False) == (1, "")
    found, page = customer_page.results(known.engine, "0001", full_phone=True)
    assert found is None
    assert "2 customers" in text_of(page)
    assert "1 Ada Diaz …01 phone 4711 Élodie …01 phone" in text_of(page)
    assert "2025" not in page


def test_of_many_customers_a_part_is_shown_and_said_to_be_one(known):
    for number in range(100, 130):
        known.customer(customer_id=number, name=f"Ada {number}", phone=None)
    assert "The first 25 of many customers" in text_of(customer_page.results(known.engine, "ada", full_phone=False)[1])


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (customer_search.named("ada"), "customer_name_words_idx"),
        (customer_search.with_digits("0003"), "customer_phone_reversed_idx"),
    ],
    ids=["name", "phone"],
)
def test_an_index_fits_the_search(known, query, index):
    """Of a handful of customers the database reads all, unless it may not."""
    with known.engine.begin() as conn:
        conn.execute(sa.text("SET LOCAL enable_seqscan = off"))
        text = str(query.compile(conn, compile_kwargs={"literal_binds": True}))
        assert index in " ".join(conn.exec_driver_sql(f"EXPLAIN {text}").scalars())


def test_it_has_the_changes_of_consent_latest_first(world):
    given = Profile(
        phone=fictional_phone(0), consent_at=NOW - HOUR, consent_source="app settings", consent_wording="Yes & often"
    )
    with world.engine.begin() as conn:
        profile.put(conn, 1, given, hash_key=KEY, as_of=NOW, actor="key app")
        profile.opt_out(conn, 1, as_of=NOW + HOUR, source=ConsentSource.OPERATOR, actor="ada", evidence=EVIL)
    page = customer_page.customer_page(world.engine, VIEWER, "1", Settings(), as_of=NOW + HOUR)
    text = text_of(page)
    opted_out = text.index("10 Nov 2026, 10:00:00 UTC · operator, ada")
    assert "“Yes & often” 10 Nov 2026, 08:00:00 UTC · app, key app known since 10 Nov 2026, 09:00:00 UTC" in text
    assert text.index("Consent on record Opted out") < opted_out < text.index("Consent given · app settings")
    assert_inert(page)
    replies.receive(world.engine, InboundSms("SM1", phone_hash(fictional_phone(0), KEY), "stop"), as_of=NOW + HOUR)
    assert "Texts to the phone stopped · text SM1" in text_of(
        customer_page.customer_page(world.engine, VIEWER, "1", Settings(), as_of=NOW + HOUR)
    )


def test_without_a_change_of_consent_it_says_so(world):
    assert "Consent on record No change yet." in text_of(page_of(world, str(world.customer())))
