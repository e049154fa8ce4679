"""torchvision and timm for tests, and networks of theirs with random weights."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch


def _has_compiled_operators() -> bool:
    """Whether torchvision's own operators load, and loads them."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ImportError("torchvision is missing: pip install '.[test]'")
    try:
        torch.ops.load_library(Path(spec.origin).with_name("_C.so"))
    except OSError:
        return False
    return True


# A torchvision built for GPUs beside a torch without has no compiled operators, and its
# import stops at those it describes to the compiler. Its classifiers use none.
if not _has_compiled_operators():
    for _name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{_name}",
            "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        )

import timm  # noqa: E402
import torchvision  # noqa: E402

__all__ = ["random_network", "scores", "timm", "torchvision"]


def random_network(make):
    """What `make` builds, with random weights and statistics; without their cost."""
    with torch.device("meta"):
        network = make()
    network = network.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if not value.is_floating_point():
            value.zero_()
        elif name.endswith("running_var"):
            value.uniform_(0.5, 1.5, generator=generator)
        elif value.ndim > 1:
            # Keeps the size of activations from layer to layer.
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("weight"):
            value.uniform_(0.5, 1, generator=generator)
        else:
            value.normal_(0, 0.1, generator=generator)
    return network


def scores(network, pixels, mean, std):
    """Class scores of red, green, blue pixels (N, 3, H, W) from 0 to 255."""
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (mean, std))
    with torch.no_grad():
        return network((torch.from_numpy(pixels) / 255 - mean) / std).numpy()
