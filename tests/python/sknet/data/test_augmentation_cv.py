"""`sknet.data.augmentation` beside the engine's layers, on images of every kind."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from google.protobuf import text_format
from sklearn.datasets import load_sample_image
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.data.augmentation import (
    Draws,
    augment,
    centre_crop,
    options_of,
    read_image,
    resize_shorter,
    ten_crops,
    to_input,
)
from sknet.evaluation import Preprocessing, Protocol, open_source

SEED, LAYER = 20190318, "images"
# Height and width: of photographs, of icons, single lines, and one so long that no crop
# of a usual aspect fits into it.
SIZES = [(375, 500), (224, 224), (61, 43), (33, 40), (32, 32), (32, 700), (700, 33)]
TINY = [(1, 1), (1, 9), (9, 2), (31, 32), (3, 500)]
# What both are asked for. Images of TINY only where crops are resized.
TRANSFORMS = {
    "the release's": """crop_size: 224 mirror: true random_resized_crop { }
        max_rotation: 10 max_jitter: 20 mean_value: 104 mean_value: 117
        mean_value: 123""",
    "resized crops alone": "crop_size: 40 random_resized_crop { }",
    "odd ranges": """crop_size: 31 mirror: true random_resized_crop { min_area: 0.3
        max_area: 0.31 min_aspect: 0.1 max_aspect: 9.7 } scale: 0.017 mean_value: 7""",
    "aspects that seldom fit": """crop_size: 20 random_resized_crop { min_area: 0.9
        min_aspect: 3 max_aspect: 4 }""",
    "rotations all round": """crop_size: 50 mirror: true random_resized_crop { }
        max_rotation: 180 mean_value: 90 scale: 2""",
    "windows": "crop_size: 32 mirror: true mean_value: 100 scale: 0.00390625",
    "windows, turned and jittered": """crop_size: 30 mirror: true max_rotation: 45
        max_jitter: 60""",
    "whole images": "mirror: true max_rotation: 15 max_jitter: 3 mean_value: 128",
    "resized, then windows": "crop_size: 48 resize_short: 60 mirror: true",
    "resized, then turned": """crop_size: 48 resize_short: 48 mirror: true
        max_rotation: 20 mean_value: 11 scale: 0.5""",
}


def images_of(sizes, folder):
    """Files in which every pixel is another random level, the worst to interpolate."""
    random = np.random.default_rng(1)
    paths = []
    for height, width in sizes:
        paths.append(folder / f"{height}x{width}.png")
        levels = random.integers(0, 256, (height, width, 3), np.uint8)
        assert cv2.imwrite(str(paths[-1]), levels)
    return paths


def by_the_engine(paths, transform, color, phase, samples):
    """Values of the first samples by ImageData, each in a batch of its own."""
    list_file = paths[0].parent / "list.txt"
    list_file.write_text("".join(f"{path} 0\n" for path in paths))
    layer = caffe_pb2.LayerParameter(
        name=LAYER, type="ImageData", top=["data", "label"]
    )
    text_format.Parse(transform, layer.transform_param)
    layer.image_data_param.source = str(list_file)
    layer.image_data_param.batch_size = 1
    layer.image_data_param.is_color = color
    caffe.set_random_seed(SEED)
    net = caffe.Net(caffe_pb2.NetParameter(layer=[layer]), phase)
    for _ in range(samples):
        yield net.forward()["data"][0].copy()


@pytest.mark.parametrize("color", [True, False], ids=["colour", "grey"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_training_is_the_engines(tmp_path, name, color):
    transform = TRANSFORMS[name]
    if not color:
        transform = re.sub(r"mean_value: 1[12][37]", "", transform)
    param = text_format.Parse(transform, caffe_pb2.TransformationParameter())
    resized = param.HasField("random_resized_crop") or param.resize_short > 0
    paths = images_of(
        SIZES + TINY if resized or not param.crop_size else SIZES, tmp_path
    )
    passes = 3
    results = by_the_engine(paths, transform, color, caffe.TRAIN, passes * len(paths))
    for sample, want in enumerate(results):
        image = read_image(paths[sample % len(paths)], color)
        before = image.copy()
        got = augment(image, Draws(SEED, LAYER, sample), **options_of(param))
        assert got.dtype == np.float32
        assert got.shape == want.shape
        assert got.flags.c_contiguous
        assert np.abs(got - want).max() <= param.scale, (name, sample)  # one level
        np.testing.assert_array_equal(image, before)


def test_defaults_are_the_releases():
    image = load_sample_image("china.jpg")[:, :, ::-1]
    param = text_format.Parse(
        TRANSFORMS["the release's"], caffe_pb2.TransformationParameter()
    )
    np.testing.assert_array_equal(
        augment(image, Draws(1, "data", 5)),
        augment(image, Draws(1, "data", 5), **options_of(param)),
    )


def test_levels_may_be_of_a_floating_type_and_of_any_layout_in_memory():
    image = load_sample_image("china.jpg")
    want = augment(np.ascontiguousarray(image), Draws(1, "data", 0))
    for same in (
        image.astype(np.float32),
        image.astype(np.float64),
        np.asfortranarray(image),
        image[:, ::-1][:, ::-1],
    ):
        assert_close(augment(same, Draws(1, "data", 0)), want, Op.REDUCTION, terms=4)
    grey = image[:, :, 0]
    np.testing.assert_array_equal(
        augment(grey, Draws(1, "data", 0), mean_value=[100]),
        augment(grey[:, :, np.newaxis], Draws(1, "data", 0), mean_value=[100]),
    )


@pytest.mark.parametrize("color", [True, False], ids=["colour", "grey"])
@pytest.mark.parametrize(("side", "crop"), [(256, 224), (37, 37), (80, 7)])
def test_centre_crop_is_the_engines(tmp_path, side, crop, color):
    paths = images_of(SIZES + TINY, tmp_path)
    transform = f"resize_short: {side} crop_size: {crop} mean_value: 50 scale: 0.5"
    results = by_the_engine(paths, transform, color, caffe.TEST, len(paths))
    for path, want in zip(paths, results, strict=True):
        levels = resize_shorter(read_image(path, color), side)
        assert levels.dtype == np.float32
        assert min(levels.shape[:2]) == side
        got = to_input(centre_crop(levels, crop), [50], 0.5)
        assert got.dtype == np.float32
        assert got.shape == want.shape
        assert np.abs(got - want).max() <= 0.5  # one level


def test_ten_crops_are_those_of_the_evaluation(tmp_path):
    paths = sorted(images_of([(90, 64), (48, 70), (48, 48)], tmp_path))
    source = open_source(tmp_path)
    values = np.concatenate(
        [
            values
            for values, _ in source.batches(
                Protocol(32, 48, crops=10), Preprocessing((104, 117, 123), 2.0), 2
            )
        ]
    )
    for number, path in enumerate(paths):
        crops = ten_crops(resize_shorter(read_image(path), 48), 32)
        assert crops.shape == (10, 32, 32, 3)
        got = to_input(crops, (104, 117, 123), 2.0)
        want = values[10 * number : 10 * number + 10]
        assert np.abs(got - want).max() <= 2  # one level


@pytest.mark.parametrize("color", [True, False], ids=["colour", "grey"])
def test_files_are_decoded_as_by_the_engine(data_folder, color):
    decoded = []
    for path in sorted((data_folder / "images").iterdir()):
        try:
            want = caffe.io.load_image(path, color)[:, :, ::-1] * 255
        except OSError:
            with pytest.raises(OSError, match=f"^image '{path}': .* bytes"):
                read_image(path, color)
            continue
        got = read_image(path, color)
        assert got.dtype == np.uint8
        assert got.shape == want.shape, path
        # JPEG decoders may round a level differently.
        assert np.abs(got - want).max() <= 1.01, path
        decoded.append(path.name)
    assert {"rotated.jpg", "cmyk.jpg", "deep.png", "grey.jpg"} <= set(decoded)


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_file_that_is_no_image_is_named(tmp_path, content):
    path = tmp_path / "odd.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OSError, match=r"^(image|cannot read) '.*odd\.jpg': ") as error:
        read_image(path)
    assert "Errno" not in str(error.value)


IMAGE = np.zeros((40, 50, 3), np.uint8)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (None, {}, "image: NoneType, expected an array .* read_image tells why"),
        ([[1]], {}, r"image: list, expected an array \(height, width, channels\)"),
        (IMAGE.transpose(2, 1, 0), {}, r"shape \(3, 50, 40\), .*transpose"),
        (IMAGE[:0], {}, r"shape \(0, 50, 3\)"),
        (IMAGE[0, 0], {}, r"shape \(3,\)"),
        (IMAGE.astype(int), {}, "int64 values, expected levels 0 to 255"),
        (IMAGE[:, :, :1], {}, "mean_value: 3 values, expected 1 or 1"),
        (IMAGE, {"mean_value": [1, 2]}, "mean_value: 2 values, expected 1 or 3"),
        (IMAGE, {"max_rotation": 181}, "max_rotation is 181.0, expected 0 to 180"),
        (IMAGE, {"max_rotation": np.nan}, "max_rotation is nan"),
        (IMAGE, {"max_jitter": -1}, "max_jitter is -1.0, expected 0 or more"),
        (IMAGE, {"crop_size": 0}, "crop_size is 0, expected 1 or more"),
        (IMAGE, {"area": (0, 1)}, r"area is \(0.0, 1.0\), expected 0 < least"),
        (IMAGE, {"area": (0.5, 1.5)}, "0 < least <= largest <= 1"),
        (IMAGE, {"aspect": (2, 1)}, r"aspect is \(2.0, 1.0\)"),
        (IMAGE, {"aspect": (1, np.inf)}, "aspect is"),
        (IMAGE, {"resize_short": 100}, "resize_short is 100, expected 0, or crop_size"),
        (IMAGE, {"area": None}, "a crop of 224, expected 1 to 40, .* 50 x 40 pixels"),
    ],
)
def test_what_does_not_fit_is_said(image, options, message):
    with pytest.raises(ValueError, match=message):
        augment(image, Draws(1, "data", 0), **options)


def test_limits_of_the_other_functions_are_said():
    for function in (centre_crop, ten_crops):
        with pytest.raises(ValueError, match=f"{function.__name__}: a crop of 41"):
            function(IMAGE, 41)
    with pytest.raises(ValueError, match="side is 0"):
        resize_shorter(IMAGE, 0)
    with pytest.raises(ValueError, match="mean_file"):
        options_of(caffe_pb2.TransformationParameter(mean_file="mean.binaryproto"))
    with pytest.raises(ValueError, match="seed is -1"):
        Draws(-1, "data", 0)
    with pytest.raises(ValueError, match="sample is -1"):
        Draws(0, "data", -1)
    draws = Draws(0, "data", 0)
    assert all(0 <= draws.uniform() < 1 for _ in range(64))
    with pytest.raises(ValueError, match="all are drawn"):
        draws.below(2)


@pytest.fixture
def blocks():
    """Finds the block of docs/augmentation.md, of one kind, that mentions a word."""
    page = (ROOT / "docs" / "augmentation.md").read_text()
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    def having(kind, word):
        (block,) = [text for name, text in found if name == kind and word in text]
        return block

    return having


@pytest.fixture
def photographs(tmp_path):
    """A list of three files, and what ImageData makes of them in two epochs."""
    paths = []
    for number, photograph in enumerate(("china.jpg", "flower.jpg", "china.jpg")):
        paths.append(tmp_path / f"{number}.png")
        image = load_sample_image(photograph)[number:, :, ::-1]
        assert cv2.imwrite(str(paths[-1]), image)
    (tmp_path / "list.txt").write_text(
        "".join(f"{p} {i}\n" for i, p in enumerate(paths))
    )
    caffe.set_random_seed(1)
    layer = caffe_pb2.LayerParameter(name="data", type="ImageData")
    layer.top.extend(["data", "label"])
    text_format.Parse(TRANSFORMS["the release's"], layer.transform_param)
    layer.image_data_param.source = str(tmp_path / "list.txt")
    layer.image_data_param.batch_size = 6
    net = caffe.Net(caffe_pb2.NetParameter(layer=[layer]), caffe.TRAIN)
    net.forward()
    return paths, net.blobs["data"].data.copy()


def test_the_pages_python_layer_is_the_data_layer(
    blocks, photographs, tmp_path, monkeypatch, write_proto
):
    (tmp_path / "augmented.py").write_text(blocks("python", "caffe.Layer"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    net = caffe.Net(str(write_proto(blocks("", "python_param"))), caffe.TRAIN)
    for batch in range(3):
        net.forward()
        for place in range(2):
            sample = 2 * batch + place
            assert net.blobs["label"].data[place] == sample % 3
            got, want = net.blobs["data"].data[place], photographs[1][sample]
            assert np.abs(got - want).max() <= 1  # one level


def test_the_pages_data_set_draws_as_the_data_layer(blocks, photographs):
    paths, want = photographs
    names: dict[str, Any] = {}
    exec(blocks("python", "torch.utils"), names)
    dataset = names["AugmentedDataset"](paths, [0, 1, 2])
    generator = torch.Generator().manual_seed(3)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=2, shuffle=True, generator=generator
    )
    for epoch in range(2):
        dataset.epoch = epoch
        seen = []
        for images, labels in loader:
            for got, label in zip(images.numpy(), labels.tolist(), strict=True):
                assert np.abs(got - want[3 * epoch + label]).max() <= 1  # one level
                seen.append(label)
        assert sorted(seen) == [0, 1, 2]


def test_the_pages_evaluation_gives_the_shapes_it_says(
    blocks, photographs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = blocks("python", "ten_crops")
    (named,) = re.findall(r'read_image\("(.*?)"\)', code)
    Path(named).parent.mkdir(parents=True)
    photographs[0][0].rename(named)
    exec(code, names)
    assert "(3, 224, 224)" in code
    assert names["one"].shape == (3, 224, 224)
    assert "(10, 3, 224, 224)" in code
    assert names["ten"].shape == (10, 3, 224, 224)
    np.testing.assert_array_equal(names["ten"][4], names["one"])


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("caffe._caffe", "(3, 224, 224)"),
        ("cv2", "needs the package cv2; install it with `pip install 'opencv-python-"),
    ],
)
def test_opencv_is_needed_and_no_engine(missing, expected):
    program = f"""
import sys
sys.modules["{missing}"] = None  # importing it raises ImportError
import numpy as np
from sknet.data.augmentation import Draws, augment
print(augment(np.zeros((300, 400, 3), np.uint8), Draws(1, "data", 0)).shape)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (
        expected in done.stdout + done.stderr.strip().splitlines()[-1:][0:1].__str__()
    )


def test_the_preview_says_what_it_needs():
    program = """
import sys
sys.modules["cv2"] = None  # importing it raises ImportError
from sknet.cli import main
sys.exit(main(["augment-preview", "sknet50", "--source", "."]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("sknet augment-preview: an image in Python needs")
    assert done.stderr.count("\n") == 1
