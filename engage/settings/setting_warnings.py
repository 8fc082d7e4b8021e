"""What is odd about allowed settings: words for the operator, who may have meant it so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engage.segments.warnings import warnings as rule_warnings

if TYPE_CHECKING:
    from engage.settings.model import Settings


def warnings(settings: Settings) -> list[str]:
    """What is odd about the rules, the approval and the texts, although they are allowed."""
    found = rule_warnings(settings.rules)
    if settings.approver_names and not settings.may_need_approval:
        found.append(
            "engage_approvers names users, and no list needs an approval: engage_require_approval is off and "
            "engage_approval_above is 0."
        )
    found += [
        f"engage_messages has texts for {name}, and no customer gets them: it is no segment with a text of its own."
        for name in settings.messages
        if name not in settings.texted
    ]
    return found + [f"{name}: {warning}" for name in settings.texted for warning in settings.text_warnings(name)]
