"""Models: the catalog against published counts, laws of the blocks, oracles, configs that cannot be read."""

from __future__ import annotations

import copy
import itertools
import math
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrascale.errors import ModelError
from infrascale.model import LAYER_PARTS, Model, numerics
from infrascale.model.blocks import Compressed, Dense, Gqa, Mla, Moe, Recurrent
from infrascale.parsing.huggingface import parse_config
from infrascale.parsing.quantization import precision_in_name
from infrascale.precision import PRECISIONS
from infrascale.work import Batch, Linear, Part, Shard

DATA = Path(__file__).parents[1] / "src" / "infrascale" / "catalog" / "data" / "models"
ENTRIES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.toml"))}
BY_NAME = {
    name: entry
    for entry in ENTRIES.values()
    for name in (entry["id"], *entry.get("aliases", ()), *entry.get("variants", ()))
}
KEYS = {"id", "aliases", "params", "active_params", "kv_bytes_per_token", "variants", "sources", "config"}
approx = pytest.approx
every_entry = pytest.mark.parametrize("slug", ENTRIES)


def model(name: str) -> Model:
    entry = BY_NAME[name]
    return parse_config(entry["config"], id=entry["id"])


# --- conformance: every entry of the catalog, found by itself


@every_entry
def test_an_entry_has_known_keys_and_a_dated_source_for_its_numbers(slug):
    entry = ENTRIES[slug]
    assert set(entry) <= KEYS
    assert {"config", "params"} <= set(entry["sources"])
    for source in entry["sources"].values():
        assert source["kind"] in {"published", "computed"} and source["at"]
        assert len({"checked", "entered"} & set(source)) == 1
        assert all(isinstance(source[key], date) for key in {"checked", "entered"} & set(source))
    assert set(entry.get("variants", {}).values()) <= set(PRECISIONS)


@every_entry
def test_an_entry_has_as_many_parameters_as_published(slug):
    entry = ENTRIES[slug]
    parsed = parse_config(entry["config"], id=entry["id"])
    assert parsed.params == approx(entry["params"], rel=0.01)
    if "active_params" in entry:
        # Publishers count embeddings twice (Qwen3: 3.3B), once (gpt-oss: 5.1B) or never (GLM-4.5-Air: 12B).
        table = parsed.vocab * parsed.hidden
        counts = [parsed.active_params + times * table for times in (-1, 0, 1)]
        assert any(count == approx(entry["active_params"], rel=0.03) for count in counts), counts
    if "kv_bytes_per_token" in entry:
        assert parsed.kv_bytes_per_token() == entry["kv_bytes_per_token"]


@every_entry
def test_an_entry_says_how_long_a_request_may_be(slug):
    config = ENTRIES[slug]["config"]
    said = {**config, **config.get("text_config", {}), **config.get("llm_config", {})}
    old = config["model_type"] == "falcon"  # its config.json leaves it to the class: 2048
    names = {"max_position_embeddings", "n_positions", "seq_length", "model_max_length", "max_seq_len"}
    assert old or said.keys() & names
    assert parse_config(config, id=slug).max_model_len >= 1024


def test_a_name_means_one_model():
    names = [n for e in ENTRIES.values() for n in (e["id"], *e.get("aliases", ()), *e.get("variants", ()))]
    assert len(names) == len({name.lower() for name in names})
    assert len(ENTRIES) >= 80


