"""A model that a row names and nobody entered: what its name says of its architecture.

In: a name.    Out: the Model to take, and a sentence that says what was taken; or CatalogError.
Idea: a fine-tune keeps its base's architecture and most often its name (`Hermes-3-Llama-3.1-70B`), a shortened name is
the start of one (`qwen3-235b`), and any other name that tells a size is taken for the usual model of that size.
Only predictions of rows do this; a plan refuses, since its reader can choose.
"""

from __future__ import annotations

import re
from functools import cache

from infrascale.catalog import kin, stems_by_core
from infrascale.catalog.spellings import core, words
from infrascale.errors import CatalogError
from infrascale.model import Model
from infrascale.parsing.generic import PREFIX, described, generic, size_in_name
from infrascale.parsing.models import model

#: Words of names that no decoder of text goes by: other layers, other tasks, or a part of a model only.
_OTHER = """
mamba rwkv retnet bert roberta t5 bart whisper clip siglip vit eagle eagle3 medusa draft drafter speculator dflash
mtp lora adapter embed embedding embeddings reranker reward encoder diffusion sdxl sd3 flux llada dream bge gte
nomic e5 jina minilm asr tts ocr t5gemma
"""
#: Words that a base's name may not lack: they tell other layers.
_OTHER_LAYERS = frozenset({"h", "moe", "hybrid", "linear", "next"})
_OTHER_KINDS = frozenset(_OTHER.split())


@cache
def likened(name: str) -> tuple[Model, str]:
    """Raises CatalogError where the name tells nothing."""
    if not name.strip():
        raise CatalogError("no model is named", why="the cell is blank", fix="name a model or give its config.json")
    try:
        return model(name), ""
    except CatalogError as unknown:
        other = sorted(_OTHER_KINDS & set(words(name)))
        if other:
            raise CatalogError(
                unknown.what, why=f"{other[0]!r} in its name: not a model that writes text by itself with attention",
                fix=unknown.fix,
            ) from None  # fmt: skip
        if taken := kin().get(core(name.rsplit("/", 1)[-1])):
            found = model(taken)
            of = f"assumed {described(found)}" if found.assumed else f"taken for {found.id}"
            return found, f"model not in the catalog: {of}, as its card says"
        stem = _base(name) or _begun(name)
        if stem:
            found = model(stem)
            return found, f"model not in the catalog: taken for {found.id}, by its name"
        size = size_in_name(name)
        if size is None:
            raise
        found = generic(PREFIX + size)
        return found, f"model not in the catalog: assumed {described(found)}"


@cache
def _sizes(name: str) -> list[str]:
    return sorted(re.findall(r"(?<![a-z0-9.])(?:\d+x)?a?\d+(?:[.]\d+)?(?=[bmt](?![a-z]))", name.lower()))


def _base(name: str) -> str | None:
    """The entry all of whose words are in the name, in their order, and whose size is the name's only one."""
    said, sizes = core(name.rsplit("/", 1)[-1]), _sizes(name)
    inside = {
        words_of: stem
        for words_of, (stem, known) in stems_by_core().items()
        if len(words_of) > 2
        and sizes
        and _sizes(known) == sizes
        and _in_order(words_of, said)
        and not _OTHER_LAYERS & (set(said) - set(words_of))
    }
    return inside[max(inside, key=lambda words_of: (len(words_of), words_of))] if inside else None


def _in_order(few: tuple[str, ...], many: tuple[str, ...]) -> bool:
    rest = iter(many)
    return all(word in rest for word in few)


def _begun(name: str) -> str | None:
    """The entry whose words begin with all of the name's, a size among them, if it is the only one."""
    said = core(name.rsplit("/", 1)[-1])
    found = {stem: words_of for words_of, (stem, _) in stems_by_core().items() if words_of[: len(said)] == said}
    return next(iter(found)) if _sizes(name) and len(set(found.values())) == 1 else None
