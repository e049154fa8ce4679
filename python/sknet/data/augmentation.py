"""SENet's augmentation, and the preprocessing of evaluations, on NumPy images.

For Python layers, notebooks and the data sets of other frameworks. The draws are those
of the engine's data layers, and levels are within one of theirs; docs/augmentation.md
states the laws and has examples.

An image is an array (height, width, channels) as `cv2.imread` returns it: blue, green,
red; or grey, (height, width). Its levels are 0 to 255 in uint8 or any floating type.
Everything here gives float32, and nothing is rounded to whole levels in between.

Needs OpenCV's `cv2`, of the extra `cv`, and no engine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.io import oversample
from sknet.data.draws import Draws
from sknet.data.opencv import cv2, read_image
from sknet.models.recipe import IMAGENET_MEAN

__all__ = [
    "Draws",
    "augment",
    "centre_crop",
    "options_of",
    "read_image",
    "resize_shorter",
    "ten_crops",
    "to_input",
]

Array = npt.NDArray[Any]

_TRIES = 10
# Jitter draws a number for each; see `Draws`.
_MAX_CHANNELS = 32


def augment(
    image: Array,
    draws: Draws,
    *,
    crop_size: int = 224,
    mirror: bool = True,
    area: tuple[float, float] | None = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
    resize_short: int = 0,
    max_rotation: float = 10.0,
    max_jitter: float = 20.0,
    mean_value: Sequence[float] = IMAGENET_MEAN,
    scale: float = 1.0,
) -> Array:
    """What a data layer makes of an image in training; by default SENet's augmentation.

    The arguments are named like the fields of `transform_param`, see `options_of`.

    Args:
        image: Levels 0 to 255, (height, width, channels) or (height, width), of uint8
            or a floating type, 32 channels at most; not changed.
        draws: The random numbers of this sample; a new object for each.
        crop_size: Side of the output in pixels. Without `area` 0 takes whole images.
        mirror: Whether one image in two is reversed left to right.
        area: Least and largest share of the image that a crop covers before it is
            resized, in (0, 1]. None takes a window of `crop_size` as it is.
        aspect: Least and largest width / height of a crop, above 0.
        resize_short: Without `area` the side that the shorter side of the image is
            resized to before, at least `crop_size`; 0 leaves images as they are.
        max_rotation: Largest angle in degrees either way, 0 to 180. Where the rotated
            crop does not reach, levels are `mean_value`.
        max_jitter: Largest offset of a channel's levels either way, 0 or more.
        mean_value: Subtracted from the levels; one for every channel, or one, or none.
        scale: Multiplies the difference.

    Returns:
        (level - mean) x scale, float32 (channels, crop_size, crop_size).

    Raises:
        ValueError: An argument out of range, or an image that does not fit.
    """
    image = _image(image)
    height, width, channels = image.shape
    means = _means(mean_value, channels)
    # The engine keeps them in float32, which decides where a crop is rounded.
    max_rotation, max_jitter = _float32(max_rotation), _float32(max_jitter)
    _check(0 <= max_rotation <= 180, "max_rotation", max_rotation, "0 to 180 degrees")
    _check(0 <= max_jitter < math.inf, "max_jitter", max_jitter, "0 or more levels")
    least = 0 if area is None else 1
    _check(crop_size >= least, "crop_size", crop_size, f"{least} or more pixels")
    _check(
        resize_short == 0 or resize_short >= max(crop_size, 1),
        "resize_short",
        resize_short,
        f"0, or crop_size, {crop_size}, at least",
    )

    mirrored = mirror and draws.below(2) == 1
    top = left = 0
    if area is not None:
        y, x, height, width = _draw_crop(_range("area", area), aspect, image, draws)
        image = image[y : y + height, x : x + width]
        size = window = (crop_size, crop_size)
    else:
        size = _shorter(image, resize_short) if resize_short else (height, width)
        window = (crop_size, crop_size) if crop_size else size
        if crop_size:
            _check_fit("augment", size, crop_size)
            top = draws.below(size[0] - crop_size + 1)
            left = draws.below(size[1] - crop_size + 1)
    degrees = max_rotation * (2 * draws.uniform() - 1) if max_rotation else 0.0
    jitter = [
        max_jitter * (2 * draws.uniform() - 1) if max_jitter else 0.0
        for _ in range(channels)
    ]

    if degrees:
        levels = _rotated(image, size, (top, left), window, mirrored, degrees, means)
    else:
        levels = _resized(image, size)[top : top + window[0], left : left + window[1]]
        if mirrored:
            levels = levels[:, ::-1]
    return to_input(levels, means - np.array(jitter), scale)


def options_of(param: Any) -> dict[str, Any]:
    """The keyword arguments of `augment` that do what a layer's `transform_param` says.

    Args:
        param: A caffe_pb2.TransformationParameter. `force_color` and `force_gray` are
            for who reads the image.

    Raises:
        ValueError: It has a `mean_file`.
    """
    if param.HasField("mean_file"):
        raise ValueError(
            "transform_param: mean_file has a mean for every place of the image; "
            "subtract it from the image before, or use mean_value"
        )
    crop = param.random_resized_crop
    resized = param.HasField("random_resized_crop")
    return {
        "crop_size": param.crop_size,
        "mirror": param.mirror,
        "area": (crop.min_area, crop.max_area) if resized else None,
        "aspect": (crop.min_aspect, crop.max_aspect),
        "resize_short": param.resize_short,
        "max_rotation": param.max_rotation,
        "max_jitter": param.max_jitter,
        "mean_value": tuple(param.mean_value),
        "scale": param.scale,
    }


def resize_shorter(image: Array, side: int) -> Array:
    """Resizes an image so that its shorter side has `side` pixels, the other following.

    Bilinear, without smoothing, like `resize_short` of the data layers.

    Args:
        image: Levels 0 to 255, (height, width, channels) or (height, width), of uint8
            or a floating type.
        side: Pixels; 256 for crops of 224, see `sknet.models.recipe.shorter_side`.

    Returns:
        Levels, float32 (height, width, channels).
    """
    image = _image(image)
    if side < 1:
        raise ValueError(f"resize_shorter: side is {side}, expected 1 or more pixels")
    return _resized(image, _shorter(image, side))


def centre_crop(image: Array, size: int) -> Array:
    """The middle of an image.

    Args:
        image: (height, width, channels) or (height, width).
        size: Side of the crop in pixels.

    Returns:
        float32 (size, size, channels).

    Raises:
        ValueError: The image is smaller.
    """
    image = _image(image)
    height, width = image.shape[:2]
    _check_fit("centre_crop", (height, width), size)
    top, left = (height - size) // 2, (width - size) // 2
    return image[top : top + size, left : left + size].astype(np.float32)


def ten_crops(image: Array, size: int) -> Array:
    """Corners and centre, and their mirror images, whose scores are averaged.

    Args:
        image: (height, width, channels) or (height, width).
        size: Side of a crop in pixels.

    Returns:
        float32 (10, size, size, channels): top left, top right, bottom left, bottom
        right, centre, and the five mirrored.

    Raises:
        ValueError: The image is smaller.
    """
    image = _image(image)
    height, width = image.shape[:2]
    _check_fit("ten_crops", (height, width), size)
    crops: Array = oversample([image], (size, size))
    return crops


def to_input(
    levels: Array,
    mean_value: Sequence[float] | Array = IMAGENET_MEAN,
    scale: float = 1.0,
) -> Array:
    """Levels to the values of a net's input: (level - mean) x scale.

    Args:
        levels: (..., height, width, channels), or grey, (height, width).
        mean_value: One for every channel, or one, or none.
        scale: Multiplies the difference.

    Returns:
        float32 (..., channels, height, width), in one piece.
    """
    if levels.ndim == 2:
        levels = levels[:, :, np.newaxis]
    means = _means(mean_value, levels.shape[-1])
    # Channels come first before the arithmetic, which is fast along rows only.
    values = np.moveaxis(levels, -1, -3).astype(np.float32, order="C")
    values -= means[:, np.newaxis, np.newaxis]
    values *= np.float32(scale)
    return values


def _check(met: bool, name: str, value: Any, expected: str) -> None:
    if not met:
        raise ValueError(f"augment: {name} is {value}, expected {expected}")


def _check_fit(who: str, size: tuple[int, int], crop: int) -> None:
    if not 1 <= crop <= min(size):
        raise ValueError(
            f"{who}: a crop of {crop}, expected 1 to {min(size)}, the shorter side of "
            f"the image of {size[1]} x {size[0]} pixels; resize it before, or take a "
            "smaller crop"
        )


def _image(image: Array) -> Array:
    """The image as (height, width, channels), of uint8 or float32."""
    if not isinstance(image, np.ndarray):
        raise ValueError(
            f"image: {type(image).__name__}, expected an array (height, width, "
            "channels); where cv2.imread returned None, read_image tells why"
        )
    if image.dtype != np.uint8 and not np.issubdtype(image.dtype, np.floating):
        raise ValueError(
            f"image: {image.dtype} values, expected levels 0 to 255 of uint8 or of a "
            "floating type"
        )
    if image.dtype != np.uint8:
        image = image.astype(np.float32, copy=False)
    shape = image.shape
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    if image.ndim != 3 or image.size == 0 or image.shape[2] > _MAX_CHANNELS:
        raise ValueError(
            f"image: shape {shape}, expected (height, width, channels) with up to "
            f"{_MAX_CHANNELS} channels; transpose other layouts"
        )
    return image


def _means(mean_value: Sequence[float] | Array, channels: int) -> Array:
    means = np.array(mean_value if len(mean_value) else [0.0], np.float32)
    if means.shape not in ((1,), (channels,)):
        raise ValueError(
            f"mean_value: {len(means)} values, expected 1 or {channels}, one for every "
            "channel of the image"
        )
    return np.broadcast_to(means, channels)


def _float32(value: float) -> float:
    return float(np.float32(value))


def _range(name: str, limits: tuple[float, float]) -> tuple[float, float]:
    low, high = map(_float32, limits)
    most = 1.0 if name == "area" else math.inf
    _check(
        0 < low <= high <= most and high < math.inf,
        name,
        (low, high),
        "0 < least <= largest" + (" <= 1" if name == "area" else ""),
    )
    return low, high


def _rounded(value: float) -> int:
    """To the nearest integer, halves up, as C does and Python's `round` does not."""
    whole = math.floor(value)
    return whole + (value - whole >= 0.5)


