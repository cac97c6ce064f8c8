"""`infrascale growth`, `infrascale sensitivity` and `infrascale study`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from infrascale.cli.flags import (
    Calibration,
    Costs,
    Currency,
    Gpus,
    Json,
    Model,
    Number,
    Precisions,
    Prices,
    Rate,
    ScenarioFile,
    Whole,
    keys_of,
)

if TYPE_CHECKING:
    from datetime import date


def growth(
    file: ScenarioFile = None,
    curve: Annotated[str | None, typer.Option("--users", help="Users of each quarter: 500,1000,2500.")] = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    start: Annotated[str | None, typer.Option(help="First day of the first quarter: 2027-01-01.")] = None,
    lead_months: Annotated[int, typer.Option(help="Months from order to service.", min=0, max=60)] = 0,
    tokens_per_s: Number = None,
    ttft: Number = None,
    isl: Number = None,
    osl: Number = None,
    headroom: Number = None,
    redundancy: Whole = None,
    agents: Annotated[float | None, typer.Option(help="A population instead, year by year.")] = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: Number = None,
    years: Annotated[int, typer.Option(help="Years ahead.", min=1, max=20)] = 5,
    more_requests: Annotated[float, typer.Option(help="Each asks so much more a year, as a share.")] = 0.0,
    more_adoption: Annotated[float, typer.Option(help="So many more of them a year, as a share.")] = 0.0,
    price: Prices = None,
    rate: Rate = None,
    currency: Currency = None,
    costs: Costs = None,
    calibration: Calibration = None,
    as_json: Json = False,
) -> None:
    """What to buy quarter by quarter, and what too early or too late costs; or a population's need, year by year."""
    from datetime import date

    from infrascale.cli.progress import shown
    from infrascale.errors import ScenarioError
    from infrascale.parsing.objectives import market_of
    from infrascale.parsing.scenarios import question, read_toml, scenario
    from infrascale.studies.growth import growth as grown
    from infrascale.studies.record import growth_json
    from infrascale.studies.screens import growth_lines

    flags = {"model": model, "gpu": gpu, "precision": precision, "tokens_per_s": tokens_per_s, "ttft": ttft,
             "isl": isl, "osl": osl, "headroom": headroom, "redundancy": redundancy, "price": price, "rate": rate,
             "currency": currency}  # fmt: skip
    people = {"agents": agents, "adoption": adoption, "requests_per_day": requests_per_day, "peak_hour": peak_hour}
    if curve is None:
        _yearly(keys_of(file, flags | people), years, more_requests, more_adoption, as_json, calibration)
        return
    if any(value is not None for value in people.values()):
        raise ScenarioError("users and a population", why="each alone says who asks", fix="keep --users or --agents")
    users, first = quarters(curve, start)
    asked = question(keys_of(file, flags | {"users": users[0]}))
    market = market_of(asked, scenario(asked), read_toml(costs) if costs else {}, today=date.today())
    with shown("quarters") as progress:
        found = grown(asked, users, first, lead_months, calibration, market, progress)
    print(json.dumps(growth_json(found), indent=2) if as_json else "\n".join(growth_lines(found, date.today())))


def quarters(curve: str, start: str | None) -> tuple[list[float], date]:
    """Users of each quarter, and the first day of the first one."""
    from datetime import date

    from infrascale.errors import ScenarioError

    try:
        users = [float(word) for word in curve.split(",")]
        return users, date.fromisoformat(start) if start else date.today().replace(day=1)
    except ValueError:
        raise ScenarioError(
            f"{curve[:40]!r} is no curve", why="it is not numbers between commas, or its start is no day",
            fix="--users 500,1000 --start 2027-01-01",
        ) from None  # fmt: skip


def _yearly(
    keys: dict[str, object], years: int, requests: float, adoption: float, as_json: bool, calibration: str | None
) -> None:
    from dataclasses import asdict

    from infrascale.parsing.scenarios import question
    from infrascale.studies.screens.years import years_lines
    from infrascale.studies.yearly import yearly

    found = yearly(question(keys), years, requests, adoption, calibration)
    if as_json:
        print(json.dumps({"years": [asdict(one) for one in found]}, indent=2))
    else:
        print("\n".join(years_lines(found, str(keys["model"]))))


