"""``engage why``: write down why a customer was texted, or was not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from engage import formats, parsing
from engage.cli import completion
from engage.cli.common import AsJson, console, database, json_of, plain, print_json, window_named
from engage.clock import now
from engage.currency import currency
from engage.errors import InputError
from engage.pages.why_page import why_page
from engage.reports import why as reasons
from engage.reports.why import Explanation


def why(
    customer_id: Annotated[
        int,
        typer.Option("--customer", help="The customer's id.", parser=parsing.customer_id, show_default=False),
    ],
    window_start: Annotated[
        str,
        typer.Option("--window", help="First day of the campaign's window.", autocompletion=completion.window_starts),
    ],
    folder: Annotated[Path, typer.Option("--into", help="The folder to write into.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write down why a customer was texted in a campaign, or was not: one page as HTML, and its facts as JSON.

    The page tells of the consent at that time, the customer's numbers, the rule, the experiment, the hours, the
    approval and the receipt. It holds no phone number.
    """
    with database() as engine, engine.begin() as conn:
        window = window_named(window_start)
        found = reasons.explain(conn, window, customer_id, currency=currency(), as_of=now())
    if as_json:
        print_json(found.to_dict())
        return
    name = f"why-{customer_id}-{formats.iso_day(window.start)}"
    page, facts = (
        _write(folder / f"{name}.html", why_page(found)),
        _write(folder / f"{name}.json", json_of(found.to_dict())),
    )
    _print(found)
    console.print(plain(f"Written to {page} and {facts}."))


def _write(file: Path, text: str) -> Path:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise InputError(f"{file} cannot be written: {exc.strerror}. Name a folder with --into.") from None
    return file


def _print(found: Explanation) -> None:
    console.print(Text.assemble((found.answer, "bold")))
    for section in found.sections:
        console.print(f"\n[bold]{section.title}[/]")
        for sentence in section.sentences:
            console.print(plain(sentence))
    console.print()
