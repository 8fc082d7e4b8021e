"""The API keeps to its OpenAPI description with the requests that Schemathesis generates."""

import subprocess
import sys

import pytest

from tests.waiting import logged

COMMAND = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"]
EXAMPLES = 100
NOT_DESCRIBABLE = "positive_data_acceptance"
"""A schema cannot say that a time must not be in the future, or that a phone number must be valid."""


@pytest.mark.deep
def test_the_service_keeps_to_its_description(fork, world, tmp_path):
    world.purchase(world.customer(customer_id=4711, name="Ada Diaz", time_zone="America/New_York"), 100)
    world.computed()
    world.message()
    service = fork().ready()
    options = ["--generation-deterministic", "--max-examples", str(EXAMPLES), "--exclude-checks", NOT_DESCRIBABLE,
               "--header", f"Authorization: Bearer {service.key}", "--warnings", "off", "--no-color"]  # fmt: skip
    address = f"http://127.0.0.1:{service.port}/openapi.json"
    done = subprocess.run([*COMMAND, address, *options], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 11 selected / 11 total" in done.stdout
    last = service.get("/v1/customers/4711")
    assert "Traceback" not in logged(service.log, last.headers["x-request-id"])
