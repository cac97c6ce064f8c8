"""A model of which only the size is known: `generic:13b`, `generic:30b-a3b` (total, active), `generic:8x7b`.

In: a name that tells a size.    Out: Model, shaped as models of that size are.
Idea: depth and width follow the size as in the Llama 3 and Qwen 3 generations, eight key-value heads of 128; what is
left of the parameters goes into the feed-forward. An answer for it is for a model like most; MHA, latent attention,
windows and odd depths of the true one are not in it, which is why its intervals are wider (`uncertainty`).
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from math import exp, log

from infrascale.errors import ModelError
from infrascale.model import Group, Model
from infrascale.model.blocks import Dense, Gqa, Moe

PREFIX = "generic:"
#: Parameters, layers, width. Dense: Qwen3-0.6B, Llama-3.2-1B and 3B, Llama-3.1-8B, Qwen3-14B and 32B, Llama-3.1-70B,
#: Mistral-Large, Llama-3.1-405B. Sparse: OLMoE, Qwen3-30B-A3B, GLM-4.5-Air, Qwen3-235B, DeepSeek-V3, Kimi-K2.
_DENSE = (
    (0.6e9, 28, 1024), (1.2e9, 16, 2048), (3.2e9, 28, 3072), (8e9, 32, 4096), (14.8e9, 40, 5120), (32.8e9, 64, 5120),
    (70.6e9, 80, 8192), (123e9, 88, 12288), (405e9, 126, 16384),
)  # fmt: skip
_SPARSE = (
    (7e9, 16, 2048), (30.5e9, 48, 2048), (107e9, 46, 4096), (235e9, 94, 4096), (671e9, 61, 7168), (1030e9, 61, 7168),
)  # fmt: skip
_VOCAB, _HEAD, _KV_HEADS, _CONTEXT = 128_256, 128, 8, 131_072
#: Below this, tables of embeddings are shared with the head, as in Llama-3.2 and Qwen3 of that size.
_TIED_BELOW = 4e9
_LEAST, _MOST = 5e7, 2e13
_SPARSE_NAME = re.compile(r"(\d+(?:\.\d+)?)([bt])[-_]?a(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_COPIES_NAME = re.compile(r"(?<![a-z0-9.])(\d+)x(\d+(?:\.\d+)?)b(?![a-z0-9])")
_DENSE_NAME = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)([bmt])(?![a-z0-9])")
_UNITS = {"m": 1e6, "b": 1e9, "t": 1e12}


def size_in_name(name: str) -> str | None:
    """The size that a name tells, as `generic` takes it: `New-30B-A3B-FP8` is 30b-a3b; None where it tells none."""
    word = name.lower()
    if found := _SPARSE_NAME.search(word):
        return "{}{}-a{}{}".format(*found.groups())
    if found := _COPIES_NAME.search(word):
        return f"{found[1]}x{found[2]}b"
    found = _DENSE_NAME.search(word)
    return f"{found[1]}{found[2]}" if found and float(found[1]) > 0 else None


@cache
def generic(name: str) -> Model:
    """`generic:8b` has 8e9 parameters to a few per cent, of the shape of Llama-3.1-8B."""
    size = name.removeprefix(PREFIX)
    if found := _SPARSE_NAME.fullmatch(size):
        total, active = float(found[1]) * _UNITS[found[2]], float(found[3]) * _UNITS[found[4]]
        _check(name, total, active)
        return _sparse(name, total, active)
    if found := _COPIES_NAME.fullmatch(size):
        copies, one = int(found[1]), float(found[2]) * 1e9
        _check(name, copies * one, one)
        return _copies(name, copies, one)
    found = _DENSE_NAME.fullmatch(size)
    if not found:
        raise _unread(name, "it tells no size")
    total = float(found[1]) * _UNITS[found[2]]
    _check(name, total, total)
    return _dense(name, total)


def described(model: Model) -> str:
    """What was assumed: `a dense model of 13.0 billion parameters, 38 layers, grouped-query attention`."""
    kind = "mixture of experts" if model.is_moe else "dense model"
    active = f", {model.active_params / 1e9:.1f} of them active," if model.is_moe else ","
    size = f"{model.params / 1e9:.1f} billion parameters"
    return f"a {kind} of {size}{active} {model.layers} layers, grouped-query attention"


def _check(name: str, total: float, active: float) -> None:
    if not (_LEAST <= total <= _MOST and 0 < active <= total):
        raise _unread(name, f"{total:.3g} parameters, {active:.3g} active, are of no model")


def _unread(name: str, why: str) -> ModelError:
    return ModelError(f"{name[:60]} cannot be read", why=why, fix="say generic:13b, generic:30b-a3b or generic:8x7b")


def _shape(points: tuple[tuple[float, int, int], ...], params: float) -> tuple[int, int]:
    """Layers and width between the two nearest sizes; beyond the ends, the last shape grown in both."""
    first, last = points[0], points[-1]
    if not first[0] <= params <= last[0]:
        end = first if params < first[0] else last
        growth = (params / end[0]) ** (1 / 3)
        layers, width = end[1] * growth, end[2] * growth
    else:
        low, high = next((a, b) for a, b in pairwise(points) if a[0] <= params <= b[0])
        share = log(params / low[0]) / log(high[0] / low[0])
        layers, width = (exp(log(low[i]) * (1 - share) + log(high[i]) * share) for i in (1, 2))
    return max(2, round(layers)), max(256, round(width / 256) * 256)


def _attention(hidden: int) -> Gqa:
    heads = max(8, round(hidden / _HEAD / 8) * 8)  # so that 2, 4 and 8 GPUs can share them
    return Gqa(hidden=hidden, heads=heads, kv_heads=_KV_HEADS, head_dim=_HEAD, norm_params=2 * hidden)


def _model(name: str, hidden: int, layers: int, tied: bool, feed: Dense | Moe) -> Model:
    mixer = _attention(hidden)
    return Model(
        id=name, hidden=hidden, vocab=_VOCAB, groups=(Group(count=layers, blocks=(mixer, feed)),),
        max_model_len=_CONTEXT, heads=mixer.heads, kv_heads=mixer.kv_heads, tied_embeddings=tied,
        assumed=True,
    )  # fmt: skip


def _left(params: float, hidden: int, layers: int, tied: bool) -> float:
    """Parameters of one layer's feed-forward, once attention and embeddings have theirs; some always remain."""
    tables = (1 if tied else 2) * _VOCAB * hidden
    return max((params - tables) / layers - _attention(hidden).params, 0.2 * params / layers)


