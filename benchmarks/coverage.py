"""Whether the statistics of ``engage/experiments`` keep their promises, on simulated campaigns and on real data.

Run it with ``python -m benchmarks.coverage [FOLDER]``. The folder holds ``cdnow.txt`` and ``hillstrom.csv.gz``; without
them, their part is left out, and the output says so. It ends with 1 if a figure misses its limits.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.random import Generator
from numpy.typing import NDArray

from engage.experiments.arm import Arm
from engage.experiments.lift import Lift
from engage.experiments.mean_lift import cuped, welch
from engage.experiments.power import ENOUGH_BUYERS
from engage.experiments.sample_ratio import is_mismatch, sample_ratio_p
from engage.experiments.share_lift import Buyers, newcombe

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
MEASURES = ("spend, Welch", "spend, CUPED", "bought again, Newcombe")
MARKS = {True: "ok  ", False: "MISS", None: "    "}
HOLDOUTS = (0.1, 0.2, 0.5)
CUSTOMERS = 5_000
"""In a simulated campaign: about 150 buyers in a holdout of 10%."""
MOST_LIKELY_BUYER, BUYS, BUYS_SELDOM = 0.9, 1.0, 2.0
"""A customer buys in a window with a probability of 0.9 times a Beta(1, 2) number: 30% on average."""
LOG_CENTS, BETWEEN_CUSTOMERS, BETWEEN_WINDOWS = 8.0, 0.5, 0.8
"""The logarithm of the spend of a window with purchases: mean and standard deviations."""


@dataclass
class Tally:
    """How many intervals held the truth, and how many left out 0."""

    campaigns: int
    covered: Counter[str]
    found: Counter[str]
    relative_covered: Counter[str]


@dataclass(frozen=True)
class Figure:
    """One result, and the limits it must keep. ``kept`` is None for a figure without limits."""

    what: str
    found: str
    limits: str
    kept: bool | None


def main(
    data: Annotated[Path, typer.Argument(help="The folder of the real data.")] = Path("../shared/data"),
    campaigns: Annotated[int, typer.Option(min=1, help="Simulated campaigns, and splits of real data.")] = 1_000,
    seed: int = 18,
) -> None:
    """Print each figure beside its limits. End with 1 if one misses them."""
    random = np.random.default_rng(seed)
    figures = []
    for figure in every_figure(random, data, campaigns):
        sys.stdout.write(f"{MARKS[figure.kept]} {figure.what}: {figure.found} ({figure.limits})\n")
        sys.stdout.flush()
        figures.append(figure)
    raise typer.Exit(int(any(figure.kept is False for figure in figures)))


def every_figure(random: Generator, data: Path, campaigns: int) -> Iterator[Figure]:
    """All parts, one after the other. A missing file is printed as skipped."""
    yield from simulated(random, campaigns)
    yield from sample_ratios(random, 10 * campaigns)
    for file, part in (("cdnow.txt", lambda path: cdnow(random, path, campaigns)), ("hillstrom.csv.gz", hillstrom)):
        if (data / file).exists():
            yield from part(data / file)
        else:
            sys.stdout.write(
                f"SKIPPED: {data / file} is missing. Give its folder: python -m benchmarks.coverage FOLDER\n"
            )
    yield from few_buyers(random, 8 * campaigns)  # the border lies near the limit: 0.3% more or less


def simulated(random: Generator, campaigns: int) -> Iterator[Figure]:
    """Coverage of planted effects, and false positives without one."""
    for effect in (0.1, 0.0):
        tally = run(random, campaigns, effect)
        for name in MEASURES:
            yield within(f"simulated, +{effect:.0%}, coverage, {name}", tally.covered[name] / campaigns, 0.93, 0.97)
            if name in tally.relative_covered:
                share = tally.relative_covered[name] / campaigns
                yield within(f"simulated, +{effect:.0%}, coverage of the relative lift, {name}", share, 0.93, 0.97)
            if effect:
                share = tally.found[name] / campaigns
                yield Figure(f"simulated, +{effect:.0%}, found, {name}", f"{share:.2%}", "no limit", None)
            else:
                yield within(f"simulated, false positives, {name}", tally.found[name] / campaigns, 0.03, 0.07)


def run(random: Generator, campaigns: int, effect: float) -> Tally:
    """Simulate campaigns and compare each lift with the planted one. Draws again below 100 buyers in an arm."""
    share = MOST_LIKELY_BUYER * BUYS / (BUYS + BUYS_SELDOM)
    mean = share * float(np.exp(LOG_CENTS + (BETWEEN_CUSTOMERS**2 + BETWEEN_WINDOWS**2) / 2))
    truths = dict(zip(MEASURES, (mean * effect, mean * effect, share * effect / 2), strict=True))
    tally = Tally(campaigns, Counter(), Counter(), Counter())
    done = 0
    while done < campaigns:
        spend, texted = simulated_campaign(random, effect, HOLDOUTS[done % len(HOLDOUTS)])
        lifts = lifts_of(spend, texted)
        if lifts is None:
            continue
        done += 1
        for name, lift in lifts.items():
            tally.covered[name] += lift.low <= truths[name] <= lift.high
            tally.found[name] += lift.p < 0.05
            if lift.relative:
                tally.relative_covered[name] += lift.relative.low <= effect <= lift.relative.high
    return tally


def few_buyers(random: Generator, campaigns: int) -> Iterator[Figure]:
    """Why there is no interval for spend below 100 buyers: its coverage around that border, in a holdout of 10%."""
    for buyers in (30, 50, 100):
        lifts = [
            lift
            for _ in range(campaigns)
            if (found := lifts_of(*simulated_campaign(random, 0.0, 0.1, round(buyers / 0.03)), least=2))
            and (lift := found.get(MEASURES[0]))
        ]
        covered = sum(lift.low <= 0 <= lift.high for lift in lifts) / len(lifts)
        what = f"simulated, +0%, coverage with about {buyers} buyers in the holdout, {MEASURES[0]}"
        enough = buyers >= ENOUGH_BUYERS
        yield within(what, covered, 0.93, 0.97) if enough else Figure(what, f"{covered:.2%}", "no limit", None)


def simulated_campaign(
    random: Generator, effect: float, holdout: float, customers: int = CUSTOMERS
) -> tuple[Floats, Flags]:
    """Spend in cents, customers by four windows, the campaign's first; and which customers are texted.

    Customers keep their own rate and their own level of spend over the windows. Half of the effect is on the share that
    buys, the rest on what they spend.
    """
    rate = MOST_LIKELY_BUYER * random.beta(BUYS, BUYS_SELDOM, customers)
    level = random.normal(LOG_CENTS, BETWEEN_CUSTOMERS, customers)
    texted = random.random(customers) >= holdout
    rates = np.repeat(rate[:, None], 4, axis=1)
    rates[texted, 0] *= 1 + effect / 2
    spend = np.exp(level[:, None] + BETWEEN_WINDOWS * random.standard_normal((customers, 4)))
    spend[texted, 0] *= (1 + effect) / (1 + effect / 2)
    return spend * (random.random((customers, 4)) < rates), texted


def lifts_of(spend: Floats, texted: Flags, least: int = ENOUGH_BUYERS) -> dict[str, Lift] | None:
    """The lifts of the first column, with the others as covariates. None if an arm has fewer than ``least`` buyers."""
    rows, others = spend[texted], spend[~texted]
    buyers, other_buyers = buyers_of(rows[:, 0]), buyers_of(others[:, 0])
    if min(buyers.bought, other_buyers.bought) < least:
        return None
    arm, holdout = arm_of(rows), arm_of(others)
    lifts = (welch(arm, holdout), cuped(arm, holdout), newcombe(buyers, other_buyers))
    return {name: lift for name, lift in zip(MEASURES, lifts, strict=True) if lift}


def arm_of(rows: Floats) -> Arm:
    """The sufficient statistics of rows of outcome and covariates."""
    matrix = np.atleast_2d(np.cov(rows, rowvar=False))
    return Arm.from_database(len(rows), rows.mean(axis=0).tolist(), matrix.tolist())


def buyers_of(column: Floats) -> Buyers:
    """The customers of a column, and those above 0."""
    return Buyers(len(column), int(np.count_nonzero(column)))


def sample_ratios(random: Generator, campaigns: int) -> Iterator[Figure]:
    """How often sound and damaged campaigns of 200,000 customers are flagged, by the holdout's share."""
    for holdout in HOLDOUTS:
        held = random.binomial(200_000, holdout, campaigns)
        sound = [flagged(int(count), 200_000 - int(count), holdout) for count in held]
        yield within(f"sample ratio, holdout {holdout:.0%}, sound, flagged", float(np.mean(sound)), 0, 0.003)
        left = random.binomial(held, 0.97)
        damaged = [flagged(int(kept), 200_000 - int(count), holdout) for kept, count in zip(left, held, strict=True)]
        what, found = f"sample ratio, holdout {holdout:.0%} lost 3%, flagged", float(np.mean(damaged))
        # 3% of a holdout of 20,000 are 4 standard errors, and the threshold is 3.3 of them: found in 77%.
        yield (
            within(what, found, 0.95, 1)
            if holdout > 0.1
            else Figure(what, f"{found:.2%}", "no limit, 77% by theory", None)
        )


