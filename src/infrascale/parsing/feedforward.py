"""Feed-forward blocks from config keys: dense, or routed experts with shared ones beside them."""

from __future__ import annotations

from infrascale.model.blocks import Dense, Moe
from infrascale.parsing.attention import HIDDEN
from infrascale.parsing.families import Family
from infrascale.parsing.reader import Reader

WIDTH = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "inner_dim", "d_ff")
EXPERTS = ("num_local_experts", "n_routed_experts", "num_experts", "moe_num_experts", "num_routed_experts")
PER_TOKEN = (
    "num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_k", "moe_topk", "top_k_experts",
    "num_activated_experts",
)  # fmt: skip
SHARED = ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts", "num_shared_expert")


def expert_count(reader: Reader) -> int:
    """Routed experts a sparse layer holds; 0 for a dense model."""
    return reader.size(*EXPERTS, default=0, least=0)


def width(reader: Reader) -> int:
    """Width of the dense feed-forward; four times hidden_size where GPT-style configs leave it out."""
    hidden = reader.size(*HIDDEN)
    old = any(name in reader for name in ("n_embd", "n_head", "n_layer")) or reader.find("model_type") in (
        "falcon", "bloom", "mpt", "RefinedWeb", "RefinedWebModel",
    )  # fmt: skip
    if old:
        return reader.size(*WIDTH, default=hidden * reader.size("expansion_ratio", default=4))
    return reader.size(*WIDTH)


def dense(reader: Reader, family: Family, *, intermediate: int = 0) -> Dense:
    bias = reader.flag("mlp_bias", default=False) or family.mlp_bias
    return Dense(hidden=reader.size(*HIDDEN), intermediate=intermediate or width(reader), gated=family.gated, bias=bias)


def _one(reader: Reader, names: tuple[str, ...], default: int | None = None) -> int:
    """A number that some configs repeat for every layer."""
    name = next((n for n in names if n in reader), names[0])
    value = reader.find(name)
    if isinstance(value, list | tuple):
        same = reader.items(name, int) or []
        if len(set(same)) != 1 or same[0] < 1:
            raise reader.fail(f"{name} differs between layers, which is not supported")
        return int(same[0])
    return reader.size(*names, **({} if default is None else {"default": default}))


def moe(reader: Reader, family: Family, model_type: str) -> Moe:
    hidden, experts = reader.size(*HIDDEN), expert_count(reader)
    per_token = _one(reader, PER_TOKEN)
    if per_token > experts:
        raise reader.fail(f"a token goes to {per_token} experts, but there are {experts}")
    wide = _one(reader, ("moe_intermediate_size", "expert_ffn_hidden_size", *WIDTH))
    shared, gate = _shared(reader, family, model_type, wide)
    sigmoid = reader.flag("use_routing_bias", "use_moe_router_bias", "moe_router_enable_expert_bias",
                          default=reader.find("topk_method") == "noaux_tc" or family.router_bias)  # fmt: skip
    return Moe(
        hidden=hidden, experts=experts, experts_per_token=per_token, intermediate=wide,
        shared_intermediate=shared,
        shared_gate=gate, gated=family.gated, bias=family.expert_bias,
        router_params=experts if sigmoid else 0,
        latent=reader.size("moe_latent_size", "routed_expert_hidden_size", default=0, least=0),
    )  # fmt: skip


def _shared(reader: Reader, family: Family, model_type: str, wide: int) -> tuple[int, bool]:
    """Width of the experts every token visits, and whether a gate weighs them."""
    if model_type.startswith("llama4"):
        return wide, False
    copies = _one(reader, SHARED, 0) if any(reader.find(n) for n in SHARED) else 0
    for name in (
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "share_expert_dim",
    ):
        given = reader.size(name, default=0, least=0)
        if given:
            return given * max(1, copies if name.startswith("moe_") else 1), family.shared_gate
    if "shared_intermediate_size" in reader:
        return reader.size("shared_intermediate_size", least=0), False
    return copies * wide, False
