"""Message templates: text with bare ``{{ placeholder }}``s, and nothing else of Jinja2.

Editors of Airflow Variables are not trusted. So a template is data: Jinja2 parses it and never runs it. A customer's
name is inserted as it is, so braces in a name stay braces.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from jinja2 import Environment, TemplateSyntaxError, nodes

from engage.texts.characters import visible
from engage.texts.names import reads_as_contact
from engage.texts.offer_code import SAMPLE
from engage.texts.opt_out_line import OPT_OUT_LINE, says_how_to_opt_out
from engage.texts.sms_segments import segments

MAX_VALUE = 40
"""Longest name in a message, in characters."""

PLACEHOLDERS = {
    "name": "the customer's name",
    "first_name": "the name up to its first space",
    "total_spend": "the customer's spend in the window, such as 123.45",
    "weekly_sessions": "the customer's sessions a week, such as 5.1",
    "purchases": "the customer's purchases in the window, such as 3",
    "days_since_last_purchase": "whole days from the last purchase to the window's end, such as 34",
    "favourite_item": "the item that the customer viewed or liked most in the window",
    "offer_code": f"a code of the offer that only this message has, such as {SAMPLE}",
}
NAMELESS = "there"
"""Replaces a missing name: Hi there."""
NEVER_BOUGHT = "many"
"""Replaces the days since the last purchase of a customer who never bought: many days."""
NO_FAVOURITE = "your favourite"
"""Replaces a missing favourite item."""
ENGLISH = {
    "name": (NAMELESS, "A customer without a name"),
    "first_name": (NAMELESS, "A customer without a name"),
    "days_since_last_purchase": (NEVER_BOUGHT, "A customer who never bought"),
    "favourite_item": (NO_FAVOURITE, "A customer without a favourite"),
}
"""The English words that replace a missing value, and which customers read them, by placeholder."""

_JOINERS = "\u200c\u200d"  # spelling in several scripts, and emoji, need them
_SAMPLE = {
    "name": "Maximiliane Mustermann",
    "first_name": "Maximiliane",
    "total_spend": "1234.56",
    "favourite_item": "Chicken Quesadilla",
    "offer_code": SAMPLE,
}


@dataclass(frozen=True)
class Template:
    """A parsed template: text and names of placeholders alternate, as in ``("Hi ", "first_name", "!")``."""

    parts: tuple[str, ...]
    opt_out_added: bool = False
    """Whether ``parse`` has added the sentence on how to opt out."""

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a template, and add a sentence on how to opt out if it has none.

        Raises:
            ValueError: names the part that is not allowed.
        """
        parts = [""]
        for kind, value in _pieces(unicodedata.normalize("NFC", text)):
            if kind == "text":
                parts[-1] += value
            else:
                parts += [value, ""]
        added = not any(map(says_how_to_opt_out, parts[::2]))
        if added:
            parts[-1] = f"{parts[-1].rstrip()} {OPT_OUT_LINE}" if parts[-1].strip() or len(parts) > 1 else OPT_OUT_LINE
        return cls(tuple(parts), added)

    @property
    def placeholders(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def filled(self, values: Mapping[str, str]) -> list[str]:
        """The parts with every placeholder replaced by its value, as it is. Text and values alternate."""
        return [part if n % 2 == 0 else values[part] for n, part in enumerate(self.parts)]

    def render(self, values: Mapping[str, str]) -> str:
        """The text with every placeholder replaced by its value. A value is inserted as it is, never as a template."""
        return "".join(self.filled(values))

    def typical_segments(self) -> int:
        """How many SMS segments the text takes for a customer with a longish name. A code counts 10 characters."""
        return segments(self.render({**dict.fromkeys(PLACEHOLDERS, "12.5"), **_SAMPLE}))


def values(
    name: str | None,
    *,
    total_spend_cents: int,
    avg_weekly_sessions: float,
    purchases: int,
    days_since_last_purchase: int | None,
    favourite_item: str | None,
    offer_code: str,
) -> dict[str, str]:
    """Each placeholder's value for one customer. A name that reads as a link or a phone number counts as missing."""
    shown, favourite = _inoffensive(name), _inoffensive(favourite_item)
    never = days_since_last_purchase is None
    return {
        "name": shown or NAMELESS,
        "first_name": shown.split(" ")[0] or NAMELESS,
        "total_spend": f"{Decimal(total_spend_cents) / 100:.2f}",
        "weekly_sessions": f"{avg_weekly_sessions:.1f}",
        "purchases": f"{purchases}",
        "days_since_last_purchase": NEVER_BOUGHT if never else f"{days_since_last_purchase}",
        "favourite_item": favourite or NO_FAVOURITE,
        "offer_code": offer_code,
    }


def _inoffensive(value: str | None) -> str:
    shown = clean(value or "")
    return "" if reads_as_contact(shown) else shown


def markdown_table() -> str:
    """The placeholders as a table for docs/segments.md."""
    lines = ["| a text may say | for |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{{{{ {name} }}}}` | {words} |" for name, words in PLACEHOLDERS.items())])


def clean(value: str) -> str:
    """A value cut and cleaned to fit one line: no control, bidirectional or other invisible characters."""
    spaced = "".join(
        " " if character.isspace() else character
        for character in value[: 10 * MAX_VALUE]
        if character.isspace() or character in _JOINERS or unicodedata.category(character)[0] != "C"
    )
    cut = " ".join(visible(spaced).split())[:MAX_VALUE]
    return visible(cut.strip(" " + _JOINERS))


def _pieces(text: str) -> list[tuple[str, str]]:
    try:
        body = Environment(autoescape=True, keep_trailing_newline=True).parse(text).body
    except TemplateSyntaxError as exc:
        raise ValueError(f"it cannot be read as a template: {exc.message}; {_ALLOWED}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return [_piece(node) for output in body for node in _outputs(output)]


def _outputs(node: nodes.Node) -> list[nodes.Expr]:
    if not isinstance(node, nodes.Output):
        raise ValueError(f"it has a statement ({type(node).__name__}); {_ALLOWED}")
    return node.nodes


def _piece(node: nodes.Expr) -> tuple[str, str]:
    if isinstance(node, nodes.TemplateData):
        return "text", node.data
    if isinstance(node, nodes.Name) and node.name in PLACEHOLDERS:
        return "placeholder", node.name
    if isinstance(node, nodes.Name):
        raise ValueError(f"{{{{ {node.name[:40]} }}}} is no placeholder; {_ALLOWED}")
    raise ValueError(f"it has an expression ({type(node).__name__}); {_ALLOWED}")


_ALLOWED = f"allowed are text and {', '.join('{{ ' + name + ' }}' for name in PLACEHOLDERS)}"
