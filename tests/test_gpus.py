"""GPU catalog: every entry parses, is sourced, and stays within what chips can be."""

from __future__ import annotations

import pytest

from infrascale import catalog
from infrascale.catalog import spelling
from infrascale.parsing.gpus import gpu

STEMS = list(catalog.entries("gpus"))


@pytest.mark.parametrize("stem", STEMS)
def test_an_entry_is_plausible_and_sourced(stem):
    one = gpu(stem)
    groups = {"hbm_bytes", "hbm_bytes_per_s", "flop_per_s", "power_w", "link"}
    assert groups <= set(one.sources)
    for source in one.sources.values():
        assert source.at and (source.checked is None) != (source.entered is None)
    matrix = one.flop_per_s.get("bf16") or one.flop_per_s["fp16"]
    assert 5e9 < one.hbm_bytes < 4e11 and 5e10 < one.hbm_bytes_per_s < 2e13
    assert 1e12 < matrix < 1e16 and 0.1 < one.link.bytes_per_s / 1e10 < 200
    if "fp8" in one.flop_per_s and "bf16" in one.flop_per_s and stem != "gaudi3":
        assert one.flop_per_s["fp8"] == pytest.approx(2 * one.flop_per_s["bf16"], rel=0.03)


def test_no_spelling_means_two_gpus():
    seen: dict[str, str] = {}
    for stem, entry in catalog.entries("gpus").items():
        for name in {spelling(n) for n in (stem, *entry["aliases"])}:
            assert seen.setdefault(name, stem) == stem


def test_h100_rates_are_dense_and_form_factors_differ():
    assert gpu("h100").flop_per_s["bf16"] == pytest.approx(989e12, rel=0.01)
    assert gpu("a100").flop_per_s["bf16"] == pytest.approx(312e12, rel=0.01)
    assert gpu("h100-pcie").hbm_bytes_per_s < 0.65 * gpu("h100-sxm").hbm_bytes_per_s
