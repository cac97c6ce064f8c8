"""What every target needs of a plan: the engine's command line, how many pods of how many GPUs, and what to say.

In: Plan, Question, Options.    Out: Serving, or ExportError where vLLM cannot be started as planned.
Idea: the targets differ in syntax only; each number is the plan's own and is decided here once.
What is a choice and not the plan's (host memory, probe times) is a named constant.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from math import ceil

from infrascale import catalog
from infrascale.deployment import Deployment, cache_bytes_per_request, longest_request_tokens, memory_budget
from infrascale.errors import CatalogError, ExportError
from infrascale.parsing.plans import VERSION, best_of, command
from infrascale.parsing.quantization import precision_in_name
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Plan
from infrascale.units import GIB
from infrascale.work import Shard

#: The vLLM whose defaults and flags the plan assumes when none is named.
VLLM = "0.33.0"
IMAGES = {"nvidia": "vllm/vllm-openai", "amd": "vllm/vllm-openai-rocm"}
RESOURCES = {"nvidia": "nvidia.com/gpu", "amd": "amd.com/gpu"}
#: Label of NVIDIA's gpu-feature-discovery: nvidia-smi's product name with dashes for blanks.
PRODUCT_LABEL = "nvidia.com/gpu.product"
PRODUCTS = {
    "a10": "NVIDIA-A10", "a10g": "NVIDIA-A10G", "a30": "NVIDIA-A30", "a40": "NVIDIA-A40",
    "a100-pcie-40gb": "NVIDIA-A100-PCIE-40GB", "a100-pcie-80gb": "NVIDIA-A100-80GB-PCIe",
    "a100-sxm-40gb": "NVIDIA-A100-SXM4-40GB", "a100-sxm-80gb": "NVIDIA-A100-SXM4-80GB",
    "b200": "NVIDIA-B200", "h20": "NVIDIA-H20", "h100-nvl": "NVIDIA-H100-NVL", "h100-pcie": "NVIDIA-H100-PCIe",
    "h100-sxm": "NVIDIA-H100-80GB-HBM3", "h200-nvl": "NVIDIA-H200-NVL", "h200-sxm": "NVIDIA-H200",
    "l4": "NVIDIA-L4", "l40": "NVIDIA-L40", "l40s": "NVIDIA-L40S", "t4": "Tesla-T4",
}  # fmt: skip
#: Formats vLLM makes from 16-bit weights while it loads them; all others need a checkpoint stored so.
WHILE_LOADING = {"fp8": "fp8"}
#: Share of the cache that the longest request may take of what we compute: vLLM refuses to start beyond what it finds.
CACHE_SHARE_OF_LONGEST = 0.9
#: Chosen, not measured: host memory of a GPU's worker process, shared memory of its collectives, and start-up patience.
HOST_BYTES_PER_GPU = 16 * GIB
SHM_BYTES = 2 * GIB
SHM_PARALLEL_BYTES = 16 * GIB
STARTUP_S = 3600
#: One process for each GPU; an API server and an engine core for each attention rank (vLLM's documentation,
#: "Architecture Overview").
CPUS_PER_RANK = 2
PORT = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a person adds to the plan. `max_replicas` and `prometheus`: where a target can scale with the queue.

    `calibration`: the file that the plan rests on, for the command that repeats it.
    """

    name: str | None = None
    image: str | None = None
    checkpoint: str | None = None
    node_selector: tuple[tuple[str, str], ...] = ()
    max_replicas: int | None = None
    prometheus: str | None = None
    calibration: str | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """N replicas of one vLLM command. `servers`: machines that one replica spans; a pod is its share of one of them."""

    name: str
    checkpoint: str
    image: str
    flags: tuple[tuple[str, str | None], ...]  # without the leading dashes; None: a switch
    replicas: int
    servers: int
    gpus_per_pod: int
    gpus_per_server: int
    vendor: str
    resource: str
    node_selector: tuple[tuple[str, str], ...]
    requests_per_replica: float  # in flight, at the planned peak
    max_batch: int
    storage_bytes: float
    plan: Plan
    best: Candidate
    plan_hash: str
    command: str
    options: Options
    quantized_while_loading: bool

    @property
    def arguments(self) -> list[str]:
        """One argument an item, flag and value joined, so that no list can split them."""
        return [f"--{flag}" if value is None else f"--{flag}={value}" for flag, value in self.flags]

    @property
    def shm_bytes(self) -> int:
        return SHM_PARALLEL_BYTES if self.best.gpus_per_replica > 1 else SHM_BYTES

    @property
    def host_bytes(self) -> int:
        return HOST_BYTES_PER_GPU * self.gpus_per_pod + self.shm_bytes

    @property
    def cpus(self) -> int:
        return CPUS_PER_RANK * self.best.deployment.shard.dp + self.gpus_per_pod

    def on_one_server(self, target: str) -> Serving:
        """Itself, or an error: the target cannot join servers into one replica."""
        if self.servers > 1:
            raise ExportError(
                f"{target} cannot start this plan",
                why=f"a replica of {self.best.gpus_per_replica} GPUs spans {self.servers} servers",
                fix=f"--to lws, --to ray or --to vllm; or plan with --gpus-per-replica {self.gpus_per_server} or fewer",
            )
        return self


