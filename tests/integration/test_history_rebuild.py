"""``engage history``: old windows are filled in, campaigns keep what decided them, and a customer's row is shown."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.campaigns import campaign, history_rebuild
from engage.campaigns.history import SUMS
from engage.cli import main
from engage.customers import erasure
from engage.errors import NoSuchCustomer
from engage.reports import customer_history, history_to_date
from engage.storage import migrations
from engage.storage.schema import campaign as campaign_table
from engage.storage.schema import customer_activity
from engage.storage.schema import customer_history as history_view
from tests.waiting import until

RULES = {
    "segments": '{"segments": [{"name": "BOOST", "when": ["purchases_to_date < 2"]}], "otherwise": "NONE"}'
}  # fmt: skip


@pytest.fixture
def three(world, in_window):
    """Three windows in which Ada bought once each, oldest first. Another customer keeps them from being empty."""
    first = world.window.previous().previous()
    for customer_id in (1, 2):
        world.customer(customer_id=customer_id, registered_at=first.start)
    worlds = [in_window(window) for window in (first, first.next(), world.window)]
    for each in worlds:
        each.sessions(2)
        each.purchase(1, 700)
    return worlds


def sums(world, customer_id=1):
    """The row's ``SUMS`` by window, oldest first."""
    query = sa.select(*(customer_activity.c[name] for name in SUMS)).order_by(customer_activity.c.window_start)
    return world.rows(query.where(customer_activity.c.customer_id == customer_id))


def rebuilt(world, start=None):
    return [(one.window, one.changed, one.kept) for one in history_rebuild.rebuild(world.engine, start)]


def forget_sums(world, *windows):
    """The windows are as a version before 0026 left them."""
    starts = [window.start for window in windows]
    world.execute(
        sa.update(customer_activity).where(customer_activity.c.window_start.in_(starts)).values(dict.fromkeys(SUMS))
    )


def test_an_upgraded_database_has_no_sums_until_a_rebuild_and_the_same_afterwards(world, three, now):
    for each in three:
        each.computed()
    kept = "SELECT window_start, history_kept FROM campaign ORDER BY 1"
    before = world.dump("customer_activity", "customer_bucket"), world.rows(kept)
    assert sums(world) == [(1, 700, 0, 1), (2, 1400, 0, 2), (3, 2100, 0, 3)]
    migrations.downgrade(world.engine, "0025")
    times = ("last_session_at", "first_purchase_at", "last_purchase_at")
    in_both = (f"SELECT window_start, customer_id, {', '.join(times)} FROM {{}} ORDER BY 1, 2").format
    assert world.rows(in_both("customer_bucket")) == world.rows(in_both("customer_activity"))
    migrations.upgrade(world.engine, now)
    assert sums(world) == [(None,) * 4] * 3
    assert rebuilt(world) == [(each.window, 2, 0) for each in three]
    assert (world.dump("customer_activity", "customer_bucket"), world.rows(kept)) == before
    assert rebuilt(world) == [(each.window, 0, 0) for each in three]


def test_after_an_upgrade_a_window_counts_what_the_window_before_knew(world, three):
    for each in three[:2]:
        each.computed()
    forget_sums(world, three[0].window, three[1].window)
    three[2].computed()
    # both windows' own purchases; the spend of a window earlier is known beside it
    assert sums(world)[2] == (2, 2100, 0, 2)


def test_a_window_that_was_computed_late_is_in_those_after_it_once_they_are_rebuilt(world, three):
    for each in (three[0], three[2], three[1]):
        each.computed()
    assert sums(world)[2] == (1, 700, 0, 1)
    assert rebuilt(world, three[2].window) == [(three[2].window, 2, 0)]
    assert sums(world)[2] == (3, 2100, 0, 3)


def test_a_campaign_in_segments_keeps_the_numbers_that_its_rules_compared_and_the_next_one_counts_anew(world, three):
    three[0].computed()
    three[1].computed(**RULES)
    three[1].message()
    three[0].purchase(1, 100)
    three[0].purchase(1, 100)
    three[0].computed()
    frozen = three[1].window
    assert rebuilt(world) == [(three[0].window, 0, 0), (frozen, 1, 1)]
    # the rule compared the purchases, and not the spend
    assert sums(world)[1] == (2, 1600, 0, 2)
    assert world.value(sa.select(campaign_table.c.history_kept).where(campaign_table.c.window_start == frozen.start))
    with world.engine.connect() as conn:
        [one] = customer_history.history(conn, 1, limit=1, window=frozen)
    assert (one.bucket, one.why()) == ("NONE", "Not BOOST: 2 purchases to date are not below 2.")
    three[2].computed()
    assert sums(world)[2] == (5, 2300, 0, 3)
    assert rebuilt(world)[1:] == [(frozen, 0, 1), (three[2].window, 0, 0)]