def _dense(name: str, params: float) -> Model:
    layers, hidden = _shape(_DENSE, params)
    tied = params < _TIED_BELOW
    wide = max(64, round(_left(params, hidden, layers, tied) / (3 * hidden) / 64) * 64)
    return _model(name, hidden, layers, tied, Dense(hidden=hidden, intermediate=wide))


def _copies(name: str, copies: int, one: float) -> Model:
    """Mixtral's way: a dense model whose feed-forward is there `copies` times, two for each token."""
    layers, hidden = _shape(_DENSE, one)
    wide = max(64, round(_left(one, hidden, layers, False) / (3 * hidden) / 64) * 64)
    each = Moe(hidden=hidden, experts=copies, experts_per_token=min(2, copies), intermediate=wide)
    return _model(name, hidden, layers, False, each)


def _sparse(name: str, total: float, active: float) -> Model:
    """Eight of 128 experts, or of 256 from 300 billion on, and one shared by all tokens, as wide as both sizes ask."""
    layers, hidden = _shape(_SPARSE, total)
    experts, picked, unit = (256 if total > 300e9 else 128), 8, 3 * hidden
    routed = _left(total, hidden, layers, False)
    wanted = max(unit * 16, (active - _VOCAB * hidden) / layers - _attention(hidden).params)
    one = max(unit * 16, (routed - wanted) / (experts - picked))  # one expert: all of them and the shared are `routed`
    shared = wanted - picked * one
    if shared < 0:  # fewer experts a token where eight are too many
        one, shared = routed / experts, 0.0
        picked = max(1, round(wanted / one))
    each = Moe(
        hidden=hidden, experts=experts, experts_per_token=picked, intermediate=max(16, round(one / unit / 16) * 16),
        shared_intermediate=round(shared / unit / 16) * 16,
    )  # fmt: skip
    return _model(name, hidden, layers, False, each)
