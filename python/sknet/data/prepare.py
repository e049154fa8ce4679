"""Builds LMDBs from images in the layout of ILSVRC: `sknet prepare imagenet`.

Image files are stored as they are (`encoded` Datum messages), so that nothing is lost
and the engine's transformer decides about sizes; every one is decoded once to find the
damaged ones. The databases are written with the lmdb package, in transactions that a
second run continues after the first was killed; `convert_imageset` cannot do that, nor
read archives, nor keep grey files as they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import json
import os
import tarfile
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import lmdb

from caffe import _caffe
from caffe.proto import caffe_pb2
from sknet.data.class_map import (
    ClassMap,
    class_folders,
    named,
    read_record,
    write_record,
)
from sknet.files import (
    make_folder,
    read_text,
    reading,
    sync_folder,
    write_atomically,
)

# A transaction keeps its entries in memory until it is committed.
_COMMIT_IMAGES = 1000
_COMMIT_BYTES = 64 << 20
_FIRST_MAP_BYTES = 1 << 30
# LMDB's own limit of a key, and protobuf's of a message less room for other fields.
_MAX_KEY_BYTES = 511
_MAX_IMAGE_BYTES = 1 << 30
_MANIFEST = "manifest.json"

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Image:
    """An image to store: where it lies in its source, and its label."""

    name: str
    label: int
    offset: int = 0
    size: int = 0


class Source(Protocol):
    """Where the bytes of images come from; used by many threads at once."""

    def read(self, image: Image) -> bytes:
        """The bytes of an image file; OSError if it cannot be read."""


class Folder:
    """Image files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, image: Image) -> bytes:
        """The bytes of the file `image.name` below the root."""
        with (self.root / image.name).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MAX_IMAGE_BYTES:
                raise OSError(f"{size} bytes, expected at most {_MAX_IMAGE_BYTES}")
            return file.read()


class Archive:
    """Image files in an uncompressed tar archive, which is not unpacked."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, image: Image) -> bytes:
        """The bytes at the image's place in the archive."""
        with self.path.open("rb") as file:
            file.seek(image.offset)
            data = file.read(image.size)
        if len(data) != image.size:
            raise OSError(f"the archive ends after {len(data)} of {image.size} bytes")
        return data

    def files(self) -> Iterator[Image]:
        """All files in it, as images with label -1."""
        try:
            with tarfile.open(self.path, "r:") as archive:
                for member in archive:
                    if member.isfile():
                        yield Image(
                            str(PurePosixPath(member.name)),
                            -1,
                            member.offset_data,
                            member.size,
                        )
        except tarfile.TarError as error:
            raise ValueError(
                f"'{self.path}': no uncompressed tar archive ({error}); unpack it and "
                "name the folder"
            ) from None


@dataclass
class Result:
    """What became of the images.

    Attributes:
        database: Folder of the LMDB.
        written: Images in it.
        rejected: Images left out, (name, reason).
        repaired: Names of those among the rejected that an earlier run left out, and
            that could be stored by now.
        resumed: Images that an earlier, interrupted run had written.
        complete_before: An earlier run had built it already.
    """

    database: Path
    written: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    resumed: int = 0
    complete_before: bool = False


def scan_train(
    root: Path, classes: ClassMap | None = None
) -> tuple[ClassMap, list[Image]]:
    """Finds the training images: a folder for each class, named after it.

    Args:
        root: The folder of the class folders.
        classes: All classes in the order of their labels, of which the folders may be a
            part; by default the folders' sorted names.

    Returns:
        The class map, and the images in the order of their names.

    Raises:
        ValueError: No class folders, an empty one, or one that is none of `classes`.
    """
    folders = class_folders(root)
    if not folders:
        raise ValueError(
            f"'{root}': no folders of classes, expected one for each class such as "
            "n01440764; unpack the archives of the classes into folders of their names"
        )
    found = ClassMap(tuple(folders))
    classes = classes or found
    images = [
        Image(f"{name}/{file}", label)
        for name, label in zip(
            folders, found.translation(classes, f"'{root}'"), strict=True
        )
        for file in _files(root / name)
    ]
    filled = {image.label for image in images}
    labels = classes.labels()
    if empty := [name for name in folders if labels[name] not in filled]:
        raise ValueError(
            f"'{root}': no images in class folder {named(empty)}; unpack the rest"
        )
    return classes, images


