"""`vllm bench serve`, a run a point, against a server that is there; and `vllm bench sweep serve`, which starts it.

Flags: vLLM 0.32 and 0.33.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from infrascale.exports.loadtest import bench_serve
from infrascale.verifying.design import Probe
from infrascale.verifying.tools import Target, joined

PROGRAM = "vllm"
RESULT = "{name}.json"


def run(target: Target, probe: Probe) -> str:
    load = (
        [f"--max-concurrency {probe.concurrency}"]
        if probe.concurrency
        else [f"--request-rate {probe.request_per_s:.6g}"]
    )
    words = [
        *_common(target),
        *_lengths(target, probe),
        *load,
        f"--num-prompts {probe.requests}",
        "--save-result",
        "--save-detailed",
        '--result-dir "$RESULTS"',
        f"--result-filename {RESULT.format(name=probe.name)}",
    ]
    return joined(["vllm bench serve", *words])


def _common(target: Target) -> list[str]:
    return bench_serve(model=target.model, tokenizer=target.tokenizer, metadata=target.metadata)


def _lengths(target: Target, probe: Probe) -> list[str]:
    shared = min(target.shared_tokens, probe.isl_tokens - 1)
    prefix = [f"--random-prefix-len {shared}"] if shared else []
    return [*prefix, f"--random-input-len {probe.isl_tokens - shared}", f"--random-output-len {probe.osl_tokens}"]


def more(target: Target, probes: Sequence[Probe]) -> dict[str, str]:
    """The same points in one sweep that starts the planned server itself; closed loops and rates alike."""
    if target.serve is None:
        return {}
    rows = {}
    for probe in probes:
        shared = min(target.shared_tokens, probe.isl_tokens - 1)
        rows[probe.name] = {
            "random_input_len": probe.isl_tokens - shared,
            "random_output_len": probe.osl_tokens,
            "num_prompts": probe.requests,
            **({"random_prefix_len": shared} if shared else {}),
            **({"max_concurrency": probe.concurrency} if probe.concurrency else {}),
            **({"request_rate": round(probe.request_per_s, 6)} if probe.request_per_s else {}),
        }
    words = (word for word in _common(target) if "percentile-metrics" not in word)
    bench = " ".join(["vllm bench serve", *words]).replace('"$BASE_URL"', f"http://127.0.0.1:{target.port}")
    command = joined(
        [
            "vllm bench sweep serve",
            f"--serve-cmd {shlex.quote(target.serve)}",
            f"--bench-cmd {shlex.quote(bench)}",
            "--bench-params vllm-sweep.json",
            "--num-runs 1",
            '--output-dir "$RESULTS"',
            "--experiment-name sweep",
        ]
    )
    needs = "# summary.csv needs pandas: pip install 'vllm[bench]'; without it, give BENCH--*/run=*.json"
    return {"vllm-sweep.sh": target.script([needs, command]), "vllm-sweep.json": json.dumps(rows, indent=2) + "\n"}
