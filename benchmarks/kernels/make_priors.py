"""gemm.json, attention.json, moe.json, comm.json, state.json -> priors.toml. One number where one serves; units in the key names."""
from common import *
import json
J = {n: json.load(open(HERE / f"{n}.json")) for n in ("gemm", "attention", "moe", "comm", "state")}
L = ['# Efficiency priors distilled from measured kernel tables.',
     '# Source: aiconfigurator-core 0.12.0 (wheel on PyPI, NVIDIA), licence Apache-2.0; silicon_sample.csv was not unpacked nor opened.',
     '# Written by make_priors.py; forms and caveats: REPORT.md. err_* = median absolute error, %. Fractions refer to [peaks].',
     '', '[source]', 'package = "aiconfigurator-core"', 'version = "0.12.0"', 'license = "Apache-2.0"', '']
NICE = {"bfloat16": "bf16", "w4a16_mxfp4": "mxfp4_w4a16", "w4a8_mxfp4_mxfp8": "mxfp4_w4a8", "int4_wo": "int4_w4a16", "int8_wo": "int8_w8a16", "sq": "int8_w8a8"}
ALL = "ampere+ada+hopper+blackwell+blackwell_ultra+blackwell_rtx"
nice = lambda q: NICE.get(q, q)
arch = lambda a: "shared" if "+" in a else a


def put(head, d, note=""):
    L.append(f"[{head}]" + (f"    # {note}" if note else ""))
    for k, v in d.items():
        L.append(f"{k} = " + (f'"{v}"' if isinstance(v, str) else repr(float(f"{v:.5g}")) if isinstance(v, float) else str(v)))
    L.append("")


for s, g in GPUS.items():
    put(f"peaks.{s}", dict(arch=g["arch"], hbm_bytes_per_s=f"{g['bw']:.4g}", **{k + "_flop_per_s": f"{v:.4g}" for k, v in g.items() if k not in ("arch", "bw")}))
    for i in range(-8, 0):
        if "_per_s" in L[i]: L[i] = L[i].replace('"', "")

for o in J["gemm"]["shared"]:
    q = o["dtype"]
    if o["engine"] != ("all" if q == "fp8_block" else "vllm") or o["archs"] in ("hopper+blackwell", "ampere+hopper+blackwell+blackwell_ultra") : continue
    t0, eb, ef, p, ck, cq = o["z_p2"]
    put(f"gemm.{arch(o['archs'])}.{nice(q)}", dict(t0_s=round(t0 * 1e-6, 9), e_b=min(eb, 1.), e_f=ef, p=2, k_chain_s_per_1024=round(ck * 1e-6, 9), quant_s_per_element=round(cq * 1e-12, 15) if q == "fp8" else 0.0,
        err_large=o["err_large_p2"], err_m16=o["p2"]["err_m16"], err_m256=o["p2"]["err_m256"], err_m8192=o["p2"]["err_m8192"], err_small=o["p2"]["err_small"], points=o["points"], tables="trtllm+sglang" if q == "fp8_block" else "vllm"))
