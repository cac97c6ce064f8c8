"""Attention priors: decode (GQA, MLA) and prefill (GQA, MLA) -> attention.json.

decode    t = t0 + c_seq·seqs + kv_bytes / (e·bw)        (e(kv) = e_max·kv/(kv + kv_half) is the same line with t0' = t0 + kv_half/(e_max·bw))
MLA       t = t0 + ((kv_bytes / (e·bw))^3 + (flop / (e_f·peak))^3)^(1/3),   flop = 2·seqs·heads·context·(576 + 512)
prefill   t = t0 + cache + ((flop·(1 + s_half/s) / (e·peak))^3 + (c_chain·s)^3)^(1/3),  flop = 2·seqs·heads·s²·(d_qk + d_v)/2
          cache = seqs·s·4·kv_heads·d·2 bytes / bw: K and V are read and written into the cache (GQA; no parameter of its own)
A tables' repeat re-reads the same cache: KV between 2 MB and 1.5 x L2 comes from L2, which no serving step sees. Those points are left out.
"""
from common import *
import json
L2 = {"a100_sxm": 40e6, "l40s": 96e6, "h100_sxm": 50e6, "h200_sxm": 50e6, "b200_sxm": 126e6, "b300_sxm": 126e6, "gb200": 126e6, "gb300": 126e6, "rtx_pro_6000_server": 128e6, "b60": 18e6}
BYTES = {"bfloat16": 2, "fp8": 1}
RNG = np.random.default_rng(0)
SKIP = {("b200_sxm", "0.22.0"), ("b60", "0.20.0")}
OUT = {}


def pick(i, n): return RNG.permutation(i)[:n]


def decode_points(s, d, kvd, hd=128, window=0):
    i = (d["head_dim"] == hd) & (d["kv_cache_dtype"] == kvd) & (d["step"] >= 127) & (d["latency"] > 0)
    i &= d.get("window_size", np.zeros(len(i))) == window
    b, H, K, ctx, t = (d[c][i].astype(float) for c in ("batch_size", "num_heads", "num_key_value_heads", "step", "latency"))
    ctx = ctx + 1
    if window: ctx = np.minimum(ctx, window)
    kv = 2 * b * ctx * K * hd * BYTES[kvd]
    return np.array([b, H, K, ctx, kv, 0 * b + GPUS[s]["bw"], t * 1e-3, 0 * b + L2[s]])


def decode_s(z, x): return z[0] * 1e-6 + z[2] * 1e-6 * x[0] + x[4] / (z[1] * x[5])


def cold(x): return (x[4] < 2e6) | (x[4] > 1.5 * x[7])


