"""Files that cannot be read or written: each command names them in one sentence."""

from __future__ import annotations

import re
import subprocess

import numpy as np
import pytest
from colour_net import write_images, write_net
from google.protobuf import text_format

import caffe
from caffe.cli.commands import main as caffe_main
from caffe.cli.compute_image_mean import main as mean_main
from caffe.cli.convert_imageset import main as convert_main
from caffe.proto import caffe_pb2
from sknet.cli.commands import main as sknet_main
from sknet.models import create_model, deploy
from sknet.prototxt import to_text

LOG = """\
I0101 00:00:00.000000 1 solver.cpp:218] Iteration 0 (1 iter/s, 1s/20 iters), loss = 2
I0101 00:00:01.000000 1 sgd_solver.cpp:105] Iteration 0, lr = 0.1
"""
NORM = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: [1, 2, 3, 3] } } }
layer { name: "bn" type: "CuDNNBatchNorm" bottom: "data" top: "bn" }
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What the commands work on."""
    root = tmp_path_factory.mktemp("world")
    write_net(root)
    write_images(root / "images", 14, (32, 32))
    (root / "train.log").write_text(LOG)
    (root / "norm.prototxt").write_text(NORM)
    norm = text_format.Parse(NORM, caffe_pb2.NetParameter())
    caffe.Net(norm, caffe.TEST).save(root / "norm.caffemodel")
    digits = deploy(create_model("sknet_digits"))
    (root / "digits.prototxt").write_text(to_text(digits))
    caffe.Net(digits, caffe.TEST).save(root / "digits.caffemodel")
    (root / "list.txt").write_text("images/0/0.png 0\n")
    assert convert_main([f"{root}/", f"{root}/list.txt", f"{root}/lmdb"]) == 0
    return root


MAINS = {
    "sknet": sknet_main,
    "caffe": caffe_main,
    "convert_imageset": convert_main,
    "compute_image_mean": mean_main,
}


def run(line, world, file, out):
    """Runs a command in which FILE stands for a file, OUT for a folder."""
    words = line.replace("WORLD", str(world)).replace("OUT", str(out)).split()
    name, *arguments = [word.replace("FILE", str(file)) for word in words]
    return MAINS[name](arguments)


COLOURS = "WORLD/colours.prototxt --weights WORLD/colours.caffemodel"
EVALUATE = f"sknet evaluate {COLOURS} --source WORLD/images --resize 0 --mean 100"
DIGITS = "WORLD/digits.prototxt --weights WORLD/digits.caffemodel"
ATTENTION = f"sknet attention {DIGITS} --source WORLD/images --images 1"
ONNX = f"sknet export onnx {COLOURS}"
PREPARE = "sknet prepare imagenet --out OUT"
WRITERS = [
    "sknet list --json FILE",
    "sknet generate sknet_digits -o FILE",
    "sknet generate sknet_digits --style train_val -o OUT/net --solver FILE",
    "sknet complexity sknet_digits --json FILE",
    "sknet table2 --json FILE",
    "sknet table7 --json FILE",
    "sknet scatter -o FILE",
    "sknet scatter -o OUT/scatter.png --csv FILE",
    "sknet train-curve WORLD/train.log -o FILE",
    "sknet train-curve WORLD/train.log --csv FILE",
    "sknet train-curve WORLD/train.log --json FILE",
    f"{EVALUATE} --json FILE",
    f"{EVALUATE} --per-class FILE",
    f"{EVALUATE} --confusion FILE",
    f"{ATTENTION} --out OUT --json FILE",
    f"{ONNX} -o FILE --no-check",
    f"{ONNX} -o OUT/net.onnx --json FILE",
    "sknet convert-bn WORLD/norm.caffemodel FILE --to bvlc --prototxt "
    "WORLD/norm.prototxt",
    "sknet convert-bn WORLD/norm.caffemodel OUT/w --to bvlc --prototxt "
    "WORLD/norm.prototxt --out-prototxt FILE",
    "compute_image_mean WORLD/lmdb FILE",
]


@pytest.mark.parametrize("line", WRITERS)
def test_a_full_disk_names_the_file(world, tmp_path, capfd, line):
    # Not the device itself, which a fault of ours could replace.
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    assert run(line, world, full, tmp_path) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.endswith(
        f"cannot write '{full}': No space left on device; make room: nothing was "
        "changed"
    )
    assert full.is_symlink()
    assert "Errno" not in said


@pytest.mark.parametrize("line", WRITERS)
def test_a_missing_folder_is_named(world, tmp_path, capfd, line):
    path = tmp_path / "no" / "such"
    assert run(line, world, path, tmp_path) == 1
    said = capfd.readouterr().err.splitlines()[-1]
    if "-o FILE --no-check" in line:  # looked for before the net is made
        assert said.endswith(f"{path}: folder '{path.parent}' does not exist")
    else:
        assert f"cannot write '{path}'" in said
        assert said.endswith(f"create the folder '{path.parent}' first")


# Those that need room for no other file before.
ALONE = [
    line
    for line in WRITERS
    if not any(word in line for word in ("OUT", "--json", "evaluate"))
]


@pytest.mark.parametrize("line", ALONE)
def test_a_full_disk_keeps_what_was_there(world, tmp_path, line):
    """With the commands as they are installed."""
    old = tmp_path / "old"
    old.write_text("kept")
    words = line.replace("WORLD", str(world)).replace("FILE", str(old)).split()
    shell = ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", *words]
    done = subprocess.run(
        shell, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    said = done.stderr.splitlines()[-1]
    assert f"cannot write '{old}': File too large" in said
    assert "make room: nothing was changed" in said
    assert old.read_text() == "kept"
    assert list(tmp_path.iterdir()) == [old]


READERS = [
    "sknet complexity FILE.prototxt",
    "sknet convert-bn FILE OUT/w --to bvlc",
    "sknet convert-bn WORLD/norm.caffemodel OUT/w --to bvlc --prototxt FILE",
    "sknet evaluate FILE --weights WORLD/colours.caffemodel --source WORLD/images",
    "sknet evaluate WORLD/colours.prototxt --weights FILE --source WORLD/images",
    f"sknet evaluate {COLOURS} --source FILE",
    f"{EVALUATE} --labels FILE",
    f"{EVALUATE} --classes FILE",
    "sknet attention FILE --weights WORLD/digits.caffemodel --source WORLD/images",
    "sknet attention WORLD/digits.prototxt --weights FILE --source WORLD/images",
    f"sknet attention {DIGITS} --source FILE",
    "sknet export onnx FILE --weights WORLD/colours.caffemodel -o OUT/x.onnx",
    "sknet export onnx WORLD/colours.prototxt --weights FILE -o OUT/x.onnx",
    "sknet import torch FILE --model resnext50_32x4d -o OUT/w",
    "sknet import torch FILE.safetensors --model resnext50_32x4d -o OUT/w",
    f"{PREPARE} --train FILE --val WORLD/images",
    f"{PREPARE} --train WORLD/images --val FILE",
    f"{PREPARE} --train WORLD/images --val WORLD/images --val-labels FILE",
    f"{PREPARE} --train WORLD/images --val WORLD/images --classes FILE",
    "sknet augment-preview FILE --source WORLD/images -o OUT/a.png",
    "sknet augment-preview sknet_digits --source FILE -o OUT/a.png",
    "sknet table2 --measured FILE",
    "sknet scatter --measured FILE -o OUT/a.png",
    "sknet train-curve FILE",
    "sknet train sknet_digits FILE OUT",
    "caffe train -solver FILE",
    "caffe test -model FILE -weights WORLD/colours.caffemodel",
    "caffe test -model WORLD/colours.prototxt -weights FILE",
    "caffe time -model FILE",
    "caffe build-plugin FILE -o OUT/x.so",
    "convert_imageset FILE/ WORLD/list.txt OUT/db",
    "convert_imageset WORLD/ FILE OUT/db",
    "compute_image_mean FILE",
]


@pytest.mark.parametrize("kind", ["missing", "folder", "loop"])
@pytest.mark.parametrize("line", READERS)
def test_a_file_that_cannot_be_read_is_named(world, tmp_path, capfd, line, kind):
    file = tmp_path / kind
    for path in (file, file.with_suffix(".prototxt"), file.with_suffix(".safetensors")):
        if kind == "folder":
            path.mkdir()
        if kind == "loop":
            path.symlink_to(path)
    out = tmp_path / "out"
    out.mkdir()
    assert run(line, world, file, out) == 1
    errors = capfd.readouterr().err
    said = errors.splitlines()[-1]
    assert str(file) in said
    assert "Errno" not in errors
    assert "Traceback" not in errors
    assert re.match(r"(sknet|caffe|convert_imageset|compute_image_mean)\b", said)


def test_images_are_named(world, tmp_path):
    missing = tmp_path / "missing.png"
    message = f"^cannot read '{missing}': No such file or directory$"
    with pytest.raises(FileNotFoundError, match=message):
        caffe.io.load_image(missing)
    from sknet.data.opencv import read_image, write_image

    with pytest.raises(FileNotFoundError, match=message):
        read_image(missing)
    with pytest.raises(FileNotFoundError, match="create the folder"):
        write_image(tmp_path / "no" / "a.png", np.zeros((2, 2, 3), np.uint8))
