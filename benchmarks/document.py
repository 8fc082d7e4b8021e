"""Medians and ratios of a run: the table at its end, and docs/benchmarks.md."""

from __future__ import annotations

from statistics import median
from typing import Any

from benchmarks.many_rules import CONDITIONS, SEGMENTS
from benchmarks.measure import BUCKETS, STEPS
from benchmarks.peers import PEERS
from benchmarks.step import SHARE

PATH = STEPS[:-1]


def page(run: dict[str, Any]) -> str:
    """The whole document, in Markdown."""
    parts = [
        _intro(run),
        *(_size(size) for size in run["sizes"]),
        _ratios(run),
        _buckets(run["sizes"]),
        _aggregates(run["sizes"]),
        _lifts(run["sizes"]),
        _pace(run["pace"]),
        intake(run["intake"]),
    ]
    if run.get("imports"):
        parts.append(imports(run["imports"]))
    if run.get("engines"):
        parts.append(engines(run["engines"]))
    if run.get("pages"):
        parts.append(pages(run["pages"]))
    if run.get("airflow"):
        parts.append(_airflow(run["airflow"]))
    return "\n".join(parts)


def _intro(run: dict[str, Any]) -> str:
    machine = run["machine"]
    system = f"{machine['memory_gb']} GB, {machine['system']}"
    versions = f"PostgreSQL {machine['postgres']}, Python {machine['python']}"
    return f"""# Benchmarks

`make bench` wrote this page from one run, on {run["date"]}: {machine["cores"]} cores ({machine["processor"]}),
{system}, {versions}. No test asserts these numbers.

Times are medians in seconds, with the least and the most in brackets. The floor, the steps and the peers of one size
were measured in turns on one database, vacuumed and warm; so were seed and raw copy. Each step and peer runs in a
process of its own. The peak memory is that of this process, without Postgres.

- **floor**: `count(*)` and `sum(amount_cents)` over exactly the window's rows of both tables, in the usual form, with
  the window's bounds. **floor of partitions** reads the window's partitions without bounds; they hold exactly its rows.
- **landing** writes the rows of aggregate once more, with their key. Floor and landing together are the limit of
  aggregate: what it has to read, and what it has to write.
- **peers** do the work of aggregate and bucket, and write the same rows to Postgres, keys included. Every row is
  compared with Engage's; a difference fails the run. Peers read the tables `app_session` and `purchase`, not their
  partitions. The row-by-row script also sends, with one commit a message, like the script that Engage replaced.
- **report page** and **segments** are two pages in Airflow's user interface: the campaign, and its customers counted
  with another threshold. The time is from the request's arrival in Engage to its HTML, in a fresh process.
- **raw copy**: the seeded bytes from files, on one connection, into tables without partitions, keys or indexes, commit
  included. Seeding also draws its events and adds the customers, on two connections.
- **beside ten windows of history**: the same campaign with ten earlier windows of 100,000 customers each, measured
  after the campaign alone. The floor's ratio shows the change of the machine itself.
"""


def _size(size: dict[str, Any]) -> str:
    seconds, peaks = size["seconds"], size["peak_mb"]
    lines = [
        f"\n## {size['customers']:,} customers, {size['events']:,} events, {size['messages']:,} messages\n",
        "| what | seconds | × floor | a second | peak MB |",
        "|---|---|---|---|---|",
    ]
    floor = median(seconds["floor"])
    amounts = {"seed": size["events"], "raw copy": size["events"], "send": size["messages"]}
    for name, values in seconds.items():
        middle = median(values)
        rate = f"{amounts[name] / middle:,.0f}" if name in amounts else ""
        peak = f"{peaks[name]:.0f}" if name in peaks else ""
        spread = f"{middle:.2f} ({min(values):.2f}–{max(values):.2f})"
        lines.append(f"| {name} | {spread} | {middle / floor:.2f} | {rate} | {peak} |")
    return "\n".join(lines) + "\n"


def _ratios(run: dict[str, Any]) -> str:
    lines = ["\n## Ratios\n", "| at | what | value |", "|---|---|---|"]
    for size in run["sizes"]:
        lines += [f"| {size['customers']:,} | {what} | {value} |" for what, value in ratios(size).items()]
    if growth := _growth(run["sizes"]):
        lines.append(growth)
    return "\n".join(lines) + "\n"


