"""Server times of the pages, with as many campaigns of as many customers as a chain has after two years.

``python -m benchmarks.pages --customers 1000000 --campaigns 13`` measures only these. The customers' numbers are drawn
in SQL, which is quick; buckets and queues are made by Engage's own steps. Every message is then marked as delivered,
except in the newest campaign, which is being sent.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import document
from benchmarks.step import SHARE, now
from benchmarks.world import HOME, World
from benchmarks.world import world as world_of
from engage.campaigns import message_counts
from engage.campaigns.run_options import RunOptions
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.pages import segments_page
from engage.pages.activity_page import Wanted, activity_page
from engage.pages.approval_page import approval_page
from engage.pages.campaign_list import campaign_list
from engage.pages.campaign_progress import progress
from engage.pages.campaign_report import campaign_report
from engage.pages.campaign_trend import Trend
from engage.pages.customer_page import customer_page, results
from engage.pages.messages_page import message_page, messages_page
from engage.pages.settings_page import Editor, settings_page
from engage.pages.viewer import Viewer
from engage.reports import customer_history
from engage.reports.campaign_list import listed
from engage.reports.message_list import Filters
from engage.sending import queue
from engage.settings import Change, Settings, validate
from engage.statuses import MessageStatus
from engage.steps.bucket import bucket
from engage.storage import partitions
from engage.storage.schema import campaign, customer_activity, message
from engage.window import Window

CAMPAIGNS = 13
REPETITIONS = 7
TRIED = [Change("low_spend_threshold", "120", None)]
"""A draft of the page *Segments*."""
TRIED_SHARE = [Change("low_spend_threshold", SHARE, None)]
LIMIT, SEGMENTS_LIMIT = 300, 1000
"""Milliseconds. *Segments* counts a campaign anew."""
SEGMENTS = ("segments", "segments, counts", "segments, counts by a share")
NOT_PAGES = ("segments, may be texted", "engage campaigns", "a customer's history", "one ledger, counted")
SETTINGS = {"high_activity_threshold": "0", "guard_max_shift_points": "100", "min_days_between_messages": "0"}
"""Nearly every customer is in BOOST or REWARD, and gets a message."""
OPTED_OUT = """UPDATE customer SET opted_out_at = '{}'::timestamptz + random() * interval '700 days'
    WHERE mod(customer_id, 50) = 3"""
SUPPRESSED = """INSERT INTO suppression SELECT phone_hash, 'stop', 'benchmark',
    '{}'::timestamptz + random() * interval '700 days' FROM customer WHERE mod(customer_id, 50) = 7"""
CUSTOMERS = """INSERT INTO customer (customer_id, registered_at, name, phone, phone_hash, consent_at, consent_source)
    SELECT n, '2024-01-01', 'Ada Diaz ' || mod(n, 50000), '+999' || lpad(n::text, 9, '0'),
           decode(md5(n::text), 'hex'), '2024-01-01', 'benchmark'
    FROM generate_series(1, {}) AS n"""
TEXT = "We miss you! Show this text at the counter for your next dessert. Reply STOP to opt out."
HANDED_OVER = f"""UPDATE message SET status = 'sending', sending_at = queued_at, handed_over_at = queued_at,
    body = '{TEXT}', segments = 1, provider = 'twilio', sender_token = 1
    WHERE window_start = '{{}}' AND status = 'queued' AND mod(customer_id, 100) < {{}}"""
UNKNOWN = """UPDATE message SET status = 'unknown', unknown_at = queued_at, error = 'the connection broke'
    WHERE window_start = '{}' AND status = 'sending' AND mod(customer_id, 50000) = 1"""
SETTLED = """UPDATE message SET status = 'delivered', accepted_at = queued_at, sent_at = queued_at,
    settled_at = queued_at, provider_message_id = 'SM' || md5(customer_id::text)
    WHERE window_start = '{}' AND status = 'sending'"""


def seed(world: World, windows: list[Window], say: Callable[[str], None]) -> None:
    """Make the customers and a campaign for each window; the last one is being sent."""
    world.run(CUSTOMERS.format(world.customers))
    world.run("ANALYZE customer")
    for window in windows:
        say(f"campaign of {window}")
        _compute(world, window)
        newest = window == windows[-1]
        world.run(HANDED_OVER.format(window.start.isoformat(), 50 if newest else 100))
        world.run(UNKNOWN.format(window.start.isoformat()))
        world.run(SETTLED.format(window.start.isoformat()))
        status, finished = ("sending", "NULL") if newest else ("complete", "frozen_at")
        world.run(
            f"UPDATE campaign SET status = '{status}', frozen_at = opened_at, finished_at = {finished} "
            f"WHERE window_start = '{window.start.isoformat()}'"
        )
    for opt_outs in (OPTED_OUT, SUPPRESSED):
        world.run(opt_outs.format(windows[0].start.isoformat()))
    world.warm()


def _compute(world: World, window: Window) -> None:
    settings, as_of = validate(SETTINGS), now()
    numbers = sa.func.generate_series(1, world.customers).table_valued("n").render_derived()
    sessions = sa.cast(sa.func.random() * 80, sa.BigInteger)
    drawn = sa.select(numbers.c.n, sessions.label("sessions")).offset(0).subquery("drawn")
    activity = sa.select(
        sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start"),
        sa.cast(drawn.c.n, sa.BigInteger).label("customer_id"),
        drawn.c.sessions,
        sa.cast(sa.func.random() * 9, sa.BigInteger).label("purchases"),
        sa.cast(sa.func.random() * sa.func.random() * 100_000, sa.BigInteger).label("total_spend_cents"),
        (sa.cast(drawn.c.sessions, sa.Double) / sa.literal(8.0)).label("avg_weekly_sessions"),
        *(sa.cast(sa.null() if c.nullable else 0, c.type).label(c.name) for c in [*customer_activity.c][6:]),
    )
    with world.engine.begin() as conn:
        partitions.replace(conn, customer_activity, window, activity)
        conn.execute(
            sa.insert(campaign).values(
                window_start=window.start, window_end=window.end, run_id="benchmark", status="aggregated",
                settings=settings.snapshot(), events={"sessions": 1, "purchases": 1}, rejected={},
                customers=world.customers, opened_at=as_of,
            )
        )  # fmt: skip
    bucket(world.engine, window)
    queue.build(world.engine, window, options=RunOptions(send_late=True), as_of=as_of)


def measure(host: str, customers: int, campaigns: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Milliseconds of each page on a warm server, and each page's limit."""
    windows = [Window.last_complete(now())]
    while len(windows) < campaigns:
        windows.insert(0, windows[0].previous())
    with world_of(host, customers) as world:
        say("customers of the pages")
        seed(world, windows, say)
        took = {name: _timed(task) for name, task in _tasks(world, windows).items()}
    limits = {name: SEGMENTS_LIMIT if name in SEGMENTS else LIMIT for name in took if name not in NOT_PAGES}
    return {
        "date": f"{now():%Y-%m-%d}",
        "campaigns": campaigns,
        "customers": customers,
        "milliseconds": took,
        "limits": limits,
    }


