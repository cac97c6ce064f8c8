"""Files that a person drops on the need: a workload file or usage logs, read in memory, never executed or kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import streamlit as st

from infrascale.app.forms import put, refused, upload
from infrascale.app.state import values_of
from infrascale.errors import FileError, InfraScaleError
from infrascale.locales import Words, words
from infrascale.parsing.scenarios import question, toml_keys

#: Kept in memory where the system has a place for it, gone as soon as it is read.
SHARED_MEMORY = Path("/dev/shm")
KINDS = ("toml", "csv", "jsonl", "json", "parquet", "txt", "prom", "gz")


def demand(w: Words) -> None:
    """What a file says of demand, shown before it is taken."""
    st.caption(w.say("form.import_hint"))
    file = upload(w, w.say("form.import_file"), KINDS, "w_import", 50)
    if file is None:
        return
    try:
        keys, said = _read(w, file.name, file.getvalue())
    except InfraScaleError as error:
        refused(w, error)
        return
    if said:
        with st.expander(w.say("form.import_found"), expanded=True):
            st.code(said, language=None)
    st.markdown(" · ".join(f"`{key} = {value:g}`" if isinstance(value, float) else f"`{key} = {value}`"
                           for key, value in keys.items()))  # fmt: skip
    st.button(w.say("form.import_take"), key="import_take", type="primary", on_click=put, args=(_values(keys),))


@st.cache_data(max_entries=32, show_spinner=True)
def _learned(name: str, digest: str, language: str, _content: bytes) -> tuple[dict[str, Any], str]:
    """Keys and screen of a log; the same file again is answered from memory."""
    from infrascale.usage import Reading, demand, learn
    from infrascale.usage.screen import usage_lines

    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        path = Path(folder) / f"log{''.join(Path(name).suffixes[-2:])}"
        path.write_bytes(_content)
        found = learn([str(path)], Reading())
    return demand(found, "auto"), "\n".join(usage_lines(found, "auto", words(language))).replace(str(path), name)


def _read(w: Words, name: str, content: bytes) -> tuple[Mapping[str, Any], str]:
    if not name.endswith(".toml"):
        return _learned(name, sha256(content).hexdigest(), w.language, content)
    try:
        return toml_keys(content.decode("utf-8"), name), ""
    except UnicodeDecodeError:
        raise FileError(f"{name} is not text", why="it is not UTF-8", fix="drop a workload file") from None


def _values(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the keys, once a scenario accepts them; a promise without a percentile is one of the mean."""
    held = question({"model": "any", **keys})
    own = {key: getattr(held, key) for key in keys}
    for promise, percentile in (("ttft", "ttft_percentile"), ("tokens_per_s", "speed_percentile")):
        if promise in own:
            own[percentile] = getattr(held, percentile)
    return values_of(own)
