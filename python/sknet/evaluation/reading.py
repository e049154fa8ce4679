"""Reads images through the engine's own data layers.

So decoding and resizing are those of training and of `caffe test`, and happen on the
layers' threads while the net computes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
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


class ImageReader:
    """The images of a source, in its order."""

    def __init__(
        self,
        source: ImageSource,
        protocol: Protocol,
        preprocessing: Preprocessing,
        batch: int,
        rejected: Rejected | None,
    ) -> None:
        """Sets the reading up; see `ImageSource.batches`."""
        self._source = source
        self._rejected = rejected
        # Without a crop every image has a size of its own, and so its own batch.
        self._size = batch if protocol.crops == 1 else 1
        self._layer = caffe_pb2.LayerParameter(name="images", top=["data", "label"])
        param = self._layer.transform_param
        param.mean_value.extend(preprocessing.mean)
        param.scale = preprocessing.scale
        param.force_color = True
        if protocol.resize:
            param.resize_short = protocol.resize
        if protocol.crops == 1:
            param.crop_size = protocol.crop

    def read(self, start: int, stop: int) -> Iterator[tuple[int, Array, float]]:
        """Numbers, values (3, height, width) and labels of the images in between."""
        return (self._of_folder if self._source.files else self._of_lmdb)(start, stop)

    def _of_folder(self, start: int, stop: int) -> Iterator[tuple[int, Array, float]]:
        files = self._source.files
        numbers = list(range(start, stop))
        bad: deque[tuple[int, str]] = deque()

        def reject(until: int) -> None:
            while bad and bad[0][0] < until:
                number, reason = bad.popleft()
                assert self._rejected is not None
                self._rejected.append((files[number][0], reason))

        with temporary_folder() as folder:
            list_file = folder / "images.txt"
            self._layer.type = "ImageData"
            param = self._layer.image_data_param
            param.source = str(list_file)
            param.root_folder = f"{self._source.path}/"
            param.batch_size = self._size
            done = 0
            while done < len(numbers):
                # A list can begin anywhere: behind an error it is another one.
                lines = (f"{files[n][0]} {files[n][1]}\n" for n in numbers[done:])
                write_atomically(list_file, "".join(lines))
                try:
                    for values, label in _forward(self._layer, len(numbers) - done):
                        number = numbers[done]
                        done += 1
                        reject(number)
                        yield number, values, label
                except (OSError, ValueError) as error:
                    batch = numbers[done : done + self._size]
                    found = self._damaged(batch) if isinstance(error, OSError) else []
                    if not found:
                        _rethrow(error, f"line \\d+ of '{re.escape(str(list_file))}', ")
                    if self._rejected is None:
                        number, reason = found[0]
                        raise OSError(
                            f"image '{self._source.path / files[number][0]}': {reason};"
                            f" {_CURE}"
                        ) from None
                    bad += found
                    numbers = [n for n in numbers if n not in dict(found)]
            reject(stop)

    def _damaged(self, numbers: Sequence[int]) -> list[tuple[int, str]]:
        """Those images of a folder that cannot be decoded, with the reasons."""
        found = []
        for number in numbers:
            path = self._source.path / self._source.files[number][0]
            try:
                _caffe.decode_image(path.read_bytes(), True)
            except OSError as error:
                found.append((number, error.strerror or str(error)))
        return found

    def _of_lmdb(self, start: int, stop: int) -> Iterator[tuple[int, Array, float]]:
        self._layer.type = "Data"
        param = self._layer.data_param
        param.source = str(self._source.path)
        param.backend = caffe_pb2.DataParameter.LMDB
        param.batch_size = self._size
        if self._rejected is not None:
            param.on_bad_image = caffe_pb2.DataParameter.ZERO
        try:
            # It cannot begin anywhere.
            for number, (values, label) in enumerate(_forward(self._layer, stop)):
                if number < start:
                    continue
                # Zeros stand for what cannot be decoded, or are what the mean left.
                if self._rejected is not None and not values.any():
                    key, value = self._source.entry(number)
                    if (reason := _damage(value)) is not None:
                        self._rejected.append((key, reason))
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
    with caffe.quiet():
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
