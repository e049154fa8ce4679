"""The `convert_imageset` and `compute_image_mean` commands."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from log_lines import messages
from PIL import Image
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.cli.compute_image_mean import main as compute_image_mean
from caffe.cli.convert_imageset import main as convert_imageset
from caffe.proto import caffe_pb2

COUNT = 12


@pytest.fixture
def images(tmp_path, random):
    """Twelve PNGs of three classes below images/, and their list."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = random.integers(0, 256, (COUNT, 5, 6, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index} a.png")
    lines = [f"{index} a.png {index % 3}" for index in range(COUNT)]
    (tmp_path / "list.txt").write_text("\n".join(lines) + "\n")
    return pixels


def stored(database, count, channels=3, size=(5, 6), **parameters):
    """Values and labels of a database, as a Data layer delivers them."""
    spec = caffe.NetSpec()
    parameters = {"backend": P.Data.LMDB, **parameters}
    spec.data, spec.label = L.Data(
        source=str(database),
        batch_size=count,
        ntop=2,
        **{name: value for name, value in parameters.items() if value is not None},
    )
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    net.forward()
    assert net.blobs["data"].shape == (count, channels, *size)
    labels = net.blobs["label"].data.ravel().astype(int)
    return net.blobs["data"].data.copy(), labels.tolist()


def blue_first(pixels):
    return pixels[..., ::-1].transpose(0, 3, 1, 2)


def test_a_data_layer_without_backend_reads_leveldb(run_tool, images, tmp_path):
    (tmp_path / "db").mkdir()  # an empty folder is no obstacle
    run = run_tool("convert_imageset", "-backend=leveldb", "images/", "list.txt", "db")
    assert run.returncode == 0, run.stderr
    values, labels = stored(tmp_path / "db", COUNT, backend=None)
    assert_close(values, blue_first(images), Op.COPY)
    assert labels == [index % 3 for index in range(COUNT)]


@pytest.mark.parametrize("flags", [[], ["-encoded"], ["--encode_type=png"]])
def test_images_are_stored_in_order(run_tool, images, tmp_path, flags):
    run = run_tool("convert_imageset", *flags, "images/", "list.txt", "db")
    assert run.returncode == 0, run.stderr
    log = messages(run.stderr)
    assert f"Processed {COUNT} of {COUNT} files." in log
    assert any(
        re.fullmatch(
            rf"Wrote {COUNT} of {COUNT} images in 3 classes, [\d.]+ MB, to db", line
        )
        for line in log
    )
    assert {f"Class {label}: 4 images" for label in range(3)} <= set(log)
    values, labels = stored(tmp_path / "db", COUNT)
    assert_close(values, blue_first(images), Op.COPY)
    assert labels == [index % 3 for index in range(COUNT)]


def test_grey_and_resized(run_tool, images, tmp_path):
    run = run_tool(
        *("convert_imageset", "-gray", "-resize_width=4", "--resize_height", "3"),
        *("images/", "list.txt", "db"),
    )
    assert run.returncode == 0, run.stderr
    stored(tmp_path / "db", COUNT, channels=1, size=(3, 4))


def test_shuffling_is_repeatable_by_its_seed(run_tool, images, tmp_path):
    orders = []
    for database, seed in (("a", 3), ("b", 3), ("c", 4)):
        run = run_tool(
            *("convert_imageset", "-shuffle", f"-seed={seed}"),
            *("images/", "list.txt", database),
        )
        assert "Shuffling data" in messages(run.stderr)
        orders.append(stored(tmp_path / database, COUNT)[1])
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert sorted(orders[0]) == sorted(index % 3 for index in range(COUNT))


class TestRejected:
    @pytest.fixture(autouse=True)
    def spoil(self, images, tmp_path):
        (tmp_path / "images" / "3 a.png").write_bytes(b"no image")
        (tmp_path / "images" / "7 a.png").unlink()

    def test_are_named_counted_and_fail(self, run_tool, tmp_path):
        run = run_tool("convert_imageset", "images/", "list.txt", "db")
        assert run.returncode == 1
        *log, last = run.stderr.splitlines()
        log = messages("\n".join(log))
        assert any(line.startswith("Rejected line 4, '3 a.png': ") for line in log)
        assert any(line.startswith("Rejected line 8, '7 a.png': ") for line in log)
        assert last.startswith("convert_imageset: error: 2 of 12 images were rejected")
        assert "Class 0: 3 images" in log
        _, labels = stored(tmp_path / "db", COUNT - 2)
        assert labels == [i % 3 for i in range(COUNT) if i not in (3, 7)]

    def test_may_be_skipped(self, run_tool, tmp_path):
        run = run_tool("convert_imageset", "-skip_bad", "images/", "list.txt", "db")
        assert run.returncode == 0
        assert "Rejected line 4" in run.stderr


def test_sizes_are_checked(run_tool, images, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "images" / "5 a.png")
    run = run_tool("convert_imageset", "-check_size", "images/", "list.txt", "db")
    assert run.returncode == 1
    assert "Rejected line 6, '5 a.png'" in run.stderr


