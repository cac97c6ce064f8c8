"""A deployment's own efficiency, from its own load tests: a posterior on top of the general model, never in its place.

In: Cases (a measured point and the deployment it ran on), the general Efficiency.    Out: Calibration.
Idea: seven multipliers with a meaning, log-normal about 1. Their most probable values are found by Gauss-Newton on the
logarithms of TPOT and TTFT, errors beyond two noises counting less (Huber); their spread is Laplace's:

    (JᵀWJ + P)·δ = JᵀW·r − P·θ          Σ = (JᵀWJ + P)⁻¹          J = ∂ log predicted / ∂ log multiplier

What the points cannot tell stays at the general model. Kin (replicas of another size, the model on another GPU,
another model on the same) takes over a share s of each part, `KINSHIP`; the rest counts as not known: with D = diag(s),
mean D·θ, covariance D·Σ·D + P⁻¹ − D·P⁻¹·D. P⁻¹ is no diagonal: a slow host is slow in steps, sequences and requests.
Assumes an engine that keeps its version and settings. Knows no files: see `saved`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, inf, isfinite, log, sqrt

from infrascale.calibration.algebra import Matrix, inverse, quadratic, solved
from infrascale.deployment import Deployment, PhysicsTimer
from infrascale.hardware import Efficiency, Gpu, Scale
from infrascale.model import Model
from infrascale.parsing.measurements import Asked
from infrascale.serving import Limits, Regime, Saturated, closed_loop, limits_of, open_loop
from infrascale.uncertainty import Intervals, Spread
from infrascale.uncertainty import intervals as shipped
from infrascale.work import Kind

#: Log-spread of each multiplier before any load test. Kernels: the error of the kernel curves; host: as in `hosts`.
PRIOR_SPREADS = {
    "weights": 0.15,  # bytes and launches of GEMM, experts, recurrences, element-wise operators
    "arithmetic": 0.2,  # arithmetic of every kernel: prefill
    "cache": 0.3,  # reading the KV cache
    "links": 0.3,  # collectives
    "step": 0.5,  # the engine's host time a step
    "seq": 0.7,  # and a sequence in it
    "request": 1.0,  # and a request: the floor of TTFT, gateway included
}
NAMES = tuple(PRIOR_SPREADS)
#: Of `links` over PCIe, where the server decides (peer access, switches, bridges) and not the card: three kinds of
#: server measured took 0.7 (L40S, TensorRT-LLM), 1 (RTX PRO 6000, the table) and 2.3 times (the French state's H100).
PCIE_SPREAD = 0.6
#: Log-spread of what `HOST` share: the host's own pace. Servers are alike; a machine of which nothing but a profile is
#: known may be far slower in all three at once (vLLM's CPU build takes nine times as long a step).
HOST = ("step", "seq", "request")
PACE_SPREAD, PROFILED_PACE_SPREAD = 0.2, 1.5
#: Noise (log) of a repeated point before it is learnt, and how many points that belief is worth.
NOISES = {"tpot": 0.04, "ttft": 0.12}
BELIEF_POINTS = 6.0
ROBUST_NOISES = 2.0
#: Log-spread from one request to the next under one load: what the mean of n requests keeps of it is its √n-th part.
REQUEST_SPREADS = {"tpot": 0.1, "ttft": 0.6}
#: How much of what one deployment taught holds for its kin: the share that predicts published ones best (60 deployments
#: of vLLM, each pair of one release; benchmarks/transfer.py). Most of what is odd about a deployment is its own.
KINSHIP = {
    "same": 1.0, "parts": 1.0, "cut": 0.3, "card": 0.2, "model": 0.15, "generation": 0.1, "engine": 0.0, "other": 0.0
}  # fmt: skip
#: Of links over PCIe on the same card, which are the server's: Llama and Mistral in pairs on one want the same. A
#: judgement, of two deployments; whole, either halves the other's error.
LINKS_KINSHIP = 0.8
#: Least log-spread of TPOT and TTFT there: 1.48 × the median difference between the mean errors of two such.
KIN_SPREADS = {
    "parts": {"tpot": 0.07, "ttft": 0.19},
    "cut": {"tpot": 0.07, "ttft": 0.19},
    "card": {"tpot": 0.07, "ttft": 0.24},
    "model": {"tpot": 0.17, "ttft": 0.29},
    "generation": {"tpot": 0.18, "ttft": 0.29},
}
#: Log-spread added for each e-fold that a question lies outside what was measured.
SPREAD_OUTSIDE = 0.1
Z_90 = 1.645


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A measured point: what was asked, and seconds by measure (tpot, ttft), the means of so many `requests`."""

    asked: Asked
    measured: Mapping[str, float]
    requests: float | None = None

    def noise(self, measure: str, repeated: float) -> float:
        """Log-spread of this point where that of a repeated one is known; more for a mean of few requests."""
        return hypot(repeated, REQUEST_SPREADS[measure] / sqrt(max(1.0, self.requests))) if self.requests else repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The posterior, with what it rests on.

    `region`: least and most of isl, osl and concurrency (of a replica) that were measured; `seen`: the models and
    the GPUs of a replica that they ran on. `model`: the one of most points.
    """

    gpu: str
    architecture: str
    model: str
    engine: str
    points: int
    multipliers: tuple[float, ...]  # logarithms, in the order of NAMES
    covariance: Matrix
    noises: Mapping[str, float]
    region: Mapping[str, tuple[float, float]]
    seen: tuple[tuple[str, int], ...] = ()

    @property
    def gpus(self) -> tuple[int, ...]:
        """Of a replica, as measured."""
        return tuple(sorted({gpus for _, gpus in self.seen}))

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((self.model, *(model for model, _ in self.seen))))

    def kinship(self, gpu: Gpu, model: Model, engine: str | None = None, gpus: int | None = None) -> str:
        """`engine`, `gpus` of a replica: the question's, where it says them.

        `parts`: the model was measured, and so were replicas of this size, but not together.
        """
        if engine not in (None, self.engine):
            return "engine"
        known = model.id in self.models
        if gpu.id != self.gpu:
            return "card" if known else "generation" if gpu.architecture == self.architecture else "other"
        if not known:
            return "model"
        if gpus is None or not self.seen or (model.id, gpus) in self.seen:
            return "same"
        return "parts" if gpus in self.gpus else "cut"

    def posterior(
        self, gpu: Gpu, model: Model, engine: str | None = None, gpus: int | None = None
    ) -> tuple[list[float], Matrix]:
        """Log-multipliers for this GPU and model, and their covariance."""
        shares = _shares(self.kinship(gpu, model, engine, gpus), gpu)
        covariance = [
            [a * b * v + (1 - a * b) * unknown for b, v, unknown in zip(shares, *rows, strict=True)]
            for a, *rows in zip(shares, self.covariance, prior(gpu), strict=True)
        ]
        return [s * v for s, v in zip(shares, self.multipliers, strict=True)], covariance

    def at(self, deployment: Deployment) -> tuple[list[float], Matrix]:
        """`posterior` for all that a deployment says of itself."""
        return self.posterior(deployment.gpu, deployment.model, deployment.engine.name, deployment.shard.gpus)

    def efficiency(
        self, general: Efficiency, gpu: Gpu, model: Model, engine: str | None = None, gpus: int | None = None
    ) -> Efficiency:
        """The general curves as these load tests correct them; without `gpus`, for replicas of any size."""
        return scaled(general, self.posterior(gpu, model, engine, gpus)[0])

    def outside(self, **asked: float) -> float:
        """How far a question lies from what was measured: the sum of e-folds over lengths and concurrency."""
        far = 0.0
        for key, value in asked.items():
            low, high = self.region[key]
            far += max(0.0, log(low / value), log(value / high))
        return far

    def intervals(self, asked: Asked, general: Efficiency) -> Intervals:
        """The same as ratios, for whoever takes the shipped table; on what is no kin that table itself.

        Kin is as sure as the narrower of the two: what it takes over moves a prediction little.
        """
        of = asked.deployment
        kinship = self.kinship(of.gpu, of.model, of.engine.name, of.shard.gpus)
        if kinship in ("engine", "other"):
            return shipped()
        found = {
            f"{measure}_mean_s": Spread(low=log(low / best), high=log(high / best), rows=self.points)
            for measure, (low, best, high) in self.interval(asked, general).items()
        }
        if kinship == "same":
            return Intervals(spreads=found)
        table = {key: spread for key, spread in shipped().spreads.items() if key.split("/")[0] in found}
        narrower = {k: min(spread, found[k.split("/")[0]], key=lambda s: s.high - s.low) for k, spread in table.items()}
        return Intervals(spreads=found | narrower)

    def interval(self, asked: Asked, general: Efficiency) -> dict[str, tuple[float, float, float]]:
        """Low, best and high of each measure, 90 % [s]."""
        theta, covariance = self.at(asked.deployment)
        best, slopes = slopes_at(asked, general, theta)
        of = asked.deployment
        apart = KIN_SPREADS.get(self.kinship(of.gpu, of.model, of.engine.name, of.shard.gpus), {})
        far = self.outside(
            isl=asked.workload.isl_tokens,
            osl=asked.workload.osl_tokens,
            **({"concurrency": asked.concurrency / asked.replicas} if asked.concurrency else {}),
        )
        found = {}
        for measure, value in best.items():
            known = max(quadratic(slopes[measure], covariance), apart.get(measure, 0.0) ** 2)
            spread = sqrt(known + self.noises[measure] ** 2 + (SPREAD_OUTSIDE * far) ** 2)
            found[measure] = (exp(value - Z_90 * spread), exp(value), exp(value + Z_90 * spread))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """One point's measure: log ratio measured / predicted by the general model, calibrated, and with it left out."""

    case: Case
    measure: str
    before: float
    after: float
    left_out: float


