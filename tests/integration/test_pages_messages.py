"""The pages about messages, their filters, and the CSV file."""

import csv
from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import message_counts
from engage.errors import InputError, NoSuchMessage, NotReady
from engage.pages import csv_download, messages_page
from engage.pages.csv_download import messages_csv
from engage.pages.viewer import Viewer
from engage.reports import message_export, message_list
from engage.reports.message_list import Filters
from engage.sending import ledger
from engage.sending.ledger import Settlement
from engage.statuses import MessageStatus, ProviderFact, SkipReason
from engage.storage.schema import message
from engage.window import ANCHOR, Window
from tests.integration.test_pages_campaigns import EVIL, assert_inert, text_of

VIEWER = Viewer()
OPERATOR = Viewer(may_change_runs=True)
OP = Viewer(may_change_runs=True, may_edit_connection=True)


@pytest.fixture
def sent(world):
    """Nine messages: two are skipped, one is unknown, one undelivered, one failed, and four are accepted."""
    for number in range(1, 10):
        world.customer(customer_id=number, phone=None if number == 8 else f"+1202555{number:04}", name=f"Ada {number}")
        if number in {2, 3}:
            world.purchase(number, 200_00)
            world.sessions(number, 48)
    world.customer(customer_id=10, opted_out_at=world.now)
    world.computed()
    world.message()
    world.execute(sa.text("ALTER TABLE message DISABLE TRIGGER message_move"))
    put(world, 4, "unknown", error="the connection broke", unknown_at=world.now, accepted_at=None)
    put(world, 5, "undelivered", error="unreachable", error_code=30003, fact="unreachable", settled_at=world.now)
    put(world, 6, "failed", error="filtered as spam", error_code=30007, fact="filtered", settled_at=world.now)
    world.execute(sa.text("ALTER TABLE message ENABLE TRIGGER message_move"))
    return world


def put(world, customer_id, status, **values):
    theirs = message.c.customer_id == customer_id
    world.execute(sa.update(message).where(theirs).values(status=status, **values))


def page_of(world, viewer=VIEWER, window=None, after=None, before=None, **filters):
    return messages_page.messages_page(world.engine, viewer, window, Filters.parse(filters), after=after, before=before)


def listed(world, *, limit=50, after=None, before=None, **filters):
    with world.engine.begin() as conn:
        return message_list.page(conn, world.window, Filters.parse(filters), limit=limit, after=after, before=before)


def ids(page):
    return [row.customer_id for row in page.rows]


# --- the filters


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"status": "skipped"}, [8, 10]),
        ({"status": "unknown"}, [4]),
        ({"status": "accepted", "segment": "REWARD"}, [2, 3]),
        ({"reason": "no_phone"}, [8]),
        ({"reason": "opted_out"}, [10]),
        ({"segment": "REWARD"}, [2, 3]),
        ({"fact": "filtered"}, [6]),
        ({"error_code": "30003"}, [5]),
        ({"customer_id": "7"}, [7]),
        ({"status": "delivered"}, []),
        ({"status": "failed", "error_code": "30003"}, []),
        ({"status": " ", "reason": "", "segment": None}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_all_filters_hold_together(sent, filters, found):
    assert ids(listed(sent, **filters)) == found
    with sent.engine.begin() as conn:
        counted = Filters.parse(filters).counted(message_counts.of(conn, sent.window))
    known = not {"error_code", "customer_id"} & set(filters)
    assert counted == (len(found) if known else None)


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        (
            {"status": "lost"},
            "There is no status 'lost'; there are queued, sending, accepted, sent, unknown, delivered",
        ),
        ({"reason": "x"}, "There is no reason 'x'; there are backfill, too_late, holdout"),
        ({"segment": "none"}, "'none' is not the name of a segment, which is one such as BOOST."),
        ({"fact": "x"}, "There is no fact 'x'; there are opted_out"),
        ({"error_code": "abc"}, "The error code is 'abc'; it takes the provider's number of an error in plain digits."),
        ({"error_code": "-1"}, "The error code is '-1'"),
        ({"error_code": "9" * 30}, "The error code is '99999"),
        ({"error_code": "٣"}, "The error code is"),
        ({"customer_id": "x"}, "'x' is not a customer's id"),
        ({"status": "x" * 5000}, f"There is no status '{'x' * 40}'; "),
    ],
)
def test_a_filter_that_does_not_exist_is_refused_with_those_that_do(filters, sentence):
    with pytest.raises(InputError) as refused:
        Filters.parse(filters)
    assert sentence in str(refused.value)


