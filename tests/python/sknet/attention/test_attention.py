"""`sknet attention`: units, enlargement, averages and plots."""

from __future__ import annotations

import csv
import itertools
import json
import math

import numpy as np
import pytest
from photographs import CLASSES, write_ilsvrc
from PIL import Image, ImageColor
from tolerance import Op, assert_close

import caffe
from sknet.attention import Attention, analyse, enlarged, last_of_stages, sk_units
from sknet.attention.plots import classes_figure, grouped, plot_classes
from sknet.cli import main
from sknet.evaluation import load_network, read_definition
from sknet.models import create_model, deploy

SCALES = (1.0, 1.5, 2.0)


def units_of(name):
    return sk_units(deploy(create_model(name)))


def test_sknet50_has_the_papers_units():
    units = units_of("sknet50")
    assert len(units) == 3 + 4 + 6 + 3
    last = last_of_stages(units)
    assert [unit.name for unit in last] == ["SK_2_3", "SK_3_4", "SK_4_6", "SK_5_3"]
    assert {unit.kernels for unit in units} == {(3, 5)}
    assert last[1].blobs == ("conv3_4/B_slice0", "conv3_4/B_slice1")


def test_three_kernels_and_other_depths():
    units = units_of("sknet50_k3k5k7")
    assert {unit.kernels for unit in units} == {(3, 5, 7)}
    assert [unit.name for unit in last_of_stages(units_of("sknet101"))] == [
        "SK_2_3",
        "SK_3_4",
        "SK_4_23",
        "SK_5_3",
    ]


def test_other_nets_have_no_units():
    with pytest.raises(ValueError, match="no Selective Kernel units"):
        units_of("resnext50")


def bilinear(plane, first, part, side):
    """One plane enlarged, pixel by pixel, with pixel centres at half integers."""
    out = np.zeros((side, side))
    for place in np.ndindex(side, side):
        weights = []
        for out_index in place:
            x = min(max((out_index + 0.5) * part / side - 0.5, 0), part - 1)
            low = min(int(x), part - 2)
            weights.append((first + low, x - low))
        (y, fy), (x, fx) = weights
        out[place] = (
            plane[y, x] * (1 - fy) * (1 - fx)
            + plane[y, x + 1] * (1 - fy) * fx
            + plane[y + 1, x] * fy * (1 - fx)
            + plane[y + 1, x + 1] * fy * fx
        )
    return out


