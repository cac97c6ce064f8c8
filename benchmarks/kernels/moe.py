"""Mixture-of-experts priors -> moe.json. One layer's routed experts on one GPU (ep = 1, inter already divided by tp), gated (3 matrices).

    D    = E·(1 - (1 - k/E)^(a·t))                    experts touched; balanced tables have D = min(E, k·t)
    t    = t0 + (D·expert_bytes + activation bytes)/(e_b·bw) + 6·h·i·k·t / (e_f·peak)          (a sum: p = 1)
a < 1 is skew (power-law routing meets fewer experts). Tried and dropped: p = 2, 3, 4 (worse in nearly every table) and a padding
of m rows an expert (not identifiable: it is proportional to D·h·i like the bytes; e_b then runs to its bound).
Left out: ep > 1 (the tables of different versions mean different things by it), non-gated Nemotron shapes, what fits in L2.
"""
from common import *
import json
from attention import L2
WB = {"bfloat16": 2, "fp8": 1, "fp8_block": 1, "nvfp4": .5625, "int4_wo": .53, "w4a16_mxfp4": .53, "w4a8_mxfp4_mxfp8": .53}
PK = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "int4_wo": "bf16", "w4a16_mxfp4": "bf16", "w4a8_mxfp4_mxfp8": "fp8"}
NONGATED = {(2688, 1856), (1024, 2688), (2048, 5120), (4096, 2688), (8192, 5120), (3584, 3072)}
RNG = np.random.default_rng(0)
NAMES = ("t0_us", "e_b", "e_f", "skew")


def points(s, d, q, dist, nmax=3000, src=None):
    i = (d["moe_dtype"] == q) & (d["distribution"] == dist) & (d["moe_ep_size"] == 1) & (d["latency"] > 0) & (d["inter_size"] / d["moe_tp_size"] >= 256) & (d["num_tokens"] <= 16384)
    if src is not None: i &= d["kernel_source"] == src
    i &= ~np.array([(int(a), int(b)) in NONGATED for a, b in zip(d["hidden_size"], d["inter_size"])])
    t, h, inter, k, E, tp, lat = (d[c][i].astype(float) for c in ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "latency"))
    inter = inter / tp
    bal = float(dist == "balanced")
    g = GPUS[s]
    x = np.array([t, h, inter, k, E, 0 * t + WB[q], 0 * t + bal, 0 * t + g["bw"], 0 * t + g.get(PK[q], g["bf16"]), lat * 1e-3])
    b = distinct(x, 1) * 3 * h * inter * WB[q]
    ok = (b < 2e6) | (b > 1.5 * L2[s])
    x = x[:, ok]
    return x[:, RNG.permutation(x.shape[1])[:nmax]]


def distinct(x, a):
    t, k, E, bal = x[0], x[3], x[4], x[6]
    u = E * (1 - (1 - np.minimum(k / E, .999999))**np.maximum(a * t, 1))
    return np.where(bal > 0, np.minimum(E, k * t), u)


def seconds(z, x):
    t, h, i, k, E, wb, bal, bw, peak = x[:9]
    D = distinct(x, z[3])
    by = D * 3 * h * i * wb + t * 2 * (2 * h) + t * k * (i * 3) * 2
    fl = 6 * h * i * t * k
    return z[0] * 1e-6 + by / (z[1] * bw) + fl / (z[2] * peak)


def solve(x):
    return fit(lambda z: seconds(z, x), [25, .75, .4, .8], [1, .05, .02, .2], [400, 1, 1, 1.2], np.log(x[9]))


def err(r, x):
    t = x[0]
    return dict(err=mape50(r), err_t1_8=mape50(r, t <= 8), err_t16_256=mape50(r, (t > 8) & (t <= 256)), err_t512_up=mape50(r, t > 256), p90=float(np.percentile(100 * np.abs(np.expm1(r)), 90)), points=len(r))


