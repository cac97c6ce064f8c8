"""Files dropped into the app: the good are read, all others refused beside the field, and nothing touches the disk."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from infrascale import api
from infrascale.app.calibrate import MOST_FILES, MOST_MIB, MOST_UNPACKED_MIB, OWN
from infrascale.app.compare import of_file
from infrascale.locales import words
from infrascale.parsing.plans import provenance
from infrascale.parsing.scenarios import question

APP = str(Path(__file__).parents[1] / "app.py")
SAMPLES = Path(__file__).parent / "samples" / "loadtests"
HEADER, *ROWS = (SAMPLES / "measurements.csv").read_text(encoding="utf-8").splitlines(keepends=True)
GOOD = (HEADER + "".join(row for row in ROWS if "H100" in row)).encode()


def dropped(*files: tuple[str, bytes], **parameters: str) -> AppTest:
    """The calibration screen, with these files in it, once all work is done."""
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in ({"screen": "calibrate"} | parameters).items():
        app.query_params[name] = value
    app.run()
    app.file_uploader[0].set_value([(name, content, "application/octet-stream") for name, content in files])
    app.run()
    for _ in range(100):
        if "job_calibrate" not in app.session_state or not app.session_state["job_calibrate"].running:
            break
        time.sleep(0.1)
    return app.run()


def test_load_tests_are_read_and_the_answer_rests_on_them_once_asked():
    app = dropped(("h100.csv", GOOD), lang="fr", users="5000")
    assert not app.exception and not app.error
    own = app.session_state[OWN]
    assert own.calibration.gpu == "h100-sxm" and own.calibration.points >= 2 and own.errors
    said = [one.value for one in app.info]
    assert not any("Étalonné" in text for text in said)
    app.toggle(key="w_calibrated").set_value(True).run()
    assert app.query_params["calibrated"] in ("yes", ["yes"])
    assert any("Étalonné" in one.value for one in app.info)
    keys = {"model": "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "gpu": "h100-sxm", "users": 5000}
    best = api.plan(calibration=own.calibration, **keys).best
    assert f"{best.gpus} ×" in app.success[0].value
    app.radio(key="w_screen").set_value("answer").run()
    assert any("Étalonné" in one.value for one in app.info), "it stays with the session on the other screens"


def test_a_downloaded_calibration_dropped_again_is_the_same():
    toml = dropped(("h100.csv", GOOD)).session_state[OWN].toml
    again = dropped(("calibration.toml", toml.encode()))
    assert not again.error and again.session_state[OWN].toml == toml


BOMB = gzip.compress(b"0" * (MOST_UNPACKED_MIB + 1 << 20))


@pytest.mark.parametrize(
    "file",
    [
        ("empty.json", b""),
        ("zeros.csv", bytes(1000)),
        ("image.json", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
        ("broken.json", b'{"results": ['),
        ("deep.json", b"[" * 200_000),
        ("pickle.json", b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94."),
        ("alias.yaml", b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"),
        ("python.yaml", b"!!python/object/apply:os.system ['touch owned']\n"),
        ("bomb.json.gz", BOMB),
        ("torn.gz", BOMB[:1000]),
        ("numbers.csv", b"a,b\n" + b"1,2\n" * 1000),
        ("calibration.toml", b"version = 1\n"),
        ("calibration.toml", b"= = ="),
        ("../../etc/passwd.json", b"{}"),
    ],
    ids=lambda file: f"{file[0]}-{len(file[1])}",
)
def test_what_is_no_load_test_is_refused_beside_the_field_and_the_answer_stays(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    app = dropped(file)
    assert not app.exception and OWN not in app.session_state
    assert app.success, "the answer above is untouched"
    assert app.error and words("en").say("error.fix") in app.error[0].value
    assert "/etc" not in app.error[0].value and not list(tmp_path.iterdir())


def test_too_large_and_too_many_are_refused():
    app = dropped(("large.csv", bytes(1 + (MOST_MIB << 20))))
    assert not app.exception and app.error and "MiB" in app.error[0].value
    app = dropped(*((f"{n}.csv", GOOD) for n in range(MOST_FILES + 1)))
    assert not app.exception and app.error and OWN not in app.session_state


def test_the_same_file_twice_is_refused():
    app = dropped(("a.csv", GOOD), ("b.csv", GOOD))
    assert app.error and "repeats" in app.error[0].value


def plan_file(**keys) -> bytes:
    return json.dumps(provenance(question(keys), "exact") | {"best": None}).encode()


def test_a_plan_file_becomes_a_scenario_that_the_address_holds():
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["screen"] = "compare"
    app.run()
    raw = plan_file(model="llama-3.1-8b", users=300, isl=700)
    app.file_uploader(key="w_drop_b").set_value(("plan.json", raw, "application/json")).run()
    assert not app.exception and not app.error
    held = app.query_params["b"]
    assert json.loads(held[0] if isinstance(held, list) else held)["isl"] == 700
    assert any("300" in str(table.value) for table in app.table)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"question": 5}', b'{"question": {"model": "/etc/passwd", "users": 5}}', bytes(600_000),
     b'{"question": {"model": "llama-3.1-8b", "gpu": ["../../etc/passwd"], "users": 5}}',
     b'{"question": {"users": "x"}}'],
)  # fmt: skip
def test_what_is_no_plan_file_is_refused(raw):
    from infrascale.errors import InfraScaleError

    with pytest.raises(InfraScaleError):
        of_file("plan.json", raw)
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["screen"] = "compare"
    app.run()
    app.file_uploader(key="w_drop_b").set_value(("plan.json", raw, "application/json")).run()
    assert not app.exception and app.error and app.success
