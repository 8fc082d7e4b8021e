"""All measurements of one run.

Things that are compared are measured in turns, because a machine's speed changes from minute to minute. Every number
is kept, and ``document`` takes medians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from benchmarks.peers import asked
from benchmarks.world import EVENTS, World
from benchmarks.world import world as world_of
from engage.window import Window

STEPS = ("extract", "aggregate", "bucket", "queue", "send")
PAGES = ("report page", "segments")
"""Pages that read all of a campaign's customers. They are measured after sending, when they are complete."""
BUCKETS = ("bucket by the default rules", "bucket by many rules", "bucket by a share")
SEEDS, REPETITIONS = 2, 3
HISTORY_WINDOWS, HISTORY_CUSTOMERS = 10, 100_000

Say = Callable[[str], None]
Series = dict[str, list[float]]


def measure(host: str, customers: int, *, history: bool, say: Say) -> dict[str, Any]:
    """All measurements for one number of customers. ``history`` repeats the campaign beside ten earlier windows."""
    with world_of(host, customers) as world:
        peaks: dict[str, float] = {}
        seeding = _seed(world, peaks, say)
        say("vacuum and warm up")
        world.warm()
        seconds = _campaigns(world, peaks, say)
        found = {
            "customers": customers,
            "events": world.events,
            "messages": world.messages,
            "seconds": seeding | seconds,
            "peak_mb": peaks,
            "equal": asked(customers),
            "buckets": _buckets(world, say),
            "aggregates": _aggregates(world, say),
            "lifts": _lifts(world, say),
        }
        if history:
            found["history"] = _with_history(world, say)
        return found


def _seed(world: World, peaks: dict[str, float], say: Say) -> Series:
    """Seeding an empty database and a raw copy of the same bytes, in turns."""
    seconds: Series = {"seed": [], "raw copy": []}
    for _ in range(SEEDS):
        say("seed")
        world.forget_seed()
        _note(world.step("seed"), "seed", seconds, peaks)
        with _dumped(world) as folder:
            say("raw copy")
            seconds["raw copy"].append(world.raw_copy(folder))
    return seconds


@contextmanager
def _dumped(world: World) -> Iterator[Path]:
    """The window's events as files in the server's own folder, where it may read and write."""
    folder = Path(world.value("SELECT current_setting('data_directory')"))
    try:
        world.dump(folder)
        yield folder
    finally:
        for table in EVENTS:
            (folder / table).unlink(missing_ok=True)


def _campaigns(world: World, peaks: dict[str, float], say: Say) -> Series:
    """The floor, the campaign's steps and each peer, in turns. A peer with different rows ends the run."""
    seconds: Series = {}
    for _ in range(REPETITIONS):
        say("floor")
        _add(seconds, "floor", world.floor())
        _add(seconds, "floor of partitions", world.floor_of_partitions())
        world.forget_campaign()
        for step in STEPS:
            say(step)
            took = world.step(step)
            _note(took, step, seconds, peaks)
        world.clean_up_ledger()
        say("landing")
        _add(seconds, "landing", world.landing())
        for page in PAGES:
            say(page)
            _add(seconds, page, world.step(page)["seconds"])
        for peer in asked(world.customers):
            say(peer)
            _note(world.peer(peer), peer, seconds, peaks)
    return seconds


def _buckets(world: World, say: Say) -> Series:
    """The bucket step by the default rules, by many, and by a share, in turns."""
    world.forget_campaign()
    for step in ("extract", "aggregate"):
        world.step(step)
    world.warm()
    seconds: Series = {}
    for _ in range(REPETITIONS):
        for name in BUCKETS:
            say(name)
            _add(seconds, name, world.step(name)["seconds"])
            world.settle()
    return seconds


def _aggregates(world: World, say: Say) -> dict[str, Series]:
    """The aggregate beside that of an earlier version, in turns: alone, with the window before, with app events."""
    found: dict[str, Series] = {}
    world.prepare_earlier_aggregate()
    for what, added in (
        ("alone", nullcontext()),
        ("with the window before", world.window_before()),
        ("with as many app events as sessions", world.app_events()),
    ):
        with added:
            world.warm()
            seconds = found[what] = {}
            for _ in range(REPETITIONS):
                for name in ("earlier aggregate", "aggregate"):
                    say(f"{name}, {what}")
                    _add(seconds, name, world.step(name)["seconds"])
                    world.settle()
            world.compare_earlier_aggregate()
    world.forget_earlier_aggregate()
    return found


def _lifts(world: World, say: Say) -> Series:
    """Measuring a texted campaign by its next window, and the floor, in turns."""
    world.forget_campaign()
    for step in ("extract with a holdout", *STEPS[1:]):
        say(f"{step}, to measure")
        world.step(step)
    seconds: Series = {}
    with world.neighbours():
        world.warm()
        for _ in range(REPETITIONS):
            for name, took in (("floor", world.floor), ("measure", lambda: world.step("measure")["seconds"])):
                say(f"{name}, of lifts")
                _add(seconds, name, took())
    world.forget_campaign()
    return seconds


def _with_history(world: World, say: Say) -> dict[str, Series]:
    """The same campaign alone and beside ten more windows of history."""
    alone = _up_to_queue(world, say)
    window: Window = world.window
    for number in range(HISTORY_WINDOWS):
        say(f"history, window {number + 1} of {HISTORY_WINDOWS}")
        window = window.previous()
        world.step("seed", window, min(HISTORY_CUSTOMERS, world.customers))
    world.warm()
    return {"alone": alone, "beside history": _up_to_queue(world, say)}


def _up_to_queue(world: World, say: Say) -> Series:
    seconds: Series = {"floor": []}
    for _ in range(SEEDS):
        world.forget_campaign()
        _add(seconds, "floor", world.floor())
        for step in STEPS[:-1]:
            say(step)
            _add(seconds, step, world.step(step)["seconds"])
    return seconds


def _note(took: dict[str, Any], name: str, seconds: Series, peaks: dict[str, float]) -> None:
    _add(seconds, name, took["seconds"])
    peaks[name] = max(peaks.get(name, 0), took["peak_mb"])


def _add(seconds: Series, name: str, value: float) -> None:
    seconds.setdefault(name, []).append(value)
