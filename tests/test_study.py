"""Sweeps that survive kill -9 and lost workers; growth and sensitivity by their laws."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from random import Random

import pytest

from infrascale import api
from infrascale.economics import Currency, span
from infrascale.errors import InfraScaleError
from infrascale.parsing.scenarios import question
from infrascale.studies import study as room
from infrascale.studies.growth import growth, months_later
from infrascale.studies.sensitivity import gpus_of, monte_carlo, quantile, tornado

parquet = pytest.importorskip("pyarrow.parquet")

STUDY = """
[base]
ttft = 3
[sweep]
model = ["llama-3.1-8b", "qwen3-8b"]
gpu = ["h100-sxm", "l4"]
tokens_per_s = [10, 500]
users = [100, 1000, 5000]
[prices]
per_gpu_hour = ["1.50eur", "2eur"]
"""


def here(asked, chunks):
    """An Engine without processes."""
    for chunk in chunks:
        yield chunk, room.part_of(asked, chunk)


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "CHUNK", 5)
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return room.study(str(path))


def test_every_combination_is_one_row_a_price_and_is_the_plan_itself(small, tmp_path):
    out = str(tmp_path / "out")
    assert room.run(small, out, here) == small.plans == 24
    table = [row for part in sorted(Path(out).glob("part-*.parquet")) for row in parquet.read_table(part).to_pylist()]
    assert len(table) == small.rows == 48
    assert sorted((row["plan"], row["per_gpu_hour"]) for row in table) == [
        (i, p) for i in range(24) for p in (1.5, 2.0)
    ]
    for row in table[::7]:
        keys = {key: row[key] for key in ("model", "gpu", "tokens_per_s", "users")}
        best = api.plan(ttft=3, **keys).best
        assert row["feasible"] == (best is not None)
        if best:
            assert row["best_gpus"] == best.gpus
            assert row["cost_per_month"] == pytest.approx(best.gpus * row["per_gpu_hour"] * 730.5)
    assert {row["feasible"] for row in table} == {True, False}


def test_tables_that_outlive_a_question_change_no_answer(monkeypatch):
    """Promises, demands, workloads and shares in any order, the tables of each deployment shared or bounded to few."""
    from infrascale.parsing.efficiencies import efficiency
    from infrascale.parsing.scenarios import scenario
    from infrascale.planning import plan, tables

    monkeypatch.setattr(tables, "MOST_TABLES", 3)
    monkeypatch.setattr(tables, "MOST_POINTS", 50)
    judges, rng = tables.Judges(), Random(5)
    for _ in range(40):
        asked = scenario(question(dict(
            model="llama-3.1-8b", gpu=rng.choice(("h100-sxm", "l4")), users=rng.choice((10, 3000, 40000)),
            isl=rng.choice((500, 4000)), tokens_per_s=rng.choice((10, "p5=15", 60)), redundancy=rng.choice((0, 1)),
            gpus_per_replica=[1, 2],
        )))  # fmt: skip
        assert plan(asked, efficiency(), judged=judges, elsewhere=None) == plan(asked, efficiency(), elsewhere=None)


def test_axes_that_only_ask_more_vary_fastest_whatever_their_order_in_the_file(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[base]\nmodel="llama-3.1-8b"\n[sweep]\nusers=[1, 2]\nprice=["l4=1eur"]\nisl=[500, 1000]\n')
    assert [key for key, _ in room.study(str(path)).axes] == ["isl", "users", "price"]


def test_what_is_there_is_not_computed_again_and_what_is_lost_is(small, tmp_path):
    out = tmp_path / "out"
    room.run(small, str(out), here)
    before = {part.name: part.read_bytes() for part in out.glob("part-*")}
    computed = []

    def watched(asked, chunks):
        computed.extend(chunks)
        yield from here(asked, chunks)

    assert room.run(small, str(out), watched) == 0 and computed == []
    (out / "part-00000002.parquet").unlink()
    assert room.run(small, str(out), watched) == 5 and computed == [2]
    assert {part.name: part.read_bytes() for part in out.glob("part-*")} == before


def test_a_folder_of_another_study_is_refused(small, tmp_path):
    out = str(tmp_path / "out")
    room.run(small, out, here)
    other = tmp_path / "other.toml"
    other.write_text(STUDY.replace("ttft = 3", "ttft = 2"))
    with pytest.raises(InfraScaleError, match="another study"):
        room.run(room.study(str(other)), out, here)


def test_a_question_that_cannot_be_asked_is_a_row(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[base]\nmodel="llama-3.1-8b"\nusers=10\n[sweep]\nisl=[1000, 9000000]\n')
    rows = room.rows_of(room.study(str(path)), 0)
    assert [row["feasible"] for row in rows] == [True, False]
    assert rows[0]["error"] is None and "fit" in rows[1]["error"]


@pytest.mark.parametrize(
    "text", ["", "[sweep]\nnonsense=[1]\n", "[sweep]\nusers=[]\n", "[base]\nusers=1\n[sweep]\nusers=[1]\n",
             "[sweep]\nusers=3\n", "[sweep]\nusers=[1]\n[prices]\nper_gpu_hour=['cheap']\n"]
)  # fmt: skip
def test_a_wrong_study_is_refused_with_a_mend(text, tmp_path):
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(InfraScaleError) as error:
        room.study(str(path))
    assert error.value.why and error.value.fix


def command(path, out, *more):
    return [
        sys.executable,
        "-c",
        "from infrascale.cli import main; main()",
        "study",
        path,
        "--out",
        out,
        "--json",
        *more,
    ]


def test_kill_9_in_the_middle_loses_and_repeats_nothing(tmp_path):
    path, out = tmp_path / "s.toml", tmp_path / "out"
    users = list(range(100, 100 + 1024))
    path.write_text(f'[base]\nmodel="llama-3.1-8b"\ngpus_per_replica=[1]\n[sweep]\nusers={users}\n')
    run = subprocess.Popen(command(str(path), str(out), "--workers", "1"), start_new_session=True)
    while not list(out.glob("part-*.parquet")) and run.poll() is None:
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = {part.name: part.stat().st_mtime_ns for part in out.glob("part-*.parquet")}
    assert kept
    done = subprocess.run(command(str(path), str(out), "--workers", "1"), capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout)
    assert summary["planned_now"] == 1024 - 256 * len(kept)
    assert all((out / name).stat().st_mtime_ns == at for name, at in kept.items())
    table = [row for part in out.glob("part-*.parquet") for row in parquet.read_table(part).to_pylist()]
    assert sorted(row["plan"] for row in table) == list(range(1024))


def workers_of_ray():
    """Processes of Ray that plan at this moment."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::part_of"):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'ray' is not installed")
