"""The generated parts of the documentation are up to date."""

import pytest

from docs.generate import PARTS, ROOT, generated
from engage import settings


@pytest.mark.parametrize("page", PARTS)
def test_no_generated_part_is_stale(page):
    text = (ROOT / page).read_text()
    assert text == generated(text, PARTS[page]), "run python -m docs.generate"


def test_a_stale_part_is_written_anew_and_the_rest_of_the_page_stays():
    page = "# Title\n<!-- a:begin -->\nold\nlines\n<!-- a:end -->\nrest\n<!-- b:begin -->\n<!-- b:end -->\n"
    written = "# Title\n<!-- a:begin -->\nnew \\1\n<!-- a:end -->\nrest\n<!-- b:begin -->\nb\n<!-- b:end -->\n"
    parts = {"a": lambda: "new \\1", "b": lambda: "b"}
    assert generated(page, parts) == generated(written, parts) == written


@pytest.mark.parametrize("page", ["", "<!-- a:begin -->\n", "<!-- a:begin -->\n<!-- a:end -->\n" * 2])
def test_a_page_without_the_markers_is_refused(page):
    with pytest.raises(ValueError, match="<!-- a:begin --> and <!-- a:end --> once each"):
        generated(page, {"a": lambda: "new"})


def test_the_table_of_settings_has_a_row_for_each():
    head, rule, *rows = settings.markdown_table().splitlines()
    assert {line.count("|") for line in (head, rule, *rows)} == {5}
    assert [row.split("`")[1] for row in rows] == [f"engage_{name}" for name in settings.Settings.model_fields]
    assert (
        "| `engage_require_approval` | false | true or false | Whether an approver must approve a campaign's list in "
        "Airflow before messages go out. |"
    ) in rows
