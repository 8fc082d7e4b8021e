"""What the dialog *Run a campaign…* offers: the windows to run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from engage import formats
from engage.errors import WindowError
from engage.reports.campaign_list import ListedCampaign
from engage.window import ANCHOR, Window

OFFERED = 13
"""Windows to choose from: two years."""


@dataclass(frozen=True)
class RunForm:
    """The windows as an address's value and words, newest first."""

    windows: list[tuple[str, str]]

    @classmethod
    def of(cls, campaigns: Sequence[ListedCampaign], as_of: datetime) -> RunForm:
        """The last complete windows, each with the status of its campaign."""
        statuses = {one.window: one.status.label.lower() for one in campaigns}
        try:
            windows = [Window.last_complete(as_of)]
        except WindowError:
            return cls([])
        while len(windows) < OFFERED and windows[-1].start > ANCHOR:
            windows.append(windows[-1].previous())
        return cls(
            [
                (
                    formats.iso_day(one.start),
                    f"{formats.days(one.start, one.end)}, {statuses.get(one, 'not computed yet')}",
                )
                for one in windows
            ]
        )
