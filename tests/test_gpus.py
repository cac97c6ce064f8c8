"""GPU catalog: every entry parses, is sourced, and stays within what chips can be."""

from __future__ import annotations

import pytest

from infrascale import catalog
from infrascale.catalog import spelling
from infrascale.errors import CatalogError
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


@pytest.mark.parametrize(
    ("name", "of", "memory", "processors"),
    [("H100 MIG 1g.10gb", "h100-sxm", 1 / 8, 1 / 7), ("A100-SXM4-80GB MIG 3g.40gb", "a100-sxm-80gb", 1 / 2, 3 / 7),
     ("A100 1g.5gb", "a100-sxm-40gb", 1 / 8, 1 / 7), ("h200-sxm-mig-7g.141gb", "h200-sxm", 1, 1),
     ("NVIDIA H100 NVL MIG 1g.24gb", "h100-nvl", 1 / 4, 1 / 7)],
)  # fmt: skip
def test_a_slice_is_its_share_of_the_card_and_alone(name, of, memory, processors):
    cut, whole = gpu(name), gpu(of)
    assert cut.hbm_bytes == pytest.approx(memory * whole.hbm_bytes)
    assert cut.hbm_bytes_per_s == pytest.approx(memory * whole.hbm_bytes_per_s)
    assert cut.rate("bf16") == pytest.approx(processors * whole.rate("bf16"))
    assert cut.id.startswith(of) and cut.link_for(2).kind == "network" and not cut.offered


@pytest.mark.parametrize(
    "name", ["MIG 3g.40gb", "H100 MIG 5g.40gb", "H100 MIG 1g.40gb", "MI300X MIG 1g.24gb", "RTX 4090 1g.3gb"]
)
def test_a_slice_that_no_card_has_is_refused(name):
    with pytest.raises(CatalogError):
        gpu(name)
