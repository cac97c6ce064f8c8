"""What a simulation is told beyond the scenario: the shape of the traffic, and what befalls the replicas."""

from __future__ import annotations

from dataclasses import dataclass, field

from infrascale.errors import ScenarioError
from infrascale.workload.pattern import Pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """A replica dies at `at_s` with all that it holds; another is there `back_after_s` later, or never (None)."""

    at_s: float
    back_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """`replicas` that are not there before `until_s`."""

    replicas: int
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """`draft_tokens` guessed each step, each right with `acceptance_fraction` if those before it were; guessing takes
    `draft_fraction` of a step on top."""

    draft_tokens: int
    acceptance_fraction: float
    draft_fraction: float = 0.0

    @property
    def tokens_per_step(self) -> float:
        """1 + α + α² + … + α^k: four drafts at 70 % yield 2.77 tokens."""
        return sum(self.acceptance_fraction**k for k in range(self.draft_tokens + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """`replicas` None: as planned. `seconds` None: enough to judge by. `prefill_replicas`: on pools of their own."""

    pattern: Pattern = field(default_factory=Pattern)
    policy: str = "round-robin"
    replicas: int | None = None
    prefill_replicas: int | None = None
    seconds: float | None = None
    seed: int = 1
    deaths: tuple[Death, ...] = ()
    late: Late | None = None
    autoscaler: Autoscaler | None = None
    speculation: Speculation | None = None

    def __post_init__(self) -> None:
        """Pools that something befalls are refused, whoever asks: nothing told is left out of a simulation."""
        unknown = {
            "deaths": self.deaths,
            "late replicas": self.late,
            "an autoscaler": self.autoscaler,
            "speculation": self.speculation,
        }
        given = [name for name, there in unknown.items() if there]
        if self.prefill_replicas and given:
            raise ScenarioError(
                f"prefill_replicas and {', '.join(given)} cannot be simulated together",
                why="in pools all engines stay, from the first request to the last, and each step is a token",
                fix=f"leave prefill_replicas out, or {', '.join(given)}; pools take a rate, users, clients or a trace",
            )

    @property
    def is_calm(self) -> bool:
        """Whether all replicas are there throughout."""
        return not self.deaths and self.late is None and self.autoscaler is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """Replicas by what is in flight, as Kubernetes' HPA: every `every_s` it wants in flight / `target_requests`, never
    fewer than `least`. A new one serves `lag_s` later; one leaves once fewer were wanted for `calm_s`, and finishes
    what it has."""

    least: int
    target_requests: float
    lag_s: float = 300.0
    every_s: float = 15.0
    calm_s: float = 300.0
