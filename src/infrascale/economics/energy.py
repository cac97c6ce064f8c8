"""Energy, carbon and water of a plan over a month, from its load in every hour of the day.

In: Scenario, Candidate, Usage, Efficiency, Site.    Out: Footprint, each figure low and high.

    power of a GPU   the fitted law of deployment/power.py at that hour's batch, idle for the rest of the hour
    energy           (GPUs + servers around them) · hours · PUE
    carbon           energy · mix of the grid + what making the hardware emitted / its life
    water            energy of the machines · (water of the site + PUE · water of the grid)

The batch is the plan's own, hour by hour; EcoLogits takes 64 always. Means of the hour; no bursts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infrascale.deployment import SERVER_W_PER_GPU, PhysicsTimer, busy_power_w, idle_power_w, peak_kw
from infrascale.economics.usage import DAYS_PER_MONTH, HOURS_PER_MONTH, Usage
from infrascale.hardware import Efficiency, Gpu
from infrascale.planning import Candidate, Scenario
from infrascale.serving import Limits, Saturated, open_loop, steps
from infrascale.serving.steady_state import decode_batch, prompts_fraction

#: Low: Chien et al., HotCarbon 2023 (doi 10.1145/3604930.3605705): 318 kgCO2e, an eighth of a server of 8 A100, its
#: processors and memory included. High: EcoLogits 0.11.3 (MPL-2.0), impacts/llm.py: 5 700 a server of 8 without its
#: GPUs, 273 a GPU; both last three years.
EMBODIED_KG_PER_GPU = (318.0, 5700 / 8 + 273)
LIFETIME_MONTHS = 36.0

#: Predicted over measured watts of GPUs, their model left out of the fit, 5th and 95th percentile: 146 runs on H100,
#: and all 304 with B200 and A100 (benchmarks/power.py).
POWER_ERROR = {"hopper": (0.81, 1.18), "": (0.81, 1.20)}

Power = Callable[[float], float]  # mean running sequences of one replica -> watts of one of its GPUs

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where the machines stand. PUE and site water as ranges; the grid's carbon and water with their source."""

    country: str
    pue: Range
    kg_co2e_per_kwh: float
    grid_l_per_kwh: float | None
    site_l_per_kwh: Range | None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """One month, low and high. `peak_kw`: GPUs at their limit and servers, without PUE."""

    kwh: Range
    kg_co2e_use: Range
    kg_co2e_embodied: Range
    water_l: Range | None
    peak_kw: float
    mean_gpu_w: float
    site: Site

    @property
    def kg_co2e(self) -> Range:
        low, high = self.kg_co2e_embodied
        return (self.kg_co2e_use[0] + low, self.kg_co2e_use[1] + high)


def power_of(scenario: Scenario, candidate: Candidate, efficiency: Efficiency) -> Power:
    """Watts of one GPU by sequences that run in its replica; between none and one, idle for the rest of the time."""
    timer = PhysicsTimer(deployment=candidate.deployment, efficiency=efficiency)
    gpus, load, limits = candidate.gpus_per_replica, scenario.workload, _limits(candidate)

    def running_w(running: float) -> float:
        prompts = prompts_fraction(steps(timer, load, limits, running), load, running)
        return busy_power_w(timer, decode_batch(running, load), prompts) / gpus

    def watts(running: float) -> float:
        if running >= 1:
            return running_w(running)
        idle = idle_power_w(timer) / gpus
        return idle + running * (running_w(1.0) - idle)

    return watts


def _limits(candidate: Candidate) -> Limits:
    batch = float(candidate.max_batch)
    deployment = candidate.deployment
    tokens = deployment.engine.max_num_batched_tokens * deployment.shard.dp
    return Limits(max_num_seqs=batch, cached_seqs=batch, step_tokens=tokens)


def running_at(scenario: Scenario, candidate: Candidate, efficiency: Efficiency, request_per_s: float) -> float:
    """Sequences that run in one replica at a rate of requests (Little's law); its whole batch where that is full."""
    if request_per_s <= 0:
        return 0.0
    timer = PhysicsTimer(deployment=candidate.deployment, efficiency=efficiency)
    laws = dict(efficiency.laws)
    found = open_loop(timer, scenario.workload, _limits(candidate), timer.host, laws, request_per_s)
    return float(candidate.max_batch) if isinstance(found, Saturated) else found.running_seqs


def mean_gpu_w(
    scenario: Scenario, candidate: Candidate, usage: Usage, efficiency: Efficiency, power: Power | None = None
) -> float:
    """Mean watts of a GPU over the month: each hour of an active day at its own load, idle days idle."""
    power = power or power_of(scenario, candidate, efficiency)
    replicas, day = candidate.replicas + candidate.spare_replicas, usage.day
    by_share: dict[float, float] = {}
    for share in day.hour_fractions:
        if share not in by_share:
            rate = usage.peak_request_per_s * share / day.peak_fraction / replicas
            by_share[share] = power(running_at(scenario, candidate, efficiency, rate))
    active_w = sum(by_share[share] for share in day.hour_fractions) / len(day.hour_fractions)
    active = day.active_days / DAYS_PER_MONTH
    return active * active_w + (1 - active) * power(0.0)


def footprint(
    scenario: Scenario, candidate: Candidate, usage: Usage, efficiency: Efficiency, site: Site,
    power: Power | None = None,
) -> Footprint:  # fmt: skip
    """Energy, carbon and water of a month; the range is the error of the power model and the site's own."""
    watts = mean_gpu_w(scenario, candidate, usage, efficiency, power)
    return footprint_of(candidate.gpus, watts, candidate.deployment.gpu, site)


def footprint_of(gpus: int, gpu_w: float, gpu: Gpu, site: Site) -> Footprint:
    """The month of `gpus` cards that draw `gpu_w` on average.

    8 GPUs at 500 W with 150 W of server each, PUE 1.2: 8 · 0.65 kW · 730.5 h · 1.2 = 4 558.3 kWh, before the error.
    """
    under, over = POWER_ERROR.get(gpu.architecture, POWER_ERROR[""])
    draws_w = (gpu_w / over, min(gpu.power_w, gpu_w / under))
    made = tuple(gpus * kg / LIFETIME_MONTHS for kg in EMBODIED_KG_PER_GPU)
    machines = [gpus * (draw_w + SERVER_W_PER_GPU) / 1000 * HOURS_PER_MONTH for draw_w in draws_w]
    kwh = (machines[0] * site.pue[0], machines[1] * site.pue[1])
    water = None
    if site.grid_l_per_kwh is not None and site.site_l_per_kwh is not None:
        water = tuple(
            used * (own + pue * site.grid_l_per_kwh)
            for used, own, pue in zip(machines, site.site_l_per_kwh, site.pue, strict=True)
        )
    return Footprint(
        kwh=kwh,
        kg_co2e_use=(kwh[0] * site.kg_co2e_per_kwh, kwh[1] * site.kg_co2e_per_kwh),
        kg_co2e_embodied=made,  # type: ignore[arg-type]
        water_l=water,  # type: ignore[arg-type]
        peak_kw=peak_kw(gpu, gpus),
        mean_gpu_w=gpu_w,
        site=site,
    )
