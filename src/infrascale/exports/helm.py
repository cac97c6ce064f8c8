"""Values of the vLLM production-stack Helm chart (`helm install … vllm/vllm-stack -f values.yaml`).

The chart has keys for some flags; the others are passed in `extraArgs`. It turns prefix caching off unless told, and
asks for NVIDIA's runtime class unless told.
"""

from __future__ import annotations

from typing import Any

from infrascale.exports.manifest import manifest
from infrascale.exports.pods import PROBE_S, gibibytes, resources, tolerations
from infrascale.exports.serving import STARTUP_S, Serving

#: Flags with a key of their own in the chart's vllmConfig.
KEYS = {
    "tensor-parallel-size": "tensorParallelSize",
    "max-num-seqs": "maxNumSeqs",
    "max-model-len": "maxModelLen",
    "gpu-memory-utilization": "gpuMemoryUtilization",
    "dtype": "dtype",
}
#: Flags that the chart sets itself.
OWN = {"port", "enable-prefix-caching"}
#: From here on Helm writes a number of the values as 1e+06, which vLLM does not read; as a word it stays.
HELM_EXPONENT = 1_000_000


def render(serving: Serving) -> dict[str, str]:
    serving.on_one_server("helm")
    repository, _, tag = serving.image.rpartition(":")
    config: dict[str, Any] = {"enablePrefixCaching": True}
    extra = []
    for flag, value in serving.flags:
        if flag in KEYS and value is not None and not (value.isdigit() and int(value) >= HELM_EXPONENT):
            config[KEYS[flag]] = _number(value)
        elif flag not in OWN:
            extra.append(f"--{flag}" if value is None else f"--{flag}={value}")
    model: dict[str, Any] = {
        "name": serving.name,
        "repository": repository,
        "tag": tag,
        "modelURL": serving.checkpoint,
        "replicaCount": serving.replicas,
        "requestCPU": serving.cpus,
        "requestMemory": gibibytes(serving.host_bytes),
        "requestGPU": int(resources(serving)["limits"][serving.resource]),
        "requestGPUType": serving.resource,
        "shmSize": gibibytes(serving.shm_bytes),
        "pvcStorage": gibibytes(serving.storage_bytes),
        "pvcAccessMode": ["ReadWriteOnce" if serving.replicas == 1 else "ReadWriteMany"],
        "vllmConfig": config | {"extraArgs": extra},
    }
    if serving.node_selector:
        terms = [{"key": key, "operator": "In", "values": [value]} for key, value in serving.node_selector]
        model["nodeSelectorTerms"] = [{"matchExpressions": terms}]
    probe = {
        "httpGet": {"path": "/health", "port": 8000},
        "periodSeconds": PROBE_S,
        "failureThreshold": STARTUP_S // PROBE_S,
    }
    engine = {
        "enableEngine": True,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        "startupProbe": probe,
        "tolerations": tolerations(serving),
        "modelSpec": [model],
    }
    if serving.vendor != "nvidia":
        engine["runtimeClassName"] = ""
    return {"values.yaml": manifest(serving, {"servingEngineSpec": engine})}


def _number(value: str) -> int | float | str:
    try:
        return int(value)
    except ValueError:
        try:
            return float(value)
        except ValueError:
            return value
