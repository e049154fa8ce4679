"""A classifier that NumPy can follow: colours of a grid of cells, and linear scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import caffe
from caffe.proto import caffe_pb2

MEAN = (104.0, 117.0, 123.0)
CELL = 8
SIDE = 2 * CELL
CLASSES = 7

# A convolution over cells of 8x8 pixels; a pooling over the 2x2 cells of a crop.
NET = f"""
name: "colours"
layer {{ name: "input" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: {SIDE} dim: {SIDE} }} }} }}
layer {{ name: "cells" type: "Convolution" bottom: "data" top: "cells"
  convolution_param {{ num_output: 4 kernel_size: {CELL} stride: {CELL}
    bias_term: false weight_filler {{ type: "gaussian" std: 0.01 }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "cells" top: "cells" }}
layer {{ name: "pool" type: "Pooling" bottom: "cells" top: "pool"
  pooling_param {{ pool: AVE kernel_size: 2 stride: 1 }} }}
layer {{ name: "scores" type: "InnerProduct" bottom: "pool" top: "scores"
  inner_product_param {{ num_output: {CLASSES}
    weight_filler {{ type: "gaussian" std: 1 }}
    bias_filler {{ type: "gaussian" std: 0.1 }} }} }}
"""


def write_net(folder: Path) -> tuple[Path, Path]:
    """Writes the definition and random weights."""
    path, weights = folder / "colours.prototxt", folder / "colours.caffemodel"
    path.write_text(NET)
    caffe.set_random_seed(5)
    caffe.Net(str(path), caffe.TEST).save(str(weights))
    return path, weights


def probabilities(weights: Path, crop: np.ndarray) -> np.ndarray:
    """Of one crop (side, side, 3) of RGB levels, in float64."""
    stored = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    blobs = {
        layer.name: [caffe.io.blobproto_to_array(b).astype(float) for b in layer.blobs]
        for layer in stored.layer
    }
    values = crop[:, :, ::-1].astype(float) - MEAN
    cells = len(values) // CELL
    grid = values[: cells * CELL, : cells * CELL].reshape(cells, CELL, cells, CELL, 3)
    features = np.einsum("iajbc,fcab->ijf", grid, blobs["cells"][0])
    pooled = np.maximum(features, 0).mean(axis=(0, 1))
    weight, bias = blobs["scores"]
    scores = weight.reshape(CLASSES, -1) @ pooled + bias.reshape(-1)
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def write_images(folder: Path, count: int, size: tuple[int, int]) -> list[np.ndarray]:
    """Writes noisy PNG images of (height, width) in folders 0..6, in label order.

    Returns their levels (height, width, 3), red first, in the order of a source.
    """
    draw = np.random.default_rng(11)
    images = []
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
        for number in range(count // CLASSES):
            tint = draw.integers(0, 256, (1, 1, 3))
            noise = draw.integers(-60, 60, (*size, 3))
            levels = np.clip(tint + noise, 0, 255).astype(np.uint8)
            Image.fromarray(levels).save(folder / str(label) / f"{number}.png")
            images.append(levels)
    return images