def test_a_ray_cluster_gives_the_same_rows_though_a_worker_is_killed(tmp_path):
    import ray

    path, out = tmp_path / "s.toml", tmp_path / "out"
    users = list(range(100, 100 + 4096))
    path.write_text(f'[base]\nmodel="llama-3.1-8b"\ngpus_per_replica=[1]\n[sweep]\nusers={users}\n')
    context = ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False)
    try:
        address = context.address_info["gcs_address"]
        run = subprocess.Popen(command(str(path), str(out), "--ray", address), stdout=subprocess.PIPE, text=True)
        killed = 0
        while run.poll() is None:
            if not killed and list(out.glob("part-*.parquet")) and (pids := workers_of_ray()):
                os.kill(pids[0], signal.SIGKILL)
                killed = pids[0]
            time.sleep(0.02)
        assert killed and run.returncode == 0
        assert json.loads(run.stdout.read())["planned_now"] == 4096
    finally:
        ray.shutdown()
    table = [row for part in out.glob("part-*.parquet") for row in parquet.read_table(part).to_pylist()]
    rows = sorted(table, key=lambda row: row["plan"])
    assert [row["plan"] for row in rows] == list(range(4096))
    assert rows[:256] == room.rows_of(room.study(str(path)), 0)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="the extra 'ray' is not installed")
def test_no_cluster_is_an_error_with_a_mend(tmp_path):
    path = tmp_path / "s.toml"
    path.write_text('[base]\nmodel="llama-3.1-8b"\n[sweep]\nusers=[5]\n')
    env = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    done = subprocess.run(
        command(str(path), str(tmp_path / "out"), "--ray", "auto"), capture_output=True, text=True, env=env
    )
    assert done.returncode == 2 and "fix:" in done.stderr and "Traceback" not in done.stderr


