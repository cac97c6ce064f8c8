"""GEMM priors from the wheel's gemm tables -> gemm.json.

    t = t0 + ((bytes / (e_b·bw))^p + (flop / (e_f·peak) + c_k·k)^p)^(1/p) + c_q·m·k

c_k [s per k]: one output tile walks k alone, so a GEMM with few tiles is bound by a chain as long as k (split-k shortens it);
c_q [s per element]: quantising the activations, fp8 per-tensor/per-token tables only.
Points: n, k >= 512, n·k <= 6e8, m <= 8192; even m above 16. Large weights (n·k >= 4 M) weigh 1, small ones .3, every m class alike.
"""
from common import *
import json
WB = {"bfloat16": 2, "fp8": 1, "fp8_block": 1, "nvfp4": .5625, "int4_wo": .5, "int8_wo": 1, "sq": 1}   # bytes a weight
AB = {"bfloat16": 2, "fp8": 1, "fp8_block": 1, "nvfp4": .5625, "int4_wo": 2, "int8_wo": 2, "sq": 1}   # bytes an activation in
PK = {"bfloat16": "bf16", "fp8": "fp8", "fp8_block": "fp8", "nvfp4": "fp4", "int4_wo": "bf16", "int8_wo": "bf16", "sq": "int8"}
L2 = {"l40s": 96e6, "rtx_pro_6000_server": 128e6}
NAMES = ("t0_us", "e_b", "e_f", "p", "k_chain_us_per_1024", "quant_ps_per_element")
X0, LO, HI = [4, .8, .7, 2, .3, 1], [.1, .2, .05, .9, 1e-3, 1e-3], [60, 1, 1, 4, 20, 30]