def _draw_crop(
    area: tuple[float, float], aspect: tuple[float, float], image: Array, draws: Draws
) -> tuple[int, int, int, int]:
    """Row, column, height and width of a crop of random area and aspect."""
    height, width = image.shape[:2]
    least, largest = _range("aspect", aspect)
    low, high = math.log(least), math.log(largest)
    for _ in range(_TRIES):
        pixels = (area[0] + (area[1] - area[0]) * draws.uniform()) * height * width
        ratio = math.exp(low + (high - low) * draws.uniform())
        w, h = _rounded(math.sqrt(pixels * ratio)), _rounded(math.sqrt(pixels / ratio))
        if 1 <= w <= width and 1 <= h <= height:
            return draws.below(height - h + 1), draws.below(width - w + 1), h, w
    h, w = height, width
    if width / height < least:
        h = min(height, max(1, _rounded(width / least)))
    elif width / height > largest:
        w = min(width, max(1, _rounded(height * largest)))
    return (height - h) // 2, (width - w) // 2, h, w


def _shorter(image: Array, side: int) -> tuple[int, int]:
    """Height and width of the image when its shorter side is `side`."""
    height, width = image.shape[:2]
    longer = _rounded(max(height, width) * side / min(height, width))
    return (side, longer) if height <= width else (longer, side)


