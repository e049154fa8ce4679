"""Images, arrays and messages: loading, resizing, preprocessing, conversion.

Images are arrays of (height, width, channels), red first, float32 in 0..1. Nets made
for Caffe want (channels, height, width), blue first, 0..255: `Transformer` converts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto

from caffe import _arguments
from caffe.files import read_bytes
from caffe.proto import caffe_pb2, schema

Array = npt.NDArray[Any]

# skimage's and OpenCV's cubic kernels differ in this; -0.5 is Catmull-Rom, skimage's.
_CUBIC = -0.5


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """The data (or diff) of a stored blob, in its shape; old four-axis blobs too."""
    if return_diff:
        values = np.array(blob.double_diff or blob.diff, dtype=_dtype(blob.double_diff))
    else:
        values = np.array(blob.double_data or blob.data, dtype=_dtype(blob.double_data))
    if any(blob.HasField(axis) for axis in ("num", "channels", "height", "width")):
        shape: tuple[int, ...] = (blob.num, blob.channels, blob.height, blob.width)
    else:
        shape = tuple(blob.shape.dim)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"BlobProto: {values.size} {'diff' if return_diff else 'data'} values, "
            f"expected {np.prod(shape, dtype=np.int64)} for shape {shape}"
        )
    return values.reshape(shape)


def _dtype(double_values: Sequence[float]) -> type[np.floating[Any]]:
    return np.float64 if len(double_values) else np.float32


def array_to_blobproto(arr: Array, diff: Array | None = None) -> caffe_pb2.BlobProto:
    """A blob with the values of `arr`, and of `diff` as its gradient, as float32."""
    if diff is not None and diff.shape != arr.shape:
        raise ValueError(
            f"array_to_blobproto: diff has shape {diff.shape}, expected {arr.shape} "
            "like the data"
        )
    packed = _PackedBlob(data=_floats(arr))
    if diff is not None:
        packed.diff = _floats(diff)
    blob = caffe_pb2.BlobProto.FromString(packed.SerializeToString())
    blob.shape.dim.extend(arr.shape)
    return blob


def _floats(values: Array) -> bytes:
    with np.errstate(over="ignore"):  # infinity then, as in messages
        return values.astype("<f4").tobytes()


def _packed_blob() -> Any:
    """A BlobProto whose values are bytes.

    In a file it is the same, and it takes an array without an object for every number.
    """
    file = FileDescriptorProto(name="packed_blob.proto", package="caffe")
    message = file.message_type.add(name="PackedBlob")
    for name in ("data", "diff"):
        message.field.add(
            name=name,
            number=caffe_pb2.BlobProto.DESCRIPTOR.fields_by_name[name].number,
            label=FieldDescriptorProto.LABEL_OPTIONAL,
            type=FieldDescriptorProto.TYPE_BYTES,
        )
    return schema.members(file)["PackedBlob"]


_PackedBlob = _packed_blob()


def arraylist_to_blobprotovector_str(arraylist: Sequence[Array]) -> bytes:
    """Serialises several arrays, as in Caffe's feature files."""
    blobs = [array_to_blobproto(arr) for arr in arraylist]
    return caffe_pb2.BlobProtoVector(blobs=blobs).SerializeToString()


# The name in Caffe 1.0.
arraylist_to_blobprotovecor_str = arraylist_to_blobprotovector_str


def blobprotovector_str_to_arraylist(serialized: bytes) -> list[Array]:
    """The inverse of `arraylist_to_blobprotovector_str`."""
    vector = caffe_pb2.BlobProtoVector.FromString(serialized)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Array, label: int | None = None) -> caffe_pb2.Datum:
    """A Datum with an array of (channels, height, width).

    uint8 arrays are stored as bytes, all others as floats.
    """
    if arr.ndim != 3:
        raise ValueError(
            f"array_to_datum: shape {arr.shape}, expected (channels, height, width)"
        )
    channels, height, width = arr.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width)
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = int(label)
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """The array of (channels, height, width) in a Datum, blue first.

    Unlike BVLC's, it also decodes images stored as JPEG, PNG ... (`encoded`).
    """
    if datum.encoded:
        from caffe import _caffe

        image = _caffe.decode_image(datum.data, True)
        decoded: Array = image.transpose(2, 0, 1)
        return decoded
    shape = (datum.channels, datum.height, datum.width)
    if len(datum.data):
        values: Array = np.frombuffer(datum.data, dtype=np.uint8).copy()
    else:
        values = np.array(datum.float_data, dtype=np.float32)
    if values.size != np.prod(shape, dtype=np.int64):
        raise ValueError(
            f"Datum: {values.size} values, expected {np.prod(shape, dtype=np.int64)} "
            f"for (channels, height, width) = {shape}"
        )
    return values.reshape(shape)