def _tasks(world: World, windows: list[Window]) -> dict[str, Callable[[], object]]:
    """What makes each page."""
    viewer, settings, engine, as_of = Viewer(), validate({}), world.engine, now()
    before, editor = windows[-2], Editor({}, frozenset(Settings.model_fields))

    def count_ledger() -> object:
        with engine.begin() as conn:
            return message_counts.counted(conn, partitions.of(message, before))

    def command() -> object:
        with engine.begin() as conn:
            return [one.to_dict() for one in listed(conn, limit=len(windows))]

    def history() -> object:
        with engine.begin() as conn:
            return customer_history.campaigns(conn, 4711, limit=26)

    return {
        "campaigns": lambda: campaign_list(engine, viewer, settings, as_of=as_of),
        "campaigns, opt-outs": lambda: campaign_list(engine, viewer, settings, trend=Trend.OPT_OUTS, as_of=as_of),
        "approval": lambda: approval_page(engine, viewer, windows[-1], as_of=as_of),
        "report, progress": lambda: progress(engine, windows[-1]),
        "report, sent": lambda: campaign_report(engine, viewer, before),
        "report, being sent": lambda: campaign_report(engine, viewer, windows[-1]),
        "customer": lambda: customer_page(engine, viewer, "4711", settings, as_of=as_of),
        "customers, by name": lambda: results(engine, "ada", full_phone=False),
        "customers, by digits": lambda: results(engine, "4711", full_phone=False),
        "messages": lambda: messages_page(engine, viewer, before, Filters()),
        "messages, 20 of a million": lambda: messages_page(engine, viewer, before, Filters(MessageStatus.UNKNOWN)),
        "message": lambda: message_page(engine, viewer, before, 4711),
        "settings": lambda: settings_page(engine, viewer, editor),
        "activity": lambda: activity_page(engine, viewer, Wanted(), None, as_of=as_of),
        "segments": lambda: segments_page.segments_page(engine, viewer, editor, before),
        "segments, counts": lambda: segments_page.counts(engine, editor, before, TRIED),
        "segments, counts by a share": lambda: segments_page.counts(engine, editor, before, TRIED_SHARE),
        "segments, may be texted": lambda: segments_page.texted(engine, editor, before, TRIED, as_of),
        "engage campaigns": command,
        "a customer's history": history,
        "one ledger, counted": count_ledger,
    }


def _timed(task: Callable[[], object]) -> list[float]:
    task()
    took = []
    for _ in range(REPETITIONS):
        begun = time.perf_counter()
        task()
        took.append(round(1000 * (time.perf_counter() - begun), 1))
    return took


def main(
    customers: Annotated[int, typer.Option(help="Customers of each campaign.")] = 1_000_000,
    campaigns: Annotated[int, typer.Option(help="Number of campaigns.")] = CAMPAIGNS,
) -> None:
    """Measure the pages' server times, and print them with their limits."""
    console = Console()
    with embedded_postgres.postgres(Home(HOME)) as host, console.status("pages") as status:
        found = measure(host, customers, campaigns, status.update)
    written = document.pages(found)
    console.print(Markdown(written) if console.is_terminal else written, soft_wrap=not console.is_terminal)
    shutil.rmtree(HOME / "postgres", ignore_errors=True)


if __name__ == "__main__":
    typer.run(main)
