"""Exports: every target starts the plan's own numbers, passes its validator, and refuses what it cannot express.

vllm_flags_0.33.json: the options of `vllm serve`, read from the 0.33.0 wheel (Apache-2.0) on 2026-11-24.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import export_schemas as schemas
import jsonschema
import kubernetes_validate
import pytest
import yaml

from infrascale import plan
from infrascale.errors import InfraScaleError
from infrascale.exports import Options, render, serving, targets
from infrascale.exports.checking import KUBERNETES, checked, pods_of
from infrascale.locales import languages
from infrascale.parsing.plans import asked_as, command, read_plan
from infrascale.parsing.scenarios import question
from infrascale.screen import plan_json

FLAGS = set(json.loads((Path(__file__).parent / "data" / "vllm_flags_0.33.json").read_text()))

#: One plan of each sort that a target may meet. 16 H100 for one replica span two servers.
QUESTIONS = {
    "fixed": {"model": "llama-3.3-70b", "gpu": ["h100-sxm"], "users": 5000, "redundancy": 1},
    "one": {"model": "llama-3.1-8b", "gpu": ["l40s"], "users": 50, "precision": ["fp8"]},
    "old": {"model": "mistral-7b-v0.1", "gpu": ["t4"], "users": 40, "isl": 300, "osl": 100, "tokens_per_s": 5},
    "amd": {"model": "Qwen/Qwen3-30B-A3B", "gpu": ["mi300x"], "users": 8000, "kv_cache_dtype": "fp8"},
    "ranks": {"model": "deepseek-ai/DeepSeek-R1", "gpu": ["h200-sxm"], "request_per_s": 20},
    "wide": {"model": "meta-llama/Llama-3.1-405B-Instruct", "gpu": ["h100-sxm"], "users": 500, "prefix_hit": 0.5,
             "gpus_per_replica": [16], "tokens_per_s": 10},
    "long": {"model": "kimi-linear-48b-a3b-instruct", "gpu": ["h200-sxm"], "users": 100},
}  # fmt: skip
ONE_RANK = {"kserve", "ray"}
ONE_SERVER = {"compose", "kubernetes", "helm", "kserve"}


@cache
def made(name: str):
    keys = QUESTIONS[name]
    return plan(**keys), question(keys)


def files(target: str, question_name: str = "fixed", /, **options) -> dict[str, str]:
    found, asked = made(question_name)
    return render(target, serving(found, asked, Options(**options)))


def documents(target: str, name: str = "fixed", **options) -> list[dict]:
    return [one for text in files(target, name, **options).values() for one in yaml.safe_load_all(text) if one]


def flags_of(words: list[str]) -> dict[str, str]:
    """What a command line says, whichever way flag and value are joined."""
    found, words = {}, list(words)
    for i, word in enumerate(words):
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            follows = i + 1 < len(words) and not words[i + 1].startswith("--")
            found[flag] = value if equals else words[i + 1] if follows else ""
    return found


def script_words(script: str, verb: str) -> list[str]:
    body = script[script.index(verb) :].split("\ndone")[0].replace("\\\n", " ")
    return shlex.split(body)


def engine_words(target: str, name: str) -> list[str]:
    """The engine's arguments, wherever the target keeps them."""
    found = files(target, name)
    if target == "vllm":
        return script_words(found["serve.sh"], "vllm serve")
    if target == "compose":
        service = yaml.safe_load(next(iter(found.values())))["services"]["vllm-0"]
        return service["command"]
    by_kind = {one.get("kind", "values"): one for one in documents(target, name)}
    if target == "kubernetes":
        return by_kind["Deployment"]["spec"]["template"]["spec"]["containers"][0]["args"]
    if target == "lws":
        template = by_kind["LeaderWorkerSet"]["spec"]["leaderWorkerTemplate"]
        return template.get("leaderTemplate", template["workerTemplate"])["spec"]["containers"][0]["args"]
    if target == "helm":
        config = by_kind["values"]["servingEngineSpec"]["modelSpec"][0]["vllmConfig"]
        named = {k: v for k, v in config.items() if k not in ("extraArgs", "enablePrefixCaching")}
        kebab = {re.sub("([A-Z])", r"-\1", k).lower(): v for k, v in named.items()}
        return [f"--{k}={v}" for k, v in kebab.items()] + config["extraArgs"]
    if target == "kserve":
        spec = by_kind["LLMInferenceService"]["spec"]
        own = [f"--tensor-parallel-size={spec['parallelism']['tensor']}"]
        return own + spec["template"]["containers"][0]["env"][0]["value"].split()
    assert target == "ray"
    config = yaml.safe_load(by_kind["RayService"]["spec"]["serveConfigV2"])
    keywords = config["applications"][0]["args"]["llm_configs"][0]["engine_kwargs"]
    return [f"--{k.replace('_', '-')}={v}" for k, v in keywords.items()]


