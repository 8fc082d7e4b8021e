"""A load generator: sends batches of events over a few connections, at full speed or at a given rate.

It is a process of its own, ``python -m benchmarks.load --help``, and prints one line of JSON. At a rate, a latency
counts from the moment when the batch was due, so a slow answer also counts for the batches that wait behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter

import uvloop

BODIES = 64
ID = uuid.UUID(int=0).hex
"""Stands in a body for what makes its event ids new in each batch."""


@dataclass
class Tally:
    """The service's answers."""

    events: int = 0
    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    took: float = 0.0
    """Seconds from the first batch to the last answer. The batches are made before."""


def bodies(size: int, customers: int, start: datetime, *, ids: bool = False) -> list[bytes]:
    """Batches of sessions and purchases, five to one as in the synthetic data."""
    draw = random.Random(20250106)  # noqa: S311 - made-up events
    found = []
    for _ in range(BODIES):
        events = [_event(draw, customers, start) for _ in range(size)]
        named = [event | {"event_id": f"{ID}-{n}"} for n, event in enumerate(events)] if ids else events
        found.append(json.dumps({"events": named}).encode())
    return found


def _event(draw: random.Random, customers: int, start: datetime) -> dict[str, object]:
    at = start + timedelta(seconds=draw.randrange(56 * 86_400))
    event: dict[str, object] = {"customer_id": draw.randint(1, customers), "occurred_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    if draw.randrange(6):
        return {"type": "session", **event}
    return {"type": "purchase", **event, "amount": f"{draw.lognormvariate(3, 1):.2f}", "currency": "USD"}


async def run(arguments: argparse.Namespace) -> Tally:
    """Send for the given time, and return once every batch is answered."""
    tally = Tally()
    start = datetime.fromisoformat(arguments.start).replace(tzinfo=UTC)
    payloads = bodies(arguments.batch, arguments.customers, start, ids=arguments.ids)
    begun = perf_counter()
    every = arguments.batch * arguments.connections / arguments.rate if arguments.rate else 0.0
    workers = [
        _work(arguments, payloads, begun + every * n / arguments.connections, every, tally)
        for n in range(arguments.connections)
    ]
    await asyncio.gather(*workers)
    tally.took = perf_counter() - begun
    return tally


async def _work(arguments: argparse.Namespace, payloads: list[bytes], due: float, every: float, tally: Tally) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", arguments.port)
    key, end, draw = arguments.key, due + arguments.seconds, random.Random(due)  # noqa: S311
    while (now := perf_counter()) < end and due < end:
        if every and due > now:
            await asyncio.sleep(due - now)
        sent = due if every else perf_counter()
        body = draw.choice(payloads)
        if arguments.ids:
            body = body.replace(ID.encode(), uuid.uuid4().hex.encode())
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
            f"Idempotency-Key: {uuid.uuid4()}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(answer.lower().partition(b"content-length:")[2].split(b"\r\n")[0]))
        if answer.startswith(b"HTTP/1.1 200"):
            tally.events += arguments.batch
            tally.seconds.append(perf_counter() - sent)
        else:
            tally.refused += 1
        due += every
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--batch", type=int, default=500, help="events in a batch")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=0, help="events a second; 0 means full speed")
    parser.add_argument("--ids", action="store_true", help="each event has an id of its own")
    parser.add_argument("--customers", type=int, default=1_000_000)
    parser.add_argument("--start", default="2026-09-14", help="first day of the events' window")
    arguments = parser.parse_args()
    sys.stdout.write(json.dumps(summary(uvloop.run(run(arguments)))) + "\n")


def summary(tally: Tally) -> dict[str, float]:
    """Rates, and the latencies p50 and p99 in seconds."""
    seconds = sorted(tally.seconds)
    below = {f"p{p}": seconds[len(seconds) * p // 100] for p in (50, 99)} if seconds else {}
    counts = {"events": tally.events, "requests": len(seconds), "refused": tally.refused}
    rates = {"events_a_second": tally.events / tally.took, "requests_a_second": len(seconds) / tally.took}
    return counts | rates | below


if __name__ == "__main__":
    main()