def flagged(held: int, texted: int, holdout: float) -> bool:
    """Whether the arms are not those of the plan."""
    return is_mismatch(sample_ratio_p([held, texted], [holdout, 1 - holdout]))


def cdnow(random: Generator, file: Path, splits: int) -> Iterator[Figure]:
    """False positives over random splits of CDNOW's customers, 8-week windows, no effect at all."""
    spend = cdnow_windows(file)
    found: Counter[str] = Counter()
    done, buyers = 0, spend.shape[0]
    while done < splits:
        window = int(random.integers(3, spend.shape[1]))
        rows = spend[:, window - np.arange(4)]
        texted = random.random(len(rows)) >= HOLDOUTS[done % len(HOLDOUTS)]
        lifts = lifts_of(rows, texted, least=120)
        if lifts is None:
            continue
        done += 1
        buyers = min(buyers, int(np.count_nonzero(rows[texted, 0])), int(np.count_nonzero(rows[~texted, 0])))
        found.update(name for name, lift in lifts.items() if lift.p < 0.05)
    for name in MEASURES:
        yield within(f"CDNOW, false positives of {splits} splits, {name}", found[name] / splits, 0.03, 0.07)
    yield Figure("CDNOW, fewest buyers in an arm", str(buyers), "120 or more", buyers >= 120)


