"""Odd rows, by the thousand: none is dropped, none crashes, and every number that is answered can be one."""

from __future__ import annotations

from math import isfinite

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrascale import catalog
from infrascale.predicting import COLUMNS, MEASURES, predict_row

MODELS = st.one_of(
    st.sampled_from(sorted(entry["id"] for entry in catalog.entries("models").values())),
    st.sampled_from([
        "", " ", "llama-2-70b-chat-hf", "Foo-13B-Instruct", "x/Bar-30B-A3B-FP8", "a-0b", "b-999999t", "c-3b-a9b",
        "d-64x64b", "0x0b", "e-1m", "-", "/", "generic:", "generic:7b", "generic:0b", "generic:1b-a0.00001b",
        "C:\\models\\llama", "٣b",
    ]),
    st.text(max_size=40),
)  # fmt: skip
GPUS = st.one_of(
    st.sampled_from(sorted(catalog.entries("gpus"))),
    st.sampled_from(["", "8xH100", "p5.48xlarge", "TPU v5e", "H100 MIG 1g.10gb", "0xH100", "999xA100", "NVIDIA", "x"]),
    st.text(max_size=30),
)
NUMBERS = st.one_of(
    st.sampled_from(["", "0", "-1", "nan", "inf", "1e400", "1e-300", "1e12", "0.5", "1,024", "16 ", "many", "٤"]),
    st.integers(1, 4096).map(str),
    st.floats(0.001, 1e9).map(str),
)  # fmt: skip
NOTES = st.one_of(
    st.sampled_from([
        "", "DISAGG", "DISAGG prefill=num_workers:2,tp_size:4 decode=num_workers:1,tp_size:8",
        "DISAGG prefill=num_workers:0,tp_size:0 decode=tp_size:x", "max_num_seqs=0",
        "max_num_seqs=1;max_num_batched_tokens=1", "attn_dp=0", "attn_dp=64", "mapping=DEP8",
        "corrected from tp=8 (ep=8)", "SUSPECT: >8 GPUs", "replicas=0", "replicas=9999", "shared_prefix data",
        "sharegpt", "benchmark_latency", "family=inferencex", "constant (not Poisson)", "data_parallel=3",
        "template enables attention DP", "use_fp8=True", "task=lm-arena-chat",
    ]),
    st.text(max_size=30),
)  # fmt: skip
WORDS = {
    "engine": ["", "vllm", "vLLM-V1", "sglang", "TensorRT-LLM 0.12", "TGI", "llama.cpp", "???", "nim", "🚀"],
    "engine_version": ["", "0.11.0", "v0.6.3.post1", "latest (May 2025)", "nightly", "-1", "99.99", "0", "v", "1e9"],
    "weight_precision": ["", "bf16", "fp8", "nvfp4", "W4A16 (AWQ)", "int3", "fp64", "??", "mxfp4", "fp32"],
    "kv_precision": ["", "fp8", "bf16", "int8", "??"],
    "load_kind": ["", "closed", "open", "offline", "single", "burst", "OPEN"],
}
SIZES = ("isl", "osl", "concurrency", "request_rate", "n_requests", "gpu_count", "tp", "pp", "ep")
ODD = {"model": MODELS, "gpu": GPUS, "notes": NOTES, **dict.fromkeys(SIZES, NUMBERS)}
ODD |= {key: st.sampled_from(values) for key, values in WORDS.items()}
USUAL = st.fixed_dictionaries({
    "model": st.sampled_from(sorted(catalog.entries("models"))),
    "gpu": st.sampled_from(sorted(catalog.entries("gpus"))),
    "tp": st.sampled_from(["", "1", "2", "4", "8", "16"]), "gpu_count": st.sampled_from(["", "1", "8", "16"]),
    "pp": st.sampled_from(["", "1", "2"]), "ep": st.sampled_from(["", "1", "8"]), "notes": st.just(""),
    "engine": st.sampled_from(["", "vllm", "sglang", "trtllm"]),
    "engine_version": st.sampled_from(["", "0.2", "0.5.4", "0.11.0", "1.0"]),
    "weight_precision": st.sampled_from(["", "bf16", "fp8", "int4"]), "kv_precision": st.sampled_from(["", "fp8"]),
    "load_kind": st.sampled_from(["", "closed", "open", "offline", "single"]),
    "isl": st.integers(1, 100_000).map(str), "osl": st.integers(1, 20_000).map(str),
    "concurrency": st.one_of(st.just(""), st.integers(1, 5000).map(str)),
    "n_requests": st.one_of(st.just(""), st.integers(1, 10**6).map(str)),
    "request_rate": st.one_of(st.just(""), st.floats(0.01, 1000).map(str)),
})  # fmt: skip
CHANGES = st.sets(st.sampled_from(sorted(ODD)), max_size=3).flatmap(
    lambda keys: st.fixed_dictionaries({key: ODD[key] for key in sorted(keys)})
)
ROWS = st.builds(lambda usual, changes: usual | changes, USUAL, CHANGES)


@given(row=ROWS)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_an_odd_row_is_answered_or_says_why_not(row):
    cells = predict_row(row)
    assert set(cells) == set(COLUMNS) and cells["status"] in ("ok", "unsupported", "error")
    if cells["status"] != "ok":
        assert cells["reason"] and "\n" not in cells["reason"]
        assert not any(cells[key] for key in COLUMNS if key.startswith("pred_"))
        return
    numbers = {key: float(value) for key, value in cells.items() if key.startswith("pred_") and value}
    assert all(isfinite(value) and value > 0 for value in numbers.values()), numbers
    for measure in MEASURES:
        low, middle, high = (numbers[f"pred_{measure}{end}"] for end in ("_low", "", "_high"))
        assert low <= middle * 1.00001 and middle <= high * 1.00001