def serving(plan: Plan, asked: Question, options: Options = Options()) -> Serving:
    """How a feasible plan is started."""
    best = plan.best
    if best is None:
        raise ExportError(
            "an infeasible plan cannot be deployed",
            why="no number of these GPUs keeps the promise",
            fix="infrascale plan with the nearest change that it names",
        )
    deployment = best.deployment
    gpu, gpus = deployment.gpu, best.gpus_per_replica
    servers = ceil(gpus / gpu.gpus_per_server)
    if servers > 1 and deployment.shard.dp > 1:
        raise ExportError(
            f"attention ranks over {servers} servers cannot be exported",
            why="each server would start its own ranks, which no target here writes",
            fix=f"plan with --gpus-per-replica {gpu.gpus_per_server} or fewer",
        )
    checkpoint, quantization = _checkpoint(deployment, asked, options)
    return Serving(
        name=_name(options.name) if options.name else _dns_name(checkpoint),
        checkpoint=checkpoint,
        image=_image(deployment, options),
        flags=_flags(best, plan, quantization),
        replicas=best.replicas + best.spare_replicas,
        servers=servers,
        gpus_per_pod=ceil(gpus / servers),
        gpus_per_server=gpu.gpus_per_server,
        vendor=gpu.vendor,
        resource=RESOURCES.get(gpu.vendor, ""),
        node_selector=options.node_selector or _node_selector(deployment),
        requests_per_replica=best.load * best.max_batch,
        max_batch=best.max_batch,
        storage_bytes=_storage_bytes(deployment, quantized_while_loading=quantization is not None),
        plan=plan,
        best=best,
        plan_hash=plan_hash(plan, asked),
        command=command(asked, plan.solver, options.calibration),
        options=options,
        quantized_while_loading=quantization is not None,
    )


def plan_hash(plan: Plan, asked: Question) -> str:
    """Twelve hex digits of the question, the answer and the version: the same plan has the same digits."""
    best = best_of(plan)
    words = [asked.model_dump(), best.model_dump() if best else None, plan.solver, VERSION]
    return hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest()[:12]


def _checkpoint(deployment: Deployment, asked: Question, options: Options) -> tuple[str, str | None]:
    """The weights to load, and `--quantization` where vLLM is to make the planned format from them."""
    model, precision = deployment.model, deployment.quantization.precision
    if options.checkpoint:
        return options.checkpoint, None
    if asked.model.endswith(".json") or model.id.count("/") != 1:
        raise ExportError(
            f"nobody knows where the weights of {model.id} are",
            why="the plan was made from a size alone" if model.assumed else "the plan was made from a config.json",
            fix="add --checkpoint ORGANISATION/NAME or a path that the servers see",
        )
    sixteen = {"bf16", "fp16", "fp32"}
    if precision == model.native.precision or {precision, model.native.precision} <= sixteen:
        return model.id, None
    stored = _variant(model.id, precision)
    if stored:
        return stored, None
    if precision in WHILE_LOADING and model.native.precision in sixteen:
        return model.id, WHILE_LOADING[precision]
    raise ExportError(
        f"{model.id} is not stored in {precision}",
        why="vLLM needs a checkpoint in this format, and the catalog knows none",
        fix="add --checkpoint ORGANISATION/NAME",
    )


def _variant(id: str, precision: str) -> str | None:
    """A published checkpoint of this model in this format; only one whose name says so is trusted to hold it."""
    try:
        _, entry = catalog.find("models", id)
    except CatalogError:
        return None
    named = (name for name, stored in entry.get("variants", {}).items() if stored == precision)
    return next((name for name in named if precision_in_name(name) == precision), None)


def _image(deployment: Deployment, options: Options) -> str:
    engine, vendor = deployment.engine, deployment.gpu.vendor
    if engine.name != "vllm":
        raise ExportError(
            f"{engine.name} cannot be exported",
            why="the targets start vLLM, and another engine would not keep this plan",
            fix="plan with --engine vllm",
        )
    if options.image:
        if ":" not in options.image.rsplit("/", 1)[-1] and "@sha256:" not in options.image:
            raise ExportError(
                f"{options.image} is not pinned", why="it names no version", fix="add :TAG or @sha256:DIGEST"
            )
        return options.image
    version = (engine.version or VLLM).removeprefix("v")
    if not re.fullmatch(r"\d+(\.\d+){1,2}([.-]?(rc|post)\d+)?", version):
        raise ExportError(
            f"vLLM {version[:30]!r} names no image", why="it is not a release", fix="add --image REPOSITORY:TAG"
        )
    if vendor not in IMAGES:
        raise ExportError(
            f"no image of vLLM is known for {deployment.gpu.name}",
            why=f"vLLM publishes none for {vendor}",
            fix="add --image REPOSITORY:TAG, and --to vllm or compose",
        )
    return f"{IMAGES[vendor]}:v{version}"


