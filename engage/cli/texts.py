"""``engage texts …``: the final texts as customers would get them, and one of them to a phone of the staff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import sqlalchemy as sa
import typer

from engage import formats, parsing, settings
from engage.campaigns import campaign
from engage.cli import completion, given_settings
from engage.cli.common import AsJson, console, database, hash_key, login, plain, print_json, window_named
from engage.cli.given_settings import RulesFile, Set
from engage.currency import currency
from engage.errors import NotReady
from engage.reports import segment_preview, text_previews
from engage.reports.text_previews import TextToCustomer
from engage.sending import providers, test_requests, test_sends
from engage.sending.test_requests import TextToTry
from engage.settings import Settings
from engage.statuses import SendTestStatus
from engage.storage.database_clock import DatabaseClock
from engage.window import Window

app = typer.Typer(
    help="Texts as customers would get them: look at them, send one to yourself, ask a model for some.",
    no_args_is_help=True,
)
MOST = 10

Segment = Annotated[str | None, typer.Option(help="Only the text of this segment.", show_default="all with a text")]
Locale = Annotated[
    str | None, typer.Option(help="Only the text for this locale, such as es-MX.", show_default="each language")
]
Customer = Annotated[
    int | None,
    typer.Option(metavar="CUSTOMER", help="Only the text to this customer.", parser=parsing.customer_id),
]
TheWindow = Annotated[
    str | None,
    typer.Option(
        "--window-start",
        "--window",
        help="First day of the window whose customers read it.",
        show_default="the latest with segments",
        autocompletion=completion.window_starts,
    ),
]


@app.command()
def preview(
    segment: Segment = None,
    locale: Locale = None,
    customer: Customer = None,
    count: Annotated[int, typer.Option(min=1, max=MOST, help="Customers of each segment and language.")] = 3,
    window: TheWindow = None,
    *,
    set_: Set = None,
    segments: RulesFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the final texts to real customers, as a campaign would send them.

    The settings are those of the window's campaign, with --set and --segments over them. An offer code is a sample.
    """
    with database() as engine, engine.begin() as conn:
        about, chosen = _settings(conn, window, set_ or [], segments)
        found = _texts(conn, about, chosen, segment=segment, locale=locale, customer=customer, count=count)
    if as_json:
        print_json([_data(one) for one in found])
        return
    for one in found:
        _print(one)
    for name in dict.fromkeys(one.segment for one in found):
        for warning in chosen.text_warnings(name):
            console.print(plain(f"{name}: {warning}"), style="yellow", soft_wrap=True)
    if not found:
        console.print("No customer of the window would get one of these texts.")


@app.command("send-test")
def send_test(
    segment: Annotated[str, typer.Option(help="The segment whose text it is.")],
    to: Annotated[str, typer.Option(help="A number of the setting test_phones, such as +12025550123.")],
    locale: Locale = None,
    customer: Customer = None,
    variant: Annotated[str | None, typer.Option(help="Which of the segment's texts.", show_default="the first")] = None,
    *,
    window: TheWindow = None,
    set_: Set = None,
    segments: RulesFile = None,
) -> None:
    """Send a text to a phone of the staff, marked TEST and outside of every campaign.

    The number must be on the list: --set test_phones=+12025550123. The provider is that of the window's campaign, or
    of --set sms_provider. A phone that has opted out gets none.
    """
    with database() as engine:
        clock = DatabaseClock(engine)
        with engine.begin() as conn:
            about, chosen = _settings(conn, window, set_ or [], segments)
            found = _texts(conn, about, chosen, segment=segment, locale=locale, customer=customer, count=1)
            one = next((text for text in found if variant in (None, text.variant)), None)
            if one is None:
                raise NotReady(f"No customer of the window {about} would get this text of {segment[:40]}.")
            wanted, text = uuid4(), TextToTry(one.segment, one.language, one.variant, one.sms.text)
            test_requests.request(conn, wanted, text, to=to, by=login(), settings=chosen, as_of=clock())
        sent = test_sends.send(engine, wanted, providers.provider, settings=chosen, hash_key=hash_key(), clock=clock)
    console.print(plain(text.marked), soft_wrap=True)
    console.print(plain(sent.sentence), soft_wrap=True)
    if sent.status is not SendTestStatus.ACCEPTED:
        raise typer.Exit(1)


def _settings(conn: sa.Connection, start: str | None, pairs: list[str], rules: Path | None) -> tuple[Window, Settings]:
    """The window, and the settings of its campaign with those of the command line over them."""
    windows = [window_named(start)] if start else campaign.latest_windows(conn, bucketed=True, limit=1)
    if not windows:
        raise NotReady("No campaign has put customers in segments yet: use `engage run` first.")
    used = segment_preview.settings_of(conn, windows[0])
    given = given_settings.given(pairs, rules)
    chosen = given_settings.settings_of(given, rules, base=settings.texts(used))
    return windows[0], segment_preview.resolved(conn, windows[0], chosen)


def _texts(
    conn: sa.Connection,
    window: Window,
    chosen: Settings,
    *,
    segment: str | None,
    locale: str | None,
    customer: int | None,
    count: int,
) -> list[TextToCustomer]:
    if segment is not None:
        text_previews.refuse_unknown(chosen, segment)
    if customer is not None:
        return text_previews.of_customer(conn, window, chosen, customer, segment=segment, locale=locale)
    wanted = chosen.texted if segment is None else (segment,)
    return text_previews.of_segments(conn, window, chosen, wanted, locale=locale, count=count)


def _data(one: TextToCustomer) -> dict[str, object]:
    return {
        "segment": one.segment,
        "customer_id": one.customer_id,
        "name": one.name,
        "locale": one.locale,
        "language": one.language,
        "variant": one.variant,
        "text": one.sms.text,
        "characters": one.sms.characters,
        "sms_segments": one.sms.segments,
        "encoding": one.encoding,
        "cost": None if one.cost is None else str(one.cost),
        "opt_out_added": one.opt_out_added,
        "too_long": one.too_long,
        "stands_in": one.stands_in,
    }


def _print(one: TextToCustomer) -> None:
    """Print one text: the customer, the text as it goes out, and what it takes."""
    language = f" in {one.language}" if one.language else ""
    reads = f"{one.segment} {one.variant}{language}, to customer {one.customer_id} {one.name or '(no name)'}"
    console.print(plain(f"{reads} ({one.locale})" if one.locale else reads), style="bold", soft_wrap=True)
    for line in one.sms.text.splitlines():
        console.print(plain(f"  {line}"), soft_wrap=True)
    takes = [formats.counted(one.sms.segments, "SMS segment"), formats.counted(one.sms.characters, "character")]
    takes += [one.encoding, *([] if one.cost is None else [formats.price(one.cost, currency())])]
    takes.append("Engage adds how to opt out" if one.opt_out_added else "the text says how to opt out")
    console.print(plain(f"  {' · '.join(takes)}"), style="dim", soft_wrap=True)
    if one.stands_in:
        console.print(f"  No customer of {one.segment} reads this language, so this one stands in.", style="dim")
    if one.too_long:
        console.print("  Too long: the sender would skip this customer, by max_segments.", style="yellow")