def expressible(target: str, name: str) -> bool:
    return not (name == "wide" and target in ONE_SERVER) and not (name == "ranks" and target in ONE_RANK)


ENGINES = sorted(set(targets()) - {"loadtest"})
CASES = [(t, n) for t in ENGINES for n in QUESTIONS if expressible(t, n)]


def test_every_promised_target_is_there():
    assert set(targets()) == {"vllm", "compose", "kubernetes", "helm", "lws", "kserve", "ray", "loadtest"}


@pytest.mark.parametrize(("target", "name"), CASES)
def test_the_engine_starts_with_the_plans_own_numbers(target, name):
    best = made(name)[0].best
    shard, engine = best.deployment.shard, best.deployment.engine
    found = flags_of(engine_words(target, name))
    assert int(found["--tensor-parallel-size"]) == shard.tp
    assert int(found.get("--pipeline-parallel-size", 1)) == shard.pp
    assert int(found.get("--data-parallel-size", 1)) == shard.dp
    assert int(found["--max-num-seqs"]) * shard.dp == best.max_batch
    assert int(found["--max-num-batched-tokens"]) == engine.max_num_batched_tokens
    assert float(found["--gpu-memory-utilization"]) == engine.gpu_memory_utilization
    assert found["--kv-cache-dtype"] == engine.kv_cache_dtype
    assert made(name)[0].scenario.workload.max_context_tokens <= int(found["--max-model-len"])
    assert int(found["--max-model-len"]) <= best.deployment.model.max_model_len


@pytest.mark.parametrize(("target", "name"), CASES)
def test_every_flag_is_one_of_vllms(target, name):
    assert set(flags_of(engine_words(target, name))) <= FLAGS


def check_cluster(document: dict) -> None:
    """kubernetes-validate for what Kubernetes knows, the schema of its API for what it does not."""
    custom = {
        "LeaderWorkerSet": schemas.LWS,
        "LLMInferenceService": schemas.KSERVE,
        "RayService": schemas.RAY,
        "ScaledObject": schemas.KEDA,
    }
    if document["kind"] not in custom:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
        return
    jsonschema.validate(document, custom[document["kind"]])
    if document["kind"] == "RayService":
        jsonschema.validate(yaml.safe_load(document["spec"]["serveConfigV2"]), schemas.RAY_SERVE)
    for spec in pods_of(document):
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        kubernetes_validate.validate(whole, KUBERNETES, strict=True)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize(("target", "name"), [c for c in CASES if c[0] in ("kubernetes", "lws", "kserve", "ray")])
def test_clusters_accept_it(target, name, language):
    for document in documents(target, name, language=language):
        check_cluster(document)


@pytest.mark.parametrize("name", [n for t, n in CASES if t == "helm"])
def test_the_chart_accepts_its_values(name):
    (values,) = documents("helm", name)
    jsonschema.validate(values, schemas.HELM)


