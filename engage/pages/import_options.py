"""What the user of the page *Import* has chosen, as options of an import."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from engage.imports.columns import NO_FIELD
from engage.imports.report import Options
from engage.imports.values import DecimalMark

Kind = Literal["customers", "events"]


class Wanted(BaseModel):
    """What the user has chosen on the page."""

    kind: Kind
    file: str = Field(max_length=255)
    """The file's name."""
    country: str = Field("", max_length=2)
    event_type: str = Field("", max_length=40)
    decimal: Literal["", "point", "comma"] = ""
    columns: dict[str, str] = {}
    """The field of each column that the user has set; empty for none."""

    def options(self) -> Options:
        """The same as options of an import. This process also serves pages, so it starts no others."""
        return Options(
            mapping=tuple(f"{name}={field or NO_FIELD}" for name, field in self.columns.items()),
            country=self.country or None,
            event_type=self.event_type or None,
            decimal=DecimalMark(self.decimal) if self.decimal else None,
            processes=1,
        )
