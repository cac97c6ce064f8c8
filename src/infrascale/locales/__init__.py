"""What people read, in their language: one TOML file a language, numbers written as its country writes them.

In: a key with named values, or a number with its unit.    Out: text.

    from infrascale.locales import words
    w = words()                                 # the reader's language; words("fr") for a given one
    w.say("plan.spare", n=2)                    # plural forms of CLDR follow `n`
    w.number(12000.5, 1), w.percent(0.125), w.money(950, "EUR", digits=0), w.date(day)
    w.quantity(8e9, "bytes"), w.quantity(33.5, "token_per_s"), w.quantity(147, "requests")
    w.glossary                                  # {"ttft": Entry(term="TTFT", meaning="Time from…")}

To add a text: put its key under its screen's table in en.toml, fr.toml and each other file that has this table, with
the same {names}. German, Spanish and Italian may lack whole tables, which then read English; never a part of one.
A text that counts is a table `{ one = "{n} replica", other = "{n} replicas" }`. tests/test_locales.py tells what is
missing. To add a unit: a key under `[unit]`, plain for a rate, with plural forms for things that are counted.

At run time a text that a language lacks is the English one; a key that English lacks is our bug, a KeyError.
The language: `--lang`, else INFRASCALE_LANG, else LC_ALL, LC_MESSAGES, LANG, else English. Codes, JSON and keys are
never translated. The reasons of errors (`InfraScaleError`) are English; only their labels are translated.
"""

from infrascale.locales.choice import asked, languages, speak, words
from infrascale.locales.words import Entry, Words

__all__ = ["Entry", "Words", "asked", "languages", "speak", "words"]
