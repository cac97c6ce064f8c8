"""`vllm serve` as a shell script beside an environment file: one replica; start as many as the header says."""

from __future__ import annotations

import shlex

from infrascale.exports.header import commented, header
from infrascale.exports.serving import Serving

#: vLLM's own port for the processes of one replica on several servers.
MASTER_PORT = 29500


def render(serving: Serving) -> dict[str, str]:
    lines = [shlex.quote(serving.checkpoint)]
    for flag, value in serving.flags:
        lines.append(f"--{flag}" if value is None else f"--{flag} {shlex.quote(value)}")
    script = "#!/usr/bin/env bash\n" + commented(header(serving)) + "set -euo pipefail\n"
    script += 'cd "$(dirname "$0")"\nset -a\n. ./vllm.env\nset +a\n'
    if serving.servers > 1:
        script += (
            f': "${{NODE_RANK:?0 on the first of {serving.servers} servers, then 1, 2, …}}"\n'
            ': "${MASTER_ADDR:?the address of the first server}"\n'
            'role=()\n[ "$NODE_RANK" = 0 ] || role=(--headless)\n'
        )
        lines += [
            "--distributed-executor-backend mp",
            f"--nnodes {serving.servers}",
            '--node-rank "$NODE_RANK"',
            '--master-addr "$MASTER_ADDR"',
            f"--master-port {MASTER_PORT}",
            '"${role[@]}"',
        ]
    script += "exec vllm serve " + " \\\n  ".join(lines) + "\n"
    environment = commented(iter([f"InfraScale, plan {serving.plan_hash}"]))
    environment += "# HF_HOME=/srv/huggingface\n# HF_TOKEN=\nVLLM_NO_USAGE_STATS=1\n"
    return {"serve.sh": script, "vllm.env": environment}
