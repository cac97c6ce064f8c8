"""Docker Compose: a file describes one server, since Compose knows one host.

Replicas that share a server each get GPUs of their own by number (`count` would give all of them the first ones),
behind nginx, which sends a request to the replica with the fewest. Where a plan needs several servers there are two
files at most: one for full servers, one for the last.
"""

from __future__ import annotations

from typing import Any

from infrascale.exports.manifest import manifest
from infrascale.exports.serving import PORT, STARTUP_S, Serving

ROUTER_IMAGE = "nginx:1.28.0"
CACHE = "/root/.cache/huggingface"


def render(serving: Serving) -> dict[str, str]:
    serving.on_one_server("compose")
    a_server = max(1, serving.gpus_per_server // serving.gpus_per_pod)
    full, rest = divmod(serving.replicas, a_server)
    if full == 0 or (full == 1 and rest == 0):
        return {"compose.yaml": _file(serving, rest or a_server)}
    files = {f"compose.{full}-servers.yaml" if full > 1 else "compose.first.yaml": _file(serving, a_server)}
    return files | ({"compose.last.yaml": _file(serving, rest)} if rest else {})


def _file(serving: Serving, replicas: int) -> str:
    engines = {f"vllm-{i}": _engine(serving, i, alone=replicas == 1) for i in range(replicas)}
    document: dict[str, Any] = {"name": serving.name, "services": dict(engines)}
    if replicas > 1:
        document["services"]["router"] = {
            "image": ROUTER_IMAGE,
            "restart": "unless-stopped",
            "ports": [f"{PORT}:{PORT}"],
            "configs": [{"source": "router", "target": "/etc/nginx/conf.d/default.conf"}],
            "depends_on": {name: {"condition": "service_healthy"} for name in engines},
        }
        document["configs"] = {"router": {"content": _router(list(engines))}}
    document["volumes"] = {"weights": {}}
    return manifest(serving, document, in_cluster=False)


def _engine(serving: Serving, index: int, *, alone: bool) -> dict[str, Any]:
    first = index * serving.gpus_per_pod
    found: dict[str, Any] = {
        "image": serving.image,
        "entrypoint": ["vllm", "serve"],
        "command": [serving.checkpoint, *serving.arguments],
        "restart": "unless-stopped",
        "ipc": "host",
        "environment": {"HF_HOME": CACHE, "HF_TOKEN": "${HF_TOKEN:-}"},
        "volumes": [f"weights:{CACHE}"],
        "healthcheck": {
            "test": ["CMD", "curl", "-sf", f"http://localhost:{PORT}/health"],
            "interval": "10s",
            "start_period": f"{STARTUP_S}s",
        },
    }
    if alone:
        found["ports"] = [f"{PORT}:{PORT}"]
    numbers = [str(n) for n in range(first, first + serving.gpus_per_pod)]
    if serving.vendor == "amd":
        found |= {
            "devices": ["/dev/kfd", "/dev/dri"],
            "group_add": ["video"],
            "security_opt": ["seccomp=unconfined"],
        }
        found["environment"]["ROCR_VISIBLE_DEVICES"] = ",".join(numbers)
    elif serving.vendor == "nvidia":
        which = {"count": serving.gpus_per_pod} if alone else {"device_ids": numbers}
        device = {"driver": "nvidia", **which, "capabilities": ["gpu"]}
        found["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    else:
        found["devices"] = ["/dev/dri"]
    return found


def _router(engines: list[str]) -> str:
    """nginx, least connections; answers are streamed, so nothing is buffered and reads may take an hour."""
    servers = "".join(f"  server {name}:{PORT} max_fails=0;\n" for name in engines)
    return (
        f"upstream engines {{\n  least_conn;\n{servers}}}\n"
        f"server {{\n  listen {PORT};\n  client_max_body_size 64m;\n"
        "  location / {\n    proxy_pass http://engines;\n    proxy_buffering off;\n    proxy_read_timeout 3600s;\n"
        '    proxy_http_version 1.1;\n    proxy_set_header Connection "";\n  }\n}\n'
    )
