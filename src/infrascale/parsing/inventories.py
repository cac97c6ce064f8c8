"""A fleet.toml becomes an inventory and questions, or an error that names the mend.

[[server]]  gpu, gpus, owned, most (owned and bought), price ("280000eur"), name
[[model]]   the keys of scenario.toml without gpu; redundancy is the spare replicas, max_gpus a quota; name
[[model.lengths]]   share, isl, osl: kinds of requests that may run apart; with a ttft or tokens_per_s of their own
max_kw      power of all servers in use
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale.deployment import peak_kw
from infrascale.economics import Currency, Span
from infrascale.errors import ScenarioError
from infrascale.hardware import Gpu
from infrascale.parsing.gpus import gpu
from infrascale.parsing.prices import own_money
from infrascale.parsing.scenarios import Question, Seconds, Tokens, question, read_toml, scenario
from infrascale.planning.fleet import Server

MOST_LENGTHS = 4
#: Keys of a scenario that the inventory answers for all models.
NOT_A_MODELS = ("gpu", "max_kw", "objective", "price", "offer", "currency", "rate", "country")
POPULATION = ("users", "agents", "requests_per_day")


class _Server(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gpu: str
    gpus: Annotated[int, Field(ge=1, le=72)]
    owned: Annotated[int, Field(ge=0, le=10_000)] = 0
    most: Annotated[int, Field(ge=0, le=10_000)] | None = None
    price: str | None = None
    name: str | None = None


class _Lengths(BaseModel):
    model_config = ConfigDict(extra="forbid")

    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    isl: Tokens
    osl: Tokens
    ttft: Seconds | None = None
    tokens_per_s: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None


class _Fleet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    server: Annotated[list[_Server], Field(min_length=1, max_length=64)]
    model: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=256)]
    max_kw: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Inventory(BaseModel):
    """Servers with the Gpu in each, questions by name, the currency of the prices.

    `covers`, `quotas`: as in planning.fleet.Problem, by the names of questions. `mixes`: a question for requests of
    several lengths, and those for each length alone.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    servers: tuple[Server, ...]
    gpus: dict[str, Gpu]
    questions: dict[str, Question]
    currency: Currency | None
    max_kw: float | None
    covers: tuple[tuple[str, ...], ...] = ()
    quotas: tuple[tuple[tuple[str, ...], int], ...] = ()
    mixes: dict[str, tuple[str, ...]] = {}


def inventory(path: str) -> Inventory:
    raw = read_toml(path)
    try:
        found = _Fleet.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        fix = "[[server]] with gpu, gpus, owned, most, price, name; [[model]] with the keys of a scenario; max_kw"
        raise ScenarioError(f"{path}: {where} cannot be so", why=first["msg"], fix=fix) from None
    servers, gpus, prices = [], {}, []
    for one in found.server:
        card = gpu(one.gpu)
        name = _unique(one.name or f"{one.gpus}×{card.id}", gpus)
        price = own_money(one.price) if one.price else None
        prices.append(price)
        most = max(one.owned, one.most if one.most is not None else one.owned)
        amount = price.middle.amount if price else float(one.gpus)  # without prices, the fewest GPUs are bought
        servers.append(
            Server(id=name, gpus=one.gpus, owned=one.owned, most=most, price=amount, kw=peak_kw(card, one.gpus))
        )
        gpus[name] = card
    questions: dict[str, Question] = {}
    covers: list[tuple[str, ...]] = []
    quotas: list[tuple[tuple[str, ...], int]] = []
    mixes: dict[str, tuple[str, ...]] = {}
    for values in found.model:
        name = _unique(str(values.pop("name", values.get("model", "model"))).split("/")[-1], questions)
        for key in NOT_A_MODELS:
            if key in values:
                why = "the servers, their prices and max_kw at the top say so for all models"
                raise ScenarioError(f"{name} names {key}", why=why, fix=f"drop {key} from it")
        lengths = values.pop("lengths", None)
        asked = question(values)
        pools = _pools(name, asked, _lengths(name, lengths)) if lengths is not None else {name: asked}
        questions |= pools
        if lengths is not None:
            named = dict(zip(_spans(len(lengths)), pools, strict=True))
            covers += [_serving(kind, named) for kind in range(len(lengths))]
            mixes |= {name: tuple(named[k, k] for k in range(a, b + 1)) for (a, b), name in named.items() if b > a}
        if asked.max_gpus is not None:
            quotas.append((tuple(pools), asked.max_gpus))
    return Inventory(
        servers=tuple(servers), gpus=gpus, questions=questions, currency=_currency(prices), max_kw=found.max_kw,
        covers=tuple(covers), quotas=tuple(quotas), mixes=mixes,
    )  # fmt: skip


