"""Leave one GPU family out: shared constants fitted on the other architectures' vLLM tables, judged on the one left out -> transfer.json.
Columns: own = fitted on that architecture (in-sample), out = from the others, bias = median of model/table - 1."""
from common import *
import json, gemm, attention as A, moe
FAM = {"ampere": ["ampere"], "ada": ["ada"], "hopper": ["hopper"], "blackwell*": ["blackwell", "blackwell_ultra"], "blackwell_rtx": ["blackwell_rtx"]}
rng = np.random.default_rng(2)
P = {"gemm bf16": {}, "gemm fp8": {}, "decode bf16": {}, "prefill bf16": {}, "moe bf16": {}}
add = lambda k, s, x: P[k].setdefault(GPUS[s]["arch"], []).append(x[:, rng.permutation(x.shape[1])[:1500]])
for s, e, v, p in tables("gemm", "*", "vllm"):
    if s in GPUS and s != "b60":
        d = table(p); add("gemm bf16", s, gemm.points(s, e, "bfloat16", d, 1500))
        if s != "a100_sxm": add("gemm fp8", s, gemm.points(s, e, "fp8", d, 1500))
for s, e, v, p in tables("generation_attention", "*", "vllm"):
    if s in GPUS and s != "b60" and (s, v) not in A.SKIP:
        x = A.decode_points(s, table(p), "bfloat16"); add("decode bf16", s, x[:, A.cold(x)])
for s, e, v, p in tables("context_attention", "*", "vllm"):
    if s in GPUS and s != "b60" and (s, v) not in A.SKIP:
        d = table(p); i = (d["kv_cache_dtype"] == "bfloat16") & (d["attn_dtype"] == "bfloat16") & (d["isl"] >= 128) & (d["latency"] > 0) & (d["head_dim"] == 128) & (d.get("window_size", np.zeros(len(d["isl"]))) == 0)
        b, H, K, S, t = (d[c][i].astype(float) for c in ("batch_size", "num_heads", "num_key_value_heads", "isl", "latency"))
        add("prefill bf16", s, np.array([b, H, K, S, 0 * b + 128, 0 * b + 128, 0 * b + GPUS[s]["bf16"], t * 1e-3, 0 * b + GPUS[s]["bw"]]))
for s, e, v, p in tables("moe", "*", "vllm"):
    if s in GPUS and s != "b60" and v not in ("0.19.0", "0.22.0"):
        d = table(p); add("moe bf16", s, np.concatenate([moe.points(s, d, "bfloat16", q, 500) for q in ("balanced", "power_law_1.01", "power_law_1.2")], 1))
S = {"gemm bf16": (lambda x: gemm.solve(x, False, p=2)[0], gemm.seconds, 7), "gemm fp8": (lambda x: gemm.solve(x, True, p=2)[0], gemm.seconds, 7),
     "decode bf16": (lambda x: fit(lambda z: A.decode_s(z, x), [12, .85, .01], [1, .1, 1e-5], [200, 1, 1], np.log(x[6]))[0], A.decode_s, 6),
     "prefill bf16": (lambda x: fit(lambda z: A.prefill_s(z, x), [12, .6, 300, 10], [1, .05, 1, .1], [300, 1, 5000, 300], np.log(x[7]))[0], A.prefill_s, 7),
     "moe bf16": (lambda x: moe.solve(x)[0], moe.seconds, 9)}
out = []
for k, pool in P.items():
    sol, sec, tc = S[k]
    for f, archs in FAM.items():
        mine = [x for a in archs for x in pool.get(a, [])]; rest = [x for a, v in pool.items() if a not in archs for x in v]
        if not mine: continue
        x, y = np.concatenate(mine, 1), np.concatenate(rest, 1)
        ro, rl = (np.log(sec(sol(q), x)) - np.log(x[tc]) for q in (x, y))
        out.append(dict(form=k, left_out=f, own=round(mape50(ro), 1), out=round(mape50(rl), 1), bias_pct=round(float(100 * np.expm1(np.median(rl))), 1), points=x.shape[1])); print(out[-1])
json.dump(out, open(HERE / "transfer.json", "w"), indent=0)
