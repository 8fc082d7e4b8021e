"""Eight attacking connections against the HTTP service on this machine: ``python -m benchmarks.attack [SECONDS]``.

It prints how long valid batches take meanwhile, and how much the service's memory grows. Everything runs on 127.0.0.1,
on a database of its own that is deleted at the end.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil
from rich.console import Console

from engage.clock import now
from engage.local import embedded_postgres
from engage.local.home import Home
from engage.service import api_keys
from engage.statuses import ApiScope
from engage.storage import connection, migrations

console = Console()
ATTACKERS, SECONDS, PORT = 8, 60.0, 8999
MAX_P99 = 0.25
"""Seconds."""
MAX_GROWTH = 50_000_000
"""Bytes."""
EVENT = {"type": "session", "customer_id": 1, "occurred_at": "2024-03-01T12:00:00Z"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def main(seconds: float = SECONDS) -> int:
    """Attack a service for so long. Returns 1 if valid calls were slow or the memory grew."""
    with tempfile.TemporaryDirectory() as folder, embedded_postgres.postgres(Home(Path(folder))) as host:
        url = embedded_postgres.database_url(host, "postgres")
        engine = connection.connect(url)
        migrations.upgrade(engine, now())
        with engine.begin() as conn:
            key = api_keys.create(conn, "benchmark", list(ApiScope), 0, as_of=now())
        variables = {"ENGAGE_DATABASE_URL": engine.url.render_as_string(hide_password=False)}
        variables["ENGAGE_HASH_KEY"] = secrets.token_hex(32)
        command = [sys.executable, "-m", "engage", "serve", "--port", str(PORT)]
        service = subprocess.Popen(
            command, env=os.environ | variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return _measured(service.pid, key, seconds)
        finally:
            service.terminate()
            service.wait(30)
            engine.dispose()


def _measured(pid: int, key: str, seconds: float) -> int:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", headers=headers, timeout=30) as client:
        _wait_until_ready(client)
        _call(client, 0)
        before = psutil.Process(pid).memory_info().rss
        quiet = [_call(client, number) for number in range(1, 101)]
        attackers = [multiprocessing.Process(target=_attack, args=(number, seconds)) for number in range(ATTACKERS)]
        for attacker in attackers:
            attacker.start()
        end, took = time.monotonic() + seconds, list[float]()
        while time.monotonic() < end:
            took.append(_call(client, 1000 + len(took)))
            time.sleep(0.02)
        for attacker in attackers:
            attacker.join()
        grown = psutil.Process(pid).memory_info().rss - before
    console.print(f"valid calls alone: {len(quiet)}, p99 {_p99(quiet) * 1000:.0f} ms")
    console.print(
        f"beside {ATTACKERS} attackers: {len(took)}, p99 {_p99(took) * 1000:.0f} ms, largest {max(took) * 1000:.0f} ms"
    )
    console.print(f"memory grew by {grown / 1e6:.0f} MB")
    return int(_p99(took) > MAX_P99 or grown > MAX_GROWTH)


def _wait_until_ready(client: httpx.Client) -> None:
    for _ in range(600):
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit("The service did not start.")


def _call(client: httpx.Client, number: int) -> float:
    """Seconds that a valid batch takes."""
    began = time.perf_counter()
    answer = client.post("/v1/events", json={"events": [EVENT] * 10}, headers={"Idempotency-Key": f"valid-{number}"})
    answer.raise_for_status()
    return time.perf_counter() - began


def _p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)]


def _attack(number: int, seconds: float) -> None:
    """Send one kind of attack over one connection, as fast as it is answered."""
    packed = gzip.compress(b"a=1&" * 250_000)
    wide = json.dumps({"events": [EVENT | {f"n{n}": n for n in range(90)}] * 900}).encode()
    signed = FORM | {"X-Twilio-Signature": "A" * 27 + "="}
    guess = {"Authorization": f"Bearer engage_{'0' * 12}_{'x' * 43}"}
    status = "/v1/providers/twilio/status"
    kinds = [
        ("POST", status, FORM | {"Content-Encoding": "gzip"}, packed),
        ("POST", status, signed | {"Content-Encoding": "gzip"}, packed),
        ("POST", status, signed, b"a=1&" * 8_000),
        ("POST", "/v1/providers/twilio/inbound", signed, b"Body=" + b"x" * 32_000),
        ("POST", "/v1/events", guess, wide),
        ("GET", "/docs", guess, b""),
        ("GET", "/readyz", {}, b""),
        ("POST", "/v1/events", FORM, packed),
    ]
    method, path, headers, body = kinds[number % len(kinds)]
    end = time.monotonic() + seconds
    with httpx.Client(base_url=f"http://127.0.0.1:{PORT}", timeout=30) as client:
        while time.monotonic() < end:
            try:
                client.request(method, path, headers=headers, content=body)
            except httpx.TransportError:
                time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