@pytest.mark.parametrize(
    "name",
    [
        "MiniMaxAI/MiniMax-M2.5", "moonshotai/Kimi-K2.5", "deepseek-ai/DeepSeek-R1",
        "deepseek-ai/DeepSeek-V3",
        "nvidia/DeepSeek-R1-NVFP4", "nvidia/DeepSeek-V3.1-NVFP4", "nvidia/Qwen3-32B-NVFP4", "Qwen/Qwen3-32B",
        "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B", "meta-llama/Llama-2-7b-hf",
        "Qwen/Qwen2-7B",
        "mistralai/Mistral-7B-v0.1", "meta-llama/Meta-Llama-3-8B", "meta-llama/Meta-Llama-3-70B",
        "meta-llama/Llama-2-70b-hf", "BAAI/Aquila-7B", "bigscience/bloom-7b1", "EleutherAI/gpt-j-6b",
        "huggyllama/llama-7b", "facebook/opt-6.7b", "Qwen/Qwen1.5-7B", "mistralai/Mistral-7B-v0.3",
        "google/gemma-7b",
        "google/gemma-1.1-7b-it", "huggyllama/llama-13b", "facebook/opt-13b", "meta-llama/Llama-2-13b-hf",
        "RedHatAI/Llama-4-Scout-17B-16E-Instruct-FP8-dynamic", "meta-llama/Llama-3.1-70B-Instruct",
        "mistralai/Mistral-Nemo-Instruct-2407", "Qwen/Qwen2.5-7B-Instruct", "01-ai/Yi-34B",
        "mistralai/Mixtral-8x7B-v0.1", "mistralai/Mixtral-8x22B-Instruct-v0.1",
        "meta-llama/Llama-3.1-405B-FP8",
        "amd/Llama-3.1-405B-Instruct-FP8-KV", "openai/gpt-oss-120b",
        "mistralai/Mistral-Small-3.1-24B-Instruct-2503",
        "Qwen/Qwen3-14B", "Qwen/Qwen3-30B-A3B-Thinking-2507", "Qwen/Qwen3-8B", "deepseek-ai/DeepSeek-R1-0528",
        "deepseek-ai/DeepSeek-V3.1", "Qwen/Qwen3-30B-A3B-Instruct-2507", "meta-llama/Llama-3.1-405B-Instruct",
        "meta-llama/Llama-3.1-405B-Instruct-FP8", "meta-llama/Llama-3.3-70B-Instruct",
        "Qwen/Qwen3-Coder-30B-A3B-Instruct",
        "Qwen/Qwen3-Coder-480B-A35B-Instruct", "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
        "meta-llama/Llama-2-70b-chat-hf", "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "amd/Llama-3.1-70B-Instruct-FP8-KV",
        "bigscience/bloom", "deepseek-ai/DeepSeek-V2.5", "meta-llama/Llama-3.1-8B",
        "meta-llama/Llama-3.1-405B",
        "mistralai/Mistral-7B", "mistralai/Mixtral-8x7B", "mistralai/Mixtral-8x22B",
        "nvidia/Llama-3.3-70B-Instruct",
        "meta-llama/Llama-4-Scout-17B-16E-Instruct", "Qwen/Qwen3-235B-A22B", "Qwen/Qwen3-30B-A3B",
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct", "nvidia/Llama-3.1-405B-Instruct",
        "nvidia/Llama-3.1-8B-Instruct", "openai/gpt-oss-20b", "LLaMA 7B", "LLaMA 70B", "tiiuae/falcon-180B",
    ],
)  # fmt: skip
def test_every_model_that_was_measured_is_in_the_catalog(name):
    assert name in BY_NAME


# --- laws of the blocks

EVEN = st.sampled_from((8, 16, 32, 64))
BLOCKS = st.one_of(
    st.builds(
        Gqa,
        hidden=st.sampled_from((512, 2048, 4096)), heads=st.sampled_from((16, 32, 64)),
        kv_heads=st.sampled_from((8, 16)),
        head_dim=st.sampled_from((64, 128)), window_tokens=st.sampled_from((None, 128, 4096)),
        bias=st.booleans(),
        gated=st.booleans(), shared_kv=st.booleans(), value_from_key=st.booleans(),
        norm_params=st.integers(0, 4096),
    ),
    st.builds(
        Mla,
        hidden=st.sampled_from((2048, 7168)), heads=st.sampled_from((16, 128)),
        q_lora_rank=st.sampled_from((0, 1536)),
        kv_lora_rank=st.just(512), nope_dim=st.just(128), rope_dim=st.just(64), value_dim=st.just(128),
        index_heads=st.sampled_from((0, 32)), index_dim=st.just(128), index_topk=st.sampled_from((0, 2048)),
    ),
    st.builds(
        Compressed,
        hidden=st.just(4096), heads=st.just(64), head_dim=st.just(512), q_lora_rank=st.just(1024),
        o_lora_rank=st.just(1024), o_groups=st.just(8), window=st.just(128), ratio=st.sampled_from((4, 128)),
        index_heads=st.sampled_from((0, 64)), index_dim=st.just(128), index_topk=st.sampled_from((0, 512)),
        streams=st.sampled_from((1, 4)), norm_params=st.integers(0, 4096),
    ),
    st.builds(Dense, hidden=st.just(4096), intermediate=st.sampled_from((1024, 14336)), gated=st.booleans()),
    st.builds(
        Moe,
        hidden=st.just(2048), experts=EVEN, experts_per_token=st.integers(1, 8),
        intermediate=st.sampled_from((768, 2048)),
        shared_intermediate=st.sampled_from((0, 768)), shared_gate=st.booleans(),
        latent=st.sampled_from((0, 1024)),
    ),
    st.builds(
        Recurrent,
        hidden=st.just(2048),
        projections=st.just((Linear(name="in", inputs=2048, outputs=8192, part=Part.ATTENTION),)),
        state_elements=st.integers(1, 10**6), state_bytes_per_element=st.just(4.0),
        scan_flop_per_token=st.just(1e6),
    ),
)  # fmt: skip
BATCHES = st.builds(
    Batch,
    prefill_tokens=st.integers(0, 8192), prefill_seqs=st.integers(1, 8),
    prefill_past_tokens=st.integers(0, 100_000),
    decode_seqs=st.integers(0, 512), context_tokens=st.integers(0, 10**6),
)  # fmt: skip
BF16 = numerics(parse_config(ENTRIES["qwen3-8b"]["config"], id="qwen3-8b").native, {"bf16": 1e15}, 2.0)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def totals(block, batch, shard=Shard()):  # noqa: B008 - a frozen value
    works = list(block.work(batch, shard, BF16))
    return sum(w.flop * w.count for w in works), sum(w.hbm_bytes * w.count for w in works), works


