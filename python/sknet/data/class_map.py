"""Which label means which class: recorded beside a database, checked when it is used.

A net that learned another order of labels is right one time in a thousand, which looks
like a broken net; SENet's release, for example, has an order of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe.files import read_text, reading, write_atomically

# Beside data.mdb in the folder of an LMDB, where no Data layer looks.
FILE_NAME = "classes.json"
_FORMAT = "sknet class map 1"
_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class ClassMap:
    """The classes in the order of their labels.

    Attributes:
        names: Name of the class of label i, for ImageNet its WordNet id (n01440764).
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Rejects lists that do not tell labels apart."""
        if not self.names:
            raise ValueError("class map: no class, expected at least one")
        name, times = Counter(self.names).most_common(1)[0]
        if times > 1:
            raise ValueError(f"class map: class '{name}' has {times} labels")

    @property
    def digest(self) -> str:
        """Equal for equal classes in equal order."""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    def labels(self) -> dict[str, int]:
        """The label of every class."""
        return {name: label for label, name in enumerate(self.names)}

    def translation(self, other: ClassMap, who: str = "class map") -> list[int]:
        """For every label here, that of the same class in `other`.

        Args:
            other: A list of all classes, of which these may be a part.
            who: Has the classes here, for the message.

        Raises:
            ValueError: A class here is none of the other's.
        """
        theirs = other.labels()
        if missing := [name for name in self.names if name not in theirs]:
            raise ValueError(
                f"{who}: {len(missing)} of {len(self.names)} classes "
                f"({named(missing)}) are not among the {len(theirs)} of the list of "
                f"classes ({named(other.names)}), expected some or all of those"
            )
        return [theirs[name] for name in self.names]


def names_of(classes: ClassMap | None, count: int) -> tuple[str, ...]:
    """Names of so many classes, which are their labels where nothing else is known."""
    return classes.names if classes else tuple(map(str, range(count)))


def read_class_list(path: Path) -> ClassMap:
    """Reads a list of classes in the order of their labels.

    Args:
        path: A text file with a class on each line, of which the first word counts (as
            in synset_words.txt), or a classes.json.

    Raises:
        ValueError: The file is no such list.
        OSError: It cannot be read.
    """
    if path.suffix == ".json":
        return _parse(path)[0]
    lines = _text_of(path).splitlines()
    return ClassMap(tuple(line.split()[0] for line in lines if line.strip()))


def _text_of(path: Path) -> str:
    with reading(path):
        size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ValueError(
            f"class map '{path}': {size} bytes, expected at most {_MAX_BYTES}"
        )
    return read_text(path)


def _parse(path: Path) -> tuple[ClassMap, dict[str, Any]]:
    try:
        record = json.loads(_text_of(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"class map '{path}': {error}") from None
    names = record.get("classes") if isinstance(record, dict) else None
    if (
        not isinstance(names, list)
        or not all(isinstance(name, str) for name in names)
        or record.get("format") != _FORMAT
    ):
        raise ValueError(
            f"class map '{path}': not written by `sknet prepare`, expected format "
            f"'{_FORMAT}' and a list of classes"
        )
    return ClassMap(tuple(names)), record


def write_record(folder: Path, classes: ClassMap, **details: Any) -> None:
    """Writes the class map of a database, and `details` about it, into its folder."""
    record = {"format": _FORMAT, **details, "classes": classes.names}
    write_atomically(folder / FILE_NAME, json.dumps(record, indent=1) + "\n")


def read_record(folder: Path) -> tuple[ClassMap, dict[str, Any]] | None:
    """The class map of a database and the details; None if it has none."""
    path = folder / FILE_NAME
    return _parse(path) if path.exists() else None


def class_folders(root: Path) -> list[str]:
    """The names of the folders in `root`, sorted: the usual order of labels.

    Raises:
        OSError: `root` is no folder that can be read.
    """
    with reading(root):
        return sorted(
            entry.name
            for entry in root.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )


def named(names: Iterable[str], limit: int = 3) -> str:
    """The first names for an error message, and how many more there are."""
    listed = sorted(names)
    more = len(listed) - limit
    shown = ", ".join(f"'{name}'" for name in listed[:limit])
    return f"{shown} and {more} more" if more > 0 else shown
