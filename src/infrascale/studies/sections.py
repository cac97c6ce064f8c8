"""Decisions as sections of a report: hosting against an API, when to buy, and a fleet as a paper of its own.

In: Costing, Growth or Fleet, and Words.    Out: blocks, or a Paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path
from shlex import quote

from infrascale.economics.apis import ApiOffer, BreakEven
from infrascale.errors import ExportError
from infrascale.locales import Words
from infrascale.locales import words as speech
from infrascale.parsing.plans import VERSION
from infrascale.planning.fleet import Server, Solution
from infrascale.report.answer import demand as _demand
from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text
from infrascale.studies.costing import Costing
from infrascale.studies.drawings import break_even
from infrascale.studies.fleets import Fleet
from infrascale.studies.growth import Growth
from infrascale.studies.screens.ahead import said_of, too_late
from infrascale.studies.screens.cost import amount, between, ends
from infrascale.studies.screens.fleet import proof, purchase, verdict

MOST_ROWS = 7  # of a curve


def against_api(found: Costing, w: Words) -> Iterator[Block]:
    """From how many users on hosting costs less, drawn with its ends, and what is compared."""
    even, offer = found.break_even, found.against
    if even is None or offer is None:
        return
    name, model = f"{offer.provider}/{offer.model}", found.plan.scenario.model.id
    yield Heading(text=w.say("paper.h_api", name=name))
    said = w.say("paper.same" if offer.same_model else "paper.declared", name=name, model=model)
    yield Text(text=f"**{_crossing(w, even)}** {said} {_priced_on(w, offer)}".strip())
    points = [point for point in even.curve if point.own[0]]
    if points:
        yield Figure(
            name="break-even",
            svg=break_even(found, w),
            caption=w.say("paper.f_even"),
            alt=w.say("paper.f_even_alt", name=name, low=w.number(points[0].users), high=w.number(points[-1].users)),
        )
    every = max(1, -(-len(even.curve) // MOST_ROWS))
    yield Table(
        header=(w.say("decision.users"), w.say("decision.hosting"), w.say("decision.api")),
        rows=tuple((w.number(p.users), ends(w, p.own), amount(w, p.api)) for p in even.curve[::-every][::-1]),
        numeric=frozenset({0, 1, 2}),
    )


def _crossing(w: Words, even: BreakEven) -> str:
    """From which users on, between the low price of the bold end and the high price of the cautious one."""
    last = w.number(even.curve[-1].users)
    if even.users_at_low is None:
        return w.say("paper.never", users=last)
    low = w.number(even.users_at_low)
    if even.users_at_high is None:
        return w.say("paper.open", low=low, users=last)
    high = w.number(even.users_at_high)
    return w.say("paper.at", users=low) if low == high else w.say("paper.between", low=low, high=high)


def _priced_on(w: Words, offer: ApiOffer) -> str:
    return w.say("paper.priced_on", on=w.date(offer.on), source=offer.source) if offer.on else offer.source


def when_to_buy(found: Growth, today: date, w: Words) -> Iterator[Block]:
    """What to order when, and what a quarter's error costs."""
    yield Heading(text=w.say("paper.h_buy"))
    yield Text(text=w.say("decision.growth", n=found.gpus_per_server, gpu=found.gpu) + ".")
    rows = []
    for step in found.steps:
        pairs = (step.regret.early, step.regret.late) if step.regret else (None, None)
        rows.append((
            w.date(step.start), w.number(step.users), w.number(step.gpus_needed), w.number(step.servers_bought),
            w.date(step.order_by) if step.order_by else "–", *(between(w, pair) if pair else "–" for pair in pairs),
        ))  # fmt: skip
    header = [w.say(f"decision.{key}") for key in ("quarter", "users", "gpus_needed", "to_buy", "order")]
    unit = found.upkeep.currency if found.upkeep else ""
    header += [w.say(f"paper.{key}", currency=unit) for key in ("early", "late")]
    yield Table(header=tuple(header), rows=tuple(rows), numeric=frozenset({1, 2, 3, 5, 6}))
    late = too_late(w, found, today)
    yield Bullets(items=tuple(map(_sentence, [*([f"**{late}**"] if late else []), *said_of(w, found, today)])))


