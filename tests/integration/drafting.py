"""Drafted texts as tests ask for them: a chain with a name, a request, and the model's answer."""

from __future__ import annotations

from uuid import UUID

from engage.drafts import message_texts, proposals
from engage.drafts.propose import propose
from engage.settings import validate
from tests.integration.conftest import UNGUARDED
from tests.llm_double import BRAND, OFFER, written

BAD = "TACO TOWN!! 50% off at tacotown.example"
"""A text that fails several checks."""


def settings(**changed):
    return validate(UNGUARDED | {"brand": BRAND} | changed)


def asked(world, number=1, *, segment="BOOST", language="", wanted=8, by="ada", at=None, chosen=None):
    wish = proposals.wish(chosen or settings(), segment, offer=OFFER, language=language, wanted=wanted)
    with world.engine.begin() as conn:
        return proposals.request(conn, UUID(int=number), wish, by=by, as_of=at or world.now)


def answered(world, model, number=1, *, chosen=None, at=None, seconds=20.0):
    return propose(
        world.engine,
        UUID(int=number),
        lambda: model.endpoint(seconds),
        lambda: chosen or settings(),
        lambda: at or world.now,
    )


def proposed(world, model, *texts, number=1, **options):
    """The drafts of a request that the model answers with these texts."""
    model.answer = lambda one: written(texts)
    asked(world, number, **options)
    answered(world, model, number)
    with world.engine.connect() as conn:
        return message_texts.of_proposal(conn, UUID(int=number))


def statuses(world):
    return world.rows("SELECT text, status FROM message_text ORDER BY message_text_id")
