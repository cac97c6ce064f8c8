"""Every language says everything that English says, with the same blanks, and writes numbers as its country does."""

from __future__ import annotations

import ast
import re
import tomllib
from datetime import date
from pathlib import Path
from string import Formatter

import pytest
from babel import Locale

import infrascale
from infrascale.errors import InfraScaleError, ScenarioError
from infrascale.locales import languages, speak, words
from infrascale.locales.choice import FOLDER
from infrascale.locales.words import flattened

SOURCE = Path(infrascale.__file__).parent
OTHERS = [language for language in languages() if language != "en"]


def texts(language: str) -> dict:
    found = tomllib.loads((FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    found.pop("refused", None)  # what errors say: English has it in the source
    return flattened(found)


def blanks(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def screens(keys) -> set[str]:
    return {key.split(".")[0] for key in keys}


def test_french_has_the_keys_of_english():
    assert texts("fr").keys() == texts("en").keys()


@pytest.mark.parametrize("language", OTHERS)
def test_a_screen_is_translated_whole_or_not_at_all(language):
    """Half a screen in another language is worse than an English one. The plan and the glossary speak all languages."""
    own = texts(language)
    assert screens(own) >= {"language", "unit", "constraint", "plan", "infeasible", "capacity", "error", "glossary"}
    assert own.keys() == {key for key in texts("en") if key.split(".")[0] in screens(own)}


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_fills_the_blanks_of_the_english_one(language):
    english = texts("en")
    for key, text in texts(language).items():
        assert isinstance(text, str) == isinstance(english[key], str), key
        wanted = blanks(english[key] if isinstance(english[key], str) else english[key]["other"])
        for form in [text] if isinstance(text, str) else text.values():
            assert blanks(form) == wanted, f"{language} {key}"


@pytest.mark.parametrize("language", languages())
def test_plural_forms_are_those_that_the_language_has(language):
    """`many` may be left out: in these languages only exact millions take it."""
    forms = set(Locale.parse(words(language).locale).plural_form.tags) | {"other"}
    for key, text in texts(language).items():
        if not isinstance(text, str):
            assert forms - {"many"} <= set(text) <= forms, key


def test_every_key_that_the_source_says_exists():
    keys = texts("en")
    said = [
        (path.name, "".join(quoted))
        for path in SOURCE.rglob("*.py")
        if path.parent != FOLDER
        for quoted in re.findall(
            r"""\.say\(\s*f?"([a-z_0-9.]+)(\{.*?\}[a-z_0-9.]*)?\"""", path.read_text(encoding="utf-8")
        )
    ]
    assert len(said) > 30
    for file, key in said:
        pattern = re.sub(r"\\?\{.*?\}", "[a-z0-9_]+", re.escape(key).replace(r"\{", "{").replace(r"\}", "}"))
        assert any(re.fullmatch(pattern, known) for known in keys), f"{file} says {key}"


#: Where errors are raised that everyone may meet; those of single verbs for engineers may stay in English.
EVERYDAY = ("api.py", "app", "calibration", "catalog", "economics", "exports", "loadtests", "locales", "parsing",
            "report", "usage", "writing.py")  # fmt: skip
ENGINEERS = ("inventories.py", "measurements.py", "profiles.py", "traces.py", "traffic.py")
ERRORS = {cls.__name__ for cls in InfraScaleError.__subclasses__()} | {"fail", "broken", "_unread"}


def raised() -> set[str]:
    """The sentences of all errors there, their blanks numbered; commands and single words are no language's."""
    files = [path for path in SOURCE.rglob("*.py") if path.relative_to(SOURCE).parts[0] in EVERYDAY]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files if path.name not in ENGINEERS]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [node for node in nodes if getattr(node.func, "id", getattr(node.func, "attr", "")) in ERRORS]
    said = {text for call in calls for given in (*call.args, *(key.value for key in call.keywords))
            for text in sentences(given)}  # fmt: skip
    bare = re.compile(r"pip install|--|infrascale |iconv |\{0\}: \{1\}$")
    return {text for text in said if " " in text and not bare.match(text)}


def sentences(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return [*sentences(node.body), *sentences(node.orelse)]
    if not isinstance(node, ast.JoinedStr | ast.Constant):
        return []
    parts, number = getattr(node, "values", [node]), iter(range(9))
    words = [str(part.value).replace("{", "{{").replace("}", "}}") if isinstance(part, ast.Constant)
             else f"{{{next(number)}}}" for part in parts]  # fmt: skip
    return ["".join(words)]


@pytest.mark.parametrize("language", [one for one in OTHERS if words(one).refused])
def test_the_sentences_of_errors_are_answered(language):
    """A new one may wait for its translation, which is English until then; not one in twenty."""
    known = words(language).refused
    assert len(raised()) > 200
    lacking = sorted(raised() - known.keys())
    assert len(lacking) < len(raised()) / 20, (
        f"add to [refused] of locales/{language}.toml, each with its translation: {lacking}"
    )


@pytest.mark.parametrize("language", [one for one in OTHERS if words(one).refused])
def test_an_errors_blanks_are_filled_in_every_language(language):
    w = words(language)
    for english, own in w.refused.items():
        assert blanks(own) <= blanks(english), english  # a language may leave out what English must say
        given = [f"x{n}.toml" for n in range(len(blanks(english)))]
        said = w.told(english.format(*given))
        assert said != english.format(*given) or own == english, english
        assert all(one in said for n, one in enumerate(given) if str(n) in blanks(own)), said


def test_an_error_speaks_the_readers_language_and_writes_its_numbers():
    w = words("fr")
    assert w.told("900,400 tokens do not fit m") == "900\u202f400 tokens ne tiennent pas dans m"
    assert w.told("did you mean a, b? See `infrascale catalog gpus`.").startswith("vouliez-vous dire a, b\u202f?")
    assert w.told("nobody has said this before") == "nobody has said this before"
    assert words("en").told("nobody asks anything") == "nobody asks anything"


def test_each_constraint_has_its_words():
    from infrascale.planning import Constraint

    for constraint in Constraint:
        assert f"constraint.{constraint.value}" in texts("en")


NUMBERS = {
    "en": ("12,000.5", "12.5%", "€950", "24 November 2026", "7.5 GiB"),
    "fr": ("12\u202f000,5", "12,5\u00a0%", "950\u00a0€", "24 novembre 2026", "7,5 Gio"),
    "de": ("12.000,5", "12,5\u00a0%", "950\u00a0€", "24. November 2026", "7,5 GiB"),
    "es": ("12.000,5", "12,5\u00a0%", "950\u00a0€", "24 de noviembre de 2026", "7,5 GiB"),
    "it": ("12.000,5", "12,5%", "950\u00a0€", "24 novembre 2026", "7,5 GiB"),
}


@pytest.mark.parametrize("language", languages())
def test_numbers_are_written_as_the_country_writes_them(language):
    """Separators as the Imprimerie nationale, Duden and RAE prescribe; 8e9 bytes are 7.45 · 2^30."""
    w = words(language)
    found = (w.number(12000.5, 1), w.percent(0.125, 1), w.money(950, "EUR", 0), w.date(date(2026, 11, 24)))
    assert (*found, w.quantity(8e9, "bytes")) == NUMBERS[language]


def test_what_is_counted_agrees_with_its_number():
    assert [words("en").quantity(n, "replicas") for n in (0, 1, 2)] == ["0 replicas", "1 replica", "2 replicas"]
    assert [words("fr").quantity(n, "replicas") for n in (0, 1, 2)] == ["0 réplique", "1 réplique", "2 répliques"]
    assert words("fr").quantity(2, "gpus") == "2 GPU"


def test_times_below_a_tenth_of_a_second_are_milliseconds():
    assert words("en").quantity(0.0994, "s") == "99 ms" and words("fr").quantity(0.25, "s") == "0,25 s"


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LC_ALL": "fr_CA.UTF-8", "INFRASCALE_LANG": "en"}, "en"),
        ({"INFRASCALE_LANG": "fr-BE"}, "fr"),
        ({"LANG": "ja_JP.UTF-8"}, "en"),
        ({"LC_ALL": "C"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_readers(environment, language, monkeypatch):
    for name in ("INFRASCALE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert words().language == language


def test_a_language_that_was_asked_for_wins():
    speak("fr")
    try:
        assert words().language == "fr" and words("en").language == "en"
    finally:
        speak(None)


def test_a_language_without_a_file_is_refused():
    with pytest.raises(ScenarioError, match="no words in 'tlh'"):
        words("tlh")


@pytest.mark.parametrize("language", languages())
def test_the_glossary_explains_each_word_in_one_sentence(language):
    entries = words(language).glossary
    assert {"ttft", "tpot", "kv_cache", "tp", "pp", "goodput", "preemption", "s", "n", "b", "q"} <= entries.keys()
    for code, entry in entries.items():
        assert entry.term and entry.meaning.endswith(".") and len(entry.meaning) < 240, code
