"""Generated networks in the engine: its shapes and blobs against the tables."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
import sknet_reference as reference
from google.protobuf import text_format
from hypothesis import assume, given
from hypothesis import strategies as st
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2
from sknet.complexity import analyse
from sknet.models import create_model, deploy, list_models, released


def load(tmp_path, definition, **options):
    path = tmp_path / f"{definition.name}.prototxt"
    path.write_text(text_format.MessageToString(definition))
    return caffe.Net(str(path), caffe.TEST, **options)


@pytest.mark.parametrize("model", ["sknet50", "sknet101"])
def test_released_nets_have_the_shapes_and_blobs_of_the_release(model, tmp_path):
    net = load(tmp_path, released(create_model(model), batch_size=1))
    for row in reference.rows(f"{model}_layers.csv"):
        shapes = [
            () if shape == "scalar" else tuple(map(int, shape.split("x")))
            for shape in row["out_shape"].split("|")
        ]
        assert [tuple(net.blobs[top].shape) for top in row["tops"].split("|")] == shapes
        stored = sum(blob.count for blob in net.params.get(row["name"], ()))
        assert stored == int(row["stored_params"]), row["name"]


@pytest.mark.parametrize("model", list_models())
def test_engine_and_shape_rules_agree(model, tmp_path):
    definition = deploy(create_model(model), batch_size=2)
    for layer in definition.layer:
        # Zeros, because random numbers take seconds.
        layer.convolution_param.ClearField("weight_filler")
        layer.inner_product_param.ClearField("weight_filler")
    net = load(tmp_path, definition)
    for entry in analyse(definition).layers:
        for top, shape in zip(entry.layer.top, entry.shapes, strict=True):
            assert tuple(net.blobs[top].shape) == shape, entry.layer.name
        if not any(spec.name for spec in entry.layer.param):  # counted once, held twice
            blobs = net.params.get(entry.layer.name, ())
            assert sum(blob.count for blob in blobs) == entry.cost.stored


@given(
    kind=st.sampled_from(["convolution", "pooling"]),
    size=st.integers(1, 30),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 7),
    pad=st.integers(0, 4),
)
def test_engine_and_shape_rules_agree_on_windows(kind, size, kernel, stride, pad):
    assume(pad < kernel <= size + 2 * pad)
    outputs = "num_output: 4" if kind == "convolution" else "pool: AVE"
    definition = text_format.Parse(
        f"""
        layer {{ name: "x" type: "Input" top: "x"
                input_param {{ shape {{ dim: [1, 4, {size}, {size + 1}] }} }} }}
        layer {{ name: "y" type: "{kind.title()}" bottom: "x" top: "y"
                {kind}_param {{ {outputs} kernel_size: {kernel} stride: {stride}
                                pad: {pad} }} }}
        """,
        caffe_pb2.NetParameter(),
    )
    with tempfile.TemporaryDirectory() as folder:
        net = load(Path(folder), definition)
    (shape,) = analyse(definition).layers[1].shapes
    assert tuple(net.blobs["y"].shape) == shape


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of an untrained SKNet-50 at 224x224."""
    folder = tmp_path_factory.mktemp("weights")
    path = folder / "sknet50.caffemodel"
    load(folder, deploy(create_model("sknet50"))).save(str(path))
    return str(path)


def test_weights_of_224_fail_at_320_at_the_classifier(weights, tmp_path):
    definition = deploy(create_model("sknet50", image_size=320, final_pool=7))
    with pytest.raises(ValueError, match="'classifier'") as raised:
        load(tmp_path, definition, weights=weights)
    # 2048 channels of 4x4 pixels meet weights for one pixel.
    assert str(2048 * 4 * 4) in str(raised.value)


def test_reshaping_the_released_net_to_320_fails_at_the_classifier(tmp_path):
    net = load(tmp_path, deploy(create_model("sknet50")))
    net.blobs["data"].reshape(1, 3, 320, 320)
    with pytest.raises(ValueError, match="'classifier'"):
        net.reshape()


def test_weights_of_224_run_at_320_with_global_pooling(weights, tmp_path):
    net = load(
        tmp_path, deploy(create_model("sknet50", image_size=320)), weights=weights
    )
    # Without statistics batch norm would divide by almost nothing, layer after layer.
    for name, blobs in net.params.items():
        if name.endswith("/bn"):
            blobs[3].data[...] = 1
    values = np.random.default_rng(1).standard_normal(net.blobs["data"].shape)
    net.blobs["data"].data[...] = values
    (probabilities,) = net.forward()["prob"]
    assert net.blobs["conv5_3"].shape[2:] == (10, 10)
    assert probabilities.shape == (1000,)
    assert np.isfinite(probabilities).all()
    assert_close(math.fsum(probabilities.tolist()), 1, Op.REDUCTION, terms=1000)
