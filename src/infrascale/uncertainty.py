"""How sure a prediction is: 90 % intervals by regime, from measurements that were predicted and compared.

In: a prediction and the Regime it was made in.    Out: its low and high ends.
Idea: split conformal prediction. Within a regime, 5 % of the measured rows lay below the low ratio and 5 % above the
high one; both ratios are widened until models left out of the count are covered too (`calibration.conformal`).
A GPU without kernel tables, or one too few rows, falls back to a wider regime. A model of which only the size is known
has the wider of its regime's interval and of the one of runs that were predicted from their model's size alone. So
has a chip of a maker never measured, which may do as well as one of a maker that was; and a release whose kernels for
the model were new, which may do as badly as the first release on a chip.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import exp

from infrascale import catalog
from infrascale.deployment import Deployment
from infrascale.hardware.efficiency import release_of
from infrascale.model.blocks import Compressed, Mla

#: Architectures with measured kernel tables; the others take shared curves.
KNOWN = frozenset({"ampere", "ada", "hopper", "blackwell", "blackwell-rtx"})
#: Architectures without tables of which end-to-end runs were measured: their spread is in the table as "datasheet".
SEEN = KNOWN | {"cdna3", "xe-hpc"}
#: Makers of the architectures with tables. With one architecture of theirs withheld, errors hardly grow; other
#: makers' chips, withheld, are two to five times slower than predicted.
MAKERS = frozenset({"nvidia"})
#: Releases before which other makers' kernels in vLLM were young: MI300X, withheld, took 2.2 times the predicted time
#: of a batch under 0.5, 1.7 under 0.6.3, 1.1 under 0.10.
EARLY = {"vllm": (0, 6)}
#: Releases before which kernels for latent attention were new, a judgement between what was measured: from vLLM 0.15,
#: SGLang 0.5.5 and TensorRT-LLM 1.1 on runs are as predicted, DeepSeek-V2.5 under vLLM 0.8 took two to five times that.
LATENT = {"vllm": (0, 9), "sglang": (0, 5), "trtllm": (1,)}
TIMES = frozenset({"ttft_mean_s", "tpot_mean_s"})
COVERAGE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """What tells intervals apart. `kind`: closed, pools, open, static, saturated. `queued`: more in flight than run.

    `known`: the GPU's architecture has kernel tables; `seen`: it has at least published runs; `kin`: others of its
    maker have tables. `untold`: what a row leaves out, gpu or format. The spreads of the unseen and the untold are
    those of measured rows with just that withheld. `assumed`: only the size of the model is known. `early`: a release
    of `EARLY`; `new`: one whose kernels for the model's attention were new (`LATENT`).
    """

    kind: str
    engine: str
    queued: bool
    known: bool
    seen: bool = True
    assumed: bool = False
    kin: bool = True
    untold: str = ""
    early: bool = False
    new: bool = False

    @property
    def told(self) -> str:
        """Why it is less sure than of a chip with tables whose row tells all; empty where it is not."""
        if self.untold:
            return f"no {self.untold}"
        if not self.seen:
            return "unseen" if self.kin else "unseen maker, early" if self.early else "unseen maker"
        return "" if self.known else "datasheet"

    def keys(self, measure: str) -> tuple[str, ...]:
        """From particular to general; the first that the table has is used.

        Of makers without tables only ends of batches were measured: they speak for each token too.
        """
        told = f"/{self.told}" if self.told else ""
        state = "/queued" if self.queued else ""
        ends = (f"e2e_mean_s{told}",) if self.told.startswith("unseen maker") and measure in TIMES else ()
        return (
            f"{measure}/{self.kind}/{self.engine}{state}{told}",
            f"{measure}/{self.kind}{state}{told}",
            f"{measure}/{self.kind}{told}",
            f"{measure}{told}",
            *ends,
            measure,
        )

    def assumed_keys(self, measure: str) -> tuple[str, ...]:
        """Of runs that were predicted as if only the size of their model were known."""
        return f"{measure}/{self.kind}/assumed", f"{measure}/assumed"


def regime_of(
    deployment: Deployment, kind: str, queued: bool = False, engine_measured: bool = True, untold: str = ""
) -> Regime:
    """Where a deployment under a kind of load stands. `engine_measured`: no other stands in for the one named."""
    gpu, model, engine = deployment.gpu, deployment.model, deployment.engine
    release = release_of(engine.version or "")
    latent = any(isinstance(block, (Mla, Compressed)) for group in model.groups for block in group.blocks)
    return Regime(
        kind=kind,
        engine=engine.name if engine_measured else "",
        queued=queued,
        known=gpu.architecture in KNOWN,
        seen=gpu.architecture in SEEN,
        assumed=model.assumed,
        kin=gpu.vendor in MAKERS,
        untold=untold,
        early=() < release < EARLY.get(engine.name, ()),
        new=latent and () < release < LATENT.get(engine.name, ()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Log ratios of measured over predicted at the ends of the interval, and the rows behind them."""

    low: float
    high: float
    rows: int

    def around(self, value: float) -> tuple[float, float]:
        return value * exp(self.low), value * exp(self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    spreads: Mapping[str, Spread]

    def of(self, measure: str, regime: Regime) -> Spread:
        """The interval of the most particular regime with evidence, and what it may be mistaken for."""
        found = self._first(regime.keys(measure))
        others = [regime.assumed_keys(measure)] if regime.assumed else []
        if not (regime.seen or regime.kin or regime.untold):
            others.append(replace(regime, kin=True).keys(measure))
        if regime.new:
            strange = replace(regime, known=False, seen=False, kin=False, early=True, untold="")
            others.append(strange.keys(measure))
        for other in (self._first(keys, found) for keys in others):
            found = replace(found, low=min(found.low, other.low), high=max(found.high, other.high))
        return found

    def _first(self, keys: tuple[str, ...], default: Spread | None = None) -> Spread:
        spread = next((self.spreads[key] for key in keys if key in self.spreads), default)
        assert spread is not None, keys
        return spread

    def bounds(self, measures: Mapping[str, float], regime: Regime) -> dict[str, tuple[float, float]]:
        """Low and high end of every measure.

        Where a kind of load has no end-to-end evidence of its own, its time is composed of its parts,
        e2e = ttft + (osl − 1)·tpot, both at the same end; output tokens per second move the other way.
        """
        found = {key: self.of(key, regime).around(measures[key]) for key in ("ttft_mean_s", "tpot_mean_s")}
        for key in ("e2e_mean_s", "output_tok_per_s_total"):
            if any(particular in self.spreads for particular in regime.keys(key)[:3]):
                found[key] = self.of(key, regime).around(measures[key])
        if "e2e_mean_s" not in found:
            answer_s = max(0.0, measures["e2e_mean_s"] - measures["ttft_mean_s"]) / measures["tpot_mean_s"]
            ends = zip(found["ttft_mean_s"], found["tpot_mean_s"], strict=True)
            low, high = (first_s + answer_s * token_s for first_s, token_s in ends)
            found["e2e_mean_s"] = low, high
        if "output_tok_per_s_total" not in found:
            low, high = found["e2e_mean_s"]
            share = measures["e2e_mean_s"] * measures["output_tok_per_s_total"]
            found["output_tok_per_s_total"] = share / high, share / low
        return found


@cache
def intervals() -> Intervals:
    """The shipped table."""
    raw = tomllib.loads((catalog.DATA / "intervals.toml").read_text(encoding="utf-8"))
    return Intervals(spreads={key: Spread(**value) for key, value in raw["spreads"].items()})