def _files(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if entry.is_file() and not entry.name.startswith(".")
        )


def scan_val(
    path: Path, classes: ClassMap, labels_file: Path | None = None
) -> tuple[Source, list[Image]]:
    """Finds the validation images.

    Args:
        path: A folder of class folders, a flat folder, or a tar archive of either.
        classes: The training set's.
        labels_file: For flat ones a line `name label` for each image; a label is a
            number or a class.

    Returns:
        Where to read them, and the images in the order of their names.

    Raises:
        ValueError: No images, or images without a label or the reverse.
        OSError: Something cannot be read.
    """
    source: Archive | Folder
    if path.is_dir():
        source = Folder(path)
        folders = class_folders(path)
        names = [f"{name}/{file}" for name in folders for file in _files(path / name)]
        files = [Image(name, -1) for name in names or _files(path)]
    else:
        source = Archive(path)
        files = list(source.files())
    if not files:
        raise ValueError(f"'{path}': no images, expected at least one")
    files.sort(key=lambda image: image.name)
    if labels_file is not None:
        labels = _read_labels(labels_file, classes)
        _check_same_images(path, labels_file, files, labels)
        key = _base_name
    else:
        labels = classes.labels()
        key = _class_folder
        if unknown := {key(image) for image in files} - set(labels):
            # In no folder at all, which has no name to tell.
            which = f" ({named(unknown)})" if unknown != {""} else ""
            raise ValueError(
                f"'{path}': its images are in no folders of the training set's classes"
                f"{which}; give --val-labels, a file of lines `name label`"
            )
    return source, [
        Image(image.name, labels[key(image)], image.offset, image.size)
        for image in files
    ]


def _base_name(image: Image) -> str:
    return PurePosixPath(image.name).name


def _class_folder(image: Image) -> str:
    return PurePosixPath(image.name).parent.name


def _check_same_images(
    path: Path, labels_file: Path, files: Sequence[Image], labels: dict[str, int]
) -> None:
    present = {_base_name(image) for image in files}
    for missing, what in (
        (present - set(labels), f"'{labels_file}' has no label for"),
        (set(labels) - present, f"'{path}' lacks"),
    ):
        if missing:
            raise ValueError(
                f"{what} {len(missing)} of the validation images ({named(missing)}), "
                "expected the same images in both"
            )


def _read_labels(path: Path, classes: ClassMap) -> dict[str, int]:
    by_class = classes.labels()
    labels: dict[str, int] = {}
    with reading(path), path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.split()
            if not words:
                continue
            if len(words) == 1:
                raise ValueError(
                    f"{path}:{number}: '{line.strip()[:80]}', expected a name and a "
                    "label (the list of the ILSVRC development kit has neither names "
                    "nor the usual numbers; use Caffe's val.txt)"
                )
            name, label = PurePosixPath(words[0]).name, words[-1]
            value = by_class.get(label)
            if value is None and label.isascii() and label.isdigit():
                value = int(label[:10])
            if value is None or value >= len(classes.names):
                raise ValueError(
                    f"{path}:{number}: label '{label}' of '{name}', expected a class "
                    f"of the training set or a number below {len(classes.names)}"
                )
            if labels.setdefault(name, value) != value:
                raise ValueError(f"{path}:{number}: a second label for '{name}'")
    return labels


def shuffled(images: Sequence[Image], seed: int) -> list[Image]:
    """The images in the order of a hash of seed and name.

    It depends on nothing else: not on a library's generator, nor on the other images.
    """

    def place(image: Image) -> bytes:
        name = f"{seed}/{image.name}".encode(errors="surrogateescape")
        return hashlib.sha256(name).digest()

    return sorted(images, key=place)