@pytest.mark.parametrize(("factor", "part"), [(1.5, 8), (2.0, 6), (1.1, 11)])
def test_the_middle_is_enlarged(random, factor, part):
    crops = random.normal(size=(2, 3, 12, 12)).astype(np.float32)
    first = (12 - part) // 2
    want = [[bilinear(plane, first, part, 12) for plane in crop] for crop in crops]
    assert_close(enlarged(crops, factor), np.array(want), Op.REDUCTION, terms=4)
    assert_close(enlarged(crops, 1.0), crops, Op.COPY)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The small SKNet with weights that attend: (their file, network of batch 4)."""
    folder = tmp_path_factory.mktemp("digits")
    definition = read_definition("sknet_digits")
    caffe.set_random_seed(3)
    network = load_network(definition, None, 32, 4)
    draw = np.random.default_rng(8)
    for name, blobs in network.net.params.items():
        if len(blobs) == 4:  # batch norms
            blobs[0].data[...] = draw.uniform(0.5, 1.5, blobs[0].shape)
            blobs[1].data[...] = draw.normal(0, 0.3, blobs[1].shape)
            blobs[2].data[...] = draw.normal(0, 0.3, blobs[2].shape)
            blobs[3].data[...] = draw.uniform(0.5, 1.5, blobs[3].shape)
        elif "B_fc" in name:
            blobs[0].data[...] = draw.normal(0, 0.3, blobs[0].shape)
    path = folder / "digits.caffemodel"
    network.net.save(str(path))
    return path, network


def attention_weights(network, block, images):
    """Softmax of the scores, (images, branches, channels), in float64."""
    scores = network.net.blobs[f"{block}/B_fc2"].data[:images].astype(np.float64)
    scores = scores.reshape(images, 2, -1)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_averages_are_numpys(digits, random):
    _, network = digits
    units = units_of("sknet_digits")
    crops = random.normal(size=(10, 3, 32, 32)).astype(np.float32)
    labels = np.array([3, 3, 0, 7, 3, 0, 9, 9, 9, 9])
    batches = [(crops[i : i + 4], labels[i : i + 4]) for i in (0, 4, 8)]
    got = analyse(network, units, batches, scales=SCALES, images=3)

    differences = np.zeros((3, 3, 10))  # (scales, units, images)
    curves = np.zeros((3, 10, 128))
    for s, scale in enumerate(SCALES):
        for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
            network.forward(enlarged(crops[part], scale))
            for u, block in enumerate(["conv2_1", "conv3_1", "conv4_1"]):
                weights = attention_weights(network, block, len(crops[part]))
                differences[s, u, part] = (weights[:, 1] - weights[:, 0]).mean(axis=1)
                if block == "conv3_1":
                    curves[s, part] = weights[:, 1]
    close = {"op": Op.TRANSCENDENTAL, "terms": 256}
    assert got.curve_unit.name == "SK_3_1"
    assert_close(got.curve, curves.mean(axis=1), **close)
    assert_close(got.differences, differences.mean(axis=2), **close)
    assert got.count.tolist() == [2, 0, 0, 3, 0, 0, 0, 1, 0, 4]
    for label in range(10):
        if not got.count[label]:
            assert np.isnan(got.class_differences[:, :, label]).all()
            continue
        want = differences[:, :, labels == label].mean(axis=2)
        assert_close(got.class_differences[:, :, label], want, **close)
    assert [image.label for image in got.images] == [3, 3, 0]
    for i, image in enumerate(got.images):
        assert_close(image.differences, differences[:, :, i], **close)
        assert_close(image.curve, curves[:, i], **close)
        assert_close(image.crops[0], crops[i], Op.COPY)


def test_groups_leave_out_what_is_missing():
    values = np.array([[1.0, 3.0, np.nan, 5.0, 7.0], [np.nan] * 5])
    starts, means = grouped(values, 2)
    assert starts.tolist() == [0, 2, 4]
    np.testing.assert_array_equal(means, [[2, 5, 7], [np.nan] * 3])


@pytest.fixture
def photographs(tmp_path):
    return write_ilsvrc(tmp_path / "ilsvrc", train=3, val=2, side=32)


def run(digits, source, out, *more):
    weights, _ = digits
    return main(
        [
            *("attention", "sknet_digits", "--weights", str(weights), "--batch", "4"),
            *("--source", str(source), "--out", str(out), *more),
        ]
    )


def has_colour(path, name, least):
    """Whether at least so many pixels have a colour of matplotlib."""
    tab = {"blue": "#1f77b4", "green": "#2ca02c", "red": "#d62728", "orange": "#ff7f0e"}
    wanted = ImageColor.getrgb(tab[name])
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"), int)
    return (np.abs(pixels - wanted).max(axis=-1) <= 2).sum() >= least


def test_plots_and_tables_are_written(digits, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    result = tmp_path / "table.json"
    options = ["--images", "2", "--json", str(result)]
    assert run(digits, photographs / "train", out, *options) == 0
    assert "over 6 images" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == [
        "average.png",
        "classes.csv",
        "classes.png",
        "curves.csv",
        "differences.csv",
        "image_0.png",
        "image_1.png",
    ]
    # Frames of the thumbnails, and lines of the classes.
    for colour in ("blue", "green", "red"):
        assert has_colour(out / "image_0.png", colour, 1000)
    for colour in ("blue", "orange", "green"):
        assert has_colour(out / "classes.png", colour, 100)
    with (out / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == set(CLASSES)
    assert len(rows) == len(CLASSES) * len(SCALES) * 3
    # Both classes have equally many images: their mean is that of all.
    with (out / "differences.csv").open() as file:
        means = [row for row in csv.DictReader(file) if row["image"] == "mean"]
    for row in means:
        parts = [
            float(other["difference"])
            for other in rows
            if (other["scale"], other["unit"]) == (row["scale"], row["unit"])
        ]
        assert math.isclose(sum(parts) / 2, float(row["difference"]), abs_tol=2e-6)
    record = json.loads(result.read_text())
    assert (record["images"], record["difference"]) == (6, "5x5 - 3x3")
    for row in means:
        (entry,) = [e for e in record["scales"] if e["scale"] == float(row["scale"])]
        got = entry["units"][row["unit"]]
        assert math.isclose(got, float(row["difference"]), abs_tol=2e-6)
    with (out / "curves.csv").open() as file:
        curves = list(csv.DictReader(file))
    assert len(curves) == 3 * len(SCALES) * 128 // 16
    assert {row["kernel"] for row in curves} == {"5x5"}


def attention_of(labels, classes):
    """As if it had been measured on an image of each label."""
    random = np.random.default_rng(2)
    units = units_of("sknet_digits")
    count = np.bincount(labels, minlength=classes)
    differences = random.normal(0, 0.01, (2, len(units), classes))
    return Attention(
        units,
        units[1],
        (1.0, 2.0),
        [],
        count,
        np.zeros((2, 128)),
        np.zeros((2, len(units))),
        np.where(count, differences, np.nan),
    )


@pytest.mark.parametrize("seen", [2, 10, 40])
def test_classes_have_their_names(tmp_path, seen):
    """Those with images, of however many the net has; no name covers another."""
    labels = list(range(3, 3 + 20 * seen, 20))
    names = [f"class {label} with a name" for label in range(1000)]
    names[labels[1]] = "n04346328 Buddhist temple, known as stupa or tope"
    attention = attention_of(labels, 1000)
    plot_classes(attention, tmp_path / "classes.png", names)
    figure = classes_figure(attention, names)
    figure.draw_without_rendering()
    axes = figure.axes[-1]
    ticks = axes.get_xticklabels()
    shown = [tick.get_text() for tick in ticks]
    assert len(shown) == seen
    assert shown[1] == "n04346328 Buddhist temp\u2026"
    del shown[1], labels[1]
    assert shown == [names[label] for label in labels]
    boxes = [tick.get_window_extent() for tick in ticks]
    for left, right in itertools.pairwise(boxes):
        assert left.x1 <= right.x0
    for box in boxes:
        assert box.y0 >= 0
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_many_classes_have_their_numbers():
    attention = attention_of(list(range(0, 1000, 10)), 1000)
    axes = classes_figure(attention, ["name"] * 1000).axes[-1]
    assert axes.get_xlabel() == "class index (means of 10 classes)"


def test_bad_images_are_left_out(digits, photographs, tmp_path, capsys):
    bad = sorted((photographs / "train").glob("*/*"))[1]
    bad.write_bytes(b"nothing")
    assert run(digits, photographs / "train", tmp_path / "out") == 1
    assert f"image '{bad}': the data is damaged" in capsys.readouterr().err
    result = tmp_path / "table.json"
    options = ["--on-bad-image", "skip", "--json", str(result)]
    assert run(digits, photographs / "train", tmp_path / "out", *options) == 0
    out = capsys.readouterr().out
    assert "over 5 images" in out
    assert f"rejected '{bad.parent.name}/{bad.name}': the data is damaged" in out
    record = json.loads(result.read_text())
    assert (record["images"], len(record["rejected"])) == (5, 1)
    for file in (photographs / "train").glob("*/*"):
        file.write_bytes(b"nothing")
    assert run(digits, photographs / "train", tmp_path / "out", *options) == 1
    assert "there is no image that can be decoded" in capsys.readouterr().err


def test_images_without_labels_have_no_classes(digits, photographs, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(digits, photographs / "val", out, "--scales", "1,3") == 0
    assert "no plot of the classes" in capsys.readouterr().out
    assert (out / "image_3.png").exists()
    assert not (out / "classes.png").exists()
    assert not (out / "classes.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scales", "1,x"], "--scales 1,x: expected up to 6 numbers"),
        (["--scales", "0.5"], "scales are 0.5, expected numbers from 1 up"),
        (["--scales", "nan"], "--scales nan: expected"),
        (["--batch", "0"], "--batch is 0, expected at least 1"),
    ],
)
def test_bad_options_are_one_sentence(
    digits, photographs, tmp_path, capsys, options, message
):
    assert run(digits, photographs / "train", tmp_path / "out", *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("sknet attention: ")
    assert message in error


def test_what_cannot_be_written_is_told_before_the_first_image(
    digits, photographs, tmp_path, capsys
):
    absent = tmp_path / "no" / "table.json"
    options = ["--json", str(absent)]
    assert run(digits, photographs / "train", tmp_path / "out", *options) == 1
    assert f"cannot write '{absent}'" in capsys.readouterr().err
    file = tmp_path / "file"
    file.write_text("kept")
    assert run(digits, photographs / "train", file) == 1
    assert f"cannot create '{file}'" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []
