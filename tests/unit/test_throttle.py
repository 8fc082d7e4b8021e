"""How messages are handed over: never more at once or faster than allowed, and not at all while stopping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from engage.sending import throttle
from engage.sending.claims import Claimed
from engage.sending.outcomes import Answer
from engage.sending.providers import Outcome, OutgoingSms, Reply
from engage.sending.throttle import Dispatcher, Throttle

ACCEPTED = Reply(Outcome.ACCEPTED, "id")


class Provider:
    """Answers as told, and takes note of how many messages are with it at once."""

    name = "a provider"
    claim_size = 1000

    def __init__(self, answer: Callable[[], Reply] = lambda: ACCEPTED, *, concurrent: bool = True) -> None:
        self.answer, self.concurrent = answer, concurrent
        self.at: list[float] = []
        self.now, self.most = 0, 0
        self.lock = threading.Lock()

    def send(self, sms: OutgoingSms) -> Reply:
        with self.lock:
            self.at.append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return self.answer()
        finally:
            with self.lock:
                self.now -= 1

    def find(self, phone, since):
        return []


def rows(number: int) -> list[Claimed]:
    return [Claimed(n, OutgoingSms("+12025550123", "Hello")) for n in range(number)]


def send_all(sending: Dispatcher, number: int) -> list[Answer]:
    """As a sender does it: whatever there is room for, until all have been answered."""
    left, answered = rows(number), []
    while left or sending.busy:
        room = sending.room()
        now, left = left[:room], left[room:]
        sending.hand_over(now)
        answered += sending.answers(wait_a_moment=not now)
    sending.stop()
    sending.close()
    return answered


def slowly() -> Reply:
    time.sleep(0.02)
    return ACCEPTED


@pytest.mark.parametrize(("per_second", "at_once"), [(0, 1), (0, 7), (400, 3)])
def test_never_more_at_once_than_allowed(per_second, at_once):
    provider = Provider(slowly)
    answered = send_all(Dispatcher(provider, Throttle(per_second, at_once)), 40)
    assert sorted(answer.customer_id for answer in answered) == list(range(40))
    assert provider.most <= at_once


@pytest.mark.parametrize("concurrent", [True, False])
def test_never_faster_than_allowed(concurrent):
    provider = Provider(concurrent=concurrent)
    send_all(Dispatcher(provider, Throttle(200, 10)), 60)
    assert (len(provider.at) - 1) / (provider.at[-1] - provider.at[0]) <= 220  # a thread may begin some ms late


def test_a_slow_message_holds_up_no_other():
    stuck, release = threading.Event(), threading.Event()

    def first_is_stuck() -> Reply:
        if not stuck.is_set():
            stuck.set()
            release.wait(5)
        return ACCEPTED

    sending = Dispatcher(Provider(first_is_stuck), Throttle(0, 2))
    sending.hand_over(rows(1))
    stuck.wait(5)
    answered: list[Answer] = []
    for row in rows(10)[1:]:
        while not sending.room():
            answered += sending.answers(wait_a_moment=True)
        sending.hand_over([row])
    while len(answered) < 9:
        answered += sending.answers(wait_a_moment=True)
    assert {answer.customer_id for answer in answered} == set(range(1, 10))
    release.set()
    assert [answer.customer_id for answer in sending.answers(final=True)] == [0]
    sending.close()


def test_there_is_little_more_room_than_the_rate_needs():
    sending = Dispatcher(Provider(), Throttle(2, 50))
    assert sending.room() == 1  # one every half second: nothing is taken up long before its turn
    sending.hand_over(rows(1))
    assert sending.room() == 0
    sending.stop()
    sending.close()


def test_what_has_not_begun_when_it_stops_comes_back_as_not_taken():
    provider = Provider()
    sending = Dispatcher(provider, Throttle(4, 50))
    sending.hand_over(rows(20))
    while not provider.at:
        time.sleep(0.01)
    sending.stop()
    answered = sending.answers(final=True)
    taken = [answer for answer in answered if answer.status == "accepted"]
    assert len(taken) == len(provider.at) < 5
    assert len(answered) == 20
    assert {answer.status for answer in answered} == {"accepted", "queued"}
    sending.close()


def test_an_interrupt_while_messages_are_handed_over_loses_no_answer(monkeypatch):
    provider = Provider()
    sending = Dispatcher(provider, Throttle(0, 50))
    assert sending._pool is not None
    submit = sending._pool.submit

    def interrupted(*work: Any) -> NoReturn:
        submit(*work).result()
        raise KeyboardInterrupt

    monkeypatch.setattr(sending._pool, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sending.hand_over(rows(3))
    sending.stop()
    assert [(answer.customer_id, answer.status) for answer in sending.answers(final=True)] == [(0, "accepted")]
    assert sending.handed == {0}


@pytest.mark.parametrize("concurrent", [True, False])
def test_an_interrupt_while_answers_are_looked_at_loses_none(monkeypatch, concurrent):
    sending = Dispatcher(Provider(concurrent=concurrent), Throttle(0, 50))
    sending.hand_over(rows(3))

    def interrupted(answer: Answer) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(sending, "_note_pause", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sending.answers(final=True)
    monkeypatch.undo()
    sending.stop()
    sending.answers(final=True)
    assert {answer.customer_id for answer in sending.unsettled} == {0, 1, 2}


def test_answers_come_back_once_and_are_kept_until_they_are_recorded():
    sending = Dispatcher(Provider(concurrent=False), Throttle(0, 50))
    sending.hand_over(rows(2))
    recorded = sending.answers()
    sending.hand_over(rows(4)[2:])
    assert [answer.customer_id for answer in recorded + sending.answers() + sending.answers()] == [0, 1, 2, 3]
    assert not sending.busy
    sending.settled(recorded)
    assert sending.handed == {2, 3}
    assert [answer.customer_id for answer in sending.unsettled] == [2, 3]
    assert sending.answers(final=True) == []


def test_what_was_claimed_long_ago_is_not_handed_over_any_more(monkeypatch):
    monkeypatch.setattr(throttle, "HOLD", 0.1)
    provider = Provider()
    sending = Dispatcher(provider, Throttle(4, 50))
    sending.hand_over(rows(3))  # the second one's turn is in a quarter of a second
    answered = sending.answers(final=True)
    assert [answer.status for answer in sorted(answered, key=lambda a: a.customer_id)] == ["accepted"] + ["queued"] * 2
    assert len(provider.at) == 1
    assert not sending.exhausted
    sending.stop()
    sending.close()


def test_a_provider_that_asks_for_it_is_left_alone_for_as_long():
    sending = Dispatcher(Provider(lambda: Reply(Outcome.LATER, retry_after=30)), Throttle(0, 1))
    sending.hand_over(rows(1))
    sending.answers(final=True)
    assert sending.room() == 0
    assert not sending.exhausted
    sending.close()


def test_a_provider_that_wants_more_than_a_minute_is_left_for_later():
    sending = Dispatcher(Provider(lambda: Reply(Outcome.LATER, retry_after=throttle.MAX_PAUSE + 1)), Throttle(0, 1))
    sending.hand_over(rows(1))
    sending.answers(final=True)
    assert sending.exhausted
    assert sending.requested_pause == throttle.MAX_PAUSE + 1
    sending.close()


def test_refusals_that_were_under_way_together_are_one_reason_to_pause():
    sending = Dispatcher(Provider(lambda: Reply(Outcome.LATER)), Throttle(0, 50))
    sending.hand_over(rows(50))
    sending.answers(final=True)
    assert not sending.exhausted
    sending.close()


def test_waiting_for_an_answer_is_no_busy_loop():
    release = threading.Event()

    def when_released() -> Reply:
        release.wait(5)
        return ACCEPTED

    sending = Dispatcher(Provider(when_released), Throttle(0, 10))
    sending.hand_over(rows(1))
    begun, turns = time.monotonic(), 0
    while time.monotonic() - begun < 0.5:
        sending.answers(wait_a_moment=True)
        turns += 1
    release.set()
    sending.answers(final=True)
    sending.close()
    assert turns < 20
