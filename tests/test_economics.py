"""Money to the cent, energy and carbon held against EcoLogits, prices dated, currencies apart, APIs and break-even."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import date
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infrascale import api
from infrascale.deployment import PhysicsTimer, busy_power_w, peak_kw
from infrascale.deployment.power import activity
from infrascale.economics import Currency, Money, Offer, Quote, Rate, Terms, bought, converted, latest, rented, span
from infrascale.economics.apis import break_even, per_request
from infrascale.economics.decision import options, ordered, pareto
from infrascale.economics.energy import footprint, footprint_of, mean_gpu_w, running_at
from infrascale.economics.usage import HOURS_PER_MONTH, monthly_usage, peaked_day
from infrascale.errors import InfraScaleError, ScenarioError
from infrascale.parsing import prices
from infrascale.parsing.apis import api_offers, weights_name
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import all_gpus, gpu
from infrascale.planning import Constraint, Objective
from infrascale.serving.steady_state import decode_batch
from infrascale.workload import Workload

TODAY = date(2026, 11, 24)
EUR, USD = Currency.EUR, Currency.USD


@pytest.fixture(scope="module")
def plan():
    return api.plan(model="llama-3.1-8b", gpu=["h100-sxm", "l40s"], request_per_s=20.0, gpus_per_replica=[1])


@pytest.fixture(scope="module")
def usage(plan):
    return monthly_usage(plan.scenario, plan.best, peaked_day(0.15))


def quote(offer, price, on=TODAY, gpu_id="h100-sxm", own=False):
    return Quote(gpu=gpu_id, offer=offer, price=price, on=on, source="test", own=own)


def _cents(value):
    return round(value.low.amount, 2), round(value.high.amount, 2)


def resized(candidate, replicas):
    return replace(candidate, replicas=replicas, spare_replicas=0)


def test_a_month_of_requests_is_the_peak_hour_over_its_share(plan, usage):
    # 20 requests/s · 3600 s / 0.15 · 30.4375 days = 14 610 000; 1 000 + 400 tokens each
    assert usage.requests == pytest.approx(14_610_000)
    assert usage.million_tokens == pytest.approx(14_610_000 * 1400 / 1e6)
    assert usage.utilisation_fraction == pytest.approx(1 / (24 * 0.15))


def test_every_way_of_a_plan_serves_the_same_requests():
    found = api.plan(model="llama-3.3-70b", gpu="h100-sxm", users=5000)
    ways = (found.best, *found.others)
    requests = {round(monthly_usage(found.scenario, one, peaked_day(0.15)).requests) for one in ways}
    assert len(ways) > 2
    assert requests == {round(5000 * 0.4 / 60 * 3600 / 0.15 * 30.4375)}  # 0.4 a minute each, by default


def test_rental_by_hand_to_the_cent(plan, usage):
    candidate = resized(plan.best, 2)  # of one GPU each
    bill = rented(candidate, usage, quote(Offer.ON_DEMAND, span(2.10, EUR)), Terms(), EUR, None)
    assert candidate.gpus == 2
    assert round(bill.per_month.low.amount, 2) == 3068.10  # 2 · 2.10 · 730.5 h
    assert round(bill.per_million_tokens.low.amount, 4) == 0.1500  # 3 068.10 / 20 454
    assert round(bill.per_million_output_tokens.low.amount, 3) == 0.525  # 3 068.10 / 5 844
    staffed = rented(
        candidate, usage, bill.quote, Terms(staff_per_month=span(1000, USD)), EUR, Rate(usd_per_eur=1.25, on=TODAY)
    )
    assert round(staffed.per_month.low.amount, 2) == 3868.10 and staffed.unpriced == ()  # and 1 000 / 1.25 of staff


def test_purchase_by_hand_to_the_cent(plan, usage):
    """16 GPUs at 30 000 USD in two servers, everything priced, at 1.25 USD for one EUR.

    GPUs 16 · 30 000 / 1.25 = 384 000 EUR; servers 2 · 60 000 = 120 000; network 2 · 18 000 = 36 000; sum 540 000
      · 0.9 / 36 months               = 9 600.00 + 3 000.00 + 900.00
    maintenance 5 % of 540 000 / 12   = 2 250.00
    electricity 10 000 … 12 000 kWh · 0.15        = 1 500.00 … 1 800.00
    hosting 14.4 kW · 180             = 2 592.00
    staff                             = 4 000.00          in all 23 842.00 … 24 142.00
    """
    terms = Terms(
        residual_fraction=0.1,
        server=span(60_000, EUR),
        network=span(18_000, EUR),
        hosting_per_kw=span(180, EUR),
        electricity_per_kwh=span(0.15, EUR),
        maintenance_fraction_per_year=(0.05, 0.05),
        staff_per_month=span(4000, EUR),
    )
    rate = Rate(usd_per_eur=1.25, on=TODAY)
    price = quote(Offer.PURCHASE, span(30_000, USD))
    bill = bought(resized(plan.best, 16), usage, price, terms, (10_000, 12_000), 14.4, EUR, rate)
    by_name = {line.name: round(line.per_month.low.amount, 2) for line in bill.lines}
    assert by_name == {
        "gpus": 9600.00, "servers": 3000.00, "network": 900.00, "maintenance": 2250.00,
        "electricity": 1500.00, "hosting": 2592.00, "staff": 4000.00,
    }  # fmt: skip
    assert (round(bill.per_month.low.amount, 2), round(bill.per_month.high.amount, 2)) == (23_842.00, 24_142.00)
    assert bill.unpriced == ()


def test_whole_servers_are_bought_and_what_nobody_priced_is_named(plan, usage):
    price = quote(Offer.SERVER, span(288_000, EUR))
    bill = bought(resized(plan.best, 9), usage, price, Terms(), (1.0, 1.0), 1.0, EUR, None)
    assert bill.per_month.low.amount == pytest.approx(2 * 288_000 / 36)  # 9 GPUs: two servers of 8
    assert set(bill.unpriced) == {"network", "maintenance", "electricity", "hosting", "staff"}


def test_upkeep_that_nobody_gave_is_the_catalogs_by_hand_to_the_cent():
    """53 GPUs in seven servers at 300 000 USD: 2 100 000.

    servers 2 100 000 / 36              = 58 333.33
    network 4.9 … 11 % / 36             =  2 858.33 …  6 416.67        of 102 900 … 231 000
    maintenance 5 … 10 % of both / 12   =  9 178.75 … 19 425.00
    staff for up to 25 servers          =  6 250.00 …  8 333.00
    """
    market = prices.market([], {"hosting_per_kw": "0eur"}, own=["h100-sxm=300000usd/server"], offers=prices.BUY,
                           where=prices.site("FRA"), peak_fraction=0.15, today=TODAY)  # fmt: skip
    found = api.plan(model="llama-3.1-8b", gpu="h100-sxm", users=100)
    usage = monthly_usage(found.scenario, found.best, peaked_day(0.15))
    terms = replace(market.terms, hosting_per_kw=None)
    bill = bought(resized(found.best, 53), usage, market.quotes[0], terms, (0.0, 0.0), 0.0, USD, None)
    ends = {one.name: _cents(one.per_month) for one in bill.lines}
    assert ends == {
        "servers_with_gpus": (58_333.33, 58_333.33), "network": (2858.33, 6416.67),
        "maintenance": (9178.75, 19_425.00), "staff": (6250.00, 8333.00),
    }  # fmt: skip
    many = bought(resized(found.best, 26 * 8), usage, market.quotes[0], terms, (0.0, 0.0), 0.0, USD, None)
    assert many.lines[-1].per_month.low.amount == 2 * 6250  # a 26th server needs a second half


def test_currencies_never_mix():
    with pytest.raises(ScenarioError, match="do not add"):
        Money(amount=1, currency=EUR) + Money(amount=1, currency=USD)
    with pytest.raises(ScenarioError, match="is not in EUR"):
        converted(span(1, USD), EUR, None)
    assert converted(span(1000, EUR), USD, Rate(usd_per_eur=1.16, on=TODAY)).low.amount == pytest.approx(1160)


@given(amount=st.floats(0.01, 1e9), rate=st.floats(0.5, 2))
def test_there_and_back_is_the_same_money(amount, rate):
    dated = Rate(usd_per_eur=rate, on=TODAY)
    back = converted(converted(span(amount, EUR), USD, dated), EUR, dated)
    assert back.low.amount == pytest.approx(amount)


@pytest.mark.parametrize("low,high", [(-1, 2), (3, 2), (float("nan"), 1), (1, float("inf"))])
def test_impossible_spans_are_refused(low, high):
    with pytest.raises(ScenarioError):
        span(low, EUR, high)


def test_the_newest_price_counts_an_old_day_repeats_an_old_answer_and_ones_own_beats_all():
    old = quote(Offer.ON_DEMAND, span(3, USD), date(2025, 1, 1))
    new = quote(Offer.ON_DEMAND, span(2, USD), date(2026, 10, 1))
    mine = quote(Offer.ON_DEMAND, span(9, EUR), date(2024, 1, 1), own=True)
    offers = (Offer.ON_DEMAND,)
    assert latest([old, new], "h100-sxm", offers, TODAY) is new
    assert latest([old, new], "h100-sxm", offers, date(2025, 6, 1)) is old
    assert latest([old, new, mine], "h100-sxm", offers, TODAY) is mine
    assert latest([new], "l40s", offers, TODAY) is None
    assert old.stale(TODAY) and not new.stale(TODAY) and not mine.stale(TODAY)


def test_a_quote_in_words():
    found = prices.own_price("h100=2.10eur/h", TODAY)
    assert (found.gpu, found.offer, found.price.low.amount, found.price.currency) == (
        "h100-sxm", Offer.ON_DEMAND, 2.10, EUR)  # fmt: skip
    assert prices.own_price("h100=27000-32000USD", TODAY).offer is Offer.PURCHASE
    assert prices.own_price("h100=250000eur/server", TODAY).offer is Offer.SERVER
    for word in (
        "h100",
        "h100=",
        "h100=2.10",
        "h100=-1eur/h",
        "h100=1e9eur",
        "h100=5-2eur/h",
        "h100=1.2.3eur",
        "x=1eur",
    ):
        with pytest.raises(InfraScaleError):
            prices.own_price(word, TODAY)
    for word in ("nan", "0", "-1", "1.1@yesterday", "inf", "50"):
        with pytest.raises(InfraScaleError):
            prices.own_rate(word, TODAY)


def market_for(plan, price=(), today=date(2026, 12, 1)):
    return prices.market(plan.scenario.gpus, {}, own=price, where=prices.site("FRA"), peak_fraction=0.15, today=today)


def test_a_clouds_own_price_is_dated_chosen_by_name_and_billed_by_hand_to_the_cent(plan, usage):
    for one in prices.cloud_quotes():
        assert one.price.currency is EUR and one.on <= TODAY and one.source.startswith("https://"), one
    chosen = prices.own_price("h100-sxm=scaleway", date(2026, 12, 1))
    assert (chosen.price.low.amount, chosen.price.high.amount) == (3.16635, 3.3099)  # 25.3308 / 8 and 6.6198 / 2
    assert chosen.stale(date(2027, 12, 1)) and not chosen.stale(date(2026, 12, 1))
    found = market_for(plan, price=["h100-sxm=scaleway"])
    assert found.currency is EUR and found.quote("h100-sxm") == chosen
    best = next(one for one in (plan.best, *plan.others) if one.deployment.gpu.id == "h100-sxm")
    (host,) = market_for(plan).hosts(best, usage)  # beside the catalog's dollars, in its own euros
    assert host.per_month.low.amount == pytest.approx(best.gpus * 25.3308 / 8 * 730.5, abs=0.005)
    unasked = market_for(plan)
    assert unasked.currency is USD and unasked.quote("h100-sxm").provider is None
    with pytest.raises(ScenarioError, match="scaleway has no price"):
        prices.own_price("h200-sxm=scaleway", date(2026, 12, 1))


def test_a_providers_own_euros_stand_for_what_genai_prices_has_in_dollars():
    offers = [o for o in api_offers(Workload(isl_tokens=1000, osl_tokens=400), "llama-3.3-70b", date(2026, 12, 1))
              if o.same_model and o.provider == "ovhcloud"]  # fmt: skip
    assert [o.per_request.currency for o in offers] == [EUR]
    assert offers[0].per_request.amount == pytest.approx(1400 * 0.67 / 1e6)


def test_offers_that_no_rate_converts_are_counted_and_said():
    asked = ("--model", "llama-3.3-70b", "--gpu", "h100-sxm", "--users", "500", "--api")
    assert json.loads(cost(*asked, "--json").stdout)["apis_without_rate"] == 3  # Scaleway, OVHcloud, IONOS: euros
    assert json.loads(cost(*asked, "--rate", "1.16@2026-11-20", "--json").stdout)["apis_without_rate"] == 0
    assert "3 more are in another currency" in " ".join(cost(*asked).stdout.split())


def test_every_price_and_site_of_the_catalog_reads_and_is_not_of_the_future():
    today = date.today()
    for one in all_gpus():
        for found in prices.gpu_quotes(one):
            assert found.on <= max(today, TODAY) and found.source
    assert prices.gpu_quotes(gpu("b200"))  # from its own entry, as no dated one exists
    assert prices.site("fra").kg_co2e_per_kwh == pytest.approx(0.04144)
    assert prices.site("FRA", pue=1.3).pue == (1.3, 1.3)
    for bad in (dict(country="XXX"), dict(country="FRA", pue=0.5), dict(country="FRA", kg_co2e_per_kwh=99)):
        with pytest.raises(InfraScaleError):
            prices.site(**bad)


def test_electricity_of_a_month_by_hand():
    # 8 H100 at 500 W and 150 W of server each: model error 0.81 … 1.18, so 423.7 … 617.3 W; PUE 1.09 … 1.20
    found = footprint_of(8, 500.0, gpu("h100-sxm"), prices.site("FRA"))
    assert found.kwh[0] == pytest.approx(8 * (500 / 1.18 + 150) / 1000 * 730.5 * 1.09)
    assert found.kwh[1] == pytest.approx(8 * (500 / 0.81 + 150) / 1000 * 730.5 * 1.20)
    assert found.kg_co2e_use[0] == pytest.approx(found.kwh[0] * 0.04144)
    assert found.peak_kw == pytest.approx(8 * 0.85)


def test_power_lies_between_idle_and_limit_and_rises_with_load(plan, usage):
    one = plan.best
    idle, limit = one.deployment.gpu.idle_power_w, one.deployment.gpu.power_w
    found = []
    for share in (0.02, 0.2, 0.6, 1.0):
        less = replace(usage, peak_request_per_s=usage.peak_request_per_s * share)
        found.append(mean_gpu_w(plan.scenario, one, less, efficiency()))
    assert all(idle <= watts <= limit for watts in found)
    assert found == sorted(found)
    assert running_at(plan.scenario, one, efficiency(), 0.0) == 0


def test_reading_prompts_draws_more_than_decoding_and_at_most_the_limit(plan):
    timer = PhysicsTimer(deployment=plan.best.deployment, efficiency=efficiency())
    batch = decode_batch(8.0, plan.scenario.workload)
    watts = [busy_power_w(timer, batch, share) for share in (0.0, 0.1, 0.5, 1.0)]
    limit = timer.deployment.shard.gpus * timer.deployment.gpu.power_w
    assert watts == sorted(watts) and watts[-1] > 1.1 * watts[0] and watts[-1] <= limit
    busy, computing = activity(timer, batch)
    assert computing < 0.1 < busy  # a few sequences move bytes
    assert activity(timer, batch, 1.0) == (1.0, 1.0)


def test_an_idle_day_draws_idle_power(plan):
    never = monthly_usage(plan.scenario, plan.best, peaked_day(0.15, active_days=1e-9))
    watts = mean_gpu_w(plan.scenario, plan.best, never, efficiency())
    assert watts == pytest.approx(plan.best.deployment.gpu.idle_power_w, rel=1e-3)


@pytest.mark.skipif(find_spec("ecologits") is None, reason="the extra 'carbon' is not installed")
def test_factors_are_those_of_ecologits():
    from ecologits.electricity_mix_repository import electricity_mixes
    from ecologits.impacts import llm

    from infrascale import catalog
    from infrascale.deployment import SERVER_W_PER_GPU
    from infrascale.economics import energy

    for zone, mix in catalog.entries("carbon")["electricity_mixes"]["zones"].items():
        theirs = electricity_mixes.find_electricity_mix(zone)
        assert (mix["kg_co2e"], mix["water_l"]) == (theirs.gwp, theirs.wue), zone
    embodied = llm.SERVER_EMBODIED_IMPACT_GWP / llm.SERVER_GPUS + llm.GPU_EMBODIED_IMPACT_GWP
    assert embodied == max(energy.EMBODIED_KG_PER_GPU)
    assert pytest.approx(llm.SERVER_POWER * 1000 / llm.SERVER_GPUS) == SERVER_W_PER_GPU
    assert energy.LIFETIME_MONTHS == llm.HARDWARE_LIFESPAN / (365 * 24 * 3600) * 12


@pytest.mark.skipif(find_spec("ecologits") is None, reason="the extra 'carbon' is not installed")
@pytest.mark.parametrize("name,billions", [("llama-3.1-8b", 8.03), ("llama-3.3-70b", 70.6)])
def test_energy_of_a_token_is_that_of_ecologits_at_its_batch(name, billions):
    """At EcoLogits' batch of 64, one GPU's energy of an output token, by two unrelated routes, within a factor 2.5."""
    from ecologits.impacts.llm import compute_llm_impacts_dag

    found = api.plan(model=name, gpu="h100-sxm", requests_per_user=1.0, users=64, isl=200, osl=400, tokens_per_s=5)
    deployment = found.best.deployment
    timer = PhysicsTimer(deployment=deployment, efficiency=efficiency())
    batch = decode_batch(64.0, found.scenario.workload)
    ours_j = busy_power_w(timer, batch) * timer(batch) / 64
    theirs = compute_llm_impacts_dag(
        model_active_parameter_count=billions, model_total_parameter_count=billions, output_token_count=1,
        request_latency=float("inf"), if_electricity_mix_adpe=0, if_electricity_mix_pe=0, if_electricity_mix_gwp=0,
        if_electricity_mix_wue=0, datacenter_pue=1, datacenter_wue=0,
    )  # fmt: skip
    theirs_j = theirs["gpu_energy"] * theirs["gpu_required_count"] * 3.6e6
    assert 1 / 2.5 < ours_j / theirs_j < 2.5


@pytest.fixture(scope="module")
def market():
    return prices.market(
        (gpu("h100-sxm"), gpu("l40s")), {}, own=("h100-sxm=2eur/h", "l40s=0.2eur/h"), where=prices.site("FRA"),
        peak_fraction=0.15, today=TODAY,
    )  # fmt: skip


def test_an_objective_chooses_its_own_best_and_nothing_on_the_front_is_beaten(plan, market):
    found = options(plan, market.day, market.site, efficiency(), market.bill)
    assert len(found) == 1 + len(plan.others)
    for objective in Objective:
        best = ordered(found, objective)[0]
        assert best.score(objective) == min(one.score(objective) for one in found)
        assert any(one.score(objective) == best.score(objective) for one in pareto(found))
    assert ordered(found, Objective.COST)[0].candidate.deployment.gpu.id == "l40s"  # ten times cheaper here
    for one in pareto(found):
        for other in found:
            no_worse = all(other.score(o) <= one.score(o) for o in Objective)
            faster = (
                other.candidate.performance.token_per_s_per_request > one.candidate.performance.token_per_s_per_request
            )
            assert not (no_worse and faster)


def test_a_power_budget_is_kept(plan, market):
    keys = dict(model="llama-3.1-8b", gpu=["h100-sxm", "l40s"], request_per_s=20.0, gpus_per_replica=[1])
    draws = [peak_kw(one.deployment.gpu, one.gpus) for one in (plan.best, *plan.others)]
    kept = api.plan(**keys, max_kw=min(draws))
    assert peak_kw(kept.best.deployment.gpu, kept.best.gpus) == min(draws) and len(draws) > 1
    refused = next(one for one in kept.rejected if one.constraint is Constraint.POWER)
    assert refused.needed in draws and refused.needed > refused.available == min(draws)
    assert options(kept, market.day, market.site, efficiency(), market.bill)[0].footprint.peak_kw == min(draws)
    none = api.plan(**keys, max_kw=min(draws) * 0.99)
    assert none.best is None
    change = next(one for one in none.nearest if one.constraint is Constraint.POWER)
    assert change.best == min(draws)


def test_ways_to_pay_are_the_bills_of_each_offer(plan):
    """Rented on demand and reserved, and bought; what has no price in this currency is left out, never mixed."""
    own = ("h100-sxm=3eur/h", "h100-sxm=2eur/h-reserved", "h100-sxm=30000eur")
    where = dict(where=prices.site("FRA"), peak_fraction=0.15, today=TODAY)
    paid = prices.market((gpu("h100-sxm"),), {}, own=own, **where)
    usage = monthly_usage(plan.scenario, plan.best, paid.day)
    mark = footprint(plan.scenario, plan.best, usage, efficiency(), paid.site)
    hourly, reserved, bought_ = paid.payments(plan.best, usage, mark)
    assert [one.offer for one in (hourly, reserved, bought_)] == [Offer.ON_DEMAND, Offer.RESERVED, Offer.PURCHASE]
    assert hourly.per_month.low.amount == pytest.approx(1.5 * reserved.per_month.low.amount)
    assert bought_.lines[0].per_month.low.amount == pytest.approx(plan.best.gpus * 30_000 / 36)
    euros = prices.market((gpu("h100-sxm"),), {}, own=("h100-sxm=3eur/h",), **where)
    assert [one.offer for one in euros.payments(plan.best, usage, mark)] == [Offer.ON_DEMAND]  # the catalog's: dollars


@pytest.mark.parametrize("objective", list(Objective))
def test_a_plan_for_an_objective_is_the_way_that_has_least_of_it(objective, plan, market):
    """By the arithmetic of `cost`; no way is lost."""
    price = ["h100-sxm=2eur/h", "l40s=0.2eur/h"]
    keys = dict(model="llama-3.1-8b", gpu=["h100-sxm", "l40s"], request_per_s=20.0, gpus_per_replica=[1])
    found = api.plan(**keys, price=price, objective=objective.value)
    ways = options(plan, market.day, market.site, efficiency(), market.bill)
    least = min(one.score(objective) for one in ways)
    best = next(one for one in ways if one.candidate == found.best)
    assert best.score(objective) == least and found.objective is objective
    assert len(found.others) == len(ways) - 1 and all(one in (plan.best, *plan.others) for one in found.others)


def test_a_plan_file_keeps_its_objective_and_its_command_asks_the_same(tmp_path):
    command = [sys.executable, "-c", "from infrascale.cli import main; main()"]
    asked = ["plan", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--gpu", "l40s", "--users", "5000",
             "--objective", "cost", "--price", "h100-sxm=9eur/h", "--price", "l40s=0.2eur/h", "--json"]  # fmt: skip
    saved = json.loads(subprocess.run([*command, *asked], capture_output=True, text=True, check=True).stdout)
    assert saved["objective"] == "cost" and saved["best"]["gpu"] == "l40s"
    again = [*command, *shlex.split(saved["command"])[1:], "--json"]
    assert json.loads(subprocess.run(again, capture_output=True, text=True, check=True).stdout)["best"] == saved["best"]
    (tmp_path / "plan.json").write_text(json.dumps(saved))
    screen = cost(str(tmp_path / "plan.json"), "--objective", "cost")
    assert screen.returncode == 0 and "l40s" in screen.stdout.splitlines()[1]


def test_a_wrong_price_is_refused_though_nothing_depends_on_it():
    with pytest.raises(ScenarioError, match="is no price"):
        api.plan(model="llama-3.1-8b", users=10, price=["cheap"])


def test_footprint_without_requests_a_second_is_monotone_in_gpus(plan, usage):
    site = prices.site("FRA")
    small = footprint(plan.scenario, plan.best, usage, efficiency(), site)
    more = footprint(plan.scenario, resized(plan.best, plan.best.replicas * 3), usage, efficiency(), site)
    assert more.kwh[0] > small.kwh[0]
    assert more.kg_co2e_embodied == pytest.approx([3 * one for one in small.kg_co2e_embodied])


def test_one_request_by_hand_cached_input_at_its_own_price():
    load = Workload(isl_tokens=1000, osl_tokens=400, prefix_hit_fraction=0.5)
    full, cheap = Money(amount=0.90, currency=EUR), Money(amount=0.09, currency=EUR)
    assert per_request(load, full, full).amount == pytest.approx(0.00126)
    assert per_request(load, full, full, cheap).amount == pytest.approx((500 * 0.9 + 500 * 0.09 + 400 * 0.9) / 1e6)


def test_names_of_the_same_weights_meet_and_others_do_not():
    llama = weights_name("meta-llama/Llama-3.3-70B-Instruct")
    hosted = "groq/llama-3.3-70b-versatile", "Meta-Llama-3_3-70B-Instruct", "databricks-meta-llama-3-3-70b-instruct"
    for name in hosted:
        assert weights_name(name) == llama
    assert weights_name("Llama-3.1-70B-Instruct") != llama
    assert weights_name("Qwen3-235B-A22B-Instruct-2507") != weights_name("Qwen3-235B-A22B")
    assert weights_name("Mistral-Small-3.2-24B-Instruct-2506") == weights_name("mistral-small-3.2-24b-instruct")


@pytest.mark.skipif(find_spec("genai_prices") is None, reason="the extra 'apis' is not installed")
def test_genai_prices_agree_with_our_arithmetic_and_cache_is_counted():
    load = Workload(isl_tokens=1000, osl_tokens=400)
    cached = Workload(isl_tokens=1000, osl_tokens=400, prefix_hit_fraction=0.5)
    names = "mistral", "mistral-large-2512"
    plain, half = (
        next(o for o in api_offers(one, "x", TODAY) if (o.provider, o.model) == names) for one in (load, cached)
    )
    assert plain.per_request.amount == pytest.approx((1000 * 0.5 + 400 * 1.5) / 1e6)
    assert half.per_request.amount == pytest.approx((500 * 0.5 + 500 * 0.05 + 400 * 1.5) / 1e6)
    assert len(api_offers(load, "llama-3.3-70b", TODAY)) > 1000


def test_break_even_is_where_the_staircase_last_loses():
    def own(users):  # 100 a step of 10 users
        steps = -(-users // 10)
        return Money(amount=100.0 * steps, currency=EUR), Money(amount=300.0 * steps, currency=EUR)

    found = break_even(own, span(20.0, EUR), [1, 2, 4, 8, 16, 32, 64])
    # API 20 a user; at low prices one step (100) pays from 5 users on, two (200) from 10, and so on: 5
    assert found.users_at_low == pytest.approx(5, abs=1)
    assert found.users_at_high is None  # 300 for ten users is above 200, at any size
    assert [point.users for point in found.curve] == [1, 2, 4, 8, 16, 32, 64]
    assert break_even(lambda users: (None, None), span(20.0, EUR), [1, 2]).users_at_low is None


def cost(*words):
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", "cost", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


ASKED = ("--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", "3000")


def test_a_saved_plan_is_costed_like_its_question(tmp_path):
    saved = tmp_path / "plan.json"
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", "plan", *ASKED, "--json"]
    saved.write_text(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    price = ("--price", "h100-sxm=2eur/h", "--json")
    by_plan, by_flags = (json.loads(cost(*words, *price).stdout) for words in ((str(saved),), ASKED))
    assert by_plan == by_flags
    best = by_plan["options"][0]
    assert best["cost"]["per_month"]["low"] == pytest.approx(best["gpus"] * 2 * 730.5)
    assert by_plan["stale"] == []


@pytest.mark.parametrize(
    "words",
    [
        ("nowhere.json",),
        (*ASKED, "--price", "h100-sxm=nan"),
        (*ASKED, "--price", "h100=2eur/h", "--price", "h100-sxm=1usd/h"),
        (*ASKED, "--rate", "0"),
        (*ASKED, "--objective", "speed"),
        (*ASKED, "--country", "XXX"),
        (*ASKED, "--pue", "nan"),
        ("--model", "llama-3.1-8b", "--gpu", "l40s", "--users", "9", "--reserved", "--objective", "cost"),
        (*ASKED, "--compare", "nobody/nothing"),
        (*ASKED, "--currency", "gbp"),
    ],
    ids=lambda words: words[-1],
)
def test_a_wrong_cost_question_ends_with_its_mend(words):
    done = cost(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert "fix" in done.stderr and "Traceback" not in done.stderr


def test_nothing_within_the_power_is_infeasible_and_no_error():
    assert cost(*ASKED, "--max-kw", "0.1").returncode == 3


def test_hours_of_a_month():
    assert pytest.approx(730.5) == HOURS_PER_MONTH


def test_the_bill_in_french():
    done = cost(*ASKED, "--buy", "--rate", "1.16", "--currency", "eur", "--lang", "fr")
    assert done.returncode == 0 and all(len(line) <= 80 for line in done.stdout.splitlines())
    assert "serveurs avec GPU" in done.stdout and "par mois" in done.stdout and "a month" not in done.stdout


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the extra 'plots' is not installed")
def test_the_ways_and_the_break_even_are_drawn(tmp_path):
    """Each way of the front is named once; hosting overtakes the API between the two ends."""
    price = ("--price", "h100-sxm=1.5eur/h", "--json")
    drawn = cost(*ASKED, *price, "--plot", str(tmp_path / "ways.svg"))
    front = len(json.loads(drawn.stdout)["pareto"])
    assert front > 1 and (tmp_path / "ways.svg").read_text().startswith("<svg")
    offer = ("--compare", "scaleway/llama-3.3-70b-instruct", "--break-even", "--plot", str(tmp_path / "even.svg"))
    even = json.loads(cost("--model", "llama-3.3-70b", "--users", "500", *price, *offer).stdout)["break_even"]
    assert (tmp_path / "even.svg").read_text().startswith("<svg")
    assert all(point["own_high"] is None or point["own_low"] <= point["own_high"] for point in even["curve"])
    assert even["users_at_high"] is None or even["users_at_low"] <= even["users_at_high"]
    assert cost(*ASKED, *price, "--plot", str(tmp_path / "ways.doc")).returncode == 2


def test_what_is_priced_can_be_listed(capsys):
    from infrascale.cli.catalog import catalog

    catalog("prices", "h100-sxm", as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert {row["what"] for row in found} >= {"on-demand", "reserved", "server"} and all(row["source"] for row in found)
    catalog("apis", "scaleway/", as_json=True)
    offers = {row["name"]: row["low"] for row in json.loads(capsys.readouterr().out)}
    assert offers["scaleway/llama-3.3-70b-instruct"] == pytest.approx(1.26)  # (1 000 + 400) · 0.90 / 1e6 · 1 000
    for kind in ("prices", "apis"):
        catalog(kind, "", as_json=False)
        assert all(len(line) <= 80 for line in capsys.readouterr().out.splitlines())
