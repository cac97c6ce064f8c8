"""Models: blocks, their parameters, cache and work. Knows no hardware."""

from infrascale.model.model import LAYER_PARTS, Group, Model, Quantization, numerics

__all__ = ["LAYER_PARTS", "Group", "Model", "Quantization", "numerics"]