def _shares(kinship: str, gpu: Gpu) -> list[float]:
    """Of each part, how much holds for such kin."""
    share = KINSHIP[kinship]
    links = max(share, LINKS_KINSHIP) if gpu.link.kind == "pcie" and kinship in ("cut", "model") else share
    return [links if name == "links" else share for name in NAMES]


def prior(gpu: Gpu) -> Matrix:
    """Covariance of the log-multipliers on this card before any load test: each its own, the host's by its pace too."""
    spreads = PRIOR_SPREADS | ({"links": PCIE_SPREAD} if gpu.link.kind == "pcie" else {})
    pace = PROFILED_PACE_SPREAD if gpu.curves else PACE_SPREAD
    return [
        [(spreads[a] ** 2 if a == b else 0.0) + (pace**2 if a in HOST and b in HOST else 0.0) for b in NAMES]
        for a in NAMES
    ]


def scaled(general: Efficiency, theta: Sequence[float]) -> Efficiency:
    """The general curves under these log-multipliers."""
    m = {name: exp(value) for name, value in zip(NAMES, theta, strict=True)}
    by_kind = {kind: Scale(launch=m["weights"], moving=m["weights"], computing=m["arithmetic"]) for kind in Kind}
    by_kind[Kind.DECODE_ATTENTION] = Scale(launch=m["cache"], moving=m["cache"], computing=m["arithmetic"])
    by_kind[Kind.COMMUNICATION] = Scale(launch=m["links"], moving=m["links"])
    one = Scale()
    scales = dict(general.scales)
    for kind, by in by_kind.items():
        old = scales.get(kind, one)
        scales[kind] = Scale(
            launch=old.launch * by.launch, moving=old.moving * by.moving, computing=old.computing * by.computing
        )
    hosts = {
        key: replace(
            host,
            step_s=host.step_s * m["step"],
            seq_s=host.seq_s * m["seq"],
            parallel_s=host.parallel_s * m["step"],
            token_s=host.token_s * m["seq"],
            layer_s=host.layer_s * m["step"],
            prompt_layer_s=host.prompt_layer_s * m["step"],
            request_s=host.request_s * m["request"],
            prompt_token_s=host.prompt_token_s * m["request"],
        )
        for key, host in general.hosts.items()
    }
    return replace(general, scales=scales, hosts=hosts)


