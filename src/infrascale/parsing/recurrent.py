"""Recurrent mixers from config keys: Mamba, gated delta nets, lightning attention, short convolutions.

Each is projections in and out, a state of fixed size, and the arithmetic of the scan beside them.
Scan FLOP: a state update and its read-out,
two multiply-adds an element of the state: 4 · state elements (delta nets
correct the state before they write it: 6).
"""

from __future__ import annotations

from infrascale.model.blocks import Recurrent
from infrascale.parsing.attention import HEADS, HIDDEN, head_dim
from infrascale.parsing.reader import Reader
from infrascale.work import Linear, Part

_STATE_BYTES = {"float32": 4.0, "fp32": 4.0, "float16": 2.0, "bfloat16": 2.0, "auto": 2.0}


def _linear(name: str, inputs: int, outputs: int, *, cut: bool = True, bias: bool = False) -> Linear:
    return Linear(name=name, inputs=inputs, outputs=outputs, part=Part.ATTENTION, cut=cut, bias=bias)


def _state_bytes(reader: Reader, default: str = "bfloat16") -> float:
    return _STATE_BYTES.get(reader.text("mamba_ssm_cache_dtype", "mamba_ssm_dtype", default=default), 4.0)


def _block(
    hidden: int,
    projections: list[Linear],
    *,
    state: int,
    state_bytes: float,
    conv: int,
    scan_per_state: float,
    other: int,
) -> Recurrent:
    """The convolution's last inputs are kept in 16 bits beside a state that may be in 32."""
    elements = state + conv
    return Recurrent(
        hidden=hidden,
        projections=tuple(projections),
        state_elements=elements,
        state_bytes_per_element=(state * state_bytes + conv * 2.0) / elements,
        scan_flop_per_token=scan_per_state * state + 2.0 * conv,
        other_params=other,
    )


