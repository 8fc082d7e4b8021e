"""Tries an installation: ``smoke.py SERVICE_URL AIRFLOW_URL [--conf JSON] [--unpause]``.

It waits until the service is ready and Airflow knows the DAG. Then it triggers a dry run, which computes and records,
and queues no message, and waits until that has succeeded. ENGAGE_SMOKE_USER and ENGAGE_SMOKE_PASSWORD hold a login of
Airflow with the role User. Runs on any Python 3 without packages.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

DAG = "customer_engagement"
READY_WITHIN = 600.0
"""Seconds that the service and Airflow may take to answer."""
RUN_WITHIN = 3600.0
"""Seconds that the dry run may take."""
PAUSE = 2.0
"""Seconds between two looks."""
REFUSALS = frozenset({400, 401, 403, 409, 422})
"""Answers that stay as they are, however often the request is sent."""


def call(method: str, url: str, body: Any = None, token: str | None = None) -> Any:
    """The JSON that an address answers."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, headers, method=method)  # noqa: S310
    with urlopen(request, timeout=30) as answer:  # noqa: S310  # nosec B310
        return json.load(answer)


def eventually(what: str, attempt: Callable[[], Any], within: float) -> Any:
    """The first answer of ``attempt`` that is true. Ends the program if none comes in time.

    Raises:
        HTTPError: the server refuses the request, and would refuse it again.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            if found := attempt():
                return found
            reason = "not yet"
        except HTTPError as exc:
            if exc.code in REFUSALS:
                raise
            reason = f"HTTP {exc.code}"
        except OSError as exc:
            reason = str(exc)
        except ValueError:  # a proxy's own page
            reason = "the answer is no JSON"
        if time.monotonic() >= deadline:
            sys.exit(f"{what}: {reason}, for {within:.0f} seconds. Look at the pods' logs.")
        time.sleep(PAUSE)


def login(airflow: str) -> str:
    """A token of Airflow's API for the user in the environment."""
    user, password = os.environ.get("ENGAGE_SMOKE_USER"), os.environ.get("ENGAGE_SMOKE_PASSWORD")
    if not user or not password:
        sys.exit("ENGAGE_SMOKE_USER or ENGAGE_SMOKE_PASSWORD is empty. They take a login of Airflow, of the role User.")
    body = {"username": user, "password": password}
    found = eventually("Airflow's login", lambda: call("POST", f"{airflow}/auth/token", body), READY_WITHIN)
    return str(found["access_token"])


def dry_run(airflow: str, conf: dict[str, Any], *, unpause: bool) -> str:
    """Trigger a dry run and wait for its end. Returns its id."""
    token = login(airflow)
    dag = f"{airflow}/api/v2/dags/{DAG}"
    found = eventually(f"The DAG {DAG}", lambda: call("GET", dag, token=token), READY_WITHIN)
    if unpause:
        call("PATCH", dag, {"is_paused": False}, token)
    elif found["is_paused"]:
        sys.exit(f"The DAG {DAG} is paused, so no run would start. Unpause it in Airflow, then try again.")
    body = {"logical_date": None, "conf": {**conf, "dry_run": True}}
    run = str(call("POST", f"{dag}/dagRuns", body, token)["dag_run_id"])
    url = f"{dag}/dagRuns/{run}"
    state = eventually(f"The dry run {run}", lambda: ended(call("GET", url, token=token)), RUN_WITHIN)
    if state != "success":
        sys.exit(f"The dry run {run} has ended as {state}. Its tasks' logs in Airflow say why.")
    return run


def ended(run: dict[str, Any]) -> str | None:
    """How a run has ended; None while it goes on."""
    return str(run["state"]) if run["state"] in {"success", "failed"} else None


def address(text: str) -> str:
    """An address of the command line, without a slash at its end."""
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as https://engage.example.com")
    return text.rstrip("/")


def main(arguments: list[str]) -> None:
    """Try the installation that the command line names."""
    parser = argparse.ArgumentParser(prog="smoke.py", description="Tries an installation with a dry run.")
    parser.add_argument("service", type=address)
    parser.add_argument("airflow", type=address)
    parser.add_argument("--conf", type=json.loads, default={}, help="options of the dry run, as JSON")
    parser.add_argument("--unpause", action="store_true", help="unpause the DAG first; that also starts a due run")
    options = parser.parse_args(arguments)
    try:
        eventually("The service", lambda: call("GET", f"{options.service}/readyz"), READY_WITHIN)
        sys.stdout.write("The service is ready.\n")
        run = dry_run(options.airflow, options.conf, unpause=options.unpause)
    except HTTPError as exc:
        sys.exit(f"{exc.url} is refused with HTTP {exc.code}: {exc.read().decode(errors='replace')[:300]}")
    sys.stdout.write(f"The dry run {run} has succeeded.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
