"""Every status, reason and kind in the database, each a ``StrEnum``. The tables' checks are made from them."""

from __future__ import annotations

from enum import StrEnum, auto


class CampaignStatus(StrEnum):
    """How far a campaign has come."""

    EXTRACTED = auto()
    AGGREGATED = auto()
    BUCKETED = auto()
    QUEUED = auto()
    SENDING = auto()
    COMPLETE = auto()


class RunMode(StrEnum):
    """What the run that computed a campaign may do with its messages. Only ``TEXT`` sends any."""

    TEXT = auto()
    DRY_RUN = auto()
    BACKFILL = auto()
    LATE = auto()
    """The window ended too long ago to text its customers."""


class ApprovalState(StrEnum):
    """The state of the approver's answer about a campaign's list."""

    REQUESTED = auto()
    APPROVED = auto()
    REJECTED = auto()


APPROVAL_MOVES: dict[ApprovalState | None, tuple[ApprovalState | None, ...]] = {
    None: (ApprovalState.REQUESTED,),
    ApprovalState.REQUESTED: (ApprovalState.APPROVED, ApprovalState.REJECTED),
    ApprovalState.APPROVED: (),
    ApprovalState.REJECTED: (ApprovalState.REQUESTED, None),
}
"""The next states of each state; None is a campaign whose approval was never requested, or is needed no more."""


class MessageStatus(StrEnum):
    """Where a message is on its way. ``MESSAGE_MOVES`` says which status may follow which."""

    QUEUED = auto()
    SENDING = auto()
    ACCEPTED = auto()
    SENT = auto()
    UNKNOWN = auto()
    DELIVERED = auto()
    UNDELIVERED = auto()
    FAILED = auto()
    SKIPPED = auto()


_SETTLED = (MessageStatus.DELIVERED, MessageStatus.UNDELIVERED, MessageStatus.FAILED)
_TAKEN = (MessageStatus.ACCEPTED, MessageStatus.SENT, *_SETTLED)

MESSAGE_MOVES: dict[MessageStatus, tuple[MessageStatus, ...]] = {
    MessageStatus.QUEUED: (MessageStatus.SENDING, MessageStatus.SKIPPED),
    MessageStatus.SENDING: (*_TAKEN, MessageStatus.QUEUED, MessageStatus.UNKNOWN),
    MessageStatus.ACCEPTED: (MessageStatus.SENT, *_SETTLED),
    MessageStatus.SENT: _SETTLED,
    MessageStatus.UNKNOWN: _TAKEN,
    MessageStatus.DELIVERED: (),
    MessageStatus.UNDELIVERED: (),
    MessageStatus.FAILED: (),
    MessageStatus.SKIPPED: (),
}
"""The next statuses of each status. The database refuses every other move (trigger ``message_move``).

A message returns from ``sending`` to ``queued`` only if the provider certainly has not taken it. A receipt may arrive
before the sender records that the message was accepted. A receipt may also settle an unknown outcome.
"""


class SkipReason(StrEnum):
    """Why a customer in a texted bucket gets no message."""

    BACKFILL = auto()
    TOO_LATE = auto()
    HOLDOUT = auto()
    NO_CUSTOMER = auto()
    OPTED_OUT = auto()
    SUPPRESSED = auto()
    DEAD_NUMBER = auto()
    NO_CONSENT = auto()
    NO_PHONE = auto()
    INVALID_PHONE = auto()
    NOT_MOBILE = auto()
    DUPLICATE_PHONE = auto()
    PHONE_CHANGED = auto()
    SYNTHETIC = auto()
    TOO_SOON = auto()
    OVER_BUDGET = auto()
    NO_BUCKET = auto()
    TOO_LONG = auto()
    CODE_EXPIRED = auto()
    NO_TIME_ZONE = auto()
    QUIET_HOURS = auto()
    REJECTED = auto()
    ERASED = auto()


class ExperimentArm(StrEnum):
    """The group of a campaign's experiment that chance puts a customer in."""

    TEXTED = auto()
    HOLDOUT = auto()


class Metric(StrEnum):
    """What the arms of an experiment are compared by."""

    BOUGHT_AGAIN = auto()
    SPEND = auto()
    SESSIONS = auto()


class ProviderFact(StrEnum):
    """Why a message did not arrive, as its provider reports it. Only the provider's own module knows its numbers."""

    OPTED_OUT = auto()
    """The phone's owner has told the provider to stop."""
    FILTERED = auto()
    """Networks take the message for spam."""
    SENDER_NOT_REGISTERED = auto()
    """The sender's number lacks a registration that networks require."""
    SENDER_LIMIT_REACHED = auto()
    """The sender's number has reached a limit of its registration."""
    NUMBER_INVALID = auto()
    """The number does not exist."""
    NOT_MOBILE = auto()
    """The number takes no text messages, such as a landline."""
    UNREACHABLE = auto()
    BLOCKED = auto()
    REGION_NOT_PERMITTED = auto()
    """The account may not text this country."""
    TEXT_TOO_LONG = auto()


