"""What an approver should know before a list goes out, as checks in words."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from engage.campaigns import lateness
from engage.campaigns.campaign import Campaign
from engage.formats import counted, number
from engage.reports import budget_cut_words
from engage.reports.holdout_reach import HoldoutReach
from engage.reports.share_facts import share_facts
from engage.sending import budget
from engage.settings import Settings
from engage.texts.opt_out_line import OPT_OUT_LINE, says_how_to_opt_out


@dataclass(frozen=True)
class Check:
    """One check: ``good`` or not, in words. ``notes`` are its single findings."""

    name: str
    good: bool
    words: str
    notes: tuple[str, ...] = ()


def checks(
    found: Campaign,
    *,
    as_of: datetime,
    waiting: Mapping[str, int] = MappingProxyType({}),
    reaches: Collection[HoldoutReach] = (),
) -> list[Check]:
    """The checks of a campaign's list. ``waiting``: its messages by segment; ``reaches``: of its holdout."""
    settings = found.require_settings()
    return [
        _guard(found),
        *_shares(settings),
        _opt_out(settings),
        *_texts(settings),
        _provider(settings),
        _late(found, as_of),
        _cap(settings),
        *_budget(found, waiting),
        _holdout(settings, reaches),
    ]


def _guard(found: Campaign) -> Check:
    guard = found.guard
    if not guard.findings:
        words = f"nothing odd; {guard.caveat}" if guard.caveat else "nothing odd"
        return Check("Guard", good=not guard.caveat, words=words)
    by = f", ignored by {guard.ignored_by}" if guard.ignored_by and guard.stopping else ""
    sentences = tuple(one.sentence for one in guard.findings)
    return Check("Guard", good=False, words=counted(len(sentences), "finding") + by, notes=sentences)


def _shares(settings: Settings) -> Iterator[Check]:
    """What the shares of the customers became."""
    if found := share_facts(settings):
        notes = tuple(one.note for one in found if one.note)
        yield Check("Shares", good=not notes, words=" ".join(one.sentence for one in found), notes=notes)


def _opt_out(settings: Settings) -> Check:
    if not settings.texted:
        return Check("Opt-out", good=False, words="no segment has a text")
    silent = [
        name for name in settings.texted if not all(says_how_to_opt_out(one.text) for one in settings.each_text(name))
    ]
    if not silent:
        count = sum(len(settings.variants(name)) for name in settings.texted)
        every = {1: "the text says", 2: "both texts say"}.get(count, "all texts say")
        return Check("Opt-out", good=True, words=f"{every} how to opt out")
    return Check("Opt-out", good=True, words=f"Engage adds “{OPT_OUT_LINE}” to {' and '.join(silent)}")


def _texts(settings: Settings) -> Iterator[Check]:
    warnings = tuple(f"{name}: {one}" for name in settings.texted for one in settings.text_warnings(name))
    segments = {name: settings.typical_segments(name) for name in settings.texted}
    if not segments:
        return
    words = ", ".join(f"{name} takes {counted(count, 'SMS segment')}" for name, count in segments.items())
    yield Check("Texts", good=not warnings, words=f"{words} with a long name", notes=warnings)


def _provider(settings: Settings) -> Check:
    if not settings.real:
        return Check("Provider", good=True, words="sandbox: no customer is really texted")
    return Check("Provider", good=True, words=f"{settings.sms_provider.capitalize()} texts real customers")


def _late(found: Campaign, as_of: datetime) -> Check:
    settings = found.require_settings()
    days = counted((as_of - found.window.end).days, "day")
    late = lateness.is_late(found.window, settings, as_of)
    limit = f", and engage_send_within_days is {settings.send_within_days}; the run says send late" if late else ""
    return Check("Lateness", good=not late, words=f"the window ended {days} ago{limit}")


def _cap(settings: Settings) -> Check:
    most = settings.max_messages_per_run
    words = f"a run sends at most {counted(most, 'message')}" if most else "no limit of messages is set"
    return Check("Cap", good=True, words=words)


def _budget(found: Campaign, waiting: Mapping[str, int]) -> Iterator[Check]:
    settings = found.require_settings()
    limit, cost = settings.message_budget, budget.most(settings, waiting)
    spent = limit.spent(sum(waiting.values()), cost)
    if spent is None or not limit:
        return
    all_of_it = budget.in_words(replace(limit, most=spent))
    most = "" if limit.in_messages else " at most"
    if budget.exceeded(settings, waiting):
        yield Check("Budget", good=False, words=f"{all_of_it}{most} exceeds the budget of {budget.in_words(limit)}")
    else:
        cuts = tuple(budget_cut_words.sentences(found))
        yield Check(
            "Budget", good=True, words=f"{all_of_it}{most}, of the budget of {budget.in_words(limit)}", notes=cuts
        )


def _holdout(settings: Settings, reaches: Collection[HoldoutReach]) -> Check:
    words = "none, so the effect is not measured"
    if settings.holdout_percent:
        words = f"{number(settings.holdout_percent)}% of the customers to text get none"
    return Check("Holdout", good=True, words=words, notes=tuple(one.sentence for one in reaches))
