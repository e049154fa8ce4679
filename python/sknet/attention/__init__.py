"""Which kernels a Selective Kernel Network chooses: the paper's Figures 3 and 4."""

from sknet.attention.analysis import Attention, ImageAttention, analyse, enlarged
from sknet.attention.units import Unit, last_of_stages, sk_units

__all__ = [
    "Attention",
    "ImageAttention",
    "Unit",
    "analyse",
    "enlarged",
    "last_of_stages",
    "sk_units",
]
