"""Which language the reader reads.

In: what was asked for, the environment, the files there are.    Out: Words.
"""

from __future__ import annotations

import os
import tomllib
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from infrascale.errors import ScenarioError
from infrascale.locales.words import Words, flattened

FOLDER = Path(__file__).parent

_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


@cache
def languages() -> tuple[str, ...]:
    """Those that have a file."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def speak(language: str | None) -> None:
    """From here on (in this thread or task) `words()` are of this language; None: of the environment's."""
    _spoken.set(known(language) if language else None)


def words(language: str | None = None) -> Words:
    """The words of a language, by default of the reader's."""
    return _loaded(known(language) if language else asked() or _of_the_environment())


def asked() -> str | None:
    """The language that someone asked for, if any."""
    named = os.environ.get("INFRASCALE_LANG")
    return _spoken.get() or (known(named) if named else None)


def known(language: str) -> str:
    """fr, FR, fr-FR and fr_FR.UTF-8 are fr; a language without a file is an error."""
    code = _code(language)
    if code not in languages():
        raise ScenarioError(
            f"no words in {language[:20]!r}", why="no file of that language", fix=f"one of {', '.join(languages())}"
        )
    return code


def _code(language: str) -> str:
    return language.replace("-", "_").split("_")[0].split(".")[0].lower()


def _of_the_environment() -> str:
    """A desktop in a language that we lack gets English."""
    system = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "en")
    return _code(system) if _code(system) in languages() else "en"


@cache
def _loaded(language: str) -> Words:
    read = {code: tomllib.loads((FOLDER / f"{code}.toml").read_text(encoding="utf-8")) for code in {"en", language}}
    refused = read[language].pop("refused", {})
    texts = flattened(read["en"]) | flattened(read[language])
    return Words(language=language, locale=read[language]["language"]["locale"], texts=texts, refused=refused)
