"""What a return score says of one customer, and that a model is the same after it was kept."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engage.pages.return_score_panel import calibration
from engage.return_score.explanation import reasons
from engage.return_score.features import FEATURES
from engage.return_score.model import Coefficient, Model
from engage.return_score.verdict import Bin
from engage.window import Window
from tests.simulated_model import simulated_model

WINDOW = Window.last_complete(datetime(2026, 11, 10, tzinfo=UTC))
DAY = timedelta(days=1)
REGULAR = {
    "registered_at": WINDOW.end - 400 * DAY,
    "sessions": 3,
    "total_spend_cents": 20_00,
    "purchases_to_date": 3,
    "spend_3_windows_cents": 87_00,
    "sessions_3_windows": 12,
    "windows_active": 4,
    "last_session_at": WINDOW.end - 2 * DAY,
    "first_purchase_at": WINDOW.end - 300 * DAY,
    "last_purchase_at": WINDOW.end - 140 * DAY,
}
NEW = REGULAR | {
    "sessions": 0,
    "total_spend_cents": 0,
    "purchases_to_date": 0,
    "spend_3_windows_cents": 0,
    "sessions_3_windows": 0,
    "windows_active": 0,
    "last_session_at": None,
    "first_purchase_at": None,
    "last_purchase_at": None,
}


@pytest.fixture(scope="module")
def model() -> Model:
    return simulated_model(WINDOW.previous())


def with_only(model: Model, **values: float) -> Model:
    """The model with these coefficients alone, and means of 0."""
    return replace(model, coefficients=tuple(Coefficient(name, value, 0.1, 0.0) for name, value in values.items()))


def said(model: Model, row: dict[str, object]) -> list[str]:
    return [one.sentence for one in reasons(model, row, WINDOW.end, amount=lambda cents: f"${cents / 100:.2f}")]


def test_the_three_reasons_that_count_most_are_said_in_order(model):
    found = with_only(
        model, purchases_to_date=1, sessions=-0.2, days_since_last_purchase=-1, days_since_registered=0.001
    )
    assert said(found, REGULAR) == [
        "Last purchase 140 days before the window's end: lowers it.",
        "Bought 3 times so far: raises it.",
        "Opened the app 12 times in the last 24 weeks, 3 times in the last 8: lowers it.",
    ]


def test_a_reason_is_relative_to_the_average_customer(model):
    average = Coefficient("windows_active", 1.0, 0.1, FEATURES["windows_active"].value(REGULAR, WINDOW.end))
    assert said(replace(model, coefficients=(average,)), REGULAR) == []
    assert said(replace(model, coefficients=(average,)), REGULAR | {"windows_active": 1}) == [
        "Active in 1 window so far: lowers it."
    ]


def test_numbers_about_one_thing_are_one_reason(model):
    found = reasons(with_only(model, spend=0.5, spend_3_windows=-0.25), REGULAR, WINDOW.end, amount="{} cents".format)
    assert [one.words for one in found] == ["Spent 8700 cents in the last 24 weeks, 2000 cents of it in the last 8"]
    row = {name: FEATURES[name].value(REGULAR, WINDOW.end) for name in ("spend", "spend_3_windows")}
    assert found[0].change == pytest.approx(0.5 * row["spend"] - 0.25 * row["spend_3_windows"])


def test_what_never_happened_is_one_reason(model):
    means = tuple(Coefficient(name, 0.5, 0.1, 1.0) for name in FEATURES)
    assert said(replace(model, coefficients=means), NEW) == [
        "No purchase is known: lowers it.",
        "Registered 400 days before the window's end: raises it.",
        "No session is known: lowers it.",
    ]


@pytest.mark.parametrize(
    ("feature", "row", "words"),
    [
        ("purchases_to_date", {"purchases_to_date": 1}, "Bought once so far: raises it."),
        ("sessions", {"sessions": 0}, "Opened the app 12 times in the last 24 weeks, never in the last 8: raises it."),
        ("sessions", {"sessions_3_windows": 0}, "Did not open the app in the last 24 weeks: raises it."),
        ("spend", {"spend_3_windows_cents": 0}, "Spent nothing in the last 24 weeks: raises it."),
        ("windows_active", {"windows_active": 0}, "Active in no window so far: raises it."),
        ("days_since_registered", {"registered_at": None}, "Registered at an unknown time: raises it."),
        ("days_since_first_purchase", {}, "First purchase 300 days before the window's end: raises it."),
        ("days_since_last_session", {}, "Last session 2 days before the window's end: raises it."),
    ],
)
def test_each_reason_has_words_of_its_own(model, feature, row, words):
    found = replace(model, coefficients=(Coefficient(feature, 1.0, 0.1, -5.0),))
    assert said(found, REGULAR | row) == [words]


def test_a_model_is_the_same_after_it_was_kept_as_json(model):
    columns = model.to_columns()
    kept = json.loads(json.dumps({name: columns[name] for name in ("coefficients", "calibration")}))
    assert Model.from_columns(columns | kept) == model


def test_a_score_is_a_chance_however_large_the_numbers_are(model):
    sure = replace(model, constant=1e9)
    never = replace(model, constant=-1e9)
    assert sure.score_of(REGULAR, WINDOW.end) == 1
    assert 0 < never.score_of(REGULAR, WINDOW.end) < 1e-200


def test_the_chart_shows_what_was_expected_and_what_came():
    chart = calibration([Bin(50, 0.1, 0.12), Bin(49, 0.4, 0.0)])
    assert chart.rows == [["Tenth 1", "50", "10.0%", "12.0%"], ["Tenth 2", "49", "40.0%", "0.0%"]]
    assert [level["y"] for level in chart.spec["levels"]] == [10, 40]
    assert "Tenth 1: expected 10.0%: Bought 12.0%" in chart.svg
