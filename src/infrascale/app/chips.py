"""What kind of number stands there, beside it: a chip whose popover holds the formula with one's own values."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from infrascale.locales import Words
from infrascale.screen.origins import SIGNS, Origin


def chip(w: Words, origin: Origin, key: str) -> None:
    """What kind of number this is; its formula, with one's own values, in what opens."""
    with st.popover(f"{SIGNS[origin.kind]} {w.say(f'origin.{origin.kind.value}')}", type="tertiary", key=f"chip_{key}"):
        st.markdown(f"**{w.say(f'origin.{origin.kind.value}')}** · {w.say(f'origin.is_{origin.kind.value}')}")
        for line in origin.formula:
            st.markdown(line)


def titled(w: Words, title: str, origin: Origin, key: str, hint: str | None = None) -> None:
    """A heading, and beside it what kind of numbers stand below."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.subheader(title, help=hint, width="content", anchor=False)
        chip(w, origin, key)


def metrics(w: Words, tiles: Sequence[tuple[Origin, str, str, str, str | None, str | None, str | None]]) -> None:
    """Side by side: a name, its number, its interval, what stands beside it, and where it comes from."""
    for column, (whence, key, name, value, between, beside, meaning) in zip(st.columns(len(tiles)), tiles, strict=True):
        with column.container(gap="xsmall"):
            st.metric(name, value, between, delta_color="off", delta_arrow="off", help=meaning)
            if beside:
                st.caption(beside)
            chip(w, whence, key)
