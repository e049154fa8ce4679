"""Reads images through the engine's own data layers.

So decoding and resizing are those of training and of `caffe test`, and happen on the
layers' threads while the net computes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy.typing as npt

import caffe
from caffe import _caffe
from caffe.files import temporary_folder, write_atomically
from caffe.proto import caffe_pb2
from sknet.evaluation.protocol import Preprocessing, Protocol

if TYPE_CHECKING:
    from sknet.evaluation.images import ImageSource

Array = npt.NDArray[Any]
Rejected = list[tuple[str, str]]
_CURE = "--on-bad-image skip goes on without it"
# How the engine says that, to who writes a data layer.
_ENGINES_CURE = "on_bad_image: SKIP or ZERO goes on without it"


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps the engine's log to warnings, such as while a net is built."""
    former = _caffe.set_log_level(1)
    try:
        yield
    finally:
        _caffe.set_log_level(former)


def read_images(
    source: ImageSource,
    protocol: Protocol,
    preprocessing: Preprocessing,
    batch: int,
    start: int,
    stop: int,
    rejected: Rejected | None,
) -> Iterator[tuple[int, Array, float]]:
    """Numbers, values (3, height, width) and labels; see `ImageSource.batches`."""
    layer = caffe_pb2.LayerParameter(name="images", top=["data", "label"])
    _set_transform(layer.transform_param, protocol, preprocessing)
    # Without a crop every image has a size of its own, and so its own batch.
    size = batch if protocol.crops == 1 else 1
    read = _from_folder if source.files else _from_lmdb
    yield from read(source, layer, size, start, stop, rejected)


def _from_folder(
    source: ImageSource,
    layer: caffe_pb2.LayerParameter,
    size: int,
    start: int,
    stop: int,
    rejected: Rejected | None,
) -> Iterator[tuple[int, Array, float]]:
    numbers = list(range(start, stop))
    bad: deque[tuple[int, str]] = deque()

    def reject(until: int) -> None:
        while bad and bad[0][0] < until:
            number, reason = bad.popleft()
            assert rejected is not None
            rejected.append((source.files[number][0], reason))

    with temporary_folder() as folder:
        list_file = folder / "images.txt"
        layer.type = "ImageData"
        layer.image_data_param.source = str(list_file)
        layer.image_data_param.root_folder = f"{source.path}/"
        layer.image_data_param.batch_size = size
        done = 0
        while done < len(numbers):
            # A list can begin anywhere: behind an error it is another one.
            _write_list(list_file, [source.files[n] for n in numbers[done:]])
            try:
                for values, label in _forward(layer, len(numbers) - done):
                    number = numbers[done]
                    done += 1
                    reject(number)
                    yield number, values, label
            except (OSError, ValueError) as error:
                batch = numbers[done : done + size]
                found = _damaged(source, batch) if isinstance(error, OSError) else []
                if not found:
                    _rethrow(error, f"line \\d+ of '{re.escape(str(list_file))}', ")
                if rejected is None:
                    number, reason = found[0]
                    raise OSError(
                        f"image '{source.path / source.files[number][0]}': {reason}; "
                        f"{_CURE}"
                    ) from None
                bad += found
                numbers = [n for n in numbers if n not in dict(found)]
        reject(stop)


def _write_list(path: Path, files: Sequence[tuple[str, int]]) -> None:
    write_atomically(path, "".join(f"{name} {label}\n" for name, label in files))


def _damaged(source: ImageSource, numbers: Sequence[int]) -> list[tuple[int, str]]:
    """Those images of a folder that cannot be decoded, with the reasons."""
    found = []
    for number in numbers:
        try:
            data = (source.path / source.files[number][0]).read_bytes()
            _caffe.decode_image(data, True)
        except OSError as error:
            found.append((number, error.strerror or str(error)))
    return found


def _from_lmdb(
    source: ImageSource,
    layer: caffe_pb2.LayerParameter,
    size: int,
    start: int,
    stop: int,
    rejected: Rejected | None,
) -> Iterator[tuple[int, Array, float]]:
    layer.type = "Data"
    layer.data_param.source = str(source.path)
    layer.data_param.backend = caffe_pb2.DataParameter.LMDB
    layer.data_param.batch_size = size
    if rejected is not None:
        layer.data_param.on_bad_image = caffe_pb2.DataParameter.ZERO
    try:
        # It cannot begin anywhere.
        for number, (values, label) in enumerate(_forward(layer, stop)):
            if number < start:
                continue
            # Zeros stand for what cannot be decoded, or are what the mean left.
            if rejected is not None and not values.any():
                key, value = source.entry(number)
                if (reason := _damage(value)) is not None:
                    rejected.append((key, reason))
                    continue
            yield number, values, label
    except (OSError, ValueError) as error:
        _rethrow(error, "")


def _damage(value: bytes) -> str | None:
    """Why an entry of an LMDB is no image; None if it is one."""
    datum = caffe_pb2.Datum.FromString(value)
    if not datum.encoded:
        size = datum.channels * datum.height * datum.width
        values = len(datum.data) or len(datum.float_data)
        return None if values == size else f"{values} values, expected {size}"
    try:
        _caffe.decode_image(datum.data, True)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _forward(
    layer: caffe_pb2.LayerParameter, count: int
) -> Iterator[tuple[Array, float]]:
    """The first images that a layer gives, with their labels."""
    if count < 1:
        return
    with quiet():
        net = caffe.Net(caffe_pb2.NetParameter(layer=[layer]), caffe.TEST)
    while True:
        net.forward()
        data, labels = net.blobs["data"].data, net.blobs["label"].data
        for values, label in zip(data, labels.tolist(), strict=True):
            yield values, label
            count -= 1
            if not count:
                return


def _rethrow(error: OSError | ValueError, place: str) -> NoReturn:
    """An error of the layer without its name, and the place in the list, if any."""
    text = re.sub(rf"^layer 'images' \(\w+\): {place}", "", str(error))
    kind = OSError if isinstance(error, OSError) else ValueError
    raise kind(text.replace(_ENGINES_CURE, _CURE)) from None


def _set_transform(
    param: Any, protocol: Protocol, preprocessing: Preprocessing
) -> None:
    param.mean_value.extend(preprocessing.mean)
    param.scale = preprocessing.scale
    param.force_color = True
    if protocol.resize:
        param.resize_short = protocol.resize
    if protocol.crops == 1:
        param.crop_size = protocol.crop
