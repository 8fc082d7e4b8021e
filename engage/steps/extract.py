"""Step 2: open the window's campaign, record its settings, and count its events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engage.campaigns import (
    campaign,
    daily_volume,
    event_sums,
    explained_days,
    guard,
    history,
    odd_days,
    refunds,
    return_models,
    valid_events,
)
from engage.campaigns.event_sums import EventCounts, SumEngine
from engage.campaigns.pulled import Pulled
from engage.campaigns.run_options import RunOptions
from engage.errors import NoCustomers, NoValidEvents, SourceError
from engage.segments.fields import RETURN_FIELDS
from engage.settings import Settings
from engage.sources import Source, pull
from engage.statuses import CampaignStatus, DaySource, RejectReason
from engage.storage import partitions
from engage.storage.schema import customer
from engage.window import Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExtractSummary:
    """Valid events by kind, and rejected ones by reason.

    ``frozen``: an earlier run counted them. ``guard``: the guard's findings, or empty. ``warnings``: about the rules
    and the texts. ``pulled``: the rows of the source of events, or empty.
    """

    events: dict[str, int]
    rejected: dict[str, int]
    frozen: bool = False
    guard: str = ""
    warnings: str = ""
    pulled: str = ""


def extract(
    engine: sa.Engine,
    window: Window,
    settings: Settings,
    *,
    as_of: datetime,
    run_id: str,
    options: RunOptions,
    source: Callable[[str], Source] | None = None,
    sums: Callable[[], SumEngine] | None = None,
) -> ExtractSummary:
    """Open the window's campaign, or replace what an earlier run recorded, unless the campaign is frozen.

    First it pulls the window's events from the source that the settings name, if they name one; ``source`` gives it.
    Every run does, also a dry run or a backfill, as it computes from these events. The campaign keeps the guard's
    findings, also if the guard stops it: ``report`` shows them, and ``message`` stops.

    If Postgres has no event of the window, and the settings name another engine, the engine of ``sums`` counts them.

    Raises:
        WindowError: the window has not ended by ``as_of``.
        SourceError: the source of events cannot be read.
        SparkError: the other engine cannot count the events.
        NoCustomers: the customer table is empty.
        NoValidEvents: there are customers, but no valid event in the window.
        GuardStop: the guard has findings, and the run may text customers and does not ignore them.
    """
    window.require_complete(as_of)
    _require_customers(engine)
    partitions.ensure_windows(engine, [window])
    pulled = _pulled(engine, window, settings, as_of, source)
    lake = _lake(engine, window, settings, sums)
    with campaign.opening(engine, window, "extract", as_of) as step:
        if step.campaign.frozen:
            return ExtractSummary(step.campaign.events, step.campaign.rejected, frozen=True)
        counts = lake or _counts(step.conn, window)
        valid, rejected = counts.valid, counts.rejected | _rejected_outside_windows(step.conn, as_of)
        rejected = {str(reason): rejected.get(reason, 0) for reason in RejectReason}
        if not any(valid[kind] for kind in DaySource):
            raise NoValidEvents(_no_valid_event(window, rejected))
        daily_volume.keep(step.conn, window, valid, days=lake.days if lake else None)
        unread = tuple(pulled.findings()) if pulled else ()
        odd_counts = guard.of_events(step.conn, window, settings, valid, newest=counts.newest)
        found = guard.Guard(
            unread + odd_counts + odd_days.findings(step.conn, window, settings),
            _ignored_by(options, run_id),
            reasons=explained_days.of_window(step.conn, window),
        )
        step.save(
            status=CampaignStatus.EXTRACTED,
            run_id=run_id,
            triggered_by=options.by,
            settings_at=as_of,
            mode=options.mode(window, settings, as_of),
            settings=settings.snapshot(),
            events=valid,
            rejected=rejected,
            customers=None,
            buckets=None,
            variants=None,
            budget_cut=None,
            guard=found.to_json(),
            pulled=pulled.to_json() if pulled else None,
        )
        odd = _warnings(step.conn, window, settings)
    if options.may_text(window, settings, as_of):
        found.enforce(window)
    return ExtractSummary(
        valid, rejected, guard=found.note, warnings=" ".join(odd), pulled=pulled.words if pulled else ""
    )


def _pulled(
    engine: sa.Engine, window: Window, settings: Settings, as_of: datetime, source: Callable[[str], Source] | None
) -> Pulled | None:
    """Pull the window's events, unless there is no source, or the campaign is frozen."""
    if not settings.source:
        return None
    with engine.connect() as conn:
        found = campaign.find(conn, window)
    if found and found.frozen:
        return None
    if source is None:
        raise SourceError(
            f"engage_source is {settings.source}, a connection of Airflow, and this run is not one of Airflow's. "
            "Trigger the DAG, or leave the setting source out."
        )
    return pull(engine, window, source(settings.source), as_of=as_of)


