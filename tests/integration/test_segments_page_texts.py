"""The texts on the page *Segments*: three customers of each language, and the way to a phone of the staff."""

import json

import sqlalchemy as sa

from engage.pages import segments_page as pages
from engage.pages.settings_page import Editor
from engage.pages.viewer import Viewer
from tests.integration.test_pages_campaigns import Tags, text_of
from tests.integration.test_segments_page import EDITOR, changed, shown, storing
from tests.phones import fictional_phone


def test_three_customers_read_the_drafts_text(world):
    ids = [world.customer(name=name) for name in ("Ada Diaz", "Kofi Badu", None)]
    for one in ids:
        world.purchase(one, 12_50)
    world.computed()
    values = changed(message_boost="Hi {{ first_name }} – come back")
    [page] = pages.read_texts(world.engine, Viewer(), EDITOR, world.window, values, customers={"BOOST": ids}).values()
    text = text_of(page)
    assert "Hi Ada – come back" in text
    assert "Hi Kofi – come back" in text
    assert "Hi there – come back" in text
    assert "Customer 1 spent $12.50, 0.0 sessions a week" in text
    assert "EN DASH" in text
    assert "STOP is added" in text
    assert "+1" not in text


def test_a_favourite_is_read_although_no_text_of_then_named_it(world):
    ada, kofi = world.customer(name="Ada"), world.customer(name="Kofi")
    for item in ("pie", "taco", "taco"):
        world.app_event(ada, "liked", item)
    world.sessions(ada)
    world.execute(sa.text("INSERT INTO item VALUES ('taco', 'Fish taco')"))
    world.computed()
    values = changed(message_boost="Try {{ favourite_item }} again. Reply STOP.")
    [page] = pages.read_texts(
        world.engine, Viewer(), EDITOR, world.window, values, customers={"BOOST": [ada, kofi]}
    ).values()
    assert "Try Fish taco again." in text_of(page)
    assert "Try your favourite again." in text_of(page)


def test_three_customers_of_each_language_are_shown(world):
    names = ["Ada", "Ben", "Cy", "Dan", "Luis", "Eva", "Ana"]
    ids = [world.customer(name=name, locale="es-MX" if n > 3 else "en-GB") for n, name in enumerate(names)]
    world.purchase(ids[0], 12_50)
    world.computed()
    values = changed(
        message_boost="Hi {{ first_name }}. Reply STOP.",
        messages=json.dumps({"BOOST": {"es": "Hola {{ first_name }}. Responde STOP.", "fr": "Salut {{ first_name }}"}}),
    )
    [page] = pages.read_texts(
        world.engine, Viewer(), EDITOR, world.window, values, customers={"BOOST": ids[:3]}
    ).values()
    text = text_of(page)
    assert text.startswith("All others Ada Ben Cy In es Luis Eva Ana In fr Ada Ben Cy ")
    counts = {words: text.count(words) for words in ("Hi Ada.", "Hi Cy.", "Hola Luis.", "Hola Ana.", "Hi Luis.")}
    assert counts == {"Hi Ada.": 1, "Hi Cy.": 1, "Hola Luis.": 1, "Hola Ana.": 1, "Hi Luis.": 0}
    assert "Salut Ada Reply STOP to opt out." in text
    assert "No customer of the segment reads fr, so this one stands in." in text
    keys = [attributes["data-example"] for _, attributes in Tags(page).tags if "data-example" in attributes]
    assert keys == ["1", "2", "3", "5", "6", "7", "1 in fr", "2 in fr", "3 in fr"]


def test_only_a_user_who_may_set_the_texts_may_send_them(world):
    ids = [world.customer(name="Ada")]
    world.purchase(ids[0], 12_50)
    world.computed()
    for may in (True, False):
        viewer = Viewer(may_set_segments=may, may_trigger=True)
        [page] = pages.read_texts(world.engine, viewer, EDITOR, world.window, [], customers={"BOOST": ids}).values()
        assert ("Send to me…" in page) is may


def test_the_phones_of_the_staff_are_shown_only_to_a_user_who_may_send_to_them(world):
    world.purchase(world.customer(), 12_50)
    world.computed()
    phone = fictional_phone(7)
    may = Viewer(may_set_segments=True, may_trigger=True)
    page = shown(world, may, storing(test_phones=phone))
    assert f'<option value="{phone}">' in page
    assert "The sandbox takes it and delivers nothing" in text_of(page)
    assert "Twilio delivers it, and charges for it." in text_of(
        shown(world, may, storing(test_phones=phone, sms_provider="twilio"))
    )
    assert "No phone is set. Phones for test messages takes numbers" in text_of(shown(world, may))
    for viewer in (Viewer(), Viewer(may_set_segments=True), Viewer(may_trigger=True)):
        page = shown(world, viewer, storing(test_phones=phone))
        assert phone not in page
        assert "Send to me" not in page
    assert phone not in shown(world, Viewer(), Editor())