def test_the_chart_is_told_what_its_defaults_would_spoil():
    """Its runtime class is NVIDIA's, it tolerates no taint, and Helm writes a context of a million tokens as 1e+06."""
    for name, taint in (("fixed", "nvidia.com/gpu"), ("amd", "amd.com/gpu")):
        engine = documents("helm", name)[0]["servingEngineSpec"]
        assert engine["tolerations"] == [{"key": taint, "operator": "Exists", "effect": "NoSchedule"}]
        assert engine.get("runtimeClassName") == {"fixed": None, "amd": ""}[name]
    config = documents("helm", "long")[0]["servingEngineSpec"]["modelSpec"][0]["vllmConfig"]
    assert "maxModelLen" not in config and any("--max-model-len=1" in word for word in config["extraArgs"])


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for t, n in CASES if t == "helm"])
def test_helm_renders_the_chart_to_what_clusters_accept(name):
    """INFRASCALE_HELM_CHART: the folder helm/ of vLLM's production-stack; its router, not the plan's, is left out."""
    helm = pytest.importorskip("helm_python", reason="pip install helm-python-sdk")
    folder = os.environ.get("INFRASCALE_HELM_CHART")
    if not folder:
        pytest.skip("set INFRASCALE_HELM_CHART")
    (values,) = documents("helm", name)
    chart = helm.Chart.load(folder)
    chart.validate_schema(values)
    rendered = chart.render(values | {"routerSpec": {"enableRouter": False}}, name="llm").values()
    found = [one for text in rendered for one in yaml.safe_load_all(text) if one]
    for document in found:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    (deployment,) = [one for one in found if one["kind"] == "Deployment"]
    spec = deployment["spec"]["template"]["spec"]
    best = made(name)[0].best
    dashed = "gpu_memory_utilization", "gpu-memory-utilization"
    said = flags_of([word.replace(*dashed) for word in spec["containers"][0]["command"]])
    assert set(said) <= FLAGS | {"--host"}
    assert int(said["--max-num-seqs"]) * best.deployment.shard.dp == best.max_batch
    assert int(said["--tensor-parallel-size"]) == best.deployment.shard.tp
    assert said["--max-model-len"].isdigit()
    resource = "amd.com/gpu" if best.deployment.gpu.vendor == "amd" else "nvidia.com/gpu"
    limits = int(spec["containers"][0]["resources"]["limits"][resource])
    assert deployment["spec"]["replicas"] * limits == best.gpus
    assert spec["tolerations"][0]["key"] == resource
    assert ("runtimeClassName" in spec) == (resource == "nvidia.com/gpu")


@pytest.mark.parametrize("name", [n for t, n in CASES if t == "compose"])
def test_compose_accepts_it(name, tmp_path):
    for file, text in files("compose", name, language="fr").items():
        (tmp_path / file).write_text(text)
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, *map(str, tmp_path.iterdir())], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_replicas_of_one_server_never_share_a_gpu_and_all_are_there():
    found, _ = made("fixed")
    replicas, gpus = 0, 0
    for file, text in files("compose").items():
        services = yaml.safe_load(text)["services"]
        servers = int(number.group(1)) if (number := re.search(r"\.(\d+)-servers", file)) else 1
        engines = {k: v for k, v in services.items() if k != "router"}
        devices = [e["deploy"]["resources"]["reservations"]["devices"][0] for e in engines.values()]
        numbers = [n for d in devices for n in d.get("device_ids", map(str, range(d.get("count", 0))))]
        assert len(set(numbers)) == len(numbers) <= found.best.deployment.gpu.gpus_per_server
        replicas, gpus = replicas + servers * len(engines), gpus + servers * len(numbers)
        if "router" in services:
            assert set(services["router"]["depends_on"]) == set(engines)
            router = yaml.safe_load(text)["configs"]["router"]["content"]
            assert set(re.findall(r"server ([\w-]+):", router)) == set(engines)
    assert replicas == found.best.replicas + found.best.spare_replicas
    assert gpus == found.best.gpus


@pytest.mark.parametrize(("target", "name"), CASES)
def test_the_gpus_asked_for_are_the_gpus_planned(target, name):
    best = made(name)[0].best
    if target in ("vllm", "compose"):
        return
    resource = "amd.com/gpu" if best.deployment.gpu.vendor == "amd" else "nvidia.com/gpu"
    (document,) = [d for d in documents(target, name) if d.get("kind") not in ("PersistentVolumeClaim", "Service")]
    if target == "helm":
        (model,) = document["servingEngineSpec"]["modelSpec"]
        assert model["requestGPUType"] == resource
        assert model["replicaCount"] * model["requestGPU"] == best.gpus
        return
    spec = document["spec"]
    if target == "ray":
        group = spec["rayClusterConfig"]["workerGroupSpecs"][0]
        replicas, pods = 1, group["replicas"] * [group["template"]["spec"]]
    elif target == "lws":
        template = spec["leaderWorkerTemplate"]
        replicas, pods = spec["replicas"], template["size"] * [template["workerTemplate"]["spec"]]
    else:
        inside = spec["template"]
        replicas, pods = spec["replicas"], [inside.get("spec", inside)]
    limits = [int(c["resources"]["limits"][resource]) for pod in pods for c in pod["containers"]]
    assert replicas * sum(limits) == best.gpus


