"""Database errors keep phone numbers out of logs."""

import traceback

import pytest
import sqlalchemy as sa

PHONE = "+12025550199"
COLUMNS = "INSERT INTO customer (customer_id, registered_at, phone, phone_hash)"


@pytest.mark.parametrize(
    "statement",
    [
        f"{COLUMNS} VALUES (2, now(), CAST(:phone AS text) || ' x', '')",  # the row fails a check
        "INSERT INTO customer (customer_id, phone) VALUES (2, CAST(:phone AS text))",  # the row lacks a value
        "CREATE UNIQUE INDEX ON customer (phone)",  # the key is there twice
    ],
)
def test_an_error_does_not_repeat_the_row_that_it_is_about(world, statement):
    world.customer(phone=PHONE)
    world.execute(sa.text(f"{COLUMNS} VALUES (7, now(), :phone, '')"), {"phone": PHONE})
    with pytest.raises(sa.exc.IntegrityError) as raised:
        world.execute(sa.text(statement), {"phone": PHONE} if ":phone" in statement else {})
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value) + repr(raised.value.orig)
    assert PHONE not in shown
    assert "not shown" in shown
