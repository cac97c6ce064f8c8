"""Parameters of a vision encoder and its projector, held in memory beside the text model.

An estimate to a few per cent from the sizes in vision_config: attention 4·d²,
two or three matrices of the feed-forward,
patch embedding, projector. Encoders are a few per cent of a model, so the whole stays within one.
"""

from __future__ import annotations

from infrascale.errors import ModelError
from infrascale.parsing.reader import Reader

#: Encoders whose feed-forward is gated: three matrices.
_GATED = ("pixtral", "qwen2_5_vl", "gemma4_vision", "mistral3", "glm4v")


def vision_params(outer: Reader, hidden: int) -> int:
    """0 without a vision_config, or where it does not say its sizes."""
    vision = outer.child("vision_config")
    if vision is None:
        return 0
    try:
        wide = vision.size("vt_hidden_size", "embed_dim", "hidden_size")
        layers = vision.size("vt_num_hidden_layers", "depth", "num_hidden_layers", most=2000)
        layers += vision.size("num_global_layers", default=0, least=0, most=2000)
        feed = vision.size("vt_intermediate_size", "intermediate_size", default=4 * wide)
    except ModelError:
        return 0  # encoders vary more than language models; an unread one is small beside the text model
    kind = f"{vision.find('model_type')} {outer.find('model_type')}"
    if "glm4v" in kind:  # its feed-forward is as wide as the text model; intermediate_size is the projector's
        feed = hidden
    matrices = 3 if any(name in kind for name in _GATED) else 2
    patch = vision.size("patch_size", default=14) ** 2 * 3 * vision.size("temporal_patch_size", default=1)
    side = vision.size("image_size", default=0, least=0) // vision.size("patch_size", default=14)
    positions = vision.size("num_position_embeddings", default=0 if matrices == 3 else side * side, least=0)
    body = layers * (4 * wide * wide + matrices * wide * feed + 13 * wide) + (patch + positions) * wide
    merge = vision.size("spatial_merge_size", default=outer.size("spatial_merge_size", default=1)) ** 2
    if "qwen" in kind or "kimi" in kind:
        merged = wide * max(4, merge)
        stacks = vision.items("deepstack_visual_indexes", int) or []
        projector = (1 + len(stacks)) * (merged * merged + merged * hidden)
    elif "glm4v" in kind:
        projector = 3 * hidden * vision.size("intermediate_size") + hidden * hidden + 4 * wide * hidden
    elif "mistral3" in kind:
        projector = wide * wide * merge + wide * hidden + hidden * hidden
    else:
        projector = wide * hidden
    return body + projector