def ratios(size: dict[str, Any]) -> dict[str, str]:
    """What one size's numbers say of each other. A ratio is taken within each turn, and their median shown."""
    seconds = size["seconds"]
    turns = [{name: values[turn] for name, values in seconds.items() if turn < len(values)} for turn in range(99)]
    turns = [turn for turn in turns if "floor" in turn]

    def ratio(above: tuple[str, ...], below: tuple[str, ...]) -> float:
        return float(median(sum(turn[n] for n in above) / sum(turn[n] for n in below) for turn in turns))

    both = ("aggregate", "bucket")
    found = {
        "aggregate / floor": f"{ratio(('aggregate',), ('floor',)):.2f}",
        "extract + aggregate + bucket + queue / floor": f"{ratio(PATH, ('floor',)):.2f}",
        "the same / floor of partitions": f"{ratio(PATH, ('floor of partitions',)):.2f}",
        "aggregate / (floor + landing)": f"{ratio(('aggregate',), ('floor', 'landing')):.2f}",
    }
    for peer in PEERS:
        if peer == "row by row" and peer in seconds:
            found["row-by-row script / whole path, send included"] = f"{ratio((peer,), STEPS):.1f}"
        elif peer in seconds:
            found[f"{peer} / (aggregate + bucket)"] = f"{ratio((peer,), both):.1f}"
    found["seed, events a second"] = f"{size['events'] / median(seconds['seed']):,.0f}"
    pairs = zip(seconds["raw copy"], seconds["seed"], strict=True)
    found["seed / raw copy, by rate"] = f"{median(raw / seed for raw, seed in pairs):.0%}"
    found["sandbox sending, messages a second"] = f"{size['messages'] / median(seconds['send']):,.0f}"
    found["largest peak of a step, MB"] = f"{max(size['peak_mb'][name] for name in ('seed', *STEPS)):.0f}"
    found["peers with equal rows"] = ", ".join(size["equal"])
    if history := size.get("history"):
        alone, beside = (median(_paths(series)) for series in history.values())
        found["extract to queue beside ten windows of history / alone"] = f"{beside / alone:.2f}"
        floors = [median(series["floor"]) for series in history.values()]
        found["the floor, in those two"] = f"{floors[1] / floors[0]:.2f}"
    return found


def _paths(seconds: dict[str, list[float]]) -> list[float]:
    return [sum(turn) for turn in zip(*(seconds[step] for step in PATH), strict=True)]


def _growth(sizes: list[dict[str, Any]]) -> str:
    by_customers = {size["customers"]: median(_paths(size["seconds"])) / size["events"] for size in sizes}
    if not {100_000, 1_000_000} <= by_customers.keys():
        return ""
    value = by_customers[1_000_000] / by_customers[100_000]
    return f"| 1,000,000 | extract to queue, time per event / that at 100,000 | {value:.2f} |"


def _buckets(sizes: list[dict[str, Any]]) -> str:
    lines = [
        "\n## What rules cost\n",
        f"The default rules have 2 segments of 1 condition. Many rules are {SEGMENTS} segments of {CONDITIONS} "
        f"conditions, over every field. A share is `{SHARE}` of the customers by spend, which the step finds out "
        "first.\n",
        "| customers | bucket by the default rules, s | by many rules, s | by a share, s | many / default "
        "| share / default |",
        "|---|---|---|---|---|---|",
    ]
    for size in sizes:
        few, *others = (size["buckets"][name] for name in BUCKETS)
        ratios = (median(a / b for a, b in zip(other, few, strict=True)) for other in others)
        numbers = [median(took) for took in (few, *others)] + [*ratios]
        lines.append(" | ".join([f"| {size['customers']:,}", *(f"{number:.2f}" for number in numbers)]) + " |")
    return "\n".join(lines) + "\n"


