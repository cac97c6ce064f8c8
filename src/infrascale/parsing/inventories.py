"""A fleet.toml becomes an inventory and questions, or an error that names the mend.

[[server]]  gpu, gpus, owned, most (owned and bought), price ("280000eur"), name
[[model]]   the keys of scenario.toml without gpu; redundancy is the spare replicas; name
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
from infrascale.parsing.scenarios import Question, question, read_toml
from infrascale.planning.fleet import Server


class _Server(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gpu: str
    gpus: Annotated[int, Field(ge=1, le=72)]
    owned: Annotated[int, Field(ge=0, le=10_000)] = 0
    most: Annotated[int, Field(ge=0, le=10_000)] | None = None
    price: str | None = None
    name: str | None = None


class _Fleet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    server: Annotated[list[_Server], Field(min_length=1, max_length=64)]
    model: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=256)]
    max_kw: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Inventory(BaseModel):
    """Servers with the Gpu in each, questions by name, the currency of the prices."""

    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True)

    servers: tuple[Server, ...]
    gpus: dict[str, Gpu]
    questions: dict[str, Question]
    currency: Currency | None
    max_kw: float | None


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
    for values in found.model:
        name = str(values.pop("name", values.get("model", "model"))).split("/")[-1]
        if "gpu" in values:
            raise ScenarioError(f"{name} names a gpu", why="the servers say which there are", fix="drop gpu from it")
        questions[_unique(name, questions)] = question(values)
    return Inventory(
        servers=tuple(servers), gpus=gpus, questions=questions, currency=_currency(prices), max_kw=found.max_kw
    )


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
