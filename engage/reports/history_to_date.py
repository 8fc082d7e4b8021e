"""What a customer did up to the end of the newest campaign's window, over that window and those before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from engage.errors import NoSuchCustomer
from engage.storage.schema import customer_history
from engage.window import Window


@dataclass(frozen=True)
class HistoryToDate:
    """A row of the view ``customer_history``. A number is None if an earlier version computed the window.

    Days are whole days before the window's end; None if no purchase is known.
    """

    window: Window
    purchases_to_date: int | None
    windows_active: int | None
    spend_cents: int
    spend_3_windows_cents: int | None
    sessions: int
    sessions_3_windows: int | None
    days_since_last_purchase: int | None
    days_since_first_purchase: int | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Spend is text with two decimals."""
        numbers = {name: value for name, value in vars(self).items() if name != "window"}
        for name in ("spend_cents", "spend_3_windows_cents"):
            cents = numbers.pop(name)
            numbers[name.removesuffix("_cents")] = None if cents is None else f"{cents // 100}.{cents % 100:02}"
        return {"window_start": self.window.start, "window_end": self.window.end, **numbers}


def of_customer(conn: sa.Connection, customer_id: int) -> HistoryToDate:
    """The customer in the newest campaign whose customers are in segments.

    Raises:
        NoSuchCustomer: that campaign does not have the customer, or there is none.
    """
    query = sa.select(customer_history).where(customer_history.c.customer_id == customer_id)
    row = conn.execute(query).mappings().one_or_none()
    if row is None:
        raise NoSuchCustomer(
            f"The newest campaign has no customer {customer_id}. A campaign has those who registered before its "
            "window's end. `engage campaigns` lists the campaigns."
        )
    numbers = {name: value for name, value in row.items() if name not in {"customer_id", "window_start"}}
    return HistoryToDate(Window(row["window_start"]), **numbers)
