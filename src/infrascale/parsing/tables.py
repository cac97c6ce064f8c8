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
from functools import partial
from math import isfinite
from pathlib import Path

from infrascale.errors import FileError, ScenarioError
from infrascale.parsing.columns import FREE_TEXT, Column, columns, meant, plain

Row = Mapping[str, str]

#: How a load is offered, as people call it; the first word of each line is ours.
_LOADS = """
closed closed-loop closed_loop concurrency fixed-concurrency
open open-loop open_loop poisson rate constant server online
offline batch static throughput saturated burst all-at-once
single single-stream singlestream latency one
"""
_KINDS = {word: line.split()[0] for line in _LOADS.strip().splitlines() for word in line.split()}
#: Columns of numbers; of these the ones where a nought says that there is none.
_NUMBERS = frozenset({"gpu_count", "tp", "pp", "ep", "dp", "isl", "osl", "concurrency", "request_rate", "n_requests"})
_MAY_BE_NONE = _NUMBERS - {"isl", "osl"}
#: Cells that tell nothing.
_NOTHING = frozenset({"nan", "<na>", "none", "null", "n/a", "na", "#n/a", "-", "–", "—", "?", "unknown", "tbd", "nil"})
#: How far down a header may stand.
_TITLE_LINES = 20
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
    """Comma, semicolon, tab or bar between cells; UTF-8, UTF-16 or Windows' own; titles and blank lines above."""
    records, separator = _records(path)
    raw = [name.strip() for name in records[0][1]]
    header = [name for name in raw if name]
    inputs = columns(path, header)
    rows = [_cells(path, line, cells, raw) for line, cells in records[1:] if any(cell.strip() for cell in cells)]
    inputs = {
        column: known for column, known in inputs.items() if known.name != "load_kind" or _tells_load(column, rows)
    }
    counted = [row[column] for row in rows for column, known in inputs.items() if known.name in _NUMBERS]
    read = partial(_spelt, decimal=_decimal(separator, counted))
    return Table(
        header=tuple(header),
        rows=tuple(rows),
        named=tuple(row | {known.name: read(row[column], known) for column, known in inputs.items()} for row in rows),
    )


def _records(path: str) -> tuple[list[tuple[int, list[str]]], str]:
    """Header and rows with their lines, and what parts their cells. Lines above the header are titles."""
    text = _text(path).replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text or not text.strip("\n\t ,;|"):
        raise FileError(f"{path} holds no table", why="there is no header line", fix="give a CSV with a header")
    first = next(line for line in text.split("\n") if line.strip("\t ,;|") and not line.startswith("sep="))
    best: tuple[list[tuple[int, list[str]]], str] | None = None
    for separator in sorted(",;\t|", key=first.count, reverse=True):
        try:
            reader = csv.reader(io.StringIO(text), delimiter=separator)
            records = [(reader.line_num, cells) for cells in reader if not _is_rule(cells)]
        except csv.Error as error:
            raise FileError(f"{path} is no table", why=str(error), fix="save it as CSV again") from None
        named = ({meant(cell) for cell in cells} for _, cells in records[:_TITLE_LINES])
        head = next((i for i, names in enumerate(named) if {"model", "gpu"} <= names), None)
        if head is not None:
            return records[head:], separator
        best = best or ([r for r in records if r[1][0].strip()] or records, separator)
    assert best is not None
    return best


def _is_rule(cells: list[str]) -> bool:
    """A blank line, `sep=;`, or what parts a Markdown table's head from its body."""
    joined = "".join(cells).strip()
    return not joined or joined == "sep=" or re.fullmatch(r"[-:=+\s]{3,}", joined) is not None


def _text(path: str) -> str:
    try:
        raw = Path(path).read_bytes()
        raw = gzip.decompress(raw) if path.endswith(".gz") else raw
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{path} cannot be read", why=why, fix="check the path") from None
    for encoding in _encodings(raw):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise FileError(f"{path} is not text", why="it is not UTF-8", fix="give a CSV of measurement rows")


def _encodings(raw: bytes) -> tuple[str, ...]:
    """Every second byte of Latin text in UTF-16 is nought."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    begin = raw[:400]
    for encoding, high in (("utf-16-le", begin[1::2]), ("utf-16-be", begin[0::2])):
        if len(begin) > 3 and high.count(0) > 0.9 * len(high):
            return (encoding,)
    return ("utf-8-sig", "cp1252")


def _cells(path: str, line: int, cells: list[str], header: list[str]) -> dict[str, str]:
    """One row; commas that nobody quoted in a last column of notes are part of it."""
    over = [cell for cell in cells[len(header) :] if cell.strip()]
    row = {name: cell.strip() for name, cell in zip(header, [*cells, *[""] * len(header)], strict=False) if name}
    if over and meant(header[-1]) == FREE_TEXT:
        row[header[-1]] = ", ".join([row[header[-1]], *(cell.strip() for cell in over)])
    elif over:
        raise FileError(
            f"line {line} of {path} has more cells than the header",
            why=f"{', '.join(over)[:80]} stands beyond the last column",
            fix="quote the cell that holds a comma",
        )
    return row


def _tells_load(column: str, rows: list[dict[str, str]]) -> bool:
    """A column of ours, or another's whose words all name a kind of load: `scenario` may as well be a task."""
    return plain(column) == "load_kind" or all(_kind(row[column]) for row in rows if row[column])


