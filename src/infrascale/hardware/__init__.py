"""Hardware: GPUs, links, and how much of their datasheets kernels reach. Knows no model."""

from infrascale.hardware.efficiency import Collective, Curve, Efficiency, Host, Scale
from infrascale.hardware.gpu import BETWEEN_SERVERS, Gpu, Link, Price, Source

__all__ = [
    "BETWEEN_SERVERS",
    "Collective",
    "Curve",
    "Efficiency",
    "Gpu",
    "Host",
    "Link",
    "Price",
    "Scale",
    "Source",
]
