"""Where the tables are and how to read them.

In:  data/ (the unzipped aiconfigurator-core wheel, without silicon_sample.csv).    Out: dicts of numpy columns, GPU peaks.
Assumes pyarrow in lib/ (pip install --target lib pyarrow), so the shared environment stays as it is.
"""
import sys, pathlib
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))
import numpy as np
import pyarrow.parquet as pq

ROOT = HERE / "data/aiconfigurator_core/systems/data"


def table(path):
    """One parquet file as {column: numpy array}."""
    t = pq.read_table(path)
    return {c: np.array(t[c].to_pylist()) for c in t.column_names}


def tables(name, system="*", engine="*"):
    """Every file called `name`, as (system, engine, version, path)."""
    for p in sorted(ROOT.glob(f"{system}/*/{engine}/*/{name}_perf.parquet")):
        s, _, e, v, _ = p.relative_to(ROOT).parts
        yield s, e, v, p

# ---------------------------------------------------------------- peaks the fractions refer to (dense; from the wheel's system files)
T = 1e12
GPUS = {  # bandwidth, bf16, fp8, fp4, NVLink/PCIe bytes/s one way, architecture
    "a100_sxm": dict(bw=2.039 * T, bf16=312 * T, int8=624 * T, arch="ampere"),
    "l40s": dict(bw=.864 * T, bf16=362 * T, fp8=733 * T, arch="ada"),
    "h100_sxm": dict(bw=3.35 * T, bf16=989 * T, fp8=1978 * T, arch="hopper"),
    "h200_sxm": dict(bw=4.8 * T, bf16=989 * T, fp8=1978 * T, arch="hopper"),
    "b200_sxm": dict(bw=7.7 * T, bf16=2250 * T, fp8=4500 * T, fp4=9000 * T, arch="blackwell"),
    "b300_sxm": dict(bw=7.75 * T, bf16=2250 * T, fp8=4500 * T, fp4=14000 * T, arch="blackwell_ultra"),
    "gb200": dict(bw=8 * T, bf16=2500 * T, fp8=5000 * T, fp4=10000 * T, arch="blackwell"),
    "gb300": dict(bw=8 * T, bf16=2500 * T, fp8=5000 * T, fp4=15000 * T, arch="blackwell_ultra"),
    "rtx_pro_6000_server": dict(bw=1.792 * T, bf16=467.8 * T, fp8=935.6 * T, fp4=1871.2 * T, arch="blackwell_rtx"),
    "b60": dict(bw=.456 * T, bf16=98.3 * T, fp8=98.3 * T, arch="xe2"),
}
ENGINES = ("vllm", "trtllm", "sglang")


def fit(model, x0, lo, hi, log_t, weight=None):
    """Robust fit of log(model(params)) to log_t: soft-L1 with scale 0.1 (10 %), parameters searched in the log.

    Out: parameters, residual vector (log ratio, positive = model too slow).
    """
    from scipy.optimize import least_squares
    w = np.ones_like(log_t) if weight is None else np.sqrt(weight)
    f = lambda q: w * (np.log(model(np.exp(q))) - log_t)
    r = least_squares(f, np.log(x0), bounds=(np.log(lo), np.log(hi)), loss="soft_l1", f_scale=.1, max_nfev=300)
    return np.exp(r.x), np.log(model(np.exp(r.x))) - log_t


def mape50(res, sel=slice(None)):
    """Median absolute error [%]."""
    r = np.abs(np.expm1(res[sel]))
    return float(100 * np.median(r)) if len(r) else float("nan")
