"""A load test that judges the plan: vLLM's own benchmark at a quarter, half, three quarters and all of the peak,
and beyond. Its files go back into InfraScale, which learns this model on these servers from them.
"""

from __future__ import annotations

import shlex
from math import ceil

from infrascale.exports.header import commented, header
from infrascale.exports.serving import Serving

#: Shares of the planned requests in flight. The last shows what is left beyond the promise.
SHARES = (0.25, 0.5, 0.75, 1.0, 1.25)
#: Requests for each in flight: enough for a steady middle after the ramp.
ROUNDS = 10


def render(serving: Serving) -> dict[str, str]:
    scenario, best = serving.plan.scenario, serving.best
    load, deployment = scenario.workload, best.deployment
    peak = serving.requests_per_replica * best.replicas
    shared = int(load.isl_tokens * load.prefix_hit_fraction)
    arguments = [
        "--backend vllm",
        '--base-url "$BASE_URL"',
        f"--model {shlex.quote(scenario.model.id)}",
        f"--tokenizer {shlex.quote(serving.checkpoint)}",
        "--dataset-name random",
        *([f"--random-prefix-len {shared}"] if shared else []),
        f"--random-input-len {max(1, round(load.isl_tokens) - shared)}",
        f"--random-output-len {round(load.osl_tokens)}",
        "--ignore-eos",
        "--seed 0",
        '--max-concurrency "$clients"',
        f'--num-prompts "$((clients * {ROUNDS}))"',
        "--percentile-metrics ttft,tpot,itl,e2el",
        "--metric-percentiles 50,90,95,99",
        "--save-result",
        "--save-detailed",
        '--result-dir "$RESULTS"',
        '--result-filename "clients-$clients.json"',
        f"--metadata gpu={deployment.gpu.id} gpu_count={best.gpus} tp={deployment.shard.tp} pp={deployment.shard.pp}"
        f" replicas={serving.replicas} weight_precision={deployment.quantization.precision}"
        f" plan={serving.plan_hash}",
    ]
    clients = dict.fromkeys(max(1, ceil(share * peak)) for share in SHARES)
    script = "#!/usr/bin/env bash\n" + commented(header(serving)) + "set -euo pipefail\n"
    script += ': "${BASE_URL:=http://localhost:8000}"\n: "${RESULTS:=results}"\nmkdir -p "$RESULTS"\n'
    script += f"for clients in {' '.join(map(str, clients))}; do\n  vllm bench serve "
    return {"loadtest.sh": script + " \\\n    ".join(arguments) + "\ndone\n"}
