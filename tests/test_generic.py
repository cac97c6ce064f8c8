"""Models of which only the size is known: as large as they say, and never taken by a plan that did not ask."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrascale import ask, plan
from infrascale.calibration.residuals import of_its_size
from infrascale.errors import CatalogError, InfraScaleError
from infrascale.parsing.generic import generic, size_in_name
from infrascale.parsing.measurements import asked
from infrascale.uncertainty import Regime, intervals

approx = pytest.approx


@given(billions=st.floats(0.3, 2000))
@settings(max_examples=100, deadline=None)
def test_a_dense_one_is_as_large_as_its_name_says(billions):
    found = generic(f"generic:{billions:.3f}b")
    assert found.params == approx(billions * 1e9, rel=0.03) and found.assumed and not found.is_moe
    assert found.heads % 8 == 0  # up to eight GPUs can share it


@given(total=st.floats(7, 2000), share=st.floats(0.06, 0.3))
@settings(max_examples=100, deadline=None)
def test_a_sparse_one_has_about_the_sizes_its_name_says(total, share):
    found = generic(f"generic:{total:.1f}b-a{total * share:.2f}b")
    assert found.params == approx(total * 1e9, rel=0.06) and found.is_moe
    assert found.active_params == approx(total * share * 1e9, rel=0.35)


@pytest.mark.parametrize(
    ("size", "like", "rel"),
    [("8b", "llama-3.1-8b", 0.05), ("70b", "llama-3.3-70b", 0.05), ("30b-a3b", "qwen3-30b-a3b", 0.3)],
)
def test_its_speed_is_that_of_a_model_of_the_size(size, like, rel):
    row = dict(gpu="H100", tp="4", engine="vllm", isl="1000", osl="300", load_kind="closed", concurrency="32")
    from infrascale.predicting import predict

    mine, theirs = (predict(asked({**row, "model": name})).measures for name in (f"generic:{size}", like))
    assert mine["tpot_mean_s"] == approx(theirs["tpot_mean_s"], rel=rel)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("Foo-13B-Instruct", "13b"), ("lab/New-30B-A3B-FP8", "30b-a3b"), ("mix-8x7b", "8x7b"), ("tiny-360M", "360m"),
        ("Ling-1T-A50B", "1t-a50b"), ("gpt", None), ("a3b", None), ("v2.5", None), ("0b", None), ("x8x7b", None),
    ],
)  # fmt: skip
def test_the_size_that_a_name_tells(name, size):
    assert size_in_name(name) == size


@pytest.mark.parametrize(
    "name", ["generic:", "generic:0b", "generic:9e9t", "generic:3b-a9b", "generic:-1b", "generic:x"]
)
def test_what_is_no_size_is_refused(name):
    with pytest.raises(InfraScaleError) as refused:
        generic(name)
    assert "generic:13b" in refused.value.fix


def test_a_plan_refuses_an_unknown_name_and_offers_the_assumption():
    with pytest.raises(CatalogError) as refused:
        ask(model="nobody/Foo-13B-chat", gpu="h100-sxm", users=10)
    assert "generic:13b" in refused.value.fix
    assert plan(ask(model="generic:13b", gpu="h100-sxm", users=10)).best is not None


@pytest.mark.parametrize("measure", ["tpot_mean_s", "ttft_mean_s", "output_tok_per_s_total"])
@pytest.mark.parametrize("kind", ["closed", "open", "static", "saturated"])
def test_knowing_less_is_never_surer(measure, kind):
    told, size_only = (
        intervals().of(measure, Regime(kind=kind, engine="vllm", queued=False, known=True, assumed=assumed))
        for assumed in (False, True)
    )
    assert size_only.low <= told.low and size_only.high >= told.high


def test_withholding_the_architecture_keeps_size_and_format():
    row = dict(model="Qwen/Qwen3-32B", gpu="H100", tp="2", weight_precision="fp8", isl="1000", osl="300", engine="vllm")
    known = asked({**row, "load_kind": "closed", "concurrency": "8"})
    less = of_its_size(known)
    assert less.deployment.model.assumed and less.deployment.quantization.precision == "fp8"
    assert less.deployment.model.params == approx(known.deployment.model.params, rel=0.03)