def _flags(best: Candidate, plan: Plan, quantization: str | None) -> tuple[tuple[str, str | None], ...]:
    deployment, shard, engine = best.deployment, best.deployment.shard, best.deployment.engine
    seqs = ceil(best.max_batch / shard.dp)
    if seqs > engine.max_num_batched_tokens:
        raise ExportError(
            f"a batch of {seqs} does not fit steps of {engine.max_num_batched_tokens} tokens",
            why="vLLM refuses max_num_batched_tokens below max_num_seqs",
            fix=f"plan with --max-num-batched-tokens {seqs} or more",
        )
    flags: list[tuple[str, str | None]] = [
        ("served-model-name", plan.scenario.model.id),
        ("port", str(PORT)),
        ("tensor-parallel-size", str(shard.tp)),
    ]
    if shard.pp > 1:
        flags.append(("pipeline-parallel-size", str(shard.pp)))
    if shard.dp > 1:
        flags.append(("data-parallel-size", str(shard.dp)))
    if shard.ep > 1:
        if shard.ep != shard.tp * shard.dp:
            raise ExportError(
                f"vLLM cannot split experts {shard.ep} ways over {shard.tp * shard.dp} GPUs",
                why="its expert parallelism is tensor times data parallelism, or off",
                fix="plan without that degree",
            )
        flags.append(("enable-expert-parallel", None))
    flags += [
        ("max-num-seqs", str(seqs)),
        ("max-num-batched-tokens", str(engine.max_num_batched_tokens)),
        ("max-model-len", str(_max_model_len(deployment, plan))),
        ("gpu-memory-utilization", f"{engine.gpu_memory_utilization:g}"),
        ("block-size", str(engine.block_size)),
        ("kv-cache-dtype", "auto" if engine.kv_cache_dtype in ("auto", "bf16") else engine.kv_cache_dtype),
    ]
    dtype = _dtype(deployment)
    if dtype:
        flags.append(("dtype", dtype))
    if quantization:
        flags.append(("quantization", quantization))
    flags.append(("enable-prefix-caching", None))
    return tuple(flags)


def _dtype(deployment: Deployment) -> str | None:
    """16 bits are the checkpoint's own, except where the chip has no bfloat16."""
    precision = deployment.quantization.precision
    if precision == "fp32":
        return "float32"
    return "float16" if precision == "fp16" or "bf16" not in deployment.gpu.flop_per_s else None


def _max_model_len(deployment: Deployment, plan: Plan) -> int:
    """The person's; else the model's own context, or as much of it as the cache surely holds."""
    longest, own = deployment.model.max_model_len, deployment.engine.max_model_len
    if own is not None:
        return min(own, longest)
    budget = memory_budget(deployment)
    if cache_bytes_per_request(deployment, longest) <= CACHE_SHARE_OF_LONGEST * budget.kv_cache_bytes:
        return longest
    block = deployment.engine.block_size
    held = int(CACHE_SHARE_OF_LONGEST * longest_request_tokens(deployment, budget)) // block * block
    return max(held, ceil(plan.scenario.workload.max_context_tokens))


def _node_selector(deployment: Deployment) -> tuple[tuple[str, str], ...]:
    product = PRODUCTS.get(deployment.gpu.id)
    return ((PRODUCT_LABEL, product),) if product else ()


def _storage_bytes(deployment: Deployment, quantized_while_loading: bool) -> float:
    """Disk for the checkpoint as published, with room for a second version beside it."""
    from infrascale.model import numerics

    stored = deployment.model.native if quantized_while_loading else deployment.quantization
    formats = numerics(stored, dict(deployment.gpu.flop_per_s), deployment.numerics.kv_bytes)
    return 2 * deployment.model.weight_bytes_per_gpu(Shard(), formats)


def _name(name: str) -> str:
    """A name as given, where Kubernetes takes it."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", name):
        raise ExportError(
            f"{name[:60]!r} cannot name a deployment",
            why="Kubernetes takes small letters, digits and dashes, a letter first",
            fix=f"--name {_dns_name(name)}",
        )
    return name


def _dns_name(text: str) -> str:
    """A name that Kubernetes takes for any object (DNS label, room for a suffix)."""
    word = re.sub(r"[^a-z0-9]+", "-", text.rsplit("/", 1)[-1].lower()).strip("-")[:40].strip("-")
    return word if re.match(r"[a-z]", word) else f"model-{word}".strip("-")