def _decimal(separator: str, cells: list[str]) -> str:
    """The decimal sign that a cell shows; `;` where none does and semicolons part the cells."""
    if any(re.fullmatch(r"\d+,(\d{1,2}|\d{4,})|0,\d+|\d{1,3}([.]\d{3})+,\d+", cell) for cell in cells):
        return ","
    if any(re.fullmatch(r"\d+[.](\d{1,2}|\d{4,})|0[.]\d+|\d{1,3}(,\d{3})+[.]\d+", cell) for cell in cells):
        return "."
    return ";" if separator == ";" else ""


def _spelt(cell: str, column: Column, decimal: str) -> str:
    """A cell as `number` reads it: blank where it tells nothing, its decimal sign a point, a rate per second.

    Where semicolons part cells a comma is a decimal sign, but for whole numbers such as clients.
    """
    if cell.lower() in _NOTHING:
        return ""
    if column.name not in _NUMBERS:
        return cell
    thousands = decimal == ";" and column.name in _MAY_BE_NONE and re.fullmatch(r"\d{1,3}(,\d{3})+", cell)
    if decimal in {",", ";"} and not thousands and re.fullmatch(r"\d{1,3}([.]\d{3})+(,\d+)?|\d+,\d+", cell):
        cell = cell.replace(".", "").replace(",", ".")
    if column.name in _MAY_BE_NONE and re.fullmatch(r"0+([.]0*)?", cell):
        return ""
    if column.factor != 1 and re.fullmatch(r"\d+([.]\d+)?", cell):
        return f"{float(cell) * column.factor:.12g}"
    return cell


def _kind(said: str) -> str:
    return _KINDS.get(re.sub(r"[\s_]+", "-", said.strip().lower()), "")


def load_kind(row: Row) -> str:
    """closed, open, offline or single, as the row says or as its columns tell; a rate without bound is none."""
    said = row.get("load_kind", "").strip()
    kind = _kind(said)
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
    if not text or text.lower() in _NOTHING:
        return None
    try:
        value = _value(text, key)
    except ValueError:
        raise ScenarioError(
            f"{key} = {text[:30]} is no number", why="it has other signs", fix="mend the cell"
        ) from None
    if not isfinite(value) or value <= 0 or value > 1e12:
        raise ScenarioError(f"{key} = {text[:30]} cannot be", why="it is not positive and finite", fix="mend the cell")
    rate = key == "request_rate" and re.fullmatch(r"\d{1,3},\d{3}", text.strip())
    if rate or (key in ("isl", "osl", "n_requests", "gpu_count") and _two_readings(text.strip())):
        raise ScenarioError(
            f"{key} = {text} is read in two ways", why="thousands, or a few and a part", fix="write 1024"
        )
    return value


def _two_readings(text: str) -> bool:
    """1.024 and 16.384; nobody's prompts have 16 tokens and 384 thousandths, but 217.393 on average."""
    return re.fullmatch(r"[1-9]\d?\.\d{3}", text) is not None or (
        re.fullmatch(r"\d{3}\.\d{3}", text) is not None and int(text.replace(".", "")) % 1024 == 0
    )


def _value(text: str, key: str) -> float:
    """`1,024` is a thousand and `0,5` a half; units of the column may stand behind, and `TP8` is eight."""
    joined = re.sub(r"(?<=\d)['’](?=\d{3})|^[~≈]", "", "".join(text.split()))
    if key in ("tp", "pp", "ep", "dp", "gpu_count"):
        joined = re.sub(rf"^({key}[=:]?|x)(?=\d)|(?<=\d)x$", "", joined, flags=re.IGNORECASE)
    if key.endswith("_s") and re.fullmatch(r"[\d.,]+ms", joined):
        return float(_plain(joined[:-2])) / 1e3
    joined = re.sub(rf"(?<=\d){_UNIT}$", "", joined, flags=re.IGNORECASE)
    return float(_plain(joined))


def _plain(joined: str) -> str:
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", joined):
        return joined.replace(",", "")
    return joined.replace(",", ".", 1) if re.fullmatch(r"\d+,\d+", joined) else joined
