"""The `extract_features` command, and new databases."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np
import pytest
from log_lines import messages
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.cli import main
from caffe.database import new_database
from caffe.proto import caffe_pb2

IMAGES, BATCH = 10, 4


@pytest.fixture
def files(tmp_path, write_proto, random):
    """A net of images, its weights, and what its blobs hold for each of the images."""
    names = []
    for number in range(IMAGES):
        pixels = random.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        names.append(f"{tmp_path}/{number}.png {number}\n")
    (tmp_path / "list.txt").write_text("".join(names))
    net = caffe.NetSpec()
    net.data, net.label = L.ImageData(
        source=str(tmp_path / "list.txt"), batch_size=BATCH, ntop=2
    )
    net.conv = L.Convolution(
        net.data, num_output=2, kernel_size=3, weight_filler={"type": "xavier"}
    )
    net.pool = L.Pooling(net.conv, pool=P.Pooling.AVE, global_pooling=True)
    net.fc = L.InnerProduct(net.pool, num_output=7, weight_filler={"type": "xavier"})
    model = write_proto(net.to_proto())
    engine = caffe.Net(model, caffe.TEST)
    weights = tmp_path / "net.caffemodel"
    engine.save(weights)
    found = {name: [] for name in ("conv", "fc")}
    for _ in range(3):
        engine.forward()
        for name, values in found.items():
            values.append(engine.blobs[name].data.copy())
    return model, weights, {name: np.concatenate(v) for name, v in found.items()}


def stored(database):
    """Keys and Datums of an LMDB, read without the engine."""
    with (
        lmdb.open(str(database), readonly=True, lock=False) as environment,
        environment.begin() as transaction,
    ):
        return [
            (key.decode(), caffe_pb2.Datum.FromString(value))
            for key, value in transaction.cursor()
        ]


def test_blobs_become_datums(run_tool, files, tmp_path):
    model, weights, want = files
    run = run_tool(
        *("extract_features", weights, model, "conv,fc", "conv_db,fc_db", "3"),
        *("lmdb", "CPU"),
    )
    assert run.returncode == 0, run.stderr
    for name, shape in (("conv", (2, 4, 3)), ("fc", (7, 1, 1))):
        entries = stored(tmp_path / f"{name}_db")
        assert [key for key, _ in entries] == [f"{n:010d}" for n in range(3 * BATCH)]
        for (_, datum), values in zip(entries, want[name], strict=True):
            assert (datum.channels, datum.height, datum.width) == shape
            assert not datum.data
            assert not datum.encoded
            assert_close(datum.float_data, values.ravel(), Op.COPY)
    log = messages(run.stderr)
    assert "Extracting Features" in log
    assert "Extracted features of 12 query images for feature blob fc" in log
    assert log[-1] == "Successfully extracted the features!"
    assert not list(tmp_path.glob(".*caffe-tmp"))


def test_a_data_layer_reads_a_leveldb_of_them(files, tmp_path):
    model, weights, want = files
    database = tmp_path / "features"
    database.mkdir()  # an empty folder is no obstacle
    words = [str(weights), str(model), "fc", str(database), "2", "leveldb"]
    assert main(["extract_features", *words]) == 0
    spec = caffe.NetSpec()
    spec.data = L.Data(source=str(database), batch_size=2 * BATCH)
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    values = net.forward()["data"]
    assert_close(values[..., 0, 0], want["fc"][: 2 * BATCH], Op.COPY)


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({2: "poll"}, 1, "blob name 'poll' in the network ''; the closest is 'pool'"),
        ({2: "fc,conv"}, 2, "got 2 blobs and 1 databases, expected as many"),
        ({2: "fc,", 3: "a,b"}, 2, "which have an empty name"),
        ({2: "fc,fc", 3: "db,db"}, 2, "names one database twice"),
        ({3: "taken"}, 1, "'taken' exists already; remove it"),
        ({3: "none/db"}, 1, "'none/db'"),
        ({4: "0"}, 2, "got 0 mini batches, expected 1 or more"),
        ({5: "sqlite"}, 2, "got database type 'sqlite', expected lmdb or leveldb"),
        ({6: "GPU"}, 1, "this build of Caffe has no GPU support"),
        ({6: "TPU"}, 2, "got 'TPU', expected CPU or GPU [DEVICE_ID]"),
        ({0: "none"}, 1, "file 'none' does not exist"),
    ],
)
def test_errors(files, changes, status, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("taken").mkdir()
    Path("taken", "data.mdb").write_text("precious")
    words = [str(files[1]), str(files[0]), "fc", "db", "3", "lmdb", "CPU"]
    for place, word in changes.items():
        words[place] = word
    assert main(["extract_features", *words]) == status
    assert message in capsys.readouterr().err
    assert Path("taken", "data.mdb").read_text() == "precious"
    assert not Path("db").exists()


def test_images_have_to_come_from_the_net(files, write_proto, capsys):
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [1, 2]})
    net.fc = L.InnerProduct(net.data, num_output=7)
    model = write_proto(net.to_proto(), "input.prototxt")
    words = [str(files[1]), str(model), "fc", "db", "3", "lmdb"]
    assert main(["extract_features", *words]) == 1
    assert "has the input 'data', which nothing fills" in capsys.readouterr().err


def write_one(database, then):
    with new_database(database, "lmdb") as writer:
        writer.put("a", b"1")
        writer.commit()
        then()


def test_a_database_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_one(tmp_path / "db", lambda: 1 // 0)
    assert not list(tmp_path.iterdir())


def test_what_came_meanwhile_is_kept(tmp_path):
    database = tmp_path / "db"
    with pytest.raises(FileExistsError, match="exists already"):
        write_one(database, lambda: database.write_text("precious"))
    assert database.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [database]
