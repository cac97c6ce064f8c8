"""Calibration: what load tests teach of one deployment, known truth recovered, nothing taught that was not measured."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from math import exp, log
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrascale import api
from infrascale.calibration.algebra import inverse, quadratic, solved
from infrascale.calibration.cases import cases_of, weights_read_s
from infrascale.calibration.own import KINSHIP, NAMES, Case, calibrate, expected, prior, scaled
from infrascale.calibration.saved import as_toml, read_calibration
from infrascale.errors import InfraScaleError
from infrascale.loadtests import LoadTest, Point, Stat
from infrascale.locales import speak
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.measurements import asked
from infrascale.parsing.models import model
from infrascale.uncertainty import Regime, intervals

LLAMA, MISTRAL = "meta-llama/Llama-3.1-8B-Instruct", "mistralai/Mistral-Small-24B-Instruct-2501"
TRUTH = {"weights": 1.2, "arithmetic": 0.9, "cache": 1.4, "links": 1.0, "step": 1.6, "seq": 1.3, "request": 2.0}


def question(
    clients: float, isl: float = 1000, osl: float = 300, name: str = LLAMA, card: str = "h100-pcie", tp: int = 1
):
    row = {"model": name, "gpu": card, "tp": str(tp), "gpu_count": str(tp), "engine": "vllm", "load_kind": "closed"}
    return asked(row | {"isl": f"{isl:g}", "osl": f"{osl:g}", "concurrency": f"{clients:g}"})


def measured(one, theta) -> Case:
    found = expected(one, scaled(efficiency(), theta))
    return Case(asked=one, measured={measure: exp(value) for measure, value in found.items()})


def truth() -> list[float]:
    return [log(TRUTH[name]) for name in NAMES]


def cases(*clients: float) -> list[Case]:
    return [measured(question(c, isl), truth()) for isl in (200, 4000) for c in clients]


def off(one: Case, curves) -> float:
    found = expected(one.asked, curves)
    return max(abs(log(seconds) - found[measure]) for measure, seconds in one.measured.items())


def test_no_surprise_leaves_the_general_model_as_it_is():
    found, errors = calibrate([measured(question(c), [0.0] * len(NAMES)) for c in (1, 8, 64)], efficiency())
    assert max(map(abs, found.multipliers)) < 1e-6
    assert all(abs(e.before) < 1e-9 and abs(e.left_out) < 1e-6 for e in errors)


def test_a_known_truth_is_predicted_at_loads_that_were_not_measured():
    found, errors = calibrate(cases(1, 8, 32, 128), efficiency())
    curves = scaled(efficiency(), found.multipliers)
    for one in (measured(question(c, isl), truth()) for c in (4, 64) for isl in (500, 2000)):
        assert off(one, curves) < 0.03 < off(one, efficiency())
    assert max(abs(e.before) for e in errors) > 5 * max(abs(e.after) for e in errors)


def test_three_points_help_and_more_points_narrow():
    few, _ = calibrate(cases(1, 8, 32, 128)[:3], efficiency())
    many, _ = calibrate(cases(1, 2, 4, 8, 16, 32, 64, 128), efficiency())
    unseen = measured(question(24, 200), truth())
    assert off(unseen, scaled(efficiency(), few.multipliers)) < off(unseen, efficiency())
    for index in range(len(NAMES)):
        most = 1.02 * prior(gpu("h100-pcie"))[index][index]
        assert 0 < many.covariance[index][index] <= few.covariance[index][index] * 1.01 <= most
    low, _, high = many.interval(unseen.asked, efficiency())["tpot"]
    wide_low, _, wide_high = few.interval(unseen.asked, efficiency())["tpot"]
    assert high / low < wide_high / wide_low and low < unseen.measured["tpot"] < high


def test_what_was_not_measured_is_not_learnt():
    """One GPU says nothing of links; without TTFT a request's cost is known by the host's pace alone."""
    found, _ = calibrate([replace(c, measured={"tpot": c.measured["tpot"]}) for c in cases(1, 16)], efficiency())
    links, request, before = NAMES.index("links"), NAMES.index("request"), prior(gpu("h100-pcie"))
    assert found.multipliers[links] == pytest.approx(0, abs=1e-6)
    assert found.covariance[links][links] == pytest.approx(before[links][links])
    assert abs(found.multipliers[request]) < 0.2
    assert 0.9 < found.covariance[request][request] / before[request][request] < 1


def test_a_slow_host_is_slow_in_all_it_does():
    """What a profiled machine's steps teach of its pace is expected of its sequences too; a server's moves less."""
    rack = gpu("h100-pcie")
    bench = replace(rack, curves={"gemm/bf16": {"flop_fraction": 0.5}})
    step, seq = NAMES.index("step"), NAMES.index("seq")

    def taught(card) -> float:
        """Log that a sequence is expected to take longer for each log that a step does."""
        held = prior(card)
        return held[step][seq] / held[step][step]

    assert taught(bench) > 0.8 > 0.2 > taught(rack) > 0


def test_one_wild_point_moves_little():
    clean = cases(1, 4, 16, 64)
    wild = [replace(clean[0], measured={"tpot": 5 * clean[0].measured["tpot"]}), *clean[1:]]
    found, _ = calibrate(wild, efficiency())
    assert off(clean[3], scaled(efficiency(), found.multipliers)) < 0.15


def test_left_out_error_is_what_leaving_out_gives():
    points = cases(1, 4, 16, 64)
    noisy = [
        replace(c, measured={k: v * (1.05 if i % 2 else 0.95) for k, v in c.measured.items()})
        for i, c in enumerate(points)
    ]
    _, errors = calibrate(noisy, efficiency())
    for index in (0, 5):
        without, _ = calibrate(noisy[:index] + noisy[index + 1 :], efficiency())
        left = (
            log(noisy[index].measured["tpot"])
            - expected(noisy[index].asked, scaled(efficiency(), without.multipliers))["tpot"]
        )
        said = next(e for e in errors if e.case is noisy[index] and e.measure == "tpot")
        assert said.left_out == pytest.approx(left, abs=0.03)
        assert abs(said.left_out) >= abs(said.after)


def test_kin_take_over_less_and_know_less():
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    own = model(LLAMA), gpu("h100-pcie")
    same, other = found.posterior(own[1], own[0]), found.posterior(gpu("l40s"), model(MISTRAL))
    assert same == (list(found.multipliers), found.covariance)
    assert other[0] == [0.0] * len(NAMES) and other[1][0][0] == pytest.approx(prior(gpu("l40s"))[0][0])
    for kin in ((own[1], model(MISTRAL)), (gpu("h200-sxm"), own[0]), (gpu("h200-sxm"), model(MISTRAL))):
        theta, covariance = found.posterior(*kin)
        before = prior(kin[0])
        for index, most in enumerate(found.multipliers):
            assert abs(theta[index]) <= abs(most)
            known = found.covariance[index][index] / prior(own[1])[index][index]
            assert covariance[index][index] / before[index][index] >= known * (1 - 1e-9)


def test_more_in_common_is_more_taken_over():
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    kin = {found.kinship(card, name) for card in (gpu("h100-pcie"), gpu("h200-sxm"), gpu("l40s"))
           for name in (model(LLAMA), model(MISTRAL))}  # fmt: skip
    assert kin == {"same", "card", "model", "generation", "other"}
    assert (
        KINSHIP["same"]
        == KINSHIP["parts"]
        == 1
        > KINSHIP["cut"]
        > KINSHIP["card"]
        > KINSHIP["model"]
        > KINSHIP["generation"]
        > 0
    )
    assert KINSHIP["engine"] == KINSHIP["other"] == 0


def test_replicas_of_another_size_are_less_sure(tmp_path):
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    own = gpu("h100-pcie"), model(LLAMA)
    assert found.gpus == (1,) and found.kinship(*own, "vllm", 2) == "cut"
    for measure in ("tpot", "ttft"):
        low, _, high = found.interval(question(8), efficiency())[measure]
        wide_low, _, wide_high = found.interval(question(8, tp=2), efficiency())[measure]
        assert wide_high / wide_low > high / low
    place = tmp_path / "ours.toml"
    place.write_text(as_toml(found, made="2026-11-24", data_sha256="00", files=[]))
    assert read_calibration(str(place)).gpus == (1,)
    told = f'seen = [["{LLAMA}", 1]]\n'
    place.write_text(place.read_text().replace(told, "gpus = [1]\n"))  # as written before
    assert read_calibration(str(place)).kinship(*own, "vllm", 2) == "cut"
    place.write_text(place.read_text().replace("gpus = [1]\n", ""))  # and before that
    assert read_calibration(str(place)).kinship(*own, "vllm", 2) == "same"


def test_kin_is_never_less_sure_than_the_general_model():
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    regime = Regime(kind="closed", engine="vllm", queued=False, known=True)
    for one in (question(8, tp=2), question(8, name=MISTRAL), question(8, card="h200-sxm")):
        table = found.intervals(one, efficiency())
        for measure in ("tpot_mean_s", "ttft_mean_s"):
            own, general = table.of(measure, regime), intervals().of(measure, regime)
            assert own.high - own.low <= general.high - general.low


def test_what_one_engine_taught_says_nothing_of_another():
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    own = gpu("h100-pcie"), model(LLAMA)
    assert found.kinship(*own, "vllm") == "same" and found.kinship(*own, "trtllm") == "engine"
    assert found.efficiency(efficiency(), *own, "trtllm").hosts == efficiency().hosts


def test_links_over_pcie_are_the_servers_and_less_sure():
    links = NAMES.index("links")
    assert prior(gpu("h100-pcie"))[links][links] > prior(gpu("h100-sxm"))[links][links]


def test_links_over_pcie_are_taken_over_by_other_models_on_the_server():
    slow = [log(2.0) if name == "links" else 0.0 for name in NAMES]
    found, _ = calibrate([measured(question(c, tp=2), slow) for c in (1, 8, 32, 96)], efficiency())
    other = question(8, name=MISTRAL, tp=2).deployment
    links = NAMES.index("links")
    assert 0.7 * found.multipliers[links] < found.at(other)[0][links] < found.multipliers[links]
    elsewhere = question(8, name=MISTRAL, card="h100-sxm", tp=2).deployment
    assert found.at(elsewhere)[0][links] < 0.2 * found.multipliers[links]


def test_parts_measured_apart_come_together():
    """One model alone and another in pairs tell of the first in pairs what neither tells without the other."""
    mine = {"weights": 0.9, "links": 2.0, "step": 1.3}
    theta = [log(mine.get(name, 1.0)) for name in NAMES]
    alone = [measured(question(c, name=MISTRAL), theta) for c in (1, 8, 32, 96)]
    pairs = [measured(question(c, tp=2), theta) for c in (1, 8, 32, 96)]
    unseen = measured(question(16, name=MISTRAL, tp=2), theta)
    both, _ = calibrate(alone + pairs, efficiency())
    of = unseen.asked.deployment
    assert (
        both.kinship(of.gpu, of.model, "vllm", 2) == "parts"
        and both.models == (LLAMA, MISTRAL)[:: 1 if both.model == LLAMA else -1]
    )
    errors = [
        off(unseen, found.efficiency(efficiency(), of.gpu, of.model, "vllm", 2))
        for found in (both, calibrate(alone, efficiency())[0])
    ]
    assert errors[0] < 0.4 * errors[1]
    low, _, high = both.interval(unseen.asked, efficiency())["tpot"]
    assert low < unseen.measured["tpot"] < high and high / low > 1.2  # as unsure as kin


def test_a_mean_of_few_requests_weighs_less():
    right = [measured(question(c), [0.0] * len(NAMES)) for c in (4, 16, 64)]
    odd = measured(question(1), [0.0] * len(NAMES))
    odd = replace(odd, measured={"tpot": 1.25 * odd.measured["tpot"]})
    moved = [calibrate([*right, replace(odd, requests=n)], efficiency())[0].multipliers for n in (1, 1000)]
    assert sum(map(abs, moved[0])) < 0.6 * sum(map(abs, moved[1]))


def test_an_interval_widens_with_the_distance_from_what_was_measured():
    found, _ = calibrate(cases(1, 8, 64), efficiency())
    widths = []
    for osl in (300, 3000):
        low, best, high = found.interval(question(8, 1000, osl), efficiency())["tpot"]
        assert low < best < high
        widths.append(high / low)
    assert widths[1] > widths[0]
    assert found.outside(isl=1000, osl=300, concurrency=8) == 0 < found.outside(isl=10, osl=300)


def test_the_file_says_it_all_again(tmp_path):
    found, _ = calibrate(cases(1, 8), efficiency())
    place = tmp_path / "ours.toml"
    place.write_text(as_toml(found, made="2026-11-24", data_sha256="00", files=['a "b".json']))
    again = read_calibration(str(place))
    assert again.multipliers == found.multipliers and again.region == found.region
    assert again.covariance == found.covariance and again.noises == found.noises


@pytest.mark.parametrize(
    "change", [("version = 1", "version = 9"), ("weights = ", "weights = 9"), ("gpu = ", "gpus = "), ("[noises]", ""),
               ("covariance = [", "covariance = [["), ("points = ", "points = -")],
)  # fmt: skip
def test_a_broken_file_is_refused(tmp_path, change):
    found, _ = calibrate(cases(1), efficiency())
    place = tmp_path / "ours.toml"
    place.write_text(as_toml(found, made="2026-11-24", data_sha256="00", files=[]).replace(*change))
    with pytest.raises(InfraScaleError) as caught:
        read_calibration(str(place))
    assert caught.value.why and caught.value.fix


def test_a_plan_rests_on_the_calibration(tmp_path):
    slow, _ = calibrate([measured(question(c), [log(1.5), 0, 0, 0, 0, 0, 0]) for c in (1, 8, 64)], efficiency())
    place = tmp_path / "ours.toml"
    place.write_text(as_toml(slow, made="2026-11-24", data_sha256="00", files=[]))
    keys = {"model": LLAMA, "gpu": "h100-pcie", "request_per_s": 5, "gpus_per_replica": 1}
    before, after = api.plan(**keys), api.plan(**keys, calibration=str(place))
    assert after.best.performance.tpot_s.mean_s > 1.1 * before.best.performance.tpot_s.mean_s
    sure, general = api.certainty(after, calibration=str(place)), api.certainty(before)
    width = [one.token_per_s[1] / one.token_per_s[0] for one in (sure, general)]
    assert width[0] < width[1] and sure.evidence is None
    rest = api.rest(str(place), after.scenario, after.best)
    assert rest.kinship == "same" and rest.outside > 1.1 and rest.points == 3  # osl 400 where 300 was measured
    with pytest.raises(InfraScaleError, match="GPU kinds"):
        api.plan(**(keys | {"gpu": ["h100-pcie", "l40s"]}), calibration=str(place))


def test_costs_growth_and_sensitivity_rest_on_it_too(tmp_path):
    """Weights that take half as long again: more or as many GPUs in each, and more in one."""
    from datetime import date

    from infrascale.parsing.scenarios import question as asked_as
    from infrascale.studies.growth import growth
    from infrascale.studies.sensitivity import tornado

    slow, _ = calibrate([measured(question(c), [log(1.5), 0, 0, 0, 0, 0, 0]) for c in (1, 8, 64)], efficiency())
    place = str(tmp_path / "ours.toml")
    (tmp_path / "ours.toml").write_text(as_toml(slow, made="2026-11-24", data_sha256="00", files=[]))
    asked = asked_as({"model": LLAMA, "gpu": ["h100-pcie"], "users": 20000})
    own, general = (growth(asked, [20000], date(2030, 1, 1), calibration=one).steps[0] for one in (place, None))
    assert own.gpus_needed > general.gpus_needed
    assert tornado(asked, calibration=place)[0].base_gpus == own.gpus_needed
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", "cost", "--model", LLAMA, "--gpu",
               "h100-pcie", "--users", "20000", "--price", "h100-pcie=1eur/h", "--json"]  # fmt: skip
    bill = json.loads(subprocess.run([*command, "--calibration", place], capture_output=True, check=True).stdout)
    assert min(one["gpus"] for one in bill["options"]) == own.gpus_needed


def load_test(**values: object) -> LoadTest:
    point = Point(
        **{"load_kind": "closed", "concurrency": 8.0, "isl_tokens": 500.0, "osl_tokens": 200.0, "completed": 80,
           "tpot": Stat(mean_s=0.012), "ttft": Stat(mean_s=0.2)} | values  # type: ignore[arg-type]
    )  # fmt: skip
    return LoadTest(path="test.json", format="any", points=(point,), facts={"model": LLAMA})


def test_points_that_cannot_be_used_say_why():
    given = {"gpu": "h100-pcie", "tp": "1"}
    found, left = cases_of([load_test()], given)
    assert len(found) == 1 and not left and found[0].measured == {"tpot": 0.012, "ttft": 0.2}
    bound = weights_read_s(found[0].asked)
    assert bound == pytest.approx(16.06e9 / 2.0e12, rel=0.1)  # 8.03 B parameters in bf16 at 2.0 TB/s
    for values, word in (
        ({"tpot": Stat(mean_s=0.9 * bound)}, "faster"),
        ({"failed": 20}, "failed"),
        ({"isl_tokens": None}, "no_lengths"),
        ({"concurrency": None}, "no_load"),
    ):
        none, left = cases_of([load_test(**values)], given)
        assert not none and left == [("test.json", word)]
    with pytest.raises(InfraScaleError, match="no gpu"):
        cases_of([load_test()], {})
    slow = load_test(tpot=Stat(mean_s=0.03))
    other = replace(slow, facts={"model": LLAMA, "gpu": "l40s"})
    mixed = replace(slow, facts={"model": LLAMA, "gpu": "h100-pcie"})
    with pytest.raises(InfraScaleError, match="different things"):
        cases_of([mixed, other], {"tp": "1"})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-3, 3), min_size=4, max_size=4), min_size=4, max_size=4))
def test_the_little_algebra_solves(rows):
    normal = [[sum(r[i] * r[j] for r in rows) + (i == j) for j in range(4)] for i in range(4)]
    found = solved(normal, [1.0, 2.0, 3.0, 4.0])
    for row, right in zip(normal, (1.0, 2.0, 3.0, 4.0), strict=True):
        assert sum(a * x for a, x in zip(row, found, strict=True)) == pytest.approx(right, abs=1e-6)
    assert quadratic([1, 2, 3, 4], inverse(normal)) == pytest.approx(
        sum(a * b for a, b in zip(found, (1, 2, 3, 4), strict=True)), abs=1e-6
    )


def test_the_command_from_files_to_a_file(tmp_path, monkeypatch, capsys):
    from infrascale.cli import main

    folder = Path(__file__).parent / "samples" / "loadtests"
    raw = json.loads((folder / "vllm_serve.json").read_text())
    names = []
    for clients in (1, 8, 32):
        case = measured(question(clients, 512, 128), truth())
        name = f"c{clients}.json"
        names.append(name)
        (tmp_path / name).write_text(json.dumps(raw | {
            "request_rate": "inf", "max_concurrency": clients, "completed": 10 * clients, "num_prompts": 10 * clients,
            "total_input_tokens": 5120 * clients, "total_output_tokens": 1280 * clients, "mean_e2el_ms": None,
            "mean_tpot_ms": 1000 * case.measured["tpot"], "mean_ttft_ms": 1000 * case.measured["ttft"],
            "request_throughput": None, "latencies": None}))  # fmt: skip
    monkeypatch.chdir(tmp_path)
    words = ["infrascale", "calibrate", *names, "--gpu", "h100-pcie", "--model", LLAMA, "--tp", "1", "-o", "ours.toml"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None)
    said = capsys.readouterr().out
    assert "3 points" in said and "TPOT" in said and max(map(len, said.splitlines())) <= 80
    assert read_calibration("ours.toml").points == 3


def test_rows_are_predicted_with_the_calibration(tmp_path):
    """Same rows, own load tests: nearer and surer where they are kin, the same where they are not."""
    from infrascale.predicting import predict_file

    found, _ = calibrate(cases(1, 8, 32, 128), efficiency())
    seen = measured(question(24, 500), truth())
    text = "model,gpu,tp,isl,osl,concurrency,load_kind\n"
    text += f"{LLAMA},h100-pcie,1,500,300,24,closed\n{MISTRAL},a100-sxm-80gb,1,500,300,24,closed\n"
    (tmp_path / "rows.csv").write_text(text)
    tables = []
    for own in (None, found):
        predict_file(str(tmp_path / "rows.csv"), str(tmp_path / "out.csv"), None, own)
        with (tmp_path / "out.csv").open() as file:
            tables.append(list(csv.DictReader(file)))
    (general, other), (own, same) = tables
    assert same == other
    truth_s = seen.measured["tpot"]
    assert abs(log(float(own["pred_tpot_mean_s"]) / truth_s)) < abs(log(float(general["pred_tpot_mean_s"]) / truth_s))
    spans = [float(r["pred_tpot_mean_s_high"]) / float(r["pred_tpot_mean_s_low"]) for r in (own, general)]
    assert spans[0] < spans[1] and float(own["pred_tpot_mean_s_low"]) < truth_s < float(own["pred_tpot_mean_s_high"])


def test_a_calibrated_plan_is_a_plan_file_too(tmp_path, monkeypatch, capsys):
    from infrascale.cli import main
    from infrascale.parsing.plans import read_plan

    found, _ = calibrate(cases(1, 8, 32), efficiency())
    (tmp_path / "ours.toml").write_text(as_toml(found, made="2026-11-24", data_sha256="00", files=[]))
    monkeypatch.chdir(tmp_path)
    words = [
        "infrascale",
        "plan",
        "--model",
        LLAMA,
        "--gpu",
        "h100-pcie",
        "--users",
        "500",
        "--calibration",
        "ours.toml",
    ]
    screens = {}
    for extra in ([], ["--lang", "fr"], ["--json"]):
        monkeypatch.setattr("sys.argv", [*words, *extra])
        with pytest.raises(SystemExit) as done:
            main()
        assert done.value.code in (0, None)
        screens["".join(extra)] = capsys.readouterr().out
        speak(None)
    assert "in full" in screens[""] and "pleinement" in screens["--langfr"] and "90%" in screens[""]
    (tmp_path / "plan.json").write_text(screens["--json"])
    again, _ = read_plan("plan.json", api.curves)
    assert again.best.performance.tpot_s.mean_s == json.loads(screens["--json"])["best"]["tpot_mean_s"]
    with pytest.raises(InfraScaleError, match="rests on"):
        read_plan("plan.json")