def test_a_change_of_spend_keeps_the_spend_that_it_was_compared_with(world, three):
    three[0].computed()
    three[1].computed(segments='{"segments": [{"name": "BOOST", "when": ["spend_change < 0"]}], "otherwise": "NONE"}')
    three[0].purchase(1, 100)
    three[0].computed()
    assert rebuilt(world)[1] == (three[1].window, 1, 1)
    query = "SELECT previous_total_spend_cents FROM customer_activity WHERE customer_id = 1 ORDER BY window_start"
    assert world.rows(query) == [(None,), (700,)]
    assert sums(world)[1] == (3, 1500, 0, 2)


def test_two_campaigns_in_a_row_may_keep_theirs(world, three, in_window):
    for each in three:
        each.computed(**RULES)
    three[0].purchase(1, 100)
    three[0].computed()
    assert [(changed, kept) for _, changed, kept in rebuilt(world)] == [(0, 0), (1, 1), (1, 1)]
    assert [row[0] for row in sums(world)] == [2, 2, 3]
    after = in_window(three[2].window.next())
    after.sessions(2)
    after.computed()
    assert sums(world)[3] == (4, 1400, 0, 3)


def test_a_campaign_that_is_computed_anew_keeps_nothing(world, three):
    three[0].computed()
    three[1].computed(**RULES)
    three[0].purchase(1, 100)
    three[0].computed()
    rebuilt(world)
    three[1].computed(**RULES)
    assert sums(world)[1] == (3, 1500, 0, 2)
    assert not world.value(sa.select(sa.func.bool_or(campaign_table.c.history_kept)))


def test_a_window_of_which_nothing_is_computed_is_left_out_and_the_next_one_starts_anew(world, three):
    three[0].purchase(2, 100)
    for each in three:
        each.computed()
    three[1].extract()
    assert [window for window, _, _ in rebuilt(world)] == [three[0].window, three[2].window]
    assert sums(world)[2] == (1, 700, 0, 1)
    query = (
        "SELECT first_purchase_at, last_purchase_at FROM customer_activity WHERE customer_id = 2 ORDER BY window_start"
    )
    assert world.rows(query)[2] == (None, None)


def test_the_rows_of_an_erased_customer_stay_as_they_are(world, three):
    lapsing = '{"segments": [{"name": "BOOST", "when": ["days_since_last_purchase > 300"]}], "otherwise": "NONE"}'
    for each in three:
        each.computed(segments=lapsing)
    erasure.forget(world.engine, 1, as_of=world.now)
    before = world.dump("customer_activity")
    assert [(changed, kept) for _, changed, kept in rebuilt(world)] == [(0, 0)] * 3
    forget_sums(world, *(each.window for each in three))
    assert [(changed, kept) for _, changed, kept in rebuilt(world)] == [(1, 0)] * 3
    [stand_in] = {row[0] for row in world.rows("SELECT customer_id FROM customer_activity WHERE customer_id < 0")}
    assert sums(world, stand_in) == [(None,) * 4] * 3
    assert sorted(world.rows("SELECT * FROM customer_activity WHERE customer_id > 0"), key=repr) == [
        row for row in before["customer_activity"] if row[1] > 0
    ]


def test_a_rebuild_that_ends_early_is_completed_by_the_next_one(world, three):
    for each in three:
        each.computed()
    complete = world.dump("customer_activity")
    forget_sums(world, *(each.window for each in three))
    assert next(history_rebuild.rebuild(world.engine)).changed == 2
    assert sums(world)[1] == (None,) * 4
    assert [changed for _, changed, _ in rebuilt(world)] == [0, 2, 2]
    assert world.dump("customer_activity") == complete


