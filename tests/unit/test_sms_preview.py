"""A text message as its reader will see it."""

from engage.texts import sms_preview, template
from engage.texts.sms_preview import Part
from engage.texts.template import Template

GREETING = Template.parse("Hi {{ first_name }}! Reply STOP to opt out.")


def test_a_preview_says_what_is_filled_in():
    seen = sms_preview.preview(GREETING, sms_preview.made_up("Ada Diaz"))
    assert seen.parts == (Part("Hi "), Part("Ada", filled_in=True), Part("! Reply STOP to opt out."))
    assert (seen.text, seen.characters, seen.segments, seen.plain) == ("Hi Ada! Reply STOP to opt out.", 30, 1, True)


def test_one_letter_outside_the_plain_alphabet_is_seen():
    seen = sms_preview.preview(GREETING, sms_preview.made_up("Zoë"))
    assert not seen.plain


def test_the_longest_name_is_not_cut():
    longest = sms_preview.examples(Template.parse("{{ name }} Reply STOP to opt out."))["Longest name"]
    assert longest.text.startswith(sms_preview.LONGEST_NAME)
    assert len(sms_preview.LONGEST_NAME) in range(template.MAX_VALUE - 1, template.MAX_VALUE + 1)


def test_a_template_without_a_name_greets_there():
    assert sms_preview.examples(GREETING)["No name"].text.startswith("Hi there!")
