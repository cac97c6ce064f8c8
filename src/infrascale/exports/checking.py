"""Whether files that start a plan are what their tools take: asked of the tools' own validators, where those are here.

In: a target and its files.    Out: Checked, or None where nothing here can tell.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from shutil import which
from typing import Any

KUBERNETES = "1.30"
CLUSTER = ("kubernetes", "lws", "kserve", "ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """`by`: who judged. `pods_only`: of custom resources, the pods inside. `problems`: what it said against them."""

    by: str
    pods_only: bool
    problems: tuple[str, ...]


def checked(target: str, files: Mapping[str, str]) -> Checked | None:
    if target in CLUSTER and find_spec("kubernetes_validate"):
        said = tuple(problem for text in files.values() for problem in _cluster(text))
        return Checked(by=f"kubernetes-validate {KUBERNETES}", pods_only=target != "kubernetes", problems=said)
    if target == "compose" and find_spec("check_jsonschema"):
        return Checked(by="Compose Specification", pods_only=False, problems=tuple(_compose(files)))
    scripts = [text for name, text in files.items() if name.endswith(".sh")]
    if scripts and which("bash"):
        return Checked(by="bash -n", pods_only=False, problems=tuple(_shell(scripts)))
    return None


def pods_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Pod specs inside a custom resource."""
    spec = document["spec"]
    if document["kind"] == "LeaderWorkerSet":
        template = spec["leaderWorkerTemplate"]
        return [template[role]["spec"] for role in ("leaderTemplate", "workerTemplate") if role in template]
    if document["kind"] == "RayService":
        config = spec["rayClusterConfig"]
        return [g["template"]["spec"] for g in (config["headGroupSpec"], *config["workerGroupSpecs"])]
    if document["kind"] == "LLMInferenceService":  # KServe adds the image
        one = spec["template"]
        return [{**one, "containers": [{"image": "kserve", **c} for c in one["containers"]]}]
    return []


def _cluster(text: str) -> Iterator[str]:
    import kubernetes_validate
    import yaml

    for document in yaml.safe_load_all(text):
        if not document:
            continue
        custom = "." in document["apiVersion"].split("/")[0]
        inside = [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec} for spec in pods_of(document)
        ]
        for one in inside if custom else [document]:
            try:
                kubernetes_validate.validate(one, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                yield f"{document['kind']}: {error.message}"[:300]


def _compose(files: Mapping[str, str]) -> Iterator[str]:
    import jsonschema
    import yaml
    from check_jsonschema.builtin_schemas import get_builtin_schema

    schema = get_builtin_schema("vendor.compose-spec")
    for name, text in files.items():
        if name.endswith((".yaml", ".yml")):
            for error in jsonschema.Draft7Validator(schema).iter_errors(yaml.safe_load(text)):
                yield f"{name}: {error.message}"[:300]


def _shell(scripts: list[str]) -> Iterator[str]:
    for text in scripts:
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, timeout=20)
        if done.returncode:
            yield done.stderr[:300]
