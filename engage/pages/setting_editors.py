"""The users who last changed settings, by Airflow's audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from engage.campaigns.approvers import Edit
from engage.pages.audit_log import AuditEntry, changed_settings

TOLERANCE = timedelta(minutes=1)
"""How far the time of an entry may be from that of its change: an entry is older, and the machines' clocks differ."""
_NAMED_BY = {"post_variable": "key", "bulk_variables": "actions", "delete_variable": "variable_key"}
"""Edits whose entry names the Variable, and where. Of a request in an unusual form, Airflow keeps no part."""
_OF_DELETE = {"variable_key", "method"}
"""All that the entry of a deletion has. A request with a body hides the Variable's name, as Airflow keeps the body."""
_RESET, _ADDED = "reset", "added"


def last_edits(
    entries: Sequence[AuditEntry], settings: Iterable[str], *, until: datetime
) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """The last edit of each of ``settings``, and those of which the entries know none. ``entries``: newest first.

    An entry that names no Variable may be about any, so each one after a setting's last edit counts as an edit of it.
    So does each entry close to ``until``, when the settings were read: its change may have come too late for that.
    """
    read = [(one, _about(one)) for one in entries]
    found = {name: tuple(_of(name, read, until)) for name in settings}
    edits = tuple(one for those in found.values() for one in those)
    return edits, tuple(name for name, those in found.items() if not those)


def _of(name: str, read: Sequence[tuple[AuditEntry, Mapping[str, str] | None]], until: datetime) -> Iterator[Edit]:
    added: Edit | None = None
    for entry, about in read:
        edit = Edit(name, entry.user, entry.at, command_line=entry.event.startswith("cli_"))
        done = about.get(name) if about is not None else None
        if about is None:
            yield edit
        elif done == _ADDED:
            added = edit
        elif done:
            yield edit
            if done == _RESET and added:  # the Variable was missing, so that the later addition counts
                yield added
            added = None
            if entry.at < until - TOLERANCE:
                return
    if added:
        yield added


def _about(entry: AuditEntry) -> dict[str, str] | None:
    """What an entry does with each setting that it names; None if it names none. ``_ADDED``: only if it is missing."""
    place = _NAMED_BY.get(entry.event)
    hidden = entry.event == "delete_variable" and not entry.details.keys() <= _OF_DELETE
    if entry.event == "cli_variables_import" or hidden or (place and not entry.details.get(place)):
        return None
    return changed_settings(entry) | dict.fromkeys(_only_if_missing(entry), _ADDED)


def _only_if_missing(entry: AuditEntry) -> set[str]:
    """The settings that the entry leaves as they are if they have a Variable, such as those of a new start."""
    actions = entry.details.get("actions")
    if entry.event != "bulk_variables" or not isinstance(actions, list):
        return set()
    skipping, others = (
        set(changed_settings(AuditEntry(0, entry.at, "", entry.event, None, {"actions": part})))
        for part in _parted(actions)
    )
    return skipping - others


def _parted(actions: Sequence[object]) -> tuple[list[object], list[object]]:
    """The actions that skip existing Variables, and all others."""
    skips = [
        isinstance(one, dict) and one.get("action") == "create" and one.get("action_on_existence") == "skip"
        for one in actions
    ]
    pairs = list(zip(actions, skips, strict=True))
    return [one for one, skip in pairs if skip], [one for one, skip in pairs if not skip]
