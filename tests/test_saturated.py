"""Saturated and short runs: the fit is what predicts, tokens of a step balance, the last answer ends a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from infrascale import predicting  # noqa: E402
from infrascale.calibration import saturated  # noqa: E402
from infrascale.calibration.residuals import shipped_rows  # noqa: E402
from infrascale.hardware import Collective  # noqa: E402
from infrascale.parsing.efficiencies import efficiency  # noqa: E402
from infrascale.parsing.measurements import asked  # noqa: E402
from infrascale.serving import Limits  # noqa: E402
from infrascale.workload import Workload  # noqa: E402

RUNS = shipped_rows()["trtllm_perf_overview"]
ROW = dict(RUNS[0], engine="vllm", engine_version="0.11.0", gpu="H100-SXM-80GB", gpu_count="1", tp="1", kv_precision="",
           model="meta-llama/Llama-3.1-8B-Instruct", weight_precision="bf16", isl="200", osl="200",
           notes="")  # fmt: skip


def output(**changes: str) -> float:
    return predicting.predict(asked({**ROW, **changes})).measures["output_tok_per_s_total"]


def test_the_fits_formula_is_the_one_that_predicts(monkeypatch):
    values = {name: prior * 1.1 for name, (prior, _) in saturated.PRIORS.items()}
    rows = saturated.rows_of(RUNS[::23])
    data, known = saturated.as_data(values), efficiency()
    links = {key: Collective(**table) for key, table in data["collectives"].items()}
    with_values = replace(
        known,
        curves={**saturated.bare(known).curves, **data["curves"]},
        collectives={**known.collectives, **links},
        factors=data["factors"],
    )
    monkeypatch.setattr(predicting, "efficiency", lambda: with_values)
    found = [predicting.predict(asked(row)).measures["output_tok_per_s_total"] for row in rows.rows]
    assert len(found) > 25 and found == pytest.approx(list(rows.predicted(values)), rel=1e-9)


def test_no_step_carries_more_tokens_than_it_may():
    load = Workload(isl_tokens=300, osl_tokens=100)
    limits = predicting.balanced(Limits(max_num_seqs=1024, cached_seqs=5000, step_tokens=512), load)
    assert limits.running * (1 + 300 / 100) == pytest.approx(512)
    wide = Limits(max_num_seqs=64, cached_seqs=5000, step_tokens=8192)
    assert predicting.balanced(wide, load) == wide


def test_a_run_of_few_requests_never_fills_the_batch():
    rates = [output(load_kind="offline", n_requests=n, request_rate="") for n in ("8", "32", "128", "100000", "")]
    assert rates == sorted(rates) and rates[0] < 0.2 * rates[-1]
    assert rates[-2] == pytest.approx(rates[-1], rel=0.01)


def test_a_short_open_run_counts_its_end_and_a_long_one_does_not():
    def open_run(requests: str, notes: str = "") -> float:
        return output(load_kind="open", request_rate="4", n_requests=requests, notes=notes)

    assert open_run("20") < open_run("100") < open_run("100000")
    assert open_run("100000") == pytest.approx(800, rel=0.01)  # 4 requests/s of 200 tokens
    assert open_run("100", "ShareGPT") < open_run("100")  # the longest of many answers ends last
