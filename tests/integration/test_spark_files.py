"""Which files Spark is told to read. No server is asked."""

import pytest

from engage.errors import SparkError
from engage.spark import Definition
from engage.spark.files import log_files
from engage.window import Window
from tests.integration import lake
from tests.integration.conftest import NOW

WINDOW = Window.last_complete(NOW)
ROW = {"customer_id": 1, "started_at": WINDOW.start}


@pytest.fixture
def definition(tmp_path):
    lake.put(tmp_path, lake.SESSION, WINDOW, [ROW], "a.parquet")
    lake.put(tmp_path, lake.PURCHASE, WINDOW, [], "a.parquet")
    extra = {"columns": lake.COLUMNS}
    return Definition.of("engage_spark", host="127.0.0.1", extra=extra, archive=tmp_path.as_uri())


@pytest.mark.parametrize("name", ["_a.parquet", ".a.parquet", "._COPYING_.parquet"])
def test_a_file_that_is_still_written_does_not_count(definition, tmp_path, name):
    """Spark leaves out names that begin so, and not every server does."""
    lake.put(tmp_path, lake.SESSION, WINDOW, [ROW], name)
    found = log_files(definition, WINDOW)["app_session"]
    assert ([url.rpartition("/")[2] for url in found.urls], found.rows) == (["a.parquet"], (1,))


@pytest.mark.parametrize("name", ["[ab].parquet", "*.parquet", "{a,b}.parquet", "a?.parquet", "a\\.parquet"])
def test_a_name_that_spark_takes_for_a_pattern_is_refused(definition, tmp_path, name):
    """It would read other files in its place, or files twice."""
    lake.put(tmp_path, lake.SESSION, WINDOW, [ROW], name)
    with pytest.raises(SparkError, match="which Spark takes for a pattern of names"):
        log_files(definition, WINDOW)
