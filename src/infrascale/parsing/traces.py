"""Public request traces become Traffic.

In: Azure LLM inference 2023 or 2024 (CSV), BurstGPT (CSV, with or without sessions), Mooncake (JSONL), or a plain CSV
of timestamp, input_tokens, output_tokens; known by their columns, not its name. Out: Traffic, or an error by line.
Times count from the first request. Mooncake's ids of 512-token blocks say which prompts continue another, and
whether they share the first block. Azure: CC-BY 4.0, github.com/Azure/AzurePublicDataset; BurstGPT:
github.com/HPMLL/BurstGPT; Mooncake: Apache-2.0, github.com/kvcache-ai/Mooncake. Needs NumPy.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from infrascale.errors import FileError
from infrascale.workload.traffic import Traffic

#: Column names of each format, lower case: arrival, input, output, conversation.
FORMATS = {
    "azure": ("timestamp", "contexttokens", "generatedtokens", ""),
    "burstgpt": ("timestamp", "request tokens", "response tokens", "session id"),
    "mooncake": ("timestamp", "input_length", "output_length", ""),
    "plain": ("timestamp", "input_tokens", "output_tokens", "session_id"),
}
#: Arrival, input, output, conversation, tokens of the head that all share.
Row = tuple[float, float, float, str, int]
MOONCAKE_BLOCK = 512


def read_trace(path: str) -> Traffic:
    """The requests of a trace, in order of time; those without an answer (0 tokens: failures) are left out."""
    import numpy as np

    rows = sorted(_rows(path), key=lambda row: row[0])
    answered = [row for row in rows if row[2] >= 1]
    if not answered:
        raise FileError(f"{path} has no requests", why="no row has an answer", fix="check that it is the whole file")
    numbers: dict[str, int] = {}
    streams = [numbers.setdefault(row[3] or f"\0{i}", len(numbers)) for i, row in enumerate(answered)]
    times = np.array([row[0] for row in answered])
    count = len(answered)
    return Traffic(
        arrival_s=times - times[0],
        isl_tokens=np.array([max(1, round(row[1])) for row in answered]),
        osl_tokens=np.array([round(row[2]) for row in answered]),
        stream=np.array(streams),
        follows=np.full(count, -1),
        think_s=np.zeros(count),
        head_tokens=np.array([min(row[4], max(1, round(row[1]))) for row in answered]),
    )


def _rows(path: str) -> Iterator[Row]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            start = file.read(1)
            file.seek(0)
            yield from _jsonl(path, file) if start == "{" else _csv(path, file)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path} cannot be read", why=str(error), fix="give a trace as CSV or JSONL in UTF-8") from None


def _jsonl(path: str, file: Any) -> Iterator[Row]:
    arrival, isl, osl, _ = FORMATS["mooncake"]
    talks: dict[int, str] = {}
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
            found = (row[arrival], row[isl], row[osl])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            why = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise _broken(path, line, why) from None
        talk, head = _conversation(row.get("hash_ids") or (), talks, str(line))
        yield _checked(path, line, (_number(path, line, found[0]) / 1000, *found[1:], talk, head))


def _conversation(ids: Any, talks: dict[int, str], new: str) -> tuple[str, int]:
    """The conversation that a prompt continues: an id stands for a block and all before it. Block 0 is the system's."""
    if not isinstance(ids, list | tuple) or not all(isinstance(one, int) for one in ids):
        return "", 0
    talk = next((talks[one] for one in reversed(ids[1:]) if one in talks), new)
    talks.update((one, talk) for one in ids[1:])
    return talk, MOONCAKE_BLOCK if ids and ids[0] == 0 else 0


def _csv(path: str, file: Any) -> Iterator[Row]:
    reader = csv.DictReader(file)
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    known = [columns for columns in FORMATS.values() if all(column in names for column in columns[:3])]
    if not known:
        seen = ", ".join(names) or "nothing"
        raise FileError(
            f"{path} is no trace that is known",
            why=f"its columns are {seen[:80]}",
            fix="give timestamp,input_tokens,output_tokens, or Azure's, BurstGPT's or Mooncake's file",
        )
    arrival, isl, osl, session = (names.get(column, "") for column in known[0])
    clock: Callable[[str], float] | None = None
    for row in reader:
        line = reader.line_num
        if None in row or None in (row[arrival], row[isl], row[osl]):
            raise _broken(path, line, "it has not as many fields as the header")
        clock = clock or _clock(row[arrival])
        try:
            at_s = clock(row[arrival])
        except ValueError:
            raise _broken(path, line, f"{row[arrival]!r} is no time like those above it") from None
        yield _checked(path, line, (at_s, row[isl], row[osl], (row.get(session) or "").strip(), 0))


def _clock(first: str) -> Callable[[str], float]:
    """Seconds as numbers, or dates: whichever the first row has. A date without a zone is taken as UTC."""
    try:
        float(first)
    except ValueError:
        return _seconds
    return float


def _seconds(text: str) -> float:
    """Seconds of an ISO date; Azure writes seven decimals, one more than Python keeps."""
    whole, _, rest = text.strip().partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    moment = datetime.fromisoformat(whole + rest[len(digits) :])
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() + (float(f"0.{digits}") if digits else 0.0)


def _checked(path: str, line: int, row: tuple[Any, Any, Any, str, int]) -> Row:
    at_s, isl, osl = (_number(path, line, value) for value in row[:3])
    if isl < 0 or osl < 0:
        raise _broken(path, line, "token counts cannot be negative")
    return at_s, isl, osl, *row[3:]


def _number(path: str, line: int, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number) or isinstance(value, bool):
        raise _broken(path, line, f"{str(value)[:40]!r} is no number")
    return number


def _broken(path: str, line: int, why: str) -> FileError:
    return FileError(f"line {line} of {path} cannot be read", why=why, fix="mend or remove that line")
