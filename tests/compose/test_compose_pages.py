"""What the pages do on the server stack, where their role of Postgres may change few rows. ``make test-compose``.

Shares, exclusions, odd days, drafted texts, the running window, the maintenance and the archive. The tests build on
each other, in this order.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from engage import formats
from engage.airflow_names import MODEL_CONNECTION
from engage.clock import now
from engage.statuses import TextStatus
from engage.window import Window
from tests.compose.conftest import ADMIN, CUSTOMERS, ROOT, WIDTHS, Stack, Theme
from tests.e2e.browser import picture
from tests.llm_double import BRAND, KEY, MODEL, OFFER, TEXTS

WINDOW = Window.last_complete(now())
START = f"{WINDOW.start:%Y-%m-%d}"
ODD = WINDOW.previous().previous().previous()
"""A window with a day without events and a customer with far too many. The one before has neither.

No campaign of the other tests comes right after it: the guard would compare the two."""
ODD_START = f"{ODD.start:%Y-%m-%d}"
ODD_DAY = ODD.start + timedelta(days=8)
RUNNING = Window.containing(now())
LOW = "Low spend threshold"
MODEL_PORT = 8099
MENDED = "Dinner plans? Taco Town has a table for you, and 10% off the next meal."

pytestmark = [
    pytest.mark.skipif(os.environ.get("ENGAGE_TEST_COMPOSE") != "1", reason="needs docker: make test-compose"),
    pytest.mark.usefixtures("users", "sent"),
]


def opened(page: Page, stack: Stack, address: str) -> Page:
    page.goto(f"{stack.airflow_url}/engage/{address}", wait_until="networkidle")
    return page


def fits(stack: Stack, browser: Browser, user: str, address: str) -> None:
    """The page is no wider than a screen and a phone."""
    for theme, width in WIDTHS.items():
        with stack.page(browser, user, theme) as page:
            opened(page, stack, address)
            picture(page, f"compose-now-{address.partition('?')[0]}-{user}-{theme}-{width}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def variable(stack: Stack, setting: str, value: str | None = None) -> str:
    """The value of a setting's Variable, before it gets another one."""
    path = f"/api/v2/variables/engage_{setting}"
    with stack.airflow() as airflow:
        before = str(airflow.get(path).raise_for_status().json()["value"])
        if value is not None:
            airflow.patch(path, json={"key": f"engage_{setting}", "value": value}).raise_for_status()
    return before


def test_the_maintenance_does_all_that_is_due(stack: Stack) -> None:
    path = "/api/v2/dags/engage_maintenance"
    with stack.airflow() as airflow:
        run = stack.own_run(airflow, "engage_maintenance")
        airflow.patch(path, json={"is_paused": True}).raise_for_status()
        tasks = airflow.get(f"{path}/dagRuns/{run['dag_run_id']}/taskInstances").raise_for_status().json()
    states = {one["task_id"]: one["state"] for one in tasks["task_instances"]}
    assert states.pop("verify_consent") in ("success", "skipped")  # it is due once a day
    assert states == {
        "maintain": "success",
        "archive": "skipped",  # ENGAGE_ARCHIVE_URL is not set
        "watch": "success",
        "live_window": "success",
        "train": "skipped",  # one window says nothing about the next one
    }
    live = "SELECT customers FROM live_window"
    assert stack.value("engage", live) == str(CUSTOMERS)


