"""The page on which an approver looks at a list, in each state of the question."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from engage.campaigns import message_counts
from engage.campaigns.approvers import Approvers, Edit
from engage.formats import days, iso
from engage.pages import message_outcome
from engage.pages.approval_page import Question, approval_page
from engage.pages.viewer import Viewer
from engage.reports import message_words
from engage.statuses import SkipReason
from tests.integration.approvals import answer, ask, found
from tests.integration.test_pages_campaigns import Tags, assert_inert, text_of
from tests.phones import fictional_phone

APPROVER = Viewer(may_answer=True)
OPEN = Question("a run", open=True)
SETTINGS = {"require_approval": True, "price_per_segment": "0.5", "min_days_between_messages": "0"}


@pytest.fixture
def asked(world):
    """A list of five customers that waits for an answer, and one customer who is not on it."""
    for name in ("Ada Diaz", "Ben Ito", "Cleo Moss", "Dan Fox", "Eva Lind"):
        world.purchase(world.customer(name=name), 62_10)
    world.purchase(world.customer(opted_out_at=world.window.start), 1)
    world.computed(message_boost="Hi {{ first_name }}! Reply STOP to opt out.", **SETTINGS)
    ask(world)
    return world


def page_of(world, viewer=APPROVER, question=OPEN, users=None, **options):
    options = {"as_of": world.now} | options
    if users:
        options["who"] = lambda conn, found: users
    return approval_page(world.engine, viewer, world.window, ask=lambda _: question, **options)


def hidden(page, form):
    """The hidden values of the form that gives an answer."""
    part = page.partition(form)[2].partition("</form>")[0]
    return {a["name"]: a["value"] for tag, a in Tags(part).tags if tag == "input"}


def test_the_approver_sees_what_goes_out_and_answers_about_exactly_this_list(asked):
    page = page_of(asked)
    text = text_of(page)
    assert "May 5 messages go out? Waiting for approval" in text
    assert "rejects itself in 2 days · no customer is texted before" in text
    values = {
        "window_start": f"{asked.window.start:%Y-%m-%d}",
        "list": iso(found(asked).frozen_at),
        "run_id": "a run",
        "dag_id": "customer_engagement",
        "task_id": "approve",
    }
    assert hidden(page, '<form data-post action="answer" class="inline">') == values | {"answer": "approve"}
    assert hidden(page, '<dialog id="reject"') == values | {"answer": "reject", "reason": ""}
    assert '<button type="submit" class="primary">Approve 5 messages</button>' in page
    assert "Reject…" in text


def test_the_figures_are_those_of_the_list(asked):
    text = text_of(page_of(asked))
    assert "Messages 5 5 BOOST" in text
    assert "Cost, about $2.50 5 SMS segments" in text
    assert "Goes out at any hour the sandbox knows no sending hours · as fast as the provider takes them" in text
    assert "Not on the list 1 1 opted out" in text
    assert "Against the last sent – no campaign was sent before" in text
    assert "about 10 min at 30 an hour" in text_of(page_of(asked, rate=30 / 3600))


def test_sending_hours_are_named_where_they_count(world):
    world.sessions(world.customer(phone=fictional_phone(1), time_zone="America/New_York"))
    world.computed(sandbox_strict="true", sending_hours="9:00-20:00", **SETTINGS)
    ask(world)
    assert "Goes out 9:00-20:00 by each customer's own clock" in text_of(page_of(world))


def test_three_real_texts_are_shown_and_others_on_demand(asked):
    page = page_of(asked)
    for name in ("Ada", "Ben", "Cleo"):
        assert f"<mark>{name}</mark>" in page
    assert "<mark>Dan</mark>" not in page
    more = f"approval?window_start={asked.window.start:%Y-%m-%d}&after=3#texts"
    assert more in [attributes.get("href") for _, attributes in Tags(page).tags]
    second = page_of(asked, after=3)
    assert "<mark>Dan</mark>" in second
    assert "<mark>Ada</mark>" not in second
    assert "<mark>Ada</mark>" in page_of(asked, after=5)  # from the start again


def test_a_text_that_all_read_alike_is_shown_once(world):
    for _ in range(3):
        world.sessions(world.customer())
    world.computed(**SETTINGS)
    ask(world)
    text = text_of(page_of(world))
    assert text.count("We miss you!") == 1
    assert "to customer 1; all others read the same" in text


def test_the_checks_are_in_words(asked):
    text = text_of(page_of(asked))
    for words in (
        "Guard nothing odd",
        "Opt-out both texts say how to opt out",
        "Texts BOOST takes 1 SMS segment, REWARD takes 1 SMS segment with a long name",
        "Provider sandbox: no customer is really texted",
        "Lateness the window ended 1 day ago",
        "Cap no limit of messages is set",
    ):
        assert words in text
    late = text_of(page_of(asked, as_of=asked.now + timedelta(days=20)))
    assert "the window ended 21 days ago, and engage_send_within_days is 7; the run says send late" in late


def test_a_check_that_is_not_good_says_why(world):
    world.sessions(world.customer())
    world.computed(message_boost="Don’t miss it", max_messages_per_run="9", **SETTINGS)
    ask(world)
    world.execute(
        sa.text(
            "UPDATE campaign SET guard = jsonb_build_object('ignored_by', 'a run', 'findings', jsonb_build_array("
            "jsonb_build_object('check', 'volume', 'of', 'sessions', 'found', 1, 'limit', 50, 'sentence', 'too few')))"
        )
    )
    text = text_of(page_of(world))
    assert "Guard 1 finding, ignored by a run too few" in text
    assert "Engage adds “Reply STOP to opt out.” to BOOST" in text
    assert "BOOST: " in text.partition("Texts BOOST takes")[2]
    assert "a run sends at most 9 messages" in text
    assert "Budget" not in text


def test_a_user_who_may_not_approve_reads_why_and_may_still_reject(asked):
    users = Approvers(("ada", "ben"), triggered_by=("ada",))
    page = page_of(asked, users=users, user="ada")
    assert '<button type="submit" class="primary" disabled aria-describedby="refusal">Approve 5' in page
    assert "ada may not approve this list: ada triggered its run" in text_of(page)
    assert '<button type="button" class="danger" data-opens="reject">Reject…</button>' in page
    other = page_of(asked, users=users, user="ben")
    assert "disabled" not in other.partition('action="answer" class="inline"')[2].partition("</form>")[0]
    assert "may not approve" not in text_of(other)
    assert "ben may approve. The run was triggered by ada." in text_of(other)


def test_the_page_says_who_changed_what_to_users_who_may_know(asked):
    edits = (Edit("message_boost", "ben", asked.now), Edit("offer", "root", asked.now, command_line=True))
    users = Approvers(("ada", "ben"), edits=edits, unknown=("max_segments",))
    text = text_of(page_of(asked, users=users, user="ada", sees_edits=lambda: True))
    assert "Airflow’s schedule started the run." in text
    assert "engage_message_boost was last changed by ben, " in text
    assert "engage_offer was last changed by root on the command line, who may be any user, " in text
    unknown = "engage_max_segments was changed, and Airflow’s audit log does not say by which user."
    assert unknown in text
    hidden = text_of(page_of(asked, users=users, user="ada"))
    assert "by ben" not in hidden
    assert unknown in hidden
    assert "Who may approve" not in text_of(page_of(asked, users=Approvers(), user="ada"))


def test_a_rejection_asks_for_a_reason_and_the_page_shows_it_afterwards(asked):
    assert 'name="reason"' in page_of(asked).partition('<dialog id="reject"')[2].partition("</dialog>")[0]
    asked.execute(sa.text("UPDATE campaign SET approval = 'rejected', approval_by = 'ada', approval_reason = 'A <b>'"))
    page = page_of(asked)
    assert_inert(page)
    assert "The list was rejected by ada on" in text_of(page)
    assert "The reason: A <b>" in text_of(page)


def test_the_cost_stands_beside_the_budget(world):
    world.sessions(world.customer())
    world.computed(message_budget="0.75", **SETTINGS)
    ask(world)
    assert "Budget $0.50 at most, of the budget of $0.75" in text_of(page_of(world))
    world.execute(sa.text("""UPDATE campaign SET settings = settings || '{"message_budget": 0.25}'"""))
    assert "Budget $0.50 at most exceeds the budget of $0.25" in text_of(page_of(world))


def test_ten_of_the_customers_are_shown_with_their_phones_masked(asked):
    page = page_of(asked)
    text = text_of(page)
    assert "1 Ada Diaz BOOST $62.10 0.0 …01" in text
    assert "+999" not in page
    assert f"messages?window_start={asked.window.start:%Y-%m-%d}&status=queued" in [
        attributes.get("href") for _, attributes in Tags(page).tags
    ]


def test_a_user_who_may_not_answer_sees_the_page_without_buttons(asked):
    page = page_of(asked, Viewer())
    assert "May 5 messages go out?" in text_of(page)
    assert "An approver answers the question." in text_of(page)
    assert "<form" not in page
    assert "data-opens" not in page


def test_an_answer_that_the_run_has_yet_to_record_is_named(asked):
    question = Question("a run", open=False, answered_by="ada", approved=True)
    page = page_of(asked, question=question)
    assert "ada has approved the list. The run records this in a moment." in text_of(page)
    assert "<form" not in page


def test_a_question_that_no_run_asks_any_more_says_what_to_do(asked):
    page = page_of(asked, question=None)
    assert "No run waits for an answer any more" in text_of(page)
    assert "<form" not in page


@pytest.mark.parametrize(
    ("approved", "by", "sentence"),
    [
        (True, "ada", "The list was approved by ada on 10 Nov 2026, 10:00 UTC. The question is closed."),
        (False, "ada", "The list was rejected by ada on 10 Nov 2026, 10:00 UTC. 5 messages did not go out."),
        (False, None, "The list was rejected on 10 Nov 2026, 10:00 UTC: no answer came in time. 5 messages did not"),
    ],
)
def test_an_answered_question_is_closed(asked, approved, by, sentence):
    answer(asked, approved=approved, by=by)
    page = page_of(asked)
    assert sentence in text_of(page)
    assert f"The list of {days(asked.window.start, asked.window.end)}" in text_of(page)
    assert "<form" not in page


def test_the_list_itself_is_not_among_those_left_out_whatever_the_reasons_are_called(asked, monkeypatch):
    monkeypatch.setitem(message_words.REASONS, SkipReason.REJECTED, "The list was refused")
    monkeypatch.setitem(message_words.REASONS, SkipReason.OPTED_OUT, "Rejected all texts")
    assert "Not on the list 1 1 rejected all texts" in text_of(page_of(asked))
    answer(asked, approved=False, by="ada")
    with asked.engine.connect() as conn:
        counts = message_counts.counted(conn)
    parts = message_outcome.skipped(counts, asked.window, without=SkipReason.REJECTED)
    assert [(part.name, part.count) for part in parts] == [("rejected all texts", 1)]


def test_without_a_question_the_page_says_so(world):
    world.sessions(world.customer())
    world.computed()
    text = text_of(page_of(world, question=None))
    assert "No approval was asked for. engage_require_approval was off" in text


def test_the_list_is_held_against_the_last_campaign_that_was_sent(asked, in_window):
    earlier = in_window(asked.window.previous())
    earlier.purchase(1, 500_00)
    earlier.computed(min_days_between_messages="0")
    earlier.message()
    text = text_of(page_of(asked))
    assert "Against the last sent" in text
    assert "BOOST +16.7 points · REWARD –" in text


def test_what_people_have_written_stays_text(world):
    evil = "</td></script><script>alert(1)</script>"
    world.sessions(world.customer(name=evil))
    world.computed(message_boost="Hi {{ name }}! Reply STOP to opt out.", **SETTINGS)
    ask(world, run_id=evil)
    assert_inert(page_of(world, question=Question(evil, open=True)))


def test_the_figures_of_a_list_stay_once_its_messages_have_gone(asked):
    answer(asked, approved=True)
    asked.message()
    text = text_of(page_of(asked, question=None))
    assert "Messages 5 5 BOOST" in text
    assert "Cost, about $2.50 5 SMS segments" in text
