"""The return score on real purchases: CDNOW's customers, who must not be in the repository.

The file ``cdnow.txt`` lies in ``ENGAGE_TEST_DATA``, by default ``../shared/data`` beside the project.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from engage.campaigns import return_training
from engage.return_score.evaluation import trial
from engage.storage import partitions
from engage.storage.schema import customer, purchase
from tests.integration.returning import compute, trained, windows_until

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ENGAGE_TEST_DATA", ROOT.parent / "shared" / "data")) / "cdnow.txt"
WINDOWS = 9
FIRST_DAY = date(1997, 1, 1)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"CDNOW's purchases are missing: {DATA}")


def purchases(first_day: datetime) -> list[dict[str, object]]:
    """CDNOW's purchases of nine windows, moved by whole days so that the first window starts on ``first_day``."""
    words = (line.split() for line in DATA.read_text().splitlines())
    found = []
    for number, day, _, dollars in (one for one in words if one and one[0].isdigit()):
        days = (date.fromisoformat(day) - FIRST_DAY).days
        at = first_day + timedelta(days=days, hours=12)
        if days < WINDOWS * 56:
            cents = round(float(dollars) * 100)
            found.append({"customer_id": int(number), "purchased_at": at, "amount_cents": cents})
    return found


def test_the_score_ranks_cdnows_customers_as_well_as_measured_before(world, window):
    windows = windows_until(window, WINDOWS)
    bought = purchases(datetime.combine(windows[0].start, datetime.min.time(), UTC))
    first: dict[object, object] = {}
    for one in bought:
        first[one["customer_id"]] = min(first.get(one["customer_id"], one["purchased_at"]), one["purchased_at"])
    partitions.ensure_windows(world.engine, windows)
    world.execute(sa.insert(customer), [{"customer_id": who, "registered_at": at} for who, at in first.items()])
    world.execute(sa.insert(purchase), bought)
    for each in windows:
        compute(world.engine, each)

    rows = list(return_training.past(world.engine).values())
    tests = [trial(rows, place) for place in range(3, 8)]
    of_score, of_spend = np.array([one[0] for one in tests if one]).T
    assert len(of_score) == 5
    assert of_score.mean() == pytest.approx(0.80, abs=0.01)
    assert of_spend.mean() == pytest.approx(0.672, abs=0.001)

    found = trained(world).model
    assert found.verdict.in_use, found.verdict
    compute(world.engine, windows[-1])
    given = world.value("SELECT count(return_score) FROM customer_activity")
    assert given == len(first)