def _lake(
    engine: sa.Engine, window: Window, settings: Settings, sums: Callable[[], SumEngine] | None
) -> EventCounts | None:
    """The counts of events that are in files only; None if Postgres has events of the window, or counts them itself."""
    if settings.engine == "postgres":
        return None
    with engine.connect() as conn:
        found = campaign.find(conn, window)
        if (found and found.frozen) or event_sums.in_postgres(conn, window):
            return None
    return event_sums.engine_of(settings.engine, sums).counts(window)


def _counts(conn: sa.Connection, window: Window) -> EventCounts:
    """The counts of the events in Postgres's logs."""
    valid, rejected = valid_events.count_window(conn, window)
    refunded, rejected_refunds = refunds.count_window(conn, window)
    if refunded:
        valid[refunds.KIND] = refunded
    return EventCounts(valid, rejected | rejected_refunds)


def _rejected_outside_windows(conn: sa.Connection, as_of: datetime) -> dict[str, int]:
    return valid_events.count_outside_windows(conn, as_of) | refunds.count_outside_windows(conn, as_of)


def _warnings(conn: sa.Connection, window: Window, settings: Settings) -> list[str]:
    """Log what is odd about the rules and the texts, and return it."""
    found = [*settings.warnings(), *_unknown_before(conn, window, settings), *_unscored(conn, window, settings)]
    for warning in found:
        log.warning("%s", warning)
    return found


def _unknown_before(conn: sa.Connection, window: Window, settings: Settings) -> Iterator[str]:
    """Whether segments need numbers of the window before that no campaign has."""
    before = campaign.settings_of_results(conn, window.previous())
    segments = settings.segments.reaching_back
    if segments and (before is None or "segments" not in before):  # a version without segments knew no times
        yield (
            f"No purchase or session before {window.start:%Y-%m-%d} is known, as no campaign of the window before has "
            f"kept them: {', '.join(segments)} may have customers who bought earlier. Compute the window before first."
        )
    elif (adding := settings.segments.adding_up) and history.without_sums(conn, window.previous()):
        yield (
            f"The sums of windows before {window.previous().start:%Y-%m-%d} are not known, as an earlier version of "
            f"Engage computed them: {', '.join(adding)} may have other customers. Run `engage history rebuild` first."
        )


def _unscored(conn: sa.Connection, window: Window, settings: Settings) -> Iterator[str]:
    """Whether segments need a return score that may not be used."""
    segments = settings.segments.naming(*RETURN_FIELDS)
    if segments and return_models.to_score(conn, window) is None:
        yield (
            f"No return score is in use, so no condition on it holds: {', '.join(segments)} may have no customers. The "
            "page Segments says what is missing."
        )


def _ignored_by(options: RunOptions, run_id: str) -> str | None:
    """The run that ignores the guard, with the user who triggered it; None if the guard counts."""
    if not options.ignore_guard:
        return None
    return f"{run_id}, triggered by {options.by}" if options.by else run_id


def _require_customers(engine: sa.Engine) -> None:
    with engine.begin() as conn:
        if not conn.execute(sa.select(sa.select(customer.c.customer_id).exists())).scalar_one():
            raise NoCustomers(
                "There are no customers yet, so there is nothing to do. Customers come from the app or, for a trial, "
                "from a run triggered with seed."
            )


def _no_valid_event(window: Window, rejected: dict[str, int]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in rejected.items() if count) or "none"
    return (
        f"There are customers, but no valid event in the window {window} (rejected: {reasons}). All customers would "
        "look inactive and get a text for it, so the run stops. Check that the app's events arrive, or name another "
        "window."
    )