def sensitivity(
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Number = None,
    request_per_s: Number = None,
    tokens_per_s: Number = None,
    ttft: Number = None,
    isl: Number = None,
    osl: Number = None,
    headroom: Number = None,
    redundancy: Whole = None,
    share: Annotated[float, typer.Option(help="How far each input is moved.", min=0.001, max=0.9)] = 0.1,
    vary: Annotated[list[str] | None, typer.Option(help="KEY=SPREAD, log-normal: users=0.3; repeat.")] = None,
    price: Annotated[str | None, typer.Option(help="Of a GPU-hour: 2eur or 1.50-3usd.")] = None,
    draws: Annotated[int, typer.Option(help="Monte Carlo draws.", min=10, max=100_000)] = 200,
    model_error: Annotated[float | None, typer.Option(help="Of the speed; else as measured.", min=0, max=2)] = None,
    seed: int = 0,
    calibration: Calibration = None,
    as_json: Json = False,
) -> None:
    """Which input moves the number of GPUs, and how many suffice at what risk."""
    from random import Random

    from infrascale.cli.progress import shown
    from infrascale.parsing.prices import own_money
    from infrascale.parsing.scenarios import question
    from infrascale.studies import sensitivity as room
    from infrascale.studies.record import sensitivity_json
    from infrascale.studies.screens import sensitivity_lines

    flags = {"model": model, "gpu": gpu, "precision": precision, "users": users, "request_per_s": request_per_s,
             "tokens_per_s": tokens_per_s, "ttft": ttft, "isl": isl, "osl": osl, "headroom": headroom,
             "redundancy": redundancy}  # fmt: skip
    asked = question(keys_of(file, flags))
    spreads = dict(map(_spread, vary or ()))
    span = own_money(price) if price else None
    with shown("moving inputs") as progress:
        swings = room.tornado(asked, share, progress, calibration)
    found = None
    if spreads or span or model_error is not None:
        with shown("drawing") as progress:
            found = room.monte_carlo(asked, spreads, Random(seed), draws, span, model_error, progress, calibration)
    lines = sensitivity_lines(swings, share, found)
    print(json.dumps(sensitivity_json(swings, found), indent=2) if as_json else "\n".join(lines))


def _spread(word: str) -> tuple[str, float]:
    from infrascale.errors import ScenarioError

    key, _, text = word.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 2:
        raise ScenarioError(f"{word[:40]!r} is no spread", why="it is not KEY=SPREAD in (0, 2]", fix="--vary users=0.3")
    return key, value


def study(
    file: Annotated[str, typer.Argument(help="A study.toml: [base], [sweep], [prices].")],
    out: Annotated[str, typer.Option("--out", "-o", help="Folder of Parquet parts; run again to resume.")],
    workers: Annotated[int | None, typer.Option(help="Local processes; all cores if not given.", min=1)] = None,
    ray: Annotated[str | None, typer.Option(help="A Ray cluster: auto or its address.")] = None,
    calibration: Calibration = None,
    as_json: Json = False,
) -> None:
    """Sweep up to millions of plans into Parquet, on all cores or a Ray cluster; a kill loses nothing."""
    import sys
    import time
    from contextlib import redirect_stdout

    from infrascale.calibration.saved import read_calibration
    from infrascale.cli.progress import shown
    from infrascale.studies.screens import study_lines
    from infrascale.studies.study import on_all_cores, on_ray, run
    from infrascale.studies.study import study as read

    asked = read(file, read_calibration(calibration) if calibration else None)
    engine = on_ray(ray) if ray else lambda s, chunks: on_all_cores(s, chunks, workers)
    begun = time.perf_counter()
    with shown("planning") as progress, redirect_stdout(sys.stderr):  # where Ray tells of workers it lost
        planned = run(asked, out, engine, progress)
    seconds = time.perf_counter() - begun
    summary = {
        "rows": asked.rows,
        "plans": asked.plans,
        "planned_now": planned,
        "seconds": round(seconds, 2),
        "out": out,
    }
    if as_json:
        print(json.dumps(summary))
        return
    print("\n".join(study_lines(asked.rows, asked.plans, planned, seconds, out)))
