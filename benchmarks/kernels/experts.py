"""The [curves.moe] of catalog/data/efficiency.toml, by format, architecture and engine.    python experts.py [GROWTH]

One layer's routed experts on one GPU, in the form and with the peaks that the package uses:

    t = launch + (E·(1 − (1 − k/E)^(t^GROWTH)) · expert bytes + activations) / (e_b·bandwidth) + flop / (e_f·peak)

GROWTH < 1 is skewed routing, which meets fewer experts than even routing does. It belongs to the router, not to the
kernel: one number for all tables. Fitted freely it trades against e_b and costs or gains under 1 point of error.
"""

from __future__ import annotations

import sys

import moe
import numpy as np
from common import fit, mape50, table, tables

from infrascale.model.blocks.moe import ROUTING_GROWTH
from infrascale.parsing.gpus import gpu

SYSTEMS = {
    "a100_sxm": "a100-sxm-80gb", "l40s": "l40s", "h100_sxm": "h100-sxm", "h200_sxm": "h200-sxm", "b200_sxm": "b200",
    "gb200": "gb200", "b300_sxm": "b300", "gb300": "gb300", "rtx_pro_6000_server": "rtx-pro-6000",
}  # fmt: skip
FORMATS = {
    "bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8_block", "nvfp4": "nvfp4", "int4_wo": "int4",
    "w4a16_mxfp4": "mxfp4", "w4a8_mxfp4_mxfp8": "mxfp4",
}  # fmt: skip
#: Older tables beside newer ones of the same engine, and two that REPORT.md calls unusable.
SUPERSEDED = {"0.19.0", "0.22.0", "1.3.0rc10", "1.3.0rc23"}
MOST = 2500


def usable(system: str, engine: str, version: str, quantised: str, architecture: str) -> bool:
    if version in SUPERSEDED or (version == "0.5.10" and system != "a100_sxm"):
        return False
    if quantised == "fp8" and engine == "vllm" and architecture == "hopper":
        return False  # 2-3 times slower than bf16 there
    if quantised == "w4a16_mxfp4":  # Blackwell runs mxfp4 weights on fp8 activations; Triton's own are 3-4 times slower
        return architecture != "blackwell" and engine != "sglang"
    # TensorRT-LLM's nvfp4 picks kernels by no rule that this form could follow: 18-39 % of error
    return not (quantised == "nvfp4" and engine == "trtllm")


def pools() -> dict[tuple[str, str, str], np.ndarray]:
    """Engine, format, architecture → columns of tables: shapes, bytes a weight, bandwidth, peak, seconds."""
    found: dict[tuple[str, str, str], list[np.ndarray]] = {}
    for system, engine, version, path in tables("moe"):
        if system not in SYSTEMS:
            continue
        card, data = gpu(SYSTEMS[system]), table(path)
        for quantised in sorted(set(data["moe_dtype"]) & set(FORMATS)):
            if not usable(system, engine, version, quantised, card.architecture):
                continue
            drawn = [moe.points(system, data, quantised, d) for d in ("balanced", "power_law_1.01", "power_law_1.2")]
            columns = np.concatenate(drawn, 1)
            if columns.shape[1] < 60:
                continue
            columns = columns[:, moe.RNG.permutation(columns.shape[1])[:MOST]]
            format = FORMATS[quantised]
            dtype = {"fp8_block": "fp8", "nvfp4": "fp4", "mxfp4": "fp4", "int4": "bf16"}.get(format, format)
            columns[7] = card.hbm_bytes_per_s
            columns[8] = card.flop_per_s.get(dtype, card.flop_per_s["bf16"])
            found.setdefault((engine, format, card.architecture), []).append(columns)
    return {key: np.concatenate(parts, 1) for key, parts in found.items()}


def seconds(z: np.ndarray, x: np.ndarray, growth: float) -> np.ndarray:
    tokens, hidden, inner, k, experts, weight_bytes, balanced, bandwidth, peak = x[:9]
    met = experts * (1 - (1 - np.minimum(k / experts, 0.999999)) ** tokens**growth)
    met = np.where(balanced > 0, np.minimum(experts, k * tokens), met)
    moved = met * 3 * hidden * inner * weight_bytes + tokens * k * (2 * hidden + 3 * inner) * 2
    return z[0] * 1e-6 + moved / (z[1] * bandwidth) + 6 * hidden * inner * tokens * k / (z[2] * peak)


def solve(x: np.ndarray, growth: float) -> tuple[np.ndarray, float]:
    z, errors = fit(lambda z: seconds(z, x, growth), [25, 0.75, 0.4], [1, 0.05, 0.02], [400, 1, 1], np.log(x[9]))
    return z, mape50(errors)


def show(key: str, x: np.ndarray, growth: float) -> None:
    z, error = solve(x, growth)
    print(f'[curves."{key}"]' if "/" in key or "@" in key else f"[curves.{key}]", f" # {error:.0f} % off")
    print(f"launch_s = {z[0] * 1e-6:.3g}\nbytes_fraction = {z[1]:.3g}\nflop_fraction = {z[2]:.3g}\nexponent = 1\n")


def main(growth: float) -> None:
    pooled = pools()
    for format in dict.fromkeys(FORMATS.values()):
        slash = "" if format == "bf16" else f"/{format}"
        own = {a: x for (e, f, a), x in pooled.items() if f == format and e == "vllm"}
        for engine in ("trtllm", "sglang"):  # where vLLM has no table, the others' serve
            own |= {a: x for (e, f, a), x in pooled.items() if (e, f) == (engine, format) and a not in own}
        show(f"moe{slash}", np.concatenate([x[:, :MOST] for x in own.values()], 1), growth)
        for architecture, x in sorted(own.items()):
            show(f"moe{slash}@{architecture}", x, growth)
        for (engine, found, architecture), x in sorted(pooled.items()):
            if found == format and engine != "vllm" and own[architecture] is not x:
                show(f"moe/{format}@{architecture}:{engine}", x, growth)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else ROUTING_GROWTH)