@given(block=BLOCKS, batch=BATCHES)
@quick
def test_work_is_finite_and_never_negative(block, batch):
    _, _, works = totals(block, batch)
    assert all(math.isfinite(w.flop) and w.flop >= 0 for w in works)
    assert all(math.isfinite(w.hbm_bytes) and w.hbm_bytes >= 0 for w in works)


@given(block=BLOCKS, seqs=st.integers(1, 256), more=st.integers(1, 64), context=st.integers(1, 8192))
@quick
def test_more_sequences_are_never_less_work(block, seqs, more, context):
    few = totals(block, Batch(decode_seqs=seqs, context_tokens=seqs * context))
    many = totals(block, Batch(decode_seqs=seqs + more, context_tokens=(seqs + more) * context))
    assert many[0] >= few[0] and many[1] >= few[1] * (1 - 1e-12)


@given(block=BLOCKS, seqs=st.integers(1, 256), context=st.integers(1, 10**5), more=st.integers(1, 10**5))
@quick
def test_a_longer_context_is_never_less_work(block, seqs, context, more):
    short = totals(block, Batch(decode_seqs=seqs, context_tokens=seqs * context))
    long = totals(block, Batch(decode_seqs=seqs, context_tokens=seqs * (context + more)))
    assert long[0] >= short[0] and long[1] >= short[1]


@given(block=BLOCKS, tp=st.sampled_from((2, 4, 8)), tokens=st.integers(1, 4096))
@quick
def test_shards_of_the_cut_matrices_sum_to_the_whole(block, tp, tokens):
    for linear in block.linears:
        whole, part = linear.work(tokens, 1, BF16), linear.work(tokens, tp, BF16)
        ways = min(tp, linear.kv_heads) if linear.kv_heads else tp
        assert part.flop * (ways if linear.cut else 1) == approx(whole.flop)


@pytest.mark.parametrize(
    ("name", "tp", "sums"), [("minimax-m2.5", 1, 0), ("minimax-m2.5", 4, 62), ("Qwen/Qwen3-32B", 4, 0)]
)
def test_a_norm_as_wide_as_all_heads_is_summed_over_the_gpus_that_share_them(name, tp, sums):
    found = model(name)
    formats = numerics(found.native, {"bf16": 1e15, "fp8": 2e15}, 2.0)
    works = found.work(Batch(decode_seqs=8, context_tokens=8000), Shard(tp=tp), formats)
    added = [work for work in works if work.name == "norm_all_reduce"]
    assert sum(work.count for work in added) == sums  # one a layer
    assert all(work.message.message_bytes == 8 * 2 * 4 for work in added)  # two fp32 a token


@given(block=BLOCKS, ep=st.sampled_from((2, 4, 8)), tokens=st.integers(1, 4096))
@quick
def test_expert_ranks_sum_to_the_whole(block, ep, tokens):
    if isinstance(block, Moe):
        batch = Batch(decode_seqs=tokens, context_tokens=tokens)
        whole = next(w for w in totals(block, batch)[2] if w.name == "experts")
        rank = next(w for w in totals(block, batch, Shard(tp=ep, ep=ep))[2] if w.name == "experts")
        assert rank.flop * ep == approx(whole.flop)


