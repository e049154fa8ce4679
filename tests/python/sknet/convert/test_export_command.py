"""`sknet export onnx`: any form of a definition, and what the exit status says."""

from __future__ import annotations

import json
import sys

import onnx
import pytest

import caffe
import sknet.convert.export
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.convert.export import BlobDifference, Comparison
from sknet.models import create_model, deploy, recipe_for, train_val


def source(kind, tops=("data", "label"), **parameters):
    return caffe_pb2.LayerParameter(
        name="source", type=kind, top=list(tops), **parameters
    )


def classifier(*sources):
    """A net that classifies "data", and judges by "label" if a source gives that."""
    net = caffe_pb2.NetParameter(name="classifier", layer=sources)
    layer = net.layer.add(name="fc", type="InnerProduct", bottom=["data"], top=["fc"])
    layer.inner_product_param.num_output = 3
    layer.inner_product_param.weight_filler.type = "xavier"
    if any("label" in layer.top for layer in sources):
        judged = {"bottom": ["fc", "label"]}
        net.layer.add(name="loss", type="SoftmaxWithLoss", top=["loss"], **judged)
        net.layer.add(name="top1", type="Accuracy", top=["top1"], **judged)
    net.layer.add(name="prob", type="Softmax", bottom=["fc"], top=["prob"])
    return net


@pytest.fixture
def weights(tmp_path):
    """Saves random weights of the classifier of images of a shape."""

    def save(*shape):
        net = classifier(source("Input", ["data"]))
        net.layer[0].input_param.shape.add(dim=shape)
        path = tmp_path / "weights.caffemodel"
        caffe.Net(net, caffe.TEST).save(str(path))
        return path

    return save


@pytest.fixture
def export(tmp_path, write_proto, capsys):
    """Exports; gives the exit status, the model's inputs, and what was printed."""

    def run(definition, weights, *options):
        path = tmp_path / "net.onnx"
        status = main(
            [
                *("export", "onnx", str(write_proto(definition))),
                *("--weights", str(weights), "-o", str(path), *options),
            ]
        )
        inputs = {}
        if path.exists():
            for value in onnx.load(path).graph.input:
                dims = value.type.tensor_type.shape.dim
                inputs[value.name] = tuple(dim.dim_value for dim in dims)
        return status, inputs, capsys.readouterr()

    return run


CROP = {"crop_size": 8}
ABSENT = {"source": "no/such/lmdb", "batch_size": 50}
GREY = {"crop_size": 8, "force_gray": True}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (source("Data", data_param=ABSENT, transform_param=CROP), (1, 3, 8, 8)),
        (source("Data", data_param=ABSENT, transform_param=GREY), (1, 1, 8, 8)),
        (
            source("ImageData", image_data_param={"new_height": 6, "new_width": 9}),
            (1, 3, 6, 9),
        ),
        (
            source("ImageData", image_data_param={"is_color": 0}, transform_param=CROP),
            (1, 1, 8, 8),
        ),
        (
            source(
                "MemoryData",
                memory_data_param={
                    **{"batch_size": 7, "channels": 2, "height": 5, "width": 4}
                },
            ),
            (1, 2, 5, 4),
        ),
        (
            source("DummyData", dummy_data_param={"shape": [{"dim": [2, 3, 4, 4]}]}),
            (2, 3, 4, 4),
        ),
        (
            source(
                "DummyData",
                dummy_data_param={
                    **{"num": [2], "channels": [3], "height": [4], "width": [5]}
                },
            ),
            (2, 3, 4, 5),
        ),
        (source("WindowData", window_data_param=CROP), (1, 3, 8, 8)),
    ],
    ids=str,
)
def test_data_layers_become_inputs_without_their_data(layer, shape, export, weights):
    status, inputs, printed = export(classifier(layer), weights(*shape))
    assert status == 0, printed.err
    assert inputs == {"data": shape}
    assert f"inputs  data ({' x '.join(map(str, shape))})" in printed.out


def test_damaged_weights_are_named(export, weights):
    definition, path = classifier(source("Input", ["data"])), weights(1, 3, 8, 8)
    definition.layer[0].input_param.shape.add(dim=[1, 3, 8, 8])
    stored = caffe.read_net(path)
    stored.layer[1].blobs[0].data[5] = float("nan")
    path.write_bytes(stored.SerializeToString())
    status, inputs, printed = export(definition, path)
    assert status == 1
    assert not inputs
    assert f"weights '{path}': net 'classifier': values that are NaN" in printed.err
    assert "layer 'fc', blob 0: 1 of 576" in printed.err


def test_the_engines_log_is_not_shown(run_tool, write_proto, weights):
    definition = classifier(source("Input", ["data"]))
    definition.layer[0].input_param.shape.add(dim=[1, 3, 8, 8])
    arguments = ("--weights", weights(1, 3, 8, 8), "-o", "net.onnx")
    run = run_tool("sknet", "export", "onnx", write_proto(definition), *arguments)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    "layer",
    [
        source("Data", data_param=ABSENT),
        source("ImageData", image_data_param={"source": "no/such/list"}),
        source("HDF5Data", hdf5_data_param={"source": "no/such/list"}),
        source("Python", python_param={"module": "no_such_module", "layer": "Reader"}),
        source("Input"),
    ],
    ids=lambda layer: layer.type,
)
def test_input_tells_what_the_definition_does_not(layer, export, weights):
    net = classifier(layer)
    status, _, printed = export(net, weights(2, 3, 6, 7))
    assert status == 1
    assert f"layer 'source' ({layer.type})" in printed.err
    assert "--input data=1x3x224x224" in printed.err
    options = ["--input", "2x3x6x7", "--input", "label=2"]
    # Nothing that is exported reads the labels.
    assert export(net, weights(2, 3, 6, 7), *options)[0] == 1
    status, inputs, printed = export(net, weights(2, 3, 6, 7), *options[:2])
    assert status == 0, printed.err
    assert inputs == {"data": (2, 3, 6, 7)}


