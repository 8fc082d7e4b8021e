import signal

import pytest

from engage import process_signals


@pytest.fixture(autouse=True)
def interrupting():
    """The command line's handlers, for the length of a test."""
    before = {
        number: signal.signal(number, signal.SIG_DFL)  # the shell may have had it ignored
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    process_signals.interrupt_on_signals()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_ending_signal_interrupts_as_ctrl_c_does(number):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)


def deferring(number, what_follows):
    with process_signals.deferred():
        signal.raise_signal(number)
        what_follows()


def test_a_deferred_signal_arrives_at_the_end_of_the_block():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        deferring(signal.SIGTERM, lambda: reached.append("the end"))
    assert reached == ["the end"]


def test_a_deferred_signal_wins_over_the_failure_that_it_caused():
    def fail():
        raise FileNotFoundError("the program that Ctrl-C ended left no log")

    with pytest.raises(KeyboardInterrupt):
        deferring(signal.SIGINT, fail)


def test_an_ignored_signal_does_nothing_and_the_handlers_come_back():
    with process_signals.ignored():
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)


def test_nohup_keeps_its_meaning():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    process_signals.interrupt_on_signals()
    signal.raise_signal(signal.SIGHUP)
