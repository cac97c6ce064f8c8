"""Reading a config.json: values by any of their names, checked, or a ModelError that says what is wrong.

In: the mapping as JSON gave it.    Out: positive integers, flags, lists: never a surprise type.
A null counts as absent, as in transformers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from infrascale.errors import ModelError

#: No model is larger than this in any direction; what is, is a typing error or an attack on our memory.
LARGEST = 10**9
MOST_LAYERS = 2000
REQUIRED = object()


class Reader:
    """One level of a config.json. `defaults` stand in for absent keys, as the classes of transformers do."""

    def __init__(self, values: Mapping[str, Any], *, id: str, defaults: Mapping[str, Any] | None = None) -> None:
        self.id = id
        self._values = {**(defaults or {}), **{k: v for k, v in values.items() if v is not None}}

    def fail(self, why: str, fix: str = "check the model's config.json against the one on Hugging Face") -> ModelError:
        return ModelError(f"the configuration of {self.id} cannot be read", why=why, fix=fix)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def find(self, *names: str) -> Any:
        return next((self._values[name] for name in names if name in self._values), None)

    def size(self, *names: str, default: Any = REQUIRED, least: int = 1, most: int = LARGEST) -> int:
        """A whole number by the first of its names that is there."""
        value = self.find(*names)
        if value is None:
            if default is REQUIRED:
                raise self.fail(
                    f"{names[0]} is missing",
                    f"add {names[0]}, or pass the whole config.json of a causal language model",
                )
            return int(default)
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(f"{names[0]} = {value!r:.60} is not a whole number")
        if not least <= value <= most:
            raise self.fail(f"{names[0]} = {str(value)[:60]} is not in {least} … {most}")
        return value

    def real(self, *names: str, default: float) -> float:
        value = self.find(*names)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
            raise self.fail(f"{names[0]} = {str(value)[:60]} is not a positive number")
        return float(value)

    def flag(self, *names: str, default: bool = False) -> bool:
        value = self.find(*names)
        if value is None:
            return default
        if not isinstance(value, bool | int):
            raise self.fail(f"{names[0]} = {value!r:.60} is neither true nor false")
        return bool(value)

    def text(self, *names: str, default: str = "") -> str:
        value = self.find(*names)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.fail(f"{names[0]} = {value!r:.60} is not text")
        return value

    def items(self, name: str, kind: type, length: int | None = None) -> list[Any] | None:
        """A list whose items are all of `kind`; at least `length` long, and cut there."""
        value = self.find(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(isinstance(item, kind) for item in value):
            raise self.fail(f"{name} is not a list of {kind.__name__}")
        if length is not None and len(value) < length:
            raise self.fail(f"{name} has {len(value)} entries for {length} layers")
        return list(value[:length])

    def child(self, *names: str) -> Reader | None:
        value = self.find(*names)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.fail(f"{names[0]} = {value!r:.60} is not a table")
        return Reader(value, id=self.id)

    def names(self) -> set[str]:
        return {key for key in self._values if isinstance(key, str)}
