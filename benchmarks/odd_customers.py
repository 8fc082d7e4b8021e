"""How many ordinary customers a window lists as odd: ``python -m benchmarks.odd_customers --customers 10000``.

These populations have no bot, so chance puts every customer on the list. In some windows a bot with 40 times the mean
number of sessions is added, and a customer with 400 times the mean spend. Each window has new customers, so windows are
independent. The step ``bucket`` looks for them, on a real Postgres.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
import typer

from benchmarks.step import now
from benchmarks.world import HOME
from benchmarks.world import world as world_of
from engage.campaigns import odd_customers
from engage.customers.synthetic import BEHAVIOURS, BLOCK, BehaviourName, Draws
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.settings import Settings
from engage.statuses import OddLimit, OddMeasure
from engage.steps.bucket import bucket
from engage.storage import partitions
from engage.storage.binary_copy import copy_packed, packed
from engage.storage.schema import app_session, campaign, customer_activity, odd_customer, purchase
from engage.window import WEEKS, Window

Integers = npt.NDArray[np.int64]
Numbers = tuple[Integers, Integers]
"""Each customer's sessions, and spend in cents."""

BOT, SPENDER = 40, 400
"""Times the mean of the customers with a session, and of those with a purchase."""
_numbers = sa.Table(
    "numbers",
    sa.MetaData(),
    *(sa.Column(name, sa.BigInteger) for name in ("customer_id", "sessions", "cents")),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def _generated(name: BehaviourName) -> Callable[[Window, int, int], Numbers]:
    """The customers of ``engage seed``."""

    def numbers(window: Window, customers: int, rng_seed: int) -> Numbers:
        draws = Draws(window, customers, rng_seed, BEHAVIOURS[name])
        sessions, cents = np.zeros((2, customers), np.int64)
        for first in range(1, customers + 1, BLOCK):
            count = min(BLOCK, customers - first + 1)
            opened = draws.block(app_session, first, count)["value0"] - first
            bought = draws.block(purchase, first, count)
            places, amounts = bought["value0"] - first, bought["value2"].astype(np.float64)
            sessions[first - 1 : first - 1 + count] = np.bincount(opened, minlength=count)
            cents[first - 1 : first - 1 + count] = np.bincount(places, amounts, minlength=count)
        return sessions, cents

    return numbers


def _heavy(window: Window, customers: int, rng_seed: int) -> Numbers:
    """Negative binomial sessions of shape 1 and mean 40, log-normal spend with a sigma of 1."""
    rng = np.random.default_rng(rng_seed)
    sessions = rng.poisson(rng.gamma(1, 40, customers))
    return sessions, np.rint(100 * rng.lognormal(4, 1, customers)).astype(np.int64)


POPULATIONS: dict[str, Callable[[Window, int, int], Numbers]] = {
    "plain": _generated(BehaviourName.PLAIN),
    "varied": _generated(BehaviourName.VARIED),
    "heavy": _heavy,
}


def open_campaign(conn: sa.Connection, window: Window, customers: int) -> None:
    """A campaign whose customers are summed up, or will be by ``write``."""
    conn.execute(
        sa.insert(campaign).values(
            window_start=window.start, window_end=window.end, run_id="benchmark", status="aggregated",
            settings=Settings().snapshot(), events={"sessions": 1, "purchases": 1}, rejected={},
            customers=customers, opened_at=now(),
        )
    )  # fmt: skip


def write(conn: sa.Connection, window: Window, numbers: Numbers) -> None:
    """Make these the numbers of the window's customers, whose ids count from 1."""
    sessions, cents = numbers
    _numbers.create(conn)
    copy_packed(conn, "numbers", _numbers, packed(np.arange(1, len(cents) + 1), sessions, cents))
    row = _numbers.c
    rows = sa.select(
        sa.cast(window.start, sa.DateTime(timezone=True)).label("window_start"),
        row.customer_id,
        row.sessions,
        sa.cast(sa.cast(row.cents > 0, sa.Integer), sa.BigInteger).label("purchases"),
        row.cents.label("total_spend_cents"),
        (sa.cast(row.sessions, sa.Double) / sa.literal(float(WEEKS), sa.Double)).label("avg_weekly_sessions"),
        *(sa.cast(sa.null() if c.nullable else 0, c.type).label(c.name) for c in [*customer_activity.c][6:]),
    )
    partitions.replace(conn, customer_activity, window, rows)


def listed(engine: sa.Engine, window: Window, numbers: Numbers) -> dict[OddMeasure, set[int]]:
    """The customers whom ``bucket`` finds beyond chance."""
    with engine.begin() as conn:
        write(conn, window, numbers)
    bucket(engine, window)
    with engine.begin() as conn:
        by_chance = odd_customer.c.found_by == OddLimit.CHANCE
        rows = conn.execute(sa.select(odd_customer.c.measure, odd_customer.c.customer_id).where(by_chance)).all()
        found = odd_customers.of(conn, window)
    assert found is not None
    return {
        one.measure: {row.customer_id for row in rows if row.measure == one.measure}
        for one in found.found
        if one.found_by is OddLimit.CHANCE and one.most is not None
    }


def with_planted(numbers: Numbers) -> Numbers:
    """The same customers, of whom the first is a bot, and the second spends too much."""
    sessions, cents = numbers[0].copy(), numbers[1].copy()
    sessions[0], cents[1] = BOT * sessions[sessions > 0].mean(), SPENDER * cents[cents > 0].mean()
    return sessions, cents


def by_chance(engine: sa.Engine, window: Window, numbers: Numbers) -> list[int]:
    """How many of these customers are listed by sessions and by spend."""
    found = listed(engine, window, numbers)
    return [len(found.get(measure, ())) for measure in (OddMeasure.SESSIONS, OddMeasure.SPEND)]


def planted_found(engine: sa.Engine, window: Window, numbers: Numbers) -> list[bool]:
    """Whether the planted bot and the planted spender are listed."""
    found = listed(engine, window, with_planted(numbers))
    return [1 in found.get(OddMeasure.SESSIONS, ()), 2 in found.get(OddMeasure.SPEND, ())]


def main(
    customers: Annotated[int, typer.Option(help="Customers in each window.")] = 10_000,
    number: Annotated[int, typer.Option("--windows", help="Windows of each population.")] = 100,
    planted: Annotated[int, typer.Option(help="In how many of them a bot and a spender are planted, too.")] = 20,
) -> None:
    """Print the mean number of customers who are listed by chance, and how often the planted ones are found."""
    typer.echo("| customers | population | windows | by sessions | by spend | in all | bot found | spender found |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    with embedded_postgres.postgres(Home(HOME)) as host, world_of(host, customers) as world:
        partitions.ensure_windows(world.engine, [world.window])
        with world.engine.begin() as conn:
            open_campaign(conn, world.window, customers)
        for population, draw in POPULATIONS.items():
            flagged, found = [], []
            for rng_seed in range(number):
                numbers = draw(world.window, customers, rng_seed)
                flagged.append(by_chance(world.engine, world.window, numbers))
                if rng_seed < planted:
                    found.append(planted_found(world.engine, world.window, numbers))
            (sessions, spend), (bots, spenders) = np.mean(flagged, axis=0), np.mean(found, axis=0)
            typer.echo(
                f"| {customers:,} | {population} | {number} | {sessions:.2f} | {spend:.2f} | {sessions + spend:.2f} "
                f"| {bots:.0%} | {spenders:.0%} |"
            )


if __name__ == "__main__":
    typer.run(main)
