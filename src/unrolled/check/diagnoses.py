"""What is found wrong with a function, and how it is said in English and in Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from unrolled.check.messages import MESSAGES, WORDS

LANGUAGES = ("en", "zh")


class Diagnosis(NamedTuple):
    """One thing that is wrong: its code, and the values that its sentence quotes."""

    code: str
    values: Mapping[str, Any] = MappingProxyType({})

    def message(self, lang: str = "en") -> str:
        """Say it.

        Parameters
        ----------
        lang : "en" or "zh"

        Returns
        -------
        str
        """
        template = MESSAGES[self.code][LANGUAGES.index(lang)]
        return template.format_map(
            {k: in_language(lang, v) for k, v in self.values.items()} | {"code": self.code}
        )


class Words(NamedTuple):
    """Words that are put together while checking, in both languages."""

    en: str
    zh: str


def how_many(count: int) -> Words:
    """Say how many things a function returned.

    Parameters
    ----------
    count : int
        -1 for one that is in no tuple.

    Returns
    -------
    Words
    """
    if count in (-1, 1):
        return Words("1 value" + " in a tuple" * (count == 1), "1 个值" + "（元组）" * (count == 1))
    return Words(f"{count} values", f"{count} 个值")


def in_language(lang: str, value: Any) -> Any:
    """Take a value's own words in the language, where it has some.

    Parameters
    ----------
    lang : "en" or "zh"
    value : anything that a sentence quotes

    Returns
    -------
    str, or the value
    """
    if isinstance(value, Words):
        return value[LANGUAGES.index(lang)]
    if isinstance(value, (list, tuple)):
        return ("、" if lang == "zh" else ", ").join(str(in_language(lang, each)) for each in value)
    return WORDS[value][LANGUAGES.index(lang)] if value in WORDS else value


NOTES = frozenset({"dtype-widened", "dtype-narrowed", "upstream-changed"})
"""What the assignment's own checks let pass: told, and no failure unless ``--strict``."""
