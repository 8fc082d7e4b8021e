"""Parquet files: a small file that unpacks to a large one is read in small parts, or refused."""

import io

import pyarrow as pa
import pytest
from pyarrow import parquet

from engage.errors import InputError
from engage.imports.parquet import Parquet

MEGABYTE = 1 << 20


def written(**columns):
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, compression="zstd")
    return out


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_many_rows_of_one_long_value_come_in_small_chunks(kind):
    file = written(customer_id=list(range(200)), name=pa.array(["x" * MEGABYTE] * 200, kind))
    assert file.tell() < MEGABYTE
    chunks = list(Parquet(file).chunks())
    assert max(chunk.batch.num_rows for chunk in chunks) <= 64
    rows = [(row, values[0], len(values[1])) for chunk in chunks for row, values in chunk.records()]
    assert rows == [(number + 1, str(number), MEGABYTE) for number in range(200)]


def test_short_values_come_in_one_chunk():
    file = written(customer_id=[1, 2, 3], name=["Ann", None, "Zoë"])
    [chunk] = Parquet(file).chunks()
    assert [values for _, values in chunk.records()] == [["1", "Ann"], ["2", ""], ["3", "Zoë"]]


def test_a_value_that_no_row_may_have_is_refused():
    file = written(customer_id=[1], name=["x" * (4 * MEGABYTE + 1)])
    with pytest.raises(InputError, match="The column 'name' has a value of more than 1,048,576 characters"):
        list(Parquet(file).chunks())
