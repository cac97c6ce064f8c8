"""`guidellm run`, a run a point. Flags: GuideLLM 0.8.1, whose synthetic prompts ask for exactly so many tokens."""

from __future__ import annotations

import shlex

from infrascale.verifying.design import Probe
from infrascale.verifying.tools import Target, joined

PROGRAM = "guidellm"
RESULT = "{name}.json"


def run(target: Target, probe: Probe) -> str:
    load = f"kind=concurrent,streams={probe.concurrency}"
    if not probe.concurrency:
        load = f"kind=poisson,rate={probe.request_per_s:.6g}"
    return joined(
        [
            "guidellm run",
            f'--backend kind=openai_http,target="$BASE_URL",model={shlex.quote(target.model)}',
            f"--profile {load}",
            f"--constraint kind=max_requests,count={probe.requests}",
            f"--data kind=synthetic_text,prompt_tokens={probe.isl_tokens},output_tokens={probe.osl_tokens}",
            f"--tokenizer kind=huggingface_auto,model={shlex.quote(target.tokenizer)}",
            f'--output kind=json,path="$RESULTS"/{RESULT.format(name=probe.name)}',
            "--disable-console-interactive",
        ]
    )