@given(block=BLOCKS, tp=st.sampled_from((1, 2, 4, 8)))
@quick
def test_a_cut_block_is_no_larger_than_the_whole_and_no_smaller_than_its_share(block, tp):
    one, cut = (block.weight_bytes_per_gpu(Shard(tp=n), BF16) for n in (1, tp))
    assert one / tp * (1 - 1e-9) <= cut <= one
    assert one == approx(block.params * 2)
    assert 0 <= block.cache_bytes_per_token(tp, 2.0) <= block.cache_bytes_per_token(1, 2.0)
    assert block.cache_bytes_per_token(tp, 1.0) <= block.cache_bytes_per_token(tp, 2.0)
    assert 0 <= block.active_params <= block.params


@every_entry
def test_a_longer_sequence_never_keeps_less(slug):
    parsed = parse_config(ENTRIES[slug]["config"], id=slug)
    kept = [parsed.cache_bytes(tokens, 2.0) for tokens in (1, 128, 1024, 8192, 65536)]
    assert all(a <= b for a, b in itertools.pairwise(kept)) and kept[0] > 0


# --- oracles: what others published


def test_llama2_13b_cache_is_the_scaling_books():
    """Scaling book, "All About Transformer Inference": 8192 tokens of Llama-2-13B keep 6.7 GB."""
    assert 8192 * model("meta-llama/Llama-2-13b-hf").kv_bytes_per_token() == approx(6.7e9, rel=0.01)


@pytest.mark.parametrize(
    ("name", "params", "active"),
    [
        ("openai/gpt-oss-120b", 116.83e9, 5.13e9),  # gpt-oss model card, arXiv 2508.10925, table 1
        ("openai/gpt-oss-20b", 20.91e9, 3.61e9),  # the same table
        ("deepseek-ai/DeepSeek-V3", 671e9, 37e9),  # DeepSeek-V3 technical report, arXiv 2412.19437
        ("mistralai/Mixtral-8x7B-v0.1", 46.7e9, 12.9e9),  # Mixtral of Experts, Mistral AI, 2023-12-11
        ("Qwen/Qwen3-235B-A22B", 235e9, 22e9),  # Qwen3 technical report, arXiv 2505.09388
        ("moonshotai/Kimi-K2-Instruct", 1.04e12, 32.6e9),  # Kimi K2, arXiv 2507.20534
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 31.6e9, 3.2e9),  # its model card
    ],
)
def test_total_and_active_parameters_are_the_papers(name, params, active):
    parsed = model(name)
    table = parsed.vocab * parsed.hidden
    assert parsed.params == approx(params, rel=0.015)
    assert min(abs(parsed.active_params + k * table - active) for k in (0, 1)) < 0.03 * active


@pytest.mark.parametrize(
    ("name", "kv_bytes"),
    [
        ("meta-llama/Meta-Llama-3-8B", 2 * 32 * 8 * 128 * 2),
        ("deepseek-ai/DeepSeek-V3", 61 * (512 + 64) * 2),  # 70 272: DeepSeek-V3's MLA, "70 KB a token"
        ("meta-llama/Llama-3.1-405B-Instruct", 516_096),  # "516 KB a token" beside it
        ("Qwen/Qwen2.5-72B-Instruct", 327_680),
        ("bigscience/bloom", 2 * 70 * 112 * 128 * 2),  # multi-head: a key and a value of every head
        ("tiiuae/falcon-7b", 2 * 32 * 64 * 2),  # multi-query: one head
    ],
)
def test_cache_per_token_is_as_published(name, kv_bytes):
    assert model(name).kv_bytes_per_token() == kv_bytes


def test_gemma_3_27b_slides_in_five_layers_of_six():
    """Gemma 3 technical report, arXiv 2503.19786: 5 local layers to 1 global, local span 1024."""
    parsed = model("google/gemma-3-27b-it")
    windows = {b.window_tokens: n for n, b in parsed.blocks if isinstance(b, Gqa)}
    assert windows == {1024: 52, None: 10}
    short, long = parsed.cache_bytes(1024, 2.0), parsed.cache_bytes(131072, 2.0)
    assert short == approx(1024 * parsed.kv_bytes_per_token()) and long < 0.2 * 131072 * parsed.kv_bytes_per_token()


