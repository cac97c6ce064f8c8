"""Where the money, energy and carbon of a month come from: kind and formula, with the reader's own values in it.

In: Words, an Option.    Out: Origin by name; ranges as people read them. What a bill is made of stands in `economics`.
"""

from __future__ import annotations

from infrascale.economics import HOURLY, Bill, Span
from infrascale.economics.decision import Option
from infrascale.locales import Words
from infrascale.screen.origins import SIGNS, Kind, Origin

#: Lines of a bill that follow from the price of the GPUs; the others rest on a rate that is a region's average.
OF_THE_QUOTE = ("rental", "gpus", "servers_with_gpus")


def amount(w: Words, money: Span, digits: int | None = None) -> str:
    """$29,074 – $73,050; one amount where the range has no width."""
    if digits is None:
        digits = 0 if money.high.amount >= 1000 else 2
    low, high = (w.money(one.amount, money.currency.value, digits) for one in (money.low, money.high))
    return low if low == high else f"{low} – {high}"


def between(w: Words, pair: tuple[float, float], digits: int = 0) -> str:
    low, high = (w.number(one, digits) for one in pair)
    return low if low == high else f"{low} – {high}"


def month_origins(w: Words, option: Option) -> dict[str, Origin]:
    """Of a month's bill where there is one, its shares, electricity and carbon."""
    foot, gpus = option.footprint, w.number(option.candidate.gpus)
    kwh = f"{between(w, foot.kwh)} kWh"
    kg = {key: f"{between(w, pair)} kg CO₂e" for key, pair in
          (("use", foot.kg_co2e_use), ("made", foot.kg_co2e_embodied), ("all", foot.kg_co2e))}  # fmt: skip
    power = w.say(
        "origin.electricity", gpus=gpus, watts=w.number(foot.mean_gpu_w), pue=between(w, foot.site.pue, 2), kwh=kwh
    )
    carbon = w.say("origin.carbon", kwh=kwh, kg=w.number(foot.site.kg_co2e_per_kwh, 3), **kg)
    found = {"electricity": Origin(kind=Kind.COMPUTED, formula=(power,)),
             "carbon": Origin(kind=Kind.ASSUMED, formula=(carbon, power))}  # fmt: skip
    return found | (_of_bill(w, option.bill, gpus) if option.bill else {})


def _of_bill(w: Words, bill: Bill, gpus: str) -> dict[str, Origin]:
    month, usage = amount(w, bill.per_month), bill.usage
    kind = Kind.COMPUTED if bill.quote.typed else Kind.ASSUMED
    price = amount(w, bill.quote.price, 2)
    way = "rented" if bill.quote.offer in HOURLY else "bought"
    whole = w.say(f"origin.{way}", gpus=gpus, price=price, month=month)
    lines = (whole,) if bill.quote.typed else (whole, w.say("origin.listed", on=w.date(bill.quote.on)))
    tokens = w.say(
        "origin.per_tokens", month=month, tokens=w.number(usage.million_tokens), each=amount(w, bill.per_million_tokens)
    )
    found = {
        "bill": Origin(kind=kind, formula=lines),
        "per_tokens": Origin(kind=kind, formula=(tokens, *lines)),
    }
    if bill.per_user and usage.users:
        each = amount(w, bill.per_user)
        user = w.say("origin.per_user", month=month, users=w.number(usage.users), each=each)
        found["per_user"] = Origin(kind=kind, formula=(user, *lines))
    return found


def kind_of_line(w: Words, bill: Bill, name: str) -> str:
    """The kind of one line of a bill, as its sign and word."""
    kind = Kind.COMPUTED if bill.quote.typed and name in OF_THE_QUOTE else Kind.ASSUMED
    return f"{SIGNS[kind]} {w.say(f'origin.{kind.value}')}"