def points(s, e, q, d, nmax):
    rng = np.random.default_rng(0)
    m, n, k, t = (d[c].astype(float) for c in ("m", "n", "k", "latency"))
    keep = (d["gemm_dtype"] == q) & (n >= 512) & (k >= 512) & (m <= 8192) & (t > 0) & ((m % 2 == 0) | (m < 16)) & (n * k <= 6e8)
    if e != "vllm" and s in L2:                # these tables re-read weights that stay in L2: faster than the memory itself
        keep &= ~((m <= 256) & (n * k * WB[q] < 1.5 * L2[s]))
    i = np.flatnonzero(keep)
    cl = np.digitize(m[i], [16.5, 256.5])
    j = np.concatenate([rng.permutation(i[cl == c])[:nmax // 3] for c in range(3)])
    g = GPUS[s]
    return np.array([m[j], n[j], k[j], 0 * j + WB[q], 0 * j + AB[q], 0 * j + g["bw"], 0 * j + g[PK[q]], t[j] * 1e-3])


def seconds(z, x):
    m, n, k, wb, ab, bw, peak = x[:7]
    t0, eb, ef, p, ck, cq = z
    mem = (n * k * wb + m * k * ab + m * n * 2) / (eb * bw)
    fl = 2 * m * n * k / (ef * peak) + ck * 1e-6 / 1024 * k
    return t0 * 1e-6 + (mem**p + fl**p)**(1 / p) + cq * 1e-12 * m * k


def solve(x, quant, chain=True, p=None):
    z0, lo, hi = map(list, (X0, LO, HI))
    if not quant: z0[5], lo[5], hi[5] = 1e-6, 0.9e-6, 1.1e-6
    if not chain: z0[4], lo[4], hi[4] = 1e-6, 0.9e-6, 1.1e-6
    if p: z0[3], lo[3], hi[3] = p, p * .999, p * 1.001
    w = np.where(x[1] * x[2] >= 4e6, 1, .3)
    return fit(lambda z: seconds(z, x), z0, lo, hi, np.log(x[7]), w)


def report(z, r, x, **more):
    m, nk = x[0], x[1] * x[2]
    big = nk >= 4e6
    o = {k: round(float(v), 3) for k, v in zip(NAMES, z)}
    o |= {"err_m16": mape50(r, big & (m <= 16)), "err_m256": mape50(r, big & (m > 16) & (m <= 256)), "err_m8192": mape50(r, big & (m > 256)),
          "err_small": mape50(r, ~big), "err_large": mape50(r, big), "points": int(len(r))} | more
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in o.items()}


def main():
    out, pool = [], {}
    for s, e, v, p in tables("gemm"):
        if s not in GPUS: continue
        d = table(p)
        for q in sorted(set(d["gemm_dtype"])):
            if (q == "fp8_block" and e == "vllm") or (s == "b60" and v == "0.20.0") or v == "0.5.6.post2" and q != "int8_wo": continue
            x = points(s, e, q, d, 2400)
            pool[s, e, q] = x
            z, r = solve(x, q == "fp8")
            zb, rb = solve(x, False, chain=False)
            out.append(report(z, r, x, system=s, engine=e, dtype=q, version=v, err_base_form=mape50(rb, x[1] * x[2] >= 4e6), e_b_base=float(zb[1]), e_f_base=float(zb[2])))
    shared = []
    for q in ("bfloat16", "fp8", "fp8_block", "nvfp4"):
        groups = {a: [k for k in pool if k[2] == q and GPUS[k[0]]["arch"] in a.split("+")] for a in
                  ("ampere", "ada", "hopper", "blackwell", "blackwell_ultra", "blackwell_rtx", "hopper+blackwell", "ampere+hopper+blackwell+blackwell_ultra", "ampere+ada+hopper+blackwell+blackwell_ultra+blackwell_rtx")}
        for a, ks in groups.items():
            for eng in ("vllm", "all"):
                kk = [k for k in ks if eng == "all" or k[1] == eng]
                if not kk: continue
                n = 6000 // len(kk); rng = np.random.default_rng(1)
                x = np.concatenate([pool[k][:, rng.permutation(pool[k].shape[1])[:n]] for k in kk], 1)
                z, r = solve(x, q == "fp8")
                z2, r2 = solve(x, q == "fp8", p=2)
                per = {}
                c = 0
                for k in kk:
                    l = min(n, pool[k].shape[1]); per["/".join(k[:2])] = round(mape50(r[c:c + l], (x[1] * x[2] >= 4e6)[c:c + l]), 1); c += l
                shared.append(report(z, r, x, archs=a, engine=eng, dtype=q, err_large_p2=mape50(r2, x[1] * x[2] >= 4e6), p2={k: round(v, 3) for k, v in report(z2, r2, x).items() if k.startswith('err')}, z_p2=[round(float(t), 3) for t in z2], per=per))
    json.dump({"each": out, "shared": shared}, open(HERE / "gemm.json", "w"), indent=0)
    for o in out:
        print(f"{o['system'][:9]:9} {o['engine']:6} {o['dtype']:9} t0 {o['t0_us']:5.1f} eb {o['e_b']:.2f} ef {o['e_f']:.2f} p {o['p']:.2f} ck {o['k_chain_us_per_1024']:.2f} cq {o['quant_ps_per_element']:.2f} | m16 {o['err_m16']:.1f} m256 {o['err_m256']:.1f} m8k {o['err_m8192']:.1f} small {o['err_small']:.1f} | large {o['err_large']:.1f} base {o['err_base_form']:.1f}")
    for o in shared:
        print(f"{o['dtype']:9} {o['engine']:5} {o['archs'][:40]:40} t0 {o['t0_us']:5.1f} eb {o['e_b']:.2f} ef {o['e_f']:.2f} p {o['p']:.2f} ck {o['k_chain_us_per_1024']:.2f} cq {o['quant_ps_per_element']:.2f} | {o['err_m16']:.1f} {o['err_m256']:.1f} {o['err_m8192']:.1f} small {o['err_small']:.1f} large {o['err_large']:.1f} p2 {o['err_large_p2']:.1f} {o['z_p2'][:3]} {o['per'] if '+' in o['archs'] else ''}")


if __name__ == "__main__":
    main()
