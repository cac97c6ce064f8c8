"""Names as people and tools write them: `8xH200`, `NVIDIA GB200 186GB`, `unsloth/Qwen3-8B-FP8`, `models/llama-3.1-8b`.

In: a name and the catalog's own names.    Out: the own name that is meant, or None.
Idea: words that only tell packaging (makers, form of quantisation, file format, counts) may be there or not; every
other word must be there, so that no name is read as another machine or another model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations

#: Most words of a name that are tried in all combinations.
MOST_WORDS = 9
#: In a GPU's name: makers, product families and packaging. MIG slices are other machines, and are not read.
_GPU_PACKAGING = """
nvidia amd intel instinct tesla geforce quadro gpu gpus tensor core hgx dgx oem oam sxm sxm2 sxm3 sxm4
sxm5 sxm6 hbm hbm2 hbm2e hbm3 hbm3e gddr6 gddr6x gddr7 node server nvlink nvswitch ac accelerator
superchip data center card azure aws gcp oci coreweave lambda runpod x blackwell hopper ada lovelace
ampere generation edition single aarch64 cts spx nps1 nps2 nps4 custom graphics hpu habana developer kit
"""
GPU_NOISE = frozenset(_GPU_PACKAGING.split())
#: In a model's name: what was done to the weights' numbers and files, who packed them, and which tuning.
_MODEL_PACKAGING = """
fp8 fp4 nvfp4 mxfp4 mxfp8 fp16 bf16 bfloat16 float16 int4 int8 4bit 8bit w4a16 w8a8 w8a16 w4a4 w4a8 awq
gptq bnb g32 g64 g128 g32s 128g autoround auto round hqq gguf ggml mlx exl2 q4 q5 q6 q8 k m s dynamic
static block kv cache quantized quant quantised quark pertensor per tensor channel perchannel token marlin
modelopt compressed tensors smoothquant sq hf instruct it chat base preview meta dwq unsloth ptpc amd ocp
model models main snapshot final release thinking exp w a qat unquantized terminus hq sxm w4afp8 mxmoe
experts attn interactive edge datacenter offline mostly 1m reasoning free latest
"""
MODEL_NOISE = frozenset(_MODEL_PACKAGING.split())

#: v0.1, the v2 of FP4-v2, and dates such as 2507 or 0528.
RELEASE = re.compile(r"(?<![a-z0-9])v0[._-]\d(?!\d)|(?<=fp4[-_])v\d\b|(?<![a-z0-9])(25\d\d|0[1-9][0-3]\d)(?![a-z0-9])")

#: Other ways to write the same: `llama-v3p1`, `llama31-70b`, MLPerf's `llama2-70b-99.9`, llama.cpp's `Q4_K_M`.
_WRITTEN = tuple(
    (re.compile(pattern), meant)
    for pattern, meant in (
        (r"(?<=\d)p(?=\d)", "."),
        (r"(?<=llama)[-_ ]?3([1-3])(?=[-_ ])", r"3.\1"),
        (r"-99([.]9)?$", ""),
        (r"(?<![a-z0-9])i?q\d(_[0-9a-z]+)*(?![a-z0-9])", ""),
    )
)


def plus(name: str) -> str:
    return re.sub(r"(?<=\b[a-z])[+](?![a-z0-9])", " plus", name)


def words(name: str) -> list[str]:
    """The words of a spelling; `8xh200` is two of them, `80 gb` is one."""
    name = re.sub(r"(\d)[\s_-]+(gi?b)\b", r"\1gb", name.strip().lower())
    name = re.sub(r"(?<=\d\d)g(?![a-z0-9])", "gb", name)
    name = re.sub(r"\b(\d{1,3})\s*[x*×]\s*(?=[a-z])", " ", name)
    name = re.sub(_COUNT_AHEAD, "", name)
    name = re.sub(r"(?<=[\w)])\s*[*×]\s*\d{1,3}\b|\s+x\s*\d{1,3}\b|[(_-]x?\d{1,2}x?[)]", " ", name)
    return [word for word in re.split(r"[^a-z0-9]+", name) if word]


def gpu_meant(name: str, memory_bytes: Mapping[str, float]) -> str | None:
    """The own spelling with the most words of `name`; all that is left over must be noise or its memory.

    `memory_bytes` has the memory of each own spelling: a size that is not near it tells another board.
    """
    said = words(_COUNT_AT_END.sub("", name.strip()))
    if len(said) > MOST_WORDS:
        said = [word for word in said if word not in GPU_NOISE]
    if len(said) > MOST_WORDS or "mig" in said or any(re.fullmatch(r"\d+g", word) for word in said):
        return None
    for size in range(len(said), 0, -1):
        for kept in combinations(range(len(said)), size):
            left = (said[i] for i in range(len(said)) if i not in kept)
            spelt = "-".join(said[i] for i in kept)
            named = spelt in memory_bytes and any(c.isdigit() for c in spelt)
            if named and all(_aside(word, memory_bytes[spelt]) for word in left):
                return spelt
    return None


def _aside(word: str, memory_bytes: float) -> bool:
    """Whether a word beside a GPU's name tells nothing that contradicts it."""
    if size := re.fullmatch(r"(\d+)(gb|gib)", word):
        return abs(float(size[1]) * 1e9 / memory_bytes - 1) < 0.15
    return word in GPU_NOISE or re.fullmatch(r"\d+(w|x|tb)|x\d+", word) is not None


