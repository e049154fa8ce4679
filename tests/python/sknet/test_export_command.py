"""`sknet export onnx`: any form of a definition, and what the exit status says."""

from __future__ import annotations

import json
import sys

import onnx
import pytest

import caffe
import sknet.export
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.export import BlobDifference, Comparison
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


def test_a_models_name_is_answered_with_how_to_write_it(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["export", "onnx", "sknet26", "--weights", "w", "-o", "x.onnx"]
    assert main(command) == 1
    assert "`sknet generate sknet26 -o sknet26.prototxt`" in capsys.readouterr().err
