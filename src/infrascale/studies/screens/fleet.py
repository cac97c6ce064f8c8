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
    answer = [*_verdict(w, found), *_purchase(w, found, shown)]
    return [*answer, "", *_servers(w, found, shown), "", *_ways(w, found, shown)]


def _verdict(w: Words, found: Fleet) -> list[str]:
    scale = found.headroom.scale
    if not found.feasible:
        short = paragraph(w.say("decision.short", share=w.percent(scale)), "")
        return [*short, "", *paragraph(w.say("decision.smallest"), "")]
    return paragraph(w.say("decision.all", times=w.number(scale, 2)) if scale >= 1 else w.say("decision.bought"), "")


def _purchase(w: Words, found: Fleet, shown: Solution) -> list[str]:
    names = ", ".join(f"{w.number(count)} × {name}" for name, count in shown.bought.items() if count)
    if not names:
        return []
    unit = found.inventory.currency
    said = w.say("decision.buy_for", names=names, price=f"{w.number(shown.price)} {unit}") if unit else None
    return paragraph(said or w.say("decision.buy", names=names), "  ")


def _servers(w: Words, found: Fleet, shown: Solution) -> list[str]:
    gap = w.say("decision.optimal") if shown.gap_fraction == 0 else w.say(
        "decision.gap", share=w.percent(shown.gap_fraction, 2)
    )  # fmt: skip
    heads = [w.say(f"decision.{key}") for key in ("server", "owned", "to_buy", "in_use", "free")]
    lines = [f"  {w.say('decision.gpus_used', gpus=w.quantity(shown.gpus, 'gpus'), proof=gap)}"]
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
