"""Validation of settings: thresholds, texts and switches, with an error that names value and allowed range."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from engage.errors import SettingsError
from engage.segments import DEFAULT, Condition, Relative, Rules
from engage.segments.rules import ORDERING
from engage.settings.custom import custom, message_name
from engage.settings.field_types import EDITED
from engage.settings.meanings import title
from engage.settings.model import Settings
from engage.settings.text_variants import OneText
from engage.texts.template import Template
from engage.texts.text_warnings import costly_characters


def validate(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> Settings:
    """Settings from raw values by name; a missing name keeps its default.

    ``label`` turns a setting's name into the words of an error's reader, such as ``--set name``.

    Raises:
        SettingsError: names every wrong value, and what is allowed.
    """
    if wrong := problems(values, label=label):
        raise SettingsError("; ".join(wrong.values()) + ".")
    return Settings.model_validate(dict(values), context=EDITED)


def require_named(settings: Settings, given: Iterable[str], *, label: Callable[[str], str] = str) -> None:
    """Refuse a threshold or a text that no rule names, such as a mistyped one: it would have no effect.

    Raises:
        SettingsError: names the setting, and those that there are.
    """
    named = (*settings.segments.thresholds, *map(message_name, settings.segments.named))
    for name in given:
        if name not in Settings.model_fields and name not in named:
            known = list(dict.fromkeys([*Settings.model_fields, *named]))
            names = ", ".join(map(label, known))
            raise SettingsError(
                f"{label(name)} is not a setting{_meant(name, label, known)}; the settings are {names}."
            )


def problems(values: Mapping[str, Any], *, label: Callable[[str], str] = str) -> dict[str, str]:
    """What is wrong with raw values: a sentence without its full stop for each wrong setting, by name.

    A text that takes more segments than ``max_segments`` is wrong, too, and so is one with a code of no offer, or a
    budget without a price.
    """
    wrong = {name: _explain(name, values[name], error, label) for name, error in _errors(values).items()}
    found = usable(values)
    if "offer" not in wrong:
        wrong = _codes_of_no_offer(found, label) | wrong
    if "price_per_segment" not in wrong:
        wrong = _budget_without_price(found, label) | wrong
    return wrong if "max_segments" in wrong else _long_messages(found, label) | wrong


def usable(values: Mapping[str, Any]) -> Settings:
    """Settings from raw values, with the default in place of each wrong one."""
    wrong = _errors(values)
    right = {name: value for name, value in values.items() if name not in wrong}
    found = Settings.model_validate(right, context=EDITED)
    if wrong.keys() & set(found.segments.thresholds) - Settings.model_fields.keys():  # it has no default
        found = Settings.model_validate({**right, "segments": DEFAULT}, context=EDITED)
    return found


def _errors(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The first error of each wrong setting, by name."""
    wrong: dict[str, Mapping[str, Any]] = {}
    for name in [name for name in values if name not in Settings.model_fields]:
        if error := _custom_error(name, values[name]):
            wrong[name] = error
    fixed = {name: value for name, value in values.items() if name in Settings.model_fields}
    try:
        rules = Settings.model_validate(fixed, context=EDITED).segments
    except ValidationError as exc:
        wrong |= {str(error["loc"][0]): error for error in exc.errors()}
        rules = _rules_alone(fixed) if "segments" not in wrong else DEFAULT
    missing = [name for name in rules.thresholds if name not in Settings.model_fields and name not in values]
    if missing:
        wrong["segments"] = _missing(missing[0], rules)
    return wrong | _shares_compared_wrongly(values, rules, wrong)


def _shares_compared_wrongly(
    values: Mapping[str, Any], rules: Rules, wrong: Collection[str]
) -> dict[str, Mapping[str, Any]]:
    """Thresholds that are a share of the customers, and whose rules cannot take one."""
    usable = {name: values[name] for name in rules.thresholds if name in values and name not in wrong}
    found: dict[str, Mapping[str, Any]] = {}
    read = Settings.model_validate(usable, context=EDITED)
    for name in usable:
        value = read.threshold(name)
        lines = [one for segment in rules.segments for one in segment.conditions() if one.threshold == name]
        if isinstance(value, Relative) and (why := _no_share(value, lines)):
            found[name] = {"type": "unreadable", "msg": why}
    return found


