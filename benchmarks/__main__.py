"""``python -m benchmarks --customers 10000,100000,1000000 --json FILE``."""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
from pathlib import Path
from typing import Annotated, Any

import psutil
import sqlalchemy as sa
import typer
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import airflow_run, document, imports, intake, pace, pages, spark
from benchmarks.measure import measure
from benchmarks.step import now
from benchmarks.world import HOME
from engage import process_signals
from engage.local import embedded_postgres
from engage.local.home import CHECKOUT, Home

PAGE = CHECKOUT / "docs" / "benchmarks.md"
PAGE_NEEDS = 1_000_000
"""Only a run with this many customers rewrites the page in docs/."""
AIRFLOW_RUNS = 5

console = Console()


def main(
    customers: Annotated[
        str, typer.Option(help="Numbers of customers to measure, separated by commas.")
    ] = "10000,100000,1000000",
    json_: Annotated[Path, typer.Option("--json", help="File for every single measurement.")] = HOME / "results.json",
    airflow: Annotated[bool, typer.Option(help="Also measure Airflow's share of a run.")] = True,
) -> None:
    """Measure, compare, print, and write a page from the numbers in the JSON file.

    With 1,000,000 customers the page is docs/benchmarks.md.
    """
    sizes = sorted(int(size) for size in customers.split(","))
    run: dict[str, Any] = {"date": f"{now():%Y-%m-%d}", "sizes": []}
    with embedded_postgres.postgres(Home(HOME)) as host:
        run["machine"] = _machine(host)
        for size in sizes:
            with console.status(f"{size:,} customers") as status:
                say = lambda text, size=size: status.update(f"{size:,} customers: {text}")  # noqa: E731
                run["sizes"].append(measure(host, size, history=size == sizes[-1], say=say))
            console.print(f"{size:,} customers measured.")
        with console.status("sending at a rate"):
            run["pace"] = pace.measure(host)
        with console.status("events over HTTP"):
            run["intake"] = intake.measure(host)
        with console.status("files"):
            run["imports"] = imports.measure(host)
        if servers := spark.installed():
            with console.status("engines"):
                run["engines"] = spark.measure(host, sizes[-1], servers)
        with console.status("pages") as status:
            run["pages"] = pages.measure(host, sizes[-1], pages.CAMPAIGNS, status.update)
    if airflow:
        with console.status("Airflow: warm runs of the DAG"):
            run["airflow"] = airflow_run.measure(Home(HOME / "stack", _free_port(), _free_port()), AIRFLOW_RUNS)
    json_.parent.mkdir(parents=True, exist_ok=True)
    json_.write_text(json.dumps(run, indent=2))
    written = document.page(json.loads(json_.read_text()))
    page = PAGE if PAGE_NEEDS in sizes else HOME / PAGE.name
    page.write_text(written)
    console.print(Markdown(written))
    console.print(f"Every number: {json_}   The page: {page}")
    shutil.rmtree(HOME / "postgres", ignore_errors=True)
    shutil.rmtree(HOME / "stack", ignore_errors=True)


def _machine(host: str) -> dict[str, Any]:
    admin = sa.create_engine(embedded_postgres.database_url(host, "postgres"))
    with admin.connect() as conn:
        version = conn.exec_driver_sql("SHOW server_version").scalar_one()
    admin.dispose()
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": version,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    process_signals.interrupt_on_signals()
    typer.run(main)
