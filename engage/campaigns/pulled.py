"""What ``extract`` pulled from a source of events, for the campaign's record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from engage.campaigns.guard import Finding
from engage.statuses import GuardCheck


@dataclass(frozen=True)
class PulledKind:
    """The rows of one kind of event, in the parts of the source that the window needs.

    ``counted``: as the source itself counts them. ``stored``: those that became events, by this run or an earlier one
    of the window. ``outside``: those of other windows. ``rejected``: those that are no right event, by reason.
    """

    counted: int = 0
    read: int = 0
    stored: int = 0
    outside: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def repeated(self) -> int:
        """Rows whose event id is in the source twice."""
        return max(0, self.read - self.stored - self.outside - sum(self.rejected.values()))

    @property
    def words(self) -> str:
        """The counts, as a clause."""
        left_out = f", {self.left_out}" if self.left_out else ""
        return f"pulled {self.read:,}, the source says {self.counted:,}: {self.stored:,} stored{left_out}"

    @property
    def left_out(self) -> str:
        """The rows that were read and not stored, by reason; empty if there are none."""
        counts = {"repeated": self.repeated, "of other windows": self.outside}
        counts |= {f"rejected as {reason}": count for reason, count in self.rejected.items()}
        return ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)


@dataclass(frozen=True)
class Pulled:
    """The rows by kind of event. ``source`` is the name of its connection."""

    source: str
    kinds: Mapping[str, PulledKind]

    @property
    def read(self) -> int:
        """All rows that were read."""
        return sum(one.read for one in self.kinds.values())

    @property
    def counted(self) -> int:
        """All rows, as the source itself counts them."""
        return sum(one.counted for one in self.kinds.values())

    @property
    def words(self) -> str:
        """All counts, as one sentence without its full stop."""
        kinds = "; ".join(f"{kind}: {one.words}" for kind, one in self.kinds.items())
        return f"{self.source}: {kinds}"

    def findings(self) -> Iterator[Finding]:
        """The kinds of events of which not every row was read. The guard stops a campaign of them."""
        for kind, one in self.kinds.items():
            if one.read != one.counted:
                sentence = (
                    f"the source {self.source} has {one.counted:,} rows of {kind}, and Engage has read {one.read:,}"
                )
                yield Finding(GuardCheck.SOURCE, kind, one.read, one.counted, sentence)

    def to_json(self) -> dict[str, Any]:
        """As the campaign row keeps it; ``from_json`` reads it back."""
        return {"source": self.source, "kinds": {kind: asdict(one) for kind, one in self.kinds.items()}}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any] | None) -> Pulled | None:
        """Read what a campaign row keeps; None without a source."""
        if kept is None:
            return None
        return cls(kept["source"], {kind: PulledKind(**one) for kind, one in kept["kinds"].items()})
