"""The entries of Airflow's audit log in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engage import formats
from engage.currency import currency
from engage.errors import EngageError
from engage.pages.audit_log import SETTING_EVENTS, THRESHOLDS_EVENT, AuditEntry, changed_settings
from engage.pages.happenings import Happening, Kind
from engage.parsing import day, number
from engage.statuses import MessageStatus
from engage.window import Window


@dataclass(frozen=True)
class _Words:
    kind: Kind
    tone: str
    did: Callable[[Mapping[str, Any]], str]


def _always(text: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda details: text


def _triggered(details: Mapping[str, Any]) -> str:
    options = [str(name).replace("_", " ") for name, value in _conf(details).items() if value is True]
    return "triggered a run" + (f" ({', '.join(options)})" if options else "")


def _marked(what: str, key: str) -> Callable[[Mapping[str, Any]], str]:
    def did(details: Mapping[str, Any]) -> str:
        state = details.get(key)
        return f"marked a {what} as {state}" if state else f"changed a {what}"

    return did


def _started(details: Mapping[str, Any]) -> str:
    options = [name.replace("_", " ") for name in ("dry_run", "send_late", "ignore_guard", "seed") if details.get(name)]
    return "started a run" + (f" ({', '.join(options)})" if options else "")


def _settled(details: Mapping[str, Any]) -> str:
    status = details.get("status")
    return "settled a message of unknown outcome" + (f" as {status}" if status in [*MessageStatus] else "")


def _exported(details: Mapping[str, Any]) -> str:
    rows = details.get("rows")
    what = formats.counted(rows, "message") if isinstance(rows, int) else "messages"
    return f"exported {what} with phone numbers"


def _imported(details: Mapping[str, Any]) -> str:
    noun = "event" if details.get("kind") == "events" else "customer"
    added, changed, rejected = (details.get(name) for name in ("added", "changed", "rejected"))
    if not (isinstance(added, int) and isinstance(changed, int)):
        return f"imported {noun}s from a file"
    more = f"; {formats.counted(rejected, 'row')} rejected" if isinstance(rejected, int) and rejected else ""
    return f"imported {formats.counted(added + changed, noun)} from {details.get('file') or 'a file'}{more}"


def _judged_text(words: str) -> Callable[[Mapping[str, Any]], str]:
    """What was done to drafted texts: ``words`` with the segment, and the variant that a text became."""

    def did(details: Mapping[str, Any]) -> str:
        variant = f" as text {details['variant']}" if details.get("variant") else ""
        return f"{words}{variant} for {details.get('segment') or 'a segment'}"

    return did


def _days(did: str) -> Callable[[Mapping[str, Any]], str]:
    def words(details: Mapping[str, Any]) -> str:
        days = [str(details.get(name) or "")[:10] for name in ("first", "last")]
        return f"{did} {' to '.join(dict.fromkeys(filter(None, days))) or 'days'}"

    return words


def _answered(details: Mapping[str, Any]) -> str:
    options = details.get("chosen_options") or details.get("answer")
    answer = ", ".join(map(str, options)) if isinstance(options, list) else str(options or "").capitalize()
    return f"answered the question of a run: {answer}" if answer else "answered the question of a run"


def _paused(details: Mapping[str, Any]) -> str:
    return "paused the DAG" if details.get("is_paused") is True else "switched the DAG on"


def _thresholds(details: Mapping[str, Any]) -> str:
    low, high = details.get("low_spend_threshold"), details.get("high_activity_threshold")
    try:
        spend, sessions = formats.threshold(number(str(low)), currency()), formats.number(number(str(high)))
    except EngageError:
        return "set the thresholds"
    return f"set BOOST below {spend} and REWARD above {sessions} sessions a week"


WORDS = {
    "engage.halt": _Words(Kind.CAMPAIGNS, "failed", _always("used Halt…")),
    "engage.resume": _Words(Kind.CAMPAIGNS, "running", _always("used Resume…")),
    "engage.explain_days": _Words(Kind.CAMPAIGNS, "info", _days("explained")),
    "engage.unexplain_days": _Words(Kind.CAMPAIGNS, "none", _days("took back the reason for")),
    "engage.go_on": _Words(Kind.RUNS, "queued", _always("used Go on…")),
    "trigger_dag_run": _Words(Kind.RUNS, "queued", _triggered),
    "cli_dag_trigger": _Words(Kind.RUNS, "queued", _always("triggered a run on the command line")),
    "clear_dag_run": _Words(Kind.RUNS, "queued", _always("cleared a run")),
    "post_clear_task_instances": _Words(Kind.RUNS, "queued", _always("cleared tasks of a run")),
    "patch_dag_run": _Words(Kind.RUNS, "none", _marked("run", "state")),
    "patch_task_instance": _Words(Kind.RUNS, "none", _marked("task", "new_state")),
    "delete_dag_run": _Words(Kind.RUNS, "failed", _always("deleted a run")),
    "create_backfill": _Words(Kind.RUNS, "queued", _always("started a backfill")),
    "cancel_backfill": _Words(Kind.RUNS, "none", _always("cancelled a backfill")),
    "update_hitl_detail": _Words(Kind.CAMPAIGNS, "awaiting_input", _answered),
    "patch_dag": _Words(Kind.RUNS, "none", _paused),
    "engage.approval_refused": _Words(Kind.CAMPAIGNS, "warning", _always("tried to approve a list, and was refused")),
    "engage.answer": _Words(Kind.CAMPAIGNS, "awaiting_input", _answered),
    "engage.start_run": _Words(Kind.RUNS, "queued", _started),
    "engage.settle_message": _Words(Kind.MESSAGES, "info", _settled),
    "engage.reconcile_messages": _Words(Kind.MESSAGES, "info", _always("asked the provider about unknown outcomes")),
    "engage.exported_messages": _Words(Kind.MESSAGES, "warning", _exported),
    "engage.propose_texts": _Words(Kind.MESSAGES, "info", _judged_text("asked a model for texts")),
    "engage.edit_draft": _Words(Kind.MESSAGES, "info", _judged_text("edited a drafted text")),
    "engage.approve_draft": _Words(Kind.MESSAGES, "success", _judged_text("approved a drafted text")),
    "engage.reject_draft": _Words(Kind.MESSAGES, "none", _judged_text("rejected a drafted text")),
    "engage.search_by_phone": _Words(Kind.CUSTOMERS, "none", _always("searched for a customer by phone")),
    "engage.opt_out": _Words(Kind.CUSTOMERS, "skipped", _always("opted a customer out")),
    "engage.forget_customer": _Words(Kind.CUSTOMERS, "failed", _always("had a customer forgotten")),
    "engage.import_file": _Words(Kind.CUSTOMERS, "info", _imported),
    **dict.fromkeys(SETTING_EVENTS, _Words(Kind.SETTINGS, "info", _always("changed"))),
    THRESHOLDS_EVENT: _Words(Kind.SETTINGS, "info", _thresholds),
}
"""The words of each event of the audit log that the pages show."""


def events_of(kind: Kind | None) -> list[str]:
    """The events of the audit log of one kind, or of all."""
    return [event for event, words in WORDS.items() if kind in (None, words.kind)]


def of_entry(entry: AuditEntry) -> Happening | None:
    """The entry in words; None if it is not about Engage."""
    words = WORDS.get(entry.event)
    if words is None:
        return None
    changed = changed_settings(entry) if words.kind is Kind.SETTINGS else {}
    if words.kind is Kind.SETTINGS and not changed:
        return None
    named = entry.event != THRESHOLDS_EVENT  # which says the values
    only_reset = named and changed and set(changed.values()) == {"reset"}
    return Happening(
        at=entry.at,
        kind=words.kind,
        tone=words.tone,
        did="reset" if only_reset else words.did(entry.details),
        user=entry.user or None,
        why=_why(entry.details),
        window=_window(entry.details),
        run_id=entry.run_id,
        settings=changed if named else {},
    )


def _window(details: Mapping[str, Any]) -> Window | None:
    named = details.get("window_start") or _conf(details).get("window_start")
    try:
        return Window(day(str(named))) if named else None
    except (EngageError, ValueError):
        return None


def _why(details: Mapping[str, Any]) -> str | None:
    why = details.get("why")
    return why if isinstance(why, str) and why else None


def _conf(details: Mapping[str, Any]) -> dict[str, Any]:
    conf = details.get("conf")
    return conf if isinstance(conf, dict) else {}
