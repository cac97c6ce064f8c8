"""Files of measurement rows: whatever their separator, encoding and names of columns, a row of our schema a line.

In: a CSV, plain or gzipped.    Out: its header, its rows as they stand, and the same rows by the schema's names.
A cell means one number or the row says why not: nothing is guessed where two readings are as good.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from infrascale.errors import FileError, ScenarioError

Row = Mapping[str, str]

#: Other names of the schema's inputs, as tools and people head their columns; case, blanks and units aside.
_CALLED = {
    "model": "model_id model_name llm checkpoint",
    "gpu": "gpu_name gpu_type gpu_model accelerator hardware hw device",
    "gpu_count": "gpus num_gpus n_gpus number_of_gpus gpu_num ngpu gpus_total",
    "tp": "tp_size tensor_parallel tensor_parallel_size tensor_parallelism",
    "pp": "pp_size pipeline_parallel pipeline_parallel_size pipeline_parallelism",
    "ep": "ep_size expert_parallel expert_parallel_size expert_parallelism",
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
    "request_rate": "qps rps request_rate_per_s requests_per_second req_per_s arrival_rate target_qps",
    "n_requests": "num_prompts num_requests n_prompts number_of_requests requests",
    "notes": "note comment comments remarks",
}
_NAMES = {other: name for name, others in _CALLED.items() for other in (name, *others.split())}
#: How a load is offered, as people call it; the first word of each line is ours.
_LOADS = """
closed closed-loop closed_loop concurrency fixed-concurrency
open open-loop open_loop poisson rate constant server online
offline batch static throughput saturated burst all-at-once
single single-stream latency one
"""
_KINDS = {word: line.split()[0] for line in _LOADS.strip().splitlines() for word in line.split()}
_NO_RATE = frozenset({"inf", "infinity", "∞", "max", "unlimited"})
_UNIT = r"(tokens?|toks?|req(uests?)?(/s)?|rps|qps|users?|clients?|gpus?|s|sec(onds)?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`rows` as they stand in the file; `named`: the same by the schema's names."""

    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    named: tuple[dict[str, str], ...]


def read_rows(path: str) -> tuple[list[str], list[dict[str, str]]]:
    """Header and rows of a file by the schema's names; every cell a string."""
    table = read_table(path)
    return list(table.header), list(table.named)


def read_table(path: str) -> Table:
    """Comma, semicolon, tab or bar between cells; UTF-8, UTF-16 or Windows' own; blank lines and `sep=` above."""
    lines = _text(path).lstrip("\r\n\t ,;").removeprefix("sep=,").removeprefix("sep=;").lstrip("\r\n\t ,;")
    first = lines.split("\n", 1)[0]
    if not first.strip() or "\0" in lines:
        raise FileError(f"{path} holds no table", why="there is no header line", fix="give a CSV with a header")
    separator = max(",;\t|", key=first.count)
    reader = csv.DictReader(io.StringIO(lines), delimiter=separator)
    try:
        header = [name for name in reader.fieldnames or [] if name]
        named = _schema(path, header)
        rows = [_cells(path, reader.line_num, row, header) for row in reader]
    except csv.Error as error:
        raise FileError(f"{path} is no table", why=str(error), fix="save it as CSV again") from None
    decimal_comma = separator == ";"
    return Table(
        header=tuple(header),
        rows=tuple(rows),
        named=tuple(
            row | {name: _point(row[column]) if decimal_comma else row[column] for column, name in named.items()}
            for row in rows
        ),
    )


