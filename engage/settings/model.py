"""One campaign's settings: each with its default, its range, and its meaning for the operator."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from engage.segments import Relative, Resolved
from engage.settings import field_types, languages, message_budget, setting_warnings, text_variants
from engage.settings.custom import A_TEXT, custom, message_name
from engage.settings.field_types import (
    Budget,
    Count,
    Emails,
    Hours,
    MessageText,
    Number,
    Phones,
    UserNames,
    edited_from,
    kept_threshold,
)
from engage.settings.rule_settings import RuleSettings
from engage.statuses import Metric
from engage.texts.template import Template

STAFF = frozenset({"alert_emails", "test_phones"})
"""The settings with addresses and phones of the staff. No campaign keeps them."""


class Settings(RuleSettings):
    """One campaign's settings, validated and frozen. Settings with names that the staff choose are extra fields."""

    send_within_days: Annotated[Count, Field(ge=0, le=3650), edited_from(1)] = Field(
        7,
        title="a whole number of days from 1 to 3650",
        description="Customers are texted up to this many days after the window's end; with send_late, also later.",
    )
    message_boost: MessageText = Field(
        "We miss you! Show this text at the counter for 10% off your next meal. Reply STOP to opt out.",
        title=A_TEXT,
        description="The text message for BOOST.",
    )
    message_reward: MessageText = Field(
        "Thank you for being a regular! Your next dessert is on us. Reply STOP to opt out.",
        title=A_TEXT,
        description="The text message for REWARD.",
    )
    messages: languages.Languages = Field(
        {},
        title='JSON such as {"REWARD": {"es": "…"}} or {"BOOST": {"a": {"es": "…"}, "b": "…"}}',
        description="Texts in other languages, by the customer's locale, and up to five variants to compare, a to e.",
    )
    learn_variants: bool = Field(
        False,
        title="true or false",
        description="Whether, of a segment's several texts, the one that did better before goes to more customers.",
    )
    offer: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9_-]{0,39})?$")] = Field(
        "",
        title="a name of up to 40 small letters, digits, - and _, or nothing",
        description="The offer whose codes the texts with {{ offer_code }} take.",
    )
    max_segments: Annotated[Count, Field(ge=1, le=10)] = Field(
        3,
        title="a whole number from 1 to 10",
        description="Longest message, in SMS segments. A segment has 160 plain characters, or 70 with an emoji.",
    )
    brand: Annotated[str, Field(pattern=r"^(\S([\S ]{0,38}\S)?)?$")] = Field(
        "",
        title="a name of up to 40 characters in one line, or nothing",
        description="The chain's name. Each text that a model drafts must have it; if empty, this is not checked.",
    )
    price_per_segment: Annotated[Number, Field(ge=0, le=1000, decimal_places=6)] = Field(
        Decimal(0),
        title="a number from 0 to 1000 with at most 6 decimals",
        description="What the provider charges for one SMS segment, in the installation's currency; 0 shows no costs.",
    )
    message_budget: Budget = Field(
        message_budget.NONE,
        title=message_budget.FORMS,
        description="What a campaign's messages may cost at most, or how many they may be; 0 is no limit.",
    )
    over_budget: Literal["stop", "cut"] = Field(
        "stop",
        title="'stop' or 'cut'",
        description="What happens to a list beyond the budget: it stops before the first message, or it is cut to "
        "those furthest beyond their segment's threshold.",
    )
    sending_hours: Hours = Field(
        "8:00-21:00",
        title="two times of one day such as 8:00-21:00, or 0:00-24:00 for always",
        description="Customers are texted only within these hours of their own local time.",
    )
    min_days_between_messages: Annotated[Count, Field(ge=0, le=3650)] = Field(
        7,
        title="a whole number of days from 0 to 3650",
        description="Fewest days between two campaigns' messages to one customer or phone; 0 is no limit.",
    )
    holdout_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(0),
        title="a number from 0 to 100 with at most 2 decimals",
        description="Share of the customers to text who get no message, for comparison.",
    )
    primary_metric: Metric = Field(
        Metric.BOUGHT_AGAIN,
        title="'bought_again', 'spend' or 'sessions'",
        description="What decides whether the texts did something: the texted customers are compared with the holdout.",
    )
    max_messages_per_run: Annotated[Count, Field(ge=0, le=1_000_000_000)] = Field(
        0,
        title="a whole number from 0 to 1000000000",
        description="A run with more messages than this stops before the first one; 0 is no limit.",
    )
    messages_per_second: Annotated[Number, Field(ge=0, le=10_000, max_digits=15)] = Field(
        Decimal(0),
        title="a number from 0 to 10000 with at most 15 digits",
        description="Sending rate; 0 is as fast as the provider takes them. Read again while sending.",
    )
    send_concurrency: Annotated[Count, Field(ge=1, le=100)] = Field(
        10,
        title="a whole number from 1 to 100",
        description="Messages that are handed to the provider at the same time. Read again while sending.",
    )
    max_filtered_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(10),
        title="a number from 0 to 100 with at most 2 decimals",
        description="A campaign halts once networks filter out more than this share of its messages as spam.",
    )
    max_undelivered_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(50),
        title="a number from 0 to 100 with at most 2 decimals",
        description="A campaign halts once more than this share of its messages fail, for whatever reason.",
    )
    guard_min_volume_percent: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(50),
        title="a number from 0 to 100 with at most 2 decimals",
        description="The guard stops a window below this share of the last window's sessions or purchases; 0 is off.",
    )
    guard_max_quiet_days: Annotated[Count, Field(ge=0, le=56)] = Field(
        3,
        title="a whole number of days from 0 to 56",
        description="The guard stops a window whose newest event is more than this many days before its end; 0 is off.",
    )
    guard_max_shift_points: Annotated[Number, Field(ge=0, le=100, decimal_places=2)] = Field(
        Decimal(25),
        title="a number from 0 to 100 with at most 2 decimals",
        description="The guard stops a campaign if a segment's share moves by more points than this; 100 is off.",
    )
    guard_rhythm: Literal["tell", "stop", "off"] = Field(
        "tell",
        title="'tell', 'stop' or 'off'",
        description="What the guard does about days with far more or fewer events than is usual for them.",
    )
    odd_sessions_per_day: Annotated[Count, Field(ge=0, le=100_000)] = Field(
        50,
        title="a whole number from 0 to 100000",
        description="A customer with more sessions a day than this, on average, is listed as odd; 0 is no limit.",
    )
    odd_amount: Annotated[Number, Field(ge=0, le=1_000_000_000, decimal_places=2)] = Field(
        Decimal("10000.00"),
        title="a number from 0 to 1000000000 with at most 2 decimals",
        description="A customer with a single purchase above this amount is listed as odd; 0 is no limit.",
    )
    odd_customers_per_phone: Annotated[Count, Field(ge=0, le=1_000_000)] = Field(
        5,
        title="a whole number from 0 to 1000000",
        description="Customers are listed as odd if more of a list's than this have one phone; 0 is no limit.",
    )
    require_approval: bool = Field(
        False,
        title="true or false",
        description="Whether an approver must approve a campaign's list in Airflow before messages go out.",
    )
    approval_above: Annotated[Count, Field(ge=0, le=1_000_000_000)] = Field(
        0,
        title="a whole number of messages from 0 to 1000000000",
        description="A list of more messages than this needs an approval also if engage_require_approval is off; "
        "0 is never.",
    )
    approvers: UserNames = Field(
        "",
        title="Airflow user names with commas between them, or nothing",
        description="The users who may approve a list; if empty, each user whom Airflow lets answer.",
    )
    four_eyes: bool = Field(
        True,
        title="true or false",
        description="Whether the approver must be another user than those who triggered the run or last changed its "
        "settings. It counts if engage_approvers names users.",
    )
    approval_hours: Annotated[Count, Field(ge=1, le=720)] = Field(
        48,
        title="a whole number of hours from 1 to 720",
        description="How long a run waits for the approver. A list without an answer is rejected.",
    )
    sms_provider: Literal["sandbox", "twilio"] = Field(
        "sandbox",
        title="'sandbox' or 'twilio'",
        description="Provider that delivers the messages. The sandbox accepts every message and delivers none.",
    )
    sandbox_strict: bool = Field(
        False,
        title="true or false",
        description="Whether phone numbers and sending hours are also checked for the sandbox, as for a real provider.",
    )
    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{0,200}$")] = Field(
        "",
        title="the name of a connection, or nothing",
        description="Airflow connection to a warehouse, or to files, from which each run pulls the window's events.",
    )
    engine: Literal["postgres", "spark"] = Field(
        "postgres",
        title="'postgres' or 'spark'",
        description="What sums up the events: Postgres, or Spark over the archive (connection engage_spark).",
    )
    alert_emails: Emails = Field(
        "",
        title="e-mail addresses with commas between them, or nothing",
        description="Addresses for alerts of failures, halts, approvals and unknown outcomes. Read for each alert.",
    )
    test_phones: Phones = Field(
        "",
        title="phone numbers in E.164 with commas between them, or nothing",
        description="Phones of the staff, to which the page Segments may send a text for a test.",
    )
    keep_windows: Annotated[Count, Field(ge=1, le=1000)] = Field(
        13,
        title="a whole number of windows from 1 to 1000",
        description="Complete windows whose events are kept. Older events are deleted once their campaign is complete.",
    )

    @property
    def real(self) -> bool:
        """Whether messages reach customers' phones."""
        return self.sms_provider != "sandbox"

    @property
    def strict(self) -> bool:
        """Whether phone numbers and sending hours are checked."""
        return self.real or self.sandbox_strict

    @property
    def texted(self) -> tuple[str, ...]:
        """The segments that have a text, in order."""
        return tuple(name for name in self.segments.named if languages.OWN in self._by_variant(name))

    def cost(self, segments: int) -> Decimal | None:
        """What ``segments`` SMS segments cost, in the installation's currency; None without a price."""
        return segments * self.price_per_segment if self.price_per_segment else None

    def exceeds_budget(self, messages: int, cost: Decimal | None) -> bool:
        """Whether so many messages, or so high a cost, are more than the budget allows."""
        spent = self.message_budget.spent(messages, cost)
        return spent is not None and 0 < self.message_budget.most < spent

    @property
    def may_need_approval(self) -> bool:
        """Whether some lists need an approval."""
        return self.require_approval or self.approval_above > 0

    @property
    def approver_names(self) -> tuple[str, ...]:
        """The users who may approve; none if each user may whom Airflow lets answer."""
        return field_types.user_names(self.approvers)

    def variants(self, segment: str) -> tuple[str, ...]:
        """The names of the texts of a segment with a text, ``a`` first.

        Raises:
            KeyError: the segment has no text.
        """
        return tuple(self.by_variant(segment))

    def message(self, segment: str, locale: str | None = None, variant: str = languages.OWN) -> str:
        """The template for a segment with a text, in the language of a customer's locale.

        Raises:
            KeyError: the segment has no text, or not this variant.
        """
        texts = self.message_texts(segment, variant)
        return languages.chosen(texts, locale) or texts[""]

    def message_texts(self, segment: str, variant: str = languages.OWN) -> dict[str, str]:
        """The templates of a segment with a text, by language; the empty language is for all others.

        Raises:
            KeyError: the segment has no text, or not this variant.
        """
        return self.by_variant(segment)[variant]

    def by_variant(self, segment: str) -> dict[str, dict[str, str]]:
        """The templates of a segment with a text, by variant and language.

        Raises:
            KeyError: the segment has no text.
        """
        found = self._by_variant(segment)
        if languages.OWN not in found:
            raise KeyError(segment)
        return found

    def each_text(self, segment: str) -> tuple[text_variants.OneText, ...]:
        """All templates of a segment with a text."""
        return text_variants.each(self.by_variant(segment))

    def uses(self, placeholder: str) -> bool:
        """Whether a text names a placeholder."""
        texts = (one.text for segment in self.texted for one in self.each_text(segment))
        return any(placeholder in Template.parse(text).placeholders for text in texts)

    def typical_segments(self, segment: str) -> int:
        """SMS segments of a segment's longest text, with a longish name."""
        return max(Template.parse(one.text).typical_segments() for one in self.each_text(segment))

    def own_text(self, segment: str) -> str | None:
        """The text in the segment's own setting; None without one."""
        found = self._value(message_name(segment))
        return found if isinstance(found, str) else None

    def _by_variant(self, segment: str) -> dict[str, dict[str, str]]:
        none: dict[str, dict[str, str]] = {languages.OWN: {}}
        further = none | languages.by_variant(self.messages.get(segment, {}))
        own = self.own_text(segment)
        found = {name: languages.complete(name, texts, own) for name, texts in further.items()}
        return {name: texts for name, texts in found.items() if texts is not None}

    def text_warnings(self, segment: str) -> tuple[str, ...]:
        """What the operator should know of a segment's texts before they go out."""
        return (*text_variants.warnings(self.by_variant(segment)), *self.unsent(segment))

    def unsent(self, segment: str) -> tuple[str, ...]:
        """A warning that the segment's own setting is not sent, as ``engage_messages`` has a text in its place."""
        name, own = message_name(segment), self.own_text(segment)
        if segment not in self.texted or own in {None, self.message(segment), _default(name)}:
            return ()
        return (f"engage_messages has a text a for all customers, so engage_{name} is not sent.",)

    def warnings(self) -> list[str]:
        """What is odd about the rules and the texts, although they are allowed."""
        return setting_warnings.warnings(
            self.rules,
            idle_approvers=bool(self.approver_names) and not self.may_need_approval,
            unread=[name for name in self.messages if name not in self.texted],
            about_texts={name: self.text_warnings(name) for name in self.texted},
        )

    def snapshot(self) -> dict[str, Any]:
        """JSON-ready values for the campaign; ``from_snapshot`` reads them back. ``STAFF`` stays out of it.

        A share is kept as it was written: its number is the campaign's, not a setting.
        """
        kept = self.model_dump(exclude=set(STAFF))
        chosen = {name: self._value(name) for name in self.__pydantic_extra__ or {}}
        return kept | {name: kept_threshold(one) for name, one in chosen.items() if isinstance(one, Decimal | Relative)}

    @classmethod
    def from_snapshot(cls, snapshot: Mapping[str, Any], resolved: Mapping[str, Any] | None = None) -> Settings:
        """Settings from a snapshot, also of an earlier version: settings that no longer exist are dropped.

        ``resolved``: the numbers that their shares became, as the campaign keeps them.
        """
        found = cls.model_validate({name: value for name, value in snapshot.items() if is_setting(name)})
        return found.with_resolved({name: Resolved.from_json(kept) for name, kept in (resolved or {}).items()})


def _default(name: str) -> object:
    return Settings.model_fields[name].default if name in Settings.model_fields else None


def is_setting(name: str) -> bool:
    """Whether a setting may have this name: one of the fixed ones, or one that staff choose."""
    return name in Settings.model_fields or custom(name) is not None
