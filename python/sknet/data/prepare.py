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
from collections import deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb

from caffe import _caffe
from caffe.files import make_folder, read_text, sync_folder, write_atomically
from caffe.proto import caffe_pb2
from sknet.data.class_map import ClassMap, read_record, write_record
from sknet.data.image_files import Image, Source, shuffled

# A transaction keeps its entries in memory until it is committed.
_COMMIT_IMAGES = 1000
_COMMIT_BYTES = 64 << 20
_FIRST_MAP_BYTES = 1 << 30
# LMDB's own limit.
_MAX_KEY_BYTES = 511
_MANIFEST = "manifest.json"

Report = Callable[[int, int], None]


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
