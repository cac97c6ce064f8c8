"""Engines as result files spell them: which of ours answers, with which release, or why none does."""

from __future__ import annotations

import pytest

from infrascale.errors import CatalogError
from infrascale.parsing.engines import engine_spelt
from infrascale.parsing.gpus import gpu

H100 = gpu("h100-sxm")


@pytest.mark.parametrize(
    ("engine", "version", "name", "release"),
    [
        ("vllm", "", "vllm", None),
        ("vLLM", "v0.6.3.post1", "vllm", "v0.6.3.post1"),
        ("vllm 0.6.3.post1", "", "vllm", "0.6.3.post1"),
        ("vllm", "vllm/vllm-openai:v0.9.2", "vllm", "0.9.2"),
        ("vllm", "latest (May 2025)", "vllm", "0.8"),
        ("TensorRT-LLM 0.12", "", "trtllm", "0.12"),
        ("TensorRT", "TensorRT 10.2.0, CUDA 12.4", "trtllm", "0.12"),
        ("tensorrtllm_backend", "", "trtllm", None),
        ("lmsysorg/sglang:v0.4.6.post1", "", "sglang", "0.4.6.post1"),
        ("vllm", "0.4.3+rocm614", "vllm", None),
        ("dynamo-sglang", "", "sglang", None),
        ("RHAIIS 3.2", "", "vllm", None),
    ],
)
def test_an_engine_and_its_release(engine, version, name, release):
    found = engine_spelt(engine, version, H100)
    assert (found.name, found.version, found.measured) == (name, release, True)


@pytest.mark.parametrize(
    ("engine", "name"),
    [("TGI 2.0.4", "vllm"), ("LMDeploy", "vllm"), ("DeepSpeed-FastGen", "vllm"), ("NIM", "trtllm"), ("Dynamo", "vllm"),
     ("Triton Inference Server", "trtllm"), ("", "vllm"), ("CUDA 12.2", "vllm")],
)  # fmt: skip
def test_another_engine_is_answered_by_one_like_it_and_says_so(engine, name):
    found = engine_spelt(engine, "", H100)
    assert found.name == name and found.note and not found.measured and found.version is None


@pytest.mark.parametrize("engine", ["llama.cpp", "ollama", "ExLlamaV2", "HuggingFace Transformers", "KTransformers"])
def test_an_engine_that_works_otherwise_is_refused_with_its_reason(engine):
    with pytest.raises(CatalogError) as refused:
        engine_spelt(engine, "", H100)
    assert refused.value.why