def load_image(
    filename: str | os.PathLike[str] | BinaryIO, color: bool = True
) -> Array:
    """Reads an image.

    Args:
        filename: Path of a JPEG, PNG, or another format that OpenCV reads; or a file
            opened to read bytes, such as `open(path, "rb")`, `io.BytesIO(encoded)` and
            `urllib.request.urlopen(url)`, which is read from where it stands.
        color: Three channels, red first, whatever the file has; otherwise one, as
            0.299 red + 0.587 green + 0.114 blue.

    Returns:
        float32 in 0..1, (height, width, 3) or (height, width, 1).

    Raises:
        OSError: The file cannot be read or is no image.
        ValueError: It is a URL.
        TypeError: It is nothing that can be read, or a file opened to read text.
    """
    from caffe import _caffe

    encoded, name = _encoded_image(filename)
    try:
        image = _caffe.decode_image(encoded, color)
    except OSError as error:
        raise OSError(f"image {name}: {error}") from None
    red_first: Array = image[:, :, ::-1].astype(np.float32) / np.float32(255)
    return red_first


def _encoded_image(source: Any) -> tuple[bytes, str]:
    """The bytes of an image and what errors call it."""
    if callable(getattr(source, "read", None)):
        name = repr(getattr(source, "name", None) or type(source).__name__)
        try:
            encoded = source.read()
        except UnicodeDecodeError:
            encoded = ""  # read as text
        if not isinstance(encoded, bytes):
            raise TypeError(
                f"load_image: file {name} gives {type(encoded).__name__}, expected "
                "bytes; open it with mode 'rb'"
            )
        return encoded, name
    path = _arguments.path(
        source, "load_image", "filename", " or a file opened with mode 'rb'"
    )
    if re.match(r"[a-z][a-z0-9+.-]*://", path, re.IGNORECASE):
        raise ValueError(
            f"load_image: '{path}' is a URL, expected a file; download it, or give "
            "urllib.request.urlopen(url)"
        )
    return read_bytes(path), f"'{path}'"


def _taps(size: int, new_size: int, order: int) -> list[tuple[Array, Array]]:
    """Source indices and weights of one axis; the output is their weighted sum."""
    # Pixels are areas: their centres, not the first and last ones, are kept aligned.
    position = (np.arange(new_size) + 0.5) * (size / new_size) - 0.5
    if order == 0:
        taps = [(np.floor(position + 0.5), np.ones(new_size))]
    else:
        base = np.floor(position)
        t = position - base
        if order == 1:
            taps = [(base, 1 - t), (base + 1, t)]
        else:
            taps = []
            for offset in (-1, 0, 1, 2):
                d = np.abs(t - offset)
                near = ((_CUBIC + 2) * d - (_CUBIC + 3)) * d**2 + 1
                far = _CUBIC * (((d - 5) * d + 8) * d - 4)
                taps.append((base + offset, np.where(d <= 1, near, far)))
    return [(np.clip(index, 0, size - 1).astype(int), w) for index, w in taps]


def resize_image(im: Array, new_dims: Sequence[int], interp_order: int = 1) -> Array:
    """Resizes (height, width, channels) to `new_dims` = (height, width).

    Args:
        im: Image with any number of channels and any range.
        new_dims: New height and width.
        interp_order: 0 nearest, 1 bilinear, 3 bicubic. Shrinking does not smooth
            first, as in Caffe.

    Returns:
        A float32 image. Borders repeat the outermost pixels.
    """
    if interp_order not in (0, 1, 3):
        raise ValueError(
            f"resize_image: interp_order is {interp_order}, expected 0, 1 or 3"
        )
    if im.ndim != 3 or 0 in im.shape:
        raise ValueError(
            f"resize_image: shape {im.shape}, expected (height, width, channels)"
        )
    out = im.astype(np.float64)
    for axis, new_size in enumerate(new_dims[:2]):
        shape = [1, 1, 1]
        shape[axis] = new_size
        taps = _taps(im.shape[axis], new_size, interp_order)
        out = sum(
            (out.take(index, axis) * weight.reshape(shape) for index, weight in taps),
            np.zeros(()),
        )
    return out.astype(np.float32)


