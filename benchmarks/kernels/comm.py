"""Collective priors -> comm.json. message_size in the tables counts ELEMENTS (2 bytes, 'half' and bfloat16), checked on the bus limit.

all-reduce        t = t0 + wire / bus,  wire = 2(n-1)/n · bytes;  all-gather, reduce-scatter, all-to-all: wire = (n-1)/n · total bytes
DeepEP            dispatch + combine:  t = t0 + tokens·topk·hidden·bytes / bw   (tokens of one rank)
"""
from common import *
import json
OUT = {"allreduce": [], "nccl": [], "a2a": [], "ar_shared": []}


def line(x, t, p=1):
    f = lambda z: ((z[0] * 1e-6)**p + (x / (z[1] * 1e9))**p)**(1 / p)
    return fit(f, [8, 200], [.5, .2], [3000, 3000], np.log(t))


def best(x, t):
    z, r = line(x, t)
    f = lambda z: ((z[0] * 1e-6)**z[2] + (x / (z[1] * 1e9))**z[2])**(1 / z[2])
    zp, rp = fit(f, [8, 200, 1.3], [.5, .2, .4], [3000, 3000, 6], np.log(t))
    return dict(t0_us=z[0], bus_GBps=z[1], err=mape50(r), p=zp[2], t0_p=zp[0], bus_p=zp[1], err_p=mape50(rp), points=len(t))


LATEST = {}
for s, e, v, p in tables("custom_allreduce"):
    if s in GPUS: LATEST[s, e] = (v, p)      # the last version in the folder
pool = {}
for (s, e), (v, p) in LATEST.items():
    d = table(p); b = d.get("backend", d.get("implementation", d["kernel_source"]))
    for bk in sorted(set(b)):
        for n in sorted(set(d["num_gpus"])):
            i = (b == bk) & (d["num_gpus"] == n) & (d["message_size"] >= 512) & (d["message_size"] <= 2**25)
            x = d["message_size"][i] * 2.0 * 2 * (n - 1) / n; t = d["latency"][i] * 1e-3
            if len(t) < 6: continue
            OUT["allreduce"].append(dict(system=s, engine=e, version=v, mode=str(bk), tp=int(n), **best(x, t)))
            if "graph" in bk or bk == "trtllm": pool[s, e, int(n)] = (x, t)
for s, e, v, p in tables("nccl"):
    if s not in GPUS or "/trtllm/" in str(p): continue
    d = table(p); d["nv"] = v; LATEST[s, "nccl"] = (v, p)
for (s, e), (v, p) in LATEST.items():
    if e != "nccl": continue
    d = table(p)
    for op in sorted(set(d["op_name"])):
        for n in sorted(set(d["num_gpus"])):
            i = (d["op_name"] == op) & (d["num_gpus"] == n) & (d["nccl_dtype"] == "half") & (d["message_size"] >= 512) & (d["message_size"] <= 2**28)
            w = 2 if op == "all_reduce" else 1
            x = d["message_size"][i] * 2.0 * w * (n - 1) / n; t = d["latency"][i] * 1e-3
            OUT["nccl"].append(dict(system=s, version=v, op=str(op), tp=int(n), **best(x, t)))
for s, e, v, p in tables("moe_a2a"):
    d = table(p)
    by = {"default": 2, "bfloat16": 2, "fp8": 1, "nvfp4": .5625, "fp4": .5625}
    for be in sorted(set(d["comm_backend"])):
        for ph in ("dispatch", "combine"):
            for ct in sorted(set(d["comm_dtype"])):
                for ep in sorted(set(d["ep_size"])):
                    i = (d["comm_backend"] == be) & (d["phase"] == ph) & (d["comm_dtype"] == ct) & (d["ep_size"] == ep) & (d["latency"] > 0)
                    if i.sum() < 8: continue
                    n = min(float(ep), 99)
                    hit = np.minimum(d["topk"][i], ep * (1 - (1 - 1 / ep)**d["topk"][i]))      # ranks a token goes to
                    x = d["num_tokens"][i] * hit * d["hidden_size"][i] * 2.0; t = d["latency"][i] * 1e-6
                    OUT["a2a"].append(dict(system=s, engine=e, version=v, backend=str(be), phase=ph, dtype=str(ct), ep=int(ep), max_tokens=int(d["num_tokens"][i].max()), t1_us=float(np.median(d["latency"][i][d["num_tokens"][i] == 1])), **best(x, t)))
for s, e, v, p in tables("trtllm_alltoall"):
    d = table(p)
    for ks in sorted(set(d["kernel_source"])):
        for op in sorted(set(d["op_name"])):
            for ep in sorted(set(d["moe_ep_size"])):
                i = (d["kernel_source"] == ks) & (d["op_name"] == op) & (d["moe_ep_size"] == ep) & (d["moe_dtype"] == "bfloat16")
                if i.sum() < 8: continue
                hit = np.minimum(8, ep * (1 - (1 - 1 / ep)**8)); x = d["num_tokens"][i] * hit * 7168 * 2.0
                OUT["a2a"].append(dict(system=s, engine=e, version=v, backend=str(ks), phase=str(op), dtype="bfloat16", ep=int(ep), max_tokens=int(d["num_tokens"][i].max()), t1_us=float(np.median(d["latency"][i][d["num_tokens"][i] == 1]) * 1e3), **best(x, d["latency"][i] * 1e-3)))
# one shared form for NVLink: t0 = a + b·tp, bus = fraction of the one-way NVLink rate
NV = {"a100_sxm": 300, "h100_sxm": 450, "h200_sxm": 450, "b200_sxm": 900, "b300_sxm": 900, "gb200": 900, "gb300": 900}
for eng in ("vllm", "trtllm", "sglang"):
    ks = [k for k in pool if k[0] in NV and k[1] == eng and k[2] <= 8 and not (k[0] == "gb200" and k[2] == 2)]
    x = np.concatenate([pool[k][0] for k in ks]); t = np.concatenate([pool[k][1] for k in ks])
    n = np.concatenate([0 * pool[k][0] + k[2] for k in ks]); nv = np.concatenate([0 * pool[k][0] + NV[k[0]] for k in ks])
    z, r = fit(lambda z: (z[0] + z[1] * n) * 1e-6 + x / (z[2] * nv * 1e9), [4, .5, .6], [.5, .01, .05], [60, 30, 2], np.log(t))
    OUT["ar_shared"].append(dict(engine=eng, a_us=z[0], b_us_per_gpu=z[1], bus_over_nvlink=z[2], err=mape50(r), points=len(t)))
clean = lambda o: {k: (round(float(v), 3) if isinstance(v, (float, np.floating)) else v) for k, v in o.items()}
OUT = {k: [clean(o) for o in v] for k, v in OUT.items()}
json.dump(OUT, open(HERE / "comm.json", "w"), indent=0)
if __name__ == "__main__":
    for k, v in OUT.items():
        print("##", k)
        for o in v:
            if k == "allreduce" and (o["engine"] == "sglang"): continue
            if k == "nccl" and o["system"] in ("b300_sxm", "gb300", "h200_sxm", "b60"): continue
            print("  ", " ".join(f"{b:.3g}" if isinstance(b, float) else str(b) for a, b in o.items() if a not in ("version", "points", "t0_p")))
