"""Load tests of one's own wherever an answer is asked for: the fleet, a sweep, the API, the report."""

import json
from math import log

import pytest
from fastapi.testclient import TestClient

from infrascale import api
from infrascale.calibration.own import calibrate
from infrascale.calibration.saved import as_toml
from infrascale.cli import main
from infrascale.parsing.efficiencies import efficiency
from infrascale.server.app import create
from tests.test_calibrate import LLAMA, measured, question

ASKED = {"model": LLAMA, "gpu": "h100-pcie", "users": 30000}
FLEET = f"""
[[server]]
name = "ours"
gpu = "h100-pcie"
gpus = 8
owned = 40

[[model]]
model = "{LLAMA}"
users = 30000
"""


@pytest.fixture(scope="module")
def slow():
    """Load tests of an engine that takes twice the time for everything but the first token."""
    doubled = [log(2)] * 6 + [0.0]
    return calibrate([measured(question(c), doubled) for c in (1, 8, 64, 200)], efficiency())[0]


@pytest.fixture(scope="module")
def text(slow):
    return as_toml(slow, made="2026-11-25", data_sha256="00", files=["p1.json"])


@pytest.fixture
def here(tmp_path, monkeypatch, text):
    (tmp_path / "ours.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(monkeypatch, capsys, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["infrascale", *words])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None)
    return capsys.readouterr().out


def test_a_fleet_of_what_is_slow_needs_more(here, monkeypatch, capsys):
    (here / "fleet.toml").write_text(FLEET)
    general = json.loads(said(monkeypatch, capsys, "fleet", "fleet.toml", "--json"))
    found = json.loads(said(monkeypatch, capsys, "fleet", "fleet.toml", "--calibration", "ours.toml", "--json"))
    assert found["solution"]["gpus"] > 1.2 * general["solution"]["gpus"]


def test_a_sweep_rests_on_them_where_they_are_kin(here, monkeypatch, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    swept = f'[base]\nmodel = "{LLAMA}"\nusers = 30000\n[sweep]\ngpu = ["h100-pcie", "b200-sxm"]\nisl = [500]\n'
    (here / "study.toml").write_text(swept)
    rows = {}
    for name, more in (("general", ()), ("own", ("--calibration", "ours.toml"))):
        said(monkeypatch, capsys, "study", "study.toml", "--out", name, "--workers", "1", *more)
        rows[name] = pq.read_table(here / name / "part-00000000.parquet").to_pylist()
    assert rows["own"][0]["best_gpus"] > 1.2 * rows["general"][0]["best_gpus"]
    monkeypatch.setattr(
        "sys.argv", ["infrascale", "study", "study.toml", "--out", "general", "--calibration", "ours.toml"]
    )
    with pytest.raises(SystemExit) as done:  # rows of two kinds never mix
        main()
    assert done.value.code == 2 and "another study" in capsys.readouterr().err


def test_the_api_takes_the_file_as_text(here, text, slow):
    client = TestClient(create())
    body = {**ASKED, "gpu": ["h100-pcie"], "calibration": text}
    found = client.post("/plan", json=body).json()
    want = api.plan(**ASKED, calibration=slow).best
    assert found["best"]["gpus"] == want.gpus and found["rests_on"]["kinship"] == "same"
    assert "calibration" not in found["question"] and found["command"].endswith("--calibration calibration.toml")
    bare = client.post("/plan", json={k: v for k, v in body.items() if k != "calibration"}).json()
    assert found["best"]["gpus"] > bare["best"]["gpus"] and "rests_on" not in bare
    row = {
        "model": LLAMA,
        "gpu": "h100-pcie",
        "tp": "1",
        "isl": 1000,
        "osl": 300,
        "concurrency": 8,
        "load_kind": "closed",
    }
    cells = [
        client.post("/predict", json={"rows": [row], **more}).json()["rows"][0] for more in ({}, {"calibration": text})
    ]
    assert float(cells[1]["pred_tpot_mean_s"]) > 1.5 * float(cells[0]["pred_tpot_mean_s"])
    served = [
        client.post("/capacity", json={**body, "gpus": 16, **more}).json() for more in ({}, {"calibration": None})
    ]
    assert served[0]["rests_on"]["points"] == 4
    assert served[0]["ways"][0]["requests_in_flight"] < served[1]["ways"][0]["requests_in_flight"]


@pytest.mark.parametrize("broken", ["", "x", "version = 1", "[" * 5000, "a" * 30000])
def test_the_api_refuses_what_is_no_calibration(broken):
    answer = TestClient(create()).post("/plan", json={**ASKED, "gpu": ["h100-pcie"], "calibration": broken})
    assert 400 <= answer.status_code < 500


def test_a_saved_calibrated_plan_is_exported_and_reported(here, monkeypatch, capsys):
    words = [w for k, v in ASKED.items() for w in (f"--{k}", str(v))]
    (here / "plan.json").write_text(said(monkeypatch, capsys, "plan", *words, "--calibration", "ours.toml", "--json"))
    said(monkeypatch, capsys, "export", "plan.json", "--to", "vllm")
    assert "vllm serve" in (here / "serve.sh").read_text()
    for language, owed in (("en", "the same model on the same GPU kind"), ("fr", "le même modèle sur la même carte")):
        said(monkeypatch, capsys, "report", "plan.json", "--out", f"{language}.md", "--lang", language)
        paper = (here / f"{language}.md").read_text()
        assert owed in paper and "--calibration" in paper
    assert "reading weights" in (here / "en.md").read_text() and "No published measurement" not in paper