def test_gpt_oss_alternates_and_quantises_its_experts_only():
    parsed = model("openai/gpt-oss-120b")
    assert {b.window_tokens: n for n, b in parsed.blocks if isinstance(b, Gqa)} == {128: 18, None: 18}
    assert parsed.native.precision == "mxfp4" and parsed.native.parts == {Part.EXPERTS}
    stored = numerics(parsed.native, {"bf16": 1e15}, 2.0)
    assert parsed.weight_bytes_per_gpu(Shard(), stored) == approx(65.2e9, rel=0.02)  # model card: a 60.8 GiB checkpoint


def test_llama_4_slides_in_three_layers_of_four_and_maverick_is_sparse_in_every_second():
    parsed = model("meta-llama/Llama-4-Maverick-17B-128E-Instruct")
    assert sum(n for n, b in parsed.blocks if isinstance(b, Gqa) and b.window_tokens == 8192) == 36
    assert sum(n for n, b in parsed.blocks if isinstance(b, Moe)) == 24


def test_a_hybrid_keeps_a_cache_in_few_layers_and_a_state_in_the_rest():
    parsed = model("Qwen/Qwen3-Next-80B-A3B-Instruct")
    assert parsed.kv_bytes_per_token() == 12 * 2 * 2 * 256 * 2
    states = [(n, b) for n, b in parsed.blocks if isinstance(b, Recurrent)]
    assert [n for n, _ in states] == [36] and states[0][1].state_bytes_per_seq(1) >= 32 * 128 * 128 * 2


# --- quantisation


def with_quantization(slug: str, **config) -> Model:
    return parse_config({**ENTRIES[slug]["config"], "quantization_config": config}, id=slug)


@pytest.mark.parametrize(
    ("config", "precision"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8"),
        ({"quant_method": "fbgemm_fp8", "modules_to_not_convert": ["lm_head"]}, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "int4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": ["lm_head"]}, "nvfp4"),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, "fp8"),
        (
            {
                "quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
                "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int"}}},
            },
            "int4",
        ),
        (
            {
                "quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
                "config_groups": {"g": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float"}}},
            },
            "fp8",
        ),
    ],
)  # fmt: skip
def test_quantization_config_is_understood(config, precision):
    native = with_quantization("qwen3-8b", **config).native
    assert native.precision == precision and native.parts >= {Part.ATTENTION, Part.DENSE}


def test_modules_left_alone_stay_in_sixteen_bits():
    kimi = model("moonshotai/Kimi-K2.5").native  # regular expressions
    assert kimi.precision == "int4" and kimi.parts == {Part.EXPERTS}
    meta = model("meta-llama/Llama-3.1-405B-Instruct-FP8").native  # attention in 16 bits, and two feed-forwards of 126
    assert meta.precision == "fp8" and Part.ATTENTION not in meta.parts and Part.DENSE in meta.parts
    paths = [f"model.layers.{i}.self_attn.{p}_proj" for i in range(36) for p in "qkvo"]
    native = with_quantization("qwen3-8b", quant_method="fp8", modules_to_not_convert=paths).native
    assert native.parts == LAYER_PARTS - {Part.ATTENTION}
    gates = with_quantization("qwen3-8b", quant_method="fp8", modules_to_not_convert=["gate", "lm_head"]).native
    assert gates.parts == LAYER_PARTS  # `gate` is the router, not gate_proj


def test_one_checkpoint_may_mix_formats():
    layers = {
        f"model.layers.{i}.{name}": {"quant_algo": algorithm}
        for i in range(36)
        for name, algorithm in (("self_attn.q_proj", "FP8"), ("mlp.up_proj", "NVFP4"))
    }
    native = with_quantization("qwen3-8b", quant_method="modelopt", quantized_layers=layers).native
    assert native.of(Part.ATTENTION) == "fp8" and native.of(Part.DENSE) == "nvfp4" and native.of(Part.HEAD) is None
    stored = numerics(native, {"bf16": 1e15}, 2.0)
    assert stored.weight_bytes[Part.ATTENTION] == 1.0 and stored.weight_bytes[Part.HEAD] == 2.0


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "fp8"), ("RedHatAI/Qwen3-8B-FP8-dynamic", "fp8"),
        ("Qwen/Qwen3-32B-AWQ", "int4"), ("nvidia/Qwen3-32B-NVFP4", "nvfp4"),
        ("amd/Llama-3.1-70B-MXFP4-Preview", "mxfp4"),
        ("RedHatAI/Llama-quantized.w4a16", "int4"), ("RedHatAI/Llama-quantized.w8a8", "int8"),
        ("Qwen/Qwen3-32B", None),
    ],
)  # fmt: skip
def test_a_name_may_tell_its_precision(name, precision):
    assert precision_in_name(name) == precision