def oversample(images: Sequence[Array], crop_dims: Sequence[int]) -> Array:
    """Ten crops of each image: corners, centre, and their mirror images.

    Args:
        images: Images of one shape (height, width, channels).
        crop_dims: Height and width of a crop.

    Returns:
        float32 (10 N, height, width, channels); for each image the top left, top
        right, bottom left, bottom right and centre crops, then the same five mirrored.
    """
    height, width = images[0].shape[:2]
    crop_height, crop_width = (int(extent) for extent in crop_dims)
    bottom, right = height - crop_height, width - crop_width
    if bottom < 0 or right < 0:
        raise ValueError(
            f"oversample: crops of {(crop_height, crop_width)} do not fit into images "
            f"of {(height, width)}"
        )
    corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)]
    crops = []
    for image in images:
        five = [
            image[y : y + crop_height, x : x + crop_width]
            for y, x in [*corners, (bottom // 2, right // 2)]
        ]
        crops += [*five, *(crop[:, ::-1] for crop in five)]
    return np.stack(crops).astype(np.float32)


class Transformer:
    """Turns images into net inputs, and back for display.

    Per input, in this order: resize to the input's height and width, transpose, swap
    channels, scale (`raw_scale`), subtract the mean, scale (`input_scale`). Each step
    is taken only if it was set.

        transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
        transformer.set_transpose("data", (2, 0, 1))
        transformer.set_channel_swap("data", (2, 1, 0))
        transformer.set_raw_scale("data", 255)
        transformer.set_mean("data", numpy.array([104, 117, 123]))
        net.blobs["data"].data[0] = transformer.preprocess("data", image)
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        """Takes the shape (N, channels, height, width) of every input."""
        self.inputs = {name: tuple(shape) for name, shape in inputs.items()}
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def _check_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(
                f"Transformer: unknown input '{in_}', expected one of "
                f"{', '.join(self.inputs)}"
            )

    def preprocess(self, in_: str, data: Array) -> Array:
        """The input array for one image of (height, width, channels)."""
        self._check_input(in_)
        image = data.astype(np.float32, copy=False)
        in_dims = self.inputs[in_][2:]
        if image.shape[:2] != in_dims:
            image = resize_image(image, in_dims)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_]), :, :]
        # New arrays from here on: the caller's image is never written to.
        if in_ in self.raw_scale:
            image = image * np.float32(self.raw_scale[in_])
        if in_ in self.mean:
            image = (image - self.mean[in_]).astype(np.float32)
        if in_ in self.input_scale:
            image = image * np.float32(self.input_scale[in_])
        return image

    def deprocess(self, in_: str, data: Array) -> Array:
        """Undoes `preprocess`, but for the resizing."""
        self._check_input(in_)
        image = data.astype(np.float32).squeeze()
        if in_ in self.input_scale:
            image = image / np.float32(self.input_scale[in_])
        if in_ in self.mean:
            image = image + self.mean[in_]
        if in_ in self.raw_scale:
            image = image / np.float32(self.raw_scale[in_])
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            image = image.transpose(np.argsort(self.transpose[in_]).tolist())
        return image

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of the axes; (2, 0, 1) puts channels first."""
        self._check_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise ValueError(
                f"Transformer: transpose of '{in_}' has {len(order)} axes, expected "
                f"{len(self.inputs[in_]) - 1}"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of the channels; (2, 1, 0) swaps red and blue."""
        self._check_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise ValueError(
                f"Transformer: channel_swap of '{in_}' has {len(order)} channels, "
                f"expected {self.inputs[in_][1]}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets the factor before the mean: 255 for images in 0..1."""
        self._check_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Sets what to subtract, in the net's order and range.

        Args:
            in_: Name of the input.
            mean: One value per channel, or an image of (channels, height, width),
                resized to the input if necessary, or of (height, width).
        """
        self._check_input(in_)
        shape = self.inputs[in_][1:]
        if mean.ndim == 1:
            if mean.shape[0] not in (1, shape[0]):
                raise ValueError(
                    f"Transformer: mean of '{in_}' has {mean.shape[0]} channels, "
                    f"expected {shape[0]}"
                )
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            if mean.ndim == 2:
                mean = mean[np.newaxis, :, :]
            if mean.ndim != 3 or mean.shape[0] not in (1, shape[0]):
                raise ValueError(
                    f"Transformer: mean of '{in_}' has shape {mean.shape}, expected "
                    f"{shape}"
                )
            if mean.shape[1:] != shape[1:]:
                mean = resize_image(mean.transpose(1, 2, 0), shape[1:])
                mean = mean.transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets the factor after the mean."""
        self._check_input(in_)
        self.input_scale[in_] = scale
