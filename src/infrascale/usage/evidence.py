"""What a log of requests says about demand: plain values, no user in them.

Leaves the room as a screen, JSON, a workload file and plots; `None` is "the log does not say".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """One length or time over all requests. `log_mean`, `log_sd`: the lognormal of maximum likelihood (mean and
    standard deviation of the logarithm); `log_ks`: largest distance of its cumulative curve from the data's."""

    count: int
    mean: float
    sd: float
    smallest: float
    p10: float
    p50: float
    p90: float
    p95: float
    p99: float
    largest: float
    log_mean: float | None
    log_sd: float | None
    log_ks: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """How many there are at once, over time: each second counts alike (idle ones too), a second being its own mean."""

    mean: float
    p50: float
    p95: float
    p99: float
    largest: float
    peak_hour: float  # mean over the busiest 60 minutes of arrivals


@dataclass(frozen=True, slots=True, kw_only=True)
class Burstiness:
    """1 is a Poisson process, more is bursts; local, so that morning and night do not count as one.

    `cv`: of the gaps between arrivals, within ten-minute windows. `dispersion_*`: Allan factor of the counts in 1, 10
    and 60 s, ½·mean((next − this)²) / mean.
    """

    resolution_s: float
    cv: float | None
    dispersion_1s: float | None
    dispersion_10s: float | None
    dispersion_60s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsAt:
    """Sessions, when a silence longer than `gap_s` ends one. Think time: from an answer's end to the next request."""

    gap_s: float
    sessions: int
    requests_per_session: float
    mean_session_s: float
    think_s: float | None
    think_p50_s: float | None
    share_in_flight: float | None
    requests_per_user_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Habits of those who send requests. A user is connected from the first request of a session to its last answer.

    `stand_in`: what stood for a user where no user was named. `share_in_flight`: of connected time, with at least
    one request in flight; `in_flight_per_user`: requests, more than one at once counted. `requests_per_active_hour`:
    per user and clock hour in which that user asked at all. `parallel_fraction`: requests sent while another of the
    same user ran: no think time before them.
    """

    users: int
    stand_in: str | None
    known_fraction: float
    requests_per_user_day: float
    requests_per_active_hour: float
    parallel_fraction: float
    busiest_user_fraction: float
    gap_found: bool
    at: SessionsAt
    sensitivity: tuple[SessionsAt, ...]
    connected: Levels | None
    in_flight_per_user: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakHour:
    """The busiest 60 minutes, in quarter-hour steps; the whole log where it is shorter (`seconds` says)."""

    starts: str | None  # local time of the profile's zone; None where times are relative
    seconds: float
    request_per_s: float
    in_flight: float | None
    users: float | None
    residence_s: float | None
    think_s: float | None  # users / request_per_s − residence_s: what Little's law needs to give this hour again


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Mean requests an hour, by hour of day and weekday (0 is Monday) in `timezone`; None where never observed."""

    timezone: str
    by_hour: tuple[float | None, ...]
    by_weekday: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """Share of prompt tokens found in a prefix cache. `measured`: by the server; else what a cache that forgets
    nothing and is shared by all replicas could reach, an upper bound."""

    hit_fraction: float
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What a person should know before trusting the numbers; `usage.warn_CODE` of the locale says it."""

    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was read, and what was left out and why (counts of rows by code)."""

    kinds: tuple[str, ...]
    rows: int
    requests: int
    left_out: dict[str, int]
    first: str | None
    last: str | None
    span_s: float
    warnings: tuple[Warned, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    source: Source
    input_tokens: Distribution
    output_tokens: Distribution
    request_per_s: float | None
    peak: PeakHour | None
    in_flight: Levels | None
    burstiness: Burstiness | None
    users: Users | None
    ttft_s: Distribution | None
    duration_s: Distribution | None
    token_per_s: float | None  # of one request after its first token, mean over requests
    prefix: Prefix | None
    profile: Profile | None
    models: dict[str, int]
