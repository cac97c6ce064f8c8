"""The screen of `infrascale fleet`: whether all is served, what to buy, which replicas go where.

In: Fleet, Words.    Out: lines within 80 columns.
"""

from __future__ import annotations

from infrascale.locales import Words, words
from infrascale.planning.fleet import Solution
from infrascale.screen.text import fit, paragraph
from infrascale.studies.fleets import Fleet


def fleet_lines(found: Fleet, say: Words | None = None) -> list[str]:
    w = say or words()
    shown = found.solution or found.purchase
    if shown is None:
        return paragraph(w.say("decision.never"), "")
    first, *rest = [paragraph(text, "") for text in verdict(w, found)]
    said = purchase(w, found, shown)
    answer = [*first, *(line for text in rest for line in ("", *text)), *(paragraph(said, "  ") if said else [])]
    return [*answer, "", *_servers(w, found, shown), "", *_ways(w, found, shown)]


def verdict(w: Words, found: Fleet) -> list[str]:
    """Whether all is served, in a sentence or two."""
    scale = found.headroom.scale
    if not found.feasible:
        return [w.say("decision.short", share=w.percent(scale)), w.say("decision.smallest")]
    return [w.say("decision.all", times=w.number(scale, 2)) if scale >= 1 else w.say("decision.bought")]


def purchase(w: Words, found: Fleet, shown: Solution) -> str | None:
    names = ", ".join(f"{w.number(count)} × {name}" for name, count in shown.bought.items() if count)
    if not names:
        return None
    unit = found.inventory.currency
    said = w.say("decision.buy_for", names=names, price=f"{w.number(shown.price)} {unit}") if unit else None
    return said or w.say("decision.buy", names=names)


def proof(w: Words, shown: Solution) -> str:
    if shown.gap_fraction == 0:
        return w.say("decision.optimal")
    return w.say("decision.gap", share=w.percent(shown.gap_fraction, 2))


def _servers(w: Words, found: Fleet, shown: Solution) -> list[str]:
    heads = [w.say(f"decision.{key}") for key in ("server", "owned", "to_buy", "in_use", "free")]
    lines = [f"  {w.say('decision.gpus_used', gpus=w.quantity(shown.gpus, 'gpus'), proof=proof(w, shown))}"]
    lines.append(f"  {heads[0]:<30}" + "".join(f"{head:>12}" for head in heads[1:]))
    for server in found.problem.servers:
        inside = sum(way.gpus * n for way, n in shown.replicas if way.server == server.id)
        bought = shown.bought[server.id]
        counts = (server.owned, bought, shown.used[server.id], (server.owned + bought) * server.gpus - inside)
        lines.append(f"  {fit(server.id, 29):<30}" + "".join(f"{w.number(count):>12}" for count in counts))
    return lines


def _ways(w: Words, found: Fleet, shown: Solution) -> list[str]:
    heads = [w.say(f"decision.{key}") for key in ("model", "replicas", "on", "how")]
    lines = [f"  {heads[0]:<23}{heads[1]:<16}{heads[2]:<15}{heads[3]}"]
    for need in found.problem.needs:
        for way, count in sorted(shown.replicas, key=lambda pair: -pair[0].gpus * pair[1]):
            if way.need == need.id:
                spare = w.say("decision.spares", n=need.spares) if need.spares else ""
                size = f"{w.number(count):>5} × {way.gpus}"
                how = fit(f"{way.label}{spare}", 24)
                lines.append(f"  {_name(need.id):<23}{size:<16}{fit(way.server, 14):<15}{how}")
    return lines


def _name(need: str) -> str:
    """The model's name within its column; which lengths it is for is never cut."""
    name, bracket, lengths = need.partition(" [")
    return fit(name, 22 - len(bracket + lengths)) + bracket + lengths