def _resized(image: Array, size: tuple[int, int]) -> Array:
    # In float32 OpenCV's resizing has no rounding of its own, which in uint8 it has.
    levels: Array = np.ascontiguousarray(image, np.float32)
    if size != image.shape[:2]:
        levels = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_LINEAR)
    return levels.reshape(*size, image.shape[2])


def _rotated(
    image: Array,
    size: tuple[int, int],
    offset: tuple[int, int],
    window: tuple[int, int],
    mirrored: bool,
    degrees: float,
    fill: Array,
) -> Array:
    """The window of the image resized to `size`, turned; each pixel interpolated once.

    Not by `cv2.remap` or `cv2.warpAffine`: before OpenCV 5 these round places to 1/32
    of a pixel, in float32 images too, and are off by several levels.
    """
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    height, width = window
    row = np.arange(height)[:, np.newaxis] - (height - 1) / 2
    column = np.arange(width) - (width - 1) / 2
    u = cosine * column - sine * row + (width - 1) / 2
    v = sine * column + cosine * row + (height - 1) / 2
    outside = (u < -0.5) | (u > width - 0.5) | (v < -0.5) | (v > height - 0.5)
    if mirrored:
        u = width - 1 - u
    top, bottom, fy = _between(v + offset[0], size[0], image.shape[0])
    left, right, fx = _between(u + offset[1], size[1], image.shape[1])

    stride, channels = image.shape[1:]
    pixels = image.reshape(-1, channels)

    def mixed(line: Array) -> Array:
        a, b = (pixels.take(line * stride + at, axis=0) for at in (left, right))
        mean: Array = (1 - fx) * a + fx * b
        return mean

    levels: Array = (1 - fy) * mixed(top) + fy * mixed(bottom)
    levels[outside] = fill
    return levels


def _between(places: Array, resized: int, pixels: int) -> tuple[Array, Array, Array]:
    """The pixels on either side of places on a resized axis, and the second's share."""
    places = ((places + 0.5) * (pixels / resized) - 0.5).clip(0, pixels - 1)
    low = places.astype(np.intp)
    share = (places - low).astype(np.float32)[..., np.newaxis]
    return low, np.minimum(low + 1, pixels - 1), share
