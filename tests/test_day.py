"""A simulated day and a lost replica: nothing is lost or made up, a sample stands for the whole, a spare helps."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from infrascale import api  # noqa: E402
from infrascale.errors import ScenarioError  # noqa: E402
from infrascale.studies import day as days  # noqa: E402
from infrascale.studies.day import DAY_S, live_day, lose_one  # noqa: E402

pytestmark = pytest.mark.slow  # the first run compiles for half a minute


@pytest.fixture(scope="module")
def plan():
    return api.plan(model="llama-3.1-8b", gpu="h100-sxm", request_per_s=60, isl=500, osl=200)


def test_a_day_has_the_planned_rate_in_its_peak_hour_and_its_share_of_requests(plan):
    lived = live_day(api.subject(plan), 0.15)
    width = DAY_S / len(lived.slices)
    assert sum(one.request_per_s for one in lived.slices) * width == pytest.approx(lived.requests)
    peak = [one.request_per_s for one in lived.slices if 14 * 3600 <= one.from_s < 15 * 3600]
    assert sum(peak) / len(peak) == pytest.approx(60, rel=0.03)
    assert sum(peak) * width / lived.requests == pytest.approx(0.15, rel=0.03)
    assert max(lived.slices, key=lambda one: one.running_seqs).from_s == pytest.approx(14.5 * 3600, abs=5400)


def test_a_few_replicas_stand_for_all(plan, monkeypatch):
    """The same arrivals, of which a part is followed: what users feel and what is inside stay the same."""
    big = api.plan(model="llama-3.1-8b", gpu="l40s", request_per_s=60, isl=500, osl=200)
    assert big.best.replicas >= 4
    monkeypatch.setattr(days, "MOST_FOLLOWED", 10_000_000)
    whole = live_day(api.subject(big), 0.1)
    monkeypatch.setattr(days, "MOST_FOLLOWED", whole.requests // 2)
    part = live_day(api.subject(big), 0.1)
    assert part.simulated_replicas < whole.simulated_replicas == big.best.replicas
    assert part.outcome.performance.ttft_s.mean_s == pytest.approx(whole.outcome.performance.ttft_s.mean_s, rel=0.05)
    busy = [max(one.running_seqs for one in lived.slices) for lived in (whole, part)]
    assert busy[1] == pytest.approx(busy[0], rel=0.1)


def test_a_spare_carries_what_the_lost_one_carried(plan):
    big = api.plan(model="llama-3.1-8b", gpu="l40s", request_per_s=60, isl=500, osl=200)
    found = lose_one(api.subject(big), 300)
    assert found.with_spare.replicas == big.best.replicas + 1
    assert found.without.outcome.sent_again > 0 and found.with_spare.outcome.sent_again > 0
    assert found.with_spare.outcome.kept_fraction >= found.without.outcome.kept_fraction
    down = [one for one in found.without.slices if found.at_s <= one.from_s < found.back_s]
    before = [one for one in found.without.slices if one.from_s < found.at_s]
    assert max(one.waiting_seqs for one in down) > max(one.waiting_seqs for one in before)


def test_too_much_is_refused_and_not_begun(plan):
    with pytest.raises(ScenarioError, match="too many"):
        live_day(api.subject(plan), 0.05, times=10_000)
