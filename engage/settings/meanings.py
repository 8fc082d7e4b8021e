"""What each setting allows and means, in words for people."""

from __future__ import annotations

from engage.settings.custom import custom
from engage.settings.model import Settings


def title(name: str) -> str:
    """What a setting allows, for people."""
    kind = custom(name)
    return (Settings.model_fields[name].title or "") if name in Settings.model_fields or kind is None else kind.title


def description(name: str) -> str:
    """What a setting means, for people."""
    kind = custom(name)
    if name in Settings.model_fields or kind is None:
        return Settings.model_fields[name].description or ""
    return kind.description
