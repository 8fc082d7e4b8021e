"""Measures the check of odd days on made-up traffic: false alarms, and how many planted faults it finds.

    python -m benchmarks.days --windows 500

prints the tables of docs/decisions/odd-days.md. The same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from engage.campaigns import rhythm

console = Console(width=200)

WINDOW = 56
WEEKDAYS = np.array([0.9, 0.85, 0.9, 1.0, 1.15, 1.3, 0.9])
"""A restaurant's week, from Monday on."""
TREND, SEASON, CARRIED = 0.1, 0.1, 0.3
"""The most that the level moves in a window, the swing over a year, and the part of a day's noise that the next has."""
HOLIDAYS = 10
"""Days a year with more or fewer events, whatever the weekday."""
VOLUMES = (200, 20_000, 800_000)
SEED = 20


@dataclass(frozen=True)
class Noise:
    """What moves a day beside chance: ``spread`` of all days, ``holiday`` at most on holidays, as parts of the usual.

    ``tails``: degrees of freedom of Student's t, or None for normal noise; ``gamma``: counts are negative binomial.
    """

    name: str
    spread: float = 0.05
    holiday: float = 0.15
    tails: int | None = None
    gamma: bool = False


USUAL = Noise("5% a day, holidays up to 15%")
NOISES = (
    Noise("chance alone (Poisson)", spread=0, holiday=0),
    USUAL,
    Noise("8% a day", spread=0.08),
    Noise("negative binomial, 10%", spread=0.1, gamma=True),
    Noise("negative binomial, 15%", spread=0.15, gamma=True),
    Noise("negative binomial, 20%", spread=0.2, gamma=True),
    Noise("5% with heavy tails (t, 4 degrees)", tails=4),
    Noise("5%, holidays up to 40%", holiday=0.4),
)


@dataclass(frozen=True)
class Found:
    """Shares of the windows: with a false alarm, whose empty day was found, and whose doubled day was found."""

    alarms: float
    empty: float
    doubled: float


def traffic(rng: np.random.Generator, volume: float, days: int, noise: Noise = USUAL) -> list[int]:
    """The events of consecutive days, about ``volume`` a day, with a week, a trend, a season and holidays."""
    at = np.arange(days)
    level = volume * WEEKDAYS[at % 7] * (1 + rng.uniform(-TREND, TREND)) ** (at / WINDOW)
    level = level * (1 + SEASON * np.sin(2 * np.pi * (at / 365 + rng.random())))
    holiday = rng.random(days) < HOLIDAYS / 365
    level = level * np.where(holiday, 1 + rng.uniform(-noise.holiday, noise.holiday, days), 1)
    return [int(count) for count in rng.poisson(level * _noise(rng, days, noise))]


def _noise(rng: np.random.Generator, days: int, noise: Noise) -> NDArray[np.float64]:
    if not noise.spread:
        return np.ones(days)
    if noise.gamma:
        shape = noise.spread**-2
        return rng.gamma(shape, 1 / shape, days)
    drawn = rng.standard_t(noise.tails, days) / 2**0.5 if noise.tails else rng.normal(size=days)
    for n in range(1, days):
        drawn[n] = CARRIED * drawn[n - 1] + (1 - CARRIED**2) ** 0.5 * drawn[n]
    found: NDArray[np.float64] = np.exp(noise.spread * drawn)
    return found


def measure(volume: float, history: int, windows: int, noise: Noise = USUAL) -> Found:
    """Judge so many windows as they are, and again with one day emptied, and with one day doubled."""
    rng, counts = np.random.default_rng([SEED, int(volume), history]), np.zeros(3)
    for _ in range(windows):
        events = traffic(rng, volume, history + WINDOW, noise)
        place = history + int(rng.integers(WINDOW))
        alarm = any(day.odd for day in rhythm.judge(events, history).days)
        counts += [alarm, _odd(events, history, place, 0), _odd(events, history, place, 2 * events[place])]
    return Found(*(float(share) for share in counts / windows))


def _odd(events: Sequence[int], history: int, place: int, count: int) -> bool:
    changed = [*events[:place], count, *events[place + 1 :]]
    return rhythm.judge(changed, history).days[place - history].odd


def main() -> None:
    """Print a table for each length of the history."""
    parser = argparse.ArgumentParser(description="Measure the check of odd days.")
    parser.add_argument("--windows", type=int, default=500)
    windows = parser.parse_args().windows
    for history in (rhythm.FULL, rhythm.LEAST):
        console.print(f"\n{history} days of history, {windows} windows each\n")
        console.print("| noise | events a day | windows with a false alarm | empty day found | doubled day found |")
        console.print("|---|---|---|---|---|")
        for noise in NOISES:
            for volume in VOLUMES:
                found = measure(volume, history, windows, noise)
                shares = " | ".join(f"{share:.1%}" for share in (found.alarms, found.empty, found.doubled))
                console.print(f"| {noise.name} | {volume:,} | {shares} |")


if __name__ == "__main__":
    main()