def test_quarters_and_order_days():
    assert months_later(date(2026, 11, 24), 3) == date(2027, 2, 1)
    assert months_later(date(2027, 1, 1), -6) == date(2026, 7, 1)


def test_growth_never_sells_is_never_short_and_orders_in_time():
    asked = question(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=1.0))
    curve = [500, 2000, 9000, 6000, 20000]
    found = growth(asked, curve, date(2027, 1, 1), lead_months=4)
    owned = 0
    for step, users in zip(found.steps, curve, strict=True):
        assert step.gpus_needed == gpus_of(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=users))
        owned += step.servers_bought
        assert step.servers == owned and step.servers_bought >= 0
        assert owned * found.gpus_per_server >= step.gpus_needed
        assert (step.order_by == months_later(step.start, -4)) if step.servers_bought else step.order_by is None
        assert 0 <= step.unserved_if_late <= users
    assert found.steps[0].unserved_if_late == 500  # nothing is there before the first servers
    assert found.idle_gpu_quarters == sum((owned - step.servers) * 8 for step in found.steps)


def test_a_tornado_moves_one_input_at_a_time_and_orders_by_width():
    keys = dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=20000)
    found = tornado(question(keys))
    assert {swing.key for swing in found} >= {"users", "isl", "osl", "tokens_per_s", "ttft"}
    users = next(swing for swing in found if swing.key == "users")
    assert (users.low_gpus, users.high_gpus) == (gpus_of(keys | {"users": 18000}), gpus_of(keys | {"users": 22000}))
    assert users.low_gpus <= users.base_gpus <= users.high_gpus
    assert [swing.width for swing in found] == sorted((swing.width for swing in found), reverse=True)


def test_a_quantile_is_the_value_that_enough_draws_do_not_exceed():
    ten = tuple(float(n) for n in range(1, 11))
    assert [quantile(ten, share) for share in (0.0, 0.1, 0.5, 0.9, 0.91, 1.0)] == [1, 1, 5, 9, 10, 10]


def test_monte_carlo_without_uncertainty_is_the_plan_and_with_it_spreads():
    keys = dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=20000)
    asked, base = question(keys), gpus_of(keys)
    still = monte_carlo(asked, {}, Random(1), draws=3, model_error=0.0)
    assert set(still.gpus) == {base}
    price = span(2.0, Currency.EUR)
    drawn = monte_carlo(asked, {"users": 0.3}, Random(1), draws=40, price=price, model_error=0.1)
    again = monte_carlo(asked, {"users": 0.3}, Random(1), draws=40, price=price, model_error=0.1)
    assert drawn == again  # the rng decides
    assert drawn.gpus_at(0.01) >= drawn.gpus_at(0.5) >= drawn.gpus_at(0.99)
    assert drawn.gpus_at(0.05) > base > drawn.gpus_at(0.95)
    assert drawn.cost_at(0.05) == pytest.approx(drawn.gpus_at(0.05) * 2 * 730.5)
    with pytest.raises(InfraScaleError, match="cannot vary"):
        monte_carlo(asked, {"agents": 0.1}, Random(1))


def test_the_error_of_a_prediction_reaches_its_measured_ends_and_no_more_often():
    """5 % of the draws are slower than the slow end of the plan's interval, 5 % faster than its fast end."""
    from infrascale.studies.sensitivity import _ends, _error

    asked = question(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=20000))
    low, high = _ends(asked, None)
    assert low < 0 < high
    rng = Random(1)
    drawn = sorted(_error(rng.gauss(0, 1), (low, high)) for _ in range(20_000))
    assert sum(one < low for one in drawn) / 20_000 == pytest.approx(0.05, abs=0.006)
    assert sum(one > high for one in drawn) / 20_000 == pytest.approx(0.05, abs=0.006)


def test_a_slower_reality_needs_more_gpus():
    for keys in (dict(users=20000.0), dict(request_per_s=50.0), dict(users=20000.0, think_s=60.0)):
        keys = dict(model="llama-3.3-70b", gpu=["h100-sxm"], tokens_per_s=20.0) | keys
        from infrascale.studies.sensitivity import _slower, inputs_of

        stated = inputs_of(question(keys)) | keys
        counts = [gpus_of(_slower(stated, factor)) for factor in (0.8, 1.0, 1.25)]
        assert counts[0] < counts[1] == gpus_of(keys) < counts[2]


