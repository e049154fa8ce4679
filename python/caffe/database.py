"""Databases of keys and values that are whole or absent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caffe import _caffe
from caffe.files import sync_folder, temporary_folder, writing


def check_absent(path: Path) -> None:
    """Complains where something has the name that a new database is to get.

    Raises:
        FileExistsError: There is something other than an empty folder.
    """
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(
            f"'{path}' exists already; remove it, or name another database"
        )


@contextmanager
def new_database(path: Path, backend: str) -> Iterator[_caffe.DatabaseWriter]:
    """A database to write into, which gets its name behind the `with` block.

    If the block ends with an error, nothing is left of it.

    Args:
        path: Its folder, which must not exist or be empty.
        backend: "lmdb" or "leveldb".

    Raises:
        OSError: It cannot be written.
        NotImplementedError: This build has no LevelDB.
    """
    check_absent(path)
    with temporary_folder(path) as folder:
        draft = folder / "database"
        writer = _caffe.DatabaseWriter(str(draft), backend)
        try:
            yield writer
            writer.commit()
        finally:
            writer.close()
        check_absent(path)  # it may have come since
        with writing(path):
            draft.rename(path)
            sync_folder(path.parent)
