"""Screen 2, the model and the GPUs to compare; prices, stock and engine knobs folded away until they are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import streamlit as st

from infrascale import catalog
from infrascale.app.forms import Form, put, refused, upload
from infrascale.app.state import ENGINES, dropped, model_of, pack
from infrascale.errors import InfraScaleError
from infrascale.locales import Words
from infrascale.parsing.models import model as known_model
from infrascale.parsing.prices import countries, own_price
from infrascale.planning import Objective
from infrascale.precision import PRECISIONS


def form(w: Words, form: Form) -> None:
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("app.model"), anchor=False)
        model(w, form)
    with right:
        st.subheader(w.say("form.gpus"), anchor=False)
        gpus(w, form, w.say("app.gpus"))
        form.number("max_gpus", w.say("app.max_gpus"), hint=w.say("form.max_gpus_hint"))
        form.number("max_kw", w.say("form.max_kw"), hint=w.say("form.max_kw_hint"))
        objective(w, form)
    with st.expander(w.say("form.money"), icon=":material/payments:"):
        money(w, form)
    with st.expander(w.say("app.advanced"), icon=":material/tune:"):
        knobs(w, form)


def model(w: Words, form: Form) -> None:
    """A model by name (the list filters as one types, any other name is looked up on the hub), or its config.json."""
    if form.values["config"]:
        _own_model(w, form)
    else:
        names = sorted((str(entry["id"]) for entry in catalog.entries("models").values()), key=str.lower)
        form.open_choice("model", names, w.say("form.model_name"), hint=w.say("form.model_hint"))
    _facts(w, form)
    file = upload(w, w.say("form.config"), ["json"], "w_config_file", 1)
    if file is not None:
        try:
            packed = pack(dropped(file.getvalue()), file.name.removesuffix(".json"))
            model_of({"config": packed})
        except InfraScaleError as error:
            refused(w, error)
        else:
            if packed != form.values["config"]:
                form.values["config"] = packed
                st.query_params["config"] = packed
                st.rerun()
    form.several(
        "precision", [p for p in PRECISIONS if p not in ("fp32", "fp16")], w.say("app.precision"), str,
        hint=w.glossary["quantisation"].meaning, empty=w.say("app.precision_own"),
    )  # fmt: skip
    form.choice("kv_cache_dtype", ["auto", "fp8", "bf16"], w.say("app.kv"), hint=w.glossary["kv_cache"].meaning)


def _own_model(w: Words, form: Form) -> None:
    st.info(w.say("form.config_used"), icon=":material/description:")
    st.button(w.say("form.config_drop"), key="config_drop", on_click=put, args=({"config": ""},))


def _facts(w: Words, form: Form) -> None:
    """What was understood of the model: a glance tells whether it is the one that was meant."""
    try:
        found = known_model(model_of(form.values))
    except InfraScaleError:
        return  # said where the answer would stand
    st.caption(
        w.say(
            "form.model_facts",
            name=found.id,
            params=w.number(found.params / 1e9, 1),
            layers=found.layers,
            precision=found.native.precision,
            context=w.number(found.max_model_len),
        )
    )


def gpus(w: Words, form: Form, label: str) -> None:
    entries = catalog.entries("gpus")
    form.several("gpu", list(entries), label, lambda code: str(entries[code]["name"]), hint=w.say("form.gpus_hint"))
    form.number("gpus_per_server", w.say("form.gpus_per_server"), hint=_servers(w, form.values["gpu"], entries))


def _servers(w: Words, chosen: object, entries: dict) -> str:
    assert isinstance(chosen, Iterable)
    sizes = ", ".join(f"{entries[one]['name']} {entries[one]['gpus_per_server']}" for one in chosen if one in entries)
    return w.say("form.gpus_per_server_hint", sizes=sizes)


def objective(w: Words, form: Form) -> None:
    """What the best of all ways has least of."""
    names = [one.value for one in Objective]
    form.choice("objective", names, w.say("costs.objective"), lambda code: w.say(f"costs.by_{code}"))


def money(w: Words, form: Form) -> None:
    """Your own prices of the GPUs compared, and the country whose electricity they burn."""
    form.choice("country", sorted(countries(), key=w.country), w.say("form.country"), w.country)
    form.phrases("price", w.say("form.price"), lambda one: own_price(one, date.today()), hint=w.say("form.price_hint"))


def knobs(w: Words, form: Form) -> None:
    left, right = st.columns(2)
    with left:
        form.choice("engine", list(ENGINES), w.say("form.engine"))
        form.text("engine_version", w.say("form.engine_version"))
        form.number("gpus_per_replica", w.say("form.gpus_per_replica"), hint=w.glossary["s"].meaning)
        form.number("max_model_len", "max_model_len", hint=w.say("form.knob_hint"))
    with right:
        form.number("max_num_seqs", "max_num_seqs", hint=w.say("form.knob_hint"))
        form.number("max_num_batched_tokens", "max_num_batched_tokens", hint=w.say("form.knob_hint"))
        form.share("gpu_memory_utilization", "gpu_memory_utilization", hint=w.say("form.knob_hint"))
