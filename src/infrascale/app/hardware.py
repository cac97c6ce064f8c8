"""Screen 2, the model and the GPUs to compare."""

from __future__ import annotations

import streamlit as st

from infrascale import catalog
from infrascale.app.forms import Form
from infrascale.locales import Words


def form(w: Words, form: Form) -> None:
    models = sorted((str(entry["id"]) for entry in catalog.entries("models").values()), key=str.lower)
    gpus = catalog.entries("gpus")
    form.choice("model", models, w.say("app.model"))
    form.several("gpu", list(gpus), w.say("app.gpus"), lambda code: str(gpus[code]["name"]))
    formats = ["", "bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4"]
    form.choice("precision", formats, w.say("app.precision"), lambda code: code or w.say("app.precision_own"))
    with st.expander(w.say("app.advanced")):
        form.choice("kv_cache_dtype", ["auto", "fp8", "bf16"], w.say("app.kv"))
        form.number("max_gpus", w.say("app.max_gpus"), step=1.0)
