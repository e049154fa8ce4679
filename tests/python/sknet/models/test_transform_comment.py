"""The preprocessing of a deploy file stands in a comment, and is used and told."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
from colour_net import CLASSES, write_images
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.evaluation import Preprocessing, read_definition
from sknet.models import create_model, list_models, recipe_for
from sknet.models.definitions import validation_transform
from sknet.models.transform_comment import from_comment, to_comment

DIGITS = Preprocessing((78.0,) * 3, np.float32(1 / 96))


@pytest.fixture
def digits(tmp_path, capsys):
    """The digits' net for seven classes, with weights: (definition, weights)."""
    path, weights = tmp_path / "deploy.prototxt", tmp_path / "x.caffemodel"
    generate = ["generate", "sknet_digits", "--classes", str(CLASSES), "-o", str(path)]
    assert main(generate) == 0
    caffe.set_random_seed(2)
    caffe.Net(str(path), caffe.TEST).save(str(weights))
    capsys.readouterr()
    return path, weights


@pytest.fixture
def images(tmp_path):
    write_images(tmp_path / "images", 14, (32, 32))
    return tmp_path / "images"


def without_comment(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("#")))


@pytest.mark.parametrize("model", list_models())
def test_generated_deploy_files_carry_their_recipe(model, tmp_path, capsys):
    path = tmp_path / "deploy.prototxt"
    assert main(["generate", model, "-o", str(path)]) == 0
    recipe = recipe_for(create_model(model).recipe)
    definition = read_definition(str(path))
    assert definition.preprocessing == Preprocessing(
        tuple(np.float32(recipe.mean_value)), np.float32(recipe.scale)
    )
    assert (definition.resize == 0) == (not recipe.resize_val)
    by_name = read_definition(model)
    assert definition.preprocessing == by_name.preprocessing
    assert (definition.side, definition.resize) == (by_name.side, by_name.resize)
    # A comment to every reader of the format.
    net = text_format.Parse(path.read_text(), caffe_pb2.NetParameter())
    without_comment(path)
    assert text_format.Parse(path.read_text(), caffe_pb2.NetParameter()) == net


def test_released_files_stay_the_authors(tmp_path):
    path = tmp_path / "released.prototxt"
    assert main(["generate", "sknet50", "--style", "released", "-o", str(path)]) == 0
    assert "#" not in path.read_text()
    assert from_comment(path) is None


def evaluate(digits, images, capsys, tmp_path, *options):
    path, weights = digits
    result = tmp_path / "result.json"
    command = ["evaluate", str(path), "--weights", str(weights)]
    command += ["--source", str(images), "--json", str(result), *options]
    assert main(command) == 0
    out = capsys.readouterr().out
    record = json.loads(result.read_text())
    protocol = record["protocol"]
    # What is printed is what is recorded.
    for name in ("mean", "scale"):
        assert (
            f"(by {protocol[f'{name}_from']})" in re.search(f"^{name} .*", out, re.M)[0]
        )
    assert f"(by {protocol['resize_from']})" in re.search("^protocol .*", out, re.M)[0]
    warned = [line for line in out.splitlines() if "nothing tells the prep" in line]
    assert [f"warning: {sentence}" for sentence in record["warnings"]] == warned
    return record, warned


