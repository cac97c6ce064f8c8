"""How a model asks to be sampled, as far as it costs time.

In: a model's name; the notes of a measurement.    Out: whether its generation_config.json keeps the likeliest tokens
only (top-k or top-p); whether the benchmark's client asked for the likeliest token alone (temperature 0), which sorts
nothing.
Engines take a model's settings for every request that brings none of its own. A config.json does not tell them, so
families are named here: those that publish top_k or top_p; Mistral, Kimi, gpt-oss, Phi and others publish none. Entered
from knowledge of these files on 25 November 2026, not read again one by one (docs/method.md, where it is weak).
"""

from __future__ import annotations

import re

_LIKELIEST = re.compile(r"qwen|qwq|llama-?[234]|deepseek|minimax|gemma-?[34]|nemotron")
#: Models before instruction tuning, of the families whose plain name is not a chat model.
_BASE = re.compile(r"-base\b|qwen(1\.5|2|2\.5)-\d+(\.\d+)?b$")
#: Clients that send temperature 0 with every request, by what their rows' notes say. Read on 25 November 2026:
#: InferenceX (utils/bench_serving/backend_request_func.py, both routes), LMBenchmark (multi-round-qa.py).
#: inference-perf (apis/completion.py) sends none, so that the model's own settings hold.
_GREEDY_CLIENTS = re.compile(r"family=inferencex|\(LMBenchmark\)")


def asks_for_one_token(notes: str) -> bool:
    """Whether the client of these notes wants the likeliest token: InferenceX, so True."""
    return _GREEDY_CLIENTS.search(notes) is not None


def samples_likeliest(name: str) -> bool:
    """Qwen3-32B: top_k 20 and top_p 0.95, so True; Mistral-Nemo: temperature only, False."""
    word = name.lower().rsplit("/", 1)[-1]
    return bool(_LIKELIEST.search(word)) and not _BASE.search(word)
