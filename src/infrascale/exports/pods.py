"""A pod of vLLM, shared by the targets of a cluster.

In: Serving.    Out: dictionaries of the core Kubernetes API.
The startup probe has the patience; the liveness probe begins once it has passed, so loading is never shot down.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from infrascale.errors import ExportError
from infrascale.exports.serving import PORT, STARTUP_S, Serving
from infrascale.units import GIB

CACHE = "/root/.cache/huggingface"
PROBE_S = 10
SECRET = "huggingface-token"


def labels(serving: Serving) -> dict[str, str]:
    return {"app.kubernetes.io/name": serving.name, "app.kubernetes.io/managed-by": "infrascale"}


def metadata(serving: Serving, suffix: str = "") -> dict[str, Any]:
    return {
        "name": serving.name + suffix,
        "labels": labels(serving),
        "annotations": {"infrascale/plan": serving.plan_hash},
    }


def gibibytes(size: float) -> str:
    return f"{ceil(size / GIB)}Gi"


def resources(serving: Serving) -> dict[str, Any]:
    """GPUs as a limit (they cannot be overcommitted); host memory and cores as requests."""
    if not serving.resource:
        raise ExportError(
            f"no Kubernetes resource is known for {serving.best.deployment.gpu.name}",
            why=f"{serving.vendor} devices are named by each operator in its own way",
            fix="--to vllm or --to compose",
        )
    gpus = {serving.resource: str(serving.gpus_per_pod)}
    return {"requests": {"cpu": str(serving.cpus), "memory": gibibytes(serving.host_bytes)} | gpus, "limits": gpus}


def probes() -> dict[str, Any]:
    """A busy engine answers late: five seconds, and three misses before it gets no more requests."""
    health = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": PROBE_S, "timeoutSeconds": 5}
    return {
        "startupProbe": health | {"failureThreshold": STARTUP_S // PROBE_S},
        "readinessProbe": health | {"failureThreshold": 3},
        "livenessProbe": health | {"failureThreshold": 6},
    }


def environment() -> list[dict[str, Any]]:
    token = {"name": SECRET, "key": "token", "optional": True}
    return [
        {"name": "HF_HOME", "value": CACHE},
        {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": token}},
    ]


def mounts() -> list[dict[str, str]]:
    return [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "weights", "mountPath": CACHE}]


def container(serving: Serving, extra: tuple[str, ...] = (), *, serves: bool = True) -> dict[str, Any]:
    """The engine. `extra`: arguments of one role; `serves` False: a worker that answers no HTTP and has no probe."""
    found: dict[str, Any] = {
        "name": "vllm",
        "image": serving.image,
        "command": ["vllm", "serve"],
        "args": [serving.checkpoint, *serving.arguments, *extra],
        "env": environment(),
        "resources": resources(serving),
        "volumeMounts": mounts(),
    }
    if serves:
        found |= {"ports": [{"name": "http", "containerPort": PORT}]} | probes()
    return found


def volumes(serving: Serving) -> list[dict[str, Any]]:
    return [
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": gibibytes(serving.shm_bytes)}},
        {"name": "weights", "persistentVolumeClaim": {"claimName": f"{serving.name}-weights"}},
    ]


def tolerations(serving: Serving) -> list[dict[str, str]]:
    """Nodes with GPUs often turn other pods away by this taint."""
    return [{"key": serving.resource, "operator": "Exists", "effect": "NoSchedule"}]


def placement(serving: Serving) -> dict[str, Any]:
    selector = {"nodeSelector": dict(serving.node_selector)} if serving.node_selector else {}
    return selector | {"tolerations": tolerations(serving)}


def pod(serving: Serving, extra: tuple[str, ...] = (), *, serves: bool = True) -> dict[str, Any]:
    return {
        **placement(serving),
        "containers": [container(serving, extra, serves=serves)],
        "volumes": volumes(serving),
    }


def claim(serving: Serving) -> dict[str, Any]:
    """Disk for the weights; shared, so that a second replica does not fetch them again."""
    alone = serving.replicas * serving.servers == 1
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(serving, "-weights"),
        "spec": {
            "accessModes": ["ReadWriteOnce" if alone else "ReadWriteMany"],
            "resources": {"requests": {"storage": gibibytes(serving.storage_bytes)}},
        },
    }


def service(serving: Serving, selector: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(serving),
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": PORT}]},
    }
