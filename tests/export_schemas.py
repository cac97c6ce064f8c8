"""Schemas of what clusters accept beyond core Kubernetes, for the fields that exports write and no other.

Written from the API types of LeaderWorkerSet (api/leaderworkerset/v1), KServe (v1alpha1 LLMInferenceService),
KubeRay (ray.io/v1 RayService), KEDA (v1alpha1 ScaledObject) and the values of vLLM's production-stack chart, as
published on 2026-11-24. Pod templates inside are checked by kubernetes-validate.
"""

from __future__ import annotations

from typing import Any


def closed(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with these keys and no others."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


COUNT = {"type": "integer", "minimum": 1}
TEXT = {"type": "string", "minLength": 1}
POD_TEMPLATE = closed({"metadata": {"type": "object"}, "spec": {"type": "object"}}, ("spec",))


def custom(kind: str, version: str, spec: dict[str, Any]) -> dict[str, Any]:
    header = {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": {"type": "object"}}
    return closed(header | {"spec": spec}, ("apiVersion", "kind", "metadata", "spec"))


LWS = custom(
    "LeaderWorkerSet",
    "leaderworkerset.x-k8s.io/v1",
    closed(
        {
            "replicas": COUNT,
            "startupPolicy": {"enum": ["LeaderCreated", "LeaderReady"]},
            "rolloutStrategy": closed(
                {
                    "type": {"const": "RollingUpdate"},
                    "rollingUpdateConfiguration": closed(
                        {"maxUnavailable": {"type": "integer"}, "maxSurge": {"type": "integer"}}
                    ),
                },
                ("type",),
            ),
            "leaderWorkerTemplate": closed(
                {
                    "size": COUNT,
                    "restartPolicy": {
                        "enum": ["Default", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None"]
                    },
                    "leaderTemplate": POD_TEMPLATE,
                    "workerTemplate": POD_TEMPLATE,
                },
                ("workerTemplate",),
            ),
        },
        ("leaderWorkerTemplate",),
    ),
)

KSERVE = custom(
    "LLMInferenceService",
    "serving.kserve.io/v1alpha1",
    closed(
        {
            "model": closed({"uri": {"type": "string", "pattern": "^(hf|s3|pvc|oci)://.+"}, "name": TEXT}, ("uri",)),
            "replicas": {"type": "integer", "minimum": 0},
            "parallelism": closed(
                {"tensor": COUNT, "pipeline": COUNT, "data": COUNT, "dataLocal": COUNT, "expert": {"type": "boolean"}}
            ),
            "router": closed({part: {"type": "object"} for part in ("route", "gateway", "scheduler")}),
            "template": {"type": "object"},
            "worker": {"type": "object"},
        },
        ("model",),
    ),
)  # fmt: skip

_GROUP = {"rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}}, "template": POD_TEMPLATE}
RAY = custom(
    "RayService",
    "ray.io/v1",
    closed(
        {
            "serveConfigV2": TEXT,
            "rayClusterConfig": closed(
                {
                    "rayVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
                    "headGroupSpec": closed(_GROUP, ("rayStartParams", "template")),
                    "workerGroupSpecs": {
                        "type": "array",
                        "items": closed(
                            _GROUP | {"groupName": TEXT, "replicas": COUNT, "minReplicas": COUNT, "maxReplicas": COUNT},
                            ("groupName", "rayStartParams", "template", "maxReplicas", "minReplicas"),
                        ),
                    },
                },
                ("headGroupSpec",),
            ),
        },
        ("rayClusterConfig",),
    ),
)

RAY_SERVE = closed(
    {
        "applications": {
            "type": "array",
            "items": closed(
                {
                    "name": TEXT,
                    "route_prefix": {"type": "string", "pattern": "^/"},
                    "import_path": {"const": "ray.serve.llm:build_openai_app"},
                    "args": closed(
                        {
                            "llm_configs": {
                                "type": "array",
                                "items": closed(
                                    {
                                        "model_loading_config": closed(
                                            {"model_id": TEXT, "model_source": TEXT}, ("model_id",)
                                        ),
                                        "deployment_config": closed(
                                            {"num_replicas": COUNT, "max_ongoing_requests": COUNT}
                                        ),
                                        "engine_kwargs": {"type": "object"},
                                    },
                                    ("model_loading_config",),
                                ),
                            }
                        },
                        ("llm_configs",),
                    ),
                },
                ("import_path", "args"),
            ),
        }
    },
    ("applications",),
)

KEDA = custom(
    "ScaledObject",
    "keda.sh/v1alpha1",
    closed(
        {
            "scaleTargetRef": closed({"apiVersion": TEXT, "kind": TEXT, "name": TEXT}, ("name",)),
            "minReplicaCount": {"type": "integer", "minimum": 0},
            "maxReplicaCount": COUNT,
            "triggers": {
                "type": "array",
                "minItems": 1,
                "items": closed(
                    {
                        "type": {"const": "prometheus"},
                        "metadata": closed(
                            {"serverAddress": {"type": "string", "pattern": "^https?://"}, "query": TEXT,
                             "threshold": {"type": "string", "pattern": r"^\d+$"}},
                            ("serverAddress", "query", "threshold"),
                        ),
                    },
                    ("type", "metadata"),
                ),
            },
        },
        ("scaleTargetRef", "triggers"),
    ),
)  # fmt: skip

HELM = closed(
    {
        "servingEngineSpec": closed(
            {
                "enableEngine": {"type": "boolean"},
                "strategy": {"type": "object"},
                "startupProbe": {"type": "object"},
                "tolerations": {
                    "type": "array",
                    "items": closed({"key": TEXT, "operator": TEXT, "effect": TEXT}),
                },
                "runtimeClassName": {"type": "string"},
                "modelSpec": {
                    "type": "array",
                    "items": closed(
                        {
                            "name": TEXT,
                            "repository": TEXT,
                            "tag": TEXT,
                            "modelURL": TEXT,
                            "replicaCount": COUNT,
                            "requestCPU": {"type": "integer"},
                            "requestMemory": {"type": "string"},
                            "requestGPU": {"type": "integer"},
                            "requestGPUType": {"type": "string"},
                            "shmSize": {"type": "string"},
                            "pvcStorage": {"type": "string"},
                            "pvcAccessMode": {"type": "array", "items": {"type": "string"}},
                            "nodeSelectorTerms": {"type": "array"},
                            "vllmConfig": closed(
                                {
                                    "enablePrefixCaching": {"type": "boolean"},
                                    "enableChunkedPrefill": {"type": "boolean"},
                                    "maxModelLen": {"type": "integer"},
                                    "dtype": {"type": "string"},
                                    "tensorParallelSize": {"type": "integer"},
                                    "maxNumSeqs": {"type": "integer"},
                                    "gpuMemoryUtilization": {"type": "number"},
                                    "extraArgs": {"type": "array", "items": {"type": "string"}},
                                }
                            ),
                        },
                        ("name", "repository", "tag", "modelURL", "replicaCount", "requestCPU", "requestMemory",
                         "requestGPU", "pvcStorage"),
                    ),
                },
            },
            ("modelSpec",),
        )
    },
    ("servingEngineSpec",),
)  # fmt: skip