def _lengths(name: str, raw: Any) -> list[_Lengths]:
    """Kinds of requests, the shortest first; their shares sum to one."""
    try:
        found = [_Lengths.model_validate(one) for one in raw]
    except (ValidationError, TypeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is no list of tables"
        raise ScenarioError(f"lengths of {name} cannot be so", why=why, fix="share, isl and osl in each") from None
    total = sum(one.share for one in found)
    if not 1 <= len(found) <= MOST_LENGTHS or abs(total - 1) > 0.001:
        raise ScenarioError(
            f"lengths of {name} do not add up",
            why=f"{len(found)} kinds with shares that sum to {total:g}",
            fix=f"up to {MOST_LENGTHS} kinds, shares that sum to 1",
        )
    return sorted(found, key=lambda one: one.isl + one.osl)


def _spans(count: int) -> list[tuple[int, int]]:
    """Neighbours that may share replicas: of three kinds 1, 1–2, 1–3, 2, 2–3, 3."""
    return [(first, last) for first in range(count) for last in range(first, count)]


def _serving(kind: int, named: dict[tuple[int, int], str]) -> tuple[str, ...]:
    """The pools that serve a kind of request."""
    return tuple(name for (first, last), name in named.items() if first <= kind <= last)


def _pools(name: str, asked: Question, kinds: list[_Lengths]) -> dict[str, Question]:
    """Every kind of request by itself and with its neighbours, as questions at their mean lengths and part of the
    demand: users each send the same mix."""
    if asked.think_s is not None:
        raise ScenarioError(
            f"{name} has lengths and users who think",
            why="how often they come back would depend on where they are served",
            fix="give request_per_s, or users without think_s",
        )
    usual_s, rate = _stay_s(_mixed(asked, kinds)), scenario(_mixed(asked, kinds)).demand.request_per_s
    found = {}
    for first, last in _spans(len(kinds)):
        inside = kinds[first : last + 1]
        share, mixed = sum(one.share for one in inside), _mixed(asked, inside)
        if asked.users is None and rate is not None:
            own: dict[str, Any] = dict.fromkeys(POPULATION) | {"request_per_s": rate * share}
        else:  # a share of users in flight is that of the whole mix: longer answers stay longer
            longer = _stay_s(mixed) / usual_s if asked.requests_per_user else 1.0
            own = {"users": asked.users * share * longer}
        label = f"{inside[0].isl:g}" + (f"–{inside[-1].isl:g}" if last > first else "")
        found[f"{name} [{label}]"] = mixed.model_copy(update=own)
    return found


def _stay_s(asked: Question) -> float:
    """How long a request stays that is answered as promised."""
    promise = scenario(asked, needs_demand=False).promise
    return promise.ttft_s + asked.osl / promise.token_per_s


def _mixed(asked: Question, kinds: list[_Lengths]) -> Question:
    """The question at the mean lengths of these kinds, their spread between kinds included."""
    total = sum(one.share for one in kinds)

    def moments(key: str, cv: float) -> tuple[float, float]:
        values = [(one.share / total, getattr(one, key)) for one in kinds]
        mean = sum(share * value for share, value in values)
        square = sum(share * value**2 * (1 + cv**2) for share, value in values)
        return mean, max(0.0, square / mean**2 - 1) ** 0.5

    (isl, isl_cv), (osl, osl_cv) = moments("isl", asked.isl_cv), moments("osl", asked.osl_cv)
    update: dict[str, Any] = {"isl": isl, "osl": osl, "isl_cv": isl_cv, "osl_cv": osl_cv}
    update["ttft"] = min(one.ttft or asked.ttft for one in kinds)
    speeds = [one.tokens_per_s for one in kinds if one.tokens_per_s]
    if speeds:
        usual = asked.tokens_per_s or (1 / asked.tpot_s if asked.tpot_s else 20.0)
        update |= {"tokens_per_s": max(one.tokens_per_s or usual for one in kinds), "tpot_s": None}
    return asked.model_copy(update=update)


def _unique(name: str, taken: dict[str, Any]) -> str:
    number, given = 2, name
    while name in taken:
        name, number = f"{given} ({number})", number + 1
    return name


def _currency(prices: list[Span | None]) -> Currency | None:
    """One currency for all prices, and a price for all servers or none."""
    known = {price.currency for price in prices if price}
    if len(known) > 1 or (known and None in prices):
        raise ScenarioError(
            "prices of servers that do not compare",
            why="all need one, in the same currency",
            fix="give every [[server]] a price in EUR, or none a price",
        )
    return next(iter(known), None)
