"""Fleets: the integer programme against brute force, against single plans, spares, quotas, power, and the screen."""

from __future__ import annotations

import itertools
import random
import runpy
import time
from pathlib import Path

import pytest
import typer

from infrascale import api
from infrascale.errors import InfraScaleError
from infrascale.planning.fleet import (
    Need,
    Problem,
    Server,
    Way,
    cheapest,
    fits,
    most_served,
    smallest_purchase,
)

pytest.importorskip("highspy")


def keeps(problem, counts, bought):
    """Whether replicas and purchases obey everything, by the definition and not by the programme."""
    for server in problem.servers:
        have = server.owned + bought[server.id]
        inside = sum(way.gpus * n for way, n in zip(problem.ways, counts, strict=True) if way.server == server.id)
        if have > max(server.most, server.owned) or -(-inside // server.gpus) > have:
            return False
    if problem.most_kw is not None:
        kw = 0.0
        for server in problem.servers:
            inside = sum(w.gpus * n for w, n in zip(problem.ways, counts, strict=True) if w.server == server.id)
            kw += server.kw * -(-inside // server.gpus)
        if kw > problem.most_kw:
            return False
    for names, most in problem.quotas:
        if sum(w.gpus * n for w, n in zip(problem.ways, counts, strict=True) if w.need in names) > most:
            return False
    shares = {}
    for need in problem.needs:
        mine = [(w.serves, n) for w, n in zip(problem.ways, counts, strict=True) if w.need == need.id and n]
        total = sum(serves * n for serves, n in mine)
        lost = need.spares * max((serves for serves, _ in mine), default=0)
        shares[need.id] = min(1.0, max(0.0, total - lost) / need.demand)
    apart = {name for cover in problem.covers for name in cover}
    covers = (*problem.covers, *((need.id,) for need in problem.needs if need.id not in apart))
    return all(sum(shares[name] for name in cover) >= 1 - 1e-6 for cover in covers)


def brute_force(problem):
    """The least price and with it the fewest GPUs, by trying everything."""
    best = None
    room = [range(max(s.most, s.owned) - s.owned + 1) for s in problem.servers]
    kinds = {s.id: s for s in problem.servers}
    sizes = []
    for way in problem.ways:
        server = kinds[way.server]
        sizes.append(range(max(server.most, server.owned) * server.gpus // way.gpus + 1))
    for counts in itertools.product(*sizes):
        for extra in itertools.product(*room):
            bought = {s.id: n for s, n in zip(problem.servers, extra, strict=True)}
            if keeps(problem, counts, bought):
                price = sum(s.price * bought[s.id] for s in problem.servers)
                gpus = sum(way.gpus * n for way, n in zip(problem.ways, counts, strict=True))
                best = min(best or (float("inf"), 0), (price, gpus))
    return best


def random_problem(rng):
    servers = tuple(
        Server(id=name, gpus=gpus, owned=rng.randint(0, 1), most=rng.randint(1, 2), price=float(rng.randint(1, 9)),
               kw=float(gpus))
        for name, gpus in (("big", 4), ("small", 2))
    )  # fmt: skip
    needs = tuple(Need(id=n, demand=rng.uniform(1, 9), spares=rng.randint(0, 1)) for n in ("a", "b"))
    ways = tuple(
        Way(need=need.id, server=server.id, gpus=size, serves=rng.uniform(1, 4) * size)
        for need in needs
        for server, size in ((servers[0], rng.choice((2, 4))), (servers[1], rng.choice((1, 2))))
    )
    return Problem(servers=servers, needs=needs, ways=ways, most_kw=rng.choice((None, 8.0)))


def test_the_programme_finds_what_trying_everything_finds():
    rng = random.Random(7)
    feasible = 0
    for _ in range(60):
        problem = random_problem(rng)
        truth, found = brute_force(problem), cheapest(problem)
        assert (found is None) == (truth is None)
        if found is not None:
            feasible += 1
            counts = [dict(found.replicas).get(way, 0) for way in problem.ways]
            assert keeps(problem, counts, found.bought)
            assert (found.price, found.gpus) == pytest.approx(truth)
            assert found.gap_fraction == 0
    assert 15 < feasible < 60


def test_lengths_apart_and_together_are_what_trying_everything_finds():
    """Short and long requests, each alone or mixed, under a quota: pools in shares, against every combination."""
    rng = random.Random(11)
    feasible = pooled = split = 0
    for _ in range(40):
        servers = tuple(
            Server(id=name, gpus=2, most=rng.randint(1, 2), price=float(rng.randint(1, 9))) for name in "AB"
        )
        short, long = rng.uniform(1, 6), rng.uniform(1, 6)
        demands = {"short": short, "long": long, "both": short + long}
        needs = tuple(Need(id=name, demand=demand, spares=rng.randint(0, 1)) for name, demand in demands.items())
        ways = tuple(
            Way(need=need.id, server=server.id, gpus=rng.choice((1, 2)), serves=rng.uniform(1, 5))
            for need in needs for server in servers
        )  # fmt: skip
        problem = Problem(
            servers=servers, needs=needs, ways=ways, covers=(("short", "both"), ("long", "both")),
            quotas=((("long", "both"), rng.randint(2, 4)),),
        )  # fmt: skip
        truth, found = brute_force(problem), cheapest(problem)
        assert (found is None) == (truth is None)
        if found is not None:
            feasible += 1
            used = {way.need for way, _ in found.replicas}
            pooled, split = pooled + ("both" in used), split + ({"short", "long"} <= used)
            assert keeps(problem, [dict(found.replicas).get(way, 0) for way in problem.ways], found.bought)
            assert (found.price, found.gpus) == pytest.approx(truth)
    assert 10 < feasible < 40 and pooled and split


def drawn_problem(rng):
    """Up to four kinds and five needs: sizes and prices of every sort, spares, quotas, power, what is owned."""
    servers = tuple(
        Server(id=f"s{k}", gpus=(gpus := rng.choice((1, 2, 4, 8))), owned=(owned := rng.choice((0, 0, 1, 2, 3))),
               most=owned + rng.choice((0, 1, 3, 6)), price=float(rng.choice((1, 2, 3, 5, 9))), kw=gpus * 0.5)
        for k in range(rng.randint(1, 4))
    )  # fmt: skip
    needs = tuple(
        Need(id=f"n{n}", demand=rng.uniform(1, 20), spares=rng.choice((0, 1, 2))) for n in range(rng.randint(1, 5))
    )
    ways = tuple(
        Way(need=need.id, server=server.id, gpus=gpus, serves=round(rng.uniform(0.6, 4) * gpus, rng.choice((0, 6))))
        for need in needs for server in servers for gpus in (1, 2, 4, 8, 16)
        if fits(gpus, server) and rng.random() < 0.6
    )  # fmt: skip
    some = tuple(need.id for need in needs if rng.random() < 0.5)
    quotas = ((some, rng.randint(4, 16)),) if some and rng.random() < 0.5 else ()
    return Problem(servers=servers, needs=needs, ways=ways, most_kw=rng.choice((None, 8.0, 20.0)), quotas=quotas)


def test_purchases_in_order_of_price_end_where_one_integer_programme_does():
    """The programme itself is held against trying everything, above and below."""
    from infrascale.planning.fleet import _by_programme

    rng, feasible = random.Random(5), 0
    for _ in range(150):
        problem = drawn_problem(rng)
        one, other = cheapest(problem), _by_programme(problem)
        assert (one is None) == (other is None)
        if one is not None:
            feasible += 1
            assert (one.price, one.gpus, one.gap_fraction) == pytest.approx((other.price, other.gpus, 0.0))
            assert keeps(problem, [dict(one.replicas).get(way, 0) for way in problem.ways], one.bought)
    assert 25 < feasible < 140


def test_the_programme_too_finds_what_trying_everything_finds():
    from infrascale.planning.fleet import _by_programme

    rng = random.Random(17)
    for _ in range(40):
        problem = random_problem(rng)
        truth, found = brute_force(problem), _by_programme(problem)
        assert (found is None) == (truth is None)
        assert found is None or (found.price, found.gpus) == pytest.approx(truth)


def test_covers_within_a_limit_are_all_that_trying_everything_finds():
    """Those that need no more of anything than another are left out, and none else."""
    import numpy

    from infrascale.planning.covering import covers

    rng = random.Random(4)
    for _ in range(40):
        ways = rng.randint(1, 3)
        serves = [rng.choice((rng.uniform(1, 6), float(rng.randint(1, 6)))) for _ in range(ways)]
        takes = numpy.array([[rng.choice((0, 1, 2)), rng.choice((1, 2, 4))] for _ in range(ways)])
        demand, spares, limit = rng.uniform(3, 12), rng.randint(0, 2), rng.uniform(5, 15)
        prices, room = numpy.array([0.5, 1.0]), numpy.array([20, 30])
        kept = []
        for counts in itertools.product(range(int(limit) + 2), repeat=ways):
            strongest = max((one for one, n in zip(serves, counts, strict=True) if n), default=0)
            total = sum(one * n for one, n in zip(serves, counts, strict=True))
            use = numpy.array(counts) @ takes
            if total - spares * strongest >= demand - 1e-9 and use @ prices <= limit and (use <= room).all():
                kept.append(tuple(use.tolist()))
        least = {a for a in kept if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in kept)}
        found = covers(
            takes, numpy.array(serves), demand, spares, prices=prices, limit=limit, room=room, most=10_000
        )  # fmt: skip
        assert {tuple(use.tolist()) for use in found @ takes} == least


def test_what_is_served_most_fits_and_no_more_does():
    rng = random.Random(3)
    for _ in range(20):
        problem = random_problem(rng)
        found = most_served(problem)
        for factor, possible in ((0.9999, True), (1.002, False)):
            needs = tuple(
                Need(id=n.id, demand=n.demand * max(found.scale, 1e-6) * factor, spares=n.spares) for n in problem.needs
            )
            owned = tuple(Server(id=s.id, gpus=s.gpus, owned=s.owned, most=s.owned, kw=s.kw) for s in problem.servers)
            again = cheapest(Problem(servers=owned, needs=needs, ways=problem.ways, most_kw=problem.most_kw))
            if found.scale > 1e-6:
                assert (again is not None) == possible


@pytest.mark.slow
def test_ten_models_on_eight_kinds_are_proven_optimal_within_half_a_minute_of_one_core(tmp_path, monkeypatch):
    """Processor time, as a wall clock would measure what else the machine does."""
    from infrascale.parsing.inventories import inventory
    from infrascale.planning import fleet as room
    from infrascale.studies.fleets import problem_of

    monkeypatch.setattr(room, "MOST_S", 600.0)
    benchmark = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "fleet.py"))
    (tmp_path / "fleet.toml").write_text(benchmark["fleet_toml"]())
    problem = problem_of(inventory(str(tmp_path / "fleet.toml")))
    assert (len(problem.needs), len(problem.servers)) == (10, 8)
    begun = time.process_time()
    found = cheapest(problem)
    assert found.gap_fraction == 0 and time.process_time() - begun < 30


def test_an_infeasible_inventory_names_the_smallest_purchase():
    server = Server(id="h", gpus=8, owned=1, most=1, price=8.0)
    problem = Problem(
        servers=(server,), needs=(Need(id="a", demand=100),), ways=(Way(need="a", server="h", gpus=4, serves=10),)
    )
    assert cheapest(problem) is None
    found = smallest_purchase(problem)
    assert found.bought == {"h": 4} and found.used == {"h": 5}  # ten replicas of four: five servers


def test_running_out_of_time_is_not_called_infeasible(monkeypatch):
    from infrascale.planning import fleet as room

    monkeypatch.setattr(room, "MOST_S", 0.0)
    rng = random.Random(7)
    servers = tuple(Server(id=f"s{n}", gpus=8, owned=3, most=20, price=rng.uniform(1, 9)) for n in range(8))
    needs = tuple(Need(id=f"n{n}", demand=rng.uniform(50, 90), spares=1) for n in range(20))
    ways = tuple(
        Way(need=need.id, server=server.id, gpus=gpus, serves=rng.uniform(0.5, 2) * gpus)
        for need in needs for server in servers for gpus in (1, 2, 4)
    )  # fmt: skip
    problem = Problem(servers=servers, needs=needs, ways=ways)
    with pytest.raises(InfraScaleError, match="no answer within"):
        cheapest(problem)


def test_a_spare_is_one_replica_more():
    def replicas(spares):
        problem = Problem(
            servers=(Server(id="h", gpus=8, owned=9, most=9),),
            needs=(Need(id="a", demand=30, spares=spares),),
            ways=(Way(need="a", server="h", gpus=2, serves=10),),
        )
        return sum(n for _, n in cheapest(problem).replicas)

    assert [replicas(n) for n in (0, 1, 2)] == [3, 4, 5]


@pytest.mark.parametrize("gpus,size,whole", [(1, 8, True), (4, 8, True), (3, 8, False), (16, 8, True), (2, 6, False)])
def test_only_sizes_that_fill_servers_without_gaps(gpus, size, whole):
    server = Server(id="s", gpus=size, owned=1, most=1)
    assert fits(gpus, server) is whole
    if not whole:
        problem = Problem(servers=(server,), needs=(Need(id="a", demand=1),),
                          ways=(Way(need="a", server="s", gpus=gpus, serves=1),))  # fmt: skip
        with pytest.raises(InfraScaleError, match="do not fill"):
            cheapest(problem)


FLEET = """
[[server]]
gpu = "h100-sxm"
gpus = 8
owned = 3

[[server]]
gpu = "a100-sxm-80gb"
gpus = 8
owned = 2

[[model]]
model = "llama-3.3-70b"
users = {users}
redundancy = 1

[[model]]
model = "llama-3.1-8b"
request_per_s = 20
"""


@pytest.fixture
def fleet_toml(tmp_path):
    def written(users, more=""):
        path = tmp_path / "fleet.toml"
        path.write_text(FLEET.format(users=users) + more)
        return str(path)

    return written


def test_one_model_on_one_kind_is_the_plan_itself(tmp_path):
    from infrascale.studies.fleets import fleet_of

    path = tmp_path / "fleet.toml"
    for demand in ("users = 20000", "request_per_s = 40", "users = 9000\nthink_s = 60"):
        path.write_text('[[server]]\ngpu="h100-sxm"\ngpus=8\nowned=40\n[[model]]\nmodel="llama-3.1-8b"\n' + demand)
        keys = dict(line.split(" = ") for line in demand.splitlines())
        alone = api.plan(model="llama-3.1-8b", gpu="h100-sxm", **{k: float(v) for k, v in keys.items()})
        found = fleet_of(str(path)).solution
        assert alone.best.gpus <= found.gpus <= alone.best.gpus * 1.1 + 1  # a replica's limit is a whole request here


def test_what_24_h100_and_16_a100_serve(fleet_toml):
    from infrascale.studies.fleets import fleet_of

    served = fleet_of(fleet_toml(2000))
    assert served.feasible and served.solution.gap_fraction == 0 and served.purchase is None
    assert served.headroom.scale > 1 and served.headroom.gap_fraction <= 2e-3
    short = fleet_of(fleet_toml(40000))
    assert not short.feasible and short.headroom.scale < 1
    assert sum(short.purchase.bought.values()) >= 1


def test_fleet_on_screen_and_as_json(fleet_toml, capsys):
    import json

    from infrascale.cli.fleet import fleet

    fleet(fleet_toml(2000), as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines) and any("h100-sxm" in line for line in lines)
    fleet(fleet_toml(2000), as_json=True)
    assert json.loads(capsys.readouterr().out)["feasible"] is True
    with pytest.raises(typer.Exit) as stop:
        fleet(fleet_toml(40000), as_json=False)
    assert stop.value.exit_code == 3


def test_a_wrong_fleet_is_refused_with_a_mend(tmp_path):
    from infrascale.studies.fleets import fleet_of

    path = tmp_path / "fleet.toml"
    for text in (
        "",
        "[[server]]\ngpu='h100'\n",
        "[[model]]\nmodel='llama-3.1-8b'\nusers=1\n",
        FLEET.format(users=-1),
        FLEET.format(users=5) + "\n[[server]]\ngpu='h100'\ngpus=0\n",
        FLEET.format(users=5) + "\nsurprise=1",
        FLEET.format(users=5).replace("owned = 3", "owned = -3"),
    ):
        path.write_text(text)
        with pytest.raises(InfraScaleError) as error:
            fleet_of(str(path))
        assert error.value.why and error.value.fix


LENGTHS = """
[[server]]
gpu = "l40s"
gpus = 4
owned = 8

[[server]]
gpu = "h100-sxm"
gpus = 8
most = 20

[[model]]
model = "llama-3.1-8b"
users = 10000
{more}
[[model.lengths]]
share = 0.95
isl = 700
osl = 300

[[model.lengths]]
share = 0.05
isl = 30000
osl = 700
ttft = 3
"""


def test_short_requests_find_the_small_cards_that_are_there_and_long_ones_more_of_them(tmp_path):
    from infrascale.studies.fleets import fleet_of
    from infrascale.studies.screens import fleet_lines

    path = tmp_path / "fleet.toml"
    path.write_text(LENGTHS.format(more="").replace("10000", "12000").replace("most = 20", "most = 1"))
    found = fleet_of(str(path))
    ways = [way for way, _ in found.solution.replicas]
    assert any(way.need == "llama-3.1-8b [700]" and way.server == "4×l40s" for way in ways)
    long = [way for way in ways if "30000" in way.need]
    assert long and all(way.gpus > 1 or way.server == "8×h100-sxm" for way in long)
    demand = {need.id: need.demand for need in found.problem.needs}
    assert demand["llama-3.1-8b [700]"] == pytest.approx(12000 * 24 / 3600 * 0.95)  # 24 requests an hour each
    assert demand["llama-3.1-8b [30000]"] == pytest.approx(12000 * 24 / 3600 * 0.05)
    assert all(len(line) <= 80 for line in fleet_lines(found)) and "[700]" in "\n".join(fleet_lines(found))


def test_a_mix_is_no_way_around_the_promise_of_its_longest_requests(tmp_path):
    """30,000 tokens take one L40S longer than 3 s; their mean with short ones would not."""
    from infrascale.parsing.inventories import inventory
    from infrascale.studies.fleets import problem_of

    alone = api.capacity(1, model="llama-3.1-8b", gpu="l40s", isl=30000, osl=700, ttft=3)
    assert not alone
    path = tmp_path / "fleet.toml"
    path.write_text(LENGTHS.format(more=""))
    found = problem_of(inventory(str(path)))
    small = {way.need for way in found.ways if way.server == "4×l40s" and way.gpus == 1}
    assert small == {"llama-3.1-8b [700]"}


def test_a_models_quota_is_kept(tmp_path):
    from infrascale.studies.fleets import fleet_of

    path = tmp_path / "fleet.toml"
    path.write_text(LENGTHS.format(more=""))
    free = fleet_of(str(path)).solution
    path.write_text(LENGTHS.format(more=f"max_gpus = {free.gpus - 1}"))
    held = fleet_of(str(path))
    assert held.solution is None or (held.solution.gpus < free.gpus and held.solution.price >= free.price)
    path.write_text(LENGTHS.format(more="max_gpus = 1"))
    none = fleet_of(str(path))
    assert none.solution is None and none.purchase is None  # no purchase lifts a quota


@pytest.mark.parametrize(
    "before,after",
    [("share = 0.05", "share = 0.5"), ("share = 0.95", "share = -1"), ("isl = 700", "surprise = 700"),
     ("users = 10000", "users = 10000\nthink_s = 9"), ("users = 10000", 'users = 10000\ngpu = "l4"'),
     ("users = 10000", "users = 10000\nmax_kw = 9"), ("isl = 30000", "isl = 3e9")],
)  # fmt: skip
def test_wrong_lengths_are_refused_with_a_mend(before, after, tmp_path):
    from infrascale.studies.fleets import fleet_of

    path = tmp_path / "fleet.toml"
    path.write_text(LENGTHS.format(more="").replace(before, after))
    with pytest.raises(InfraScaleError) as error:
        fleet_of(str(path))
    assert error.value.why and error.value.fix


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_decision_is_a_screen_in_both_languages(language, fleet_toml):
    """Within 80 columns, with that language's words and signs of number; English words stay out of the French one."""
    from datetime import date
    from random import Random

    from infrascale.economics import Currency, span
    from infrascale.locales import words
    from infrascale.parsing.objectives import market_of
    from infrascale.parsing.scenarios import question, scenario
    from infrascale.studies.fleets import fleet_of
    from infrascale.studies.growth import growth
    from infrascale.studies.screens import fleet_lines, growth_lines, sensitivity_lines, study_lines
    from infrascale.studies.sensitivity import monte_carlo, tornado

    w, asked = words(language), question(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=20000))
    drawn = monte_carlo(asked, {"users": 0.3}, Random(1), draws=10, price=span(2.0, Currency.EUR))
    quoted = question(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=20000,
                           price=["h100-sxm=280000eur/server", "h100-sxm=2-5eur/h"]))  # fmt: skip
    market = market_of(quoted, scenario(quoted), today=date(2026, 11, 25))
    grown = growth(asked, [500, 200_000], date(2020, 1, 1), lead_months=4, market=market)
    screens = [
        fleet_lines(fleet_of(fleet_toml(2000)), w),
        fleet_lines(fleet_of(fleet_toml(40000)), w),
        growth_lines(grown, date(2026, 11, 25), w),
        sensitivity_lines(tornado(asked), 0.1, drawn, w),
        study_lines(10**6, 10**6, 10**5, 12.3, "a/folder", w),
    ]
    text = "\n".join(line for screen in screens for line in screen)
    assert all(len(line) <= 80 for line in text.splitlines())
    assert ("200,000" in text) == (language == "en") and ("200\u202f000" in text) == (language == "fr")
    english = {"served", "server", "order", "draws", "rows", "bought"}
    assert bool(english & set(text.replace(",", " ").split())) == (language == "en")


