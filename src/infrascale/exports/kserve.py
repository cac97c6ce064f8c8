"""KServe LLMInferenceService. KServe writes image, port, model path and probes itself; flags go in by environment.

The image is the one of the installed KServe's `kserve-config-llm-template`: its vLLM should be the plan's version.
"""

from __future__ import annotations

from infrascale.errors import ExportError
from infrascale.exports.manifest import manifest
from infrascale.exports.pods import gibibytes, metadata, placement, resources
from infrascale.exports.serving import Serving

#: Flags that KServe's template writes.
OWN = {"port", "served-model-name", "tensor-parallel-size"}


def render(serving: Serving) -> dict[str, str]:
    serving.on_one_server("kserve")
    if serving.best.deployment.shard.dp > 1:
        raise ExportError(
            "kserve cannot start this plan",
            why="data parallelism inside a replica makes KServe expect several servers",
            fix="--to kubernetes or --to lws",
        )
    mount = {"name": "shm", "mountPath": "/dev/shm"}
    engine = {
        "name": "main",
        "env": [{"name": "VLLM_ADDITIONAL_ARGS", "value": " ".join(_arguments(serving))}],
        "resources": resources(serving),
        "volumeMounts": [mount],
    }
    memory = {"medium": "Memory", "sizeLimit": gibibytes(serving.shm_bytes)}
    spec = {
        "model": {"uri": f"hf://{serving.checkpoint}", "name": serving.plan.scenario.model.id},
        "replicas": serving.replicas,
        "parallelism": {"tensor": serving.best.deployment.shard.tp},
        "router": {"route": {}, "gateway": {}, "scheduler": {}},
        "template": {
            **placement(serving),
            "containers": [engine],
            "volumes": [{"name": "shm", "emptyDir": memory}],
        },
    }
    document = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "LLMInferenceService",
        "metadata": metadata(serving),
        "spec": spec,
    }
    return {"kserve.yaml": manifest(serving, document)}


def _arguments(serving: Serving) -> list[str]:
    """KServe evaluates these words in a shell, so none may hold anything but plain signs."""
    found = [f"--{flag}" if value is None else f"--{flag}={value}" for flag, value in serving.flags if flag not in OWN]
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789-=._") for word in found)
    return found
