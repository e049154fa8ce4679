"""Builds LMDBs from images in the layout of ILSVRC: `sknet prepare imagenet`.

The engine's builder stores the files as they are (`encoded` Datum messages), so that
nothing is lost and the transformer decides about sizes; every one is decoded once to
find the damaged ones.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe import _caffe
from caffe.files import make_folder
from sknet.data.class_map import ClassMap, read_record, write_record
from sknet.data.image_files import Image, shuffled

# Images in a transaction, which the engine keeps in memory until it is committed.
_COMMIT_IMAGES = 1000

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
    source: Path,
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
        source: The folder or the archive in which the images are.
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
    result = Result(database)

    def complete(folder: str, built: _caffe.BuildResult) -> None:
        result.written, result.resumed = built.written, built.resumed
        result.rejected = [(image.name, image.reason) for image in built.rejected]
        if result.written == 0:
            name, reason = result.rejected[0]
            raise ValueError(
                f"none of the {len(images)} images for '{database}' could be stored; "
                f"the first, '{name}': {reason}"
            )
        if result.resumed:
            before = dict(result.rejected)
            result.repaired = _repaired(source, images, before, workers)
        write_record(
            Path(folder),
            classes,
            images=result.written,
            rejected=[{"name": name, "reason": why} for name, why in result.rejected],
            seed=seed,
            digest=order.digest,
        )

    make_folder(database.parent)
    _caffe.store_image_files(
        os.fsencode(database),
        *_place(source),
        [_file(image) for image in images],
        settings=[
            ("other classes", classes.digest),
            *([] if seed is None else [("--seed", str(seed))]),
        ],
        threads=workers,
        commit_images=_COMMIT_IMAGES,
        progress=report,
        complete=complete,
    )
    return result


def _place(source: Path) -> tuple[bytes, bool]:
    """For the engine: the source's name, and whether it is an archive."""
    return os.fsencode(source), not source.is_dir()


def _file(image: Image) -> tuple[bytes, int, int, int]:
    return os.fsencode(image.name), image.label, image.offset, image.size


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

    def difference(self, record: Mapping[str, Any], classes: ClassMap) -> str | None:
        """What an earlier run was given else, by its record; None if nothing."""
        if record.get("digest") == self.digest:
            return None
        seed = record.get("seed")
        if isinstance(seed, int) and self.seed is not None:
            drawn = _digest(shuffled(self.images, seed), self.classes)
            if record.get("digest") == drawn:
                return f"--seed {seed}, now --seed {self.seed}"
        if classes != self.classes:
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
    source: Path, images: Sequence[Image], rejected: Container[str], workers: int
) -> list[str]:
    """Of images that an earlier run left out those that could be stored by now."""
    place = _place(source)

    def problem(image: Image) -> str:
        return _caffe.image_file_problem(*place, _file(image))

    again = [image for image in images if image.name in rejected]
    with ThreadPoolExecutor(workers) as pool:
        problems = pool.map(problem, again)
        return [i.name for i, why in zip(again, problems, strict=True) if not why]
