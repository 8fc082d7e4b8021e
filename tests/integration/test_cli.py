"""The commands as a person types them, against a database named by ENGAGE_DATABASE_URL."""

import json
import os
import subprocess
import sys

import pytest
import sqlalchemy as sa

from engage import database


@pytest.fixture
def engage(empty_url):
    """Run ``python -m engage …`` against an empty database."""

    def run(*arguments):
        environment = os.environ | {
            "ENGAGE_DATABASE_URL": empty_url,
            "ENGAGE_HASH_KEY": "only for tests, of no use to anybody",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COLUMNS": "200",
        }
        return subprocess.run(
            [sys.executable, "-m", "engage", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_a_campaign_from_an_empty_database_to_its_report(engage, empty_url):
    assert engage("db", "upgrade").returncode == 0
    nothing = engage("run")
    assert nothing.returncode == 0
    assert "no customers yet" in nothing.stdout
    seeded = engage("seed", "--customers", "200", "--rng-seed", "1")
    assert seeded.returncode == 0, seeded.stderr
    assert "200 customers" in seeded.stdout
    first = engage("run", "--set", "low_spend_threshold=120", "--send-late")
    assert first.returncode == 0, first.stderr
    assert "BOOST" in first.stdout
    report = json.loads(engage("report", "--json").stdout)
    assert report["settings"]["low_spend_threshold"] == 120
    assert report["customers"] == 200
    again = engage("run", "--send-late")
    assert again.returncode == 0
    assert json.loads(engage("report", "--json").stdout) == report
    engine = database.connect(empty_url)
    with engine.connect() as conn:
        counts = conn.execute(sa.text("SELECT count(*), count(DISTINCT customer_id) FROM message")).one()
    engine.dispose()
    assert counts[0] == counts[1] == report["messages"]["total"]


def test_a_window_that_is_not_complete_is_refused(engage):
    engage("db", "upgrade")
    refused = engage("run", "--window-start", "2099-11-16")
    assert refused.returncode == 1
    assert "is not" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_without_the_schema_is_named_as_such(engage):
    refused = engage("report")
    assert refused.returncode == 1
    assert "db upgrade" in refused.stderr
    assert "Traceback" not in refused.stderr
