"""The languages in which customers opt out, each a TOML file. ``language`` says how it is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engage.texts.opt_out_languages.language import Language

LANGUAGES = {file.stem: Language(file) for file in sorted(Path(__file__).parent.glob("*.toml"))}
"""Each language by its English name."""
_ENGLISH = LANGUAGES["english"]


def languages_that_opt_out(sentences: list[str]) -> Iterator[str]:
    """The names of the languages in which one of the sentences takes the consent away.

    Innocent English phrases are innocent in every language, as customers mix them in.
    """
    written = " ".join(sentences)
    if _ENGLISH.writes(written):
        if _ENGLISH.opts_out(sentences):
            yield "english"
        sentences = [_ENGLISH.without_innocent(sentence) for sentence in sentences]
    for name, language in LANGUAGES.items():
        if language is not _ENGLISH and language.writes(written) and language.opts_out(sentences):
            yield name