@pytest.mark.parametrize(("target", "name"), [c for c in CASES if c[0] in ("kubernetes", "lws")])
def test_one_argument_an_item_startup_before_liveness_and_room_in_shm(target, name):
    for document in documents(target, name):
        for pod in [document["spec"]["template"]["spec"]] if document["kind"] == "Deployment" else (
            pods_of(document) if document["kind"] == "LeaderWorkerSet" else []
        ):  # fmt: skip
            (container,) = pod["containers"]
            assert all(re.fullmatch(r"\S+", word) for word in container["args"])
            assert "--headless" in container["args"] or container["startupProbe"]["httpGet"]["path"] == "/health"
            assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
            assert re.search(r":v\d+\.\d+", container["image"])


def test_a_replica_over_two_servers_is_joined_by_vllm_itself():
    leader, worker = pods_of(documents("lws", "wide")[1])
    head, rest = (flags_of(pod["containers"][0]["args"]) for pod in (leader, worker))
    assert head["--nnodes"] == "$(LWS_GROUP_SIZE)" and rest["--master-addr"] == "$(LWS_LEADER_ADDRESS)"
    assert "--headless" in rest and "--headless" not in head and set(head) <= FLAGS
    assert "startupProbe" not in worker["containers"][0]
    assert flags_of(engine_words("vllm", "wide"))["--nnodes"] == "2"


@pytest.mark.parametrize("target", sorted(ONE_RANK))
def test_a_target_of_one_attention_rank_refuses_several(target):
    shard = made("ranks")[0].best.deployment.shard
    assert shard.dp > 1 and "--enable-expert-parallel" in flags_of(engine_words("vllm", "ranks"))
    with pytest.raises(InfraScaleError):
        files(target, "ranks")


@pytest.mark.parametrize("target", sorted(ONE_SERVER))
def test_a_target_of_one_server_refuses_a_replica_over_two(target):
    with pytest.raises(InfraScaleError) as error:
        files(target, "wide")
    assert "lws" in error.value.fix


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("target", sorted(targets()))
def test_every_file_says_what_it_is_of_in_every_language(target, language):
    for name, text in files(target, language=language).items():
        found, asked = made("fixed")
        assert serving(found, asked).plan_hash in text
        assert command(asked) in text or name == "vllm.env"
    plain = [line for t in files(target, language="en").values() for line in t.splitlines() if line[:2] != "# "]
    again = [line for t in files(target, language=language).values() for line in t.splitlines() if line[:2] != "# "]
    assert plain == again, "a language changes comments only"


@pytest.mark.parametrize("target", sorted(set(targets()) - {"helm"}))
def test_a_check_passes_what_is_rendered_and_names_what_was_spoilt(target):
    good = files(target)
    assert checked(target, good).problems == ()
    spoilt = {"vllm": ("vllm serve", "if ("), "loadtest": ("vllm bench", "if ("), "compose": ("services:", "servces:")}
    before, after = spoilt.get(target, ("resources:", "resourcez:"))
    assert any(before in text for text in good.values())
    assert checked(target, {name: text.replace(before, after) for name, text in good.items()}).problems


@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("target", ["vllm", "loadtest"])
def test_scripts_are_shell(target, name, tmp_path):
    for file, text in files(target, name).items():
        if file.endswith(".sh"):
            (tmp_path / file).write_text(text)
            assert subprocess.run(["bash", "-n", str(tmp_path / file)], capture_output=True).returncode == 0


