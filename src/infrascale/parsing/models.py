"""A model by any of its names: a catalog id, a local config.json or its folder, a Hugging Face id when online."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from infrascale import catalog
from infrascale.catalog import spelling
from infrascale.errors import CatalogError, FileError, ScenarioError
from infrascale.model import Model
from infrascale.parsing.generic import PREFIX, generic, size_in_name
from infrascale.parsing.huggingface import parse_config
from infrascale.parsing.quantization import precision_in_name, stored_as

#: Models that came as a config.json in memory, by the names that `given` made for them; the latest ones only.
_given: OrderedDict[str, Model] = OrderedDict()
MOST_GIVEN = 256


def given(config: Mapping[str, Any], name: str) -> str:
    """The name by which `model` finds a model that a person handed over as its config.json; nothing touches a disk.

    The name ends in a hash of the config, so that two models never share one.
    """
    content = json.dumps(config, sort_keys=True, separators=(",", ":"))
    called = f"{name}-{sha256(content.encode()).hexdigest()[:8]}"
    if called not in _given:
        _given[called] = parse_config(dict(config), id=called)
    _given.move_to_end(called)
    while len(_given) > MOST_GIVEN:
        _given.popitem(last=False)
    return called


def public(name: str) -> str:
    """A name that a stranger may give: of the catalog, of the hub or `given`, never of a file on this machine."""
    if local_config(name, must_exist=False):
        raise ScenarioError(
            f"{name[:60]!r} names a file", why="only names are taken here", fix="hand over the config.json itself"
        )
    return name


def model(name: str) -> Model:
    """The model that `name` means."""
    return _given[name] if name in _given else _named(name)


@cache
def _named(name: str) -> Model:
    local = local_config(name)
    if local:
        return parse_config(local[1], id=local[0])
    try:
        return known(name)
    except CatalogError as unknown:
        return _hub(name, _with_its_size(unknown, name))


def _with_its_size(unknown: CatalogError, name: str) -> CatalogError:
    """The same error; where the name tells a size, it also offers to assume what models of that size look like."""
    size = size_in_name(name)
    if size is None:
        return unknown
    fix = f"{unknown.fix} Or assume the usual architecture of its size: {PREFIX}{size}."
    return CatalogError(unknown.what, why=unknown.why, fix=fix)


def known(name: str) -> Model:
    """The catalog's model of this name or spelling: no file of the caller's is read, nothing is fetched.

    `generic:13b` is the usual model of that size.
    """
    if name.lower().startswith(PREFIX):
        return generic(name.lower())
    _, entry = catalog.find("models", name)
    found = parse_config(entry["config"], id=entry["id"])
    meant = catalog.meant("models", name)
    own = {spelling(one.split("/")[-1]) for one in (entry["id"], *entry.get("aliases", ()))}
    for variant, precision in entry.get("variants", {}).items():
        if meant == spelling(variant) or (meant == spelling(variant.split("/")[-1]) and meant not in own):
            return replace(found, id=variant, native=stored_as(replace(found, id=variant), precision))
    stated = precision_in_name(name)
    if stated and meant != spelling(name) and stated != found.native.precision:
        return replace(found, native=stored_as(found, stated))
    return found


def local_config(name: str, must_exist: bool = True) -> tuple[str, dict[str, Any]] | None:
    """The id and config.json of a model named by its path, None for any other name."""
    path = Path(name)
    if not (name.endswith(".json") or path.is_dir()):
        return None
    path = path / "config.json" if path.is_dir() else path
    folder = path.resolve().parent.name if path.name == "config.json" else path.stem
    return folder, _json(path) if must_exist else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="give a config.json") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} is not text", why="it is not UTF-8", fix="give a config.json") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise FileError(f"{path} is not JSON", why=str(error), fix="give a model's config.json") from None


def _hub(name: str, unknown: CatalogError) -> Model:
    """The config.json of a Hugging Face repository, when the hub extra is there and the hub answers."""
    if name.count("/") != 1:
        raise unknown
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        fix = unknown.fix + " To fetch from the hub: pip install 'infrascale[hub]'."
        raise CatalogError(unknown.what, why=unknown.why, fix=fix) from None
    try:
        path = hf_hub_download(name, "config.json")
    except Exception as error:  # the hub's client raises many kinds: all mean "not to be had"
        why = f"{unknown.why}, and the hub gave nothing ({type(error).__name__})"
        raise CatalogError(unknown.what, why=why, fix=unknown.fix) from None
    return parse_config(json.loads(Path(path).read_text(encoding="utf-8")), id=name)