def test_the_filters_are_the_parameters_of_an_address():
    given = {"status": "failed", "segment": "BOOST", "fact": "filtered", "error_code": "0", "customer_id": "7"}
    assert Filters.parse(given).query() == given
    assert Filters.parse(given | {"other": "x"}).query() == given
    address = messages_page.address(Window(ANCHOR), Filters.parse(given), after=9)
    assert address == (
        "messages?window_start=2025-01-06&status=failed&segment=BOOST&fact=filtered&error_code=0&customer_id=7&after=9"
    )


@pytest.mark.parametrize("filters", [{}, {"segment": "BOOST"}])
def test_the_parts_of_a_list_join_without_a_gap_in_both_directions(sent, filters):
    everything = ids(listed(sent, **filters))
    part, seen = listed(sent, limit=3, **filters), []
    assert part.before is None
    while True:
        seen += ids(part)
        if part.after is None:
            break
        part = listed(sent, limit=3, after=part.after, **filters)
    assert seen == everything
    last, backwards = part, ids(part)
    while last.before is not None:
        last = listed(sent, limit=3, before=last.before, **filters)
        backwards = ids(last) + backwards
    assert backwards == everything


def test_words_say_why_for_every_reason_and_fact():
    from engage.reports import message_words

    assert [message_words.reason(one) for one in SkipReason] == list(dict.fromkeys(message_words.REASONS.values()))
    assert [message_words.fact(one) for one in ProviderFact] == list(dict.fromkeys(message_words.FACTS.values()))
    assert {message_words.tone(one) for one in MessageStatus} == set(message_words.TONES.values())


# --- the list


def test_the_list_has_a_row_per_message_with_why_in_words(sent):
    text = text_of(page_of(sent))
    assert "10 messages" in text
    assert "4 …04 BOOST Unknown The connection broke 1 10 Nov 2026, 09:00:00 UTC Details" in text
    assert "5 …05 BOOST Undelivered Unreachable 30003 1" in text
    assert "8 – BOOST Skipped No phone – 10 Nov" in text
    assert "10 …10 BOOST Skipped Opted out –" in text


def test_the_filters_show_the_kept_counts_without_a_look_at_the_ledger(sent, monkeypatch):
    text = text_of(page_of(sent))
    assert "All 10 Accepted 5 Unknown 1 Undelivered 1 Failed 1 Skipped 2" in text
    assert "BOOST (8) REWARD (2)" in text
    assert "Opted out (1)" in text
    assert "No phone (1)" in text
    assert "Filtered as spam (1)" in text
    monkeypatch.setattr(message_list, "page", lambda *args, **rest: pytest.fail("the ledger was read"))
    assert "No message matches" in page_of(sent, status="delivered")


def test_a_count_that_is_not_kept_is_not_shown(sent):
    text = text_of(page_of(sent, error_code="30003"))
    assert "All Accepted Unknown Undelivered Failed Skipped" in text
    assert "1 message" not in text
    assert "Unreachable" in text


def test_a_chip_keeps_the_other_filters_but_for_a_reason_that_cannot_be(sent):
    page = page_of(sent, segment="BOOST", reason="opted_out", status="skipped")
    start = f"window_start={sent.window.start:%Y-%m-%d}"
    assert f'href="messages?{start}&amp;reason=opted_out&amp;segment=BOOST"' in page
    assert f'href="messages?{start}&amp;status=failed&amp;segment=BOOST"' in page


def test_by_default_it_is_the_latest_campaign_with_messages(sent, in_window):
    later = in_window(sent.window.next())
    later.sessions(1)
    later.computed()
    assert "10 messages" in text_of(page_of(sent))
    with sent.engine.begin() as conn:
        assert message_counts.of(conn, later.window).total == 0
    assert "This campaign has no messages" in page_of(sent, window=later.window)
    with pytest.raises(NotReady, match="There is no campaign for the window"):
        page_of(sent, window=Window(ANCHOR))


def test_without_any_message_it_says_when_there_will_be_some(world):
    assert "No message yet" in page_of(world)


def test_only_users_who_may_are_offered_an_action(sent):
    assert page_of(sent).count("data-opens") == 0
    operator = page_of(sent, OPERATOR)
    assert operator.count('data-opens="settle"') == 1
    assert "Ask the provider about 1 unknown one" in operator
    assert "export-messages" not in operator
    assert "export-messages" in page_of(sent, OP)


def test_it_shows_no_more_of_a_phone_than_two_digits(sent):
    for page in (page_of(sent), messages_page.message_page(sent.engine, OP, sent.window, 4)):
        assert "…04" in page
        assert "202555" not in page


# --- one message


