"""The drivers in scripts/, on a small data set of real photographs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from photographs import write_ilsvrc

import caffe
from sknet.models import create_model, deploy

# SKNet-26 made small: one block a stage, 64 pixels.
TINY = ["--depths", "1,1,1,1", "--widths", "32,32,32,64", "--crop", "64"]


def run(script, *arguments):
    """Runs a driver with this interpreter's commands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", ROOT / "scripts" / script, *map(str, arguments)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def ilsvrc(tmp_path_factory):
    return write_ilsvrc(tmp_path_factory.mktemp("ilsvrc"), train=8, val=2, side=72)


@pytest.fixture(scope="module")
def databases(ilsvrc, tmp_path_factory):
    out = tmp_path_factory.mktemp("databases")
    done = run("prepare_imagenet.sh", ilsvrc, out, "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert "2 classes: 16 training and 4 validation images" in done.stdout
    return out


def test_a_model_is_trained_resumed_and_evaluated(databases, tmp_path):
    out = tmp_path / "run"
    recipe = ["--batch", "8", "--iter-size", "1", "--base-lr", "0.01"]
    train = ["train.sh", "sknet26", databases, out, *TINY, *recipe]
    first = run(*train, "--epochs", "1")
    assert first.returncode == 0, first.stderr[-3000:]
    assert (out / "snapshots" / "sknet26_iter_2.caffemodel").exists()
    net = (out / "train_val.prototxt").read_text()
    assert "random_resized_crop" in net
    assert "resize_short: 73" in net
    second = run(*train, "--epochs", "2")
    assert second.returncode == 0, second.stderr[-3000:]
    assert "sknet26_iter_2.solverstate" in second.stderr
    # A run that is done stays as it is; other options are another run.
    done = run(*train, "--epochs", "2")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "complete: iteration 4 of 4" in done.stdout
    solver = (out / "solver.prototxt").read_text()
    for option, message in (
        (["--kernels", "3,7"], "begun with no --kernels, now --kernels 3x3,3x3d3"),
        (["--batch", "4", "--iter-size", "2"], "begun with --batch 8, now --batch 4"),
        (["--crop", "96"], "begun with --crop 64, now --crop 96"),
    ):
        other = run(*train, "--epochs", "3", *option)
        assert other.returncode == 1
        assert message in other.stderr
        assert "may change" in other.stderr
        assert "Traceback" not in other.stderr
    assert (out / "solver.prototxt").read_text() == solver
    weights = out / "snapshots" / "sknet26_iter_4.caffemodel"
    assert weights.exists()
    assert "Iteration 4, Testing net (#0)" in (out / "train.log").read_text()

    evaluation = ["evaluate.sh", out / "train_val.prototxt", weights]
    done = run(*evaluation, databases / "val_lmdb", out, "--batch", "2", "--strict")
    assert done.returncode == 0, done.stderr[-3000:]
    for crop, resize in ((224, 256), (320, 352)):
        record = json.loads((out / f"train_val_{crop}.json").read_text())
        assert record["images"] == 4
        assert record["protocol"]["resize"] == resize
        assert record["warnings"] == []
    again = run(*evaluation, databases / "val_lmdb", out, "--batch", "2", "--strict")
    assert again.stdout.count("all done before") == 2

    # The classes' folders may be some of those that a net knows.
    fine = tmp_path / "fine"
    tuned = run(
        "train.sh", "sknet26", databases, fine, *TINY, *recipe, "--epochs", "1",
        "--classifier", "animals", "-weights", weights, "-precision", "float32",
    )  # fmt: skip
    assert tuned.returncode == 0, tuned.stderr[-3000:]
    assert "1 layer(s) found no weights" in tuned.stderr
    net = caffe.Net(
        str(fine / "train_val.prototxt"),
        caffe.TEST,
        weights=str(fine / "snapshots" / "sknet26_iter_2.caffemodel"),
    )
    assert net.params["animals"][0].data.shape[0] == 2


def test_flags_of_caffe_train_are_checked(databases, tmp_path):
    for flag, message in (
        ("-wieghts", "no flag of `caffe train`"),
        ("-snapshot", "set by the run folder"),
        ("-wieghts", "the closest is 'weights'"),
    ):
        done = run("train.sh", "sknet26", databases, tmp_path / "x", flag, "y")
        assert done.returncode == 1
        assert message in done.stderr
        assert not (tmp_path / "x").exists()


def test_a_folder_without_snapshots_is_begun_anew(databases, tmp_path):
    """What a start left that failed holds nothing to go on with."""
    out = tmp_path / "run"
    train = ["train.sh", "sknet26", databases, out, *TINY, "--batch", "8"]
    train += ["--iter-size", "1", "--epochs", "1"]
    absent = tmp_path / "absent.caffemodel"
    failed = run(*train, "--base-lr", "0.02", "-weights", absent)
    assert failed.returncode == 1
    assert f"'{absent}' does not exist" in failed.stderr
    assert (out / "run.json").exists()
    again = run(*train, "--base-lr", "0.01", "--classifier", "animals")
    assert again.returncode == 0, again.stderr[-3000:]
    assert "animals" in (out / "train_val.prototxt").read_text()
    assert (out / "snapshots" / "sknet26_iter_2.caffemodel").exists()
    # From now on the folder is that run's; the net comes before what depends on it.
    other = run("train.sh", "sknet50", databases, out, "--base-lr", "1")
    assert other.returncode == 1
    assert "was begun with model sknet26, now model sknet50;" in other.stderr


def test_a_folder_has_one_run_at_a_time(databases, tmp_path):
    out = tmp_path / "run"
    train = ["train.sh", "sknet26", databases, out, *TINY, "--batch", "8"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", ROOT / "scripts" / "train.sh", *map(str, train[1:])],
        env={**os.environ, "PATH": path},
        stderr=subprocess.PIPE,
        text=True,
    ) as first:
        # `caffe train`, which `sknet train` has become, is at work.
        while "Solving" not in (line := first.stderr.readline()):
            assert line
        begun = (out / "train_val.prototxt").read_bytes()
        second = run(*train, "--classifier", "animals")
        first.kill()
    assert second.returncode == 1
    assert "another `sknet train` is at work there; wait for its end" in second.stderr
    assert (out / "train_val.prototxt").read_bytes() == begun
    # A killed run leaves nothing that keeps others out.
    train += ["--iter-size", "1", "--epochs", "1"]
    assert run(*train).returncode == 0


def test_table_2_says_that_nothing_could_be_evaluated(ilsvrc, tmp_path):
    (tmp_path / "weights").mkdir()
    net = caffe.Net(deploy(create_model("resnext50")), caffe.TEST)
    for blobs in net.params.values():
        if len(blobs) == 4:
            blobs[0].data[...] = 1e30  # scale: the scores overflow
    net.save(str(tmp_path / "weights" / "resnext50.caffemodel"))
    (tmp_path / "weights" / "lenet.caffemodel").write_bytes(b"")
    folders = (ilsvrc, tmp_path / "weights", tmp_path / "out")
    done = run("reproduce_table2.sh", *folders, "--limit", "2", "--batch", "2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "error: could not evaluate resnext50, see above"
    )
    assert "table2.txt" not in done.stderr
    assert done.stdout.count("note: left out") == 2


def test_table_2_is_filled(ilsvrc, tmp_path):
    model = create_model("resnext50")
    net = caffe.Net(deploy(model), caffe.TEST)
    for blobs in net.params.values():
        if len(blobs) == 4:
            blobs[3].data[...] = 1  # variance: untrained, activations keep their size
    weights = tmp_path / "weights"
    weights.mkdir()
    net.save(str(weights / "resnext50.caffemodel"))
    out = tmp_path / "out"
    options = ["--limit", "2", "--batch", "2"]
    done = run("reproduce_table2.sh", ilsvrc, weights, out, *options)
    assert done.returncode == 0, done.stderr[-3000:]
    (row,) = [
        row
        for row in json.loads((out / "table2.json").read_text())
        if row["model"] == "ResNeXt-50"
    ]
    for crop in (224, 320):
        record = json.loads((out / f"resnext50_{crop}.json").read_text())
        assert record["images"] == 2
        error = record["top1"]["error_percent"]
        assert row[f"measured_top1_error_{crop}"] == error
        assert row[f"paper_top1_error_{crop}"] == {224: 22.23, 320: 21.05}[crop]
        assert np.isclose(
            record["paper"]["difference_percent"],
            error - row[f"paper_top1_error_{crop}"],
        )
    assert re.search(r"^ResNeXt-50 .*100\.00", done.stdout, re.M)
    assert (out / "table2_224.png").stat().st_size > 10_000

    # Again, with everything done, and with files that are no row or no net.
    small = create_model("sknet26", depths=(1, 1, 1, 1), widths=(32, 32, 32, 64))
    caffe.Net(deploy(small), caffe.TEST).save(str(weights / "sknet26.caffemodel"))
    (weights / "lenet.caffemodel").write_bytes(b"")
    (weights / "sknet50.caffemodel").write_bytes(b"no weights")
    again = run("reproduce_table2.sh", ilsvrc, weights, out, *options)
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stdout.count("all done before") == 2
    for name in ("lenet", "sknet26", "sknet50"):
        assert re.search(
            rf"^note: left out .*{name}\.caffemodel: .", again.stdout, re.M
        )
    assert re.search(r"^ResNeXt-50 .*100\.00", again.stdout, re.M)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("train.sh", ["sknet50", "absent", "out"], "is no database of"),
        ("reproduce_table2.sh", ["absent", "absent", "out"], "has no caffemodels"),
        ("prepare_imagenet.sh", ["absent", "out"], "absent/train"),
    ],
)
def test_missing_input_is_told(tmp_path, script, arguments, message):
    done = run(script, *(tmp_path / word for word in arguments))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "script", ["prepare_imagenet.sh", "train.sh", "evaluate.sh", "reproduce_table2.sh"]
)
def test_usage(script):
    done = run(script, "-h")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {script} ")
    assert run(script).returncode == 2