def test_every_variant_that_names_its_precision_names_the_one_it_has():
    for entry in ENTRIES.values():
        for name, precision in entry.get("variants", {}).items():
            assert precision_in_name(name) in {None, precision}, name


# --- configs that cannot be read

LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256,
}  # fmt: skip


def test_an_unknown_family_with_llamas_keys_is_read_as_llama():
    assert parse_config({**LLAMA, "model_type": "brand-new"}, id="x").params == parse_config(LLAMA, id="x").params


@pytest.mark.parametrize(
    "config",
    [
        {}, [], None, "llama", {"model_type": "llama"},
        {"model_type": 7, **{k: v for k, v in LLAMA.items() if k[0] != "m"}},
        {k: v for k, v in LLAMA.items() if k != "vocab_size"},
        {**LLAMA, "hidden_size": 0}, {**LLAMA, "hidden_size": -1}, {**LLAMA, "hidden_size": float("nan")},
        {**LLAMA, "hidden_size": "4096"}, {**LLAMA, "hidden_size": True}, {**LLAMA, "hidden_size": 10**30},
        {**LLAMA, "num_hidden_layers": 10**9}, {**LLAMA, "num_key_value_heads": 64},
        {**LLAMA, "layer_types": ["full_attention"]}, {**LLAMA, "layer_types": "full"},
        {**LLAMA, "num_local_experts": 8, "num_experts_per_tok": 9},
        {**LLAMA, "quantization_config": {"quant_method": "magic"}}, {**LLAMA, "quantization_config": 3},
        {"model_type": "t5", "is_encoder_decoder": True, "d_model": 512},
        {**LLAMA, "model_type": "bert"},
        {"_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30"},
        {"model_type": "siglip", "vision_config": {}},
        {**LLAMA, "model_type": "deepseek_v4"},
        {"model_type": "nemotron_h", "hidden_size": 8, "hybrid_override_pattern": "MX"},
    ],
)  # fmt: skip
def test_what_cannot_be_understood_says_why_and_what_to_do(config):
    with pytest.raises(ModelError) as caught:
        parse_config(config, id="somebody/model")
    assert "somebody/model" in caught.value.what and caught.value.why and caught.value.fix


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 300), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
REPRESENTATIVES = [
    "llama-3-1-8b-instruct", "deepseek-v3-2", "gpt-oss-20b", "qwen3-5-35b-a3b", "gemma-3-27b-it",
    "falcon-40b", "bloom",
    "nvidia-nemotron-3-nano-30b-a3b-bf16", "llama-3-3-nemotron-super-49b-v1", "kimi-linear-48b-a3b-instruct",
    "minimax-m1-80k", "granite-4-0-h-small", "ai21-jamba-mini-1-5", "gemma-4-26b-a4b-it",
    "longcat-flash-chat",
    "llama-4-scout-17b-16e-instruct", "ernie-4-5-21b-a3b-pt", "mimo-v2-flash", "falcon-h1-34b-instruct",
    "kimi-k2-5",
]  # fmt: skip


def tables(config):
    """The config and every table inside it."""
    yield config
    for value in config.values():
        if isinstance(value, dict):
            yield from tables(value)


@given(data=st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_spoilt_config_is_read_or_refused_never_worse(data):
    config = copy.deepcopy(ENTRIES[data.draw(st.sampled_from(REPRESENTATIVES))]["config"])
    for _ in range(data.draw(st.integers(1, 3))):
        spot = data.draw(st.sampled_from(list(tables(config))))
        if not spot:
            continue
        key = data.draw(st.sampled_from(sorted(spot)))
        if data.draw(st.booleans()):
            del spot[key]
        else:
            spot[key] = data.draw(JSON)
    try:
        parsed = parse_config(config, id="spoilt")
    except ModelError as error:
        assert error.why and error.fix
    else:
        assert parsed.params > 0 and parsed.kv_bytes_per_token() >= 0 and parsed.layers > 0


@given(config=st.dictionaries(st.sampled_from([*LLAMA, "text_config", "quantization_config", "head_dim"]), JSON))
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_nonsense_is_refused(config):
    try:
        parse_config({**config, "model_type": config.get("model_type", "llama")}, id="nonsense")
    except ModelError as error:
        assert error.why and error.fix
