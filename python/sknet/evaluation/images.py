"""Labelled images of an LMDB or a folder."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import lmdb
import numpy as np
import numpy.typing as npt

import caffe
from caffe.files import read_text
from sknet.data.class_map import ClassMap, class_folders, named, read_record
from sknet.data.image_files import image_names
from sknet.evaluation.protocol import Preprocessing, Protocol
from sknet.evaluation.reading import ImageReader

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageSource:
    """Where images come from.

    Attributes:
        path: The LMDB or folder.
        count: Number of images.
        identity: Digest of what is known of the content without reading it all.
        classes: Meaning of the labels, if it is recorded.
        files: For a folder the paths below it with their labels, in order.
        labelled: Whether the labels mean anything.
    """

    path: Path
    count: int
    identity: str
    classes: ClassMap | None
    files: tuple[tuple[str, int], ...] = field(default=(), repr=False)
    labelled: bool = True

    def batches(
        self,
        protocol: Protocol,
        preprocessing: Preprocessing,
        batch: int,
        start: int = 0,
        stop: int | None = None,
        classes: int | None = None,
        rejected: list[tuple[str, str]] | None = None,
    ) -> Iterator[tuple[Array, Labels]]:
        """The crops of the images from `start` to `stop`.

        Args:
            protocol: What to cut out.
            preprocessing: What to make of the levels.
            batch: Images in each array; the last has fewer.
            start: First image. An LMDB is read from its beginning all the same.
            stop: Behind the last image; by default all.
            classes: Of the net; labels are below that.
            rejected: Gets (name, reason) of images that cannot be decoded, which are
                left out, each before an array with a later image is given; without it
                they are errors.

        Yields:
            Values of shape (images x crops, 3, crop, crop), the crops of an image next
            to each other, and the labels of the images.

        Raises:
            OSError: An image cannot be read.
            ValueError: An image does not fit the protocol, or a label is no class.
        """
        stop = self.count if stop is None else min(stop, self.count)
        values: list[Array] = []
        labels: list[int] = []
        reader = ImageReader(self, protocol, preprocessing, batch, rejected)
        for number, image, label in reader.read(start, stop):
            if classes is not None:
                self._check_label(number, label, classes)
            values.append(_crops(image, protocol))
            labels.append(int(label))
            if len(labels) == batch:
                yield np.concatenate(values), np.array(labels)
                values, labels = [], []
        if labels:
            yield np.concatenate(values), np.array(labels)

    def _check_label(self, number: int, label: float, classes: int) -> None:
        if not 0 <= label < classes:
            raise ValueError(
                f"source '{self.path}': {self._name(number)} has label {label:.0f}, "
                f"expected one below {classes}, the number of the net's classes; "
                "build it with the classes of the net"
            )

    def _name(self, number: int) -> str:
        if self.files:
            return f"image '{self.files[number][0]}'"
        return f"image {number}, key '{self.entry(number)[0]}',"

    def entry(self, number: int) -> tuple[str, bytes]:
        """Key and value of an image of an LMDB."""
        with (
            lmdb.open(str(self.path), readonly=True, lock=False) as database,
            database.begin() as transaction,
        ):
            key, value = next(itertools.islice(transaction.cursor(), number, None))
        return key.decode(errors="backslashreplace"), value


def _crops(image: Array, protocol: Protocol) -> Array:
    side = (protocol.crop, protocol.crop)
    crops: Array = image[np.newaxis].copy()
    if protocol.crops > 1:
        crops = caffe.io.oversample([image.transpose(1, 2, 0)], side)
        crops = crops.transpose(0, 3, 1, 2)
    return crops


def open_source(path: Path, labels_file: Path | None = None) -> ImageSource:
    """Looks what is at `path`.

    Args:
        path: An LMDB; or a folder with a folder of images for each class, whose sorted
            names are the labels; or a folder of images; or one image.
        labels_file: For a folder of images, a line `name label` for each.

    Raises:
        ValueError: There are no images, or not those of `labels_file`.
        OSError: Something cannot be read.
    """
    if (path / "data.mdb").is_file():
        return _open_lmdb(path)
    if not path.exists():
        raise OSError(f"source '{path}': no such file or folder")
    one = path.is_file() and labels_file is None
    if not one and not path.is_dir():
        raise ValueError(
            f"source '{path}': neither an LMDB nor a folder of images"
            + ("" if labels_file else " nor an image")
        )
    folders = [] if one else class_folders(path)
    classes = None
    if one:
        path, files = path.parent, [(path.name, 0)]
    elif labels_file is not None:
        files = _listed(path, labels_file)
    elif folders:
        classes = ClassMap(tuple(folders))
        files = [
            (f"{name}/{image}", label)
            for label, name in enumerate(folders)
            for image in image_names(path / name)[0]
        ]
        empty = set(folders) - {name.partition("/")[0] for name, _ in files}
        if empty and files:
            raise ValueError(f"source '{path}': no images in folder {named(empty)}")
    else:
        files = [(name, 0) for name in image_names(path)[0]]
    if not files:
        raise ValueError(
            f"source '{path}': no images, expected an LMDB, a folder of images or a "
            "folder of such folders"
        )
    if odd := [name for name, _ in files if "\n" in name]:
        raise ValueError(f"source '{path}': the name {odd[0]!r} has a line break")
    identity = hashlib.sha256(repr(files).encode(errors="surrogateescape")).hexdigest()
    labelled = labels_file is not None or classes is not None
    return ImageSource(path, len(files), identity, classes, tuple(files), labelled)


def _open_lmdb(path: Path) -> ImageSource:
    # The engine's reader, unlike LMDB's own, trusts nothing in the file.
    if not (count := caffe.db_entries(path)):
        raise ValueError(f"source '{path}': an LMDB without images, expected some")
    record = read_record(path)
    classes = record[0] if record else None
    if record and record[1].get("images", count) != count:
        raise ValueError(
            f"source '{path}': {count} images, but its classes.json tells of "
            f"{record[1]['images']}; build it again"
        )
    size = (path / "data.mdb").stat().st_size
    identity = hashlib.sha256(f"{path.resolve()} {count} {size}".encode()).hexdigest()
    return ImageSource(path, count, identity, classes)


def _listed(path: Path, labels_file: Path) -> list[tuple[str, int]]:
    files: list[tuple[str, int]] = []
    lines = read_text(labels_file, errors="replace").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        name, _, label = line.strip().rpartition(" ")
        name = str(PurePosixPath(name.strip()))
        if not (label.isascii() and label.isdigit() and len(label) < 10):
            raise ValueError(f"{labels_file}:{number}: expected a name and a number")
        files.append((name, int(label)))
    if missing := [name for name, _ in files if not (path / name).is_file()]:
        raise ValueError(
            f"source '{path}': lacks {len(missing)} of the images of '{labels_file}' "
            f"({named(missing)})"
        )
    return files