def build(
    source: Source,
    images: Sequence[Image],
    classes: ClassMap,
    database: Path,
    *,
    seed: int | None = None,
    workers: int | None = None,
    report: Report | None = None,
) -> Result:
    """Stores images in an LMDB, in their order, with its class map beside it.

    Work is done in `<database>.partial`, which gets its name when it is complete. A run
    that was killed is continued by the next with the same images. Keys are
    `00000000_name`, numbered in the order of the images.

    Args:
        source: Gives the bytes.
        images: What to store, at most 100 million.
        classes: Meaning of the labels.
        database: Folder to create.
        seed: What `shuffled` was given, to say so where another run's was another.
        workers: Threads that read and decode; by default one for each core.
        report: Called with the numbers of images done and of all.

    Raises:
        ValueError: The folder holds something else, or no image could be stored.
        OSError: Something cannot be written.
    """
    order = _Order(images, classes, seed)
    workers = workers or os.cpu_count() or 1
    if database.exists():
        result = _complete(database, order)
        result.repaired = _repaired(source, images, dict(result.rejected), workers)
        return result
    partial = database.with_name(database.name + ".partial")
    make_folder(partial)
    with _locked(partial):
        result = Result(database)
        with _Writer(partial, order) as writer:
            result.resumed = writer.entries
            before = {name for _, name, _ in writer.rejected}
            read = _read_all(source, images[writer.next :], workers)
            for number, (image, value, reason) in enumerate(read, writer.next):
                writer.add(number, image.name, value, reason)
                if report:
                    report(number + 1, len(images))
            writer.commit()
            result.written = writer.entries
            result.rejected = [(name, reason) for _, name, reason in writer.rejected]
            result.repaired = _repaired(source, images, before, workers)
        if result.written == 0:
            name, reason = result.rejected[0]
            raise ValueError(
                f"none of the {len(images)} images for '{database}' could be stored; "
                f"the first, '{name}': {reason}"
            )
        write_record(
            partial,
            classes,
            images=result.written,
            rejected=[{"name": name, "reason": why} for name, why in result.rejected],
            seed=seed,
            digest=order.digest,
        )
        for name in (_MANIFEST, "lock.mdb"):
            (partial / name).unlink(missing_ok=True)
        partial.rename(database)
        sync_folder(database.parent)
    return result


class _Order:
    """What a database is made of: images in an order that a seed drew.

    Attributes:
        digest: Equal for equal images, labels, classes and order.
    """

    def __init__(
        self, images: Sequence[Image], classes: ClassMap, seed: int | None
    ) -> None:
        self.images = images
        self.classes = classes
        self.seed = seed
        self.digest = _digest(images, classes)

    def difference(
        self, record: Mapping[str, Any], classes: ClassMap | None = None
    ) -> str | None:
        """What an earlier run was given else, by its record; None if nothing."""
        if record.get("digest") == self.digest:
            return None
        seed = record.get("seed")
        if isinstance(seed, int) and self.seed is not None:
            drawn = _digest(shuffled(self.images, seed), self.classes)
            if record.get("digest") == drawn:
                return f"--seed {seed}, now --seed {self.seed}"
        if classes is not None and classes != self.classes:
            same = sorted(classes.names) == sorted(self.classes.names)
            return "the classes in another order" if same else "other classes"
        return "other images or labels"


def _digest(images: Sequence[Image], classes: ClassMap) -> str:
    digest = hashlib.sha256(classes.digest.encode())
    for image in images:
        digest.update(f"\0{image.name}\0{image.label}".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _complete(database: Path, order: _Order) -> Result:
    classes, record = read_record(database) or (None, {})
    if classes is None:
        raise ValueError(
            f"database '{database}' exists already and was not built by `sknet "
            "prepare`; remove it or choose another folder"
        )
    if difference := order.difference(record, classes):
        raise ValueError(
            f"database '{database}' exists already and was built with {difference}; "
            "give what it was built with, remove it or choose another folder"
        )
    rejected = [(entry["name"], entry["reason"]) for entry in record["rejected"]]
    return Result(database, record["images"], rejected, complete_before=True)


def _repaired(
    source: Source, images: Sequence[Image], rejected: Container[str], workers: int
) -> list[str]:
    """Of images that an earlier run left out those that could be stored by now."""
    again = [image for image in images if image.name in rejected]
    return [i.name for i, _, reason in _read_all(source, again, workers) if not reason]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError(f"'{folder}': another process is building it") from None
        yield
    finally:
        os.close(descriptor)


Read = tuple[Image, bytes, str]


def _read_all(source: Source, images: Sequence[Image], threads: int) -> Iterator[Read]:
    """Images with their Datum, or with the reason why not, in order."""

    def work(image: Image) -> Read:
        if (size := len(_key(0, image.name))) > _MAX_KEY_BYTES:
            return (
                image,
                b"",
                f"its name makes a key of {size} bytes, LMDB takes {_MAX_KEY_BYTES}",
            )
        try:
            data = source.read(image)
            # Decoded for the check alone; this releases the interpreter's lock.
            height, width, _ = _caffe.decode_image(data, True).shape
        except OSError as error:
            return image, b"", error.strerror or str(error)
        datum = caffe_pb2.Datum(
            channels=3,
            height=height,
            width=width,
            data=data,
            label=image.label,
            encoded=True,
        )
        return image, datum.SerializeToString(), ""

    waiting: deque[Future[Read]] = deque()
    left = iter(images)
    pool = ThreadPoolExecutor(threads)
    try:
        waiting.extend(
            pool.submit(work, i) for i in itertools.islice(left, 4 * threads)
        )
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(work, i) for i in itertools.islice(left, 1))
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def _key(number: int, name: str) -> bytes:
    return f"{number:08}_{name}".encode(errors="surrogateescape")


