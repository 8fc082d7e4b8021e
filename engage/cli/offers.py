"""``engage offers …``: import, make and list the codes that texts with ``{{ offer_code }}`` take."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from engage import parsing
from engage.cli.common import AsJson, add_row, console, database, plain, print_json, print_table, table_of
from engage.clock import now
from engage.errors import InputError
from engage.sending import offer_pool
from engage.sending.offer_pool import Added
from engage.texts import offer_code

NOT_ALL_ADDED = 3
"""The exit code if some codes of a file were there before, or stand in it twice."""

app = typer.Typer(help="The codes of offers, which texts with {{ offer_code }} take.", no_args_is_help=True)

Offer = Annotated[
    str, typer.Option("--offer", help="The offer's name, as in the setting offer.", parser=offer_code.offer)
]
Expires = Annotated[
    str | None, typer.Option(help="Last day of the codes in UTC, such as 2027-01-31.", show_default="never")
]


@app.command("import")
def import_(
    file: Annotated[
        Path, typer.Argument(help="One code a line, or CSV with a column code.", exists=True, dir_okay=False)
    ],
    offer: Offer,
    expires: Expires = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Add the codes of a file to an offer, all or none.

    A code that the database has, or that stands in the file twice, is not added again. The exit code is then 3.
    """
    found = offer_code.read(_text(file), str(file))
    expires_at = _end_of(expires)
    with database(new=True) as engine, engine.begin() as conn:
        added = offer_pool.add(conn, offer, found.codes, expires_at=expires_at, as_of=now())
    _print_added(offer, added, found.repeated, as_json=as_json)
    if added.added < len(found.codes) + found.repeated:
        raise typer.Exit(NOT_ALL_ADDED)


@app.command()
def generate(
    count: Annotated[int, typer.Argument(metavar="COUNT", min=1, max=offer_pool.MOST, help="Number of codes.")],
    offer: Offer,
    expires: Expires = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make codes that cannot be guessed, and add them to an offer."""
    expires_at = _end_of(expires)
    with database(new=True) as engine, engine.begin() as conn:
        added = offer_pool.generate(conn, offer, count, expires_at=expires_at, as_of=now())
    _print_added(offer, added, as_json=as_json)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show how many codes of each offer are free, given to messages, redeemed and expired."""
    with database() as engine, engine.begin() as conn:
        found = offer_pool.counts(conn, now())
    if as_json:
        print_json([asdict(one) for one in found])
        return
    table = table_of("offer", "codes", "free", "given", "redeemed", "expired", whole="offer")
    for one in found:
        add_row(table, one.offer, *(f"{n:,}" for n in (one.codes, one.free, one.given, one.redeemed, one.expired)))
    print_table(table)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{file} is not in UTF-8. No code was added.") from None


def _end_of(day: str | None) -> datetime | None:
    """The moment at which codes expire, from their last day."""
    if day is None:
        return None
    end = parsing.day(day) + timedelta(days=1)
    if end <= now():
        raise InputError(f"--expires {day} is in the past. It takes the last day on which the codes count, or later.")
    return end


def _print_added(offer: str, added: Added, repeated: int = 0, *, as_json: bool) -> None:
    if as_json:
        print_json({"offer": offer, **asdict(added), "repeated": repeated})
        return
    counts = {
        "added": added.added,
        "there before": added.known,
        "there before in another offer": added.in_other_offers,
        "twice in the file": repeated,
    }
    shown = ", ".join(f"{count:,} {words}" for words, count in counts.items() if count or words == "added")
    console.print(plain(f"Codes of the offer {offer}: {shown}."), soft_wrap=True)
