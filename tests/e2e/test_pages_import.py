"""The page *Import* in a real browser: check a file, import it, mend the rejected rows, and load them again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import client
from tests.e2e.pages import Watched, violations
from tests.e2e.support import OP, USER, VIEWER, Airflow, Campaigns, Run

FIRST = 990_001
GUESTS = f"""Customer number;Full name;Mobile;Consent date;Consent source;Shoe size
{FIRST};Ada Quill;020 7946 0018;2026-01-31;app;37
{FIRST + 1};Bo Quill;1.20E+10;2026-01-31;app;
{FIRST + 2};Cy Quill;020 7946 0020;31.01.2026;app;
two;Di Quill;020 7946 0021;2026-01-31;app;
{FIRST + 4};Éa Quill;020 7946 0022;;;
"""
"""Three rows are wrong: the phone of the second, the day of the third, and the id of the fourth."""
EVENTS = f"Customer;Time;Total\n{FIRST};2026-10-01T12:00:00Z;1,50\n{FIRST};2026-10-02;20,00\n"


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    (tmp_path / "guests.csv").write_bytes(GUESTS.encode("cp1252"))
    return tmp_path / "guests.csv"


@pytest.fixture(autouse=True)
def without_guests(campaigns: Campaigns) -> Iterator[None]:
    """The customers and events of these tests are in no other."""
    yield
    with campaigns.engine.begin() as conn:
        for table in ("customer", "purchase"):
            conn.exec_driver_sql(f"DELETE FROM {table} WHERE customer_id BETWEEN {FIRST} AND {FIRST + 9}")
        conn.exec_driver_sql("DELETE FROM intake_batch WHERE owner = 'import'")


def opened(watched: Watched) -> Page:
    watched.page.goto(f"{watched.home.url}/engage/import")
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Import")
    return watched.page


def imported(campaigns: Campaigns) -> list[tuple[object, ...]]:
    query = "SELECT customer_id, name, phone, consent_source FROM customer WHERE customer_id >= :first ORDER BY 1"
    return campaigns.rows(query, first=FIRST)


def entries(airflow: Airflow) -> list[dict[str, object]]:
    query = {"event": "engage.import_file", "limit": 5, "order_by": "-when"}
    return [json.loads(entry["extra"]) for entry in airflow.request("GET", "eventLogs", params=query)["event_logs"]]


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_a_file_with_three_wrong_rows_is_imported_mended_and_loaded_again(
    watched: Watched, guests: Path, tmp_path: Path, campaigns: Campaigns, airflow: Airflow
) -> None:
    watched.page.goto(f"{watched.home.url}/plugin/engage/engage/customer")  # in Airflow's frame
    page = watched.frame
    page.get_by_role("link", name="Import…").click()
    page.get_by_label("File", exact=True).set_input_files(guests)
    page.get_by_label("Country of phones without +").select_option("United Kingdom")
    page.get_by_role("button", name="Check the file").click()
    title = page.get_by_role("heading", name="What the file would change")
    expect(title).to_be_focused()
    report = page.locator("#report")
    expect(report).to_contain_text("CSV, delimiter semicolon, Windows-1252 · 5 rows")
    expect(report).to_contain_text("3 rows of 5 cannot be imported.")
    wrong = page.get_by_role("table", name="The first rejected rows").get_by_role("row")
    expect(wrong).to_have_count(4)
    expect(page.get_by_label("Mobile is read as")).to_have_value("phone")
    assert imported(campaigns) == []

    page.get_by_role("button", name="Import 2 rows").click()
    expect(page.get_by_role("heading", name="Imported")).to_be_focused()
    expect(report).to_contain_text("2 customers are in. 3 rows are not")
    assert [row[:3] for row in imported(campaigns)] == [
        (FIRST, "Ada Quill", "+442079460018"),
        (FIRST + 4, "Éa Quill", "+442079460022"),
    ]
    with watched.page.expect_download() as download:
        page.get_by_role("button", name="Rejected rows as CSV").click()
    assert download.value.suggested_filename == "guests.rejected.csv"
    rejected = tmp_path / "guests.rejected.csv"
    download.value.save_as(rejected)

    with rejected.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert [row[0] for row in rows] == ["3", "4", "5"]
    rows[0][4], rows[1][5], rows[2][2] = "020 7946 0019", "2026-01-31", str(FIRST + 3)
    with rejected.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    page.get_by_label("File", exact=True).set_input_files(rejected)
    expect(report).to_be_empty()
    page.get_by_role("button", name="Check the file").click()
    page.get_by_role("button", name="Import 3 rows").click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible()
    assert [row[0] for row in imported(campaigns)] == [FIRST + number for number in range(5)]
    assert [row[3] for row in imported(campaigns)] == ["app", "app", "app", "app", None]
    counts = {"read": 3, "added": 3, "changed": 0, "unchanged": 0, "rejected": 0}
    assert entries(airflow)[0] == {"kind": "customers", "file": "guests.rejected.csv"} | counts
    watched.page.goto(f"{watched.home.url}/engage/activity")
    expect(watched.page.get_by_text("imported 3 customers from guests.rejected.csv")).to_be_visible()


@pytest.mark.parametrize("watched", [OP], indirect=True)
def test_a_file_of_events_is_loaded_with_the_keyboard_alone(
    watched: Watched, tmp_path: Path, campaigns: Campaigns
) -> None:
    (tmp_path / "events.csv").write_text(EVENTS)
    page = opened(watched)
    page.get_by_label("Customers", exact=True).focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="Columns of a file of events")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_label("File", exact=True)).to_be_focused()
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "events.csv")  # the dialog is the system's
    page.keyboard.press("Tab")
    expect(page.get_by_label("Type of events without a column for it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This file needs a word from you")).to_be_focused()
    expect(page.get_by_role("alert").filter(has_text="Type of events")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("Type of events without a column for it").focus()
    page.keyboard.type("Purchase")
    expect(page.locator("#report")).to_be_empty()
    page.get_by_role("button", name="Check the file").press("Enter")
    expect(page.get_by_role("heading", name="What the file would change")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Import 2 rows")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Imported")).to_be_focused()
    cents = "SELECT amount_cents FROM purchase WHERE customer_id = :first ORDER BY 1"
    assert campaigns.rows(cents, first=FIRST) == [(150,), (2000,)]
    page.get_by_role("button", name="Check the file").press("Enter")
    expect(page.locator("#report")).to_contain_text("This file was loaded before")


def test_the_user_says_what_a_column_is_and_checks_again(
    watched: Watched, tmp_path: Path, campaigns: Campaigns
) -> None:
    (tmp_path / "guests.csv").write_text(f"Guest,Called,Nick\n{FIRST},Ada Quill,A\n")
    page = opened(watched)
    page.locator("#file").set_input_files(tmp_path / "guests.csv")
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("alert").filter(has_text="customer's id")).to_be_visible()
    page.get_by_label("Guest is read as").select_option("customer_id")
    page.get_by_role("button", name="Check again with these columns").click()
    expect(page.get_by_role("button", name="Import 1 row")).to_be_enabled()
    page.get_by_label("Called is read as").select_option("name")
    expect(page.get_by_role("button", name="Import 1 row")).to_be_disabled()
    page.get_by_role("button", name="Check again with these columns").click()
    expect(page.get_by_label("Guest is read as")).to_have_value("customer_id")
    page.get_by_role("button", name="Import 1 row").click()
    expect(page.get_by_role("heading", name="Imported")).to_be_visible()
    assert imported(campaigns) == [(FIRST, "Ada Quill", None, None)]


def test_a_column_of_opt_outs_waits_for_a_word_of_the_user(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text(f"customer_id,unsubscribed\n{FIRST},yes\n")
    page = opened(watched)
    page.locator("#file").set_input_files(tmp_path / "guests.csv")
    page.get_by_role("button", name="Check the file").click()
    expect(page.get_by_role("alert").filter(has_text="seems to list opt-outs")).to_be_visible()
    page.get_by_label("unsubscribed is read as").select_option("not read")
    page.get_by_role("button", name="Check again with these columns").click()
    expect(page.get_by_role("button", name="Import 1 row")).to_be_enabled()


def test_each_state_of_the_page_is_accessible_and_fits(watched: Watched, guests: Path) -> None:
    page = opened(watched)
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            page.locator("#file").set_input_files(guests)
            page.get_by_role("button", name="Check the file").click()
            expect(page.get_by_role("heading", name="What the file would change")).to_be_visible()
            page.get_by_label("Shoe size is read as").select_option("locale")
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_file_is_dropped_on_the_page(watched: Watched) -> None:
    page = opened(watched)
    content = GUESTS.replace("1.20E+10", "")
    script = "text => { const all = new DataTransfer(); all.items.add(new File([text], 'dropped.csv')); return all; }"
    dropped = page.evaluate_handle(script, content)
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    page.get_by_role("button", name="Check the file").click()
    expect(page.locator("#report")).to_contain_text("dropped.csv · CSV, delimiter semicolon, UTF-8")


def test_what_cannot_be_read_or_sent_is_said_beside_the_button(watched: Watched, tmp_path: Path) -> None:
    page = opened(watched)
    (tmp_path / "guests.xlsx").write_bytes(b"PK\x03\x04")
    page.locator("#file").set_input_files(tmp_path / "guests.xlsx")
    page.get_by_role("button", name="Check the file").click()
    expect(page.locator("#import").get_by_role("alert")).to_contain_text("a spreadsheet or a ZIP archive")
    watched.errors.clear()  # the browser counts the answer of 400 as one
    page.locator("#import").evaluate("form => { form.dataset.most = 3; }")
    page.get_by_role("button", name="Check the file").click()
    expect(page.locator("#file-error")).to_contain_text("this page takes at most")
    expect(page.locator("#file")).to_be_focused()
    page.locator("#import").evaluate("form => { form.dataset.most = 1e6; }")
    page.route("**/import-check", lambda route: route.abort())
    page.get_by_role("button", name="Check the file").click()
    expect(page.locator("#import").get_by_role("alert")).to_contain_text("Airflow does not answer")
    watched.errors.clear()


@pytest.mark.parametrize("user", [VIEWER, USER])
def test_only_an_op_may_import(airflow: Airflow, computed: Run, campaigns: Campaigns, user: str) -> None:
    http = client(airflow, user)
    page = http.get("/engage/import")
    headers = {"Origin": airflow.stack.home.url, "Content-Type": "application/octet-stream"}
    answers = [http.post(f"/engage/import-{action}", content=GUESTS, headers=headers) for action in ("check", "apply")]
    customers = http.get("/engage/customer").text
    http.close()
    assert page.status_code == 403
    assert "Only users who may edit the connection engage_db may do this." in page.text
    assert [answer.status_code for answer in answers] == [403, 403]
    assert 'href="import"' not in customers
    assert imported(campaigns) == []