def test_the_load_test_sends_what_was_planned(tmp_path):
    """Run with a stand-in for `vllm` that only writes down its arguments."""
    (tmp_path / "loadtest.sh").write_text(files("loadtest", "wide")["loadtest.sh"])
    fake = tmp_path / "bin" / "vllm"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@" >> "$LOG"\n')
    fake.chmod(0o755)
    environment = {"PATH": f"{fake.parent}:{os.environ['PATH']}", "LOG": str(tmp_path / "log")}
    subprocess.run(["bash", "loadtest.sh"], cwd=tmp_path, env=environment, check=True)
    calls = [flags_of(line.split()) for line in (tmp_path / "log").read_text().splitlines()]
    found, _ = made("wide")
    load, best = found.scenario.workload, found.best
    inside = best.load * best.max_batch * best.replicas
    for call in calls:
        assert int(call["--random-prefix-len"]) + int(call["--random-input-len"]) == load.isl_tokens
        assert int(call["--random-prefix-len"]) == load.isl_tokens / 2
        assert int(call["--random-output-len"]) == load.osl_tokens
        assert int(call["--num-prompts"]) == 10 * int(call["--max-concurrency"])
    assert any(int(call["--max-concurrency"]) == -(-inside // 1) for call in calls)


def test_scaling_never_goes_below_the_plan():
    best = made("fixed")[0].best
    scaler = documents("kubernetes", max_replicas=12, prometheus="http://prometheus:9090")[-1]
    check_cluster(scaler)
    assert scaler["spec"]["minReplicaCount"] == best.replicas + best.spare_replicas
    trigger = scaler["spec"]["triggers"][0]["metadata"]
    assert "vllm:num_requests_waiting" in trigger["query"]
    assert int(trigger["threshold"]) == int(best.load * best.max_batch)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("fixed", {"max_replicas": 2, "prometheus": "http://p"}),
        ("fixed", {"max_replicas": 90}),
        ("fixed", {"image": "vllm/vllm-openai"}),
        ("fixed", {"name": "Not A Name"}),
    ],
)
def test_what_would_break_the_plan_is_refused_with_the_mend(name, options):
    with pytest.raises(InfraScaleError) as error:
        files("kubernetes", name, **options)
    assert error.value.why and error.value.fix


@pytest.mark.parametrize(
    "keys", [{"engine": "sglang"}, {"precision": ["int8"]}, {"max_num_batched_tokens": 16}, {"engine_version": "dev"}]
)
def test_an_engine_or_format_that_vllm_cannot_start_is_refused(keys):
    asked = {"model": "llama-2-7b-hf", "gpu": ["h100-sxm"], "users": 400} | keys
    with pytest.raises(InfraScaleError) as error:
        serving(plan(**asked), question(asked))
    assert error.value.fix


def test_formats_are_loaded_as_they_were_planned():
    assert flags_of(engine_words("vllm", "fixed")).get("--quantization") is None
    assert flags_of(engine_words("vllm", "old"))["--dtype"] == "float16"  # Turing has no bfloat16
    words = engine_words("kubernetes", "one")
    assert flags_of(words).get("--quantization") == "fp8" or "fp8" in words[0].lower()


def cli(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from infrascale.cli import main; main()", *words]
    return subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=120)


def saved(name: str, path: Path, **changes) -> dict:
    found, asked = made(name)
    text = plan_json(found) | asked_as(asked.model_dump(exclude_unset=True), "exact") | changes
    path.write_text(json.dumps(text))
    return text


def test_from_question_to_files(tmp_path):
    words = ["--model", "llama-3.1-8b", "--gpu", "l40s", "--users", "900"]
    done = cli("plan", *words, "--json", folder=tmp_path)
    (tmp_path / "plan.json").write_text(done.stdout)
    done = cli("export", "plan.json", "--to", "vllm", "--out", "here", "--lang", "fr", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["here/serve.sh", "here/vllm.env"]
    assert os.access(tmp_path / "here" / "serve.sh", os.X_OK)
    done = cli("export", "plan.json", "--to", "kubernetes", folder=tmp_path)
    assert done.returncode == 0 and list(yaml.safe_load_all(done.stdout))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "plan.json"]


def test_a_plan_file_reads_back_and_its_command_asks_the_same(tmp_path):
    for name in QUESTIONS:
        text = saved(name, tmp_path / "plan.json")
        again, asked = read_plan(str(tmp_path / "plan.json"))
        assert again == made(name)[0]
        assert text["command"] == command(asked)
    done = cli(*shlex.split(saved("one", tmp_path / "plan.json")["command"])[1:], "--json", folder=tmp_path)
    assert json.loads(done.stdout)["best"] == plan_json(made("one")[0])["best"]


def test_the_command_in_a_file_names_the_load_tests_that_the_plan_rests_on():
    assert "--calibration ours.toml" in files("vllm", "one", calibration="ours.toml")["serve.sh"]
    assert "--calibration" not in files("vllm", "one")["serve.sh"]


def test_a_model_of_ones_own_travels_in_the_plan_file(tmp_path):
    config = {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
              "num_key_value_heads": 4, "intermediate_size": 8192, "vocab_size": 32000,
              "max_position_embeddings": 8192}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = cli("plan", "--model", "config.json", "--users", "100", "--json", folder=tmp_path)
    (tmp_path / "plan.json").write_text(done.stdout)
    (tmp_path / "config.json").unlink()
    refused = cli("export", "plan.json", "--to", "vllm", folder=tmp_path)
    assert refused.returncode == 2 and "--checkpoint" in refused.stderr
    done = cli("export", "plan.json", "--to", "kubernetes", "--checkpoint", "/weights/mine", folder=tmp_path)
    assert done.returncode == 0 and "- /weights/mine" in done.stdout