def cdnow_windows(file: Path) -> Floats:
    """Spend in dollars, customers by whole 8-week windows from 1997-01-01."""
    lines = [words for line in file.read_text().splitlines() if (words := line.split()) and words[0].isdigit()]
    start = date(1997, 1, 1)
    days = {text: (date.fromisoformat(text) - start).days for text in {line[1] for line in lines}}
    window = np.array([days[line[1]] // 56 for line in lines])
    customers, place = np.unique([line[0] for line in lines], return_inverse=True)
    spend = np.zeros((len(customers), int(window.max()) + 1))
    np.add.at(spend, (place, window), [float(line[3]) for line in lines])
    return spend[:, : (max(days.values()) + 1) // 56]


def hillstrom(file: Path) -> Iterator[Figure]:
    """The figures of Hillstrom's e-mail experiment, to the last digit that was computed independently."""
    with gzip.open(file, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    columns = ("spend", "history", "visit", "conversion")
    arms = {
        arm: np.array([[float(row[name]) for name in columns] for row in rows if row["segment"] == arm])
        for arm in ("Mens E-Mail", "Womens E-Mail", "No E-Mail")
    }
    none = arms["No E-Mail"]
    p = sample_ratio_p([len(arm) for arm in arms.values()], [1 / 3] * 3)
    assert p is not None
    yield same("Hillstrom, sample ratio, p", f"{p:.2f}", "0.90")
    yield same("Hillstrom, visit rate, men's e-mail", f"{arms['Mens E-Mail'][:, 2].mean():.6f}", "0.182757")
    yield same("Hillstrom, visit rate, no e-mail", f"{none[:, 2].mean():.6f}", "0.106167")
    for arm, visit, conversion, spend in (
        ("Mens E-Mail", "+7.66 [7.00, 8.32]", "+0.68 [0.50, 0.86]", "+0.77 [0.49, 1.05]"),
        ("Womens E-Mail", "+4.52", "+0.31", "+0.42 [0.17, 0.68]"),
    ):
        for name, column, right in (("visit, points", 2, visit), ("conversion, points", 3, conversion)):
            lift = newcombe(buyers_of(arms[arm][:, column]), buyers_of(none[:, column]))
            yield same(f"Hillstrom, {arm}, {name}", lift_text(lift, 100), right)
        yield same(f"Hillstrom, {arm}, spend, dollars", lift_text(welch(arm_of(arms[arm]), arm_of(none)), 1), spend)
    adjusted = cuped(arm_of(arms["Mens E-Mail"][:, :2]), arm_of(none[:, :2]))
    assert adjusted
    yield same("Hillstrom, men's, variance that history removes", f"{adjusted.variance_removed:.2%}", "0.04%")


def lift_text(lift: Lift | None, unit: float) -> str:
    """A lift as the table of right values has it."""
    assert lift
    return f"{lift.difference * unit:+.2f} [{lift.low * unit:.2f}, {lift.high * unit:.2f}]"


def same(what: str, found: str, right: str) -> Figure:
    """A figure that must be equal to a text, or begin with it."""
    return Figure(what, found, f"right: {right}", found.startswith(right))


def within(what: str, found: float, low: float, high: float) -> Figure:
    """A share that must lie between two."""
    return Figure(what, f"{found:.2%}", f"{low:.1%} to {high:.1%}", low <= found <= high)


if __name__ == "__main__":
    typer.run(main)
