"""How often a sender counts its campaign's messages to judge them: at once while they are few, then now and then."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from engage.sending import delivery_health
from engage.sending.delivery_health import JUDGED_AT_ONCE, JUDGED_EVERY, DeliveryHealth
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome, Reply
from engage.settings import Settings
from engage.window import Window

FAILED = Answer(1, Reply(Outcome.FAILED))
ACCEPTED = Answer(1, Reply(Outcome.ACCEPTED, "id"))


class Sender:
    """A sender whose judgements are counted, and whose clock a test moves."""

    def __init__(self, monkeypatch):
        self.counts, self.now = 0, 1000.0
        monkeypatch.setattr(delivery_health, "_tally", self.tally)
        monkeypatch.setattr(delivery_health, "monotonic", lambda: self.now)
        owned = SimpleNamespace(window=Window.from_key("20260914"), settings=Settings())
        self.health = DeliveryHealth(MagicMock(), owned, lambda: None)

    def tally(self, *args):
        self.counts += 1
        return delivery_health._Tally(0, 0, {})


@pytest.fixture
def sender(monkeypatch):
    return Sender(monkeypatch)


@pytest.fixture
def busy_sender(sender):
    """A sender with many answers, the last of them a failure."""
    sender.health.judge([ACCEPTED] * JUDGED_AT_ONCE)
    sender.health.judge([FAILED])
    sender.counts = 0
    return sender


def test_the_first_failures_of_a_campaign_are_judged_at_once(sender):
    for _ in range(3):
        sender.health.judge([ACCEPTED, FAILED])
    assert sender.counts == 3


def test_what_arrives_is_not_judged(sender):
    sender.health.judge([ACCEPTED])
    sender.health.judge_rest()
    assert sender.counts == 0


def test_later_failures_are_judged_only_once_in_a_while(busy_sender):
    for _ in range(100):
        busy_sender.health.judge([FAILED])
    assert busy_sender.counts == 0
    busy_sender.now += JUDGED_EVERY
    for _ in range(100):
        busy_sender.health.judge([ACCEPTED])
    assert busy_sender.counts == 1


def test_failures_that_were_not_judged_yet_are_judged_at_the_senders_end(busy_sender):
    busy_sender.health.judge([FAILED])
    for _ in range(2):
        busy_sender.health.judge_rest()
    assert busy_sender.counts == 1
