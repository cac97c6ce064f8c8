"""The planner: exact against brute force, monotone in what is asked, honest about what cannot be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrascale import ask, capacity, plan
from infrascale.deployment import PhysicsTimer
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import all_gpus, gpu
from infrascale.planning import Change, Constraint, Judges, fewest_gpus
from infrascale.planning.evaluate import Judge
from infrascale.planning.planner import deployments
from infrascale.work import Batch

BLOCKS = ["llama-3.1-8b", "google/gemma-3-27b-it", "deepseek-ai/DeepSeek-R1", "openai/gpt-oss-120b",
          "nemotron-h-56b-base-8k", "qwen3-next-80b-a3b-instruct"]  # fmt: skip
BASE = {"model": "llama-3.1-8b", "gpu": ["h100-sxm"], "users": 1000, "isl": 1000, "osl": 400}
SCENARIOS = 500


def every_batch(judge):
    """Powers of two up to 1024, and the most that the cache holds, counted one by one."""
    ranks = judge.deployment.shard.dp
    held = [batch for batch in range(ranks, 1024 * ranks + 1, ranks) if judge.memory_check(batch).slack_fraction >= 0]
    return [*(2**exponent for exponent in range(11 + ranks)), *held[-1:]]


def brute_force(scenario, most_gpus):
    """The fewest GPUs by trying every deployment, N and B."""
    best = None
    for one in scenario.gpus:
        for deployment in deployments(scenario, one):
            judge = Judge(scenario=scenario, deployment=deployment, efficiency=efficiency())
            size = deployment.shard.gpus
            tried = every_batch(judge)
            for replicas in range(1, (best or most_gpus + 1) // size + 1):
                if best is not None and replicas * size >= best:
                    break
                if any(judge.outcome(replicas, batch).keeps for batch in tried):
                    best = replicas * size
                    break
    return best


#: What a user does, told in every way there is.
HABITS = [
    {"requests_per_user": 0.05}, {"requests_per_user": 0.3}, {"requests_per_user": 1.0}, {"think_s": 40},
    {"requests_per_user_hour": 20}, {"requests_per_user_hour": 300},
]  # fmt: skip


@pytest.mark.parametrize("seed", range(10))
def test_the_exact_solver_finds_what_brute_force_finds(seed):
    rng = random.Random(seed)
    for _ in range(SCENARIOS // 10):
        asked = ask(
            model=rng.choice(["llama-3.1-8b", "openai/gpt-oss-20b", "Qwen/Qwen3-32B"]),
            gpu=[rng.choice(["h100-sxm", "a100-sxm-80gb", "l40s", "mi300x"])],
            users=rng.choice([1, 10, 60, 200]),
            **rng.choice(HABITS),
            tokens_per_s=rng.uniform(5, 120),
            ttft=rng.choice([0.05, 0.2, 1.0, 5.0]),
            isl=rng.randint(10, 6000),
            osl=rng.randint(2, 1500),
            gpus_per_replica=rng.choice([[1], [1, 2], [2, 4]]),
            max_num_seqs=1024,
        )
        found = plan(asked)
        truth = brute_force(asked, most_gpus=24)
        if truth is None:
            assert found.best is None or found.best.gpus > 24
        else:
            assert found.best is not None and found.best.gpus == truth


def test_a_plan_keeps_its_own_constraints():
    best = plan(**BASE).best
    assert all(check.needed <= check.available * (1 + 1e-9) for check in best.checks)
    assert best.gpus == best.replicas * best.gpus_per_replica


def test_more_users_never_need_fewer_gpus_up_to_ten_million():
    counts = [plan(**{**BASE, "users": users}).best.gpus for users in (10, 1e3, 1e5, 1e7)]
    assert counts == sorted(counts) and counts[-1] > 1000


@pytest.mark.parametrize("habit", [{}, {"requests_per_user": 0.15}, {"requests_per_user_hour": 60}, {"think_s": 60}])
def test_a_faster_promise_never_needs_fewer_gpus(habit):
    counts = [plan(**{**BASE, **habit, "tokens_per_s": speed}).best.gpus for speed in (5, 20, 60, 90)]
    assert counts == sorted(counts)


def test_short_answers_are_read_no_faster_than_prompts_can_be():
    """A word or two for each prompt: one GPU reads so many a second and no more, however many wait for it."""
    asked = ask(**{**BASE, "osl": 2}, requests_per_user_hour=60)
    deployment = next(iter(deployments(asked, gpu("h100-sxm"))))
    judge = Judge(scenario=asked, deployment=deployment, efficiency=efficiency())
    extra_s = judge.timer(Batch(prefill_tokens=1000, prefill_seqs=1)) - judge.timer(Batch(decode_seqs=1))
    rates = [judge.performance(flying, 1024).request_per_s for flying in (1, 2, 4, 8, 16, 32)]
    assert rates == sorted(rates) and rates[-1] < 1 / extra_s
    keys = {**BASE, "model": "llama-3.3-70b", "users": 4289, "requests_per_user_hour": 60, "osl": 2}
    counts = [plan(**keys, tokens_per_s=speed).best.gpus for speed in (3, 4, 5)]
    assert counts == sorted(counts)


def test_users_ask_as_often_as_is_said_however_fast_they_are_answered():
    """Short answers under a patient promise: in flight is what the plan leaves there, not what the promise would."""
    asked = {**BASE, "users": 36000, "requests_per_user_hour": 20, "osl": 30, "ttft": 9.0}
    best = plan(**asked).best
    assert best.performance.request_per_s * best.replicas == pytest.approx(200, rel=0.01)
    assert best.load * best.max_batch * best.replicas < 200 * 3


@pytest.mark.parametrize("gpu_memory_utilization", [0.45, 0.6, 0.9])
def test_a_rate_leaves_places_for_its_busy_moments(gpu_memory_utilization):
    """A mean promise under random arrivals: the wait of the queueing engine stays within it too."""
    keys = {**BASE, "users": None, "request_per_s": 150.0, "gpu_memory_utilization": gpu_memory_utilization}
    best = plan(**keys).best
    assert best.load * best.max_batch + 2 * (best.load * best.max_batch) ** 0.5 <= best.max_batch * (1 + 1e-6)
    judge = Judge(scenario=ask(**keys, ttft_percentile=50), deployment=best.deployment, efficiency=efficiency())
    found = judge.performance(best.load * best.max_batch, best.max_batch)
    assert found.ttft_s.mean_s < 1.0 and found.ttft_s.quantiles_s[0.95] < 2.0


def test_those_who_queue_do_not_slow_those_who_run():
    asked = ask(**BASE, requests_per_user=0.1)
    deployment = next(iter(deployments(asked, gpu("h100-sxm"))))
    judge = Judge(scenario=asked, deployment=deployment, efficiency=efficiency())
    full, queued = judge.performance(64, 64), judge.performance(128, 64)
    assert queued.token_per_s_per_request == pytest.approx(full.token_per_s_per_request)
    assert queued.ttft_s.mean_s > full.ttft_s.mean_s


def test_a_rate_obeys_littles_law():
    best = plan(**{**BASE, "users": None, "request_per_s": 12.0}).best
    inside = best.load * best.max_batch * best.replicas
    assert inside == pytest.approx(12.0 * best.performance.e2e_s.mean_s, rel=1e-3)


def test_an_infeasible_question_names_the_best_there_is():
    found = plan(**{**BASE, "ttft": 0.001})
    assert found.best is None
    waits = [r for r in found.rejected if r.constraint is Constraint.WAIT]
    nearest = min(r.available for r in waits)
    assert plan(**{**BASE, "ttft": nearest * 1.0001}).best is not None


def test_what_is_planned_is_what_capacity_says():
    _, most = capacity(4, **{**BASE, "users": None})[0]
    again = plan(**{**BASE, "requests_per_user": 1.0, "users": most})
    assert again.best.gpus <= 4
    more = plan(**{**BASE, "requests_per_user": 1.0, "users": most * 1.05})
    assert more.best.gpus > 4


def test_what_is_owned_serves_a_percentile_up_to_a_batch_that_is_all_but_full():
    asked = {**BASE, "gpu": ["h200-sxm"], "isl": 200, "osl": 100, "ttft": 5.0, "ttft_percentile": 95, "tokens_per_s": 8}
    best, requests = capacity(2, ask(**asked))[0]
    assert best.performance.ttft_s.quantiles_s[0.95] < 5.0
    rate = best.replicas * best.performance.request_per_s
    assert requests == pytest.approx(rate * best.performance.e2e_s.mean_s, rel=1e-3)
    assert plan(**{**asked, "users": None, "request_per_s": rate * 0.999}).best.gpus == 2


def test_redundancy_adds_replicas():
    one, two = plan(**BASE).best, plan(**BASE, redundancy=1).best
    assert two.gpus == one.gpus + one.gpus_per_replica


def test_every_gpu_of_the_catalog_can_be_asked():
    assert len(all_gpus()) >= 40
    found = plan(**{**BASE, "gpu": ["any"]})
    assert found.best is not None
    assert {c.deployment.gpu.id for c in (found.best, *found.others)} > {"t4", "mi300x", "b200", "l4"}


@pytest.mark.parametrize(
    "bad",
    [
        {"users": 0}, {"users": -3}, {"users": float("nan")}, {"users": float("inf")}, {"users": 1e30},
        {"isl": 1e7}, {"model": "lama-3.1-8b"}, {"gpu": ["h1000"]}, {"precision": ["fp7"]}, {"ttft": 0},
        {"request_per_s": 3}, {"tpot_s": 0.01, "tokens_per_s": 3}, {"colour": 1}, {"osl": 0},
        {"gpu": ["a100"], "kv_cache_dtype": "fp8"}, {"think_s": 3, "requests_per_user": 0.1},
    ],
)  # fmt: skip
def test_a_bad_question_is_refused_with_the_mend(bad):
    with pytest.raises(InfraScaleError) as error:
        plan(**{**BASE, **bad})
    assert error.value.why and error.value.fix


@pytest.mark.parametrize("users", [50, 1000, 40000])
def test_nelder_mead_keeps_the_constraints_and_never_beats_the_proof(users):
    exact, searched = plan(**{**BASE, "users": users}), plan(**{**BASE, "users": users}, solver="nelder-mead")
    assert searched.best.gpus >= exact.best.gpus
    assert searched.excess_fraction == pytest.approx(searched.best.gpus / exact.best.gpus - 1)
    assert all(check.needed <= check.available * (1 + 1e-9) for check in searched.best.checks)


@pytest.mark.parametrize("name", BLOCKS)
@settings(max_examples=40, deadline=None)
@given(
    prompt=st.sampled_from([0.0, 1.0, 100.0, 5000.0]),
    past=st.integers(0, 9000),
    seqs=st.floats(0, 2000),
    context=st.integers(1, 20000),
    gpu_id=st.sampled_from(["h100-sxm", "l40s", "mi300x"]),
    pick=st.integers(0, 30),
)
def test_recorded_operators_take_the_time_of_plain_ones(name, prompt, past, seqs, context, gpu_id, pick):
    """Grouped, latent and windowed attention, recurrent layers, dense and sparse feed-forward, every cut."""
    ways = list(deployments(ask(model=name, gpu=[gpu_id], users=1), gpu(gpu_id)))
    timer = PhysicsTimer(deployment=ways[pick % len(ways)], efficiency=efficiency())
    batch = Batch(
        prefill_tokens=prompt,
        prefill_seqs=1.0 if prompt else 0.0,
        prefill_past_tokens=past if prompt else 0.0,
        decode_seqs=seqs,
        context_tokens=seqs * context,
    )
    assert timer._forms(batch) is not None  # recorded, not the plain way
    assert timer.kernels_s(batch) == pytest.approx(timer.plain_kernels_s(batch), rel=1e-12)


@pytest.mark.parametrize("name", ["deepseek-ai/DeepSeek-R1", "openai/gpt-oss-120b", "llama-3.1-8b"])
def test_experts_spread_only_over_what_vllm_can_start(name):
    """Its expert parallelism is tensor times data parallelism; attention ranks make no sense for a dense model."""
    asked = ask(model=name, gpu=["h200-sxm"], users=1)
    shards = [way.shard for way in deployments(asked, gpu("h200-sxm"))]
    assert len(set(shards)) == len(shards)
    assert all(shard.ep in (1, shard.tp * shard.dp) and asked.model.heads % shard.tp == 0 for shard in shards)
    assert any(shard.dp > 1 for shard in shards) == asked.model.is_moe


def test_attention_ranks_keep_a_latent_cache_from_being_copied():
    asked = ask(model="deepseek-ai/DeepSeek-R1", gpu=["h200-sxm"], users=1)
    judges = [Judge(scenario=asked, deployment=one, efficiency=efficiency())
              for one in deployments(asked, gpu("h200-sxm")) if one.shard.gpus == 8]  # fmt: skip
    held = {judge.deployment.shard.dp: judge for judge in judges}
    cache = {ranks: held[ranks].memory_check(32 * ranks).needed - held[ranks].memory.needed_bytes for ranks in (1, 8)}
    assert cache[8] == pytest.approx(cache[1])


def test_a_fixed_max_model_len_must_fit_as_one_request():
    """70 billion parameters in bf16 leave two H100 too little for 131,072 tokens of cache; four hold them."""
    keys = {**BASE, "model": "llama-3.3-70b", "users": 1, "tokens_per_s": 1, "gpu_memory_utilization": 0.95}
    assert plan(**keys, gpus_per_replica=[2]).best is not None
    refused = plan(**keys, gpus_per_replica=[2], max_model_len=131072)
    assert refused.best is None and refused.rejected[0].constraint is Constraint.MEMORY
    assert plan(**keys, gpus_per_replica=[4], max_model_len=131072).best is not None


@pytest.mark.parametrize(
    "hard",
    [{"ttft": 0.02}, {"tokens_per_s": 900}, {"ttft": 0.02, "tokens_per_s": 900}, {"max_gpus": 1, "users": 1e5},
     {"model": "llama-3.3-70b", "gpus_per_replica": [1]}],
)  # fmt: skip
def test_each_nearest_change_makes_the_question_feasible_and_a_smaller_one_does_not(hard):
    keys = {**BASE, "gpu": ["l40s"], **hard}
    found = plan(**keys)
    assert found.best is None and found.nearest
    for one in found.nearest:
        if one.change is Change.GPU:
            assert plan(**{**keys, "gpu": [one.deployment.gpu.id]}).best.gpus == one.candidate.gpus
        elif one.change is Change.PRECISION:
            again = plan(**{**keys, "precision": [one.deployment.quantization.precision]})
            assert again.best.gpus == one.candidate.gpus
        elif one.change is Change.STOCK:
            assert plan(**{**keys, "max_gpus": one.best}).best.gpus == one.best
            assert plan(**{**keys, "max_gpus": one.best - 1}).best is None
        elif one.change is Change.PROMISE and len(hard) == 1:
            key, little = ("ttft", 1e-6) if one.constraint is Constraint.WAIT else ("tokens_per_s", -1e-6)
            assert plan(**{**keys, key: one.best * (1 + little)}).best is not None
            assert plan(**{**keys, key: one.best * (1 - little)}).best is None
    assert {one.change for one in found.nearest} & {Change.GPU, Change.PROMISE, Change.STOCK, Change.PRECISION}


@pytest.mark.parametrize("seed", range(6))
def test_the_number_alone_is_the_plans(seed):
    """Ways that cannot win are passed over there, and nothing else: with and without limits, means and percentiles."""
    rng = random.Random(seed)
    for _ in range(4):
        asked = ask(
            model=rng.choice(["llama-3.1-8b", "Qwen/Qwen3-32B"]),
            gpu=rng.sample(["h100-sxm", "h200-sxm", "l40s", "mi300x"], 2),
            users=rng.choice([1, 200, 3000, 50_000]),
            tokens_per_s=rng.uniform(5, 60),
            ttft=rng.choice([0.2, 1.0, 5.0]),
            ttft_percentile=rng.choice([None, 95, 99]),
            redundancy=rng.choice([0, 1]),
            max_gpus=rng.choice([None, 40]),
            max_kw=rng.choice([None, 30.0]),
        )
        found, judged = plan(asked).best, Judges()
        for judge in (Judge, judged, judged):
            gpus = fewest_gpus(asked, efficiency(), judge)
            assert gpus == (found.gpus if found else None)
            for below in (gpus, gpus + 1) if gpus else (5,):  # what is not fewer is None
                assert fewest_gpus(asked, efficiency(), judge, below) == (gpus if gpus and gpus < below else None)
