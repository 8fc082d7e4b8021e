"""``engage up`` and ``engage clean``: start the local stack, and delete its data."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from engage.cli.common import Port, ServicePort, console, plain, say
from engage.errors import InputError
from engage.local import stack as local_stack
from engage.local.airflow_api import AirflowApi
from engage.local.home import Home


def up(port: Port = 8080, service_port: ServicePort = 8000) -> None:
    """Start Postgres, Airflow and the HTTP service on this machine and serve until Ctrl-C."""
    with running(port, service_port) as airflow:
        print_addresses(airflow)
        serve_until_interrupt(airflow)


def clean(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without a question.")] = False,
) -> None:
    """Delete the local stack's data, after a question: the embedded Postgres with every customer and campaign in it."""
    home = Home.default()
    if not home.used:
        console.print(plain(f"There is nothing to delete in {home.path}."), soft_wrap=True)
        return
    if not (yes or _agrees(home)):
        console.print("Nothing was deleted.")
        raise typer.Exit(1)
    local_stack.remove(home)
    console.print(plain(f"Deleted the data in {home.path}."), soft_wrap=True)


def _agrees(home: Home) -> bool:
    holds = "every customer and campaign in the embedded Postgres, Airflow's runs, logs and secrets"
    data = f"the data in {home.path}: {holds}"
    if not sys.stdin.isatty():
        raise InputError(
            f"This would delete {data}. Without a terminal it cannot ask; say `engage clean --yes` to delete it."
        )
    return typer.confirm(f"Delete {data}?")


@contextmanager
def running(port: int, service_port: int, variables: Mapping[str, str] | None = None) -> Iterator[AirflowApi]:
    """The local stack, healthy and with its default Variables. ``variables``: further ones of its environment.

    Raises:
        InputError: ENGAGE_DATABASE_URL is set.
        LocalError: something cannot start.
    """
    if os.environ.get("ENGAGE_DATABASE_URL"):
        raise InputError("The local stack has its own Postgres. Unset ENGAGE_DATABASE_URL to start it.")
    started = time.monotonic()
    with local_stack.stack(Home.default(port, service_port), variables=variables, say=say) as stack:
        airflow = AirflowApi(stack)
        airflow.wait_until_healthy()
        airflow.add_default_variables()
        say(f"Ready after {time.monotonic() - started:.0f} s.")
        yield airflow


def serve_until_interrupt(airflow: AirflowApi) -> None:
    """Keep the stack's processes alive until Ctrl-C."""
    console.print("Serving until Ctrl-C.")
    try:
        while True:
            for name in airflow.stack.keep_alive():
                console.print(f"The {name} had died; it was started again.")
            time.sleep(1)
    except KeyboardInterrupt:
        pass


def print_addresses(airflow: AirflowApi) -> None:
    """Print where Airflow and the HTTP service are, with Airflow's login."""
    home = airflow.stack.home
    console.print(
        f"Airflow: {home.url}   user [bold]{local_stack.ADMIN}[/]   password [bold]{home.secret('password')}[/]"
    )
    console.print(f"HTTP service: {home.service_url}   keys: engage keys create")
