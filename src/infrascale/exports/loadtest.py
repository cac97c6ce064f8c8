"""A load test that judges the plan: vLLM's own benchmark at a quarter, half, three quarters and all of the peak,
and beyond. Its files go back into InfraScale, which learns this model on these servers from them.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from math import ceil

from infrascale.exports.header import commented, header
from infrascale.exports.serving import Serving
from infrascale.planning import Candidate

#: Shares of the planned requests in flight. The last shows what is left beyond the promise.
SHARES = (0.25, 0.5, 0.75, 1.0, 1.25)
#: Requests for each in flight: enough for a steady middle after the ramp.
ROUNDS = 10


def bench_serve(*, model: str, tokenizer: str, metadata: Mapping[str, str]) -> list[str]:
    """What every run of `vllm bench serve` here has in common; it reads $BASE_URL."""
    return [
        "--backend vllm",
        '--base-url "$BASE_URL"',
        f"--model {shlex.quote(model)}",
        f"--tokenizer {shlex.quote(tokenizer)}",
        "--dataset-name random",
        "--ignore-eos",
        "--seed 0",
        "--percentile-metrics ttft,tpot,itl,e2el",
        "--metric-percentiles 50,90,95,99",
        f"--metadata {' '.join(shlex.quote(f'{key}={value}') for key, value in metadata.items())}",
    ]


def metadata(serving_of: Candidate, plan_hash: str) -> dict[str, str]:
    """What a result file is to say of the deployment, which vLLM does not."""
    deployment = serving_of.deployment
    return {
        "gpu": deployment.gpu.id,
        "gpu_count": str(serving_of.gpus),
        "tp": str(deployment.shard.tp),
        "pp": str(deployment.shard.pp),
        "replicas": str(serving_of.replicas + serving_of.spare_replicas),
        "weight_precision": deployment.quantization.precision,
        "plan": plan_hash,
    }


def render(serving: Serving) -> dict[str, str]:
    scenario, best = serving.plan.scenario, serving.best
    load = scenario.workload
    peak = serving.requests_per_replica * best.replicas
    shared = int(load.isl_tokens * load.prefix_hit_fraction)
    arguments = [
        *bench_serve(model=scenario.model.id, tokenizer=serving.checkpoint, metadata=metadata(best, serving.plan_hash)),
        *([f"--random-prefix-len {shared}"] if shared else []),
        f"--random-input-len {max(1, round(load.isl_tokens) - shared)}",
        f"--random-output-len {round(load.osl_tokens)}",
        '--max-concurrency "$clients"',
        f'--num-prompts "$((clients * {ROUNDS}))"',
        "--save-result",
        "--save-detailed",
        '--result-dir "$RESULTS"',
        '--result-filename "clients-$clients.json"',
    ]
    clients = dict.fromkeys(max(1, ceil(share * peak)) for share in SHARES)
    script = "#!/usr/bin/env bash\n" + commented(header(serving)) + "set -euo pipefail\n"
    script += ': "${BASE_URL:=http://localhost:8000}"\n: "${RESULTS:=results}"\nmkdir -p "$RESULTS"\n'
    script += f"for clients in {' '.join(map(str, clients))}; do\n  vllm bench serve "
    return {"loadtest.sh": script + " \\\n    ".join(arguments) + "\ndone\n"}