def test_a_rebuild_waits_for_a_step_of_the_campaign_and_takes_what_it_wrote(world, three):
    three[0].computed()
    with ThreadPoolExecutor() as pool:
        with campaign.step(world.engine, three[0].window, "bucket") as step:
            waiting = pool.submit(rebuilt, world)
            until(lambda: world.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, "the rebuild waits")
            step.conn.execute(sa.update(customer_activity).values(windows_active=7))
        assert waiting.result(30) == [(three[0].window, 2, 0)]


def test_extract_warns_of_segments_that_need_sums_which_an_earlier_version_did_not_keep(world, three):
    three[1].computed()
    assert three[2].extract(**RULES).warnings == ""
    forget_sums(world, three[1].window)
    assert three[2].extract(**RULES).warnings == (
        f"The sums of windows before {three[1].window.start:%Y-%m-%d} are not known, as an earlier version of Engage "
        "computed them: BOOST may have other customers. Run `engage history rebuild` first."
    )
    assert three[2].extract().warnings == ""
    rebuilt(world)
    assert three[2].extract(**RULES).warnings == ""


# --- the view and the commands


def test_the_view_has_each_customer_of_the_newest_campaign_in_segments(world, three):
    assert world.rows(sa.select(history_view)) == []
    for each in three[:2]:
        each.computed()
    three[2].extract()  # its numbers are out of date
    start, columns = three[1].window.start, history_view.c.keys()
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in world.rows(sa.select(history_view))}
    assert rows[1] == {
        "customer_id": 1, "window_start": start, "spend_cents": 700, "sessions": 0, "purchases_to_date": 2,
        "spend_3_windows_cents": 1400, "sessions_3_windows": 0, "windows_active": 2,
        "days_since_last_purchase": 53, "days_since_first_purchase": 53 + 56,
    }  # fmt: skip
    assert (rows[2]["days_since_last_purchase"], rows[2]["sessions_3_windows"]) == (None, 2)
    erasure.forget(world.engine, 1, as_of=world.now)
    assert [row[0] for row in world.rows(sa.select(history_view.c.customer_id))] == [2]


def test_the_view_has_no_other_columns_than_the_schema_says(world):
    found = {
        column["name"]: column["type"].__class__ for column in sa.inspect(world.engine).get_columns("customer_history")
    }
    assert found.keys() == set(history_view.c.keys())
    assert {name for name, kind in found.items() if kind is not sa.BIGINT} == {"window_start"}


def test_a_customer_who_is_in_no_campaign_has_no_history(world, three):
    three[0].computed()
    with world.engine.connect() as conn, pytest.raises(NoSuchCustomer, match="The newest campaign has no customer 77"):
        history_to_date.of_customer(conn, 77)


def test_the_commands_show_and_rebuild(world, three, command):
    for each in three:
        each.computed()
    forget_sums(world, three[2].window)
    assert json.loads(command("history", "show", "--customer", "1", "--json"))["purchases_to_date"] is None
    assert "unknown: computed by an earlier version" in command("history", "show", "--customer", "1")
    start = f"{three[2].window.start:%Y-%m-%d}"
    assert command("history", "rebuild", "--from", start) == f"{three[2].window}: 2 customers changed.\n"
    [again] = json.loads(command("history", "rebuild", "--from", start, "--json"))
    assert (again["changed"], again["kept"], again["window"]["start"][:10]) == (0, 0, start)
    found = json.loads(command("history", "show", "--customer", "1", "--json"))
    assert (found["purchases_to_date"], found["spend_3_windows"], found["windows_active"]) == (3, "21.00", 3)
    shown = command("history", "show", "--customer", "1")
    assert "purchases to date" in shown
    assert "$21.00" in shown
    assert "53 days ago" in shown


def test_the_rebuild_says_what_a_campaign_keeps(world, three, command):
    three[0].computed()
    three[1].computed(**RULES)
    three[0].purchase(1, 100)
    three[0].computed()
    told = " ".join(command("history", "rebuild").split())
    assert f"{three[1].window}: 1 customer changed. 1 customer keeps older numbers here, because the campaign's" in told


def test_without_a_campaign_there_is_nothing_to_rebuild(world, command):
    assert "no campaign has computed one yet" in command("history", "rebuild")


def test_a_date_that_begins_no_window_is_refused(world, url, monkeypatch):
    monkeypatch.setenv("ENGAGE_DATABASE_URL", url)
    done = CliRunner().invoke(main.app, ["history", "rebuild", "--from", "2026-09-15"])
    assert done.exit_code == 1
    assert "not the start of a window" in str(done.exception)
