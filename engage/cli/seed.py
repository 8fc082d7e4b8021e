"""``engage seed``: write synthetic customers and events."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import Progress

from engage.campaigns import planted_effect
from engage.cli import completion
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
from engage.customers.synthetic import BEHAVIOURS, BehaviourName
from engage.steps import seed as step


def seed(
    customers: Customers = 10_000,
    rng_seed: Annotated[
        int | None, typer.Option(min=0, max=step.MAX_RNG_SEED, help="The same seed gives the same data.")
    ] = None,
    window_start: WindowStart = None,
    *,
    behaviour: Annotated[
        BehaviourName,
        typer.Option(
            help="plain: the same rates for all customers. varied: rates of their own in every window, and drop-out."
        ),
    ] = BehaviourName.PLAIN,
    effect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SEGMENT=PERCENT",
            help="With varied: how much more often customers of a segment buy after a text of the window before, such "
            "as BOOST=+10%; may be repeated.",
            autocompletion=completion.effects,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write synthetic customers, and their events of one window, into a database without real customers."""
    window = window_named(window_start)
    effects = planted_effect.parse(effect or [])
    with database(new=True) as engine, Progress(console=console, disable=as_json) as bar:
        task = bar.add_task(f"Seeding {window}", total=customers)
        summary = step.seed(
            engine,
            window,
            customers,
            rng_seed,
            hash_key=hash_key(),
            behaviour=BEHAVIOURS[behaviour],
            effects=effects,
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
        if effects:
            console.print(f"{summary.affected:,} of them were texted, and buy as {', '.join(effect or [])} says.")
