"""`sknet evaluate` from images to counts, against NumPy."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import lmdb
import numpy as np
import pytest
from colour_net import (
    CLASSES,
    MEAN,
    SIDE,
    probabilities,
    write_images,
    write_net,
)
from PIL import Image
from tolerance import Op, assert_close

import caffe
from sknet.cli import main
from sknet.data.class_map import ClassMap, read_class_list, write_record
from sknet.evaluation import (
    Preprocessing,
    Protocol,
    evaluate,
    load_network,
    open_source,
    read_definition,
    record_of,
    set_up,
)
from sknet.evaluation.protocol import PROTOCOLS

SIZE = (22, 27)
COUNT = 35


class Set:
    """A net with weights, and images as a folder and as an LMDB."""

    def __init__(self, root):
        self.net, self.weights = write_net(root)
        self.folder = root / "images"
        self.images = write_images(self.folder, COUNT, SIZE)
        self.labels = np.arange(CLASSES).repeat(COUNT // CLASSES)
        self.lmdb = root / "lmdb"
        write_lmdb(self.lmdb, self.folder, self.labels)
        classes = ClassMap(tuple(str(label) for label in range(CLASSES)))
        write_record(self.lmdb, classes, images=COUNT)


def write_lmdb(path, folder, labels):
    path.mkdir()
    files = sorted(folder.glob("*/*"))
    with lmdb.open(str(path)) as database, database.begin(write=True) as transaction:
        for number, (file, label) in enumerate(zip(files, labels, strict=True)):
            datum = caffe.proto.caffe_pb2.Datum(
                data=file.read_bytes(), encoded=True, label=int(label)
            )
            transaction.put(f"{number:08}".encode(), datum.SerializeToString())


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return Set(tmp_path_factory.mktemp("colours"))


def crops_of(image, crops):
    """Centre, or ten crops, of an image (height, width, 3)."""
    height, width = image.shape[:2]
    top, left = height - SIDE, width - SIDE
    centre = (top // 2, left // 2)
    if crops == 1:
        places = [centre]
    else:
        places = [(0, 0), (0, left), (top, 0), (top, left), centre]
    found = [image[y : y + SIDE, x : x + SIDE] for y, x in places]
    return found if crops == 1 else found + [crop[:, ::-1] for crop in found]


def expected(colours, crops):
    """Probabilities (images, classes) in float64."""
    return np.stack(
        [
            np.mean(
                [
                    probabilities(colours.weights, crop)
                    for crop in crops_of(image, crops)
                ],
                axis=0,
            )
            for image in colours.images
        ]
    )


def run(colours, source, *more):
    return main(
        [
            *("evaluate", str(colours.net), "--weights", str(colours.weights)),
            *("--source", str(source), "--resize", "0", *map(str, more)),
        ]
    )


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
@pytest.mark.parametrize("crops", [1, 10])
@pytest.mark.parametrize("batch", [4, 35])
def test_results_are_numpys(colours, tmp_path, capsys, kind, crops, batch):
    result = tmp_path / "result.json"
    options = ["--json", result, "--batch", batch]
    if crops == 10:
        options += ["--protocol", "10crop"]
    assert run(colours, getattr(colours, kind), *options) == 0
    record = json.loads(result.read_text())
    want = expected(colours, crops)
    order = np.argsort(-want, axis=1)
    top1 = (order[:, 0] == colours.labels).sum()
    top5 = (order[:, :5] == colours.labels[:, None]).any(axis=1).sum()
    assert record["images"] == COUNT
    assert record["top1"]["correct"] == top1
    assert record["top5"]["correct"] == top5
    assert record["top1"]["error_percent"] == pytest.approx(100 * (1 - top1 / COUNT))
    confusions = np.zeros((CLASSES, CLASSES), int)
    np.add.at(confusions, (colours.labels, order[:, 0]), 1)
    for entry in record["confusions"]:
        assert confusions[entry["label"], entry["answer"]] == entry["images"]
    assert sum(entry["images"] for entry in record["confusions"]) == COUNT
    out = capsys.readouterr().out
    assert f"{100 * (1 - top1 / COUNT):.2f} %" in out
    assert f"{COUNT} of {getattr(colours, kind)}" in out


def without_speed(record):
    return {
        k: v for k, v in json.loads(json.dumps(record)).items() if "_per_s" not in k
    }


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ([], {}),
        (["--protocol", "10crop", "--batch", 3], {"protocol": "10crop", "batch": 3}),
        (["--resize", 40, "--no-optimize"], {"resize": 40, "optimize": False}),
        (["--mean", 9, "--scale", 0.5], {"mean": [9], "scale": 0.5}),
        (["--mean", 1, 2, 3], {"mean": (1, 2, 3)}),
    ],
)
def test_python_has_the_record_that_the_command_writes(
    colours, tmp_path, capsys, words, options
):
    path = tmp_path / "result.json"
    options = {"resize": 0, **options}
    for source in (colours.lmdb, colours.folder):
        assert run(colours, source, "--json", path, *words) == 0
        setting = set_up(colours.net, colours.weights, str(source), **options)
        record = record_of(evaluate(*setting))
        assert record.keys() == json.loads(path.read_text()).keys()
        assert without_speed(record) == without_speed(json.loads(path.read_text()))
        assert record["images_per_s"] > 0


def test_python_has_the_record_of_damaged_images_and_listed_classes(
    colours, damaged, tmp_path
):
    path, learned = tmp_path / "result.json", tmp_path / "learned.txt"
    learned.write_text("".join(f"{label}\n" for label in reversed(range(CLASSES))))
    state = tmp_path / "state"
    words = ["--json", path, "--on-bad-image", "skip", "--classes", learned]
    assert run(colours, damaged.folder, *words, "--limit", 30, "--resume", state) == 0
    setting = set_up(colours.net, colours.weights, damaged.folder, resize=0)
    options = {"skip_bad": True, "learned": read_class_list(learned), "limit": 30}
    record = record_of(evaluate(*setting, **options))
    assert record["rejected"]
    assert without_speed(record) == without_speed(json.loads(path.read_text()))


def bytes_read():
    """By this process so far, of files and all else, without what is mapped."""
    (line,) = re.findall(r"^rchar: (\d+)$", Path("/proc/self/io").read_text(), re.M)
    return int(line)


def test_one_net_is_built_and_the_weights_are_read_once(colours, tmp_path, monkeypatch):
    """Beside it there is one of a single data layer, which decodes the images."""
    weights = tmp_path / "large.caffemodel"
    stored = caffe.proto.caffe_pb2.NetParameter.FromString(colours.weights.read_bytes())
    blob = stored.layer.add(name="of another net").blobs.add(data=[1.0] * (1 << 22))
    blob.shape.dim.append(1 << 22)
    weights.write_bytes(stored.SerializeToString())
    size = weights.stat().st_size
    built = []
    plain = caffe.net.Net.__init__

    def counted(self, *arguments, **options):
        plain(self, *arguments, **options)
        built.append([layer.type for layer in self.layers])

    def command(number, *more):
        return main(
            [
                *("evaluate", str(colours.net), "--source", str(colours.lmdb)),
                *("--weights", str(weights), "--batch", "5", "--resize", "24", *more),
                *("--json", str(tmp_path / "result.json")),
                *("--resume", str(tmp_path / f"state{number}")),
            ]
        )

    assert command(0) == 0  # modules have been read then
    monkeypatch.setattr(caffe.net.Net, "__init__", counted)
    # Another size than the net was made for, which asks for the size of its maps.
    monkeypatch.setitem(PROTOCOLS, "320", 24)
    for number, more in enumerate([(), ("--protocol", "320")], 1):
        built.clear()
        before = bytes_read()
        assert command(number, *more) == 0
        assert size <= bytes_read() - before < 1.5 * size
        assert sorted(built, key=len)[0] == ["Data"]
        assert [types[0] for types in built].count("Input") == 1
        assert len(built) == 2
    (notice,) = json.loads((tmp_path / "result.json").read_text())["notices"]
    assert "was made global" in notice


V1_TRAIN_VAL = f"""
name: "colours"
layers {{ name: "data" type: DATA top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "/absent/lmdb" batch_size: 9 crop_size: {SIDE} }} }}
layers {{ name: "cells" type: CONVOLUTION bottom: "data" top: "cells"
  blobs_lr: 1 convolution_param {{ num_output: 4 kernel_size: 8 stride: 8
    bias_term: false }} }}
