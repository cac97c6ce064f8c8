"""Certainty: more doubt never asks fewer GPUs, and a GPU that nobody measured is less sure than one that many did."""

from __future__ import annotations

import pytest

from infrascale import api
from infrascale.certainty import certainty, nearest
from infrascale.parsing.efficiencies import efficiency

QUESTION = {"users": 5000, "tokens_per_s": 20, "ttft": 2, "isl": 1000, "osl": 400}


@pytest.mark.parametrize("model", ["llama-3.3-70b", "llama-3.1-8b", "gpt-oss-120b"])
@pytest.mark.parametrize("gpu", ["h100-sxm", "l40s", "mi300x"])
def test_the_plan_lies_between_its_bold_and_its_cautious_end(model, gpu):
    plan = api.plan(model=model, gpu=gpu, **QUESTION)
    found = certainty(plan, efficiency())
    assert found.low_gpus <= plan.best.gpus and (found.high_gpus is None or plan.best.gpus <= found.high_gpus)
    speed = plan.best.performance.token_per_s_per_request
    assert found.token_per_s[0] < speed < found.token_per_s[1]
    assert found.ttft_s[0] < plan.best.performance.ttft_s.mean_s < found.ttft_s[1]


@pytest.mark.parametrize(("model", "gpu", "gpus"), [("llama-3.3-70b", "h100-sxm", 24), ("llama-3.1-8b", "l40s", 1)])
def test_beyond_what_given_gpus_serve_the_promise_breaks_and_twice_as_much_is_proven(model, gpu, gpus):
    asked = api.ask(needs_demand=False, model=model, gpu=gpu, **{**QUESTION, "users": None, "requests_per_user": 1.0})
    found = api.capacity(gpus, asked)
    best, most = found[0]
    beyond = api.beyond(gpus, asked, found)
    assert 0 < beyond.low_requests <= most <= beyond.high_requests
    assert beyond.breaks in {check.constraint for check in best.checks}
    keys = {**QUESTION, "users": most, "requests_per_user": 1.0}
    held = {**keys, "gpus_per_replica": best.gpus_per_replica}
    assert api.plan(model=model, gpu=gpu, **held).best.replicas == best.replicas
    assert api.plan(model=model, gpu=gpu, **{**held, "users": most + best.replicas}).best.replicas > best.replicas
    assert api.plan(model=model, gpu=gpu, **{**keys, "users": 2 * most}).best.gpus == beyond.doubled_gpus


def test_what_capacity_says_of_users_is_what_they_need():
    asked = api.ask(needs_demand=False, model="llama-3.3-70b", gpu="h100-sxm", **{**QUESTION, "users": None})
    best, most = api.capacity(24, asked)[0]
    users = most / asked.share_in_flight(best.performance.e2e_s.mean_s)
    held = {"model": "llama-3.3-70b", "gpu": "h100-sxm", **QUESTION, "gpus_per_replica": best.gpus_per_replica}
    assert api.plan(**{**held, "users": 0.999 * users}).best.replicas == best.replicas
    assert api.plan(**{**held, "users": 1.02 * users}).best.replicas > best.replicas


def test_a_gpu_from_its_datasheet_alone_is_less_sure():
    def width(gpu: str) -> float:
        low, high = certainty(api.plan(model="llama-3.3-70b", gpu=gpu, **QUESTION), efficiency()).token_per_s
        return high / low

    assert width("gaudi3") > 1.3 * width("mi300x") > 1.3 * width("h200-sxm")


def test_evidence_is_the_same_shape_on_the_same_gpu_before_anything_else():
    def near(model: str, gpu: str):
        return nearest(api.plan(model=model, gpu=gpu, **QUESTION).best)

    assert near("llama-3.3-70b", "h200-sxm").near == "model"
    assert near("gpt-oss-120b", "h200-sxm").near == "gpu"
    assert near("llama-3.3-70b", "h100-nvl").near == "architecture"
    assert near("llama-3.3-70b", "mi300x") is None
    assert near("llama-3.3-70b", "h200-sxm").measurements >= 50


def test_an_infeasible_plan_has_no_certainty():
    plan = api.plan(model="llama-3.1-8b", gpu="h100-sxm", **(QUESTION | {"ttft": 0.001}))
    assert certainty(plan, efficiency()) is None