def find_python(folder, environment=""):
    """What set-up chooses where only the interpreters in `folder` can be found."""
    setup = (ROOT / "scripts" / "setup.sh").read_text()
    function = re.search(r"^find_python\(\) \{.*?^\}", setup, re.MULTILINE | re.DOTALL)
    command = (
        f'die() {{ echo "$1"; exit 1; }}; {environment}\n{function[0]}\nfind_python'
    )
    return subprocess.run(
        [shutil.which("bash"), "-c", command],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()


def test_set_up_takes_any_python_from_the_oldest_on(tmp_path):
    for tool in ("grep", "sort"):
        (tmp_path / tool).symlink_to(shutil.which(tool))

    def interpreter(name, version):
        text = (
            f"#!{sys.executable}\nimport sys\n"
            f"sys.version_info, sys.executable = {version}, {name!r}\n"
            "exec(sys.argv[2])\n"
        )
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    interpreter("python3", (3, 9))
    assert "no Python from 3.10 on found" in find_python(tmp_path)
    for minor in (8, 10, 99, 100):
        interpreter(f"python3.{minor}", (3, minor))
    interpreter("python3.200-config", (3, 200))
    assert find_python(tmp_path) == "python3.100"
    assert find_python(tmp_path, "PYTHON=python3.10") == "python3.10"
    assert "tried python3.8" in find_python(tmp_path, "PYTHON=python3.8")
    interpreter("python3", (3, 15))
    assert find_python(tmp_path) == "python3"