def _no_share(value: Relative, lines: Sequence[Condition]) -> str:
    """Why conditions cannot compare with a share of the customers; empty if they can."""
    for one in lines:
        if one.operator not in ORDERING:
            return f"the rule {one.line!r} wants one number, and a share goes with {', '.join(ORDERING)} only"
    fields = list(dict.fromkeys(one.field for one in lines))
    if len(fields) > 1:
        return (
            f"the rules compare it with {' and with '.join(fields)}, and {value.text} is another number for each. "
            "Give each field a threshold of its own"
        )
    return ""


def _rules_alone(fixed: Mapping[str, Any]) -> Rules:
    return Settings.model_validate({name: fixed[name] for name in ("segments",) if name in fixed}).segments


def _custom_error(name: str, value: Any) -> Mapping[str, Any] | None:
    kind = custom(name)
    if kind is None:
        return {"type": "unknown"}
    try:
        kind.adapter.validate_python(value, context=EDITED)
    except ValidationError as exc:
        return exc.errors()[0]
    return None


def _missing(threshold: str, rules: Rules) -> Mapping[str, Any]:
    """The error of rules that name a threshold without a setting."""
    segment, line = next(
        (segment.name, one.line)
        for segment in rules.segments
        for one in segment.conditions()
        if one.threshold == threshold
    )
    why = f"segment {segment}: {line!r} needs the setting {threshold}, and there is none. Add it, or write a number"
    return {"type": "unreadable", "msg": why}


def _explain(name: str, value: object, error: Mapping[str, Any], label: Callable[[str], str]) -> str:
    if error["type"] == "unknown":
        names = ", ".join(map(label, Settings.model_fields))
        chosen = f"{label('<name>_threshold')} and {label('message_<segment>')}"
        return f"{label(name)} is not a setting{_meant(name, label)}; the settings are {names}, {chosen}"
    why = f"{error['msg']}; it takes" if error["type"] == "unreadable" else "it takes"
    return f"{label(name)} is {_shorten(_shown(value))}, which is not allowed: {why} {title(name)}"


def _shown(value: object) -> str:
    return repr(value.to_json()) if isinstance(value, Rules) else repr(value)


def _meant(name: str, label: Callable[[str], str], known: Iterable[str] = Settings.model_fields) -> str:
    """The setting that a mistyped name comes close to, as a question; empty if there is none."""
    typed = name.lower().replace("-", "_").removeprefix("engage_")
    close = difflib.get_close_matches(typed, known, n=1)
    return f" (did you mean {label(close[0])}?)" if close else ""


def _codes_of_no_offer(settings: Settings, label: Callable[[str], str]) -> dict[str, str]:
    found = {}
    for segment in settings.texted if not settings.offer else ():
        for one in settings.each_text(segment):
            if "offer_code" in Template.parse(one.text).placeholders:
                name, which = _named(settings, segment, one, label)
                found[name] = (
                    f"{which} has the placeholder {{{{ offer_code }}}}, and {label('offer')} names no offer. Set it to "
                    "the offer whose codes the text takes, such as summer; `engage offers list` shows the offers"
                )
    return found


def _budget_without_price(settings: Settings, label: Callable[[str], str]) -> dict[str, str]:
    budget = settings.message_budget
    if not budget or budget.in_messages or settings.price_per_segment:
        return {}
    return {
        "message_budget": f"{label('message_budget')} is {budget.text}, and {label('price_per_segment')} "
        "is 0, so no message has a cost. Set the price to what the provider charges for one SMS segment, or the budget "
        "to a number of messages, such as 5000 messages, or to 0"
    }


def _long_messages(settings: Settings, label: Callable[[str], str]) -> dict[str, str]:
    found = {}
    for segment in settings.texted:
        for one in settings.each_text(segment):
            needed = Template.parse(one.text).typical_segments()
            if needed > settings.max_segments:
                name, which = _named(settings, segment, one, label)
                sentence = (
                    f"{which} takes {needed} segments with its placeholders filled in, and {label('max_segments')} "
                    f"allows {settings.max_segments}. Shorten the text: a segment has 160 plain characters, or 70 with "
                    f"any other, such as an emoji. {costly_characters(one.text)}"
                )
                found[name] = sentence.rstrip(" .")
    return found


def _named(settings: Settings, segment: str, one: OneText, label: Callable[[str], str]) -> tuple[str, str]:
    """The setting that holds a text, and what to call the text in a sentence."""
    if one.language == "" and one.text == settings.own_text(segment):
        return message_name(segment), label(message_name(segment))
    return "messages", f"{label('messages')}: {one.named_after(segment)}"


def _shorten(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
