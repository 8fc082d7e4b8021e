"""The settings in groups, each with its name for people, in the order of the page *Texts and settings*."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engage.settings.custom import custom, segment_of_text


@dataclass(frozen=True)
class Group:
    """Settings about one subject. ``labels``: the name for people of each setting."""

    name: str
    labels: dict[str, str]

    @property
    def key(self) -> str:
        """The group's name in an address."""
        return self.name.lower().replace(" ", "-")


GROUPS = (
    Group(
        "Texts",
        {
            "message_boost": "Text for BOOST",
            "message_reward": "Text for REWARD",
            "messages": "Other languages, and texts to compare",
            "learn_variants": "Learn which text does better",
            "offer": "Offer of the codes",
            "max_segments": "Longest text",
            "brand": "Name of the chain",
        },
    ),
    Group(
        "Segments and thresholds",
        {
            "segments": "Segments and their rules",
            "low_spend_threshold": "Low spend threshold",
            "high_activity_threshold": "High activity threshold",
        },
    ),
    Group(
        "Recipients and hours",
        {
            "sending_hours": "Sending hours",
            "send_within_days": "Days to send within",
            "min_days_between_messages": "Days between messages",
            "holdout_percent": "Holdout",
            "primary_metric": "What the holdout is compared by",
        },
    ),
    Group(
        "Pace and cost",
        {
            "messages_per_second": "Messages a second",
            "send_concurrency": "Messages at the same time",
            "max_messages_per_run": "Most messages in a run",
            "price_per_segment": "Price of a segment",
            "message_budget": "Budget of a campaign's messages",
            "over_budget": "What happens beyond the budget",
        },
    ),
    Group(
        "Approval",
        {
            "require_approval": "Ask an approver before messages go out",
            "approval_above": "Ask about a list of more messages than",
            "approvers": "Users who may approve",
            "four_eyes": "Approver and editor must differ",
            "approval_hours": "Hours to wait for the approver",
        },
    ),
    Group(
        "Guard",
        {
            "guard_min_volume_percent": "Least events, in percent of the last window",
            "guard_max_quiet_days": "Most days without an event at the end",
            "guard_max_shift_points": "Most points by which a segment may move",
            "guard_rhythm": "What to do about odd days",
            "odd_sessions_per_day": "Most sessions a day, beyond which a customer is odd",
            "odd_amount": "Largest purchase, beyond which a customer is odd",
            "odd_customers_per_phone": "Most customers with one phone, beyond which they are odd",
            "max_filtered_percent": "Most filtered messages, in percent",
            "max_undelivered_percent": "Most failed messages, in percent",
        },
    ),
    Group(
        "Provider and alerts",
        {
            "sms_provider": "Provider",
            "sandbox_strict": "Check phones and hours in the sandbox, too",
            "source": "Connection to pull events from",
            "engine": "What sums up the events",
            "alert_emails": "Addresses for alerts",
            "test_phones": "Phones for test messages",
            "keep_windows": "Windows to keep",
        },
    ),
)

LABELS = {name: label for group in GROUPS for name, label in group.labels.items()}
"""The name for people of each fixed setting."""


def groups(names: Iterable[str]) -> tuple[Group, ...]:
    """The groups with the settings ``names``. Those whose names staff chose stand with others of their kind."""
    added: dict[str, dict[str, str]] = {"Texts": {}, "Segments and thresholds": {}}
    for name in names:
        if name not in LABELS:
            added["Texts" if segment_of_text(name) else "Segments and thresholds"][name] = label(name)
    return tuple(Group(one.name, one.labels | added.get(one.name, {})) for one in GROUPS)


def label(name: str) -> str:
    """The name for people of a setting, also of one whose name the staff chose; else the name itself."""
    kind = custom(name)
    return LABELS.get(name, kind.label if kind else name)
