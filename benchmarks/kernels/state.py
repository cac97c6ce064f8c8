"""Linear-attention states and element-wise kernels -> state.json.

decode step of a delta-rule state (GDN, KDA)   t = t0 + seqs·v_heads·dk·dv·4 bytes·2 / (e·bw)        (read and written, fp32)
chunked prefill                                t = t0 + ((c_chain·s)^3 + (8·tokens·v_heads·dk·dv / (e_f·bf16 peak))^3)^(1/3)
conv1d, static fp8 quantisation                t = t0 + bytes / (e·bw);  conv: 2 x 2 bytes a channel and token, quantise: 3 bytes an element
The mamba2 tables hold only the convolution, not the scan.
"""
from common import *
import json
rows = []
for name in ("gdn", "kda"):
    for s, e, v, p in tables(name):
        if s not in GPUS: continue
        d = table(p); g = GPUS[s]
        for ks in sorted(set(d["kernel_source"])):
            for ph in ("context", "generation"):
                i = (d["kernel_source"] == ks) & (d["phase"] == ph) & (d["latency"] > 0)
                if i.sum() < 30: continue
                b, S, H, Hk, t = (d[c][i].astype(float) for c in ("batch_size", "seq_len", "num_v_heads", "num_k_heads", "latency")); t = t * 1e-3
                if "conv" in ks:
                    tok = b * (S if ph == "context" else 1); x = tok * (2 * Hk * 128 + H * 128) * (4. if ph == "context" else 2 * 2 * 4.) / g["bw"]
                    f = lambda z: z[0] * 1e-6 + x / z[1]; z0, lo, hi = [4, .7], [.5, .02], [900, 1]
                elif ph == "generation":
                    x = b * H * 128 * 128 * 8. / g["bw"]
                    f = lambda z: z[0] * 1e-6 + x / z[1]; z0, lo, hi = [4, .7], [.5, .02], [900, 2]
                else:
                    x = 8 * b * S * H * 128 * 128 / g["bf16"]
                    f = lambda z: z[0] * 1e-6 + ((x / z[1])**3 + (z[2] * 1e-6 * S / 1024)**3)**(1 / 3); z0, lo, hi = [20, .3, 40], [.5, .01, .1], [900, 1.5, 900]
                z, r = fit(f, z0, lo, hi, np.log(t))
                rows.append(dict(op=name, system=s, engine=e, kernel=str(ks), phase=ph, t0_us=z[0], e=z[1], chain_us_per_1024=z[2] if len(z) > 2 else 0., err=mape50(r), points=len(r)))
for name in ("scale_matrix", "computescale"):
    for s, e, v, p in tables(name):
        if s not in GPUS: continue
        d = table(p); i = (d["k"] >= 512) & (d["latency"] > 0); x = d["m"][i] * d["k"][i] * (3. if name == "scale_matrix" else 2.) / GPUS[s]["bw"]
        z, r = fit(lambda z: z[0] * 1e-6 + x / z[1], [2, .8], [.1, .02], [50, 3], np.log(d["latency"][i] * 1e-3))
        rows.append(dict(op=name, system=s, engine=e, kernel=str(d["kernel_source"][0]), phase="", t0_us=z[0], e=z[1], chain_us_per_1024=0., err=mape50(r), points=len(r)))
json.dump([{k: round(float(v), 3) if isinstance(v, (float, np.floating)) else v for k, v in o.items()} for o in rows], open(HERE / "state.json", "w"), indent=0)
if __name__ == "__main__":
    for o in rows:
        if o["engine"] != "trtllm" and o["system"] in ("a100_sxm", "h100_sxm", "b200_sxm", "l40s", "rtx_pro_6000_server"):
            print(o["op"], o["system"][:5], o["engine"], o["kernel"][:45], o["phase"], f"t0 {o['t0_us']:.1f} e {o['e']:.2f} chain {o['chain_us_per_1024']:.1f} err {o['err']:.1f}")
