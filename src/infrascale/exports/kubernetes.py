"""Kubernetes: Deployment, Service, claim for the weights; a KEDA ScaledObject where more replicas are allowed.

The plan's replicas are the floor: they are what its peak needs. KEDA adds where running and waiting requests exceed
what a replica was planned for.
"""

from __future__ import annotations

from math import floor
from typing import Any

from infrascale.errors import ExportError
from infrascale.exports.manifest import manifest
from infrascale.exports.pods import claim, labels, metadata, pod, service
from infrascale.exports.serving import Serving


def render(serving: Serving) -> dict[str, str]:
    serving.on_one_server("kubernetes")
    scaled = serving.options.max_replicas is not None
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(serving),
        "spec": ({} if scaled else {"replicas": serving.replicas})
        | {
            "selector": {"matchLabels": {"app.kubernetes.io/name": serving.name}},
            # An update may not ask for GPUs beyond the plan's.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "progressDeadlineSeconds": 7200,
            "template": {"metadata": {"labels": labels(serving)}, "spec": pod(serving)},
        },
    }
    documents = [claim(serving), deployment, service(serving, {"app.kubernetes.io/name": serving.name})]
    return {"kubernetes.yaml": manifest(serving, *documents, *([scaler(serving)] if scaled else []))}


def scaler(serving: Serving) -> dict[str, Any]:
    """KEDA 2: between the plan's replicas and the person's most, by requests in flight over those planned for one."""
    most, prometheus = serving.options.max_replicas, serving.options.prometheus
    if most is None or most < serving.replicas:
        raise ExportError(
            f"--max-replicas {most} is below the plan",
            why=f"its peak needs {serving.replicas} replicas",
            fix=f"--max-replicas {serving.replicas} or more",
        )
    if not prometheus:
        raise ExportError(
            "scaling needs to see the queue", why="no Prometheus is named", fix="add --prometheus http://HOST:PORT"
        )
    seen = f'{{model_name="{serving.plan.scenario.model.id}"}}'
    query = f"sum(vllm:num_requests_running{seen}) + sum(vllm:num_requests_waiting{seen})"
    threshold = str(max(1, floor(serving.requests_per_replica)))
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(serving),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": serving.name},
            "minReplicaCount": serving.replicas,
            "maxReplicaCount": most,
            "triggers": [
                {
                    "type": "prometheus",
                    "metadata": {"serverAddress": prometheus, "query": query, "threshold": threshold},
                }
            ],
        },
    }