def _aggregates(sizes: list[dict[str, Any]]) -> str:
    lines = [
        "\n## What the aggregate's numbers cost\n",
        "The earlier aggregate has counts and spend alone. Both have the same customers, run in turns, and agree in "
        "every row.\n",
        "| customers | measured | earlier, s | now, s | now / earlier |",
        "|---|---|---|---|---|",
    ]
    for size in sizes:
        for what, seconds in size["aggregates"].items():
            earlier, now = seconds["earlier aggregate"], seconds["aggregate"]
            ratio = median(above / below for above, below in zip(now, earlier, strict=True))
            times = f"{median(earlier):.2f} | {median(now):.2f}"
            lines.append(f"| {size['customers']:,} | {what} | {times} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def _lifts(sizes: list[dict[str, Any]]) -> str:
    lines = [
        "\n## Measuring what texts did\n",
        "A campaign with a holdout of 10% is measured by its next window. The floor is the scan of one window's "
        "events.\n",
        "| customers | floor, s | measure, s | measure / floor |",
        "|---|---|---|---|",
    ]
    for size in sizes:
        floor, took = size["lifts"]["floor"], size["lifts"]["measure"]
        ratio = median(above / below for above, below in zip(took, floor, strict=True))
        lines.append(f"| {size['customers']:,} | {median(floor):.2f} | {median(took):.2f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


def _pace(pace: dict[str, Any]) -> str:
    each = pace["each_second"][1:]
    return f"""
## Sending at a rate

{pace["messages"]:,} messages through Twilio's SDK to a server on the same machine that answers after
{pace["answer_after"] * 1000:.0f} ms, asked for {pace["asked"]} a second, ten at a time:
**{pace["average"]:.1f} a second** on average, {min(each)} to {max(each)} in each second after the first, in which
connections are made.
"""


def intake(found: dict[str, Any]) -> str:
    """The service's intake, run by run, and the share that event ids leave."""
    lines = [
        "\n## Events over HTTP\n",
        "The service, its Postgres and the client that sends, in processes of their own on this machine. A batch is "
        "acknowledged\nonce it is committed. At a rate, times count from when a batch was due. Afterwards the "
        "rows are counted:\nexactly the acknowledged ones are there. The last columns are time on the processors, "
        "for an event.\n"
        f"A raw COPY of the same {found['rows']:,} rows takes in **{found['raw_copy']:,.0f} a second**.\n",
        "| | events a second | requests a second | half within, ms | 99% within, ms | refused "
        "| service, µs an event | Postgres, µs an event |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, run in found["runs"].items():
        rates = f"{run['events_a_second']:,.0f} | {run['requests_a_second']:,.0f}"
        times = f"{run['p50'] * 1000:.1f} | {run['p99'] * 1000:.1f}"
        spent = f"{run['service_time'] * 1e6:.1f} | {run['postgres_time'] * 1e6:.1f}"
        lines.append(f"| {name} | {rates} | {times} | {run['refused']} | {spent} |")
    without, named = (found["runs"][name]["events_a_second"] for name in found["compared"])
    lines.append(
        f"\nWith an id on each event the rate is **{named / without:.2f} ×** of that without, and "
        f"{named / found['promised']:.2f} × the\npromised {found['promised']:,} a second."
    )
    return "\n".join(lines) + "\n"


def imports(run: dict[str, Any]) -> str:
    """Imports of files beside a raw COPY of the rows that they added."""
    lines = [
        "\n## Files\n",
        f"`engage import`, on {run['date']}: CSV in UTF-8, read by two processes, and committed. Raw COPY takes the "
        "same rows\nfrom files in the binary format, on one connection, into tables without partitions, keys or "
        "indexes. The peak memory\nis that of the command; each reading process has its own.\n",
        "| file | rows | MB | seconds | rows a second | by raw COPY | peak MB | of a reading process |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, took in run["runs"].items():
        rates = f"{took['rows'] / took['seconds']:,.0f} | {took['rows'] / took['raw_copy']:,.0f}"
        peaks = f"{took['peak_mb']:.0f} | {took['worker_mb']:.0f}"
        size = f"{took['rows']:,} | {took['file_mb']:.0f}"
        lines.append(f"| {name} | {size} | {took['seconds']:.1f} | {rates} | {peaks} |")
    return "\n".join(lines) + "\n"


def engines(run: dict[str, Any]) -> str:
    """The aggregate by other engines, which read the archive, beside Postgres; and what the archive takes."""
    own = median(run["postgres"])
    wrote, events = run["archive"]["seconds"], run["events"]
    lines = [
        "\n## Engines\n",
        f"The whole step aggregate, on {run['date']}: {run['customers']:,} customers and {events:,} events, in the log "
        "of Postgres or in\nthe archive in Parquet, on the same disk, with every class of dirt that the tests know. "
        "The tables of aggregate and bucket\nare compared row by row with those of Postgres; a difference fails the "
        "run. *Start* is the time until the server listens,\n*cold* the first aggregate after that.\n",
        "| engine | start, s | cold, s | warm, s | warm / Postgres |",
        "|---|---|---|---|---|",
        f"| Postgres | | | {_spread(run['postgres'])} | 1.00 |",
    ]
    for name, what in (("sail", "Sail"), ("spark", "Spark, a master and two workers")):
        if took := run.get(name):
            ratio = median(took["warm"]) / own
            lines.append(
                f"| {what} | {took['start']:.1f} | {took['cold']:.1f} | {_spread(took['warm'])} | {ratio:.2f} |"
            )
    lines.append(
        f"\nThe archive takes **{run['archive']['bytes_a_row']:.2f} bytes a row**, and was written in {wrote:.1f} s by "
        f"two processes: {events / wrote:,.0f} events a second."
    )
    return "\n".join(lines) + "\n"


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def pages(run: dict[str, Any]) -> str:
    """The pages' server times, each with its limit."""
    lines = [
        "\n## Pages\n",
        f"The time in which a warm server makes a page, in milliseconds, with {run['campaigns']} campaigns of "
        f"{run['customers']:,} customers, on {run['date']}.\nThe newest campaign is being sent. A limit is what "
        "Engage's pages are built to keep on a machine like this; the lines without\none are parts of pages and a "
        "command.\n",
        "| page | ms | limit | × limit |",
        "|---|---|---|---|",
    ]
    for name, took in run["milliseconds"].items():
        limit = run["limits"].get(name)
        kept = f"{limit:,} | {median(took) / limit:.2f}" if limit else " | "
        lines.append(f"| {name} | {median(took):,.0f} ({min(took):,.0f}–{max(took):,.0f}) | {kept} |")
    return "\n".join(lines) + "\n"


def _airflow(runs: list[dict[str, Any]]) -> str:
    wall, steps = (median(run[name] for run in runs) for name in ("wall", "steps"))
    each = ", ".join(f"{run['wall']:.2f}" for run in runs)
    return f"""
## Airflow's share

Warm runs of the DAG with 10,000 customers on the local stack, from trigger to success: {wall:.2f} s (each: {each}), of
which {steps:.2f} s inside Engage's steps and **{wall - steps:.2f} s Airflow's**, {(wall - steps) / wall:.0%}.
"""
