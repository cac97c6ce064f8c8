"""LeaderWorkerSet: replicas of a leader and its workers, each pod one server's share of the GPUs.

vLLM joins the servers by itself (`--nnodes`, processes over torch.distributed); only the leader answers HTTP.
"""

from __future__ import annotations

from typing import Any

from infrascale.exports.manifest import manifest
from infrascale.exports.pods import claim, labels, metadata, pod, service
from infrascale.exports.serving import Serving
from infrascale.exports.vllm import MASTER_PORT

ROLE = "leaderworkerset.sigs.k8s.io/worker-index"


def render(serving: Serving) -> dict[str, str]:
    group = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": metadata(serving),
        "spec": {
            "replicas": serving.replicas,
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxUnavailable": 1, "maxSurge": 0},
            },
            "leaderWorkerTemplate": {
                "size": serving.servers,
                "restartPolicy": "RecreateGroupOnPodRestart",
                **_templates(serving),
            },
        },
    }
    leaders = {"app.kubernetes.io/name": serving.name, ROLE: "0"}
    return {"lws.yaml": manifest(serving, claim(serving), group, service(serving, leaders))}


def _templates(serving: Serving) -> dict[str, Any]:
    """Leader and workers; alone in its group, a leader is made from the worker's template."""
    meta = {"metadata": {"labels": labels(serving)}}
    if serving.servers == 1:
        return {"workerTemplate": meta | {"spec": pod(serving)}}
    joined = (
        "--distributed-executor-backend=mp",
        "--nnodes=$(LWS_GROUP_SIZE)",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--master-addr=$(LWS_LEADER_ADDRESS)",
        f"--master-port={MASTER_PORT}",
    )
    return {
        "leaderTemplate": meta | {"spec": pod(serving, joined)},
        "workerTemplate": meta | {"spec": pod(serving, (*joined, "--headless"), serves=False)},
    }
