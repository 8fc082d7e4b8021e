"""What is odd about allowed settings: words for the operator, who may have meant it so."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from engage.segments import Rules
from engage.segments.warnings import warnings as rule_warnings


def warnings(
    rules: Rules, *, idle_approvers: bool, unread: Collection[str], about_texts: Mapping[str, Collection[str]]
) -> list[str]:
    """What is odd about the rules, the approval and the texts, although they are allowed.

    ``idle_approvers``: approvers are named, and no list needs them; ``unread``: the names in ``engage_messages`` that
    are no segment with a text of its own; ``about_texts``: what is odd about each segment's texts.
    """
    found = rule_warnings(rules)
    if idle_approvers:
        found.append(
            "engage_approvers names users, and no list needs an approval: engage_require_approval is off and "
            "engage_approval_above is 0."
        )
    found += [
        f"engage_messages has texts for {name}, and no customer gets them: it is no segment with a text of its own."
        for name in unread
    ]
    return found + [f"{name}: {warning}" for name, odd in about_texts.items() for warning in odd]
