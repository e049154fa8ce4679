"""A small data set in the layout of ILSVRC, made of real photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

# Two photographs are two classes, a temple and a flower; the names are WordNet's.
CLASSES = {"n04346328": "china.jpg", "n11669921": "flower.jpg"}


def window(photograph: np.ndarray, number: int, side: int) -> Image.Image:
    """A window of a photograph, (height, width, 3); `number` chooses which."""
    draw = np.random.default_rng(number)
    height, width = photograph.shape[:2]
    edge_h, edge_w = (
        draw.integers(height // 3, height),
        draw.integers(width // 3, width),
    )
    top, left = draw.integers(height - edge_h), draw.integers(width - edge_w)
    image = Image.fromarray(photograph[top : top + edge_h, left : left + edge_w])
    scale = side / min(image.size)
    return image.resize(
        (max(side, round(edge_w * scale)), max(side, round(edge_h * scale))),
        Image.Resampling.BILINEAR,
    )


def write_ilsvrc(root: Path, train: int, val: int, side: int = 48) -> Path:
    """Writes train/<class>/*.JPEG, val/*.JPEG and val.txt; the root.

    `train` and `val` are images of each class, whose shorter side has `side` pixels.
    """
    (root / "val").mkdir(parents=True)
    lines = []
    for label, (name, file) in enumerate(CLASSES.items()):
        photograph = load_sample_image(file)
        folder = root / "train" / name
        folder.mkdir(parents=True)
        for number in range(train):
            path = folder / f"{name}_{number}.JPEG"
            window(photograph, number, side).save(path, quality=90)
        for number in range(val):
            path = (
                root / "val" / f"ILSVRC2012_val_{number * len(CLASSES) + label:08}.JPEG"
            )
            window(photograph, 10**6 + number, side).save(path, quality=90)
            lines.append(f"{path.name} {label}\n")
    (root / "val.txt").write_text("".join(sorted(lines)))
    return root
