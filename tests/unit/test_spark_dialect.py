"""SQLAlchemy's expressions as Spark SQL: the exact text of what is asked, and everything else refused by its name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from engage.campaigns import event_sums, refunds, valid_events
from engage.errors import SparkError
from engage.spark.dialect import compiled
from engage.statuses import AppEventKind
from engage.storage.schema import app_session, purchase
from engage.window import Window

WINDOW = Window(datetime(2026, 9, 14, tzinfo=UTC))
T = sa.table("t", sa.column("a", sa.BigInteger), sa.column("at", sa.DateTime(timezone=True)), sa.column("b", sa.Text))


def sql(statement: sa.Select) -> str:
    return " ".join(compiled(statement)[0].split())


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (
            valid_events.sessions_by_customer,
            "SELECT app_session_20260914.customer_id, count(*) AS sessions, max(app_session_20260914.started_at) AS "
            "last_session_at FROM app_session_20260914 GROUP BY app_session_20260914.customer_id",
        ),
        (
            valid_events.purchases_by_customer,
            "SELECT purchase_20260914.customer_id, count(*) AS purchases, CAST(sum(purchase_20260914.amount_cents) AS "
            "BIGINT) AS total_spend_cents, min(purchase_20260914.purchased_at) AS first_purchase_at, "
            "max(purchase_20260914.purchased_at) AS last_purchase_at FROM purchase_20260914 WHERE "
            "purchase_20260914.amount_cents BETWEEN :amount_cents_1 AND :amount_cents_2 GROUP BY "
            "purchase_20260914.customer_id",
        ),
        (
            valid_events.app_events_by_customer,
            "SELECT app_event_20260914.customer_id, count(*) FILTER (WHERE app_event_20260914.kind = :kind_1) AS "
            "viewed, count(*) FILTER (WHERE app_event_20260914.kind = :kind_2) AS liked, count(*) FILTER (WHERE "
            "app_event_20260914.kind = :kind_3) AS added_to_basket FROM app_event_20260914 GROUP BY "
            "app_event_20260914.customer_id",
        ),
        (
            valid_events.favourite_items,
            "SELECT placed.customer_id, placed.item_id AS favourite_item FROM (SELECT by_item.customer_id AS "
            "customer_id, by_item.item_id AS item_id, row_number() OVER (PARTITION BY by_item.customer_id ORDER BY "
            "by_item.events DESC, by_item.liked DESC, by_item.item_id) AS place FROM (SELECT "
            "app_event_20260914.customer_id AS customer_id, app_event_20260914.item_id AS item_id, count(*) AS events, "
            "count(*) FILTER (WHERE app_event_20260914.kind = :kind_1) AS liked FROM app_event_20260914 WHERE "
            "app_event_20260914.kind IN (:kind_2_1, :kind_2_2) AND app_event_20260914.item_id != :item_id_1 GROUP BY "
            "app_event_20260914.customer_id, app_event_20260914.item_id) AS by_item) AS placed WHERE placed.place = "
            ":place_1",
        ),
        (
            refunds.by_customer,
            "SELECT refund.customer_id, count(*) AS refunds, CAST(sum(refund.amount_cents) AS BIGINT) AS "
            "refunded_cents FROM refund WHERE refund.refunded_at >= :refunded_at_1 AND refund.refunded_at < "
            ":refunded_at_2 AND refund.amount_cents BETWEEN :amount_cents_1 AND :amount_cents_2 GROUP BY "
            "refund.customer_id",
        ),
    ],
)  # fmt: skip
def test_a_definition_of_postgres_has_this_text_in_spark(definition, expected):
    assert sql(definition(WINDOW).element) == expected


def test_the_days_of_a_log_have_this_text():
    assert sql(event_sums.by_day(app_session, WINDOW)) == (
        "SELECT CAST(app_session_20260914.started_at AS DATE) AS day, count(*) AS events, count(*) FILTER (WHERE "
        "app_session_20260914.customer_id IS NULL) AS missing, count(*) FILTER (WHERE app_session_20260914.customer_id "
        "IS NOT NULL) AS valid, max(app_session_20260914.started_at) FILTER (WHERE app_session_20260914.customer_id IS "
        "NOT NULL) AS newest FROM app_session_20260914 GROUP BY CAST(app_session_20260914.started_at AS DATE)"
    )


def test_the_sums_of_all_logs_are_one_row_an_id_with_nulls_where_a_log_has_none():
    text = sql(event_sums.by_customer(WINDOW, frozenset({"app_session", "purchase"})))
    assert text.startswith(
        "SELECT sums.customer_id, max(sums.sessions) AS sessions, max(sums.purchases) AS purchases, "
    )
    assert text.count(" UNION ALL ") == 1
    assert text.count("CAST(NULL AS TIMESTAMP)") == 3
    assert text.endswith(" AS sums GROUP BY sums.customer_id")


def test_values_are_named_parameters_and_plain():
    _, values = compiled(event_sums.by_customer(WINDOW, frozenset({"app_session", "purchase", "app_event", "refund"})))
    assert values["amount_cents_2"] == valid_events.MAX_AMOUNT_CENTS
    assert [values[f"kind_{n}"] for n in (1, 2, 3)] == ["viewed", "liked", "added_to_basket"]
    assert {type(value) for value in values.values()} == {int, str, datetime}


def test_a_value_never_stands_in_the_text():
    text, values = compiled(sa.select(T.c.a).where(T.c.b == "x' OR 1=1 --"))
    assert "OR" not in text
    assert values == {"b_1": "x' OR 1=1 --"}


def test_a_name_that_is_a_word_of_sql_is_quoted_as_spark_does_it():
    assert "`order`" in sql(sa.select(sa.table("order", sa.column("a")).c.a))


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        (sa.cast(T.c.a, sa.Numeric), "type numeric"),
        (sa.cast(T.c.a, sa.Numeric(12, 2)), "type numeric"),
        (sa.cast(T.c.a, sa.DECIMAL), "type DECIMAL"),
        (sa.cast(T.c.a, sa.Float), "type float"),
        (sa.cast(T.c.a, sa.Double), "type double"),
        (sa.cast(T.c.a, sa.Integer), "type integer"),
        (sa.cast(T.c.a, sa.Interval), "type type_decorator"),
        (sa.cast(T.c.a, ARRAY(sa.BigInteger)), "type ARRAY"),
        (T.c.a / 8, "operator truediv"),
        (T.c.a // 8, "operator floordiv"),
        (T.c.a % 8, "operator mod"),
        (T.c.a + 1, "operator add"),
        (-T.c.a, "operator neg"),
        (T.c.b.like("x%"), "operator like_op"),
        (T.c.b.regexp_match("x"), "operator regexp_match_op"),
        (T.c.b.op("~")("x"), "operator custom_op"),
        (T.c.a.in_([1]).is_distinct_from(True), "operator is_distinct_from"),
        (sa.collate(T.c.b, "de_DE"), "operator collate"),
        (sa.func.coalesce(T.c.a, 0), "function coalesce"),
        (sa.func.avg(T.c.a), "function avg"),
        (sa.func.now(), "function now"),
        (sa.func.date_bin(T.c.at), "function date_bin"),
        (sa.func.greatest(T.c.a, 0), "function greatest"),
        (sa.case((T.c.a > 0, 1)), "construct case"),
        (sa.literal_column("now()"), "construct literal_column"),
        (sa.extract("year", T.c.at), "construct extract"),
        (sa.exists().where(T.c.a == 1), "operator exists"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_its_name(expression, named):
    with pytest.raises(SparkError, match=f"Spark is asked for the {named}"):
        compiled(sa.select(expression.label("x")))


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(sa.text("now()")),
        sa.select(T.c.a).limit(1), sa.select(T.c.a).distinct(), sa.select(T.c.a).with_for_update(),
        sa.select(T.c.a).cte("c").select(), sa.select(T.alias("x").tablesample(5)), sa.insert(T).values(a=1),
        sa.delete(T), sa.select(T.join(T.alias("u"), sa.true())), sa.select(T.c.a).order_by(sa.nulls_last(T.c.a)),
        sa.select(T.c.a).having(sa.true()), sa.select(sa.lateral(sa.select(T.c.a)).c.a),
    ],
)  # fmt: skip
def test_any_other_statement_is_refused(statement):
    with pytest.raises(SparkError, match="Spark is asked for the "):
        compiled(statement)


def test_the_kinds_of_app_events_are_columns_of_the_sums():
    assert set(AppEventKind) < set(event_sums.COLUMNS)
    assert purchase.name in sql(event_sums.by_day(purchase, WINDOW))
