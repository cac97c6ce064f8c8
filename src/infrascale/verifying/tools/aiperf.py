"""`aiperf profile`, a run a point. Flags: aiperf 0.13; lengths are the server's own counts."""

from __future__ import annotations

import shlex

from infrascale.verifying.design import Probe
from infrascale.verifying.tools import Target, joined

PROGRAM = "aiperf"
RESULT = "{name}/profile_export_aiperf.json"


def run(target: Target, probe: Probe) -> str:
    load = f"--concurrency {probe.concurrency}"
    if not probe.concurrency:
        load = f"--request-rate {probe.request_per_s:.6g} --arrival-pattern poisson"
    return joined(
        [
            "aiperf profile",
            f"--model {shlex.quote(target.model)}",
            f"--tokenizer {shlex.quote(target.tokenizer)}",
            '--url "$BASE_URL"',
            "--endpoint-type chat",
            "--streaming",
            "--use-server-token-count",
            "--extra-inputs ignore_eos:true",
            f"--isl {probe.isl_tokens}",
            f"--osl {probe.osl_tokens}",
            f"--request-count {probe.requests}",
            load,
            "--random-seed 0",
            f'--output-artifact-dir "$RESULTS"/{probe.name}',
            "--ui none",
        ]
    )
