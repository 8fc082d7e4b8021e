"""``engage maintain``: make partitions ahead and delete old data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engage import settings
from engage.cli.common import AsJson, console, database, print_json
from engage.maintenance import maintain as maintain_database
from engage.storage.database_clock import DatabaseClock


def maintain(
    keep_windows: Annotated[
        int, typer.Option(help="Number of complete windows whose events are kept.")
    ] = settings.Settings().keep_windows,
    as_json: AsJson = False,
) -> None:
    """Make partitions ahead and delete data past its retention, as the DAG engage_maintenance does every hour."""
    from engage.archive import place  # noqa: PLC0415 - it loads pyarrow, which takes a tenth of a second

    chosen = settings.validate({"keep_windows": keep_windows}, label=lambda name: "--keep-windows")
    archive = place.configured()
    with database() as engine:
        done = maintain_database(engine, chosen.keep_windows, as_of=DatabaseClock(engine)(), archive=archive)
    if as_json:
        print_json(asdict(done))
        return
    console.print(
        f"Deleted {done.idempotency_keys:,} idempotency keys, {done.event_ids:,} event ids, {done.inbound_texts:,} "
        f"records of customers' texts, {done.alerts:,} alerts, {done.test_messages:,} records of test messages and "
        f"{done.late_events:,} late events."
    )
    console.print(f"Windows whose events were dropped: {', '.join(done.dropped) or 'none'}")
    console.print(f"Old windows kept because they have no complete campaign: {', '.join(done.kept) or 'none'}")
    if archive:
        console.print(f"Old windows kept because the archive lacks them: {', '.join(done.unarchived) or 'none'}")
