"""``engage variables``: print the default Airflow Variables."""

from __future__ import annotations

from engage import settings


def variables() -> None:
    """Print the default Variables as JSON for `airflow variables import`."""
    print(settings.default_variables())