def decode():
    rows, pool = [], {}
    for s, e, v, p in tables("generation_attention"):
        if s not in GPUS or (s, v) in SKIP: continue
        d = table(p)
        for kvd in ("bfloat16", "fp8"):
            xa = decode_points(s, d, kvd)
            x = xa[:, pick(np.flatnonzero(cold(xa)), 3000)]
            if x.shape[1] < 200: continue
            pool[s, e, kvd] = x
            z0, r0 = fit(lambda z: decode_s([z[0], z[1], 0], x), [12, .85], [1, .1], [200, 1], np.log(x[6]))
            z, r = fit(lambda z: decode_s(z, x), [12, .85, .01], [1, .1, 1e-5], [200, 1, 1], np.log(x[6]))
            big = x[4] > 1.5 * x[7]
            warm = xa[:, ~cold(xa)]
            rw = np.log(decode_s(z, warm)) - np.log(warm[6])
            other = {}
            for hd, w in ((64, 0), (256, 0), (128, 128), (64, 128), (128, 1024)):
                y = decode_points(s, d, kvd, hd, w); y = y[:, cold(y)]
                if y.shape[1] > 100:
                    rr = np.log(decode_s(z, y)) - np.log(y[6]); other[f"hd{hd}w{w}"] = [round(mape50(rr), 1), round(float(100 * np.expm1(np.median(rr))), 1)]
            grp = {g: round(float(100 * np.expm1(np.median(r[big & (x[1] / x[2] >= g) & (x[1] / x[2] < 2 * g)]))), 1) for g in (1, 2, 4, 8, 16, 32) if (big & (x[1] / x[2] >= g) & (x[1] / x[2] < 2 * g)).sum() > 20}
            rows.append(dict(system=s, engine=e, version=v, kv=kvd, t0_us=z[0], e=z[1], seq_us=z[2], err=mape50(r), err_big=mape50(r, big), e_plain=z0[1], t0_plain=z0[0], err_plain=mape50(r0), abs_TBps=z[1] * GPUS[s]["bw"] / 1e12, warm_model_over_table_pct=float(100 * np.expm1(np.median(rw))) if len(rw) else 0., points=len(r), other=other, bias_by_group=grp))
    shared = []
    for kvd, eng, arch in [(k, e, a) for k in ("bfloat16", "fp8") for e in ("vllm", "all") for a in ("ampere", "ada", "hopper", "blackwell", "blackwell_ultra", "blackwell_rtx", "ampere+hopper+blackwell+blackwell_ultra", "blackwell+blackwell_ultra", "ada+blackwell_rtx", "ampere+ada+hopper+blackwell+blackwell_ultra+blackwell_rtx")]:
        kk = [k for k in pool if k[2] == kvd and (eng == "all" or k[1] == eng) and GPUS[k[0]]["arch"] in arch.split("+")]
        if not kk: continue
        n = 8000 // len(kk)
        parts = [pool[k][:, :n] for k in kk]; x = np.concatenate(parts, 1)
        z, r = fit(lambda z: decode_s(z, x), [12, .85, .01], [1, .1, 1e-5], [200, 1, 1], np.log(x[6]))
        c = np.cumsum([0] + [q.shape[1] for q in parts])
        shared.append(dict(kv=kvd, engine=eng, archs=arch, t0_us=z[0], e=z[1], seq_us=z[2], err=mape50(r), points=len(r), per={"/".join(k[:2]): round(mape50(r[a:b]), 1) for k, a, b in zip(kk, c, c[1:])}))
    OUT["decode"], OUT["decode_shared"] = rows, shared


def mla_s(z, x):
    kv, fl, ctx, bw, peak = x[:5]
    return z[0] * 1e-6 + ((kv / (z[1] * bw))**3 + (fl / (z[2] * peak))**3)**(1 / 3) + z[3] * 1e-6 * ctx / 1024