for o in J["gemm"]["each"]:
    if o["dtype"] in ("int4_wo", "int8_wo", "sq"):
        put(f"gemm.{GPUS[o['system']]['arch']}.{nice(o['dtype'])}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), e_b=o["e_b"], e_f=o["e_f"], p=o["p"], k_chain_s_per_1024=round(o["k_chain_us_per_1024"] * 1e-6, 9), quant_s_per_element=0.0, err_large=o["err_large"], err_small=o["err_small"], points=o["points"], tables=f"{o['engine']} {o['version']}"), "one engine, one GPU: weak")
for o in J["attention"]["decode_shared"]:
    if o["engine"] == "vllm" and ("+" not in o["archs"] or o["archs"] == ALL):
        put(f"decode_attention.{arch(o['archs'])}.kv_{nice(o['kv'])}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), e=o["e"], seq_s=round(o["seq_us"] * 1e-6, 12), err=o["err"], points=o["points"]))
put("decode_attention.hopper.kv_fp8_cap", dict(max_kv_bytes_per_s=2.9e12), "FA3 converts fp8 KV at 2.75 (H100) to 3.06 (H200) TB/s: a cap, not a share of bandwidth")
for o in J["attention"]["mla_decode_pooled"]:
    put(f"mla_decode.{o['arch']}.kv_{nice(o['kv'])}_{o['engine']}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), e=o["e"], e_f=o["e_f"], chain_s_per_1024_context=round(o["chain_us_per_1024"] * 1e-6, 9), err=o["err"], points=o["points"]))
for o in J["attention"]["mla_module_decode"]:
    if o["engine"] == "vllm" and o["kv"] == "bfloat16": put(f"mla_module_floor.{o['system']}.{nice(o['gemm'])}_vllm_{o['version'].replace('.', '_')}", dict(floor_s=round(o["floor_us"] * 1e-6, 9), err=o["err"], points=o["points"]))
for o in J["attention"]["prefill_shared"]:
    if o["engine"] == "vllm": put(f"prefill_attention.{arch(o['archs'])}.bf16", dict(t0_s=round(o["t0_us"] * 1e-6, 9), e_max=o["e"], s_half_tokens=round(o["s_half"]), chain_s_per_1024=round(o["chain_us_per_1024"] * 1e-6, 9), p=3, err=o["err"], points=o["points"]))
for o in J["attention"]["prefill_mla_pooled"]:
    put(f"prefill_mla.{o['arch']}.bf16", dict(t0_s=round(o["t0_us"] * 1e-6, 9), e_max=o["e"], s_half_tokens=round(o["s_half"]), chain_s_per_1024=round(o["chain_us_per_1024"] * 1e-6, 9), p=3, err=o["err"], points=o["points"], tables="trtllm"))
for o in J["moe"]["shared"]:
    if o["engine"] == "vllm" and ("+" not in o["archs"] or o["archs"] == ALL) or (o["dtype"], o["engine"], o["archs"]) in (("fp8", "all", "hopper"), ("int4_wo", "all", "ampere"), ("fp8_block", "all", "blackwell_rtx")):
        put(f"moe.{arch(o['archs'])}.{nice(o['dtype'])}", dict(floor_s=round(o["t0_us"] * 1e-6, 9), e_b=o["e_b"], e_f=o["e_f"], skew=o["skew"], err=o["err"], err_t1_8=o["err_t1_8"], err_t16_256=o["err_t16_256"], err_t512_up=o["err_t512_up"], err_p90=o["p90"], points=o["points"], tables=o["engine"]))
for o in J["comm"]["allreduce"]:
    if o["engine"] == "vllm" and "graph" in o["mode"]: put(f"allreduce.{o['system']}.tp{o['tp']}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), bus_bytes_per_s=round(o["bus_GBps"] * 1e9), err=o["err"], t0_soft_s=round(o["t0_p"] * 1e-6, 9), bus_soft_bytes_per_s=round(o["bus_p"] * 1e9), p_soft=o["p"], err_soft=o["err_p"], points=o["points"]))
for o in J["comm"]["nccl"]: put(f"nccl.{o['system']}.{o['op']}.n{o['tp']}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), bus_bytes_per_s=round(o["bus_GBps"] * 1e9), err=o["err"], points=o["points"]))
for o in J["comm"]["a2a"]:
    if o["dtype"] in ("default", "bfloat16"): put(f"all_to_all.{o['system']}.{o['backend']}.{o['phase']}.ep{o['ep']}", dict(t0_s=round(o["t0_us"] * 1e-6, 9), bytes_per_s=round(o["bus_GBps"] * 1e9), err=o["err"], points=o["points"], engine=o["engine"]))
for o in J["state"]:
    if o["engine"] == "vllm" and o["system"] in ("h100_sxm", "h200_sxm", "b200_sxm", "b300_sxm") and o["op"] in ("gdn", "kda", "scale_matrix"):
        put(f"state.{o['system']}.{o['op']}.{o['kernel'].replace('.', '_')}" + (f".{o['phase']}" if o["phase"] else ""), dict(t0_s=round(o["t0_us"] * 1e-6, 9), e=o["e"], chain_s_per_1024=round(o["chain_us_per_1024"] * 1e-6, 9), err=o["err"], points=o["points"]))
(HERE / "priors.toml").write_text("\n".join(L))
import tomllib
T_ = tomllib.loads((HERE / "priors.toml").read_text()); print(len(L), "lines", {k: len(v) for k, v in T_.items()})
