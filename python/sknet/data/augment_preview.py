"""A contact sheet of what training makes of images: the engine's own draws, as pixels.

Needs OpenCV's `cv2`, of the extra `cv`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import numpy.typing as npt

import caffe
from caffe.files import temporary_folder, write_atomically
from caffe.proto import caffe_pb2
from sknet.complexity import used_in
from sknet.data.opencv import cv2, write_image
from sknet.evaluation.images import ImageSource
from sknet.evaluation.network import read_prototxt
from sknet.models import create_model, recipe_for
from sknet.models.definitions import transform

Array = npt.NDArray[Any]
_GAP = 4
_CAPTION = 14
# Smaller images are enlarged, pixel by pixel, so that they can be seen and the captions
# fit, and larger ones made smaller.
_LEAST_SIDE = 64
_LEAST_WIDTH = 480  # of the sheet
_MOST_SIDE = 512
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.35)
_PAPER = (255, 255, 255)
_INK = (0, 0, 0)


def training_transform(model: str, crop: int | None = None) -> Any:
    """The `transform_param` that training has.

    Args:
        model: A train_val prototxt, or a name from `sknet list`, which stands for its
            recipe.
        crop: Side of the output in pixels, instead of the usual one.

    Raises:
        ValueError: No such model, or the file has no data layer for training.
        OSError: The file cannot be read.
    """
    path = Path(model)
    if path.suffix == ".prototxt":
        layers = [
            layer
            for layer in read_prototxt(path).layer
            if layer.type in ("Data", "ImageData") and used_in(layer, caffe_pb2.TRAIN)
        ]
        if not layers:
            raise ValueError(
                f"'{model}': no Data or ImageData layer for training, expected a "
                "train_val definition"
            )
        param = layers[0].transform_param
        if crop is not None:
            param.crop_size = crop
        return param
    generated = create_model(model)
    recipe = recipe_for(generated.recipe)
    return transform(recipe, crop or generated.image_size, caffe_pb2.TRAIN)


def draw(
    source: ImageSource, param: Any, images: int, draws: int, seed: int
) -> tuple[list[Array], list[list[Array]]]:
    """The first images as decoded, and draws of each, as RGB levels.

    Args:
        source: From `sknet.evaluation.open_source`.
        param: A TransformationParameter, see `training_transform`.
        images: Number of images.
        draws: How often each is transformed.
        seed: The engine's.

    Returns:
        Images (H, W, 3), and for each image its draws likewise.
    """
    images = min(images, source.count)
    with temporary_folder() as folder:
        paths = (
            [source.path / name for name, _ in source.files[:images]]
            if source.files
            else _extracted(source.path, folder, images)
        )
        originals = [caffe.io.load_image(str(path)) for path in paths]
        # The list repeats: pass d over it has the d-th draws of every image.
        layer = caffe_pb2.LayerParameter(name="data", type="ImageData")
        layer.top.extend(["data", "label"])
        layer.transform_param.CopyFrom(param)
        list_file = folder / "images.txt"
        write_atomically(list_file, "".join(f"{path} 0\n" for path in paths))
        layer.image_data_param.source = str(list_file)
        # One image at a time, as without a crop each has a size of its own.
        layer.image_data_param.batch_size = 1
        drawn: list[list[Array]] = [[] for _ in paths]
        with caffe.quiet():
            caffe.set_random_seed(seed)
            net = caffe.Net(caffe_pb2.NetParameter(layer=[layer]), caffe.TRAIN)
            for _, row in itertools.product(range(draws), drawn):
                net.forward()
                row.append(_levels(net.blobs["data"].data[0], param))
    return [_rounded(255 * image) for image in originals], drawn


def _extracted(path: Path, folder: Path, images: int) -> list[Path]:
    """The first images of an LMDB as files."""
    paths = []
    with (
        lmdb.open(str(path), readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        for number, (_, value) in enumerate(
            itertools.islice(transaction.cursor(), images)
        ):
            datum = caffe_pb2.Datum.FromString(value)
            paths.append(folder / f"{number}.png")
            if datum.encoded:
                # Decoders go by the content, not by the name.
                write_atomically(paths[-1], datum.data)
            else:
                levels = caffe.io.datum_to_array(datum).transpose(1, 2, 0)
                write_image(paths[-1], _rounded(levels))
    return paths


def _levels(values: Array, param: Any) -> Array:
    """Undoes mean and scale of the engine's output (3, H, W)."""
    mean = np.array(list(param.mean_value) or [0.0], np.float32).reshape(-1, 1, 1)
    return _rgb((values / param.scale + mean).transpose(1, 2, 0))


def _rgb(levels: Array) -> Array:
    """Blue, green, red, or grey, to red, green, blue."""
    grey = levels.shape[2] == 1
    return _rounded(np.repeat(levels, 3, axis=2) if grey else levels[:, :, ::-1])


def _rounded(levels: Array) -> Array:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def sheet(originals: Sequence[Array], drawn: Sequence[Sequence[Array]]) -> Array:
    """Lays images out, a row for each original and its draws: RGB levels (H, W, 3)."""
    columns = 1 + max(map(len, drawn))
    zoom, side = _scale([image for row in drawn for image in row], columns)
    drawn = [
        [image.repeat(zoom, axis=0).repeat(zoom, axis=1) for image in row]
        for row in drawn
    ]
    cell = side + _GAP
    size = (len(drawn) * cell + _GAP + _CAPTION, columns * cell + _GAP, 3)
    page = np.full(size, _PAPER, np.uint8)
    captions = ["original", *(f"draw {number}" for number in range(1, columns))]
    for column, caption in enumerate(captions):
        foot = (column * cell + _GAP, _CAPTION - 3)
        cv2.putText(page, caption, foot, *_FONT, _INK, 1, cv2.LINE_AA)
    for row, (original, draws) in enumerate(zip(originals, drawn, strict=True)):
        for column, image in enumerate([original, *draws]):
            if max(image.shape[:2]) > side or column == 0:
                image = _fitted(image, side)
            height, width = image.shape[:2]
            left = column * cell + _GAP + (side - width) // 2
            top = row * cell + _GAP + _CAPTION + (side - height) // 2
            page[top : top + height, left : left + width] = image
    return page


def _scale(images: Sequence[Array], columns: int) -> tuple[int, int]:
    """Factor of the images, and side of the squares that they are put into."""
    least = min(min(image.shape[:2]) for image in images)
    most = max(max(image.shape[:2]) for image in images)
    room = (_LEAST_WIDTH - _GAP) / columns - _GAP
    wanted = math.ceil(max(_LEAST_SIDE / least, room / most))
    zoom = max(1, min(wanted, _MOST_SIDE // most))
    return zoom, min(zoom * most, _MOST_SIDE)


def _fitted(image: Array, side: int) -> Array:
    """Resized so that the longer side has `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(scale * width)), max(1, round(scale * height))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    fitted: Array = cv2.resize(image, size, interpolation=way)
    return fitted