def test_a_message_has_its_text_and_the_time_of_each_status(sent):
    text = text_of(messages_page.message_page(sent.engine, VIEWER, sent.window, 5))
    assert "Reply STOP to opt out. 1 SMS segment" in text
    assert (
        "Queued 10 Nov 2026, 09:00:00 UTC Claimed by the sender 10 Nov 2026, 09:00:00 UTC "
        "Handed over to the provider 10 Nov 2026, 09:00:00 UTC Accepted by the provider 10 Nov 2026, 09:00:00 UTC "
        "Not delivered 10 Nov 2026, 09:00:00 UTC"
    ) in text
    assert "Why Unreachable In other words The phone could not be reached Provider's error 30003" in text
    assert "Provider Sandbox Its id there sandbox-" in text


def test_a_skipped_message_says_that_there_is_no_text(sent):
    text = text_of(messages_page.message_page(sent.engine, VIEWER, sent.window, 8))
    assert "There is no text, because the message was skipped." in text
    assert "Why No phone" in text


def test_a_settled_message_has_the_name_and_the_reason(sent):
    settled = Settlement("delivered", "showed it at the counter", "ada")
    ledger.settle(sent.engine, sent.window, 4, settled, as_of=sent.now + timedelta(hours=1))
    text = text_of(messages_page.message_page(sent.engine, OPERATOR, sent.window, 4))
    assert "Settled by ada Because showed it at the counter" in text
    assert "The connection broke" not in text
    assert "Delivered 10 Nov 2026, 10:00:00 UTC" in text
    assert "data-opens" not in text


def test_a_message_that_does_not_exist_is_said_to_be_none(sent):
    with pytest.raises(NoSuchMessage, match="Customer 99 has no message of the window"):
        messages_page.message_page(sent.engine, VIEWER, sent.window, 99)


def test_what_people_have_written_stays_text(sent):
    sent.execute(sa.text("ALTER TABLE message DISABLE TRIGGER USER"))
    put(sent, 4, "failed", body=EVIL, error=EVIL, settled_by=EVIL, settled_why=EVIL, provider_message_id=EVIL)
    assert_inert(page_of(sent, OP))
    page = messages_page.message_page(sent.engine, OP, sent.window, 4)
    assert page.count("&lt;script&gt;") == 5
    assert_inert(page)


# --- the file


def rows_of(world, *, phones=False, **filters):
    parts = messages_csv(world.engine, world.window, Filters.parse(filters), phones=phones)
    return list(csv.DictReader("".join(parts).splitlines()))


@pytest.mark.parametrize("batch", [1, 3, 10, 5000])
def test_the_file_has_the_messages_that_the_list_has(sent, monkeypatch, batch):
    monkeypatch.setattr(message_export, "BATCH", batch)
    for filters in ({}, {"status": "skipped"}, {"error_code": "30003"}, {"status": "delivered"}):
        assert [int(row["customer_id"]) for row in rows_of(sent, **filters)] == ids(listed(sent, **filters))


def test_the_file_has_reasons_times_and_masked_phones(sent):
    rows = {row["customer_id"]: row for row in rows_of(sent)}
    assert rows["8"]["reason"] == "no_phone"
    assert rows["5"] | {"error_code": "30003", "fact": "unreachable", "phone": "…05"} == rows["5"]
    assert rows["5"]["window_start"] == "2026-09-14"
    assert rows["5"]["settled_at"] == "2026-11-10T09:00:00+00:00"
    assert "202555" not in "".join(messages_csv(sent.engine, sent.window, Filters()))


def test_the_full_file_has_whole_phones_that_no_spreadsheet_takes_for_a_formula(sent):
    rows = {row["customer_id"]: row for row in rows_of(sent, phones=True)}
    assert rows["5"]["phone"] == "'+12025550005"
    assert rows["8"]["phone"] == ""


def test_no_cell_of_the_file_is_a_formula(sent):
    sent.execute(sa.text("ALTER TABLE message DISABLE TRIGGER USER"))
    formula = "=HYPERLINK(1)"
    put(sent, 4, "delivered", error=formula, settled_by=formula, settled_why=formula, provider_message_id=formula)
    [row] = rows_of(sent, customer_id="4", phones=True)
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_the_file_is_read_a_batch_at_a_time(sent, monkeypatch):
    monkeypatch.setattr(message_export, "BATCH", 2)
    parts = csv_download.messages_csv(sent.engine, sent.window, Filters())
    next(parts)
    assert next(parts).count("\r\n") == 2
    put(sent, 9, "accepted", error="written while the file is read")
    assert "written while the file is read" in "".join(parts)
