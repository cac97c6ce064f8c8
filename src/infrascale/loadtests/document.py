"""A file opened once: as JSON, lines of JSON, YAML or a table, whichever it is; and numbers taken out of it safely.

In: a path.    Out: Document; Table, a mapping that gives finite numbers or a FileError naming file and key.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from infrascale.errors import FileError

#: A load test's summary is kilobytes, its detailed requests megabytes; beyond this it is something else.
MOST_BYTES = 512 * 2**20


def broken(path: str, why: str, fix: str = "give the file as the load-test tool wrote it") -> FileError:
    return FileError(f"{path} is no load test that can be used", why=why, fix=fix)


@dataclass(frozen=True)
class Document:
    path: str
    text: str

    @cached_property
    def data(self) -> Any:
        """The whole as JSON, else as YAML where it looks like a mapping; None if neither."""
        if self.text.lstrip()[:1] in ("{", "["):
            return _json(self.text)
        first = next((line for line in self.text.splitlines() if line.strip() and not line.startswith("#")), "")
        return _yaml(self.path, self.text) if first.split("#")[0].rstrip().endswith(":") or ": " in first else None

    @cached_property
    def lines(self) -> list[Any]:
        """One JSON object a line, or one after the other over many lines; empty where any part is none."""
        if self.text.lstrip()[:1] != "{":
            return []
        found = [_json(line) for line in self.text.splitlines() if line.strip()]
        if not isinstance(found[0], dict):
            found = _one_after_the_other(self.text)
        return found if all(isinstance(one, dict) for one in found) else []

    @cached_property
    def rows(self) -> list[list[str]]:
        """Cells of a table, comma or semicolon; empty for what is JSON."""
        if self.text.lstrip()[:1] in ("{", "["):
            return []
        first = self.text.split("\n", 1)[0]
        delimiter = max(",;\t", key=first.count)
        try:
            return [row for row in csv.reader(io.StringIO(self.text), delimiter=delimiter) if any(row)]
        except csv.Error:
            return []

    @property
    def decimal_comma(self) -> bool:
        """Where semicolons part cells, a comma in a number is its decimal sign, as French spreadsheets write it."""
        first = self.text.split("\n", 1)[0]
        return first.count(";") > first.count(",")

    @cached_property
    def records(self) -> list[dict[str, str]]:
        """Rows under a one-line header, by column."""
        header = self.rows[0] if self.rows else []
        point = _pointed if self.decimal_comma else str
        return [dict(zip(header, map(point, row), strict=False)) for row in self.rows[1:]]

    @property
    def header(self) -> frozenset[str]:
        return frozenset(self.rows[0]) if self.rows else frozenset()


def opened(path: str) -> Document:
    """The file's text, plain or gzipped; refused where it is absent, empty, huge or no text."""
    place = Path(path)
    try:
        if place.stat().st_size > MOST_BYTES:
            raise broken(path, f"it is larger than {MOST_BYTES >> 20} MiB", "give the summary the tool wrote")
        raw = place.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="check the path") from None
    return decoded(path, raw)


def decoded(name: str, raw: bytes, most_bytes: int = MOST_BYTES) -> Document:
    """What a file holds, wherever its bytes come from; `name` is what messages call it and no path that is opened."""
    try:
        if raw[:2] == b"\x1f\x8b":
            inflate = zlib.decompressobj(wbits=31)
            raw = inflate.decompress(raw, most_bytes)
            if inflate.unconsumed_tail:
                raise broken(name, f"it unpacks to more than {most_bytes >> 20} MiB", "give the tool's summary")
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise broken(name, "it is not text (UTF-8)") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(f"{name} cannot be read", why=str(error), fix="check the file") from None
    if not text.strip():
        raise broken(name, "it is empty")
    if "\0" in text:
        raise broken(name, "it is not text")
    return Document(path=name, text=text)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _one_after_the_other(text: str) -> list[Any]:
    """JSON values with nothing but blanks between them; empty where anything else stands there."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        try:
            one, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return []
        found.append(one)
    return found


def _pointed(cell: str) -> str:
    return cell.replace(",", ".") if re.fullmatch(r"\s*-?\d+,\d+\s*", cell) else cell


def _yaml(path: str, text: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise FileError(
            f"{path} is YAML", why="PyYAML is not installed", fix="pip install 'infrascale[export]'"
        ) from None
    try:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError, ValueError):
        return None


class Table:
    """A level of a document. Absent keys and nulls are None; what is there must be what it should."""

    def __init__(self, values: Any, path: str, at: str = "") -> None:
        self.path, self.at = path, at
        if not isinstance(values, Mapping):
            raise self._fail("is not a table")
        self.values = values

    def _fail(self, what: str, key: str = "") -> FileError:
        return broken(self.path, f"{'.'.join(p for p in (self.at, key) if p) or 'the whole'} {what}"[:200])

    def get(self, key: str) -> Any:
        return self.values.get(key)

    def table(self, *keys: str) -> Table:
        """The table at this place; empty where it is absent."""
        found: Table = self
        for key in keys:
            value = found.values.get(key)
            found = Table({} if value is None else value, self.path, f"{found.at}.{key}".lstrip("."))
        return found

    def items(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._fail("is not a list", key)
        return value

    def number(self, key: str) -> float | None:
        """A finite number that is not negative; blanks are None."""
        value = self.values.get(key)
        if isinstance(value, str):
            value = value.strip()
            if not value or value.lower() in ("nan", "none", "null", "n/a", "-"):
                return None
            try:
                value = float(value)
            except ValueError:
                raise self._fail(f"= {value[:40]!r} is no number", key) from None
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._fail("is no number", key)
        if value != value:
            return None  # a tool's mean over nothing
        try:
            found = float(value)
        except OverflowError:
            raise self._fail("is too large", key) from None
        if not isfinite(found) or not 0 <= found < 1e20:
            raise self._fail(f"= {found:g} cannot be", key)
        return found

    def numbers(self, key: str) -> list[float]:
        found = [Table({"value": value}, self.path, key).number("value") for value in self.items(key)]
        if any(one is None for one in found):
            raise self._fail("has blanks", key)
        return [one for one in found if one is not None]

    def need(self, key: str) -> float:
        found = self.number(key)
        if found is None:
            raise self._fail("is missing", key)
        return found

    def count(self, key: str) -> int:
        return round(self.number(key) or 0)

    def text(self, *keys: str) -> str:
        """The first of these that is a word or a number, as text."""
        for key in keys:
            value = self.values.get(key)
            if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
                return str(value).strip()[:300]
        return ""

    def facts(self, **names: str) -> dict[str, str]:
        """{our name: text} for those that are there."""
        return {name: text for name, key in names.items() if (text := self.text(key))}
