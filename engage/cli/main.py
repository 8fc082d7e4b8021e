"""The command line ``engage …``: its commands, and how an error ends one."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.text import Text

import engage
from engage import process_signals
from engage.cli import (
    archive,
    campaigns,
    consent,
    customers,
    database,
    days,
    demo,
    drafts,
    history,
    imports,
    keys,
    local_stack,
    maintenance,
    messages,
    offers,
    report,
    run,
    seed,
    serve,
    texts,
    train,
    variables,
    why,
)
from engage.cli.common import errors, plain
from engage.errors import EngageError
from engage.local.home import Home
from engage.storage.database_errors import DATABASE_ERRORS, SENTENCES, trouble

app = typer.Typer(
    help="Engage: every 8 weeks, from app activity to a text message for the customers who deserve one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"engage {engage.__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Every command starts here."""


app.command()(local_stack.up)
app.command()(demo.demo)
app.command()(local_stack.clean)
app.command()(seed.seed)
app.command()(run.run)
app.command()(campaigns.campaigns)
app.command()(report.report)
app.add_typer(messages.app, name="messages")
app.add_typer(customers.app, name="customers")
app.add_typer(consent.app, name="consent")
app.command()(why.why)
app.add_typer(days.app, name="days")
app.add_typer(history.app, name="history")
app.add_typer(offers.app, name="offers")
app.add_typer(texts.app, name="texts")
for command in (drafts.propose, drafts.drafts, drafts.approve, drafts.reject):
    texts.app.command()(command)
app.add_typer(imports.app, name="import")
app.command()(serve.serve)
app.add_typer(keys.app, name="keys")
app.add_typer(database.app, name="db")
app.command()(variables.variables)
app.command()(maintenance.maintain)
app.add_typer(archive.app, name="archive")
app.command()(train.train)


def main() -> None:
    """Run one command. An ``EngageError`` is one sentence on standard error and exit code 1."""
    _speak_utf8()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    process_signals.interrupt_on_signals()
    try:
        app(prog_name="engage")
    except EngageError as exc:
        _fail(str(exc))
    except OSError as exc:
        if not (home := Home.default()).holds(exc.filename):
            raise
        _fail(home.unusable(exc))
    except sa.exc.ArgumentError as exc:
        _fail(f"ENGAGE_DATABASE_URL is not a database's URL, such as postgresql://user@host/name: {exc}")
    except DATABASE_ERRORS as exc:
        found = trouble(exc)
        if found is None:
            raise
        _fail(f"{SENTENCES[found]} ({getattr(exc, 'orig', None) or exc})")


def _speak_utf8() -> None:
    """Read paths and files as UTF-8 whatever the caller's locale is. A terminal that lacks a character shows a ?."""
    if sys.getfilesystemencoding() != "utf-8":
        environment = os.environ | {"PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
        os.execve(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]], environment)  # noqa: S606
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _fail(sentence: str) -> None:
    """Print the sentence as plain text, because it repeats what was typed, which may look like markup."""
    errors.print(Text.assemble(("Error:", "red"), " ", plain(sentence)), soft_wrap=True)
    sys.exit(1)
