"""Many replicas: conserved requests, two ways to the same records, deaths, users who come again, the verb itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from infrascale.errors import ScenarioError  # noqa: E402
from infrascale.serving.simulation import fleet as fleets  # noqa: E402
from infrascale.serving.simulation.fleet import Change, Fleet, Requests, simulate_fleet  # noqa: E402
from infrascale.serving.simulation.outcome import outcome  # noqa: E402
from infrascale.serving.simulation.request import PS_PER_S, Settings  # noqa: E402
from infrascale.serving.simulation.routing import POLICIES  # noqa: E402
from infrascale.serving.simulation.steptable import graph_sizes, tabulate  # noqa: E402
from infrascale.serving.simulation.trace import chrome_trace  # noqa: E402
from infrascale.work import Batch  # noqa: E402

pytestmark = pytest.mark.slow  # the first run compiles for half a minute

KNOBS = Settings(kv_blocks=3000, max_num_seqs=64)


def timer(batch: Batch) -> float:
    return 4e-3 + 2e-5 * batch.prefill_tokens + 3e-5 * batch.decode_seqs + 4e-8 * batch.context_tokens


@pytest.fixture(scope="module")
def table():
    return tabulate(
        timer, max_num_seqs=64, max_num_batched_tokens=8192, context_tokens=1400, cached_tokens=48000,
        graphs=graph_sizes(64),
    )  # fmt: skip


def talk(count: int = 5000, rate: float = 60.0) -> Requests:
    rng = np.random.default_rng(1)
    isl = rng.integers(1, 900, count)
    return Requests(
        arrival_s=np.cumsum(rng.exponential(1 / rate, count)),
        isl_tokens=isl,
        osl_tokens=rng.integers(1, 400, count),
        stream=rng.integers(0, count // 5, count),
        prefix=rng.integers(0, 5, count),
        prefix_tokens=np.minimum(isl, 200),
    )


@pytest.mark.parametrize("replicas", (1, 3))
def test_who_looks_on_changes_nothing_and_may_end_it(table, replicas):
    traffic, fleet, told = talk(200_000), Fleet(replicas=replicas), []
    alone = simulate_fleet(traffic, table, KNOBS, fleet)
    watched = simulate_fleet(traffic, table, KNOBS, fleet, progress=lambda done, total: told.append((done, total)))
    assert (alone.last_ps == watched.last_ps).all()
    assert [done for done, _ in told] == sorted(done for done, _ in told) and told[-1][0] <= 200_000 == told[-1][1]

    def enough(done: int, total: int) -> None:
        ended.append(done)
        raise KeyboardInterrupt

    ended: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        simulate_fleet(talk(1_000_000), table, KNOBS, fleet, progress=enough)
    assert len(ended) == 1 and ended[0] < 1_000_000


@pytest.mark.parametrize("policy", ("round-robin", "random", "session"))
def test_replicas_one_by_one_are_replicas_on_one_clock(table, policy):
    fleet = Fleet(replicas=5, policy=policy)
    apart = simulate_fleet(talk(), table, KNOBS, fleet)
    together = fleets._together(talk(), table, KNOBS, fleet, np.empty(0), np.zeros(2, dtype=np.int64))
    assert (apart.last_ps == together.last_ps).all() and (apart.replica == together.replica).all()
    assert (apart.gaps == together.gaps).all()


@pytest.mark.parametrize("policy", POLICIES)
def test_every_request_is_answered_though_a_replica_dies_and_one_comes_late(table, policy):
    changes = (Change(at_s=20, replica=2, alive=False), Change(at_s=50, replica=2, alive=True))
    changes += (Change(at_s=40, replica=4, alive=True),)
    requests = talk()
    found = simulate_fleet(requests, table, KNOBS, Fleet(replicas=5, policy=policy, changes=changes))
    assert (found.last_ps >= found.first_ps).all() and (found.first_ps > found.arrival_ps).all()
    late = found.arrival_ps[found.replica == 4].min() / PS_PER_S
    assert late > 39  # those lost at 20 s arrived before; none of them can be sent to one that is not there
    there = found.replica == 2
    assert not (there & (requests.arrival_s > 20) & (requests.arrival_s < 49)).any()
    calm = simulate_fleet(requests, table, KNOBS, Fleet(replicas=5, policy=policy))
    assert (found.first_ps - found.arrival_ps).mean() > (calm.first_ps - calm.arrival_ps).mean()


def test_gaps_between_tokens_are_all_counted(table):
    requests = talk()
    found = simulate_fleet(requests, table, KNOBS)
    assert found.gaps.sum() == (requests.osl_tokens - 1).sum()
    result = outcome(found, 1, 0, 1e6, ttft_s=1e3, token_per_s=1)
    exact = ((found.last_ps - found.first_ps).sum() / PS_PER_S) / (requests.osl_tokens - 1).sum()
    assert result.performance.itl_s.mean_s == pytest.approx(exact, rel=0.005)
    assert result.kept_fraction == 1.0 and result.judged_requests == len(requests)


def test_a_closed_loop_never_has_more_inside_than_users(table):
    users, each = 40, 30
    count = users * each
    follows = np.where(np.arange(count) % each == each - 1, -1, np.arange(1, count + 1))
    requests = Requests(
        arrival_s=np.zeros(count),
        isl_tokens=np.full(count, 100),
        osl_tokens=np.full(count, 50),
        follows=follows,
        think_s=np.full(count, 0.5),
    )
    found = simulate_fleet(requests, table, KNOBS, Fleet(replicas=2), moments_s=np.linspace(0, 20, 100))
    assert found.series[..., :2].sum(axis=(1, 2)).max() <= users
    chained = follows >= 0
    assert (found.arrival_ps[follows[chained]] == found.last_ps[chained] + PS_PER_S // 2).all()


def test_saturation_is_said(table):
    requests = talk(4000, 200.0)
    found = simulate_fleet(requests, table, KNOBS)
    assert outcome(found, 1, 1, 20, ttft_s=1, token_per_s=20).queue_grows
    calm = talk(4000, 5.0)
    result = outcome(simulate_fleet(calm, table, KNOBS), 1, 50, 700, ttft_s=1, token_per_s=20)
    assert not result.queue_grows


def test_a_trace_opens_and_closes_every_span(table):
    found = simulate_fleet(talk(300), table, KNOBS, Fleet(replicas=2), moments_s=np.linspace(0, 5, 10))
    events = json.loads(json.dumps(chrome_trace(found)))["traceEvents"]
    assert sum(e["ph"] == "b" for e in events) == sum(e["ph"] == "e" for e in events) == 600
    assert {e["name"] for e in events if e["ph"] == "C"} == {"requests", "cache blocks"}


@pytest.mark.parametrize(
    ("change", "what"),
    (
        ({"arrival_s": np.array([0.0, np.nan])}, "no time"),
        ({"osl_tokens": np.array([1, 0])}, "empty"),
        ({"isl_tokens": np.array([1, 10**7])}, "never fits"),
    ),
)
def test_absurd_traffic_is_refused(table, change, what):
    good = {"arrival_s": np.array([0.0, 1.0]), "isl_tokens": np.array([5, 5]), "osl_tokens": np.array([5, 5])}
    with pytest.raises(ScenarioError, match=what):
        simulate_fleet(Requests(**good | change), table, KNOBS)


def test_the_verb_in_an_empty_folder(tmp_path):
    pytest.importorskip("matplotlib")
    asked = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--request-per-s", "30", "--isl", "500", "--osl", "100"]
    run = [sys.executable, "-c", "from infrascale.cli import main; main()", "simulate", *asked, "--seconds", "100"]
    files = ["--trace", "t.json", "--plot", "p.svg"]
    done = subprocess.run([*run, "--json", *files], cwd=tmp_path, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["request_per_s"] == pytest.approx(30, rel=0.1) and found["seed"] == 1
    assert 0 < found["ttft_s"]["p50"] <= found["ttft_s"]["p95"] <= found["ttft_s"]["p99"]
    assert json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert "<svg" in (tmp_path / "p.svg").read_text()[:2000]
    again = subprocess.run([*run, "--json"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert json.loads(again.stdout) == found
    screen = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "p95" in screen and max(map(len, screen.splitlines())) <= 80


# --- the verb with its circumstances, a saved plan, and verification --------------------------------------------------

LLAMA = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--isl", "500", "--osl", "100"]


def cli(folder, *words: str, code: int = 0) -> str:
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert all(len(line) <= 80 for line in done.stdout.splitlines()) or "--json" in words
    return done.stdout


def simulated(folder, *words: str) -> dict:
    return json.loads(cli(folder, "simulate", *LLAMA, *words, "--json"))


def test_one_more_replica_is_what_a_death_is_survived_by(tmp_path):
    words = ["--request-per-s", "100", "--replicas", "2", "--dies", "200:150", "--policy", "least-loaded"]
    found = simulated(tmp_path, *words)
    calm, dies, spare = found["failures"]["cases"]
    assert calm["kept_fraction"] == 1.0 and spare["kept_fraction"] > 0.99
    assert dies["kept_fraction"] < 0.2 and found["sent_again"] > 0
    worst = max(found["upheaval"], key=lambda one: one["wait_s"])
    assert worst["wait_s"] == pytest.approx(dies["ttft_s"]["p99"], rel=0.3)  # two derivations of one pile
    assert "one more, 3 replicas" in cli(tmp_path, "simulate", *LLAMA, *words)


def test_saturation_is_said_with_what_is_sustained(tmp_path):
    found = simulated(tmp_path, "--request-per-s", "130", "--replicas", "1", "--seconds", "100")
    assert found["saturated"] and found["queue_grows"] and 40 < found["most_request_per_s"] < 100
    held = simulated(tmp_path, "--request-per-s", str(0.9 * found["most_request_per_s"]), "--replicas", "1")
    assert not held["saturated"] and not held["queue_grows"]
    shown = cli(tmp_path, "--lang", "fr", "simulate", *LLAMA, "--request-per-s", "130", "--replicas", "1")
    assert "Saturation" in shown


def test_traffic_in_a_file_is_the_traffic_of_the_flags(tmp_path):
    (tmp_path / "s.toml").write_text(
        'model = "llama-3.1-8b"\ngpu = "h100-sxm"\nisl = 1500\nosl = 100\nrequest_per_s = 10\n'
        "[traffic]\nturns = 3\nseconds = 300\n"
    )
    from_file = json.loads(cli(tmp_path, "simulate", "s.toml", "--json"))
    assert from_file == simulated(
        tmp_path, "--isl", "1500", "--request-per-s", "10", "--turns", "3", "--seconds", "300"
    )
    assert from_file["prefix_hit_fraction"] > 0.4  # a later turn finds the dialogue before it
    assert cli(tmp_path, "plan", "s.toml").startswith("1 ×")


def test_the_urgent_wait_less(tmp_path):
    words = ["--request-per-s", "40", "--replicas", "1", "--max-num-seqs", "64", "--arrival-cv", "4"]
    found = simulated(tmp_path, *words, "--urgent", "0.1")
    assert found["urgent"]["ttft_s"]["p95"] < 0.7 * found["ttft_s"]["p95"]


def test_an_autoscaler_follows_the_crowd_and_goes_back(tmp_path):
    words = ["--request-per-s", "30", "--replicas", "4", "--policy", "least-loaded", "--flash", "900:900:4"]
    found = simulated(tmp_path, *words, "--autoscale", "1:40:60", "--seconds", "4000")
    alive = [piece["replicas_alive"] for piece in found["course"]]
    crowd = [a for a, piece in zip(alive, found["course"], strict=True) if 1100 < piece["from_s"] < 1700]
    assert min(crowd) >= 3 and alive[0] < 2.5 and alive[-1] < 2.5
    assert found["unanswered_requests"] == 0


def test_pools_decode_without_interruption(tmp_path):
    together = simulated(tmp_path, "--request-per-s", "40", "--replicas", "2")
    apart = simulated(tmp_path, "--request-per-s", "40", "--replicas", "1", "--prefill-replicas", "1")
    assert apart["itl_s"]["p99"] < 0.7 * together["itl_s"]["p99"]


def test_guesses_speed_answers_up_by_what_is_accepted(tmp_path):
    plain = simulated(tmp_path, "--request-per-s", "2")
    guessed = simulated(tmp_path, "--request-per-s", "2", "--speculative", "3:0.7")
    assert plain["tpot_s"]["mean"] / guessed["tpot_s"]["mean"] == pytest.approx(1 + 0.7 + 0.49 + 0.343, rel=0.15)


def test_a_saved_plan_is_simulated_as_it_is(tmp_path):
    saved = cli(tmp_path, "plan", *LLAMA, "--request-per-s", "150", "--json")
    (tmp_path / "plan.json").write_text(saved)
    found = json.loads(cli(tmp_path, "simulate", "plan.json", "--json"))
    assert found["replicas"] == json.loads(saved)["best"]["replicas"]
    refused = [sys.executable, "-c", "from infrascale.cli import main; main()", "simulate", "plan.json", "--isl", "9"]
    done = subprocess.run(refused, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "keeps its question" in done.stderr


def test_verification_raises_n_where_the_tail_demands_it_and_the_file_holds(tmp_path):
    """A mean is planned; bursts and long answers, which a mean ignores, break it."""
    words = ["--request-per-s", "150", "--arrival-cv", "6", "--osl-cv", "1", "--ttft", "0.15"]
    planned = json.loads(cli(tmp_path, "plan", *LLAMA, *words, "--json"))
    saved = cli(tmp_path, "plan", *LLAMA, *words, "--verify", "--json")
    found = json.loads(saved)
    first = found["verified"][0]
    assert first["as_planned"]["ttft_s"]["mean"] > 0.15 >= first["as_verified"]["ttft_s"]["mean"]
    assert found["best"]["gpus"] > planned["best"]["gpus"] and found["solver"] == "simulated"
    (tmp_path / "plan.json").write_text(saved)
    again = json.loads(cli(tmp_path, "simulate", "plan.json", "--json"))
    assert again["replicas"] == found["best"]["replicas"]
    assert again["ttft_s"]["mean"] == pytest.approx(first["as_verified"]["ttft_s"]["mean"], rel=0.05)
    cli(tmp_path, "export", "plan.json", "--to", "vllm")


def test_a_plan_is_verified_against_a_trace(tmp_path):
    """Bursts that a rate does not show: a trace of crowds asks for more than its mean does."""
    rows = [f"{30 * burst + i / 1000},2000,40" for burst in range(40) for i in range(90)]
    (tmp_path / "t.csv").write_text("timestamp,input_tokens,output_tokens\n" + "\n".join(rows))
    (tmp_path / "s.toml").write_text('model = "llama-3.1-8b"\nttft = "p95=1s"\n[traffic]\nreplay = "t.csv"\n')
    found = json.loads(cli(tmp_path, "plan", "s.toml", "--verify", "--json"))
    way = found["verified"][0]
    assert found["question"]["request_per_s"] == pytest.approx(3, rel=0.05)
    assert way["as_planned"]["ttft_s"]["p95"] > 1 >= way["as_verified"]["ttft_s"]["p95"]
    assert way["replicas"] > way["planned_replicas"] == 1


def test_a_random_router_is_random(table):
    """Counts at four replicas are binomial: within five deviations of a quarter, and not as even as turns would be."""
    found = simulate_fleet(talk(8000), table, KNOBS, Fleet(replicas=4, policy="random"))
    counts = np.bincount(found.replica, minlength=4)
    assert 0 < np.abs(counts - 2000).max() < 5 * (8000 * 0.25 * 0.75) ** 0.5
    runs = (np.diff(found.replica[np.argsort(found.arrival_ps)]) == 0).mean()
    assert runs == pytest.approx(0.25, abs=0.03)