def expected(asked: Asked, efficiency: Efficiency) -> dict[str, float]:
    """Logarithms of TPOT and TTFT that this efficiency gives for a point [log s]."""
    timer = PhysicsTimer(deployment=asked.deployment, efficiency=efficiency)
    limits = limits_of(asked.deployment, asked.workload)
    if limits.running < 1:
        limits = Limits(max_num_seqs=1, cached_seqs=1, step_tokens=limits.step_tokens)
    laws = dict(efficiency.laws)
    found = None
    if asked.load_kind == "open" and asked.request_per_s:
        rate = asked.request_per_s / asked.replicas
        found = open_loop(timer, asked.workload, limits, timer.host, laws, rate)
    if found is None or isinstance(found, Saturated):
        clients = limits.running if found else (asked.concurrency or 1.0) / asked.replicas
        regime = Regime.STEADY if found else Regime.BURST
        found = closed_loop(timer, asked.workload, limits, timer.host, laws, clients, regime, asked.waves)
    return {"tpot": log(found.tpot_s.mean_s), "ttft": log(found.ttft_s.mean_s)}


def slopes_at(
    asked: Asked, general: Efficiency, theta: Sequence[float]
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """`expected` at these multipliers, and its derivatives by each."""
    change = 0.02
    base = expected(asked, scaled(general, theta))
    slopes: dict[str, list[float]] = {measure: [] for measure in base}
    for index in range(len(NAMES)):
        moved = expected(asked, scaled(general, [t + change * (i == index) for i, t in enumerate(theta)]))
        for measure, value in base.items():
            slopes[measure].append((moved[measure] - value) / change)
    return base, slopes


def calibrate(cases: Sequence[Case], general: Efficiency, steps: int = 12) -> tuple[Calibration, list[Error]]:
    """The posterior of these points, which ran on one deployment or its kin, and each point's errors."""
    theta, noises = [0.0] * len(NAMES), dict(NOISES)
    held = inverse(prior(cases[0].asked.deployment.gpu))
    before: list[float] = []
    for _ in range(steps):
        rows = _rows(cases, general, theta)
        residuals = [row[2] for row in rows]
        before = before or residuals
        weights = _weights(rows, noises)
        right = [
            sum(w * row[3][i] * row[2] for w, row in zip(weights, rows, strict=True))
            - sum(h * t for h, t in zip(held[i], theta, strict=True))
            for i in range(len(NAMES))
        ]
        moves = solved(_normal(rows, weights, held), right)
        theta = [t + max(-0.5, min(0.5, move)) for t, move in zip(theta, moves, strict=True)]
        noises = _noises(rows, noises)
        if max(map(abs, moves)) < 1e-3:
            break
    rows = _rows(cases, general, theta)
    weights = _weights(rows, noises)
    covariance = inverse(_normal(rows, weights, held))
    errors = []
    for (case, measure, residual, slopes), weight, first in zip(rows, weights, before, strict=True):
        leverage = min(0.95, weight * quadratic(slopes, covariance))
        left_out = residual / (1 - leverage)
        errors.append(Error(case=case, measure=measure, before=first, after=residual, left_out=left_out))
    seen = Counter((case.asked.deployment.model.id, case.asked.deployment.shard.gpus) for case in cases)
    most = Counter(case.asked.deployment.model.id for case in cases).most_common(1)[0][0]
    deployment = cases[0].asked.deployment
    return (
        Calibration(
            gpu=deployment.gpu.id,
            architecture=deployment.gpu.architecture,
            model=most,
            engine=deployment.engine.name,
            points=len(cases),
            multipliers=tuple(theta),
            covariance=covariance,
            noises=noises,
            region=_region(cases),
            seen=tuple(sorted(seen)),
        ),
        errors,
    )


Row = tuple[Case, str, float, list[float]]


def _rows(cases: Sequence[Case], general: Efficiency, theta: Sequence[float]) -> list[Row]:
    """One row a point and measure: its log residual, and the slopes of its prediction."""
    rows = []
    for case in cases:
        base, slopes = slopes_at(case.asked, general, theta)
        for measure, seconds in case.measured.items():
            residual = log(seconds) - base[measure]
            if isfinite(residual):
                rows.append((case, measure, residual, slopes[measure]))
    return rows


def _weights(rows: Sequence[Row], noises: Mapping[str, float]) -> list[float]:
    return [_weight(residual, case.noise(name, noises[name])) for case, name, residual, _ in rows]


def _weight(residual: float, noise: float) -> float:
    """1 / noise², less beyond `ROBUST_NOISES` of it (Huber)."""
    far = abs(residual) / noise
    return noise**-2 * (1.0 if far <= ROBUST_NOISES else ROBUST_NOISES / far)


def _noises(rows: Sequence[Row], noises: Mapping[str, float]) -> dict[str, float]:
    """Noise as believed before, worth `BELIEF_POINTS`, and as seen; outliers count as far as they are trusted.

    What a point of few requests is off by is theirs in the share that they are of its noise.
    """
    found = {}
    for measure, noise in NOISES.items():
        own = [
            (abs(row[2]), noises[measure] / row[0].noise(measure, noises[measure])) for row in rows if row[1] == measure
        ]
        seen = [min(residual * share, ROBUST_NOISES * noises[measure]) for residual, share in own]
        found[measure] = sqrt((BELIEF_POINTS * noise**2 + sum(r * r for r in seen)) / (BELIEF_POINTS + len(seen)))
    return found


def _normal(rows: Sequence[Row], weights: Sequence[float], held: Matrix) -> Matrix:
    size = range(len(NAMES))
    return [
        [sum(w * row[3][i] * row[3][j] for w, row in zip(weights, rows, strict=True)) + held[i][j] for j in size]
        for i in size
    ]


def _region(cases: Sequence[Case]) -> dict[str, tuple[float, float]]:
    def span(values: Sequence[float]) -> tuple[float, float]:
        return (min(values, default=1.0), max(values, default=inf))

    return {
        "isl": span([c.asked.workload.isl_tokens for c in cases]),
        "osl": span([c.asked.workload.osl_tokens for c in cases]),
        "concurrency": span([c.asked.concurrency / c.asked.replicas for c in cases if c.asked.concurrency] or [1.0]),
    }