class _Writer:
    """Appends numbered images to an LMDB, from where an earlier run got to.

    Attributes:
        next: Number of the first image that is not known to be stored.
        entries: Images stored and committed.
        rejected: (number, name, reason) of those that were left out.
    """

    def __init__(self, folder: Path, order: _Order) -> None:
        self._folder = folder
        self._order = order
        earlier = self._read_manifest()
        self._map_bytes = _FIRST_MAP_BYTES
        if (folder / "data.mdb").exists():
            self._map_bytes += (folder / "data.mdb").stat().st_size
        try:
            self._database = lmdb.open(
                str(folder), map_size=self._map_bytes, readahead=False
            )
            with self._database.begin() as transaction:
                self.entries = int(transaction.stat()["entries"])
                cursor = transaction.cursor()
                self.next = int(cursor.key()[:8]) + 1 if cursor.last() else 0
        except (lmdb.Error, ValueError) as error:
            raise OSError(f"database '{folder}': {error}; remove it") from None
        # Those behind the last stored image are read again.
        self.rejected = [entry for entry in earlier if entry[0] < self.next]
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0

    def _read_manifest(self) -> list[tuple[int, str, str]]:
        path = self._folder / _MANIFEST
        if not path.exists():
            # A run that ended while it wrote its first one leaves a part of it.
            if any(_MANIFEST not in file.name for file in self._folder.iterdir()):
                raise ValueError(f"'{self._folder}': no work of ours; remove it")
            self._write_manifest([])
            return []
        try:
            manifest: dict[str, Any] = json.loads(read_text(path))
            rejected = [(int(n), str(name), str(r)) for n, name, r in manifest["left"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"'{path}': damaged ({error}); remove its folder"
            ) from None
        if difference := self._order.difference(manifest):
            raise ValueError(
                f"'{self._folder}' was begun with {difference}; give what it was begun "
                "with, or remove it"
            )
        return rejected

    def _write_manifest(self, rejected: Sequence[tuple[int, str, str]]) -> None:
        record = {
            "digest": self._order.digest,
            "seed": self._order.seed,
            "left": rejected,
        }
        write_atomically(self._folder / _MANIFEST, json.dumps(record))

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()

    def add(self, number: int, name: str, value: bytes, reason: str) -> None:
        """Stores an image, or notes why not; committed now and then."""
        if reason:
            self.rejected.append((number, name, reason))
            return
        key = _key(number, name)
        self._pending.append((key, value))
        self._pending_bytes += len(key) + len(value)
        if len(self._pending) >= _COMMIT_IMAGES or self._pending_bytes >= _COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Puts everything so far on the disk.

        The notes are written first: those about images behind the last stored one are
        ignored by the next run, but none may be missing.
        """
        self._write_manifest(self.rejected)
        while True:
            try:
                with self._database.begin(write=True) as transaction:
                    for key, value in self._pending:
                        transaction.put(key, value, append=True)
                break
            except lmdb.MapFullError:
                self._map_bytes *= 2
                self._database.set_mapsize(self._map_bytes)
            except lmdb.Error as error:
                raise OSError(
                    f"database '{self._folder}': {error}; make room, then run the same "
                    "command again to go on"
                ) from None
        self.entries += len(self._pending)
        self._pending = []
        self._pending_bytes = 0