def main():
    rows, pool, imb = [], {}, []
    for s, e, v, p in tables("moe"):
        if s not in GPUS or s == "b60" or v in ("0.22.0", "1.3.0rc23") or (s == "l40s" and v == "1.0.0"): continue
        d = table(p)
        for q in sorted(set(d["moe_dtype"])):
            if q not in WB: continue
            if v in ("0.19.0",) and q != "int4_wo": continue
            xs = [points(s, d, q, dist) for dist in ("balanced", "power_law_1.01", "power_law_1.2")]
            x = np.concatenate(xs, 1)
            if x.shape[1] < 60: continue
            x = x[:, RNG.permutation(x.shape[1])[:5000]]
            z, r = solve(x)
            o = dict(zip(NAMES, z)) | err(r, x)
            i1 = (x[0] == 1)
            rows.append(dict(system=s, engine=e, version=v, dtype=q, shapes=len(set(zip(x[1], x[2], x[4]))), t1_min_us=float(x[9][i1].min() * 1e6) if i1.any() else 0., **o, bias_bal=float(100 * np.expm1(np.median(r[x[6] > 0]))) if (x[6] > 0).any() else 0.))
            pool[s, e, q, v] = x
            # load imbalance: the same shape and tokens, power law over balanced
            if e == "vllm" and v != "0.19.0":
                key = {}
                for c in range(len(d["latency"])):
                    if d["moe_ep_size"][c] != 1 or d["moe_dtype"][c] != q: continue
                    key.setdefault(tuple(int(d[a][c]) for a in ("hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "num_tokens")), {})[str(d["distribution"][c])] = d["latency"][c]
                for lo, hi in ((1, 4), (8, 32), (48, 128), (160, 512), (768, 2048), (3072, 8192), (12288, 65536)):
                    rr = [u["power_law_1.2"] / u["balanced"] for a, u in key.items() if lo <= a[5] <= hi and "balanced" in u and "power_law_1.2" in u and a[3] >= 64]
                    if len(rr) > 5: imb.append(dict(system=s, engine=e, dtype=q, tokens=f"{lo}-{hi}", ratio=float(np.median(rr)), n=len(rr)))
    shared = []
    for q in sorted({k[2] for k in pool}):
        for eng in ("vllm", "all"):
            for arch in ("ampere", "ada", "hopper", "blackwell", "blackwell_ultra", "blackwell_rtx", "blackwell+blackwell_ultra", "ampere+ada+hopper+blackwell+blackwell_ultra+blackwell_rtx"):
                kk = [k for k in pool if k[2] == q and k[3] != "0.19.0" and (eng == "all" or k[1] == eng) and GPUS[k[0]]["arch"] in arch.split("+") and not (q == "fp8" and k[1] == "vllm" and GPUS[k[0]]["arch"] == "hopper")]
                if not kk: continue
                n = 9000 // len(kk); parts = [pool[k][:, :n] for k in kk]; x = np.concatenate(parts, 1)
                z, r = solve(x); c = np.cumsum([0] + [u.shape[1] for u in parts])
                shared.append(dict(dtype=q, engine=eng, archs=arch, **dict(zip(NAMES, z)), **err(r, x), per={"/".join((k[0], k[1], k[3])): round(mape50(r[a:b]), 1) for k, a, b in zip(kk, c, c[1:])}))
    clean = lambda o: {k: (round(float(v), 4) if isinstance(v, (float, np.floating)) else v) for k, v in o.items()}
    out = dict(each=rows, shared=shared, imbalance=imb)
    json.dump({k: [clean(o) for o in v] for k, v in out.items()}, open(HERE / "moe.json", "w"), indent=0)
    for k, v in out.items():
        print("##", k)
        for o in v: print("  ", " ".join(f"{a}={b:.3g}" if isinstance(b, (float, np.floating)) else f"{a}={b}" if isinstance(b, dict) else str(b) for a, b in o.items() if a not in ("err_t1_8", "err_t16_256", "err_t512_up") or True))


if __name__ == "__main__":
    main()