def _text(path: str) -> str:
    try:
        raw = Path(path).read_bytes()
        raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{path} cannot be read", why=why, fix="check the path") from None
    wide = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if wide else ("utf-8-sig", "cp1252"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileError(f"{path} is not text", why="it is not UTF-8", fix="give a CSV of measurement rows")


def _schema(path: str, header: list[str]) -> dict[str, str]:
    """The file's columns that are inputs, by the schema's name. A name of ours goes before another's word for it."""
    found: dict[str, str] = {}
    for column in sorted(header, key=lambda name: name.strip().lower() not in _CALLED):
        plain = re.sub(r"[\W_]+", "_", re.sub(r"[(\[].*?[)\]]", "", column).strip().lower()).strip("_")
        name = _NAMES.get(plain)
        if name is None:
            continue
        if name not in found.values():
            found[column] = name
        elif plain == name or not any(column.strip().lower() == name for column in found):
            twice = next(column for column, meant in found.items() if meant == name)
            raise FileError(
                f"{path} tells {name} twice",
                why=f"the columns {twice[:40]} and {column[:40]} mean the same",
                fix=f"name the one that counts {name}, and drop or rename the other",
            )
    if missing := {"model", "gpu"} - set(found.values()):
        raise FileError(
            f"{path} holds no measurements",
            why=f"its header lacks {' and '.join(sorted(missing))}; it has {', '.join(header[:12])[:200]}",
            fix="name the columns as the README does: model, gpu, tp, isl, osl, concurrency, …",
        )
    return found


def _cells(path: str, line: int, row: dict[str | None, str | list[str] | None], header: list[str]) -> dict[str, str]:
    """One row; commas that nobody quoted in a last column of notes are part of it."""
    over = [cell for cell in row.get(None) or () if cell and cell.strip()]
    cells = {name: str(row.get(name) or "").strip() for name in header}
    if over and _NAMES.get(header[-1].lower()) == "notes":
        cells[header[-1]] = ", ".join([cells[header[-1]], *(cell.strip() for cell in over)])
    elif over:
        raise FileError(
            f"line {line} of {path} has more cells than the header",
            why=f"{', '.join(over)[:80]} stands beyond the last column",
            fix="quote the cell that holds a comma",
        )
    return cells


def _point(cell: str) -> str:
    """Where semicolons part cells, a comma in a number is its decimal sign: `217,4`, `1.024,5`."""
    return cell.replace(".", "").replace(",", ".") if re.fullmatch(r"-?\d[\d.]*,\d+", cell) else cell


def load_kind(row: Row) -> str:
    """closed, open, offline or single, as the row says or as its columns tell; a rate without bound is none."""
    said = row.get("load_kind", "").strip().lower()
    kind = _KINDS.get(said, "")
    if said and not kind:
        raise ScenarioError(
            f"load_kind = {said[:30]} is not known",
            why="a load is closed, open, offline or single",
            fix="mend the cell",
        )
    rate, clients = bool(row.get("request_rate")) and not unbounded(row), bool(row.get("concurrency"))
    if unbounded(row) and kind in ("", "open"):
        return "closed" if clients else "offline"
    return kind or ("open" if rate else "closed")


def unbounded(row: Row) -> bool:
    """`inf`: all requests are sent at once, as vLLM's benchmark does unless told a rate."""
    return row.get("request_rate", "").strip().lower() in _NO_RATE


def number(row: Row, key: str) -> float | None:
    """A cell as a positive number, None when blank."""
    text = row.get(key, "")
    if not text or text.lower() in ("none", "null", "n/a", "na", "-", "–", "?"):
        return None
    try:
        value = _value(text, key)
    except ValueError:
        raise ScenarioError(
            f"{key} = {text[:30]} is no number", why="it has other signs", fix="mend the cell"
        ) from None
    if not isfinite(value) or value <= 0 or value > 1e12:
        raise ScenarioError(f"{key} = {text[:30]} cannot be", why="it is not positive and finite", fix="mend the cell")
    if key in ("isl", "osl", "n_requests", "gpu_count") and re.fullmatch(r"[1-9]\.\d{3}", text.strip()):
        raise ScenarioError(
            f"{key} = {text} is read in two ways", why="a thousand and more, or a few and a part", fix="write 1024"
        )
    return value


def _value(text: str, key: str) -> float:
    """`1,024` is a thousand and `0,5` a half; units of the column may stand behind, and `TP8` is eight."""
    joined = "".join(text.split())
    if key in ("tp", "pp", "ep", "gpu_count"):
        joined = re.sub(rf"^({key}[=:]?|x)(?=\d)|(?<=\d)x$", "", joined, flags=re.IGNORECASE)
    if key.endswith("_s") and re.fullmatch(r"[\d.,]+ms", joined):
        return float(_plain(joined[:-2])) / 1e3
    joined = re.sub(rf"(?<=\d){_UNIT}$", "", joined, flags=re.IGNORECASE)
    return float(_plain(joined))


def _plain(joined: str) -> str:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", joined):
        return joined.replace(",", "")
    return joined.replace(",", ".", 1) if re.fullmatch(r"\d+,\d+", joined) else joined
