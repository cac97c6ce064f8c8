"""Engines as rows spell them: which of ours they are, and the release that a text tells.

In: the cells `engine` and `engine_version`.    Out: Spelt (a name of `deployment.engine`, a release, a note).
An engine that batches continuously without having been measured is answered as vLLM, and the note says so; one that
works otherwise (llama.cpp, plain Transformers, offloading) is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infrascale.errors import CatalogError
from infrascale.hardware import Gpu
from infrascale.hardware.efficiency import release_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelt:
    """`measured`: the engine that was named is the one whose times are predicted."""

    name: str
    version: str | None
    note: str = ""
    measured: bool = True


#: What the engines that were measured go by, the more particular first.
_OURS = (
    (r"trt-?llm|tensorrt|\btrt\b|fastertransformer", "trtllm"),
    (r"sglang|\bsgl\b", "sglang"),
    (r"vllm|llm-?d\b|lmcache|aphrodite|\brhaiis|red hat ai inference|splitwise|ray[- ]?llm|production-stack", "vllm"),
)
#: Servers around an engine, and the one they start unless another is named.
_AROUND = ((r"triton|\bnim\b", "trtllm"), (r"dynamo|\bdjl|lmi\b|kserve|sagemaker|bentoml|openllm|inferentia", "vllm"))
#: Engines with paged cache and continuous batching of which no run was measured.
_ALIKE = (
    r"\btgi\b|text[- _]?generation[- _]?inference|lmdeploy|turbomind|deepspeed|fastgen|\bmii\b|lightllm|mlc|scalellm|"
    r"rtp-?llm|\bmax\b|modular|friendli|fireworks|together|baseten|predibase|lorax|nanoflow|orca|vattention|sarathi|mooncake|"
    r"distserve|xllm|fastdeploy|openvino|tokasaurus|zhilight|flashinfer|nano-?vllm|parallax|gpustack"
)
_OTHERWISE = (
    (r"llama[._-]?cpp|ollama|lm ?studio|gguf|koboldcpp|llamafile|ik_llama|jan\b", "llama.cpp's kernels and queue"),
    (r"exllama|tabbyapi|\bmlx|onnx|ktransformers|powerinfer|flexgen|airllm|petals|\btvm\b|candle", "its own kernels"),
    (r"transformers|huggingface|hf[ _-]|pytorch|eager|accelerate|bitsandbytes|optimum|jax|maxtext|jetstream|neuron",
     "no continuous batching on a GPU"),
)  # fmt: skip


def engine_spelt(engine: str, version: str, card: Gpu) -> Spelt:
    """Raises CatalogError for an engine that works in another way."""
    word = engine.strip().lower()
    name, note = _name(word)
    own = not note and not re.search(
        r"rhaiis|red hat|dynamo", word
    )  # another program's number is none of this engine's
    release = _release(version.strip() or engine, name, card) if own else None
    return Spelt(name=name, version=release, note=note, measured=not note)


def _name(word: str) -> tuple[str, str]:
    found = next((name for pattern, name in _OURS if re.search(pattern, word)), None)
    if found:
        return found, ""
    for pattern, name in _AROUND:
        if re.search(pattern, word):
            return name, f"{word[:40]}: its usual engine, {name}, taken"
    for pattern, how in () if re.search(_ALIKE, word) else _OTHERWISE:
        if re.search(pattern, word):
            raise CatalogError(f"{word[:40]} is not predicted", why=f"{how}: no engine here works so", fix="vllm")
    if re.search(_ALIKE, word):
        return "vllm", f"{word[:40]} was not measured: vllm taken, which batches alike"
    return "vllm", f"engine {word[:40]!r} is not known: vllm taken" if word else "engine not given: vllm taken"


#: First release that runs on Blackwell: an older number there is another program's. Source: release notes of both.
_FIRST_ON_BLACKWELL = {"trtllm": (0, 17), "vllm": (0, 7)}
#: vLLM's minor releases, for versions told by month, from the first month that is wholly theirs. Source: its release
#: page on GitHub.
_BY_MONTH = (
    ("2023-06", "0.1"), ("2024-01", "0.2.6"), ("2024-09", "0.6"), ("2025-03", "0.8"), ("2025-06", "0.9"),
    ("2025-08", "0.10"), ("2025-11", "0.11"), ("2026-01", "0.15"),
)  # fmt: skip
#: What a paper named as the engine ran. Splitwise: arXiv 2311.18677, November 2023.
_BY_PAPER = {"splitwise": "0.2"}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _release(text: str, engine: str, card: Gpu) -> str | None:
    """The engine's release where the text tells it, as a number or, for vLLM, as a month: `latest (May 2025)`."""
    if engine == "trtllm" and re.match(r"TensorRT (9|10)\.", text):
        return "0.12"  # these releases of TensorRT came with its C++ runtime
    if "+rocm" in text:
        return None  # AMD's own builds carry kernels that the release of this number does not have
    text = re.sub(r"(?<=\d),(?=\d)", ".", text)  # a decimal comma
    number = _numbered(text)
    release = release_of(number)
    if release and card.architecture.startswith("blackwell") and release < _FIRST_ON_BLACKWELL.get(engine, ()):
        return None
    day = _month(text)
    if not release and day:
        known = max((since, version) for since, version in (("", ""), *_BY_MONTH) if since <= day)[1]
        return known if engine == "vllm" and known else None
    paper = next((version for name, version in _BY_PAPER.items() if name in text.lower()), None)
    return paper or number or (text if any(letter.isdigit() for letter in text) and not release_of(text) else None)


def _month(text: str) -> str:
    """`2025-09` of `latest (Sep 2025)`, of `nightly 2025-09-01`, and of NVIDIA's containers `25.09`."""
    named = re.search(r"\b([A-Z][a-z]{2})[a-z]* (20\d\d)\b", text)
    if named and named[1].lower() in _MONTHS:
        return f"{named[2]}-{_MONTHS.index(named[1].lower()) + 1:02}"
    dated = re.search(
        r"(?<!\d)(20\d\d)[-./]?(0[1-9]|1[0-2])(?![.]?\d{3})|(?<![\d.])(2[3-9])\.(0[1-9]|1[0-2])(?!\d)", text
    )
    return f"{dated[1] or '20' + dated[3]}-{dated[2] or dated[4]}" if dated else ""


def _numbered(text: str) -> str:
    """`0.11.0` of `vllm/vllm-openai:v0.11.0` and of `vLLM 0.11.0, CUDA 12.8`; nothing of 24.07 or of CUDA alone.

    `v1` is the name of an engine's design, no release.
    """
    release = release_of(text)
    if release:
        return text if release[0] < 20 and not re.fullmatch(r"v?\d+", text.strip().lower()) else ""
    others = r"(cuda|rocm|torch|python|driver|jetpack|tensorrt|gaudi|synapse)[\s:v=-]*\d[\d.]*\S*"
    found = re.search(r"(?<![\w.])v?(\d{1,2}\.\d+(?:\.\d+)*[\w.-]*)", re.sub(others, "", text.lower()))
    return found[1] if found and int(found[1].split(".")[0]) < 20 else ""
