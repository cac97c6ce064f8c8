"""What a load test measured, whichever tool ran it.

All times in seconds. TPOT is (e2e − ttft) / (osl − 1) per request, with the server's own token counts where the tool
has them: readers convert, and say so in a Note.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Stat:
    """A quantity over requests [s]: its mean, and quantiles by probability, as far as the file tells."""

    mean_s: float | None = None
    quantiles_s: Mapping[float, float] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        return self.mean_s is not None or bool(self.quantiles_s)

    def times(self, factor: float) -> Stat:
        return Stat(
            mean_s=None if self.mean_s is None else self.mean_s * factor,
            quantiles_s={q: v * factor for q, v in self.quantiles_s.items()},
        )


UNKNOWN = Stat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One load and what it met. `concurrency`: clients of a closed loop, or the most in flight that a client allowed.

    `load_kind`: closed (so many clients, one request after the other) or open (requests at a rate).
    """

    load_kind: str
    isl_tokens: float | None
    osl_tokens: float | None
    completed: int
    failed: int = 0
    concurrency: float | None = None
    request_per_s: float | None = None
    duration_s: float | None = None
    ttft: Stat = UNKNOWN
    tpot: Stat = UNKNOWN
    itl: Stat = UNKNOWN
    e2e: Stat = UNKNOWN
    output_token_per_s: float | None = None
    in_flight: float | None = None  # mean seen, where the tool or its requests tell
    one_length: bool = False  # every answer has the same number of tokens
    facts: Mapping[str, str] = field(default_factory=dict)  # of this point: gpu, tp, model …, where they differ

    @property
    def waves(self) -> float | None:
        """Requests for each client of a closed loop; None where the file tells fewer requests than clients."""
        if self.load_kind != "closed" or not self.concurrency or self.completed < self.concurrency:
            return None
        return self.completed / self.concurrency


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something a person should know before trusting the numbers; `note.CODE` of the locale says it."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTest:
    """One file's points. `facts`: what it says of model, engine, engine_version, gpu, gpu_count, tp, pp, replicas …"""

    path: str
    format: str
    points: tuple[Point, ...]
    notes: tuple[Note, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
