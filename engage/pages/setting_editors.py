"""The users who last changed settings, by Airflow's audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engage.campaigns.approvers import Edit
from engage.pages.audit_log import AuditEntry, changed_settings

_NAMED_BY_REQUEST = {"post_variable": "key", "bulk_variables": "actions"}
"""Edits whose entry names the Variable, and where. Of a request in an unusual form, Airflow keeps no part."""


def last_edits(entries: Sequence[AuditEntry], settings: Iterable[str]) -> tuple[tuple[Edit, ...], tuple[str, ...]]:
    """The last edit of each of ``settings``, and those of which the entries know none. ``entries``: newest first.

    An entry that names no Variable may be about any, so each one after a setting's last edit counts as an edit of it.
    """
    read = [(one, _about(one)) for one in entries]
    found = {name: tuple(_of(name, read)) for name in settings}
    edits = tuple(one for those in found.values() for one in those)
    return edits, tuple(name for name, those in found.items() if not those)


def _of(name: str, read: Sequence[tuple[AuditEntry, Mapping[str, bool] | None]]) -> Iterator[Edit]:
    first_value = None
    for entry, about in read:
        edit = Edit(name, entry.user, entry.at, command_line=entry.event.startswith("cli_"))
        if about is None:
            yield edit
        elif about.get(name):
            yield edit
            return
        elif name in about:
            first_value = first_value or edit
    if first_value:
        yield first_value


def _about(entry: AuditEntry) -> dict[str, bool] | None:
    """The settings that an entry is about; None if it does not say. False: it sets only a missing Variable."""
    place = _NAMED_BY_REQUEST.get(entry.event)
    if entry.event == "cli_variables_import" or (place and not entry.details.get(place)):
        return None
    return {name: name not in _only_if_missing(entry) for name in changed_settings(entry)}


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
