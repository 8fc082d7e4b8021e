"""``engage seed``: write synthetic customers and events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress

from engage.cli.common import (
    AsJson,
    Customers,
    WindowStart,
    console,
    database,
    hash_key,
    print_json,
    window_data,
    window_named,
)
from engage.steps import seed as step


def seed(
    customers: Customers = 10_000,
    rng_seed: Annotated[
        int | None, typer.Option(min=0, max=step.MAX_RNG_SEED, help="The same seed gives the same data.")
    ] = None,
    window_start: WindowStart = None,
    as_json: AsJson = False,
) -> None:
    """Write synthetic customers, and their events of one window, into a database without real customers."""
    window = window_named(window_start)
    with database(new=True) as engine, Progress(console=console, disable=as_json) as bar:
        task = bar.add_task(f"Seeding {window}", total=customers)
        summary = step.seed(
            engine,
            window,
            customers,
            rng_seed,
            hash_key=hash_key(),
            progress=lambda done, total: bar.update(task, completed=done),
        )
    if as_json:
        print_json({"window": window_data(window), **asdict(summary)})
    elif summary.frozen:
        console.print(f"The campaign of {window} is frozen, so its events were left as they are.")
    else:
        console.print(
            f"{summary.customers:,} customers, {summary.sessions:,} sessions, {summary.purchases:,} purchases "
            f"(rng_seed {summary.rng_seed})"
        )