def priced(costs: dict, *own: str):
    from infrascale.parsing.objectives import market_of
    from infrascale.parsing.scenarios import scenario

    asked = question(dict(model="llama-3.3-70b", gpu=["h100-sxm"], users=2000.0, price=list(own) or None))
    return asked, market_of(asked, scenario(asked), costs, today=date(2026, 11, 25))


NO_EXTRAS = {"hosting_per_kw": "0eur", "electricity_per_kwh": "0eur", "staff_per_month": "9000eur"}


def test_regret_is_the_hand_calculation_to_the_cent():
    """Per server: 288 000 / 36 + 10 800 / 36 + 298 800 · 0.06 / 12 = 9 794.00 a month; a GPU-hour at 2 EUR."""
    costs = NO_EXTRAS | {"network": "10800eur", "maintenance_per_year": 0.06}
    asked, market = priced(costs, "h100-sxm=288000eur/server", "h100-sxm=2eur/h")
    found = growth(asked, [2000, 7000, 7000, 20000], date(2030, 1, 1), 5, market=market)
    assert found.upkeep.unused.low.amount == found.upkeep.unused.high.amount == pytest.approx(9794.00, abs=0.005)
    owned = 0
    for step in found.steps:
        if not step.servers_bought:
            assert step.regret is None
            continue
        missing = step.gpus_needed - owned * found.gpus_per_server
        held = 3 * step.servers_bought * 9794
        assert step.regret.early == pytest.approx((held, held), abs=0.005)
        assert step.regret.late == pytest.approx((missing * 2 * 730.5 * 3 - held,) * 2, abs=0.005)
        owned = step.servers
    idle = sum(owned - step.servers for step in found.steps)
    assert found.at_once == pytest.approx((idle * 3 * 9794,) * 2, abs=0.005)


def test_the_dearer_renting_the_sooner_one_orders_ahead_and_where_it_is_cheap_never():
    def chance(hour: str):
        asked, market = priced(NO_EXTRAS, "h100-sxm=288000eur/server", f"h100-sxm={hour}eur/h")
        return growth(asked, [2000, 9000], date(2030, 1, 1), market=market)

    found = [chance(hour) for hour in ("2.5", "5", "20")]
    assert 1 > found[0].ahead_above > found[1].ahead_above > found[2].ahead_above > 0
    cheap = chance("0.20")
    assert cheap.ahead_above is None and all(step.regret.late[1] < 0 for step in cheap.steps)


def test_regret_of_gpus_reserved_for_a_year_is_the_hand_calculation_to_the_cent():
    """Eight at 1.80 EUR an hour: 8 · 1.80 · 730.5 = 10 519.20 a month, whether used or not."""
    from infrascale.locales import words
    from infrascale.studies.screens import growth_lines

    asked, market = priced(NO_EXTRAS, "h100-sxm=1.80eur/h-reserved", "h100-sxm=2.5eur/h")
    found = growth(asked, [2000, 9000], date(2030, 1, 1), market=market)
    assert found.upkeep is None  # nobody priced a server
    assert found.reserved.used.low.amount == pytest.approx(10519.20, abs=0.005)
    first = found.steps[0]
    assert first.if_reserved.early == pytest.approx((3 * 10519.20 * first.servers_bought,) * 2, abs=0.005)
    missing = first.gpus_needed * 2.5 * 730.5 * 3
    assert first.if_reserved.late == pytest.approx((missing - first.if_reserved.early[0],) * 2, abs=0.005)
    for language, says in (("en", "reserved for a year in place of bought"), ("fr", "réservés un an")):
        assert says in " ".join(" ".join(growth_lines(found, date(2026, 11, 25), words(language))).split())


def test_two_currencies_without_a_rate_give_no_regret_and_the_screen_says_so():
    from infrascale.locales import words
    from infrascale.studies.screens import growth_lines

    asked, market = priced(NO_EXTRAS, "h100-sxm=288000eur/server")
    found = growth(asked, [2000], date(2030, 1, 1), market=market)
    assert found.upkeep is None and found.steps[0].regret is None and found.ahead_above is None
    assert "--rate" in " ".join(growth_lines(found, date(2026, 11, 25), words("en")))
