"""`caffe.db_entries` of databases that other programs wrote."""

from __future__ import annotations

import lmdb
import pytest
from PIL import Image

import caffe


@pytest.fixture
def lmdb_of(tmp_path):
    """Makes an LMDB of so many entries with the lmdb package; returns its path."""

    def make(count):
        path = tmp_path / f"lmdb of {count}"
        with (
            lmdb.open(str(path)) as database,
            database.begin(write=True) as transaction,
        ):
            for number in range(count):
                transaction.put(f"{number:08}".encode(), b"no image")
        return path

    return make


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_lmdb(lmdb_of, count):
    path = lmdb_of(count)
    assert caffe.db_entries(path) == count
    assert caffe.db_entries(str(path), "lmdb") == count
    assert caffe.db_entries(path, "LMDB") == count


def test_leveldb(run_tool, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "list.txt").write_text("".join(f"x.png {n}\n" for n in range(7)))
    folder = f"{tmp_path}/"
    database = tmp_path / "db"
    tool = ("convert_imageset", "-backend=leveldb")
    assert run_tool(*tool, folder, tmp_path / "list.txt", database).returncode == 0
    assert caffe.db_entries(database, "leveldb") == 7
    assert caffe.db_entries(source=database, backend="leveldb") == 7  # no lock is left
    with pytest.raises(OSError, match=r"db' .*LevelDB"):
        caffe.db_entries(database, "lmdb")


def test_errors_are_the_engines(lmdb_of, tmp_path):
    missing = tmp_path / "missing"
    for backend in ("lmdb", "leveldb"):
        with pytest.raises(OSError, match=rf"database '{missing}' .*(No such|exist)"):
            caffe.db_entries(missing, backend)
        assert not missing.exists()
    path = lmdb_of(3)
    with pytest.raises(OSError, match=r"is no LevelDB: .* looks like an LMDB"):
        caffe.db_entries(path, "leveldb")
    with pytest.raises(ValueError, match="backend 'sqlite', expected lmdb or leveldb"):
        caffe.db_entries(path, "sqlite")
    with pytest.raises(TypeError, match="db_entries: source is 3, expected a path"):
        caffe.db_entries(3)
    file = path / "data.mdb"
    file.write_bytes(b"\xff" * file.stat().st_size)
    with pytest.raises(OSError, match=r"lmdb of 3/data.mdb' is no LMDB file"):
        caffe.db_entries(path)
