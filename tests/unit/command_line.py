"""What a command of the command line has printed."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """All printed words, without the frames and line breaks that depend on the terminal's width."""
        return " ".join(re.sub(r"[─│╭╮╰╯]", " ", self.out + self.err).split())


def refused(answer: Answer) -> str:
    """The sentence on standard error, after a check that nothing else was printed."""
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.count("\n") == 1
    assert answer.err.startswith("Error: ")
    return answer.err.removeprefix("Error: ").rstrip("\n")
