"""Image files by OpenCV's Python package `cv2`.

Importing this says what to install where the package is missing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.extras import missing
from caffe.files import read_bytes, write_atomically

try:
    import cv2
except ImportError as error:
    raise ImportError(
        missing("cv2", "an image in Python", "cv")
        + f", or opencv-python, which also opens windows, but not both ({error})"
    ) from None

__all__ = ["cv2", "read_image", "write_image"]

Array = npt.NDArray[Any]

# What a JPEG's pixels begin with; a thumbnail before them has an end of its own.
_SCAN = b"\xff\xda"


def read_image(path: str | os.PathLike[str], color: bool = True) -> Array:
    """Decodes an image file as the data layers do.

    Unlike `cv2.imread` it does not turn the image as its EXIF orientation says, which
    Caffe never did, and it says why there is no image.

    Args:
        path: The file.
        color: False for grey.

    Returns:
        uint8, (height, width, 3) in the order blue, green, red, or (height, width, 1).

    Raises:
        OSError: The file cannot be read or decoded.
    """
    data = read_bytes(path)
    # OpenCV before 4.14 fills up what is missing with grey.
    if data.startswith(b"\xff\xd8") and data.find(b"\xff\xd9", data.rfind(_SCAN)) < 0:
        raise OSError(f"image '{path}': the JPEG is truncated, {len(data)} bytes")
    image: Array | None = None
    reason = ""
    try:
        if data:
            image = cv2.imdecode(
                np.frombuffer(data, np.uint8),
                cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
            )
    except cv2.error as error:
        reason = f" ({error.err})"
    if image is None:
        raise OSError(
            f"image '{path}': {len(data)} bytes, expected an image that OpenCV can "
            f"decode{reason}"
        )
    if not color:
        # As the engine, whatever grey a decoder would offer.
        levels = image @ np.array([114, 587, 299])
        image = ((levels + 500) // 1000).astype(np.uint8)
    return image.reshape(*image.shape[:2], -1)


def write_image(path: Path, image: Array) -> None:
    """Writes an image file.

    Args:
        path: The file; its ending chooses the format.
        image: uint8, (height, width, 3) in the order blue, green, red, or (height,
            width).

    Raises:
        ValueError: The name has no ending that OpenCV knows, or this is no image.
        OSError: The file cannot be written.
    """
    if not (path.suffix and cv2.haveImageWriter(path.name)):
        raise ValueError(
            f"image '{path}': OpenCV writes no '{path.suffix}' files, expected a name "
            "that ends in .png or .jpg"
        )
    try:
        encoded = cv2.imencode(path.suffix, image)[1].tobytes()
    except cv2.error as error:
        raise ValueError(
            f"image '{path}': {image.dtype} of shape {image.shape}, expected 1 or 3 "
            f"channels of uint8 ({error.err})"
        ) from None
    write_atomically(path, encoded)
