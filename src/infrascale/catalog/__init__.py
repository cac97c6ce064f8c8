"""The catalog: TOML entries shipped with the package, found by id or any usual spelling.

In: a kind (gpus, models) and a name.    Out: the raw entry, or CatalogError with near matches.
Knows no type of ours: `parsing` turns entries into them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from infrascale.catalog import spellings
from infrascale.errors import CatalogError

DATA = Path(__file__).parent / "data"


def spelling(name: str) -> str:
    """Spellings that differ in case, blanks, dashes and underscores only are one; `R+` is `R plus`."""
    return re.sub(r"[\s_\-/()+.]+", "-", spellings.plus(name.strip().lower())).strip("-")


@cache
def entries(kind: str) -> Mapping[str, Mapping[str, Any]]:
    """All entries of a kind by file name."""
    return {path.stem: entry(kind, path.stem) for path in sorted((DATA / kind).glob("*.toml"))}


@cache
def entry(kind: str, stem: str) -> Mapping[str, Any]:
    path = DATA / kind / f"{stem}.toml"
    return _toml(path, path.read_text(encoding="utf-8"))


@cache
def heads(kind: str) -> Mapping[str, Mapping[str, Any]]:
    """What stands before the sources: names and figures. Looking up one entry then reads that one only."""
    paths = sorted((DATA / kind).glob("*.toml"))
    return {path.stem: _toml(path, path.read_text(encoding="utf-8").split("\n[sources]")[0]) for path in paths}


def _toml(path: Path, text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(f"{path.name} is not TOML", why=str(error), fix="mend the entry") from None


def names(kind: str) -> Mapping[str, tuple[str, ...]]:
    """Every name that means an entry, by file name."""
    return {
        stem: (stem, head.get("id", stem), *head.get("aliases", ()), *head.get("variants", ()))
        for stem, head in heads(kind).items()
    }


@cache
def _index(kind: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for stem, known in names(kind).items():
        for name in known:
            found.setdefault(spelling(name), stem)
            if "/" in name:
                found.setdefault(spelling(name.split("/")[-1]), stem)
    return found


@cache
def _cores() -> Mapping[tuple[str, ...], list[str]]:
    """By core; without variants, whose format another name of the same core need not have."""
    known = heads("models").values()
    variants = {spelling(part) for head in known for v in head.get("variants", ()) for part in (v, v.split("/")[-1])}
    return spellings.cores([name for name in _index("models") if name not in variants])


@cache
def stems_by_core() -> Mapping[tuple[str, ...], tuple[str, str]]:
    """Models by the words that make them: the file's name, and one spelling of those words."""
    index = _index("models")
    shortest = {words: min(known, key=len) for words, known in _cores().items() if words}
    return {words: (index[known], known) for words, known in shortest.items()}


@cache
def kin() -> Mapping[tuple[str, ...], str]:
    """What stands in for models whose names do not tell their architecture, by the words that make them."""
    table = _toml(DATA / "kin.toml", (DATA / "kin.toml").read_text(encoding="utf-8"))["kin"]
    return {spellings.core(name.split("/")[-1]): taken for taken, entry in table.items() for name in entry["names"]}


def meant(kind: str, name: str) -> str | None:
    """The spelling of the catalog that `name` stands for: the same, or one that differs in packaging only."""
    index, word = _index(kind), spelling(name[:200])
    if word in index:
        return word
    if kind == "gpus":
        machine = machine_meant(name)
        return machine[0] if machine else spellings.gpu_meant(name[:200], _memories())
    return spellings.model_meant(name[:200], _cores())


@cache
def _memories() -> Mapping[str, float]:
    """Memory of a GPU by each of its spellings [bytes]."""
    known = heads("gpus")
    return {word: float(known[stem]["hbm_bytes"]) for word, stem in _index("gpus").items()}


@cache
def machines() -> Mapping[str, tuple[str, int]]:
    """Machines that clouds rent out: the GPU in each, and how many."""
    table = _toml(DATA / "machines.toml", (DATA / "machines.toml").read_text(encoding="utf-8"))["machines"]
    return {spelling(name): (gpu, count) for gpu, named in table.items() for name, count in named.items()}


def machine_meant(name: str) -> tuple[str, int] | None:
    """The GPU in a cloud's machine, and how many: `ml.g5.12xlarge`, `Standard_ND96isr_H100_v5 (8 GPUs)`."""
    for part in (name[:200], *re.split(r"[\s,;()]+", name[:200])):
        word = re.sub("^(?:azure|aws|gcp|ml|standard)-", "", spelling(part))
        if word in machines():
            return machines()[word]
    return None


def gpus_named(name: str) -> int | None:
    """How many GPUs a spelling counts: eight in `8xH100`, `NVIDIA H100-SXM-80GB x8` and `p5.48xlarge`."""
    machine = machine_meant(name)
    return machine[1] if machine else spellings.count_in(name[:200])


def board_left_open(name: str) -> bool:
    """Whether `name` is a GPU's that is sold as several boards, and tells not which: `A100`, `H100`."""
    return machine_meant(name) is None and spellings.leaves_open(name[:200])


def find(kind: str, name: str) -> tuple[str, Mapping[str, Any]]:
    """The entry that `name` means, with its file name."""
    word = meant(kind, name)
    stem = _index(kind).get(word or "")
    if stem is None:
        raise _unknown(kind, name)
    return stem, entry(kind, stem)


def _unknown(kind: str, name: str) -> CatalogError:
    what = {"gpus": "GPU", "models": "model"}[kind]
    other = spellings.other_machine(name[:200]) if kind == "gpus" else None
    if other:
        return CatalogError(
            f"{name[:80]!r} cannot be predicted",
            why=f"it is {other}, of which the catalog has neither sheet nor kernels",
            fix="See `infrascale catalog gpus` for what it has.",
        )
    near = near_names(kind, name)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    more = " A model's config.json or its folder works too." if kind == "models" else ""
    return CatalogError(
        f"unknown {what} {name[:80]!r}",
        why=f"no entry of the catalog ({len(heads(kind))} {kind}) has this name",
        fix=f"{hint}See `infrascale catalog {kind}`.{more}",
    )


@cache
def near_names(kind: str, name: str, most: int = 4) -> list[str]:
    """Entries whose spelling is near `name`, by their own ids."""
    word, index = spelling(name)[:80], _index(kind)
    said = set(word.split("-"))
    alike = [key for key in index if key[:3] == word[:3] or said & set(key.split("-"))]  # the others cost time
    near = get_close_matches(word, alike, n=12, cutoff=0.55)
    near += [key for key in index if word and (word in key)][:8]
    ids = [heads(kind)[index[key]].get("id", index[key]) for key in near]
    return list(dict.fromkeys(ids))[:most]


@cache
def efficiency_entry() -> Mapping[str, Any]:
    return tomllib.loads((DATA / "efficiency.toml").read_text(encoding="utf-8"))
