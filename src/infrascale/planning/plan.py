"""The answer: one frozen value that every face (command line, JSON, exports) is a function of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import log2

from infrascale.deployment import Deployment, MemoryBudget
from infrascale.planning.scenario import Scenario
from infrascale.serving import Performance


class Constraint(StrEnum):
    MEMORY = "memory"
    THROUGHPUT = "throughput"
    CAPACITY = "capacity"
    WAIT = "wait"
    STOCK = "stock"  # more GPUs than may be bought
    POWER = "power"  # more kW than may be drawn
    SUPPORT = "support"  # no kernel for this format on this chip


class Objective(StrEnum):
    """What the best of a plan's ways has least of; each way is at its own fewest GPUs."""

    GPUS = "gpus"
    COST = "cost"
    ENERGY = "energy"
    CARBON = "carbon"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One constraint at the answer. `needed` and `available` in `unit`; `slack_fraction` 0 binds, < 0 is broken."""

    constraint: Constraint
    needed: float
    available: float
    unit: str

    @property
    def slack_fraction(self) -> float:
        """How far from its limit, as a share of what is available."""
        return (self.available - self.needed) / self.available if self.available else -1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A way to serve the demand. S = `gpus_per_replica`, N = `replicas`, B = `batch_exponent`, Q = `load`.

    `max_batch` = 2^B; B is whole but where the cache or max_num_seqs ends the batch between two powers. Q is requests
    in flight over it, per replica; above 1, requests queue.
    """

    deployment: Deployment
    replicas: int
    spare_replicas: int
    max_batch: int
    load: float
    performance: Performance
    memory: MemoryBudget
    checks: tuple[Check, ...]
    binds: Constraint

    @property
    def gpus_per_replica(self) -> int:
        return self.deployment.shard.gpus

    @property
    def batch_exponent(self) -> float:
        """B, so that the batch is 2^B: a whole number but where something else ends the batch."""
        exponent = self.max_batch.bit_length() - 1
        return exponent if self.max_batch == 2**exponent else log2(self.max_batch)

    @property
    def gpus(self) -> int:
        return (self.replicas + self.spare_replicas) * self.gpus_per_replica

    @property
    def binding(self) -> Check:
        """The check of `binds`: what stops one replica fewer, or has the least slack when one is all there is."""
        return next(check for check in self.checks if check.constraint is self.binds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a way to cut a model over a GPU serves nobody: the constraint, what it needed and the best there was."""

    deployment: Deployment
    constraint: Constraint
    needed: float
    available: float
    unit: str


class Change(StrEnum):
    """What gives way so that an infeasible question has an answer."""

    PROMISE = "promise"
    STOCK = "stock"
    POWER = "power"
    PRECISION = "precision"
    GPU = "gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """A single change that makes an infeasible question feasible, with the plan that then holds.

    `wanted` of `constraint` was asked, `best` is reached at `deployment` once `change` is made. A changed promise is
    exactly `best`. `change` None: nothing alone helps there; `best` is the most there is.
    """

    constraint: Constraint
    change: Change | None
    wanted: float
    best: float
    unit: str
    deployment: Deployment
    candidate: Candidate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`best` None: infeasible; `rejected` says why, `nearest` what would help. `others`: the best of every other way,
    in the order of the `objective`.

    `solver` names how it was found; `excess_fraction` how far above the proven optimum an inexact one stayed.
    """

    scenario: Scenario
    solver: str
    best: Candidate | None
    others: tuple[Candidate, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    excess_fraction: float = 0.0
    nearest: tuple[Nearest, ...] = ()
    physics: str = "operators"
    objective: Objective = Objective.GPUS
