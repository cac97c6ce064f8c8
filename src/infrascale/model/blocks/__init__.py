"""Kinds of layer, one file each. A model is an embedding and groups of these blocks."""

from infrascale.model.blocks.block import Block
from infrascale.model.blocks.compressed import Compressed
from infrascale.model.blocks.dense import Dense
from infrascale.model.blocks.gqa import Gqa
from infrascale.model.blocks.mla import Mla
from infrascale.model.blocks.moe import Moe
from infrascale.model.blocks.recurrent import Recurrent

__all__ = ["Block", "Compressed", "Dense", "Gqa", "Mla", "Moe", "Recurrent"]
