"""A window with every class of dirt: ids that are missing or unknown, bad amounts, late registrations, ties."""

from __future__ import annotations

import sqlalchemy as sa

from engage.campaigns.valid_events import MAX_AMOUNT_CENTS
from engage.steps.seed import seed
from engage.window import Window

UNKNOWN = 10**12
"""Ids from here on are of no customer."""
AMOUNTS = (-1, 0, 1, MAX_AMOUNT_CENTS, MAX_AMOUNT_CENTS + 1, 2**63 - 1)


def fill(engine: sa.Engine, window: Window, customers: int) -> None:
    """Seed customers and events, then spoil them. Of 1,000 customers each class has at least one."""
    seed(engine, window, customers, 7, hash_key=b"k" * 32)
    start, end = window.start.isoformat(), window.end.isoformat()
    just_before_end = f"timestamptz '{end}' - interval '1 microsecond'"
    at = f"timestamptz '{start}' + interval '1 hour' * (n % 1300) + interval '7 microseconds' * n"
    few = max(10, customers // 100)
    amounts = f"(ARRAY[NULL, {', '.join(f'{cents}::bigint' for cents in AMOUNTS)}])[1 + n % {len(AMOUNTS) + 1}]"
    kinds = "(ARRAY['viewed', 'liked', 'added_to_basket'])[1 + n % 3]"
    items = "(ARRAY[NULL, '', 'pie', 'Pie', 'pié', 'soup', '🥧'])[1 + n % 7]"
    whose = f"CASE WHEN n % 11 = 0 THEN NULL WHEN n % 11 = 1 THEN {UNKNOWN} + n % 50 ELSE 1 + n % {few} END"
    series = f"generate_series(1, {few} * 20) n"
    statements = [
        # registered at the window's end, just before it, and long after it
        f"UPDATE customer SET registered_at = '{end}' WHERE customer_id % 97 = 0",
        f"UPDATE customer SET registered_at = {just_before_end} WHERE customer_id % 97 = 1",
        f"UPDATE customer SET registered_at = timestamptz '{end}' + interval '1 year' WHERE customer_id % 97 = 2",
        # customers without any event, or with events of one kind only
        *(f"DELETE FROM {log} WHERE customer_id % 89 IN ({n}, 5)" for n, log in enumerate(("app_session", "purchase"))),
        f"INSERT INTO app_session SELECT {whose}, {at} FROM {series}",
        f"INSERT INTO purchase SELECT {whose}, {at}, {amounts} FROM {series}",
        f"INSERT INTO app_event SELECT {whose}, {at}, {kinds}, {items} FROM {series}",
        f"INSERT INTO refund SELECT {whose}, {at}, {amounts} FROM {series} WHERE n % 3 = 0",
        # ids that have refunds or app events only
        f"INSERT INTO refund VALUES ({UNKNOWN} + 900, '{start}', 5)",
        f"INSERT INTO app_event VALUES ({UNKNOWN} + 901, '{start}', 'liked', 'pie')",
        # ties: the same event twice, at the very bounds of the window
        *(f"INSERT INTO app_session VALUES (3, '{start}')" for _ in range(2)),
        *(f"INSERT INTO purchase VALUES (4, {just_before_end}, 100)" for _ in range(2)),
        # in no window
        f"INSERT INTO app_session VALUES (5, NULL), (5, timestamptz '{start}' - interval '1 hour'), (5, '{end}')",
        f"INSERT INTO purchase VALUES (5, NULL, 1), (5, '{end}', 1), (5, '9999-01-01', 1)",
        "INSERT INTO refund VALUES (5, NULL, 1), (5, '9999-01-01', 1)",
    ]
    with engine.begin() as conn:
        for statement in statements:
            conn.execute(sa.text(statement))


def truncated(log: str, window: Window) -> sa.TextClause:
    """The statement after which a log has no event of the window."""
    return sa.text(f"TRUNCATE {log}_{window.key}")
