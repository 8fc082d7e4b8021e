"""References of messages: what is written is read again, and nothing else is."""

from datetime import UTC, datetime

import pytest

from engage.sending import message_reference
from engage.window import Window

WINDOW = Window(datetime(2026, 9, 14, tzinfo=UTC))


def test_a_reference_is_the_windows_start_and_the_customers_id():
    assert message_reference.write(WINDOW, 4711) == "20260914-4711"


@pytest.mark.parametrize("customer_id", [0, 1, -1, 4711, 10**18, 2**63 - 1, -(2**63) + 1])
def test_what_is_written_is_read_again(customer_id):
    assert message_reference.read(message_reference.write(WINDOW, customer_id)) == (WINDOW, customer_id)


@pytest.mark.parametrize(
    "text",
    ["", " ", "20260914", "20260914-", "-1", "20260914-1 ", "20260914-1\n", "20260914-x", "20260914--1-", "20260915-1",
     "20261399-1", "2026-09-14-1", "20260914-٣", "20260914-" + "9" * 19],
)  # fmt: skip
def test_another_text_is_no_reference(text):
    assert message_reference.read(text) is None