def mamba2(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """Mamba-2: one projection to gate, inputs, B, C and time steps; keeps heads · head_dim · state_size."""
    hidden = reader.size(*HIDDEN)
    heads = reader.size("mamba_n_heads", "mamba_num_heads", "n_mamba_heads")
    dim = reader.find("mamba_d_head", "mamba_head_dim", "mamba_headdim")
    given = reader.size("mamba_d_ssm", default=0, least=0)
    expanded = hidden * reader.real("mamba_expand", "expand", default=2)
    if isinstance(dim, int) and not isinstance(dim, bool):
        inner = given or heads * reader.size("mamba_d_head", "mamba_head_dim", "mamba_headdim")
    else:
        inner = given or int(expanded)
    state = reader.size("mamba_d_state", "ssm_state_size")
    groups = reader.size("mamba_n_groups", "n_groups", "mamba_ngroups", default=1)
    kernel = reader.size("mamba_d_conv", "conv_kernel", default=4)
    convolved = inner + 2 * groups * state
    bias = reader.flag("mamba_proj_bias", "use_bias")
    norm = inner if reader.flag("mamba_rms_norm", default=True) else 0
    return _block(
        hidden,
        [
            _linear("ssm_in", hidden, inner + convolved + heads, bias=bias),
            _linear("ssm_out", inner, hidden, bias=bias),
        ],
        state=inner * state, state_bytes=_state_bytes(reader), conv=convolved * (kernel - 1),
        scan_per_state=4,
        other=convolved * (kernel + 1) + 3 * heads + norm + norm_params,
    )  # fmt: skip


def mamba1(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """Mamba-1 as Jamba has it: time steps of low rank, normed."""
    hidden = reader.size(*HIDDEN)
    inner = int(hidden * reader.real("mamba_expand", default=2))
    state, kernel = reader.size("mamba_d_state", default=16), reader.size("mamba_d_conv", default=4)
    given = reader.find("mamba_dt_rank")
    rank = -(-hidden // 16) if given in (None, "auto") else reader.size("mamba_dt_rank")
    return _block(
        hidden,
        [
            _linear("ssm_in", hidden, 2 * inner),
            _linear("ssm_x", inner, rank + 2 * state),
            _linear("ssm_dt", rank, inner, bias=True),
            _linear("ssm_out", inner, hidden),
        ],
        state=inner * state, state_bytes=_state_bytes(reader), conv=inner * (kernel - 1), scan_per_state=4,
        other=inner * (state + 1 + kernel + 1) + rank + 2 * state + norm_params,
    )  # fmt: skip


def delta_net(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """Gated delta net (Qwen3-Next, Qwen3.5, OLMo hybrid): a key_dim × value_dim matrix a value head."""
    hidden = reader.size(*HIDDEN)
    key_heads, heads = reader.size("linear_num_key_heads"), reader.size("linear_num_value_heads")
    key_dim, value_dim = reader.size("linear_key_head_dim"), reader.size("linear_value_head_dim")
    kernel = reader.size("linear_conv_kernel_dim", default=4)
    keys, values = key_heads * key_dim, heads * value_dim
    convolved = 2 * keys + values
    return _block(
        hidden,
        [
            _linear("delta_qkvz", hidden, convolved + values),
            _linear("delta_ba", hidden, 2 * heads),
            _linear("delta_out", values, hidden),
        ],
        state=heads * key_dim * value_dim, state_bytes=_state_bytes(reader), conv=convolved * (kernel - 1),
        scan_per_state=6, other=convolved * kernel + 2 * heads + value_dim + norm_params,
    )  # fmt: skip


def kda(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """Kimi delta attention: a delta net whose forget gate is one number a channel, through a low rank."""
    hidden = reader.size(*HIDDEN)
    nested = reader.child("linear_attn_config") or reader
    heads, dim = nested.size("linear_num_heads", "num_heads"), nested.size("linear_head_dim", "head_dim")
    kernel = nested.size("short_conv_kernel_size", "linear_conv_kernel_dim", default=4)
    wide = heads * dim
    gate = (
        [_linear("kda_gate", hidden, wide)]
        if nested.flag("use_full_rank_gate")
        else [_linear("kda_gate_a", hidden, dim, cut=False), _linear("kda_gate_b", dim, wide)]
    )
    return _block(
        hidden,
        [
            _linear("kda_qkv", hidden, 3 * wide),
            _linear("kda_beta", hidden, heads),
            _linear("kda_forget_a", hidden, dim, cut=False),
            _linear("kda_forget_b", dim, wide),
            *gate,
            _linear("kda_out", wide, hidden),
        ],
        state=heads * dim * dim, state_bytes=4.0, conv=3 * wide * (kernel - 1), scan_per_state=6,
        other=3 * wide * kernel + wide + heads + dim + norm_params,
    )  # fmt: skip


def lightning(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """Lightning attention (MiniMax M1): linear attention with a decay a head, normed and gated."""
    hidden, heads, dim = reader.size(*HIDDEN), reader.size(*HEADS), head_dim(reader)
    wide = heads * dim
    return _block(
        hidden,
        [
            _linear("lightning_qkv", hidden, 3 * wide),
            _linear("lightning_gate", hidden, wide),
            _linear("lightning_out", wide, hidden),
        ],
        state=heads * dim * dim, state_bytes=4.0, conv=0, scan_per_state=4, other=wide + norm_params,
    )  # fmt: skip


def short_conv(reader: Reader, *, norm_params: int = 0) -> Recurrent:
    """LFM2's gated short convolution: three projections in one, a kernel of `conv_L_cache` tokens."""
    hidden = reader.size(*HIDDEN)
    kernel, bias = reader.size("conv_L_cache", default=3), reader.flag("conv_bias")
    return _block(
        hidden,
        [_linear("conv_in", hidden, 3 * hidden, bias=bias), _linear("conv_out", hidden, hidden, bias=bias)],
        state=0, state_bytes=2.0, conv=hidden * kernel, scan_per_state=0,
        other=hidden * (kernel + bias) + norm_params,
    )  # fmt: skip