#: `8 H100`, `8 GPUs H100 SXM`; no generation of a product begins so.
_COUNT_AHEAD = (
    r"^(\d{1,2})\s+(?:gpus?\s+(?:of\s+)?)?(?=(?:nvidia|amd|intel|tesla|h[128]00|a100|b[23]00|l40|mi\d|rtx|gb))"
)
#: Counts as result files write them: `8xH100`, `4 x L40S`; `H100 x8`; `H100 (8x)`, `gpu_8x_h100`; `H100 (8)`.
_COUNTS = (
    _COUNT_AHEAD,
    r"[(\[]\s*(\d{1,2})(?:\s*gpus?)?\s*[)\]]",
    r"(?<![a-z0-9.])(\d{1,3})\s*[x*×](?=[\s_-]*[a-z])",
    r"[\s_(-][x*×]\s*(\d{1,3})(?![0-9a-z])",
    r"[(_](\d{1,2})x\b",
    r"(?<=[0-9a-z])(?:x|\s?:\s?)(\d{1,2})$",
)
#: `H100x2`, `H100:4`.
_COUNT_AT_END = re.compile(_COUNTS[-1], re.IGNORECASE)


def count_in(name: str) -> int | None:
    """The number of GPUs that a spelling tells, None where it tells none."""
    found = next((hit for pattern in _COUNTS if (hit := re.search(pattern, name.lower()))), None)
    return int(found[1]) if found and int(found[1]) > 0 else None


#: Boards sold with two memories, and those sold in two form factors of which one is twice as fast.
_TWO_SIZES, _TWO_FORMS = re.compile(r"[av]100(?![0-9a-z])|gh200(?!\d)"), re.compile(r"h[18]00(?![0-9a-z])")
_SIZE, _FORM = re.compile(r"\d\s*g(i?b)?\b|\d+gb"), re.compile(r"sxm|pcie|nvl|hgx|dgx|hbm|\d\s*gb")


def leaves_open(name: str) -> bool:
    """Whether a GPU's name tells neither the memory nor the form factor that would tell the board."""
    plain = name.lower()
    sizes, forms = _TWO_SIZES.search(plain), _TWO_FORMS.search(plain)
    return bool((sizes and not _SIZE.search(plain)) or (forms and not _FORM.search(plain)))


_ANOTHER = "an accelerator of another maker"
#: Machines that are no GPU of the catalog by their kind, with the plain word for it; first match wins.
_OTHER_WORDS = (
    (r"\bmig\b|\d+g[._]\d+gb", "a slice (MIG) of a GPU"),
    (r"-\d+[qbca]\b", "a virtual GPU, a share of a board"),
    (r"\btpu|trillium|ironwood|\bct[456]|v5e\b|v5p\b|v6e\b|v5litepod", "a TPU"),
    (r"inferentia|trainium|\binf[12]\b|\btrn[123]", "an AWS Inferentia or Trainium chip"),
    (r"cerebras|\bwse|\bcs-?[23]\b", "a Cerebras wafer"),
    (r"\bgroq|\blpu\b", "a Groq LPU"),
    (r"sambanova|sn40l|\brdu\b", "a SambaNova RDU"),
    (r"graphcore|\bipu\b|bow-?2000", "a Graphcore IPU"),
    (r"ascend|\b910[a-d]\b|\b310p?\b|atlas|kunlun|cambricon|\bmlu\d|hygon|\bmtt\b|moore threads", _ANOTHER),
    (r"biren|enflame|iluvatar|metax|tenstorrent|wormhole|blackhole|d-?matrix|corsair|furiosa|rngd", _ANOTHER),
    (r"rebellions|qualcomm|\bqaic|cloud ai 100|hailo|etched", _ANOTHER),
    (r"gaudi[\s-]?1?$|hl-?20\d|\bdl1\b", "a first Gaudi"),
    (r"\bapple|\bm[1-5][\s-]*(max|ultra|pro)?$|macbook|mac studio", "an Apple chip"),
    (r"\bcpu\b|xeon|epyc|graviton|ryzen|strix|threadripper|core[\s-]i\d|core ultra|snapdragon", "a CPU or an APU"),
    (r"\bp(4|40|100)\b|\bm(40|60)\b|\bk80\b|gtx|tesla[\s-]k|titan x", "a GPU older than Volta"),
)
_OTHER = tuple((re.compile(pattern), kind) for pattern, kind in _OTHER_WORDS)


def other_machine(name: str) -> str | None:
    """What kind of machine a name tells that is none of the catalog's."""
    return next((kind for pattern, kind in _OTHER if pattern.search(name.lower())), None)


def core(name: str) -> tuple[str, ...]:
    """The words that make a model, without packaging, releases and dates; `qwen3` is two of them."""
    plain = RELEASE.sub("", plus(name.lower()))
    for pattern, meant in _WRITTEN:
        plain = pattern.sub(meant, plain)
    kept = [re.sub(r"^v(?=\d)", "", word) for word in words(plain) if word not in MODEL_NOISE]
    return tuple(part for word in kept for part in re.findall(r"\d+|[a-z]+", word))


def cores(own: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
    """The catalog's spellings by their core."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name in own:
        found.setdefault(core(name), []).append(name)
    return found


def model_meant(name: str, by_core: Mapping[tuple[str, ...], list[str]]) -> str | None:
    """The own name of the same core that shares most words with the last part of `name` that has one."""
    parts = [part for part in re.split(r"[/\\@]|--", name) if part]
    for part in [*reversed(parts), name]:
        same = by_core.get(core(part)) if core(part) else None
        if same:
            said = set(words(part))
            return min(same, key=lambda own_name: (len(said ^ set(words(own_name))), own_name))
    return None
