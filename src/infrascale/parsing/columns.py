"""Which columns of a file of rows are inputs, by the schema's names, and in which unit they stand.

In: a header.    Out: Columns: by the file's own name, the schema's name and what one of its units is of ours.
Two columns that mean the same, and a unit that has no exact reading in ours (`k tokens`, characters), are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from infrascale.errors import FileError

#: Other names of the schema's inputs, as tools and people head their columns; case, blanks and units aside.
_CALLED = {
    "model": "model_id model_name llm checkpoint",
    "gpu": "gpu_name gpu_type gpu_model accelerator hardware hw device",
    "gpu_count": "gpus num_gpus n_gpus number_of_gpus gpu_num ngpu gpus_total",
    "tp": "tp_size tensor_parallel tensor_parallel_size tensor_parallelism",
    "pp": "pp_size pipeline_parallel pipeline_parallel_size pipeline_parallelism",
    "ep": "ep_size expert_parallel expert_parallel_size expert_parallelism",
    "dp": "dp_size data_parallel data_parallel_size data_parallelism attention_dp attn_dp",
    "engine": "backend framework runtime inference_engine serving_engine",
    "engine_version": "version backend_version framework_version vllm_version sglang_version",
    "weight_precision": "precision quantization quant dtype weight_dtype weights_dtype weights_precision",
    "kv_precision": "kv_cache_dtype kv_dtype kv_cache_precision",
    "isl": "isl_tokens input_len input_length input_tokens input_sequence_length random_input_len prompt_len "
    "prompt_length prompt_tokens avg_input_tokens mean_input_tokens",
    "osl": "osl_tokens output_len output_length output_tokens output_sequence_length random_output_len "
    "completion_tokens avg_output_tokens mean_output_tokens gen_len",
    "load_kind": "load load_type scenario",
    "concurrency": "max_concurrency conc users clients concurrent_requests num_concurrent_requests",
    "request_rate": "qps rps request_rate_per_s requests_per_second requests_per_s req_per_s arrival_rate target_qps "
    "rpm requests_per_minute requests_per_min req_per_min requests_per_hour",
    "n_requests": "num_prompts num_requests n_prompts number_of_requests requests",
    "notes": "note comment comments remarks",
}
_NAMES = {other: name for name, others in _CALLED.items() for other in (name, *others.split())}
_A_MINUTE, _AN_HOUR = re.compile(r"min|\brpm\b|/\s*m\b"), re.compile(r"hour|/\s*h\b|\brph\b")
_NO_TOKENS = re.compile(r"\bk\b|ktok|kilo|thousand|mill?ion|\bm\b|char|word|byte|\bk?b\b|letter|sec|\bm?s\b")
#: The last column's commas, where nobody quoted them, are its own.
FREE_TEXT = "notes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    factor: float = 1.0


def plain(column: str) -> str:
    return re.sub(r"[\W_]+", "_", re.sub(r"[(\[].*?[)\]]", "", column).strip().lower()).strip("_")


def meant(column: str) -> str | None:
    """The schema's name of a column; `Requests (per s)` is a rate."""
    name = _NAMES.get(plain(column))
    return "request_rate" if name == "n_requests" and re.search(r"per|/", _unit(column)) else name


def columns(path: str, header: list[str]) -> dict[str, Column]:
    """The file's columns that are inputs. A name of ours goes before another's word for it."""
    found: dict[str, Column] = {}
    for column in sorted(header, key=lambda name: name.strip().lower() not in _CALLED):
        name = meant(column)
        if name is None:
            continue
        twice = next((other for other, known in found.items() if known.name == name), None)
        if twice is None:
            found[column] = Column(name=name, factor=_factor(path, column, name))
        elif plain(column) == name or twice.strip().lower() != name:
            raise FileError(
                f"{path} tells {name} twice",
                why=f"the columns {twice[:40]} and {column[:40]} mean the same",
                fix=f"name the one that counts {name}, and drop or rename the other",
            )
    if missing := {"model", "gpu"} - {column.name for column in found.values()}:
        raise FileError(
            f"{path} holds no measurements",
            why=f"its header lacks {' and '.join(sorted(missing))}; it has {', '.join(header[:12])[:200]}",
            fix="name the columns as the README does: model, gpu, tp, isl, osl, concurrency, …",
        )
    return found


def _unit(column: str) -> str:
    return " ".join(re.findall(r"[(\[](.*?)[)\]]", column)).lower()


def _factor(path: str, column: str, name: str) -> float:
    unit = _unit(column)
    if name == "request_rate":
        told = f"{unit} {plain(column).replace('_', ' ')}"
        return 1 / 60 if _A_MINUTE.search(told) else 1 / 3600 if _AN_HOUR.search(told) else 1.0
    if name in ("isl", "osl") and _NO_TOKENS.search(unit):
        raise FileError(
            f"{path} counts {name} in {unit[:30]}",
            why="lengths are tokens, and that is no exact number of them",
            fix=f"give the column {column[:40]} in tokens",
        )
    return 1.0