def test_an_infeasible_plan_is_refused_and_nothing_is_written(tmp_path):
    done = cli("plan", "--model", "llama-3.1-8b", "--users", "9", "--ttft", "0.001", "--json", folder=tmp_path)
    (tmp_path / "plan.json").write_text(done.stdout)
    done = cli("export", "plan.json", "--to", "helm", "--out", "here", folder=tmp_path)
    assert done.returncode == 3 and not (tmp_path / "here").exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: "[]",
        lambda text: "{" * 100_000,
        lambda text: json.dumps({**text, "best": {**text["best"], "gpus": text["best"]["gpus"] + 1}}),
        lambda text: json.dumps({**text, "best": None}),
        lambda text: json.dumps({**text, "question": {**text["question"], "users": -3}}),
        lambda text: json.dumps({**text, "question": {**text["question"], "model": "/etc/passwd.json"}}),
        lambda text: json.dumps({k: v for k, v in text.items() if k != "question"}),
    ],
)
def test_a_spoiled_plan_is_a_screen_and_code_2(spoil, tmp_path):
    text = saved("one", tmp_path / "plan.json")
    (tmp_path / "plan.json").write_text(spoil(text))
    done = cli("export", "plan.json", "--to", "kubernetes", "--out", "here", folder=tmp_path)
    assert done.returncode == 2 and "fix:" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "here").exists()


@pytest.mark.slow
def test_the_commands_of_the_guide_answer(tmp_path):
    guide = (Path(__file__).parents[1] / "docs" / "deploy.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", guide, re.DOTALL) for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        words, _, file = line.partition(" > ")
        done = cli(*shlex.split(words)[1:], folder=tmp_path)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        if file:
            (tmp_path / file).write_text(done.stdout)
    assert {"plan.json", "deploy", "decision.pdf", "decision.html"} == {p.name for p in tmp_path.iterdir()}
    for target in targets():
        assert f"`{target}`" in guide


PARSER = """
import sys
from importlib import import_module
from vllm.utils.argparse_utils import FlexibleArgumentParser
def there(*names):
    for name in names:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            pass
parser = FlexibleArgumentParser()
if sys.argv[1] == "bench":
    import_module("vllm.benchmarks.serve").add_cli_args(parser)
else:
    room = there("vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args")
    room.make_arg_parser(parser)
found = parser.parse_args(sys.argv[2:])
"""


def vllm_parses(verb: str, words: list[str], shown: str) -> list[str]:
    """What vLLM's own parser makes of a command. INFRASCALE_VLLM_PYTHON: an interpreter with vLLM beside it."""
    python = os.environ.get("INFRASCALE_VLLM_PYTHON")
    if not python:
        pytest.skip("set INFRASCALE_VLLM_PYTHON")
    script = f"{PARSER}print({shown})"
    done = subprocess.run([python, "-c", script, verb, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1].split()


@pytest.mark.slow
@pytest.mark.parametrize("name", QUESTIONS)
def test_vllms_own_parser_takes_the_command(name):
    words = engine_words("kubernetes" if expressible("kubernetes", name) else "lws", name)[1:]
    words = [word for word in words if "$(" not in word]  # what the pod fills in
    seen = vllm_parses("serve", words, "found.max_num_seqs, found.tensor_parallel_size, found.max_model_len")
    best, said = made(name)[0].best, flags_of(words)
    assert seen == [
        str(best.max_batch // best.deployment.shard.dp),
        str(best.deployment.shard.tp),
        said["--max-model-len"],
    ]


@pytest.mark.slow
def test_vllms_own_parser_takes_the_load_test():
    words = script_words(files("loadtest", "wide")["loadtest.sh"], "vllm bench serve")[3:]
    filled = {"$((clients * 10))": "80", "$clients": "8"}  # what the shell fills in
    for blank, value in filled.items():
        words = [word.replace(blank, value) for word in words]
    seen = vllm_parses("bench", words, "found.max_concurrency, found.random_output_len, found.ignore_eos")
    assert seen == ["8", f"{made('wide')[0].scenario.workload.osl_tokens:.0f}", "True"]
