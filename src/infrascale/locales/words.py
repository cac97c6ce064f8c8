"""The words of one language.

In: its texts by key and its CLDR locale.    Out: sentences, numbers, dates, amounts.
Idea: texts are ours, every rule of a language (plural forms, separators, where the currency stands) is CLDR's by Babel.
Errors are raised in English, deep below any language; a language answers each sentence of theirs by its own, blanks
and all, as gettext does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isfinite
from string import Formatter

from babel import Locale, dates, numbers
from babel.core import get_global

from infrascale.units import GIB

Text = str | Mapping[str, str]  # a sentence, or one for each plural form

FORMS = {"zero", "one", "two", "few", "many", "other"}  # CLDR's plural categories


def flattened(tables: Mapping[str, object], prefix: str = "") -> dict[str, Text]:
    """{"plan": {"cut": "…"}} as {"plan.cut": "…"}; a table of plural forms is one text."""
    found: dict[str, Text] = {}
    for name, value in tables.items():
        if isinstance(value, Mapping) and not ("other" in value and set(value) <= FORMS):
            found |= flattened(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _words_in(sentence: str) -> int:
    """How long a sentence is without its blanks."""
    return sum(len(literal) for literal, *_ in Formatter().parse(sentence))


def _blanks(sentence: str, text: str) -> tuple[str, ...] | None:
    """What fills the blanks {0}, {1}, … of a sentence so that it reads as this text; None: it does not."""
    parts = list(Formatter().parse(sentence))
    if not all(literal in text for literal, *_ in parts):
        return None
    pattern = "".join(re.escape(literal) + ("" if name is None else "(.*?)") for literal, name, *_ in parts)
    found = re.fullmatch(pattern, text, re.DOTALL)
    return found.groups() if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A word of the field and what it means, in a sentence."""

    term: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """`texts` by key, in `language` where it has them, else in English. `locale` as CLDR names it: fr_FR.

    `refused`: what errors say in English, and the same in this language.
    """

    language: str
    locale: str
    texts: Mapping[str, Text]
    refused: Mapping[str, str] = field(default_factory=dict, repr=False)

    def say(self, key: str, **values: object) -> str:
        """The text with its blanks filled: numbers as `short` writes them, anything else as it is."""
        text = self.texts[key]
        if not isinstance(text, str):
            form = Locale.parse(self.locale).plural_form(values["n"])
            text = text.get(form, text["other"])
        return text.format(**{name: self.short(v) if type(v) in (int, float) else v for name, v in values.items()})

    def told(self, english: str) -> str:
        """What an error says, as this language says it; as it was raised where the language has no such sentence.

        "900,400 tokens do not fit X" by "{0} tokens do not fit {1}"; of several that fit, by the one of most words.
        """
        for known in sorted(self.refused, key=_words_in, reverse=True):
            if (found := _blanks(known, english)) is not None:
                return self.refused[known].format(*map(self._told_blank, found))
        if len(several := re.split(r"(?<=[.?]) ", english)) > 1:
            return " ".join(map(self.told, several))
        return english

    def _told_blank(self, text: str) -> str:
        """A blank of an error: a sentence itself, or a number that English wrote."""
        if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", text):
            return self.typed(float(text.replace(",", "")))
        bare = text.strip()
        return text.replace(bare, self.told(bare)) if bare else text

    def short(self, value: float) -> str:
        """A count of anything: 1,000; 146.7 as 147; 2.5 as 2.50."""
        return self.number(value, 0 if value == round(value) or abs(value) >= 100 else 2)

    def number(self, value: float, digits: int = 0) -> str:
        """12000.5 with one digit: 12,000.5 in English, 12 000,5 in French."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return numbers.format_decimal(value, pattern, locale=self.locale)

    def typed(self, value: float) -> str:
        """A number as it stands in a field: all its digits, no more."""
        return numbers.format_decimal(value, "#,##0.############", locale=self.locale)

    def parsed(self, text: str) -> float | None:
        """A number that a person typed: 12,000.5 in English, 12 000,5 in French, 1.2e4 in both. None: it is none."""
        bare = re.sub(r"[\s\u00a0\u202f_]", "", text)
        point = "." not in self.number(1e4)  # where it separates no thousands, it can only be a decimal point
        try:
            if re.fullmatch(r"[+-]?\d+(\.\d+)?[eE][+-]?\d+|[+-]?\d+\.\d+" if point else r"[+-]?\d+e[+-]?\d+", bare):
                found = float(bare)
            else:
                found = float(numbers.parse_decimal(bare, locale=self.locale, strict=True))
        except (numbers.NumberFormatError, ValueError, OverflowError):
            return None
        return found if isfinite(found) else None

    def percent(self, fraction: float, digits: int = 0, *, signed: bool = False) -> str:
        """0.125 with one digit: 12.5% in English, 12,5 % in French. `signed` puts + before a gain."""
        pattern = Locale.parse(self.locale).percent_formats[None].pattern
        if digits:
            pattern = pattern.replace("#0", "#0." + "0" * digits)
        return numbers.format_percent(fraction, f"+{pattern};-{pattern}" if signed else pattern, locale=self.locale)

    def money(self, value: float, currency: str, digits: int = 2) -> str:
        """950 euros without cents: €950 in English, 950 € in French. `currency` by its ISO 4217 code."""
        pattern = Locale.parse(self.locale).currency_formats["standard"].pattern
        pattern = pattern.replace("0.00", "0." + "0" * digits if digits else "0")
        return numbers.format_currency(value, currency, pattern, locale=self.locale, currency_digits=False)

    def country(self, code: str) -> str:
        """FRA (ISO 3166) is France; a code that CLDR does not know stays as it is."""
        aliases = get_global("territory_aliases").get(code, [])
        return Locale.parse(self.locale).territories.get(aliases[0], code) if aliases else code

    def date(self, on: date) -> str:
        """24 November 2026, 24 novembre 2026, 1er janvier 2027: French alone counts that day as the first."""
        text = dates.format_date(on, "long", locale=self.locale)
        return f"1er{text[1:]}" if on.day == 1 and self.language == "fr" else text

    def titled(self, key: str, **values: object) -> str:
        """The same words where they head a tile or a column: with a capital, the rest as written (TTFT, vLLM)."""
        text = self.say(key, **values)
        return text[:1].upper() + text[1:]

    def quantity(self, value: float, unit: str) -> str:
        """An amount as people read it: bytes as GiB, short times as ms, counts of what `[unit]` names."""
        if unit == "bytes":
            return self.say("unit.gib", n=self.number(value / GIB, 1))
        if unit == "s":
            if abs(value) < 0.1:
                ms = abs(value) * 1000
                return self.say(
                    "unit.ms", n=self.number(value * 1000, 0 if ms >= 10 or not ms else 1 if ms >= 1 else 2)
                )
            return self.say("unit.s", n=self.number(value, 2 if abs(value) < 1000 else 0))
        if isinstance(self.texts[f"unit.{unit}"], str):  # a rate
            digits = 2 if abs(value) < 1 else 1 if round(abs(value), 1) < 1000 else 0
            return self.say(f"unit.{unit}", n=self.number(value, digits))
        return self.say(f"unit.{unit}", n=round(value))

    @property
    def glossary(self) -> dict[str, Entry]:
        """The words of the field, by code."""
        codes = dict.fromkeys(key.split(".")[1] for key in self.texts if key.startswith("glossary."))
        return {c: Entry(term=self.say(f"glossary.{c}.term"), meaning=self.say(f"glossary.{c}.meaning")) for c in codes}
