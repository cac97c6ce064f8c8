"""The [curves] of catalog/data/efficiency.toml from priors.toml.    python benchmarks/kernels/curves.py"""

from __future__ import annotations

import tomllib
from pathlib import Path

PRIORS = tomllib.loads(Path(__file__).with_name("priors.toml").read_text())
# `shared` is what a chip without tables takes.
ARCHITECTURES = {
    "shared": "", "ampere": "@ampere", "ada": "@ada", "hopper": "@hopper", "blackwell": "@blackwell",
    "blackwell_rtx": "@blackwell-rtx",
}  # fmt: skip
# Half of the activation quantisations run inside the norm or activation before them, for nothing.
QUANTISED_APART = 0.5
GEMM = {"bf16": "", "fp8": "/fp8", "fp8_block": "/fp8_block", "nvfp4": "/nvfp4"}
EXPERTS = {
    "bf16": "", "fp8": "/fp8", "fp8_block": "/fp8_block", "nvfp4": "/nvfp4", "mxfp4_w4a16": "/mxfp4",
    "int4_w4a16": "/int4",
}  # fmt: skip


def show(key: str, **values: float) -> None:
    print(f'[curves."{key}"]' if not key.isalnum() else f"[curves.{key}]")
    for name, value in values.items():
        print(f"{name} = {value:.3g}")
    print()


def main() -> None:
    for architecture, at in ARCHITECTURES.items():
        for format, slash in GEMM.items():
            if found := PRIORS["gemm"].get(architecture, {}).get(format):
                show(
                    f"gemm{slash}{at}",
                    launch_s=found["t0_s"],
                    bytes_fraction=found["e_b"],
                    flop_fraction=found["e_f"],
                    depth_s=found["k_chain_s_per_1024"] / 1024,
                    element_s=QUANTISED_APART * found["quant_s_per_element"],
                )
        for format, slash in EXPERTS.items():
            if found := PRIORS["moe"].get(architecture, {}).get(format):
                show(
                    f"moe{slash}{at}",
                    launch_s=found["floor_s"],
                    bytes_fraction=found["e_b"],
                    flop_fraction=found["e_f"],
                    exponent=1.0,
                )
        for format, slash in {"kv_bf16": "", "kv_fp8": "/fp8"}.items():
            if found := PRIORS["decode_attention"].get(architecture, {}).get(format):
                show(
                    f"decode_attention{slash}{at}",
                    launch_s=found["t0_s"],
                    bytes_fraction=found["e"],
                    row_s=found["seq_s"],
                )
        if found := PRIORS["prefill_attention"].get(architecture, {}).get("bf16"):
            show(
                f"prefill_attention{at}",
                launch_s=found["t0_s"],
                flop_fraction=found["e_max"],
                rows_half=found["s_half_tokens"],
                depth_s=found["chain_s_per_1024"] / 1024,
                exponent=3.0,
            )


if __name__ == "__main__":
    main()
