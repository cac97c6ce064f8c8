"""What a replica delivers: one value, whichever engine (analytic or simulated) computed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity over requests [s]: its mean, and quantiles by probability where the engine knows them."""

    mean_s: float
    quantiles_s: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """One replica under its share of the load, in equilibrium.

    `ttft_s` counts from arrival, queueing included; `tpot_s` is (e2e − ttft) / (osl − 1), vLLM's TPOT.
    """

    ttft_s: Spread
    tpot_s: Spread
    e2e_s: Spread
    request_per_s: float
    output_token_per_s: float
    running_seqs: float
    waiting_seqs: float
    kv_used_fraction: float
    itl_s: Spread | None = None  # gaps between tokens

    @property
    def token_per_s_per_request(self) -> float:
        """How fast one answer reads [tokens/s]: the reciprocal of TPOT."""
        return 1 / self.tpot_s.mean_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturated:
    """More is asked than a replica can ever serve; `request_per_s` is the most it sustains."""

    request_per_s: float