def mla_decode():
    rows, pool = [], {}
    for s, e, v, p in tables("generation_mla"):
        if s not in GPUS: continue
        d = table(p)
        for kvd in ("bfloat16", "fp8"):
            i = (d["kv_cache_dtype"] == kvd) & (d["step"] >= 127) & (d["latency"] > 0)
            b, H, ctx, t = (d[c][i].astype(float) for c in ("batch_size", "num_heads", "step", "latency")); ctx = ctx + 1
            kv = b * ctx * 576 * BYTES[kvd]; fl = 2 * b * H * ctx * 1088; g = GPUS[s]
            ok = (kv < 2e6) | (kv > 1.5 * L2[s])
            b, H, ctx, t, kv, fl = (q[ok] for q in (b, H, ctx, t, kv, fl)); t = t * 1e-3
            if len(t) < 100: continue
            f = lambda z: z[0] * 1e-6 + ((kv / (z[1] * g["bw"]))**3 + (fl / (z[2] * g["bf16"]))**3)**(1 / 3) + z[3] * 1e-6 * ctx / 1024
            z, r = fit(f, [12, .8, .5, .1], [1, .03, .02, 1e-4], [200, 1, 1.0 if kvd == "bfloat16" else 1.9, 300], np.log(t))
            pool.setdefault((g['arch'], e, kvd), []).append(np.array([kv, fl, ctx, 0 * kv + g['bw'], 0 * kv + g['bf16'], t]))
            rows.append(dict(system=s, engine=e, kv=kvd, t0_us=z[0], e=z[1], e_f=z[2], chain_us_per_1024=z[3], err=mape50(r), err_big=mape50(r, kv > 1.5 * L2[s]), points=len(r)))
    OUT["mla_decode"] = rows
    OUT["mla_decode_pooled"] = []
    for (a, e, kvd), v in pool.items():
        x = np.concatenate(v, 1)
        z, r = fit(lambda z: mla_s(z, x), [12, .8, .5, .1], [1, .03, .02, 1e-4], [200, 1, 1.0 if kvd == "bfloat16" else 1.9, 300], np.log(x[5]))
        OUT["mla_decode_pooled"].append(dict(arch=a, engine=e, kv=kvd, t0_us=z[0], e=z[1], e_f=z[2], chain_us_per_1024=z[3], err=mape50(r), points=len(r)))
    ker = {(q["system"], q["kv"]): q for q in rows}
    mod = []
    for s, e, v, p in tables("mla_generation_module"):
        if s not in GPUS: continue
        d = table(p); g = GPUS[s]
        for kvd in ("bfloat16", "fp8"):
            for gt in sorted(set(d["gemm_type"])):
                q = ker.get((s, kvd)) or ker.get((s, "bfloat16"))
                if not q: continue
                i = (d["kv_cache_dtype"] == kvd) & (d["gemm_type"] == gt) & (d["step"] >= 127) & (d["latency"] > 0) & (d["mla_dtype"] == "bfloat16")
                b, H, ctx, t = (d[c][i].astype(float) for c in ("batch_size", "num_heads", "step", "latency")); ctx = ctx + 1
                if len(b) < 50: continue
                kv = b * ctx * 576 * BYTES[kvd]; fl = 2 * b * H * ctx * 1088
                par = 7168 * 1536 + 1536 * H * 192 + 7168 * 576 + H * 128 * 7168; bmm = 2 * H * 512 * 128
                wb = {"bfloat16": 2, "fp8_block": 1, "nvfp4": .5625}[gt]
                w = par * wb + bmm * 2
                att = ((kv / (q["e"] * g["bw"]))**3 + (fl / (q["e_f"] * g["bf16"]))**3)**(1 / 3)
                gem = np.maximum(w / (.82 * g["bw"]), 2 * b * (par + bmm) / (.6 * g["bf16"]))
                ok = (kv < 2e6) | (kv > 1.5 * L2[s])
                t0 = t * 1e-3 - att - gem
                sel = ok & (b <= 64)
                z = float(np.median(t0[sel])); r = np.log(np.maximum(z, 0) + att + gem) - np.log(t * 1e-3)
                mod.append(dict(system=s, engine=e, version=v, kv=kvd, gemm=gt, floor_us=z * 1e6, floor_p10=float(np.percentile(t0[sel], 10)) * 1e6, floor_p90=float(np.percentile(t0[sel], 90)) * 1e6, err=mape50(r, ok), points=int(ok.sum())))
    OUT["mla_module_decode"] = mod


def prefill_s(z, x):
    b, H, K, s, dq, dv, peak = x[:7]
    fl = b * H * s * s * (dq + dv)
    return z[0] * 1e-6 + b * s * 4 * K * dv * 2 / x[8] + ((fl * (1 + z[2] / s) / (z[1] * peak))**3 + (z[3] * 1e-6 * s / 1024)**3)**(1 / 3)


