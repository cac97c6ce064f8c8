"""The operators of a step as closed forms of its batch, found by running the model's own code once on recorded numbers.

In: Model, Shard, Numerics.    Out: Forms, a function of a Batch: the operators, equal ones counted together.
Idea: `Model.work` is plain arithmetic. Fed with numbers that write down what is done to them, it yields the formulas
of every operator; constants fold, equal formulas merge. A comparison on the way (a window, a lone prompt) holds in a
region of batches only: it becomes a guard, and a batch beyond it is recorded anew. What cannot be recorded is left to
the plain way, so that an answer is never another one, only sooner there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from infrascale.model import Model
from infrascale.work import Batch, Kind, Numerics, Part, Shard

#: Regions of batches recorded before the plain way is taken for all others.
MOST_REGIONS = 24
FIELDS = ("prefill_tokens", "prefill_seqs", "prefill_past_tokens", "decode_seqs", "context_tokens")


class Unrecordable(TypeError):
    """The arithmetic leaves what can be written down."""


class Recording:
    """Lines of the program so far. Equal expressions are one line."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, str] = {}

    def value(self, expression: str, number: float) -> Recorded:
        name = self.names.get(expression)
        if name is None:
            name = self.names[expression] = f"v{len(self.names)}"
            self.lines.append(f"{name} = {expression}")
        return Recorded(name, number, self)

    def guard(self, expression: str, holds: bool) -> bool:
        line = f"if {'not ' if holds else ''}({expression}): return None"
        if line not in self.names:
            self.names[line] = ""
            self.lines.append(line)
        return holds


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """A number that remembers its formula."""

    name: str
    number: float
    into: Recording

    def __bool__(self) -> bool:
        return self.into.guard(f"{self.name} != 0", self.number != 0)

    def __float__(self) -> float:
        raise Unrecordable("a plain float is asked for")

    __int__ = __index__ = __ceil__ = __floor__ = __round__ = __float__

    def __neg__(self) -> Recorded:
        return self.into.value(f"-{self.name}", -self.number)


def _operand(other: object) -> tuple[str, float]:
    if isinstance(other, Recorded):
        return other.name, other.number
    if isinstance(other, int | float) and abs(other) < float("inf"):
        return f"({other!r})" if other < 0 else repr(other), other
    raise Unrecordable(f"{type(other).__name__} {other!r}"[:80])


def _arithmetic(sign: str, apply: Callable, swapped: bool) -> Callable[[Recorded, object], Recorded]:
    def method(self: Recorded, other: object) -> Recorded:
        word, number = _operand(other)
        if swapped:
            return self.into.value(f"{word} {sign} {self.name}", apply(number, self.number))
        return self.into.value(f"{self.name} {sign} {word}", apply(self.number, number))

    return method


def _comparison(sign: str, apply: Callable) -> Callable[[Recorded, object], bool]:
    def method(self: Recorded, other: object) -> bool:
        word, number = _operand(other)
        return self.into.guard(f"{self.name} {sign} {word}", bool(apply(self.number, number)))

    return method


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("truediv", "/"), ("floordiv", "//"), ("mod", "%"),
                     ("pow", "**")):  # fmt: skip
    setattr(Recorded, f"__{_name}__", _arithmetic(_sign, getattr(operator, _name), swapped=False))
    setattr(Recorded, f"__r{_name}__", _arithmetic(_sign, getattr(operator, _name), swapped=True))
for _name, _sign in (("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">="), ("eq", "=="), ("ne", "!=")):
    setattr(Recorded, f"__{_name}__", _comparison(_sign, getattr(operator, _name)))


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """What of an operator is the same for every batch of a region; `gpus` > 0: a message."""

    kind: Kind
    dtype: str
    format: str
    pattern: str
    gpus: int


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """Operators, and a function of the five numbers of a Batch: None outside, else count and amounts of each.

    Amounts: flop, hbm_bytes, rows, depth; of a message its bytes.
    """

    operators: tuple[Operator, ...]
    amounts: Callable[..., tuple[tuple[float, ...], ...] | None]


def record(model: Model, shard: Shard, numerics: Numerics, batch: Batch) -> Region:
    """The region around `batch`, or Unrecordable."""
    into = Recording()
    numbers = {field: Recorded(field, getattr(batch, field), into) for field in FIELDS}
    merged: dict[tuple, list[str]] = {}
    for work in model.work(Batch(**numbers), shard, numerics):  # type: ignore[arg-type]
        count = _operand(work.count)[0]
        if work.message is not None:
            of = Operator(work.kind, "", "", work.message.pattern, int(work.message.gpus))
            amounts = (_operand(work.message.message_bytes)[0],)
        else:
            of = Operator(work.kind, work.dtype, work.format, "", 0)
            amounts = tuple(_operand(x)[0] for x in (work.flop, work.hbm_bytes, work.rows, work.depth))
        key = (of.kind, of.dtype, of.format, of.pattern, of.gpus, amounts)
        merged.setdefault(key, []).append(count)
    rows = [f"({' + '.join(counts)}, {', '.join(key[-1])})" for key, counts in merged.items()]
    body = "\n ".join([*into.lines, f"return ({', '.join(rows)},)"])
    scope: dict[str, Callable] = {}
    exec(compile(f"def amounts({', '.join(FIELDS)}):\n {body}", f"<{model.id}>", "exec"), scope)
    return Region(tuple(Operator(*key[:-1]) for key in merged), scope["amounts"])


class Forms:
    """The regions found so far, of one model as it is cut and stored."""

    def __init__(self, model: Model, shard: Shard, numerics: Numerics) -> None:
        self._of = (model, shard, numerics)
        self._regions: list[Region] = []
        self._plain = False

    def __call__(self, batch: Batch) -> tuple[Region, tuple[tuple[float, ...], ...]] | None:
        """The region that holds `batch` and its amounts; None: take the plain way."""
        prompt = (batch.prefill_tokens, batch.prefill_seqs, batch.prefill_past_tokens)
        numbers = (*prompt, batch.decode_seqs, batch.context_tokens)
        for region in self._regions:
            found = region.amounts(*numbers)
            if found is not None:
                return region, found
        if self._plain or len(self._regions) == MOST_REGIONS:
            return None
        try:
            region = record(*self._of, batch)
        except Unrecordable:
            self._plain = True
            return None
        self._regions.append(region)
        return region, region.amounts(*numbers)  # type: ignore[return-value]


def forms_of(model: Model, shard: Shard, numerics: Numerics) -> Forms:
    """The Forms of this model, shared by every GPU that runs it so."""
    tables = (numerics.weight_bytes, numerics.compute, numerics.weight_format)
    formats = tuple((part, *(table[part] for table in tables)) for part in Part)
    return _forms(model, shard, formats, numerics.kv_bytes, numerics.activation_bytes)


@lru_cache(maxsize=2048)
def _forms(model: Model, shard: Shard, formats: tuple, kv_bytes: float, activation_bytes: float) -> Forms:
    numerics = Numerics(
        weight_bytes={part: size for part, size, _, _ in formats},
        compute={part: compute for part, _, compute, _ in formats},
        weight_format={part: name for part, _, _, name in formats},
        kv_bytes=kv_bytes,
        activation_bytes=activation_bytes,
    )
    return Forms(model, shard, numerics)
