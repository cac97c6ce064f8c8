"""Names as they stand in real result files: the same machine and the same model, whatever was packed around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infrascale import catalog
from infrascale.errors import CatalogError
from infrascale.parsing.likeness import likened
from infrascale.parsing.measurements import asked
from infrascale.parsing.models import known
from infrascale.work import Part

GPUS = {
    "h100-sxm": "H100-SXM5-80GB|8x NVIDIA H100 80GB HBM3|h100_sxm|4×H100|H100 x 8|NVIDIA DGX H100|gpu_8x_h100_sxm5"
    "|H100x2|H100:4",
    "h100-pcie": "NVIDIA H100 PCIe|H100-PCIe-80GB|H100 PCIe (80 GB)",
    "h100-nvl": "H100 NVL 94GB|NVIDIA-H100-NVL|H100 94GB",
    "h200-sxm": "8xH200|H200 SXM5 141 GB|NVIDIA H200 141GB HBM3e|h200_sxm|8 x H200",
    "b200": "HGX B200|NVIDIA B200 180GB HBM3e|8*B200|b200_sxm",
    "gb200": "NVIDIA GB200|gb200_nvl72",
    "mi300x": "MI300X-192GB|MI300X x8|AMD Instinct MI300X OAM 192GB HBM3",
    "mi355x": "AMD Instinct MI355X|8xMI355X|MI355",
    "a100-sxm-80gb": "A100-SXM4-80GB|A100 80GB SXM|1xA100",
    "a100-sxm-40gb": "NVIDIA A100-SXM4-40GB",
    "l40s": "NVIDIA L40S (48 GB)|2 x L40S",
    "rtx-pro-6000": "rtx_pro_6000_server|RTX PRO 6000 Blackwell Server Edition",
    "rtx-4090": "RTX 4090 24GB|NVIDIA GeForce RTX 4090",
    "rtx-4090-d": "RTX 4090D|NVIDIA GeForce RTX 4090 D",
    "rtx-3080-12gb": "RTX 3080 12GB|NVIDIA GeForce RTX 3080 12GB",
    "rtx-4060-ti-8gb": "RTX 4060 Ti 8GB",
    "jetson-agx-thor": "NVIDIA Jetson AGX Thor Developer Kit|Jetson Thor T5000",
    "gaudi3": "HPU Gaudi3|Intel Gaudi 3",
    "gb10": "NVIDIA DGX Spark (GB10)|DGX Spark",
    "rtx-pro-5000-72gb": "NVIDIA RTX PRO 5000 72GB Blackwell",
    "rtx-pro-4000-sff": "RTX PRO 4000 Blackwell SFF Edition",
}
MODELS = {
    (
        "llama-3-1-8b-instruct",
        "bf16",
    ): "models--meta-llama--Llama-3.1-8B-Instruct|llama3.1:8b|unsloth/Meta-Llama-3.1-8B",
    ("llama-3-1-8b-instruct", "nvfp4"): "nvidia/Llama-3.1-8B-Instruct-FP4",
    ("llama-3-1-8b-instruct", "int4"): "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit",
    ("llama-3-1-70b-instruct", "int4"): "RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w4a16",
    ("qwen3-30b-a3b", "bf16"): "/data/models/Qwen3-30B-A3B|qwen3_30b_a3b",
    ("qwen3-30b-a3b", "int4"): "RedHatAI/Qwen3-30B-A3B-quantized.w4a16|QuantTrio/Qwen3-30B-A3B-AWQ",
    ("qwen3-235b-a22b", "nvfp4"): "nvidia/Qwen3-235B-A22B-FP4|RedHatAI/Qwen3-235B-A22B-NVFP4",
    ("gpt-oss-120b", "mxfp4"): "gpt-oss-120b|unsloth/gpt-oss-120b|OPENAI/GPT-OSS-120B|amd/gpt-oss-120b-w-mxfp4-a-fp8",
    ("glm-4-6", "int4"): "cyankiwi/GLM-4.6-AWQ-4bit",
    ("kimi-k2-5", "nvfp4"): "nvidia/Kimi-K2.6-NVFP4",
    ("deepseek-r1-nvfp4", "nvfp4"): "nvidia/DeepSeek-R1-0528-FP4-v2",
    ("deepseek-r1", "fp8"): "deepseek-ai/DeepSeek-R1-0528|deepseek-r1",
    ("mixtral-8x7b-v0-1", "int4"): "TheBloke/Mixtral-8x7B-v0.1-GPTQ",
    ("c4ai-command-r-plus", "bf16"): "Command R+|c4ai-command-r-plus",
    ("c4ai-command-r-v01", "bf16"): "Command R",
    ("ai21-jamba-mini-1-5", "bf16"): "Jamba-1.5-Mini",
    ("mistral-large-3-675b-instruct-2512", "fp8"): "Mistral Large 3",
    ("mistral-large-3-675b-instruct-2512", "nvfp4"): "mistralai/Mistral-Large-3-675B-Instruct-2512-NVFP4",
    (
        "ministral-3-8b-instruct-2512",
        "bf16",
    ): "Ministral-3-8B-Instruct-2512-BF16|Ministral-3-8B-Reasoning-2512",
    ("devstral-small-2-24b-instruct-2512", "fp8"): "Devstral-Small-2-24B-Instruct-2512",
    ("falcon-h1-7b-instruct", "bf16"): "tiiuae/Falcon-H1-7B-Instruct|Falcon-H1R-7B",
}
ONE_EACH = [(stem, name) for stem, names in GPUS.items() for name in names.split("|")]


@pytest.mark.parametrize(("stem", "name"), ONE_EACH)
def test_a_gpu_by_the_names_of_result_files(stem, name):
    assert catalog.find("gpus", name)[0] == stem


@pytest.mark.parametrize(("meant", "name"), [(k, name) for k, names in MODELS.items() for name in names.split("|")])
def test_a_model_by_the_names_of_result_files(meant, name):
    assert (catalog.find("models", name)[0], known(name).native.precision) == meant


@pytest.mark.parametrize(
    "name", ["H100 MIG 1g.10gb", "TPU v5e", "80GB", "8x", "RTX", "NVIDIA", "", "x" * 5000, "H100 B200"]
)
def test_what_is_another_machine_or_none_is_refused(name):
    with pytest.raises(CatalogError):
        catalog.find("gpus", name)


@pytest.mark.parametrize(
    "name", ["Qwen3-30B", "DeepSeek-R1-Distill-Yi-9B", "deepseek", "Llama-3.1-9B", "A3B", "-fp8", ""]
)
def test_what_is_another_model_is_refused(name):
    with pytest.raises(CatalogError):
        known(name)


def test_every_own_name_still_means_its_own_entry():
    for kind in ("gpus", "models"):
        for stem, entry in catalog.entries(kind).items():
            assert catalog.find(kind, entry.get("id", stem))[0] == stem


SAMPLES = Path(__file__).parent / "samples" / "names"


def listed(file: str) -> list[list[str]]:
    lines = (SAMPLES / file).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def meant_model(name: str) -> str:
    try:
        known(name)
        return catalog.find("models", name)[0]
    except CatalogError:
        try:
            found = likened(name)[0]
        except CatalogError:
            return "-"
        return found.id if found.assumed else f"~{found.id}"


def test_the_model_names_of_published_benchmarks():
    """Six hundred: nine in ten are entries, and of the rest those that tell a size are answered all the same."""
    names = listed("models.tsv")
    assert {name: meant_model(name) for name, _ in names} == dict(names)
    entered = [to for _, to in names if to != "-" and not to.startswith(("~", "generic:"))]
    assert len(names) >= 600 and len(entered) >= 0.88 * len(names)
    assert sum(to == "-" for _, to in names) <= 0.05 * len(names)


def meant_gpu(name: str) -> str:
    try:
        return catalog.find("gpus", name)[0]
    except CatalogError as error:
        assert error.why and error.fix
        return "-"


def test_the_gpu_names_of_published_benchmarks_and_clouds():
    names = listed("gpus.tsv")
    assert {name: meant_gpu(name) for name, _ in names} == dict(names)
    assert len(names) >= 250


@pytest.mark.parametrize(
    ("name", "gpus"),
    [("8xH100", 8), ("4 x L40S", 4), ("NVIDIA H100-SXM-80GB x8", 8), ("gpu_8x_h100_sxm5", 8), ("H100 (8x)", 8),
     ("H100x2", 2), ("H100:4", 4),
     ("p5.48xlarge", 8), ("ml.g5.12xlarge", 4), ("Standard_NC80adis_H100_v5", 2), ("H100-SXM5-80GB", None),
     ("RTX 4090", None), ("NVIDIA GB200 NVL72", None), ("A100X", None)],
)  # fmt: skip
def test_how_many_gpus_a_spelling_counts(name, gpus):
    assert catalog.gpus_named(name) == gpus


def test_a_memory_that_is_not_the_boards_tells_another_board():
    assert catalog.find("gpus", "NVIDIA H100 SXM5 96GB")[0] == "h100-sxm-96gb"
    with pytest.raises(CatalogError):
        catalog.find("gpus", "NVIDIA H200 SXM 64GB")


@pytest.mark.parametrize(
    ("name", "word"),
    [("TPU v5e", "TPU"), ("inf2.48xlarge", "Inferentia"), ("Xeon 8480+", "CPU"), ("Tesla P40", "Volta")],
)
def test_a_machine_of_another_kind_is_called_by_its_name(name, word):
    with pytest.raises(CatalogError) as refused:
        catalog.find("gpus", name)
    assert word in refused.value.why


def test_every_machine_of_a_cloud_holds_a_gpu_of_the_catalog():
    for name, (stem, count) in catalog.machines().items():
        assert catalog.find("gpus", stem)[0] == stem and 1 <= count <= 16, name


ROW = dict(model="openai/gpt-oss-120b", gpu="H100-SXM5-80GB", gpu_count="1", tp="1", load_kind="closed",
           concurrency="4", isl="1024", osl="1024", engine="vllm")  # fmt: skip


def test_fp4_says_no_more_than_four_bits():
    """Rows call both kinds fp4: gpt-oss is published in mxfp4, and its attention in 16 bits."""
    found = asked({**ROW, "weight_precision": "fp4"}).deployment.quantization
    assert found.of(Part.EXPERTS) == "mxfp4" and found.of(Part.ATTENTION) is None


@pytest.mark.parametrize("precision", ["W4A16 (AWQ)", "awq_int4", "GPTQ-Int4", "4-bit", "compressed-tensors w4a16"])
def test_a_format_as_people_write_it(precision):
    row = {**ROW, "model": "Qwen/Qwen3-30B-A3B", "weight_precision": precision}
    assert asked(row).deployment.quantization.precision == "int4"


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("someone/Strange-13B-chat", "generic:13b"), ("lab/New-30B-A3B-FP8", "generic:30b-a3b"),
        ("lab/Mix-8x7B", "generic:8x7b"), ("NousResearch/Hermes-3-Llama-3.1-70B-FP8", "Llama-3.1-70B"),
        ("lmms-lab/llava-onevision-qwen2-7b-ov", "Qwen2-7B"), ("qwen3-235b", "Qwen3-235B-A22B"),
    ],
)  # fmt: skip
def test_an_unknown_model_is_taken_for_its_base_or_for_one_of_its_size_and_says_so(name, taken):
    found = asked({**ROW, "model": name})
    assert taken in found.deployment.model.id and "not in the catalog" in found.assumed
    assert found.deployment.model.assumed == taken.startswith("generic")


@pytest.mark.parametrize("name", ["tiiuae/falcon-mamba-7b", "llama-3.1-8b-eagle3", "flan-t5-11b", "gpt-unknown"])
def test_what_is_no_decoder_or_tells_no_size_is_refused(name):
    with pytest.raises(CatalogError):
        asked({**ROW, "model": name})


def test_a_short_name_is_its_makers_checkpoint_not_a_quantised_copy_of_the_same_name():
    assert known("llama-3.1-8b-instruct").native.precision == "bf16"
    assert known("nvidia/Llama-3.1-8B-Instruct").native.precision == "fp8"


def test_a_row_without_a_gpu_is_answered_and_says_so():
    assert "GPU not given" in asked({**ROW, "gpu": ""}).assumed


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("8 H100", 8),
        ("H100 (8)", 8),
        ("8 GPUs H100 SXM", 8),
        ("ND H100 v5", 8),
        ("Azure ND GB200 v6", 4),
        ("H100", None),
    ],
)
def test_a_name_counts_its_gpus(name, count):
    assert catalog.gpus_named(name) == count


@pytest.mark.parametrize(
    ("name", "is_open"),
    [
        ("A100", True),
        ("8xH100", True),
        ("A100 80G", False),
        ("H100 PCIe", False),
        ("p5.48xlarge", False),
        ("L4", False),
    ],
)
def test_a_name_that_leaves_the_board_open_is_known(name, is_open):
    assert catalog.board_left_open(name) == is_open


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("NousResearch/Hermes-4-70B-FP8", "meta-llama/Llama-3.1-70B-Instruct"),
        ("deepcogito/cogito-671b-v2.1", "deepseek-ai/DeepSeek-V3"),
        ("perplexity-ai/r1-1776", "deepseek-ai/DeepSeek-R1"),
        ("google/medgemma-27b-it", "google/gemma-3-27b-it"),
        ("stepfun-ai/step3", "generic:321b-a38b"),
    ],
)
def test_kin_is_taken_where_a_name_tells_no_architecture(name, id):
    found, reason = likened(name)
    assert found.id == id and "as its card says" in reason


def test_every_kin_is_a_model_and_no_entry_of_its_own():
    for words, taken in catalog.kin().items():
        assert likened(taken)[0].params > 0 and words not in catalog.stems_by_core()


def test_a_hybrid_is_not_its_familys_old_model():
    found, _ = likened("tiiuae/Falcon-H1-9B-Instruct")
    assert found.id.startswith("generic:")