def prefill():
    rows, pool, mlap = [], {}, {}
    for name in ("context_attention", "context_mla"):
        for s, e, v, p in tables(name):
            if s not in GPUS or (s, v) in SKIP: continue
            d = table(p)
            mla = name == "context_mla"
            variants = [("bfloat16", "bfloat16"), ("bfloat16", "fp8"), ("fp8", "fp8")]
            for ad, kvd in variants:
                i = (d["kv_cache_dtype"] == kvd) & (d["mla_dtype" if mla else "attn_dtype"] == ad) & (d["isl"] >= 128) & (d["step"] == 0) & (d["latency"] > 0)
                if not mla: i &= (d["head_dim"] == 128) & (d.get("window_size", np.zeros(len(i))) == 0)
                b, H, s_, t = (d[c][i].astype(float) for c in ("batch_size", "num_heads", "isl", "latency"))
                K = 0 * H if mla else d["num_key_value_heads"][i].astype(float)
                if len(b) < 100: continue
                dq, dv = (192, 128) if mla else (128, 128)
                x = np.array([b, H, K, s_, 0 * b + dq, 0 * b + dv, 0 * b + GPUS[s]["bf16"], t * 1e-3, 0 * b + GPUS[s]["bw"]])
                x = x[:, pick(np.arange(x.shape[1]), 3000)]
                z, r = fit(lambda z: prefill_s(z, x), [12, .6, 300, 10], [1, .05, 1, .1], [300, 1.9, 5000, 300], np.log(x[7]))
                z2, r2 = fit(lambda z: prefill_s([z[0], z[1], z[2], 1e-6], x), [12, .6, 300], [1, .05, 1], [300, 1.9, 5000], np.log(x[7]))
                S = x[3]
                rows.append(dict(kind="mla" if mla else "gqa", system=s, engine=e, version=v, attn=ad, kv=kvd, t0_us=z[0], e=z[1], s_half=z[2], chain_us_per_1024=z[3], err=mape50(r), err_short=mape50(r, S <= 512), err_mid=mape50(r, (S > 512) & (S <= 4096)), err_long=mape50(r, S > 4096), err_plain=mape50(r2), e_plain=z2[1], s_half_plain=z2[2],
                                 bias_mqa=float(100 * np.expm1(np.median(r[(x[1] >= 8 * x[2])]))) if not mla else 0., bias_mha=float(100 * np.expm1(np.median(r[x[1] == x[2]]))) if not mla else 0., points=len(r)))
                if ad == kvd == "bfloat16" and not mla: pool[s, e] = x
                if ad == kvd == "bfloat16" and mla and e == "trtllm": mlap.setdefault(GPUS[s]["arch"], []).append(x)
    shared = []
    for eng in ("vllm", "all"):
        for arch in ("ampere", "ada", "hopper", "blackwell", "blackwell_ultra", "blackwell_rtx", "ampere+ada+hopper+blackwell+blackwell_ultra+blackwell_rtx"):
            kk = [k for k in pool if (eng == "all" or k[1] == eng) and GPUS[k[0]]["arch"] in arch.split("+")]
            n = 8000 // len(kk); parts = [pool[k][:, :n] for k in kk]; x = np.concatenate(parts, 1)
            z, r = fit(lambda z: prefill_s(z, x), [12, .6, 300, 10], [1, .05, 1, .1], [300, 1, 5000, 300], np.log(x[7]))
            c = np.cumsum([0] + [q.shape[1] for q in parts])
            shared.append(dict(engine=eng, archs=arch, t0_us=z[0], e=z[1], s_half=z[2], chain_us_per_1024=z[3], err=mape50(r), points=len(r), per={"/".join(k): round(mape50(r[a:b]), 1) for k, a, b in zip(kk, c, c[1:])}))
    OUT["prefill"], OUT["prefill_shared"], OUT["prefill_mla_pooled"] = rows, shared, []
    for a, v in mlap.items():
        x = np.concatenate(v, 1)
        z, r = fit(lambda z: prefill_s(z, x), [12, .6, 300, 10], [1, .05, 1, .1], [300, 1, 5000, 300], np.log(x[7]))
        OUT["prefill_mla_pooled"].append(dict(arch=a, t0_us=z[0], e=z[1], s_half=z[2], chain_us_per_1024=z[3], err=mape50(r), points=len(r)))


def main():
    decode(); mla_decode(); prefill()
    clean = lambda o: {k: (round(float(v), 4) if isinstance(v, (float, np.floating)) else v) for k, v in o.items()}
    json.dump({k: [clean(o) for o in v] for k, v in OUT.items()}, open(HERE / "attention.json", "w"), indent=0)
    for k, v in OUT.items():
        print("##", k)
        for o in v: print("  ", " ".join(f"{a}={b:.3g}" if isinstance(b, (float, np.floating)) else f"{a}={b}" if isinstance(b, dict) else str(b) for a, b in o.items() if a != "version"))


if __name__ == "__main__":
    main()
