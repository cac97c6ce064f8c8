"""A population over the years: the load of each year's busiest hour, and the plan for it.

In: a Question about agents, how much more each asks and how many more join a year.    Out: a Year each.
Every year is planned by itself: what was bought before does not bind, so the GPUs are the need and not the purchases.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale import api
from infrascale.errors import ScenarioError
from infrascale.parsing.scenarios import Question
from infrascale.workload import Population

MOST_YEARS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """`gpus` None: no number of them keeps the promise."""

    number: int
    adoption_fraction: float
    requests_per_day: float
    request_per_s: float
    gpus: int | None
    replicas: int | None
    gpus_per_replica: int | None
    gpu: str | None


def yearly(
    asked: Question, years: int, growth_fraction: float, adoption_growth_fraction: float, calibration: str | None = None
) -> list[Year]:
    """This year, and as many to come."""
    if asked.agents is None or asked.requests_per_day is None:
        raise ScenarioError(
            "years need a population", why="agents or requests_per_day is missing", fix="--agents, --requests-per-day"
        )
    if not 1 <= years <= MOST_YEARS or growth_fraction <= -1 or adoption_growth_fraction <= -1:
        raise ScenarioError(
            f"{years} years of {growth_fraction:g} and {adoption_growth_fraction:g} more cannot be planned",
            why=f"years are 1 to {MOST_YEARS}, and growth is a share above -1",
            fix="--years 5 --growth 0.3",
        )
    people = Population(
        agents=asked.agents,
        adoption_fraction=asked.adoption,
        requests_per_user_day=asked.requests_per_day,
        peak_hour_fraction=asked.peak_hour,
    )
    keys = asked.model_dump(exclude_none=True)
    found = []
    for number in range(years + 1):
        then = people.in_year(number, growth_fraction, adoption_growth_fraction)
        load = {"adoption": then.adoption_fraction, "requests_per_day": then.requests_per_user_day}
        best = api.plan(calibration=calibration, **keys | load).best
        found.append(
            Year(
                number=number,
                adoption_fraction=then.adoption_fraction,
                requests_per_day=then.agents * then.adoption_fraction * then.requests_per_user_day,
                request_per_s=then.request_per_s,
                gpus=best.gpus if best else None,
                replicas=best.replicas if best else None,
                gpus_per_replica=best.gpus_per_replica if best else None,
                gpu=best.deployment.gpu.id if best else None,
            )
        )
    return found