def _sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    start = next((i for i, sign in enumerate(text) if sign.isalpha()), 0)
    return f"{text[:start]}{text[start : start + 1].upper()}{text[start + 1 :].removesuffix('.')}."


def fleet_paper(found: Fleet, path: str, language: str, on: date) -> Paper:
    """A fleet for those who sign: the answer, the servers, who runs where, what it rests on and how to repeat it."""
    w = speech(language)
    shown = found.solution or found.purchase
    if shown is None:
        raise ExportError(
            "a fleet that no purchase can serve has no decision to report",
            why="every kind of server was tried in any number",
            fix="name another kind of [[server]], or ease max_kw, quotas or promises",
        )
    buys = purchase(w, found, shown)
    said = " ".join(verdict(w, found)) + (f" **{_sentence(buys)}**" if buys else "")
    digest = sha256(Path(path).read_bytes()).hexdigest()[:12]
    names = {"version": VERSION, "hash": digest}
    blocks: tuple[Block, ...] = (
        Answer(text=said, figures=_tiles(w, found, shown)),
        Heading(text=w.say("paper.h_servers")),
        _servers(w, found, shown),
        Text(text=w.say("paper.fleet_power", kw=w.number(sum(s.kw * shown.used[s.id] for s in _kinds(found)), 1))),
        Heading(text=w.say("paper.h_models")),
        _models(w, found, shown),
        Heading(text=w.say("report.h_assumptions")),
        Bullets(items=tuple(w.say(f"paper.fleet_{key}") for key in ("promise", "spare", "proof", "price"))),
        Heading(text=w.say("report.h_again")),
        Code(text=f"infrascale fleet {quote(path)}"),
    )
    return Paper(
        language=language,
        title=w.say("paper.fleet_title"),
        subtitle=w.say("report.subtitle", on=w.date(on), **names),
        footer=w.say("report.footer", **names),
        blocks=blocks,
    )


def _tiles(w: Words, found: Fleet, shown: Solution) -> tuple[tuple[str, str, str], ...]:
    unit = found.inventory.currency
    bought, used = sum(shown.bought.values()), sum(shown.used.values())
    price = f"{w.number(shown.price)} {unit}" if unit else ""
    return (
        (w.say("paper.t_gpus"), w.number(shown.gpus), proof(w, shown)),
        (w.say("paper.t_servers"), w.number(used), w.say("paper.t_owned", n=sum(s.owned for s in _kinds(found)))),
        (w.say("paper.t_buy"), w.number(bought), price),
        (w.say("paper.t_serves"), w.percent(found.headroom.scale), w.say("paper.t_of_demand")),
    )


def _kinds(found: Fleet) -> tuple[Server, ...]:
    return found.problem.servers


def _servers(w: Words, found: Fleet, shown: Solution) -> Table:
    rows = []
    for server in _kinds(found):
        inside = sum(way.gpus * n for way, n in shown.replicas if way.server == server.id)
        free = (server.owned + shown.bought[server.id]) * server.gpus - inside
        counts = (server.owned, shown.bought[server.id], shown.used[server.id], free)
        rows.append((server.id, *(w.number(count) for count in counts)))
    header = tuple(w.say(f"decision.{key}") for key in ("server", "owned", "to_buy", "in_use", "free"))
    return Table(header=header, rows=tuple(rows), numeric=frozenset({1, 2, 3, 4}))


def _models(w: Words, found: Fleet, shown: Solution) -> Table:
    rows = []
    for need in found.problem.needs:
        asked = found.inventory.questions[need.id]
        for way, count in sorted(shown.replicas, key=lambda pair: -pair[0].gpus * pair[1]):
            if way.need == need.id:
                demand = _demand(asked, w) if not rows or rows[-1][0] != need.id else ""
                rows.append((need.id, demand, f"{w.number(count)} × {way.gpus}", way.server, way.label))
    header = ("model", "demand", "replicas", "on", "how")
    titles = tuple(w.say("paper.demand" if key == "demand" else f"decision.{key}") for key in header)
    return Table(header=titles, rows=tuple(rows), numeric=frozenset({2}))