KILLED = """
import os, signal, sys
import caffe.cli.progress as progress
def report(done, total):
    if done > 1000:
        os.kill(os.getpid(), signal.SIGKILL)
progress._lines = lambda: report
from caffe.cli.convert_imageset import main
sys.exit(main())
"""


def test_a_killed_run_is_continued(run_tool, images, tmp_path):
    """Behind the first transaction, of 1000 images, and before the last is done."""
    lines = (tmp_path / "list.txt").read_text()
    (tmp_path / "list.txt").write_text(lines * 90)
    command = ("-shuffle", "images/", "list.txt", "db")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *command],
        cwd=tmp_path,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "db").exists()
    run = run_tool("convert_imageset", "-encoded", *command)
    assert run.returncode == 1
    assert (
        "'db.partial' was begun with -encoded 0, now -encoded 1; give what it was "
        "begun with, or remove it" in run.stderr
    )
    run = run_tool("convert_imageset", *command)
    assert run.returncode == 0, run.stderr
    log = messages(run.stderr)
    assert "An earlier run had written 1000 of them" in log
    assert {f"Class {label}: 360 images" for label in range(3)} <= set(log)
    assert not (tmp_path / "db.partial").exists()
    values, labels = stored(tmp_path / "db", 12 * 90)
    # An image occurs in one class only, as often as it is listed.
    want = blue_first(images)
    for label in range(3):
        got = values[np.array(labels) == label]
        for index in range(label, COUNT, 3):
            assert (got == want[index]).all(axis=(1, 2, 3)).sum() == 90


def test_an_existing_database_stays(run_tool, images, tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "precious").write_text("data")
    run = run_tool("convert_imageset", "images/", "list.txt", "db")
    assert run.returncode == 1
    assert "'db'" in run.stderr.splitlines()[-1]
    assert (tmp_path / "db" / "precious").read_text() == "data"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["a", "b"], 2, "got 2 arguments, expected ROOTFOLDER/ LISTFILE DB_NAME"),
        (["-grey", "a", "b", "c"], 2, "unknown flag '-grey'; the closest is '-gray'"),
        (["-backend=sqlite", "a", "b", "c"], 2, "expected lmdb or leveldb"),
        (["x/", "missing.txt", "db"], 1, "missing.txt"),
    ],
)
def test_wrong_command_lines(capsys, arguments, status, message):
    assert convert_imageset(arguments) == status
    assert message in capsys.readouterr().err


def test_help(capsys):
    for main, word in (
        (convert_imageset, "ROOTFOLDER/"),
        (compute_image_mean, "INPUT_DB"),
    ):
        assert main(["-help"]) == 0
        assert word in capsys.readouterr().out


def on_a_terminal(*arguments, cwd):
    """Runs a command whose stderr is a terminal; returns what that showed."""
    master, slave = pty.openpty()
    command = Path(sys.executable).with_name(arguments[0])
    with subprocess.Popen(
        [command, *arguments[1:]],
        cwd=cwd,
        stderr=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(slave)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:  # how Linux reports the end
                break
            if not part:
                break
            shown += part
        assert process.wait(60) == 0
    os.close(master)
    return shown.decode()


def test_a_terminal_shows_a_bar(images, tmp_path):
    shown = on_a_terminal(
        *("convert_imageset", "images/", "list.txt", "db"), cwd=tmp_path
    )
    assert "Converting" in shown
    assert f"{COUNT}/{COUNT}" in shown
    assert "Processed" not in shown


class TestMean:
    @pytest.fixture(autouse=True)
    def database(self, run_tool, images):
        run_tool("convert_imageset", "-encoded", "images/", "list.txt", "db")

    def test_is_written_and_logged(self, run_tool, images, tmp_path):
        run = run_tool("compute_image_mean", "db", "mean.binaryproto")
        assert run.returncode == 0, run.stderr
        log = messages(run.stderr)
        assert "Number of channels: 3" in log
        want = blue_first(images).astype(np.float64).mean(axis=0)
        means = [
            float(match.group(1))
            for line in log
            if (match := re.fullmatch(r"mean_value channel \[\d\]: (\S+)", line))
        ]
        assert_close(means, want.mean(axis=(1, 2)), Op.PRINTED)
        blob = caffe_pb2.BlobProto.FromString(
            (tmp_path / "mean.binaryproto").read_bytes()
        )
        got = caffe.io.blobproto_to_array(blob)
        assert_close(got, want[np.newaxis], Op.REDUCTION, terms=COUNT)
        # And a Data layer subtracts it.
        values, _ = stored(
            tmp_path / "db",
            COUNT,
            transform_param={"mean_file": str(tmp_path / "mean.binaryproto")},
        )
        assert_close(values, blue_first(images) - want, Op.REDUCTION, terms=COUNT)

    def test_needs_no_file(self, run_tool):
        run = run_tool("compute_image_mean", "--backend=lmdb", "db")
        assert run.returncode == 0
        assert "Write to" not in run.stderr

    def test_errors(self, run_tool, capsys):
        run = run_tool("compute_image_mean", "missing")
        assert run.returncode == 1
        assert "compute_image_mean: error:" in run.stderr
        assert "missing" in run.stderr.splitlines()[-1]
        assert compute_image_mean([]) == 2
        assert "expected INPUT_DB" in capsys.readouterr().err