def test_the_cheapest_whole_cover_is_what_trying_everything_finds():
    from infrascale.planning.covering import cover

    rng = random.Random(1)
    for _ in range(40):
        serves = [rng.randint(1, 6) for _ in range(rng.randint(1, 3))]
        prices = [rng.uniform(0, 3) for _ in serves]
        demand, spares = rng.randint(1, 15), rng.randint(0, 2)

        def kept(counts, serves=serves, demand=demand, spares=spares):
            strongest = max((one for one, n in zip(serves, counts, strict=True) if n), default=0)
            return sum(one * n for one, n in zip(serves, counts, strict=True)) - spares * strongest >= demand

        def cost(counts, prices=prices):
            return sum(price * n for price, n in zip(prices, counts, strict=True))

        tried = itertools.product(range(30 // min(serves) + 4), repeat=len(serves))
        least, counts = cover(serves, demand, spares).cheapest(prices)
        assert least == pytest.approx(min(cost(one) for one in tried if kept(one)))
        assert kept(counts) and cost(counts) == pytest.approx(least)


def test_a_cover_of_broken_numbers_never_costs_more_than_the_true_one():
    from infrascale.planning.covering import cover

    rng = random.Random(2)
    for _ in range(60):
        serves = [rng.uniform(1, 6) for _ in range(2)]
        demand, spares = rng.uniform(5, 15), rng.randint(0, 1)
        least, _ = cover(serves, demand, spares).cheapest([1.0, 1.5])
        true = min(
            a + 1.5 * b
            for a in range(25)
            for b in range(25)
            if a * serves[0]
            + b * serves[1]
            - spares * max([0] * (not a) + [serves[0]] * (a > 0) + [serves[1]] * (b > 0))
            >= demand
        )
        assert true - 1.5 <= least <= true + 1e-9


def test_no_inventory_serves_more_than_its_ceiling():
    from infrascale.planning.ceiling import highest_scale

    rng, tight = random.Random(3), 0
    for _ in range(10):
        problem = random_problem(rng)
        found = most_served(problem)
        ceiling = highest_scale(problem, 2 * found.scale + 1)
        assert found.scale <= ceiling * (1 + 1e-6)
        tight += ceiling <= found.scale * 1.01 + 1e-6
    assert tight >= 2
