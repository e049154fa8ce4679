"""Definitions of every form become classifiers; weights are held against them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from colour_net import CELL, MEAN, NET, SIDE, probabilities, write_net
from google.protobuf import text_format
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.evaluation import Preprocessing, load_network, misfits, read_definition
from sknet.models import create_model, deploy, recipe_for, released, train_val

V1_NET = """
name: "old"
input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc"
  inner_product_param { num_output: 5 } }
layers { name: "prob" type: SOFTMAX bottom: "fc" top: "prob" }
"""


@pytest.fixture
def colours(tmp_path):
    return write_net(tmp_path)


@pytest.mark.parametrize("form", ["deploy", "train_val", "name"])
def test_forms_of_a_model_are_one_classifier(form, write_proto):
    model = create_model("sknet_digits")
    recipe = recipe_for("digits")
    path = {
        "deploy": lambda: write_proto(deploy(model)),
        "train_val": lambda: write_proto(train_val(model, recipe, "no", "where")),
        "name": lambda: "sknet_digits",
    }[form]()
    definition = read_definition(str(path))
    assert (definition.image, definition.side) == ("data", 32)
    network = load_network(definition, None, 32, 2)
    assert network.classes == 10
    assert network.notices == []
    layers = list(network.net.params)
    assert layers == list(caffe.Net(deploy(model), caffe.TEST).params)
    if form in ("train_val", "name"):
        assert definition.preprocessing == Preprocessing(
            (78.0,) * 3, np.float32(1 / 96)
        )


def test_probabilities_are_the_formulas(colours, random):
    definition = read_definition(str(colours[0]))
    network = load_network(definition, colours[1], SIDE, 4)
    crops = random.integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)
    values = (crops[:, :, :, ::-1].astype(np.float32) - MEAN).transpose(0, 3, 1, 2)
    want = np.stack([probabilities(colours[1], crop) for crop in crops])
    assert_close(
        np.exp(network.forward(values)), want, Op.REDUCTION, terms=3 * CELL * CELL
    )


def test_unlikely_classes_keep_their_order(write_proto, random):
    """Where float32 probabilities are 0, the scores still tell classes apart."""
    text = """
        layer { name: 'in' type: 'Input' top: 'data'
                input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
        layer { name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'fc'
                inner_product_param { num_output: 40 } }
        layer { name: 'prob' type: 'Softmax' bottom: 'fc' top: 'prob' }"""
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    network = load_network(read_definition(str(write_proto(net))), None, 4, 5)
    weights = random.standard_normal((40, 48)).astype(np.float32)
    network.net.params["fc"][0].data[...] = weights
    images = 100 * random.standard_normal((5, 3, 4, 4)).astype(np.float32)
    logits = images.reshape(5, 48).astype(np.float64) @ weights.T.astype(np.float64)
    likely = np.exp((logits - logits.max(axis=1, keepdims=True)).astype(np.float32))
    assert (np.sort(likely)[:, -5] == 0).any()
    got = np.argsort(network.forward(images), axis=1)[:, -5:]
    np.testing.assert_array_equal(got, np.argsort(logits, axis=1)[:, -5:])


def test_a_pooling_over_the_whole_map_becomes_global(colours, random):
    definition = read_definition(str(colours[0]))
    network = load_network(definition, colours[1], 3 * CELL, 1)
    (notice,) = network.notices
    assert "layer 'pool' averages 2x2, the whole map at 16x16" in notice
    crop = random.integers(0, 256, (3 * CELL, 3 * CELL, 3)).astype(np.uint8)
    values = (crop[:, :, ::-1].astype(np.float32) - MEAN).transpose(2, 0, 1)[None]
    want = probabilities(colours[1], crop)[None]
    assert_close(
        np.exp(network.forward(values)), want, Op.REDUCTION, terms=3 * CELL * CELL
    )


class Twice(caffe.Layer):
    """A layer whose shapes only the engine can know."""

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data


def test_behind_a_layer_in_python_it_becomes_global_too(
    colours, write_proto, monkeypatch
):
    monkeypatch.setitem(sys.modules, "twice", sys.modules[__name__])
    mine = """layer { name: "twice" type: "Python" bottom: "data" top: "twice"
        python_param { module: "twice" layer: "Twice" } }
        layer { name: "cells" """
    net = NET.replace('layer { name: "cells" ', mine, 1)
    net = net.replace('bottom: "data" top: "cells"', 'bottom: "twice" top: "cells"')
    definition = read_definition(str(write_proto(net)))
    network = load_network(definition, colours[1], 3 * CELL, 1)
    (notice,) = network.notices
    assert "layer 'pool' averages 2x2, the whole map at 16x16" in notice
    assert (network.classes, network.learned_params) == (7, None)


def test_the_input_may_have_any_name(colours, write_proto, random):
    other = write_proto(NET.replace('"data"', '"pixels"'))
    crop = random.standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    got, want = (
        load_network(read_definition(str(net)), colours[1], SIDE, 1).forward(crop)
        for net in (other, colours[0])
    )
    np.testing.assert_array_equal(got, want)


def test_hdf5_weights_are_the_same_weights(colours, tmp_path, random):
    definition = read_definition(str(colours[0]))
    network = load_network(definition, colours[1], SIDE, 1, strict=True)
    network.net.save_hdf5(str(tmp_path / "w.h5"))
    other = load_network(definition, tmp_path / "w.h5", SIDE, 1, strict=True)
    assert other.weights.matched == ["cells", "scores"]
    assert other.weights_digest() == network.weights_digest()
    crop = random.standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    np.testing.assert_array_equal(other.forward(crop), network.forward(crop))


def test_the_released_sknet50_runs_at_320(write_proto):
    definition = read_definition(str(write_proto(released(create_model("sknet50")))))
    network = load_network(definition, None, 320, 1)
    (notice,) = network.notices
    assert "layer 'avepool/7x7' averages 7x7, the whole map at 224x224" in notice
    assert network.net.blobs["conv5_3"].shape == (1, 2048, 10, 10)
    assert network.classes == 1000


def test_old_formats_are_upgraded(write_proto):
    definition = read_definition(str(write_proto(V1_NET)))
    assert (definition.side, definition.preprocessing.mean) == (4, MEAN)
    assert load_network(definition, None, 4, 2).classes == 5


def rename(path, names):
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    for layer in net.layer:
        layer.name = names.get(layer.name, layer.name)
    path.write_bytes(net.SerializeToString())


@pytest.mark.parametrize("optimize", [False, True])
def test_damaged_weights_are_named(colours, optimize):
    path, weights = colours
    net = caffe.Net(str(path), caffe.TEST, weights=str(weights))
    net.params["scores"][1].data[2] = np.nan
    net.save(str(weights))
    with pytest.raises(ValueError, match=r"colours\.caffemodel': .* NaN") as raised:
        load_network(read_definition(str(path)), weights, SIDE, 1, optimize=optimize)
    assert "layer 'scores', blob 1: 1 of 7" in str(raised.value)


def test_weights_are_reported_both_ways(colours):
    path, weights = colours
    definition = read_definition(str(path))
    report = load_network(definition, weights, SIDE, 1, strict=True).weights
    shapes = {"cells": [(4, 3, 8, 8)], "scores": [(7, 4), (7,)]}
    assert report == (["cells", "scores"], [], [], shapes)
    rename(weights, {"scores": "classifier"})
    report = load_network(definition, weights, SIDE, 1).weights
    assert misfits(report) == [
        "1 layers of the net have no weights in the file: 'scores'",
        "1 layers of the file are not in the net: 'classifier'",
    ]
    with pytest.raises(ValueError, match=r"differ: 1 layers of the net .*'scores'"):
        load_network(definition, weights, SIDE, 1, strict=True)
    rename(weights, {"cells": "conv1"})
    with pytest.raises(ValueError, match="they fill 0 of its 2 layers"):
        load_network(definition, weights, SIDE, 1)


def test_weights_of_another_shape_do_not_belong(colours, write_proto):
    wider = write_proto(NET.replace("num_output: 4", "num_output: 5"), "wider.prototxt")
    with pytest.raises(ValueError, match=r"do not belong to net 'colours': .*'cells'"):
        load_network(read_definition(str(wider)), colours[1], SIDE, 1)


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("w.caffemodel", b"\x08\xff", OSError, "w.caffemodel"),
        ("w.caffemodel", b"", OSError, "is empty, expected a caffemodel"),
        ("w.h5", b"\x89HDF\r\n\x1a\n", OSError, "w.h5"),
        ("absent.caffemodel", None, OSError, "absent.caffemodel"),
    ],
)
def test_files_without_weights(colours, tmp_path, name, content, error, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=message):
        load_network(read_definition(str(colours[0])), path, SIDE, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no input"),
        ('layer { name: "x" type: "Input" top: "data" }', "no layer computes scores"),
        (NET.replace("dim: 3", "dim: 1"), r"input shape \(1, 1, 16, 16\)"),
        (NET.replace("kernel_size: 2", "kernel_size: 1"), "expected .* classes"),
        ("layer { nonsense }", r"net.prototxt:1:"),
    ],
)
def test_other_definitions_are_refused(write_proto, text, message):
    path = write_proto(text)
    if "kernel_size: 1" in text:
        net = text_format.Parse(text, caffe_pb2.NetParameter())
        del net.layer[-1]
        path = write_proto(net)
    with pytest.raises((ValueError, OSError), match=message):
        load_network(read_definition(str(path)), None, SIDE, 2)


def test_unknown_models_name_the_closest():
    with pytest.raises(ValueError, match="'sknet50'"):
        read_definition("sknet5")
    with pytest.raises(OSError, match="no such file"):
        read_definition("absent.prototxt")
