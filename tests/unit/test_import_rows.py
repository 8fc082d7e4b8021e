"""Rows of files: how CSV is split, and how the rows of customers are read column by column."""

import random
from datetime import UTC, datetime

import pytest

from engage.errors import InputError
from engage.imports.columns import resolve
from engage.imports.customer_rows import FIELDS, STAGED, CustomerRows
from engage.imports.delimited import DelimitedChunk
from engage.imports.lines import MAX_ROW
from engage.texts.phone import phone_hash, possible_trunk_spellings

AS_OF = datetime(2026, 11, 10, tzinfo=UTC)
KEY = b"k" * 40
COLUMNS = ["id", "phone", "locale", "consent at", "consent source"]


def chunk(text, columns=5):
    return DelimitedChunk(text, 2, ",", columns)


def read(*lines, former=False):
    rows = CustomerRows(resolve(COLUMNS, FIELDS), "GB", KEY, AS_OF, former)
    return rows(chunk("".join(f"{line}\n" for line in lines)))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_without_quotes_are_those_that_they_are_with_quotes(end):
    draw = random.Random(end)
    lines = [
        [draw.choice(["", " ", "a", "b\tc", "é"]) for _ in range(draw.choice([1, 3, 3, 3, 4]))] for _ in range(300)
    ]
    plain = end.join(map(",".join, lines))
    quoted = end.join(",".join(f'"{value}"' if value else "" for value in line) for line in lines)
    assert list(chunk(plain, 3).records()) == list(chunk(quoted, 3).records())
    assert len({row for row, _ in chunk(plain, 3).records()}) > 200


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_line_that_is_longer_than_a_row_may_be_is_refused(quote):
    assert list(chunk(f"{quote}{'x' * 500_000}{quote}\n", 1).records()) == [(2, ["x" * 500_000])]
    with pytest.raises(InputError, match="is no row"):
        list(chunk(f"1\n{quote}{'x' * MAX_ROW}{quote}\n", 1).records())


def test_a_rejected_row_has_its_first_fault_and_its_values_in_the_order_of_the_file():
    parsed = read("1,,,,", "2,12,english,,", "too,,many,,,1", ",,,,", "4,,english,2026-01-01,", ",,,,till", "5,,,,")
    assert [(one.row, one.fault.code, one.values) for one in parsed.rejected] == [
        (3, "invalid_phone", ("2", "12", "english", "", "")),
        (4, "wrong_columns", ("too", "", "many", "", "", "1")),
        (6, "invalid_locale", ("4", "", "english", "2026-01-01", "")),
        (7, "missing_customer_id", ("", "", "", "", "till")),
    ]
    assert (parsed.read, parsed.rows[STAGED]) == (6, 2)


def test_only_rows_that_are_right_count_as_half_a_consent():
    parsed = read("1,,,2026-01-01,", "2,,,,till", "3,,english,,till", ",,,,till", "4,,,2026-01-01,till")
    assert parsed.notes == {"consent_incomplete": 2}


def test_former_spellings_of_a_phone_are_hashed_only_if_they_may_matter():
    number = "+447400123101"
    (spelling,) = possible_trunk_spellings(number)
    for former in (True, False):
        copied = read(f"1,{number},,,", former=former).copied[STAGED]
        assert phone_hash(number, KEY) in copied
        assert (phone_hash(spelling, KEY) in copied) is former


def test_each_row_has_a_salt_of_its_own():
    first, second = (read(*(f"{n},,,," for n in range(1, 51))).copied[STAGED] for _ in range(2))
    assert len(first) == len(second)
    assert first != second
