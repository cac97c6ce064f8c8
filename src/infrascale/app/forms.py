"""Widgets that stand for fields of the state: what they show comes from the URL, what is typed goes back to it.

Numbers are typed and shown as the reader's language writes them. What is no number, or beyond a field's ends, is said
beside the field, and no answer is shown until it is mended: see `page`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from infrascale.app.state import Field, Value, fields
from infrascale.errors import InfraScaleError
from infrascale.locales import Words

PUT = "put"  # where a button leaves the values that it sets, until the next run takes them


def put(changes: Mapping[str, Value]) -> None:
    """What a button does when clicked: these fields take these values, as if they had been typed."""
    st.session_state[PUT] = dict(changes)


def upload(w: Words, label: str, kinds: Sequence[str], key: str, mib: int, *, several: bool = False) -> Any:
    """A field for files. What Streamlit itself writes on it is English: the reader's language stands in its place."""
    most = w.say("form.upload_most", mib=mib, kinds=", ".join(kind.upper() for kind in kinds))
    drop = f".st-key-{key} [data-testid=stFileUploaderDropzone]"
    named, told = (
        f"{drop} > span [data-testid=stMarkdownContainer]",
        f".st-key-{key} [data-testid=stFileUploaderDropzoneInstructions]",
    )
    st.html(f"<style>{instead(f'{named} p', named, w.say('form.upload'))}"
            f"{instead(f'{told} span', f'{told} > div', most)}</style>")  # fmt: skip
    return st.file_uploader(label, list(kinds), accept_multiple_files=several, key=key, max_upload_size=mib)


def instead(hidden: str, place: str, text: str) -> str:
    """Style rules that show a text in the place of one that cannot be set.

    A button's own word is not taken away but given no size: checkers of accessibility read no text out of a style.
    """
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("<", "‹")
    return f'{hidden} {{ font-size: 0; }} {place}::after {{ content: "{quoted}"; }} '


def refused(w: Words, error: InfraScaleError) -> None:
    """What, why and how to mend it, in the place where it is called."""
    text = f"**{_plain(w.told(error.what))}**"
    if error.why:
        text += f"  \n{w.say('error.why')} {_plain(w.told(error.why))}"
    if error.fix:
        text += f"  \n{w.say('error.fix')} {_plain(w.told(error.fix))}"
    st.error(text, icon=":material/error:")


def _plain(text: str) -> str:
    """As text and not as Markdown: what strangers typed or named stands in it."""
    return re.sub(r"([\\*_\[\]$<>~|#])", r"\\\1", text)


class Form:
    """The values of this run; each widget replaces its own. `wrong`: the fields whose text means nothing."""

    def __init__(self, values: dict[str, Value], w: Words) -> None:
        self.set: dict[str, Value] = st.session_state.pop(PUT, {})
        self.values = values | self.set
        self.w = w
        self.wrong: list[str] = []

    def choice(
        self, name: str, options: list[str], label: str, shown: Callable[[str], str] = str, *, radio: bool = False,
        hint: str | None = None, captions: list[str] | None = None,
    ) -> str:  # fmt: skip
        self._hold(name, self.values[name] if self.values[name] in options else options[0])
        if radio:
            found = st.radio(
                label, options, format_func=shown, horizontal=True, key=f"w_{name}", help=hint, captions=captions
            )
        else:
            found = st.selectbox(label, options, format_func=shown, key=f"w_{name}", help=hint)
        self.values[name] = found
        return str(found)

    def open_choice(self, name: str, options: list[str], label: str, *, hint: str | None = None) -> str:
        """A choice, or whatever else a person types."""
        own = str(self.values[name])
        options = options if own in options else [own, *options]
        self._hold(name, own)
        found = st.selectbox(label, options, key=f"w_{name}", help=hint, accept_new_options=True)
        self.values[name] = str(found or own)[:200]
        return str(self.values[name])

    def several(
        self, name: str, options: list[str], label: str, shown: Callable[[str], str], *, hint: str | None = None,
        empty: str | None = None,
    ) -> list[str]:  # fmt: skip
        self._hold(name, [one for one in self.values[name] if one in options])  # type: ignore[union-attr]
        found = st.multiselect(
            label,
            options,
            format_func=shown,
            max_selections=8,
            key=f"w_{name}",
            help=hint,
            placeholder=empty or self.w.say("form.choose"),
        )
        if not found and fields()[name].default:
            self.wrong.append(name)
            st.error(self.w.say("form.choose"), icon=":material/error:")
            return list(self.values[name])  # type: ignore[arg-type]
        self.values[name] = list(found)
        return list(found)

    def text(self, name: str, label: str, *, hint: str | None = None) -> str:
        field = fields()[name]
        self._hold(name, self.values[name])
        found = st.text_input(label, max_chars=field.most_text, key=f"w_{name}", help=hint)
        self.values[name] = found.strip()
        return found.strip()

    def phrases(self, name: str, label: str, check: Callable[[str], object], *, hint: str) -> list[str]:
        """Several words in one line, each held against `check`, whose error is shown beside the field."""
        self._hold(name, " ".join(self.values[name]))  # type: ignore[arg-type]
        text = st.text_input(label, max_chars=400, key=f"w_{name}", help=hint, autocomplete="off")
        try:
            for one in text.split():
                check(one)
        except InfraScaleError as error:
            self.wrong.append(name)
            refused(self.w, error)
        else:
            self.values[name] = text.split()[:8]
        return list(self.values[name])  # type: ignore[arg-type]

    def number(self, name: str, label: str, *, hint: str | None = None) -> float:
        return self._typed(name, label, 1.0, hint)

    def share(self, name: str, label: str, *, hint: str | None = None) -> float:
        """A fraction, shown in percent."""
        return self._typed(name, f"{label} (%)", 100.0, hint)

    def _typed(self, name: str, label: str, scale: float, hint: str | None) -> float:
        field, held = fields()[name], float(str(self.values[name]))
        self._hold(name, self.w.typed(round(held * scale, 10)), language=True)
        text = st.text_input(label, key=f"w_{name}", help=hint, autocomplete="off")
        found = self.w.parsed(text)
        if found is None or not field.fits(round(found / scale, 12)):
            self.wrong.append(name)
            st.error(self._why_not(field, text, found, scale), icon=":material/error:")
            return held
        self.values[name] = round(found / scale, 12)
        return round(found / scale, 12)

    def _why_not(self, field: Field, text: str, found: float | None, scale: float) -> str:
        w = self.w
        if found is None:
            return w.say("form.not_a_number", text=text[:30], example=w.typed(12000.5))
        ends = {"least": w.typed(field.least * scale), "most": w.typed(field.most * scale)}
        return w.say("form.not_whole" if field.whole and field.least <= found <= field.most else "form.beyond", **ends)

    def _hold(self, name: str, value: Any, *, language: bool = False) -> None:
        """The widget's value: from the URL where it is new, a button set it, or the language has changed."""
        key, spoken = f"w_{name}", f"spoken_{name}"
        changed = language and st.session_state.get(spoken, self.w.language) != self.w.language
        if key not in st.session_state or name in self.set or changed:
            st.session_state[key] = value
        if language:
            st.session_state[spoken] = self.w.language