def test_an_unknown_input_is_answered_with_the_known_ones(export, weights):
    layer = source("Data", data_param=ABSENT, transform_param=CROP)
    status, _, printed = export(
        classifier(layer), weights(1, 3, 8, 8), "--input", "image=1x3x8x8"
    )
    assert status == 1
    assert "no input 'image' (inputs: data)" in printed.err


def test_labels_of_any_form_are_left_out(export, weights):
    """Of one for each pixel, from a layer of their own."""
    images = source("Data", ["data"], data_param=ABSENT, transform_param=CROP)
    labels = source("Data", ["label"], data_param=ABSENT)
    status, inputs, printed = export(classifier(images, labels), weights(1, 3, 8, 8))
    assert status == 0, printed.err
    assert inputs == {"data": (1, 3, 8, 8)}


def test_labels_that_are_read_follow_the_images(export, weights):
    net = classifier(source("Data", data_param=ABSENT, transform_param=CROP))
    net.layer.add(name="twice", type="Power", bottom=["label"], top=["twice"])
    options = "--input", "4x3x8x8"
    status, inputs, printed = export(net, weights(1, 3, 8, 8), *options)
    assert status == 0, printed.err
    assert inputs == {"data": (4, 3, 8, 8), "label": (4,)}


def test_only_the_layers_of_the_test_phase_count(export, weights):
    training = source("Data", data_param=ABSENT)
    training.include.add(phase=caffe.TRAIN)
    testing = source("Data", data_param=ABSENT, transform_param=CROP)
    testing.include.add(phase=caffe.TEST)
    status, inputs, printed = export(classifier(training, testing), weights(1, 3, 8, 8))
    assert status == 0, printed.err
    assert inputs == {"data": (1, 3, 8, 8)}


def test_definitions_of_2014_are_read(export, weights):
    net = caffe_pb2.NetParameter()
    reader = net.layers.add(name="source", top=["data", "label"])
    reader.type = caffe_pb2.V1LayerParameter.DATA
    reader.data_param.source = "no/such/leveldb"
    reader.data_param.crop_size = 8
    layer = net.layers.add(name="fc", bottom=["data"], top=["fc"])
    layer.type = caffe_pb2.V1LayerParameter.INNER_PRODUCT
    layer.inner_product_param.num_output = 3
    loss = net.layers.add(name="loss", bottom=["fc", "label"])
    loss.type = caffe_pb2.V1LayerParameter.SOFTMAX_LOSS
    status, inputs, printed = export(net, weights(1, 3, 8, 8))
    assert status == 0, printed.err
    assert inputs == {"data": (1, 3, 8, 8)}


def test_a_generated_train_val_exports_as_its_deploy_form_does(export, tmp_path):
    model = create_model("sknet_digits")
    path = tmp_path / "digits.caffemodel"
    caffe.Net(deploy(model), caffe.TEST).save(str(path))
    models = []
    forms = [
        deploy(model),
        train_val(model, recipe_for(model.recipe), "no/train_lmdb", "no/val_lmdb"),
    ]
    # The deploy form ends in probabilities, which training does not compute.
    del forms[0].layer[-1]
    # What the deploy form computes is checked elsewhere.
    for form, options in zip(forms, [["--no-check"], []], strict=True):
        status, inputs, printed = export(form, path, *options)
        assert status == 0, printed.err
        assert inputs == {"data": (1, 3, 32, 32)}
        models.append(onnx.load(tmp_path / "net.onnx").graph)
    assert [node.op_type for node in models[0].node] == [
        node.op_type for node in models[1].node
    ]


def test_a_wrong_file_is_an_exit_status(export, weights, monkeypatch, tmp_path):
    """Whether a layer differs by itself, or nothing but the net as a whole."""
    good = BlobDifference("fc", "InnerProduct", "fc", 1e-7, 1.0, 1e-7)
    bad = BlobDifference("prob", "Softmax", "prob", 0.5, 1.0, 0.5)
    none = BlobDifference("prob", "Softmax", "prob", float("inf"), 0.0, float("inf"))
    net = classifier(source("Data", data_param=ABSENT, transform_param=CROP))
    for layers, outputs, status in (
        ([good], [good], 0),
        ([good, bad], [good], 1),
        ([good], [bad], 1),
        ([good, none], [good], 1),
        ([good], [none], 1),
    ):
        result = Comparison(layers, outputs)
        monkeypatch.setattr(sknet.convert.export, "compare", lambda *_, r=result: r)
        report = tmp_path / "report.json"
        options = "--json", str(report), "--by-layer"
        got, _, printed = export(net, weights(1, 3, 8, 8), *options)
        assert got == status
        assert ("do not rely on it" in printed.err) == bool(status)
        # The report is written in any case.
        assert len(json.loads(report.read_text())["layers"]) == len(layers)


def test_missing_packages_are_named(export, weights, monkeypatch):
    net = classifier(source("Data", data_param=ABSENT, transform_param=CROP))
    for package, cure in (("onnxruntime", "--no-check"), ("onnx", "pip install")):
        monkeypatch.setitem(sys.modules, package, None)
        status, _, printed = export(net, weights(1, 3, 8, 8))
        assert status == 1
        assert f"needs the package {package};" in printed.err
        assert cure in printed.err


def test_a_models_name_is_answered_with_how_to_write_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["export", "onnx", "sknet26", "--weights", "w", "-o", "x.onnx"]
    assert main(command) == 1
    assert "`sknet generate sknet26 -o sknet26.prototxt`" in capsys.readouterr().err