def test_an_op_sets_a_share_and_takes_it_back(stack: Stack, browser: Browser) -> None:
    with stack.page(browser, "olga") as page:
        opened(page, stack, f"segments?window_start={START}")
        page.get_by_label(f"{LOW}, how it is set").select_option("lowest %")
        words = page.locator("[data-threshold=low_spend_threshold] [data-share]")
        expect(words).to_contain_text("lowest 20% = below $")
        expect(words).to_contain_text(f": {CUSTOMERS // 5} customers")
        expect(page.locator("[data-then=BOOST]")).to_have_text(str(CUSTOMERS // 5))
        picture(page, "compose-share.png")
        page.get_by_role("button", name="Set for the next campaign").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("row", name=LOW)).to_contain_text("lowest 20%")
        dialog.get_by_role("button", name="Set", exact=True).click()
        toast = page.locator(".toast")
        expect(toast).to_contain_text("The next campaign takes it.")
        assert variable(stack, "low_spend_threshold") == "lowest 20%"
        fits(stack, browser, "olga", f"segments?window_start={START}")
        toast.get_by_role("button", name="Undo").click()
        expect(page.locator(".toast").filter(has_text="Taken back: ")).to_be_visible()
    assert variable(stack, "low_spend_threshold") == "100.0"


@pytest.fixture(scope="module")
def bot(stack: Stack) -> str:
    """A customer with 3,000 sessions in the odd window, which also has a day without events; its campaign is dry."""
    starts = [f"{window.start:%Y-%m-%d}" for window in (ODD.previous(), ODD)]
    seed = "python -m engage seed --customers 300 --rng-seed 1 --window-start"
    stack.shell("; ".join(f"{seed} {start}" for start in starts))
    found = stack.value("engage", "SELECT min(customer_id) FROM customer WHERE phone IS NOT NULL")
    day = f"timestamptz '{ODD_DAY:%Y-%m-%d} 00:00Z'"
    sessions = "n * interval '20 minutes' FROM generate_series(1, 3000) AS n"
    for statement in (
        f"INSERT INTO app_session SELECT {found}, timestamptz '{ODD_START} 00:00Z' + {sessions}",
        f"DELETE FROM app_session WHERE started_at >= {day} AND started_at < {day} + interval '1 day'",
        f"DELETE FROM purchase WHERE purchased_at >= {day} AND purchased_at < {day} + interval '1 day'",
    ):
        stack.value("engage", statement)
    stack.shell("; ".join(f"python -m engage run --dry-run --window-start {start}" for start in starts))
    return found


def test_a_user_explains_an_odd_day_and_takes_the_reason_back(stack: Stack, browser: Browser, bot: str) -> None:
    with stack.page(browser, "uma") as page:
        opened(page, stack, f"report?window_start={ODD_START}")
        days = page.get_by_role("table", name="Days that are odd or explained")
        row = days.get_by_role("row", name=f"{ODD_DAY:%A}, {formats.day(ODD_DAY)}")
        expect(row).to_contain_text("0 purchases")
        row.get_by_role("button", name="Explain…").click()
        dialog = page.get_by_role("dialog", name="Explain")
        dialog.get_by_label("Reason").fill("a storm closed all restaurants")
        dialog.get_by_role("button", name="Explain").click()
        expect(row).to_contain_text("a storm closed all restaurants")
        reasons = "SELECT day || ' ' || source || ' ' || reason || ' ' || explained_by FROM explained_day"
        assert stack.value("engage", reasons) == f"{ODD_DAY:%Y-%m-%d} all a storm closed all restaurants uma"
        fits(stack, browser, "vera", f"report?window_start={ODD_START}")
        row.get_by_role("button", name="Take back…").click()
        page.get_by_role("dialog").get_by_role("button", name="Take back").click()
        expect(row.get_by_role("button", name="Explain…")).to_be_visible()
        assert stack.value("engage", reasons) == ""
    day = {"window_start": ODD_START, "first": f"{ODD_DAY:%Y-%m-%d}", "last": f"{ODD_DAY:%Y-%m-%d}"}
    assert stack.posted("vera", "explain-days", **day, why="x") == 403
    assert stack.posted("vera", "unexplain-days", **day) == 403


def test_a_user_excludes_an_odd_customer_and_includes_it_again(stack: Stack, browser: Browser, bot: str) -> None:
    with stack.page(browser, "uma") as page:
        opened(page, stack, f"report?window_start={ODD_START}")
        row = page.get_by_role("table", name="Customers beyond a limit").get_by_role("row", name=bot).first
        expect(row).to_contain_text("sessions")
        row.get_by_role("link", name=bot).click()
        page.get_by_role("button", name="Exclude…").click()
        dialog = page.get_by_role("dialog", name=f"Exclude customer {bot} from all texts?")
        dialog.get_by_label("Why").fill("a bot")
        dialog.get_by_role("button", name="Exclude").click()
        expect(page.get_by_text("Not texted: excluded by an operator")).to_be_visible()
        expect(page.get_by_text("by uma: a bot")).to_be_visible()
        excluded = "SELECT customer_id || ' ' || reason || ' ' || excluded_by FROM customer_exclusion"
        assert stack.value("engage", excluded) == f"{bot} a bot uma"
        fits(stack, browser, "vera", f"customer?customer_id={bot}")
        assert stack.posted("vera", "include-customer", customer_id=bot) == 403
        page.get_by_role("button", name="Include again…").click()
        page.get_by_role("dialog").get_by_role("button", name="Include again").click()
        expect(page.get_by_role("button", name="Exclude…")).to_be_visible()
        assert stack.value("engage", excluded) == ""
    assert stack.posted("vera", "exclude-customer", customer_id=bot, why="x") == 403


@pytest.fixture
def model(stack: Stack) -> Iterator[None]:
    """A model beside the scheduler, where the task that asks it runs; Airflow's connection to it; a chain with a name.

    The end takes all of them back, and the texts that were approved.
    """
    in_scheduler = ("exec", "-T", "scheduler")
    packed = subprocess.run(
        ["tar", "-c", "-C", ROOT, "tests/llm_double.py", "tests/served.py"], check=True, capture_output=True
    ).stdout
    unpack = "mkdir -p /tmp/model && tar -x -C /tmp/model"
    stack.compose(*in_scheduler, "bash", "-c", unpack, input=packed, text=False)
    serve = (
        "import sys; sys.path.append('/tmp/model'); from tests.llm_double import llm_double\n"
        f"with llm_double({MODEL_PORT}): print('ready', flush=True); sys.stdin.read()"
    )
    serving = subprocess.Popen(
        stack.command(*in_scheduler, "python", "-c", serve),
        env=stack.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert serving.stdin
    assert serving.stdout
    before = {name: variable(stack, name, value) for name, value in (("brand", BRAND), ("messages", "{}"))}
    address = {"conn_type": "http", "schema": "http", "host": "127.0.0.1", "port": MODEL_PORT, "password": KEY}
    connection = {"connection_id": MODEL_CONNECTION, **address, "extra": json.dumps({"model": MODEL})}
    with stack.airflow() as airflow:
        airflow.post("/api/v2/connections", json=connection).raise_for_status()
    assert serving.stdout.readline() == "ready\n"
    yield
    with stack.airflow() as airflow:
        airflow.delete(f"/api/v2/connections/{MODEL_CONNECTION}").raise_for_status()
    for name, value in before.items():
        variable(stack, name, value)
    serving.communicate()


def draft(dialog: Locator, text: str) -> Locator:
    return dialog.locator("[data-draft]").filter(has_text=text)


@pytest.mark.usefixtures("model")
def test_an_op_asks_a_model_for_texts_and_decides_on_them(stack: Stack, browser: Browser) -> None:
    statuses = "SELECT status FROM message_text ORDER BY message_text_id"
    with stack.page(browser, "olga") as page:
        opened(page, stack, f"segments?window_start={START}")
        page.get_by_role("button", name="Propose texts for BOOST…").click()
        dialog = page.get_by_role("dialog", name="Drafted texts for BOOST")
        dialog.get_by_label("Offer").fill(OFFER)
        dialog.get_by_role("button", name="Ask for texts").click()
        expect(dialog.get_by_role("heading", name=f"{len(TEXTS)} drafts to decide on")).to_be_visible()
        assert stack.value("engage", statuses).split() == [TextStatus.DRAFT] * len(TEXTS)
        picture(page, "compose-drafts.png")

        first = draft(dialog, "is waiting")
        first.get_by_role("button", name="Edit").click()
        first.get_by_role("textbox").fill(MENDED)
        first.get_by_role("button", name="Check and keep").click()
        mended = draft(dialog, "Dinner plans?")
        expect(mended).to_contain_text("Edited by olga")
        mended.get_by_role("button", name="Approve as text").click()
        expect(dialog).to_contain_text("Text b of BOOST is approved. The next campaign takes it.")
        draft(dialog, "on the grill").get_by_role("button", name="Reject draft").click()
        expect(dialog).to_contain_text("The draft is rejected.")
    assert json.loads(variable(stack, "messages")) == {"BOOST": {"b": {"default": MENDED}}}
    decided = [TextStatus.APPROVED, *[TextStatus.DRAFT] * (len(TEXTS) - 2), TextStatus.REJECTED]
    assert sorted(stack.value("engage", statuses).split()) == decided

    waiting = stack.value("engage", "SELECT max(message_text_id) FROM message_text WHERE status = 'draft'")
    for user in ("uma", "vera"):
        known = {"message_text_id": int(waiting)}
        assert stack.posted(user, "drafts", segment="BOOST") == 403
        assert stack.posted(user, "draft-edit", **known, was="x", text="y") == 403
        assert stack.posted(user, "draft-approve", **known, was="x", messages=None) == 403
        assert stack.posted(user, "draft-reject", **known) == 403


def test_the_running_window_is_seen_and_rules_are_tried_on_it(stack: Stack, browser: Browser) -> None:
    start = f"timestamptz '{RUNNING.start:%Y-%m-%d} 00:00Z'"
    events = (
        f"SELECT customer_id, {start} + (now() - {start}) * (customer_id % 600) / 600, 100 + 100 * (customer_id % 200)"
    )
    stack.value("engage", f"INSERT INTO purchase {events} FROM customer")
    computed = json.loads(stack.engage("live", "--compute", "--json"))
    boost = f"{computed['buckets']['BOOST']:,}"
    assert boost != "0"
    looks: dict[str, Theme] = {ADMIN: "light", "vera": "dark"}
    for user, theme in looks.items():
        with stack.page(browser, user, theme) as page:
            opened(page, stack, "campaigns")
            card = page.get_by_role("region", name="Running window")
            expect(card.get_by_role("row", name="BOOST")).to_contain_text(boost)
            card.get_by_role("link", name="Try rules on these customers").click()
            expect(page.get_by_role("heading", name="The window is still running")).to_be_visible()
            choice = page.get_by_label("Counted over the customers of")
            expect(choice).to_have_value(f"{RUNNING.start:%Y-%m-%d}")
            expect(choice.locator("option:checked")).to_contain_text("Running window (so far)")
            expect(page.locator("[data-then=BOOST]")).to_have_text(boost)
            page.get_by_label(LOW, exact=True).fill("0")
            expect(page.locator("[data-then=BOOST]")).to_have_text("0")
            page.get_by_label(LOW, exact=True).fill("1000000")
            expect(page.locator("[data-then=BOOST]")).to_have_text(f"{computed['customers']:,}")
            heads = page.locator("[aria-labelledby=by-segment] tbody th").all()
            assert len({round(one.bounding_box()["height"]) for one in heads}) == 1  # each name beside its colour
    fits(stack, browser, ADMIN, "campaigns")


def test_an_archive_is_written_listed_and_verified_by_the_command_line(stack: Stack) -> None:
    to = ("-e", "ENGAGE_ARCHIVE_URL=file:///tmp/archive")
    commands = ("", " list --json", " verify")
    done = stack.shell("mkdir /tmp/archive; " + "; ".join(f"python -m engage archive{one}" for one in commands), *to)
    assert "Written: " in done.stdout
    assert f'"{START}' in done.stdout
    assert "All files are whole." in done.stdout


def test_an_archive_that_the_container_cannot_write_says_what_to_do(stack: Stack) -> None:
    refused = {
        "": "There is no archive, as ENGAGE_ARCHIVE_URL is not set. It takes file:///folder",
        "file:///opt/airflow": "cannot be used: it is read-only. Let this user write there.",
        "file:///archive": "names /archive, and there is no such folder. Make it, or mount its disk",
    }
    done = stack.shell("; ".join(f"! ENGAGE_ARCHIVE_URL={url} python -m engage archive" for url in refused))
    said = " ".join(done.stderr.split())
    assert [sentence for sentence in refused.values() if sentence not in said] == []


def test_an_admin_forgets_a_customer_in_every_place(stack: Stack, bot: str) -> None:
    """After the archive was written, it has to forget the customer as well."""
    places = ("customer_exclusion", "odd_customer", "live_activity", "live_bucket", "archive_erasure")
    rows = " || ' ' || ".join(f"(SELECT count(*) FROM {one} WHERE customer_id = {bot})" for one in places)
    assert stack.posted("olga", "exclude-customer", customer_id=bot, why="a bot") == 200
    assert stack.value("engage", f"SELECT {rows}") == "1 1 1 1 0"
    assert stack.posted("vera", "forget-customer", customer_id=bot, typed_id=bot) == 403
    assert stack.posted(ADMIN, "forget-customer", customer_id=bot, typed_id=bot) == 200
    assert stack.value("engage", f"SELECT {rows}") == "0 0 0 0 1"