layers {{ name: "relu" type: RELU bottom: "cells" top: "cells" }}
layers {{ name: "pool" type: POOLING bottom: "cells" top: "pool"
  pooling_param {{ pool: AVE kernel_size: 2 stride: 1 }} }}
layers {{ name: "scores" type: INNER_PRODUCT bottom: "pool" top: "scores"
  inner_product_param {{ num_output: {CLASSES} }} }}
layers {{ name: "accuracy" type: ACCURACY bottom: "scores" bottom: "label" top: "right"
  include {{ phase: TEST }} }}
layers {{ name: "loss" type: SOFTMAX_LOSS bottom: "scores" bottom: "label"
  top: "loss" }}
"""


def test_the_first_format_is_evaluated_without_its_databases(colours, tmp_path, capsys):
    old = tmp_path / "old.prototxt"
    old.write_text(V1_TRAIN_VAL)
    records = []
    for net in (colours.net, old):
        path = tmp_path / "result.json"
        words = ["evaluate", net, "--weights", colours.weights, "--source"]
        words += [colours.lmdb, "--resize", 0, "--mean", *MEAN, "--json", path]
        assert main(list(map(str, words))) == 0
        records.append(json.loads(path.read_text()))
    for key in ("images", "top1", "top5", "confusions", "learned_params"):
        assert records[0][key] == records[1][key]


def test_crops_are_the_images_levels(colours):
    source = open_source(colours.lmdb)
    scale = 0.5
    for crops in (1, 10):
        protocol = Protocol(SIDE, 0, crops)
        batches = list(source.batches(protocol, Preprocessing(MEAN, scale), 8))
        got = np.concatenate([values for values, _ in batches])
        assert [len(labels) for _, labels in batches] == [8, 8, 8, 8, 3]
        want = np.stack(
            [crop for image in colours.images for crop in crops_of(image, crops)]
        )
        want = (want[..., ::-1].astype(np.float32) - MEAN).transpose(0, 3, 1, 2) * scale
        assert_close(got, want, Op.ELEMENTWISE)


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
def test_reading_begins_and_ends_anywhere(colours, kind):
    source = open_source(getattr(colours, kind))
    protocol, preprocessing = Protocol(SIDE, 0), Preprocessing()
    whole = list(source.batches(protocol, preprocessing, COUNT))
    for start, stop, batch in [(0, 7, 3), (5, 17, 4), (34, 35, 8), (11, 100, 6)]:
        parts = list(source.batches(protocol, preprocessing, batch, start, stop))
        got = np.concatenate([values for values, _ in parts])
        np.testing.assert_array_equal(got, whole[0][0][start:stop])
        labels = np.concatenate([labels for _, labels in parts])
        np.testing.assert_array_equal(labels, whole[0][1][start:stop])


def resized(image, side):
    """The engine's bilinear resize, by caffe.io's (levels stay real numbers)."""
    height, width = image.shape[:2]
    factor = side / min(height, width)
    dims = [round(height * factor), round(width * factor)]
    return caffe.io.resize_image(image, dims)


@pytest.mark.parametrize("side", [18, 40])
def test_the_shorter_side_is_resized(colours, side):
    source = open_source(colours.lmdb)
    (batch,) = source.batches(Protocol(SIDE, side), Preprocessing(MEAN), COUNT)
    want = np.stack([crops_of(resized(image, side), 1)[0] for image in colours.images])
    want = (want[..., ::-1] - MEAN).transpose(0, 3, 1, 2)
    assert_close(batch[0], want, Op.REDUCTION, terms=4)


def test_an_interrupted_run_goes_on(colours, tmp_path, monkeypatch):
    definition = read_definition(str(colours.net))
    network = load_network(definition, colours.weights, SIDE, 8)
    source = open_source(colours.lmdb)
    checkpoint = tmp_path / "checkpoint.json"
    setting = (network, source, Protocol(SIDE, 0), Preprocessing())

    def stop(done, total):
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(*setting, batch=8, checkpoint=checkpoint, report=stop)
    done = []
    result = evaluate(
        *setting, batch=5, checkpoint=checkpoint, report=lambda n, _: done.append(n)
    )
    assert (result.resumed, done) == (16, [21, 26, 31, 35])
    whole = evaluate(*setting, batch=8)
    assert result.scores.confusions == whole.scores.confusions
    assert result.scores.top5 == whole.scores.top5
    again = evaluate(*setting, batch=8, checkpoint=checkpoint)
    assert (again.resumed, again.images_per_s) == (COUNT, 0)
    assert again.scores.confusions == whole.scores.confusions
    with pytest.raises(ValueError, match="35 images are done, expected at most 20"):
        evaluate(*setting, batch=8, checkpoint=checkpoint, limit=20)
    bias = network.net.params["scores"][1].data
    kept = bias.copy()
    bias[6] += 1
    with pytest.raises(ValueError, match="another evaluation, its weights differs"):
        evaluate(*setting, batch=8, checkpoint=checkpoint)
    bias[...] = kept
    setting = (network, source, Protocol(SIDE, 0), Preprocessing(scale=2))
    with pytest.raises(ValueError, match="another evaluation, its preprocessing"):
        evaluate(*setting, batch=8, checkpoint=checkpoint)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', "[" * 100_000])
def test_damaged_checkpoints_are_refused(colours, tmp_path, capsys, content):
    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_text(content)
    assert run(colours, colours.lmdb, "--resume", checkpoint) == 1
    assert "damaged, or none of ours" in capsys.readouterr().err


def test_tables_are_written(colours, tmp_path):
    files = {name: tmp_path / name for name in ("per-class", "confusion")}
    options = [word for name, path in files.items() for word in (f"--{name}", path)]
    assert run(colours, colours.folder, "--limit", 33, *options) == 0
    with files["per-class"].open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == [str(label) for label in range(CLASSES)]
    assert sum(int(row["images"]) for row in rows) == 33
    with files["confusion"].open() as file:
        matrix = [list(map(int, row[1:])) for row in list(csv.reader(file))[1:]]
    assert np.array(matrix).sum() == 33
    assert np.trace(matrix) == sum(int(row["top1_correct"]) for row in rows)


def test_labels_are_translated(colours, tmp_path, capsys):
    """A database whose labels are in another order gives the same result."""
    order = np.random.default_rng(3).permutation(CLASSES)
    database = tmp_path / "lmdb"
    write_lmdb(database, colours.folder, np.argsort(order)[colours.labels])
    write_record(database, ClassMap(tuple(map(str, order))), images=COUNT)
    learned = tmp_path / "learned.txt"
    learned.write_text("".join(f"{label}\n" for label in range(CLASSES)))
    results = []
    for source in (colours.lmdb, database):
        path = tmp_path / "result.json"
        assert run(colours, source, "--classes", learned, "--json", path) == 0
        results.append(json.loads(path.read_text()))
    for key in ("top1", "top5", "per_class", "confusions"):
        assert results[0][key] == results[1][key]
    learned.write_text("".join(f"{label}\n" for label in range(1, CLASSES + 1)))
    assert run(colours, database, "--classes", learned) == 1
    assert "expected some or all of those" in capsys.readouterr().err


def test_a_database_without_class_map_is_warned_of(colours, tmp_path, capsys):
    database = tmp_path / "lmdb"
    write_lmdb(database, colours.folder, colours.labels)
    assert run(colours, database) == 0
    (warning,) = re.findall("^warning: source .*$", capsys.readouterr().out, re.M)
    assert "has no class map" in warning
    assert "`sknet prepare`" in warning


def other_count(colours, root):
    write_lmdb(root / "s", colours.folder, colours.labels)
    write_record(root / "s", ClassMap(("a", "b")), images=COUNT)


def lost_images(colours, root):
    write_lmdb(root / "s", colours.folder, colours.labels)
    write_record(root / "s", ClassMap(tuple("0123456")), images=COUNT + 1)


def label_out_of_range(colours, root):
    write_lmdb(root / "s", colours.folder, colours.labels + 1)


def truncated(colours, root):
    write_lmdb(root / "s", colours.folder, colours.labels)
    data = (root / "s" / "data.mdb").read_bytes()
    (root / "s" / "data.mdb").write_bytes(data[: len(data) // 2])


def no_lmdb(colours, root):
    (root / "s").mkdir()
    (root / "s" / "data.mdb").write_bytes(b"something else" * 1000)


def empty_lmdb(colours, root):
    lmdb.open(str(root / "s")).close()


def absent(colours, root):
    pass


def empty(colours, root):
    (root / "s" / "0").mkdir(parents=True)


def empty_class(colours, root):
    write_images(root / "s", CLASSES, SIZE)
    (root / "s" / "3" / "0.png").unlink()


def unlabelled(colours, root):
    (root / "s").mkdir()
    Image.new("RGB", (30, 30)).save(root / "s" / "a.png")


def damaged_image(colours, root):
    write_images(root / "s", CLASSES, SIZE)
    (root / "s" / "3" / "0.png").write_bytes(b"nothing")


def too_small(colours, root):
    write_images(root / "s", CLASSES, (SIDE - 1, 40))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_count, "has 2 classes, expected 7"),
        (lost_images, "35 images, but its classes.json tells of 36"),
        (label_out_of_range, "key '00000030', has label 7, expected one below 7"),
        (truncated, "data.mdb"),
        (no_lmdb, "data.mdb"),
        (empty_lmdb, "s': an LMDB without images"),
        (absent, "s': no such file or folder"),
        (empty, "no images"),
        (empty_class, "no images in folder '3'"),
        (unlabelled, "its images have no labels"),
        (
            damaged_image,
            "sknet evaluate: image '{source}/3/0.png': the data is damaged",
        ),
        (
            too_small,
            "sknet evaluate: image '{source}/0/0.png': crop_size is 16, larger",
        ),
    ],
)
def test_bad_input_is_one_sentence(colours, tmp_path, capsys, make, message):
    make(colours, tmp_path)
    assert run(colours, tmp_path / "s") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("sknet evaluate: ")
    assert message.format(source=tmp_path / "s") in error


class Damaged:
    """Some of the images of a set cannot be decoded, the first and last among them."""

    NUMBERS = (0, 8, 9, 21, 34)

    def __init__(self, colours, root):
        self.folder, self.lmdb, self.good = root / "bad", root / "lmdb", root / "good"
        for number, file in enumerate(sorted(colours.folder.glob("*/*"))):
            for folder in (self.folder, self.good):
                (folder / file.parent.name).mkdir(parents=True, exist_ok=True)
            content = file.read_bytes()
            if number in self.NUMBERS:
                content = content[: len(content) // 2] if number else b"nothing"
            else:
                (self.good / file.parent.name / file.name).write_bytes(content)
            (self.folder / file.parent.name / file.name).write_bytes(content)
        write_lmdb(self.lmdb, self.folder, colours.labels)
        classes = ClassMap(tuple(str(label) for label in range(CLASSES)))
        write_record(self.lmdb, classes, images=COUNT)
        files = sorted(self.folder.glob("*/*"))
        self.names = [f"{files[n].parent.name}/{files[n].name}" for n in self.NUMBERS]


@pytest.fixture(scope="module")
def damaged(colours, tmp_path_factory):
    return Damaged(colours, tmp_path_factory.mktemp("damaged"))


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
@pytest.mark.parametrize("options", [["--batch", 4], ["--protocol", "10crop"]])
def test_bad_images_are_left_out_and_listed(
    colours, damaged, tmp_path, capsys, kind, options
):
    """The others count as they do by themselves."""
    whole, rest = tmp_path / "whole.json", tmp_path / "rest.json"
    assert run(colours, damaged.good, *options, "--json", rest) == 0
    capsys.readouterr()
    options = [*options, "--on-bad-image", "skip", "--json", whole]
    assert run(colours, getattr(damaged, kind), *options) == 0
    out = capsys.readouterr().out
    assert re.search(r"^images +30 of .*, 5 rejected$", out, re.M)
    names = damaged.names
    if kind == "lmdb":
        names = [f"{number:08}" for number in damaged.NUMBERS]
    found = re.findall(
        r"^rejected '(.*)': .*(?:damaged|ends early|truncated)", out, re.M
    )
    assert found == names
    records = [json.loads(path.read_text()) for path in (whole, rest)]
    assert [entry["name"] for entry in records[0]["rejected"]] == names
    assert records[1]["rejected"] == []
    for key in ("images", "top1", "top5", "per_class", "confusions"):
        assert records[0][key] == records[1][key]


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
def test_bad_images_fail_unless_told_otherwise(colours, damaged, capsys, kind):
    assert run(colours, getattr(damaged, kind)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    name = f"'{damaged.folder}/0/0.png'" if kind == "folder" else "key '00000000'"
    assert name in error
    assert "; --on-bad-image skip goes on without it" in error
    assert "/tmp" not in error.replace(str(damaged.folder.parent), "")


@pytest.mark.parametrize("kind", ["folder", "lmdb"])
@pytest.mark.parametrize("stop_after", [7, 14, 21, 28])
def test_an_interrupted_run_goes_on_behind_bad_images(
    colours, damaged, tmp_path, kind, stop_after
):
    network = load_network(read_definition(str(colours.net)), colours.weights, SIDE, 7)
    source = open_source(getattr(damaged, kind))
    setting = (network, source, Protocol(SIDE, 0), Preprocessing())
    whole = evaluate(*setting, batch=7, skip_bad=True)
    checkpoint = tmp_path / "checkpoint.json"

    def stop(done, total):
        if done >= stop_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(*setting, batch=7, skip_bad=True, checkpoint=checkpoint, report=stop)
    if kind == "folder":
        with pytest.raises(
            OSError, match=r"\d images were left out, the first is .0/0"
        ):
            evaluate(*setting, batch=7, checkpoint=checkpoint)
    result = evaluate(*setting, batch=4, skip_bad=True, checkpoint=checkpoint)
    assert result.resumed >= stop_after
    assert result.scores.confusions == whole.scores.confusions
    assert result.rejected == whole.rejected
    assert len(result.rejected) == len(damaged.NUMBERS)


def test_a_run_that_failed_goes_on_with_skip(colours, damaged, tmp_path):
    state = tmp_path / "state.json"
    assert run(colours, damaged.folder, "--resume", state, "--batch", 3) == 1
    options = [
        "--resume",
        state,
        "--on-bad-image",
        "skip",
        "--json",
        tmp_path / "x.json",
    ]
    assert run(colours, damaged.folder, *options) == 0
    record = json.loads((tmp_path / "x.json").read_text())
    assert (record["images"], len(record["rejected"])) == (30, 5)


def test_bad_images_alone_are_no_result(colours, tmp_path, capsys):
    write_images(tmp_path / "s", CLASSES, SIZE)
    for file in (tmp_path / "s").glob("*/*"):
        file.write_bytes(b"nothing")
    assert run(colours, tmp_path / "s", "--on-bad-image", "skip") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert (
        "none of its 7 images can be decoded; the first, '0/0.png': the data" in error
    )


def test_a_black_image_is_no_bad_one(colours, tmp_path):
    """In an LMDB zeros stand for bad images; here the mean makes them of a good one."""
    (tmp_path / "s" / "0").mkdir(parents=True)
    for label in range(CLASSES):
        (tmp_path / "s" / str(label)).mkdir(exist_ok=True)
        Image.new("RGB", (20, 20)).save(tmp_path / "s" / str(label) / "0.png")
    write_lmdb(tmp_path / "lmdb", tmp_path / "s", range(CLASSES))
    options = ["--mean", "0", "--on-bad-image", "skip", "--json", tmp_path / "x.json"]
    assert run(colours, tmp_path / "lmdb", *options) == 0
    record = json.loads((tmp_path / "x.json").read_text())
    assert (record["images"], record["rejected"]) == (CLASSES, [])


def test_a_listed_label_that_is_no_class_names_its_image(colours, tmp_path, capsys):
    labels = [6, 0, 9, 7]
    for index in range(len(labels)):
        Image.new("RGB", (40, 40)).save(tmp_path / f"{index}.png")
    lines = [f"{index}.png {label}\n" for index, label in enumerate(labels)]
    (tmp_path / "labels.txt").write_text("".join(lines))
    options = ["--labels", tmp_path / "labels.txt"]
    assert run(colours, tmp_path, *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "image '2.png' has label 9, expected one below 7" in error
    # Those behind the limit are none of this evaluation's.
    assert run(colours, tmp_path, *options, "--limit", 2) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "0"], "--batch is 0, expected at least 1"),
        (["--limit", "0"], "--limit is 0, expected at least 1"),
        (["--mean", "1", "2"], "--mean has 2 values, expected 1 or 3"),
        (["--protocol", "320", "--resize", "256"], "SKNet's README says 256"),
        (["--labels", "absent"], "absent"),
    ],
)
def test_bad_options_are_one_sentence(colours, capsys, options, message):
    assert run(colours, colours.folder, *options) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_a_flat_folder_takes_a_list_of_labels(colours, tmp_path):
    flat, labels = tmp_path / "flat", tmp_path / "labels.txt"
    flat.mkdir()
    lines = []
    for file in sorted(colours.folder.glob("*/*")):
        name = f"image {file.parent.name} {file.name}"
        (flat / name).write_bytes(file.read_bytes())
        lines.append(f"{name} {file.parent.name}\n")
    labels.write_text("".join(reversed(lines)))
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    assert run(colours, colours.folder, "--json", paths[0]) == 0
    assert run(colours, flat, "--labels", labels, "--json", paths[1]) == 0
    records = [json.loads(path.read_text()) for path in paths]
    assert records[0]["top1"] == records[1]["top1"]
    assert records[0]["confusions"] == records[1]["confusions"]
    labels.write_text("other.png 3\n")
    with pytest.raises(ValueError, match=r"lacks 1 of the images .*'other.png'"):
        open_source(flat, labels)
    labels.write_text("other.png three\n")
    with pytest.raises(ValueError, match=r"labels.txt:1: expected a name and a number"):
        open_source(flat, labels)


@pytest.mark.parametrize("option", ["--json", "--per-class", "--confusion", "--resume"])
def test_what_cannot_be_written_is_told_before_the_first_image(
    colours, tmp_path, capsys, option
):
    damaged_image(colours, tmp_path)  # it would be the first word of an evaluation
    absent = tmp_path / "no" / "such"
    assert run(colours, tmp_path / "s", option, absent) == 1
    assert capsys.readouterr().err == (
        f"sknet evaluate: cannot write '{absent}': No such file or directory; create "
        f"the folder '{absent.parent}' first\n"
    )
    assert run(colours, tmp_path / "s", option, tmp_path) == 1
    assert "Is a directory; give the name of a file" in capsys.readouterr().err
    kept = tmp_path / "kept"
    kept.write_text("before")
    assert run(colours, tmp_path / "s", "--per-class", kept) == 1
    assert kept.read_text() == "before"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kept", "s"]
