"""RayService with Ray Serve LLM: Ray places each replica's GPUs, over servers where a replica needs them.

vLLM is the one in Ray's image, which follows vLLM's releases with a delay: measure again where versions differ.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from infrascale.errors import ExportError
from infrascale.exports.manifest import manifest
from infrascale.exports.pods import claim, environment, metadata, mounts, placement, resources, volumes
from infrascale.exports.serving import Serving

RAY = "2.52.0"
IMAGE = f"rayproject/ray-llm:{RAY}-py311-cu128"
#: Flags that Ray Serve LLM sets itself.
OWN = {"port", "served-model-name"}


def render(serving: Serving) -> dict[str, str]:
    if serving.best.deployment.shard.dp > 1:
        raise ExportError(
            "ray cannot start this plan",
            why="Ray Serve LLM places attention ranks itself, by another builder",
            fix="--to kubernetes or --to lws",
        )
    image = serving.options.image or IMAGE
    head = {"name": "head", "image": image, "resources": {"requests": {"cpu": "4", "memory": "16Gi"}}}
    worker = {
        "name": "worker",
        "image": image,
        "env": environment(),
        "resources": resources(serving),
        "volumeMounts": mounts(),
    }
    pods = serving.replicas * serving.servers
    workers = {
        "groupName": "gpus",
        "replicas": pods,
        "minReplicas": pods,
        "maxReplicas": pods,
        "rayStartParams": {},
        "template": {"spec": {**placement(serving), "containers": [worker], "volumes": volumes(serving)}},
    }
    document = {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": metadata(serving),
        "spec": {
            "serveConfigV2": _serve_config(serving),
            "rayClusterConfig": {
                "rayVersion": RAY,
                "headGroupSpec": {
                    "rayStartParams": {"num-gpus": "0"},
                    "template": {"spec": {"containers": [head]}},
                },
                "workerGroupSpecs": [workers],
            },
        },
    }
    return {"ray.yaml": manifest(serving, claim(serving), document)}


def _serve_config(serving: Serving) -> str:
    """Ray Serve's own YAML, inside the manifest as a string."""
    import yaml

    keywords: dict[str, Any] = {}
    for flag, value in serving.flags:
        if flag not in OWN:
            keywords[flag.replace("-", "_")] = True if value is None else yaml.safe_load(value)
    model = {
        "model_loading_config": {
            "model_id": serving.plan.scenario.model.id,
            "model_source": serving.checkpoint,
        },
        "deployment_config": {
            "num_replicas": serving.replicas,
            # Twice what is planned to be inside: the engine queues, as in the plan, and not Ray.
            "max_ongoing_requests": 2 * max(serving.max_batch, ceil(serving.requests_per_replica)),
        },
        "engine_kwargs": keywords,
    }
    application = {
        "name": serving.name,
        "route_prefix": "/",
        "import_path": "ray.serve.llm:build_openai_app",
        "args": {"llm_configs": [model]},
    }
    return yaml.safe_dump({"applications": [application]}, sort_keys=False)
