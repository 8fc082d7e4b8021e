"""Drafted texts that people edit, approve and reject. What no person has approved is not sent."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from engage.drafts import message_texts
from engage.errors import InputError, NoSuchDraft
from tests.integration.drafting import BAD, proposed, settings, statuses
from tests.llm_double import BRAND, TEXTS

# --- near-duplicates


def test_a_text_like_one_in_use_another_draft_or_a_rejected_one_is_refused(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    with world.engine.begin() as conn:
        message_texts.reject(conn, second.message_text_id, by="ada", as_of=world.now)
    mine = settings().message("BOOST").replace("We miss you!", "We miss you at Taco Town!")
    found = proposed(world, model, TEXTS[0], f"{TEXTS[1]}!", mine, TEXTS[2], TEXTS[2], number=2)
    whys = [" ".join(one.faults) for one in found]
    assert f"% like the draft {first.message_text_id}:" in whys[0]
    assert f"% like the rejected text {second.message_text_id}:" in whys[1]
    assert "% like the text BOOST, which is in use:" in whys[2]
    assert whys[3] == ""
    assert "100% like text 4 of the same answer:" in whys[4]


# --- judging


def edited(world, draft, text, *, by="ben"):
    with world.engine.begin() as conn:
        return message_texts.edit(
            conn, draft.message_text_id, text=text, was=draft.text, settings=settings(), by=by, as_of=world.now
        )


def approved(world, draft, *, by="olga", chosen=None, was=None):
    with world.engine.begin() as conn:
        return message_texts.approve(
            conn, draft.message_text_id, was=was or draft.text, settings=chosen or settings(), by=by, as_of=world.now
        )


def test_an_edit_is_checked_again_and_names_its_editor(world, model):
    [bad] = proposed(world, model, BAD)
    worse = edited(world, bad, "Still 50% off at Taco Town")
    assert (worse.status, worse.source, worse.edited_by) == ("refused", "operator", "ben")
    good = edited(world, worse, f"\r\n{TEXTS[0]}\u200b ")
    assert (good.status, good.text, good.drafted, good.faults) == ("draft", TEXTS[0], BAD, ())
    assert edited(world, good, "Taco Town 50%").status == "refused"


def test_an_approved_text_is_the_next_variant_and_names_its_approver(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    found, messages = approved(world, first)
    assert (found.status, found.variant, found.approved_by, found.approved_at) == ("approved", "b", "olga", world.now)
    assert json.loads(messages) == {"BOOST": {"b": {"default": TEXTS[0]}}}
    again, more = approved(world, second, chosen=settings(messages=messages))
    assert again.variant == "c"
    assert settings(messages=more).by_variant("BOOST") == {
        "a": {"": settings().message("BOOST")}, "b": {"": TEXTS[0]}, "c": {"": TEXTS[1]},
    }  # fmt: skip


def test_a_text_in_a_language_takes_the_first_text_that_lacks_it(world, model):
    drafts = proposed(world, model, *TEXTS[:3], language="es")
    chosen = settings(messages=json.dumps({"BOOST": {"fr": "Bonjour"}}))
    found, messages = approved(world, drafts[0], chosen=chosen)
    assert (found.variant, json.loads(messages)) == ("a", {"BOOST": {"fr": "Bonjour", "es": TEXTS[0]}})
    with pytest.raises(InputError, match="Each text of BOOST has its es already"):
        approved(world, drafts[1], chosen=settings(messages=messages))


def test_a_segment_with_five_texts_takes_no_more(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    full = {"BOOST": {name: f"Text {name} of ours alone" for name in "bcde"}}
    with pytest.raises(InputError, match="BOOST has five texts, a to e"):
        approved(world, draft, chosen=settings(messages=json.dumps(full)))


def test_a_text_that_the_settings_have_already_is_approved_where_it_is(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    chosen = settings(messages=json.dumps({"BOOST": {"c": TEXTS[0]}}))
    found, messages = approved(world, draft, chosen=chosen)
    assert (found.variant, messages) == ("c", None)


def test_what_the_checks_refuse_by_now_cannot_be_approved(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    with pytest.raises(InputError, match=r"It does not name Burger Barn\. Edit it first\."):
        approved(world, draft, chosen=settings(brand="Burger Barn"))
    [bad] = proposed(world, model, BAD, number=2)
    with pytest.raises(InputError, match="may not be sent as it stands"):
        approved(world, bad)
    lost = settings(segments='{"segments": [{"name": "OTHER", "when": ["total_spend < 1"]}], "otherwise": "NONE"}')
    with pytest.raises(InputError, match="No rule has the segment BOOST any more"):
        approved(world, draft, chosen=lost)
    assert {status for _, status in statuses(world)} == {"draft", "refused"}


def test_of_two_drafts_that_are_alike_one_may_be_approved(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    world.execute(sa.text("UPDATE message_text SET text = :text"), {"text": TEXTS[0]})
    approved(world, first)
    with pytest.raises(InputError, match="It is 100% like the text REWARD b, which is in use"):
        approved(world, second, was=TEXTS[0], chosen=settings(messages=json.dumps({"REWARD": {"b": TEXTS[0]}})))


def test_what_another_user_has_changed_or_decided_stays(world, model):
    first, second = proposed(world, model, TEXTS[0], TEXTS[1])
    edited(world, first, TEXTS[2])
    with pytest.raises(InputError, match="Another user has edited this draft meanwhile"):
        approved(world, first)
    approved(world, second)
    for judge in (lambda: approved(world, second), lambda: edited(world, second, "x")):
        with pytest.raises(InputError, match=f"The draft {second.message_text_id} is decided on: olga approved it."):
            judge()
    with world.engine.begin() as conn, pytest.raises(InputError, match="remove text b of BOOST from its texts"):
        message_texts.reject(conn, second.message_text_id, by="ben", as_of=world.now)


def test_a_rejection_is_for_good_and_the_same_twice(world, model):
    [draft] = proposed(world, model, TEXTS[0])
    with world.engine.begin() as conn:
        once = message_texts.reject(conn, draft.message_text_id, by="ada", as_of=world.now)
        assert message_texts.reject(conn, draft.message_text_id, by="ben", as_of=world.now) == once
    assert (once.status, once.rejected_by) == ("rejected", "ada")
    with pytest.raises(InputError, match="ada rejected it"):
        approved(world, draft)
    with world.engine.begin() as conn, pytest.raises(NoSuchDraft, match="no drafted text with the id 999"):
        message_texts.reject(conn, 999, by="ada", as_of=world.now)


# --- nothing that no person approved is sent


@pytest.mark.parametrize(
    "change",
    [
        "status = 'approved'",
        "status = 'approved', variant = 'b', approved_at = now()",
        "status = 'approved', variant = 'b', approved_by = 'ada'",
        "variant = 'b'",
        "status = 'rejected'",
        "source = 'operator'",
        "lint = '[\"why\"]'",
        "status = 'refused'",
        "status = 'sent'",
    ],
)
def test_the_database_keeps_no_approval_without_a_person_and_no_status_against_its_checks(world, model, change):
    proposed(world, model, TEXTS[0])
    with pytest.raises(sa.exc.IntegrityError, match="message_text_"), world.engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE message_text SET {change}"))


def test_a_refused_text_is_not_approved_by_any_update(world, model):
    proposed(world, model, BAD)
    change = "status = 'approved', variant = 'b', approved_by = 'ada', approved_at = now()"
    with pytest.raises(sa.exc.IntegrityError, match="message_text_lint_check"), world.engine.begin() as conn:
        conn.execute(sa.text(f"UPDATE message_text SET {change}"))


def test_a_campaign_sends_the_approved_text_and_no_other(world, model):
    drafts = proposed(world, model, *TEXTS[:4], BAD)
    for _ in range(30):
        world.purchase(world.customer(name="Ada Diaz"), 100)
    with world.engine.begin() as conn:
        message_texts.reject(conn, drafts[1].message_text_id, by="olga", as_of=world.now)
    _, messages = approved(world, drafts[0])
    world.computed(brand=BRAND, messages=messages)
    world.message()
    bodies = {body for (body,) in world.rows("SELECT body FROM message WHERE status = 'accepted'")}
    assert bodies == {
        settings().message("BOOST"),
        f"{TEXTS[0].replace('{{ first_name }}', 'Ada')} Reply STOP to opt out.",
    }
