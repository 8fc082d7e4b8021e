"""What customers text back, and which wish it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage.statuses import TextClass
from engage.texts.opt_out_words import classify

STOP = [
    "STOP", "stop", "Stop.", "  stop \n", "STOP!!!", "“Stop”", "🛑 STOP 🛑", "stop 😡", "*stop*", "_STOP_", "S.T.O.P",
    "s t o p", "ＳＴＯＰ", "𝐒𝐓𝐎𝐏", "st\u200bop", "STOPALL", "Stop all", "unsubscribe", "CANCEL", "End", "quit",
    "REVOKE", "OptOut", "opt out", "OPT-OUT",
]  # fmt: skip
START = ["START", "start!", " Start 🙂", "UNSTOP", "unstop."]
HELP = ["HELP", "help?", "Info", "INFO!"]
REVOCATION = [
    "please stop", "Stop please", "STOP STOP STOP", "I said stop!", "ok stop now", "stoppp", "sotp", "just cancel this",
    "please stop texting me", "Stop sending me these", "STOP TEXTING", "can you stop all messages", "Stop the texts",
    "quit texting me", "stop with the spam", "Why won’t you stop texting me", "cancel my subscription",
    "end all notifications", "Cease all marketing messages",
    "don't text me again", "Don’t text me", "DONT TEXT", "do not contact me", "never text this number again",
    "please do not ever message me", "dont send me any more of these", "do'nt text",
    "I don't want these messages", "i no longer wish to receive texts", "we do not want to hear from you",
    "I don't want this anymore", "I do not consent", "I never signed up for this", "didn't agree to this",
    "no more messages", "No more", "no more texts please", "no further contact or messages", "No thanks",
    "remove me from your list", "Remove me", "take me off", "take my number off your list", "get me off this list",
    "delete my phone number", "Lose my number", "remove",
    "unsubscribe me", "how do I unsubscribe?", "I want to opt out", "opt me out", "opting out", "unsub",
    "I revoke my consent", "I withdraw my permission to be texted",
    "leave me alone", "go away", "Fuck off", "not interested", "wrong number", "This is spam", "reporting you for spam",
    "u need to stop", "do not disturb", "no more please", "No more coupons", "do not want", "please unenroll me",
    "Stop. I have moved.", "Great food! But please stop texting me.", "🛑", "🚫🚫",
    "alto", "¡Basta!", "pare por favor", "no me escriban más", "No me manden mensajes", "no quiero más mensajes",
    "no más", "dejen de escribirme", "déjenme en paz", "quítenme de la lista", "quiero darme de baja",
    "número equivocado", "No molestar", "ya no quiero recibir nada", "no me interesa",
    "arrêt", "Arrêtez s'il vous plaît",
]  # fmt: skip
OTHER = [
    "when do you stop serving breakfast?", "can't stop eating your fries!", "what time does happy hour end",
    "I'll stop by tonight", "we might stop by later and text you", "don't stop", "please don’t stop sending coupons",
    "when did you stop sending coupons", "I can't stop texting my friends about your fries", "nonstop fun",
    "cancel my order please", "Can I cancel my reservation for two", "do you have spam musubi", "no onions please",
    "remove the pickles", "what a great weekend", "end of story", "help me find a table", "how do I start",
    "start me up", "restart", "info about allergens please", "more information", "yes", "Thanks!", "ok", "no",
    "I did not get my coupon", "When do you stop? Call me please", "I'll be back. Off to work",
    "I never got your message with the coupon", "did you get my text", "where is the nearest restaurant",
    "we always get lost on the way to you", "take out or delivery?", "para llevar, gracias", "no quiero cebolla",
    "¿no envían a domicilio?", "block party tonight?", "never mind", "don't cut the pizza",
    "hasta mañana", "stopwatch", "🍔🍔🍔", "???", "", " \n\t", "\x00", "12345", "你好",
]  # fmt: skip
TEXTS = [
    (text, expected)
    for expected, texts in zip(TextClass, (STOP, START, HELP, REVOCATION, OTHER), strict=True)
    for text in texts
]


@pytest.mark.parametrize(("text", "expected"), TEXTS)
def test_what_a_text_asks_for(text, expected):
    assert classify(text) == expected


@pytest.mark.parametrize("keyword", ["STOP", "stop", " Start ", "HELP"])
def test_what_twilio_has_made_of_a_text_counts_first(keyword):
    for text in ("", "NOMAS", "please stop", "start", "anything"):
        assert classify(text, keyword) == keyword.strip().lower()


def test_an_opt_out_type_that_is_none_is_as_if_there_were_none():
    assert classify("please stop texting me", "SOMETHING") == "revocation"


@pytest.mark.parametrize("name", ["stop", "start", "help"])
def test_no_text_is_too_long(name):
    assert classify(f"{name} " * 100_000) == ("revocation" if name == "stop" else "other")
    assert classify("dont please " * 50_000) in list(TextClass)


@given(st.text(), st.text(max_size=5))
def test_every_text_is_of_one_class(text, opt_out_type):
    assert classify(text, opt_out_type) in list(TextClass)


@given(st.lists(st.sampled_from(["stop", "dont", "text", "me", "no", "more", "send", "my", "off", "not", "want"])))
def test_words_in_any_order_are_of_one_class(words):
    assert classify(" ".join(words)) in list(TextClass)


@given(st.sampled_from(STOP + REVOCATION), st.sampled_from(["{}", "{}!!", " {} ", "\n{}", "{} 🍔", "…{}"]))
def test_what_stands_around_a_wish_takes_nothing_away(text, around):
    assert classify(around.format(text)) in ("stop", "revocation")
    assert classify(around.format(text.upper())) in ("stop", "revocation")
