"""Calibration: columns equal the timers they stand for, intervals cover what they promise, rules read labels only."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from infrascale.calibration.columns import columns  # noqa: E402
from infrascale.calibration.conformal import coverage_left_out, ends, spreads  # noqa: E402
from infrascale.calibration.hosts import PRIORS, as_data, rows_of, unscaled  # noqa: E402
from infrascale.calibration.residuals import Residual, excluded, residuals, shipped_rows, unlike, warm_up  # noqa: E402
from infrascale.calibration.withheld import NeverMeasured, without  # noqa: E402
from infrascale.deployment import PhysicsTimer  # noqa: E402
from infrascale.hardware import Host, Scale  # noqa: E402
from infrascale.parsing.efficiencies import efficiency  # noqa: E402
from infrascale.parsing.gpus import gpu  # noqa: E402
from infrascale.parsing.measurements import asked  # noqa: E402
from infrascale.predicting import predict_row  # noqa: E402
from infrascale.serving import Regime as Load  # noqa: E402
from infrascale.serving import closed_loop, limits_of  # noqa: E402
from infrascale.uncertainty import Regime, intervals  # noqa: E402
from infrascale.work import Batch, Message, Shard  # noqa: E402

SILICON = shipped_rows()["aic_silicon"]
SOME = SILICON[::97]


def test_columns_are_the_timers_kernels_under_any_scale():
    scales = {
        "gemm": Scale(moving=1.1, computing=0.9),
        "gemm/fp8": Scale(launch=2.0),
        "communication": Scale(launch=3, moving=3),
    }
    deployments = [asked(row).deployment for row in SOME]
    batches = [Batch(decode_seqs=17, context_tokens=9000), Batch(prefill_tokens=800, prefill_seqs=1, decode_seqs=5)]
    found = columns([(d, b) for d in deployments for b in batches], unscaled()).kernels_s(scales)
    scaled = replace(unscaled(), scales=scales)
    expected = [PhysicsTimer(deployment=d, efficiency=scaled).kernels_s(b) for d in deployments for b in batches]
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_fits_formula_is_the_one_that_serves():
    rows = [row for row in SILICON[::7] if row["engine"] in ("vllm", "sglang") and "DISAGG" not in row["notes"]]
    values = {name: prior for name, (prior, _) in PRIORS.items()}
    found = rows_of(rows, unscaled())
    tpot, ttft = found.predicted(values)
    sorting = replace(unscaled(), curves={**unscaled().curves, **as_data(values)["curves"]})
    assert len(found.rows) > 20 and set(found.engine) == {0, 1}
    for kept, row in enumerate(found.rows):
        question = asked(row)
        timer = PhysicsTimer(deployment=question.deployment, efficiency=sorting)
        new, name = bool(found.new[kept]), question.deployment.engine.name
        host = replace(
            timer.host,
            step_s=values["vllm>=0.15.step_s" if new else f"{name}.step_s"],
            seq_s=values["vllm.seq_s"],
            request_s=values[f"{name}.request_s"],
            prompt_token_s=values[f"{name}.prompt_token_s"],
        )

        def step_s(batch, timer=timer, host=host):
            return timer.kernels_s(batch) + host.step_s + host.seq_s * batch.seqs

        limits = limits_of(question.deployment, question.workload)
        served = closed_loop(
            step_s, question.workload, limits, host, values, question.concurrency, Load.BURST, question.waves
        )
        assert tpot[kept] == pytest.approx(served.tpot_s.mean_s, rel=1e-9)
        assert ttft[kept] == pytest.approx(served.ttft_s.mean_s, rel=1e-9)


def test_conformal_ends_cover_new_draws_at_the_stated_rate():
    rng = np.random.default_rng(5)
    drawn = rng.normal(0.1, 0.3, 100_000)
    low, high = ends(list(rng.normal(0.1, 0.3, 9_999)))
    assert np.mean((drawn >= low) & (drawn <= high)) == pytest.approx(0.9, abs=0.015)


def residual(model: str, log_ratio: float, known: bool = True) -> Residual:
    regime = Regime(kind="closed", engine="vllm", queued=False, known=known)
    return Residual(source="s", measure="tpot_mean_s", regime=regime, version="", gpu="h100", model=model,
                    predicted=math.exp(log_ratio), measured=1.0)  # fmt: skip


def test_models_that_differ_widen_the_interval_beyond_their_rows():
    rng = np.random.default_rng(1)
    shifts = {"a": -0.3, "b": 0.0, "c": 0.3, "d": 0.15, "e": -0.15}
    group = [residual(m, shift + float(rng.normal(0, 0.02))) for m, shift in shifts.items() for _ in range(40)]
    found = spreads(group)["tpot_mean_s/closed/vllm"]
    low, high = ends([-r.log_ratio for r in group])
    assert found.low < low and found.high > high
    assert coverage_left_out(group, lambda r: r.model, 1.0) < 0.9


def test_shipped_intervals_hold_the_prediction_of_the_best_known_regime():
    regime = Regime(kind="closed", engine="vllm", queued=False, known=True)
    spread = intervals().of("tpot_mean_s", regime)
    assert spread.low < 0 < spread.high and spread.rows > 500
    wide = intervals().of("tpot_mean_s", replace(regime, known=False))
    assert wide.high - wide.low > spread.high - spread.low  # a GPU without kernel tables is less sure


def test_exclusion_reads_labels_and_never_measurements():
    for row in SILICON[::31]:
        blind = {key: ("" if key.startswith(("ttft", "tpot", "itl", "e2e", "output")) else v) for key, v in row.items()}
        assert excluded(blind) == excluded(row)


def test_residuals_compare_what_was_measured():
    found = residuals(SOME, "aic_silicon")
    assert {r.measure for r in found} == {"tpot_mean_s", "ttft_mean_s"}
    assert all(r.predicted > 0 and r.measured > 0 for r in found)


def rows_like(engine: str, model: str, **cells: str) -> list:
    return [
        row
        for row in SILICON
        if row["engine"] == engine and model in row["model"] and all(row[key] == v for key, v in cells.items())
    ]


@pytest.mark.parametrize(
    ("engine", "model", "cells", "steps"),
    [
        ("sglang", "DeepSeek-V3", {"gpu": "B200-SXM-180GB", "concurrency": "4"}, 10),
        ("sglang", "DeepSeek-V3", {"gpu": "B200-SXM-180GB", "concurrency": "64"}, 30),
        ("sglang", "DeepSeek-V3", {"gpu": "H200-SXM-141GB"}, 0),
        ("trtllm", "Llama-3.1-70B", {"tp": "2", "isl": "1024", "osl": "1024"}, 20),
        ("trtllm", "Llama-3.1-70B", {"tp": "8", "isl": "1024", "osl": "1024"}, 0),
        ("trtllm", "Llama-3.1-70B", {"tp": "2", "isl": "8192", "osl": "1024"}, 0),
    ],
)
def test_published_recipes_set_what_their_rows_do_not_tell(engine, model, cells, steps):
    rows = [row for row in rows_like(engine, model, **cells) if "family=inferencex" in row["notes"]]
    rows = [row for row in rows if "DISAGG" not in row["notes"]]
    assert len(rows) > 3 and {asked(row).deployment.engine.admission_wait_steps for row in rows} == {steps}
    plain = dict(rows[0], notes=rows[0]["notes"].replace("family=inferencex", ""))
    assert asked(plain).deployment.engine.admission_wait_steps == asked(plain).deployment.engine.first_text_steps == 0


@pytest.mark.parametrize(
    ("engine", "model", "steps"), [("trtllm", "DeepSeek-V3", 9), ("sglang", "DeepSeek-V3", 10), ("trtllm", "Llama", 0)]
)
def test_a_benchmark_that_asks_for_ten_tokens_at_once_is_read_so(engine, model, steps):
    rows = [row for row in rows_like(engine, model) if "family=inferencex" in row["notes"]]
    rows = [row for row in rows if "DISAGG" not in row["notes"]]
    assert len(rows) > 20 and {asked(row).deployment.engine.first_text_steps for row in rows} == {steps}


@pytest.mark.parametrize(("engine", "old", "new"), [("sglang", "0.4.3.post2", "0.5.9"), ("vllm", "0.7.3", "0.15.1")])
def test_the_first_releases_took_longer_for_latent_attention_and_for_nothing_else(engine, old, new):
    def token_s(name: str, release: str) -> float:
        row = rows_like("sglang", "DeepSeek-V3", gpu="H200-SXM-141GB", concurrency="4", isl="1024")[0]
        found = predict_row({**row, "model": name, "engine": engine, "engine_version": release, "notes": ""})
        return float(found["pred_tpot_mean_s"])

    assert token_s("deepseek-ai/DeepSeek-R1", old) > 2 * token_s("deepseek-ai/DeepSeek-R1", new)
    assert token_s("meta-llama/Llama-3.1-70B", old) < 1.3 * token_s("meta-llama/Llama-3.1-70B", new)


def test_a_run_that_compiles_inside_its_measured_part_has_warm_up_in_its_first_tokens():
    rows = [row for row in rows_like("sglang", "DeepSeek") if "DISAGG" not in row["notes"]]
    cold = [row for row in rows if warm_up(row)]
    assert len(cold) > 40 and all("measured=2025" in row["notes"] for row in cold)
    assert not any(warm_up(row) for row in rows_like("vllm", "Llama-3.1-70B"))


def test_a_chip_never_measured_has_no_curve_of_its_kind_and_keeps_all_others():
    general, hopper = efficiency(), gpu("h200-sxm")
    left = without(general, hopper)
    gone = set(general.curves) - set(left.curves)
    assert gone and all("@hopper" in key or "@h" in key for key in gone)
    assert not any("@hopper" in key for key in (*left.curves, *left.collectives)) and "hopper" not in left.tables
    assert left.hosts == general.hosts and any("@blackwell" in key for key in left.curves)
    assert not any("@amd" in key or "@cdna3" in key for key in without(general, gpu("mi300x")).curves)


def test_what_nobody_measured_and_what_a_row_leaves_out_is_less_sure_by_measured_errors():
    def width(measure: str, **differs) -> float:
        told = Regime(kind="closed", engine="vllm", queued=False, known=True)
        spread = intervals().of(measure, replace(told, **differs))
        return spread.high - spread.low

    for measure in ("tpot_mean_s", "ttft_mean_s"):
        assert width(measure) < width(measure, untold="format") < width(measure, untold="gpu")
        assert width(measure) < width(measure, known=False, seen=False)
        assert width(measure, known=False, seen=False) < width(measure, known=False, seen=False, kin=False)


def test_a_blank_cell_is_told_in_the_regime_and_the_interval_is_the_wider_one():
    row = dict(rows_like("vllm", "Llama-3.1-70B", gpu="H200-SXM-141GB", weight_precision="fp8")[0])
    blank = asked({**row, "gpu": ""}), asked({**row, "weight_precision": ""})
    assert [question.untold for question in (asked(row), *blank)] == ["", "gpu", "format"]

    def ratio(cells: dict[str, str]) -> float:
        found = predict_row({**row, **cells})
        return float(found["pred_tpot_mean_s_high"]) / float(found["pred_tpot_mean_s_low"])

    assert ratio({}) < ratio({"weight_precision": ""}) < ratio({"gpu": ""})


def test_ranks_schedule_their_own_sequences_unless_one_of_them_gathers_all():
    batch = Batch(decode_seqs=320, context_tokens=320_000)
    own, gathered = (Host(step_s=1e-3, seq_s=1e-5, gathers=g) for g in (False, True))
    assert own.of_step_s(batch, Shard(dp=32)) == pytest.approx(1e-3 + 1e-4)
    assert own.of_step_s(batch, Shard(tp=32)) == gathered.of_step_s(batch, Shard(dp=32)) == pytest.approx(1e-3 + 3.2e-3)


def test_what_a_row_says_nothing_about_is_not_compared():
    closed = dict(SILICON[0], load_kind="closed", concurrency="8", notes="", engine="vllm", gpu="H100-SXM-80GB")
    assert not excluded(closed)
    assert excluded({**closed, "load_kind": "open", "concurrency": "", "request_rate": ""}) == "no rate is told"
    assert "open division" in excluded({**closed, "notes": "div=open; benchmark=llama2-70b-99"})
    assert "dropped" in excluded({**closed, "notes": "FLAG: RUN LATER DROPPED BY THE AUTHORS"})
    assert unlike({**closed, "notes": "stack=lmcache; replicas=1"}, "ttft_mean_s")
    assert unlike({**closed, "osl": ""}, "e2e_mean_s") and not unlike({**closed, "osl": ""}, "tpot_mean_s")


def test_a_run_of_n_requests_never_has_more_in_flight():
    row = dict(SILICON[0], model="Llama-3.1-8B", engine="vllm", engine_version="0.15", gpu="H100-SXM-80GB", tp="1",
               gpu_count="1", ep="", weight_precision="bf16", isl="256", osl="512", load_kind="open", concurrency="",
               request_rate="500", notes="")  # fmt: skip
    few, many = (float(predict_row({**row, "n_requests": n})["pred_tpot_mean_s"]) for n in ("20", "2000"))
    assert few < 0.7 * many


def test_watts_are_those_of_all_cards_that_a_row_counts():
    row = dict(SILICON[0], model="Llama-3.1-8B", engine="vllm", engine_version="0.15", gpu="H100-SXM-80GB", tp="1",
               gpu_count="1", ep="", weight_precision="bf16", isl="256", osl="512", load_kind="open", concurrency="",
               request_rate="1", notes="")  # fmt: skip
    one = float(predict_row(row)["pred_power_w"])
    assert float(predict_row({**row, "gpu_count": "4", "request_rate": "4"})["pred_power_w"]) == pytest.approx(
        4 * one, rel=1e-4
    )


def test_what_is_withheld_is_predicted_and_compared_again():
    rows = rows_like("vllm", "Llama-3.1-70B", gpu="H200-SXM-141GB")[:6]
    told, unseen = residuals(rows, "aic_silicon"), residuals(rows, "aic_silicon", own=NeverMeasured())
    blind = residuals(rows, "aic_silicon", blank=("gpu",))
    assert [r.measured for r in told] == [r.measured for r in unseen] == [r.measured for r in blind] and told
    assert all(a.predicted != b.predicted for a, b in zip(told, unseen, strict=True))
    assert {r.regime.untold for r in blind} == {"gpu"}


@pytest.mark.parametrize(("card", "gpus", "mib", "measured_s"), [
    ("h100-sxm", 8, 128, 0.577e-3), ("h100-sxm", 4, 128, 0.613e-3), ("b200", 2, 128, 0.271e-3),
    ("b200", 4, 256, 0.659e-3), ("a100-sxm-80gb", 8, 256, 2.183e-3), ("h100-sxm", 8, 2, 19e-6),
])  # fmt: skip
def test_all_reduces_short_and_long_are_the_measured_tables(card, gpus, mib, measured_s):
    """NCCL and vLLM custom all-reduce of aiconfigurator-core 0.12.0 (Apache-2.0)."""
    found = gpu(card)
    law = efficiency().collective(found.link, found)
    message = Message(pattern="all_reduce", message_bytes=mib * 2**20, gpus=gpus)
    assert law.seconds(message, found.link) == pytest.approx(measured_s, rel=0.15)
    assert law.bound("all_reduce", gpus, found.link)(mib * 2**20) == pytest.approx(law.seconds(message, found.link))


def test_a_longer_message_never_takes_less_and_never_more_than_in_two():
    found = gpu("h100-sxm")
    line = efficiency().collective(found.link, found).bound("all_reduce", 8, found.link)
    sizes = [2.0**power for power in range(10, 30)]
    times = [line(size) for size in sizes]
    assert times == sorted(times) and all(line(2 * size) <= 2 * line(size) for size in sizes)


PARTS = ("tpot_mean_s", "ttft_mean_s", "e2e_mean_s", "output_tok_per_s_total")


@pytest.mark.parametrize("measure", PARTS)
@pytest.mark.parametrize("kind", ["closed", "open", "static", "saturated"])
def test_what_nobody_measured_is_at_least_as_doubtful_as_what_it_may_be_like(measure, kind):
    usual = Regime(kind=kind, engine="vllm", queued=False, known=True)
    kin = replace(usual, known=False, seen=False)
    for stranger in (replace(kin, kin=False), replace(kin, kin=False, early=True), replace(usual, new=True)):
        like = kin if not stranger.kin else usual
        wide, narrow = (intervals().of(measure, regime) for regime in (stranger, like))
        assert wide.low <= narrow.low and wide.high >= narrow.high


def test_another_makers_chip_is_less_doubtful_under_a_later_release():
    row = dict(SOME[0], gpu="Gaudi 3", model="meta-llama/Llama-3.1-8B", engine="vllm", tp="1", gpu_count="1",
               load_kind="offline", concurrency="16", notes="", weight_precision="bf16")  # fmt: skip
    spans = []
    for version in ("0.5.4", "0.11.0"):
        cells = predict_row({**row, "engine_version": version})
        name = "pred_output_tok_per_s_total"
        spans.append(math.log(float(cells[f"{name}_high"]) / float(cells[f"{name}_low"])))
    assert spans[1] < 0.5 * spans[0]


@pytest.mark.parametrize(("version", "new"), [("0.7.3", True), ("0.11.0", False), ("", False)])
def test_latent_attention_in_a_release_where_it_was_new_is_said_and_doubted(version, new):
    row = dict(SOME[0], gpu="H200", model="deepseek-ai/DeepSeek-R1", engine="vllm", engine_version=version)
    row |= dict(tp="8", gpu_count="8", ep="", load_kind="closed", concurrency="16", notes="", weight_precision="fp8")
    cells = predict_row(row)
    ratio = float(cells["pred_tpot_mean_s_high"]) / float(cells["pred_tpot_mean_s"])
    assert ("latent attention" in cells["reason"]) == new and (ratio > 5) == new
