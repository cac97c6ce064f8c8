"""Widgets that stand for fields of the state: what they show comes from the URL, what is typed goes back to it."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from infrascale.app.state import Value, fields
from infrascale.errors import InfraScaleError
from infrascale.locales import Words


def refused(w: Words, error: InfraScaleError) -> None:
    """What, why and how to mend it, in the place where it is called."""
    text = f"**{error.what}**"
    if error.why:
        text += f"  \n{w.say('error.why')} {error.why}"
    if error.fix:
        text += f"  \n{w.say('error.fix')} {error.fix}"
    st.error(text, icon=":material/error:")


class Form:
    """The values of this run; each widget replaces its own."""

    def __init__(self, values: dict[str, Value]) -> None:
        self.values = values
        self._fields = fields()

    def choice(
        self, name: str, options: list[str], label: str, shown: Callable[[str], str] = str, *, radio: bool = False
    ) -> str:
        place = options.index(str(self.values[name])) if self.values[name] in options else 0
        if radio:
            found = st.radio(label, options, place, format_func=shown, horizontal=True, key=f"w_{name}")
        else:
            found = st.selectbox(label, options, place, format_func=shown, key=f"w_{name}")
        self.values[name] = found
        return str(found)

    def several(self, name: str, options: list[str], label: str, shown: Callable[[str], str]) -> list[str]:
        found = st.multiselect(label, options, self.values[name], format_func=shown, max_selections=8, key=f"w_{name}")
        self.values[name] = list(found)
        return list(found)

    def number(self, name: str, label: str, *, step: float = 1.0, hint: str | None = None) -> float:
        field, value = self._fields[name], float(str(self.values[name]))
        digits = "%.0f" if step >= 1 else "%g"
        found = st.number_input(label, field.least, field.most, value, step, format=digits, help=hint, key=f"w_{name}")
        self.values[name] = float(found)
        return float(found)

    def share(self, name: str, label: str, *, hint: str | None = None) -> float:
        """A fraction, shown in percent."""
        field, value = self._fields[name], float(str(self.values[name]))
        found = st.number_input(
            f"{label} (%)", 100 * field.least, 100 * field.most, 100 * value, 1.0, format="%g", help=hint,
            key=f"w_{name}",
        )  # fmt: skip
        self.values[name] = round(float(found) / 100, 10)
        return float(found) / 100
