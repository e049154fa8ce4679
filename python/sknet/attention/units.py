"""Finds the Selective Kernel units of a net."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

# The blobs of the weights in the released files and in ours.
_WEIGHTS = re.compile(r"(.+?)(\d+)_(\d+)/B_slice(\d+)")


@dataclass(frozen=True)
class Unit:
    """One unit.

    Attributes:
        name: `SK_3_4` for the unit in block conv3_4.
        stage: 3.
        blobs: Weights of the branches (N x C x 1 x 1), which sum to 1 over them.
        kernels: Side of each branch's kernel as it acts on its input, with dilation.
    """

    name: str
    stage: int
    blobs: tuple[str, ...]
    kernels: tuple[int, ...]

    @property
    def first_kernel(self) -> str:
        """Of the first branch, such as `3x3`."""
        return f"{self.kernels[0]}x{self.kernels[0]}"

    @property
    def last_kernel(self) -> str:
        """Of the last branch, such as `5x5`."""
        return f"{self.kernels[-1]}x{self.kernels[-1]}"


def sk_units(net: Any) -> list[Unit]:
    """The units of a definition (a NetParameter) in their order.

    Raises:
        ValueError: It has none with two branches or more.
    """
    # The layer that makes a blob, not those that change it in place.
    producers: dict[str, Any] = {}
    for layer in net.layer:
        for top in layer.top:
            producers.setdefault(top, layer)
    blobs: dict[tuple[str, int, int], dict[int, str]] = {}
    for layer in net.layer:
        for top in layer.top:
            if match := _WEIGHTS.fullmatch(top):
                block = match[1], int(match[2]), int(match[3])
                blobs.setdefault(block, {})[int(match[4])] = top
    units = []
    for (prefix, stage, index), weights in blobs.items():
        kernels = _kernels(producers, f"{prefix}{stage}_{index}_3x3")
        if len(weights) < 2 or len(kernels) != len(weights):
            continue
        ordered = tuple(weights[branch] for branch in sorted(weights))
        units.append(Unit(f"SK_{stage}_{index}", stage, ordered, kernels))
    if not units:
        raise ValueError(
            f"net '{net.name}': no Selective Kernel units, expected blobs such as "
            "conv3_4/B_slice1; the analysis is for SKNets"
        )
    return units


def _kernels(producers: dict[str, Any], fused: str) -> tuple[int, ...]:
    """Of the convolutions whose outputs the unit adds, in their order."""
    kernels = []
    for blob in producers[fused].bottom if fused in producers else ():
        layer: Any = producers.get(blob)
        # Batch norm stands between.
        while layer is not None and layer.type != "Convolution":
            layer = producers.get(layer.bottom[0]) if layer.bottom else None
        if layer is None:
            return ()
        param = layer.convolution_param
        dilation = param.dilation[0] if param.dilation else 1
        kernels.append(dilation * (param.kernel_size[0] - 1) + 1)
    return tuple(kernels)


def last_of_stages(units: list[Unit]) -> list[Unit]:
    """The last unit of every stage: 2_3, 3_4, 4_6 and 5_3 of SKNet-50."""
    return list({unit.stage: unit for unit in units}.values())
