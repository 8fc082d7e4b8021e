"""The peers: programs that do the work of aggregate and bucket outside Postgres and write the same rows to it.

Each takes a plain libpq URL of a database with the tables of ``LANDING``, and the window. They read valid synthetic
rows only, so they can skip Engage's checks for bad rows.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from engage.storage import connection
from engage.storage.schema import app_session, customer, purchase
from engage.window import WEEKS, Window

LOW_SPEND_CENTS, HIGH_ACTIVITY = 10_000, 5.0

# unlogged for fairness: Engage's own tables are new in their transaction, so they skip the write-ahead log too
LANDING = """
DROP TABLE IF EXISTS peer_activity, peer_bucket;
CREATE UNLOGGED TABLE peer_activity (window_start timestamptz, customer_id bigint, sessions bigint, purchases bigint,
                            total_spend_cents bigint, avg_weekly_sessions double precision);
CREATE UNLOGGED TABLE peer_bucket (window_start timestamptz, customer_id bigint, bucket text, total_spend_cents bigint,
                          avg_weekly_sessions double precision);
"""
KEYS = """
ALTER TABLE peer_activity ADD PRIMARY KEY (customer_id, window_start);
ALTER TABLE peer_bucket ADD PRIMARY KEY (customer_id, window_start);
"""
ACTIVITY = ("window_start", "customer_id", "sessions", "purchases", "total_spend_cents", "avg_weekly_sessions")
BUCKET = ("window_start", "customer_id", "bucket", "total_spend_cents", "avg_weekly_sessions")


def _queries(window: Window) -> tuple[str, str, str]:
    start, end = window.start.isoformat(), window.end.isoformat()
    return (
        f"SELECT customer_id FROM customer WHERE registered_at < '{end}'",
        f"SELECT customer_id FROM app_session WHERE started_at >= '{start}' AND started_at < '{end}'",
        f"SELECT customer_id, amount_cents FROM purchase WHERE purchased_at >= '{start}' AND purchased_at < '{end}'",
    )


def row_by_row(url: str, window: Window) -> None:
    """The script that Engage replaced: every row an ORM object, sums in dictionaries, one commit per message."""

    class Base(orm.DeclarativeBase):
        pass

    class Customer(Base):
        __table__ = customer

    class Session(Base):
        __table__ = app_session
        __mapper_args__ = {"primary_key": [app_session.c.customer_id, app_session.c.started_at]}  # noqa: RUF012

    class Purchase(Base):
        __table__ = purchase
        __mapper_args__ = {"primary_key": [purchase.c.customer_id, purchase.c.purchased_at]}  # noqa: RUF012

    class Sent(Base):
        __tablename__ = "peer_message"
        customer_id: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
        body: orm.Mapped[str]

    engine = connection.connect(url)
    Base.metadata.drop_all(engine)  # only the table of Sent belongs to Base
    Base.metadata.create_all(engine)
    with orm.Session(engine, expire_on_commit=False) as db:
        sessions: dict[int, int] = {}
        for opened in db.scalars(_in_window(Session, app_session.c.started_at, window)):
            sessions[opened.customer_id] = sessions.get(opened.customer_id, 0) + 1
        spend: dict[int, list[int]] = {}
        for bought in db.scalars(_in_window(Purchase, purchase.c.purchased_at, window)):
            spend.setdefault(bought.customer_id, []).append(bought.amount_cents)
        customers: list[Any] = list(db.scalars(sa.select(Customer)))
        for one in customers:
            amounts, average = spend.get(one.customer_id, []), sessions.get(one.customer_id, 0) / WEEKS
            bucket = "BOOST" if sum(amounts) < LOW_SPEND_CENTS else "REWARD" if average > HIGH_ACTIVITY else "NONE"
            key = {"window_start": window.start, "customer_id": one.customer_id}
            values = {"total_spend_cents": sum(amounts), "avg_weekly_sessions": average}
            counts = {"sessions": sessions.get(one.customer_id, 0), "purchases": len(amounts)}
            db.execute(sa.insert(_table("peer_activity", ACTIVITY)).values(**key, **values, **counts))
            db.execute(sa.insert(_table("peer_bucket", BUCKET)).values(**key, **values, bucket=bucket))
            if bucket != "NONE" and one.phone:
                db.add(Sent(customer_id=one.customer_id, body=bucket))
                db.commit()
        db.commit()
    engine.dispose()


def _in_window(entity: type[Any], time: sa.Column[Any], window: Window) -> sa.Select[Any]:
    query = sa.select(entity).where(time >= window.start, time < window.end)
    return query.execution_options(yield_per=10_000)


def _table(name: str, columns: tuple[str, ...]) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def pandas(url: str, window: Window) -> None:
    """``read_sql``, ``groupby``, ``join``. Writes with COPY, which is far faster than ``to_sql``."""
    import numpy as np
    import pandas as pd

    with connection.connect(url).connect() as conn:
        customers, sessions, purchases = (pd.read_sql(sa.text(query), conn) for query in _queries(window))
        spend = purchases.groupby("customer_id").amount_cents.agg(["size", "sum"])
        rows = customers.set_index("customer_id")
        rows["sessions"] = sessions.groupby("customer_id").size()
        rows["purchases"], rows["total_spend_cents"] = spend["size"], spend["sum"]
        rows = rows.fillna(0).astype(int).reset_index()
        rows["avg_weekly_sessions"] = rows.sessions / WEEKS
        rows["window_start"] = window.start.isoformat()
        low, high = rows.total_spend_cents < LOW_SPEND_CENTS, rows.avg_weekly_sessions > HIGH_ACTIVITY
        rows["bucket"] = np.select([low, high], ["BOOST", "REWARD"], "NONE")
        for table, columns in (("peer_activity", ACTIVITY), ("peer_bucket", BUCKET)):
            text = io.StringIO()
            rows.to_csv(text, columns=list(columns), index=False, header=False)
            with conn.connection.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
                copy.write(text.getvalue())
        conn.commit()


def polars(url: str, window: Window) -> None:
    """Polars over ADBC, both ways: binary COPY into Arrow and back."""
    import polars as pl

    plain = url.replace("postgresql+psycopg://", "postgresql://")
    customers, sessions, purchases = (pl.read_database_uri(q, plain, engine="adbc") for q in _queries(window))
    opened = sessions.group_by("customer_id").agg(pl.len().alias("sessions"))
    bought = purchases.group_by("customer_id").agg(
        pl.len().alias("purchases"), pl.col("amount_cents").sum().alias("total_spend_cents")
    )
    counts = ("sessions", "purchases", "total_spend_cents")
    rows = (
        customers.join(opened, on="customer_id", how="left")
        .join(bought, on="customer_id", how="left")
        .with_columns(pl.col(counts).fill_null(0).cast(pl.Int64), window_start=pl.lit(window.start))
        .with_columns(avg_weekly_sessions=pl.col("sessions") / WEEKS)
        .with_columns(
            bucket=pl.when(pl.col("total_spend_cents") < LOW_SPEND_CENTS)
            .then(pl.lit("BOOST"))
            .when(pl.col("avg_weekly_sessions") > HIGH_ACTIVITY)
            .then(pl.lit("REWARD"))
            .otherwise(pl.lit("NONE"))
        )
    )
    for table, columns in (("peer_activity", ACTIVITY), ("peer_bucket", BUCKET)):
        rows.select(columns).write_database(table, plain, engine="adbc", if_table_exists="append")


def duckdb(url: str, window: Window) -> None:
    """DuckDB attached to Postgres. It reads the tables and writes the results with COPY."""
    import duckdb as duck

    found = find_spec("duckdb_extension_postgres_scanner")
    assert found is not None
    assert found.submodule_search_locations is not None
    extension = next(Path(found.submodule_search_locations[0]).rglob("*.duckdb_extension"))
    made = sa.make_url(url)
    source = f"dbname={made.database} host={made.query['host']} user={made.username}"
    with duck.connect(config={"allow_unsigned_extensions": "true"}) as conn:
        conn.execute(f"LOAD '{extension}'")
        conn.execute(f"ATTACH '{source}' AS pg (TYPE postgres)")
        customers, sessions, purchases = (_attached(query) for query in _queries(window))
        conn.execute(f"""
            CREATE TEMP TABLE rows AS
            SELECT TIMESTAMPTZ '{window.start.isoformat()}' AS window_start, customer_id,
                   coalesce(sessions, 0) AS sessions, coalesce(purchases, 0) AS purchases,
                   coalesce(total_spend_cents, 0)::bigint AS total_spend_cents,
                   coalesce(sessions, 0) / {WEEKS}::double AS avg_weekly_sessions,
                   CASE WHEN coalesce(total_spend_cents, 0) < {LOW_SPEND_CENTS} THEN 'BOOST'
                        WHEN coalesce(sessions, 0) / {WEEKS}::double > {HIGH_ACTIVITY} THEN 'REWARD'
                        ELSE 'NONE' END AS bucket
            FROM ({customers})
            LEFT JOIN (SELECT customer_id, count(*) AS sessions FROM ({sessions}) GROUP BY 1) USING (customer_id)
            LEFT JOIN (SELECT customer_id, count(*) AS purchases, sum(amount_cents) AS total_spend_cents
                       FROM ({purchases}) GROUP BY 1) USING (customer_id)
        """)
        for table, columns in (("peer_activity", ACTIVITY), ("peer_bucket", BUCKET)):
            conn.execute(f"INSERT INTO pg.{table} SELECT {', '.join(columns)} FROM rows")


def _attached(query: str) -> str:
    for table in ("customer", "app_session", "purchase"):
        query = query.replace(f"FROM {table} ", f"FROM pg.{table} ")
    return query


PEERS: dict[str, Callable[[str, Window], None]] = {
    "row by row": row_by_row,
    "pandas": pandas,
    "Polars": polars,
    "DuckDB": duckdb,
}
LARGEST = {"row by row": 10_000, "pandas": 100_000}
"""The most customers for a slow peer. With more it would take minutes, or more memory than the machine has."""


def asked(customers: int) -> list[str]:
    """The peers that are measured with this many customers."""
    return [name for name in PEERS if customers <= LARGEST.get(name, customers)]
