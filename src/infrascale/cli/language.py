"""`--lang`, before or after the verb."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_type_hints

import typer

from infrascale.locales import asked, languages, speak

Lang = Annotated[str | None, typer.Option(help=f"Language: {', '.join(languages())}.")]


def spoken(lang: Lang = None) -> None:
    """How many GPUs does serving a language model need?"""
    if lang:
        speak(lang)
    asked()  # a language that we lack is refused before anything runs


def speaking(verb: Callable[..., None]) -> Callable[..., None]:
    """The verb with `--lang` too; one with its own (of a document) takes what was asked for when it is not given."""
    hints = get_type_hints(verb, include_extras=True)
    parameters = {
        name: parameter.replace(annotation=hints[name])
        for name, parameter in inspect.signature(verb).parameters.items()
    }
    own = "lang" in parameters

    def run(lang: str | None = None, **given: Any) -> None:
        spoken(lang)
        verb(**given, **({"lang": lang or asked() or "en"} if own else {}))

    lang = inspect.Parameter("lang", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Lang)
    parameters["lang"] = parameters["lang"].replace(default=None) if own else lang
    run.__name__, run.__doc__ = verb.__name__, verb.__doc__
    run.__signature__ = inspect.Signature(list(parameters.values()))
    run.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return run