class SendTestStatus(StrEnum):
    """Where a test message is on its way."""

    WAITING = auto()
    SENDING = auto()
    ACCEPTED = auto()
    FAILED = auto()
    UNKNOWN = auto()
    """The process ended before the provider's answer. It is not sent again."""
    REFUSED = auto()
    """Engage did not hand it over: the phone has opted out, or is no longer on the list."""


class SuppressionReason(StrEnum):
    """Why a phone gets no texts. ``REVOCATION`` is a stop in other words than a keyword."""

    STOP = auto()
    REVOCATION = auto()
    PROVIDER = auto()
    DEAD_NUMBER = auto()
    """The number does not exist, or takes no texts. A customer's new phone is texted."""
    ERASURE = auto()


class ConsentState(StrEnum):
    """What a row of the consent record says: first the changes of a customer, then those of a phone."""

    GIVEN = auto()
    ABSENT = auto()
    """The customer was stored without a consent."""
    WITHDRAWN = auto()
    """The customer's profile came without the consent that it had."""
    OPTED_OUT = auto()
    PHONE_CHANGED = auto()
    RESUMED = auto()
    """A new consent ended the customer's opt-out, or a START or a consent the phone's stop."""
    STOPPED = auto()
    REVOKED = auto()
    REFUSED = auto()
    """The provider may not text the phone."""
    DEAD_NUMBER = auto()
    ERASED = auto()


class ConsentSource(StrEnum):
    """Where a change of consent came from."""

    APP = auto()
    """The client, over HTTP."""
    IMPORT = auto()
    STOP = auto()
    START = auto()
    REVOCATION = auto()
    PROVIDER = auto()
    OPERATOR = auto()
    ERASURE = auto()
    EARLIER = auto()
    """A version before migration 0022, which kept the last change only."""


class ProposalStatus(StrEnum):
    """Where a request for texts of a model is on its way."""

    WAITING = auto()
    ASKING = auto()
    """The model may have the request, and what it writes may cost money, so no process sends it again."""
    DONE = auto()
    FAILED = auto()


class TextStatus(StrEnum):
    """What became of a text that a model has drafted. None but an approved one may be sent."""

    DRAFT = auto()
    REFUSED = auto()
    """By the checks of a text. An edit may mend it."""
    APPROVED = auto()
    REJECTED = auto()


class TextSource(StrEnum):
    """Who wrote a text as it stands."""

    MODEL = auto()
    OPERATOR = auto()
    """An operator has edited what the model wrote."""


class TextClass(StrEnum):
    """What a customer's text to us asks for. ``REVOCATION`` is an opt-out in the customer's own words."""

    STOP = auto()
    START = auto()
    HELP = auto()
    REVOCATION = auto()
    OTHER = auto()


class AppEventKind(StrEnum):
    """Events of the app other than sessions and purchases."""

    VIEWED = auto()
    LIKED = auto()
    ADDED_TO_BASKET = auto()


class RejectReason(StrEnum):
    """Why an event does not count for a campaign, in the order in which the reasons apply."""

    MISSING_TIMESTAMP = auto()
    FUTURE_DATED = auto()
    MISSING_CUSTOMER = auto()
    INVALID_AMOUNT = auto()
    UNKNOWN_CUSTOMER = auto()
    REGISTERED_LATER = auto()
    REFUND_MISSING_TIMESTAMP = auto()
    REFUND_FUTURE_DATED = auto()
    REFUND_MISSING_CUSTOMER = auto()
    REFUND_INVALID_AMOUNT = auto()
    REFUND_UNKNOWN_CUSTOMER = auto()
    """Also of a customer who registered after the window's end."""


class GuardCheck(StrEnum):
    """What the guard compares with a limit: counts of events, the newest event, single days, the buckets' shares."""

    SOURCE = auto()
    """Rows that were read from the source of events, with those that it has."""
    VOLUME = auto()
    FRESHNESS = auto()
    RHYTHM = auto()
    """Single days, with what is usual for them."""
    MIX = auto()


class DaySource(StrEnum):
    """The kinds of events that are counted by day, named as among a campaign's counts."""

    SESSIONS = auto()
    PURCHASES = auto()


class ExplainedSource(StrEnum):
    """The kinds of events of a day for which a reason is known."""

    ALL = auto()
    SESSIONS = auto()
    PURCHASES = auto()


class ApiScope(StrEnum):
    """What an API key may do."""

    EVENTS = auto()
    CUSTOMERS = auto()
    READ = auto()
    METRICS = auto()


class AlertKind(StrEnum):
    """What an alert reports to the operators."""

    TASK_FAILED = auto()
    APPROVAL_REQUESTED = auto()
    APPROVAL_TIMED_OUT = auto()
    CAMPAIGN_HALTED = auto()
    MESSAGES_UNKNOWN = auto()
    POOR_DELIVERY = auto()
    """A campaign is complete, but too large a share of its messages did not arrive."""
    WINDOW_STUCK = auto()
    """A window was not texted, or its campaign cannot move on by itself."""