def test_evaluate_tells_what_is_used_and_why(digits, images, tmp_path, capsys):
    setting = (digits, images, capsys, tmp_path)
    path, _ = digits
    record, warned = evaluate(*setting)
    protocol = record["protocol"]
    comment = f"the comment at the head of '{path}'"
    assert (protocol["mean"], protocol["mean_from"]) == ([78.0] * 3, comment)
    assert (protocol["scale_from"], protocol["resize_from"]) == (comment, comment)
    assert (protocol["scale"], protocol["resize"]) == (np.float32(1 / 96), 0)
    assert warned == []

    without_comment(path)
    options = ["--mean", "78", "--scale", "0.010416667", "--resize", "0"]
    by_hand, warned = evaluate(*setting, *options)
    assert by_hand["confusions"] == record["confusions"]
    origins = [by_hand["protocol"][f"{n}_from"] for n in ("mean", "scale", "resize")]
    assert origins == ["--mean", "--scale", "--resize"]
    assert warned == []

    # A mere default is said to be one.
    silent, (warning,) = evaluate(*setting)
    assert silent["protocol"]["mean"] == [104.0, 117.0, 123.0]
    assert silent["protocol"]["mean_from"] == "a default"
    assert "mean 104 117 123 and scale 1 are taken" in warning
    assert "give --mean and --scale of its training" in warning
    _, (warning,) = evaluate(*setting, "--mean", "78", "--protocol", "224")
    assert "scale 1" in warning
    assert "give --scale of" in warning

    # A data layer says it as well.
    options = ["--style", "train_val", "--classes", str(CLASSES), "-o", str(path)]
    assert main(["generate", "sknet_digits", *options]) == 0
    capsys.readouterr()
    trained, warned = evaluate(*setting)
    assert trained["confusions"] == record["confusions"]
    assert trained["protocol"]["mean_from"] == "data layer 'val-data'"
    assert warned == []


def test_a_model_by_its_name_has_its_recipe():
    definition = read_definition("sknet_digits")
    assert definition.preprocessing == DIGITS
    assert definition.preprocessing.mean_from == "the recipe of sknet_digits"
    assert definition.preprocessing.doubts("x") == []


def test_attention_and_export_tell_it_too(digits, images, tmp_path, capsys):
    path, weights = digits
    file = tmp_path / "net.onnx"
    for command in (
        ["attention", path, "--source", images, "--out", tmp_path / "attention"],
        ["export", "onnx", path, "-o", file, "--no-check"],
    ):
        assert main([*map(str, command), "--weights", str(weights)]) == 0
        out = capsys.readouterr().out
        comment = f"the comment at the head of '{path}'"
        assert re.search(rf"^mean +78 78 78 \(by {re.escape(comment)}\)$", out, re.M)
        assert "warning: nothing tells" not in out
    (note,) = onnx.load(file).metadata_props
    told = text_format.Parse(note.value, caffe_pb2.TransformationParameter())
    assert note.key == "transform_param"
    assert told == from_comment(path)
    without_comment(path)
    command = ["attention", str(path), "--source", str(images)]
    command += ["--out", str(tmp_path / "attention"), "--weights", str(weights)]
    assert main(command) == 0
    assert "warning: nothing tells the preprocessing" in capsys.readouterr().out


def test_a_definitions_own_resize_is_used(tmp_path):
    text = to_comment(
        caffe_pb2.TransformationParameter(resize_short=40, mean_value=[7])
    )
    path = tmp_path / "net.prototxt"
    assert main(["generate", "sknet_digits", "-o", str(path)]) == 0
    without_comment(path)
    path.write_text(text + path.read_text())
    definition = read_definition(str(path))
    assert definition.resize == 40
    assert definition.preprocessing == Preprocessing((7.0,), 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# transform_param { scale: 2 }\nlayer { }\n",  # anybody's own notes
        'name: "x"\n' + to_comment(caffe_pb2.TransformationParameter(scale=2)),
        "#" * 100_000,
    ],
)
def test_other_comments_are_comments(tmp_path, text):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    assert from_comment(path) is None


def test_comments_above_it_are_passed_over(tmp_path):
    path = tmp_path / "net.prototxt"
    transform = validation_transform(create_model("sknet50"))
    path.write_text(f"# Trained in May.\n#\n{to_comment(transform)}layer {{}}\n")
    assert from_comment(path) == transform


@pytest.mark.parametrize("damage", ["scale: two", "nonsense: 1", "transform_param {"])
def test_damaged_comments_are_errors(digits, tmp_path, capsys, damage):
    path, weights = digits
    title = path.read_text().splitlines()[0]
    without_comment(path)
    path.write_text(f"{title}\n# {damage}\n{path.read_text()}")
    command = ["evaluate", str(path), "--weights", str(weights), "--source", "x"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert f"'{path}': the comment at its head tells no transform_param" in error
    assert "correct it, or remove it and give --mean and --scale" in error
