"""The final texts to real customers: as the sender composes them, in each language, and on the command line."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.cli import main
from engage.errors import InputError, NoSuchCustomer
from engage.reports import text_previews
from engage.settings import validate
from engage.texts import offer_code
from tests.integration.conftest import UNGUARDED
from tests.phones import fictional_phone

PHONE = fictional_phone(7)
NAMES = ["Ada Diaz", "Zoë", None, "O'Brien {{ name }}", "www.evil.example", "A" * 60, "李小龙", "Eva Ruiz"]
TEXTS = {
    "message_boost": "Hi {{ first_name }} – {{ total_spend }}, {{ weekly_sessions }}, {{ purchases }} times",
    "message_reward": "Thank you {{ name }}! {{ days_since_last_purchase }} days ago: {{ favourite_item }}. Reply STOP",
    "messages": json.dumps(
        {
            "BOOST": {
                "a": {
                    "es": "Hola {{ first_name }}, muestra {{ offer_code }}. Responde STOP.",
                    "pt-br": "Olá {{ name }}",
                },
                "b": {"default": "Come back {{ name }}\nsoon", "es": "Vuelve {{ name }}"},
            },
            "REWARD": {"fr": "Merci {{ name }}. Répondez STOP"},
        }
    ),
    "offer": "summer",
    "price_per_segment": "0.0079",
    "max_segments": "4",
}
LOCALES = ["es-MX", "es_AR", "pt-BR", "pt", None, "en-GB", "fr", "ES"]


@pytest.fixture
def bought(world, offers):
    """Sixteen customers in both segments, with odd names and many locales."""
    for n, name in enumerate(NAMES * 2):
        customer = world.customer(name=name, locale=LOCALES[(n * 3) % len(LOCALES)])
        if n % 2:
            world.sessions(customer, 48)
            world.purchase(customer, 200_00)
            world.app_event(customer, "liked", f"pie {n}")
    offers.make(100)
    return world


def previews(world, *, segments=None, locale=None, count=10, **changed):
    chosen = validate(UNGUARDED | TEXTS | changed)
    with world.engine.begin() as conn:
        wanted = segments or chosen.texted
        return text_previews.of_segments(conn, world.window, chosen, wanted, locale=locale, count=count)


def test_it_is_what_the_sandbox_gets_character_by_character(bought):
    bought.computed(**TEXTS)
    shown = {(one.customer_id, one.variant): one for one in previews(bought) if not one.stands_in}
    bought.message()
    codes = dict(bought.rows("SELECT customer_id, code FROM offer_code WHERE customer_id IS NOT NULL"))
    sent = bought.rows("SELECT customer_id, variant, body, segments FROM message WHERE body IS NOT NULL")
    assert len(sent) == 16
    for customer_id, variant, body, segments in sent:
        one = shown[customer_id, variant]
        # a code has as many plain characters as the sample
        assert one.sms.text == body.replace(codes.get(customer_id, offer_code.SAMPLE), offer_code.SAMPLE)
        assert one.sms.segments == segments
    assert any(offer_code.SAMPLE in one.sms.text for one in shown.values())


def test_no_preview_gives_a_code_away(bought):
    bought.computed(**TEXTS)
    before = bought.dump("offer_code")
    texts = " ".join(one.sms.text for one in previews(bought))
    assert [code for (code,) in bought.rows("SELECT code FROM offer_code") if code in texts] == []
    assert bought.dump("offer_code") == before


def test_each_language_has_up_to_so_many_customers_of_its_own(bought):
    bought.computed(**TEXTS)
    found = previews(bought, segments=["BOOST"], count=2)
    by_language = {}
    for one in found:
        by_language.setdefault((one.variant, one.language), set()).add((one.customer_id, one.stands_in))
    locales = dict(bought.rows("SELECT customer_id, locale FROM customer"))
    assert {key: len(ids) for key, ids in by_language.items() if key[0] == "a"} == {
        ("a", ""): 2, ("a", "es"): 2, ("a", "pt-br"): 2,
    }  # fmt: skip
    assert {(locales[id_] or "")[:2].lower() for id_, stands_in in by_language["a", "es"] if not stands_in} <= {"es"}


def test_a_customer_stands_in_where_none_reads_the_language(world):
    world.purchase(world.customer(name="Ada"), 100)
    world.computed()
    found = previews(world, messages=json.dumps({"BOOST": {"fr": "Merci {{ name }}"}}))
    assert [(one.language, one.sms.text[:9], one.stands_in) for one in found] == [
        ("", "Hi Ada – ", False), ("fr", "Merci Ada", True),
    ]  # fmt: skip


def test_what_a_text_takes_and_costs_is_said(world):
    world.purchase(world.customer(name="Zoë ł"), 100)
    world.computed()
    [one] = previews(world, message_boost="Hi {{ name }}", messages="{}", offer="", max_segments="1")
    assert (one.sms.text, one.encoding, one.sms.segments, str(one.cost)) == (
        "Hi Zoë ł Reply STOP to opt out.", "UCS-2", 1, "0.0079",
    )  # fmt: skip
    assert (one.opt_out_added, one.too_long) == (True, False)
    world.execute(sa.text("UPDATE customer SET name = repeat('ł', 40)"))
    long = f"Hi {{{{ name }}}} {'x' * 90}. Reply STOP"
    [one] = previews(world, message_boost=long, messages="{}", offer="", max_segments="1")
    assert (one.sms.segments, one.too_long, one.opt_out_added) == (3, True, False)


def customer_text(world, customer_id, **wanted):
    chosen = validate(UNGUARDED | TEXTS)
    with world.engine.begin() as conn:
        return text_previews.of_customer(conn, world.window, chosen, customer_id, **wanted)


def test_one_customers_text_is_in_the_own_segment_and_language_unless_others_are_given(bought):
    bought.computed(**TEXTS)
    [own] = customer_text(bought, 2)
    assert (own.segment, own.language) == ("REWARD", "")
    [french] = customer_text(bought, 2, locale="fr-CA")
    assert french.sms.text == "Merci Zoë. Répondez STOP"
    assert [one.segment for one in customer_text(bought, 2, segment="BOOST")] == ["BOOST", "BOOST"]
    with pytest.raises(NoSuchCustomer, match="has no customer 99"):
        customer_text(bought, 99)


def test_a_customer_without_a_text_is_an_answer(world):
    customer = world.customer()
    world.purchase(customer, 500_00)
    world.computed()
    with pytest.raises(InputError, match=r"Customer 1 is in NONE, which has no text\. Segments with a text: BOOST"):
        customer_text(world, customer)


# --- the command line


def test_the_command_shows_each_text_with_what_it_takes(bought, command):
    bought.computed(**TEXTS)
    said = command("texts", "preview", "--segment", "REWARD", "--locale", "fr", "--count", "1")
    assert "REWARD a in fr, to customer" in said
    assert "Merci " in said
    assert "1 SMS segment · " in said
    assert "· UCS-2 · $0.0079 · the text says how to opt out" in said


def test_the_command_takes_the_settings_of_the_campaign_and_others_over_them(bought, command):
    bought.computed(**TEXTS)
    said = command("texts", "preview", "--customer", "2", "--set", "message_reward=Ciao {{ name }}!")
    assert "Ciao Zoë! Reply STOP to opt out." in said
    assert "Engage adds how to opt out" in said
    assert "Merci" in command("texts", "preview", "--customer", "2", "--locale", "fr", "--set", "message_reward=Ciao!")


def test_the_command_prints_json(bought, command):
    bought.computed(**TEXTS)
    start = f"{bought.window.start:%Y-%m-%d}"
    found = json.loads(command("texts", "preview", "--segment", "BOOST", "--count", "3", "--window", start, "--json"))
    assert {one["language"] for one in found} == {"", "es", "pt-br"}
    assert {one["variant"] for one in found} == {"a", "b"}
    assert set(found[0]) == {
        "segment", "customer_id", "name", "locale", "language", "variant", "text", "characters", "sms_segments",
        "encoding", "cost", "opt_out_added", "too_long", "stands_in",
    }  # fmt: skip


def test_the_command_prints_what_is_odd_about_the_texts(bought, command):
    bought.computed(**TEXTS)
    assert "BOOST: a: " in command("texts", "preview", "--segment", "BOOST")


def failing(*arguments):
    done = CliRunner().invoke(main.app, arguments)
    return done.exit_code, done.output if done.exit_code == 1 and done.output else str(done.exception)


def test_what_the_command_cannot_show_it_explains(world, command):
    assert "use `engage run` first" in failing("texts", "preview")[1]
    world.purchase(world.customer(), 100)
    world.computed()
    assert "'NOBODY' is no segment with a text. Segments with a text: BOOST, REWARD." in failing(
        "texts", "preview", "--segment", "NOBODY"
    )[1]  # fmt: skip
    assert "--set message_bost is not a setting" in failing("texts", "preview", "--set", "message_bost=x")[1]
    assert "No customer of the window would get" in command("texts", "preview", "--segment", "REWARD")


def test_the_command_sends_a_text_to_a_phone_on_the_list(bought, command, monkeypatch, double):
    monkeypatch.setenv("ENGAGE_HASH_KEY", "x" * 32)
    monkeypatch.setenv("ENGAGE_SMS_URL", double.sms_url)
    bought.computed(**TEXTS)
    sending = ("texts", "send-test", "--segment", "BOOST", "--to", PHONE, "--customer", "1")
    listed = ("--set", f"test_phones={PHONE}")
    said = command(*sending, *listed, "--set", "sms_provider=twilio", "--locale", "es", "--variant", "b")
    [post] = double.posts
    assert (post.form["To"], post.form["Body"]) == (PHONE, "TEST Vuelve Ada Diaz Reply STOP to opt out.")
    assert "TEST Vuelve Ada Diaz Reply STOP to opt out." in said
    assert f"The test message to …{PHONE[-2:]} was accepted by Twilio." in said
    assert PHONE not in said
    assert "accepted by the sandbox, which sends no real text" in command(*sending, *listed)
    assert (
        "goes only to a number of engage_test_phones"
        in failing(*sending, "--set", f"test_phones={fictional_phone(8)}")[1]
    )
    assert "There is no phone for test messages" in failing(*sending)[1]
    assert bought.rows("SELECT count(*) FROM test_send WHERE status = 'accepted'") == [(2,)]


def test_a_send_that_is_refused_ends_with_an_exit_code(world, command, monkeypatch):
    monkeypatch.setenv("ENGAGE_HASH_KEY", "x" * 32)
    world.purchase(world.customer(phone=PHONE), 100)
    world.computed()
    world.execute(sa.text("UPDATE customer SET opted_out_at = registered_at, phone_hash = :hash"), {"hash": _hash()})
    code, said = failing("texts", "send-test", "--segment", "BOOST", "--to", PHONE, "--set", f"test_phones={PHONE}")
    assert code == 1
    assert "was not sent: the phone has opted out; a START from it ends that." in said


def _hash():
    from engage.texts.phone import phone_hash

    return phone_hash(PHONE, b"x" * 32)
