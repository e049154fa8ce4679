"""The export's own check: right files pass, and a wrong translation is found."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

import caffe
import sknet.convert.export
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2
from sknet.cli import main
from sknet.convert.export import compare, export_onnx
from sknet.models import create_model, deploy

# What `sknet export` accepts.
ACCEPTED = 1e-4


def built(bottom, kind, **parameters):
    net = caffe.NetSpec()
    net.x = L.Input(shape={"dim": bottom})
    net.y = getattr(L, kind)(net.x, **parameters)
    return caffe.Net(net.to_proto(), caffe.TEST)


def pixels(net, random):
    """As `sknet export` makes them: mean-free levels."""
    return {
        name: random.normal(0, 50, net.blobs[name].shape).astype(np.float32)
        for name in net.inputs
    }


def checked(net, path, inputs, change=lambda node: node):
    """The worst of all layers, after a change of the graph's nodes."""
    graph, _ = export_onnx(net, path)
    graph.nodes = [change(node) for node in graph.nodes]
    return max(entry.relative for entry in compare(net, graph, inputs).layers)


def set_to(op, **attributes):
    def change(node):
        if node.op != op:
            return node
        return replace(node, attributes={**node.attributes, **attributes})

    return change


def renamed(op, other, **attributes):
    def change(node):
        return replace(node, op=other, attributes=attributes) if node.op == op else node

    return change


@pytest.mark.parametrize(
    ("bottom", "kind", "parameters", "change"),
    [
        # Ties: no two of random values are equal.
        ((2, 10), "ArgMax", {}, set_to("ArgMax", select_last_index=0)),
        ((2, 2), "ArgMax", {}, set_to("ArgMax", select_last_index=0)),
        ((1, 3, 8, 8), "ArgMax", {"axis": 1}, set_to("ArgMax", select_last_index=0)),
        # Zeros and values around them.
        ((2, 4, 5, 5), "ReLU", {}, renamed("Relu", "Abs")),
        ((2, 4, 5, 5), "Sigmoid", {}, renamed("Sigmoid", "HardSigmoid")),
        # Large values: what is not saturated by 50 levels is by 50,000.
        ((2, 4), "Power", {"scale": 1e-3}, renamed("Mul", "PRelu")),
        ((2, 9, 3, 3), "LRN", {"alpha": 3}, set_to("LRN", alpha=3.03)),
        ((2, 9, 3, 3), "LRN", {"alpha": 3}, set_to("LRN", beta=0.74)),
        ((2, 9, 3, 3), "LRN", {"alpha": 3, "k": 2}, set_to("LRN", bias=1.0)),
    ],
)
def test_a_wrong_translation_is_found(
    bottom, kind, parameters, change, random, tmp_path
):
    net = built(bottom, kind, **parameters)
    inputs = pixels(net, random)
    assert checked(net, tmp_path / "y.onnx", inputs) <= ACCEPTED
    assert checked(net, tmp_path / "y.onnx", inputs, change) > ACCEPTED


def test_padding_is_seen_on_negative_planes(random, tmp_path):
    """Maxima that zeros around the image would change."""
    net = built((1, 4, 9, 9), "Pooling", kernel_size=5, pad=2)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    (pool,) = graph.nodes
    pads = graph.constant("pads", [0, 0, 2, 2, 0, 0, 2, 2], np.int64)
    graph.nodes.clear()
    graph.add("Pad", ["x", pads], ["padded"])
    graph.add(
        "MaxPool", ["padded"], pool.outputs, **{**pool.attributes, "pads": (0,) * 4}
    )
    # Of 25 random values one is positive.
    (entry,) = compare(net, graph, pixels(net, random)).layers
    assert entry.relative > ACCEPTED


@pytest.mark.parametrize("alpha", [1e-4, 1, 3, 100])
@pytest.mark.parametrize("region", [P.LRN.ACROSS_CHANNELS, P.LRN.WITHIN_CHANNEL])
def test_a_right_normalisation_passes_whatever_its_strength(
    alpha, region, random, tmp_path
):
    """ONNX Runtime slides its sum of squares, and loses k behind large channels."""
    parameters = {"alpha": alpha, "local_size": 3, "norm_region": region}
    net = built((1, 64, 40, 40), "LRN", **parameters)
    assert checked(net, tmp_path / "y.onnx", pixels(net, random)) <= ACCEPTED


def test_nan_and_infinity_do_not_hide_the_rest(random, tmp_path):
    """The logarithm of 0 and of negative values beside one that is wrong."""
    net = built((2, 4, 5, 5), "Log", base=10)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    inputs = pixels(net, random)
    (entry,) = compare(net, graph, inputs).layers
    assert entry.relative <= ACCEPTED
    assert math.isfinite(entry.largest)
    graph.constants["y.log_base"] = graph.constants["y.log_base"] * np.float32(1.01)
    report = compare(net, graph, inputs)
    assert ACCEPTED < report.layers[0].relative < 1
    assert 1e-3 < report.outputs[0].deviation < 1


def test_only_one_of_two_is_nan(random, tmp_path):
    net = built((2, 4), "Power", power=0.5)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    graph.nodes = [renamed("Pow", "Mul")(node) for node in graph.nodes]
    report = compare(net, graph, pixels(net, random))
    assert report.layers[0].difference == math.inf
    assert report.outputs[0].deviation == math.inf


def test_each_layer_has_inputs_of_its_own(random, tmp_path):
    """A wrong layer behind one that gives nothing but zeros is found, and no other."""
    net = caffe.NetSpec()
    net.x = L.Input(shape={"dim": [2, 3, 6, 6]})
    net.zeros = L.Convolution(net.x, num_output=4, kernel_size=3)
    net.bias = L.Power(net.zeros, shift=1)
    net.leaky = L.ReLU(net.bias, negative_slope=0.2)
    net.sum = L.Eltwise(net.leaky, net.zeros)
    net = caffe.Net(net.to_proto(), caffe.TEST)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    graph.nodes = [set_to("LeakyRelu", alpha=0.3)(node) for node in graph.nodes]
    report = compare(net, graph, pixels(net, random))
    wrong = [entry.layer for entry in report.layers if entry.relative > ACCEPTED]
    assert wrong == ["leaky"]
    assert [entry.layer for entry in report.layers] == ["zeros", "bias", "leaky", "sum"]


def test_data_layers_are_not_read(random, tmp_path):
    """The engine gets what the runtime gets, not the next images of the layer."""
    net = caffe.NetSpec()
    net.data = L.DummyData(
        shape={"dim": [2, 3, 8, 8]}, data_filler={"type": "constant", "value": 99}
    )
    net.y = L.InnerProduct(net.data, num_output=3, weight_filler={"type": "xavier"})
    net = caffe.Net(net.to_proto(), caffe.TEST)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    values = random.normal(0, 50, (2, 3, 8, 8)).astype(np.float32)
    report = compare(net, graph, {"data": values})
    for entry in report.layers + report.outputs:
        assert entry.relative <= ACCEPTED


def test_what_is_made_of_a_loss_is_left_out(random, tmp_path):
    net = caffe.NetSpec()
    net.x, net.label = (L.Input(shape={"dim": dim}) for dim in ([2, 3], [2]))
    net.scores = L.InnerProduct(net.x, num_output=4)
    # Of random values the engine would refuse as labels.
    net.class_ = L.Power(net.label, scale=10)
    net.loss = L.SoftmaxWithLoss(net.scores, net.class_)
    net.half = L.Power(net.loss, scale=0.5)
    net.prob = L.Softmax(net.scores)
    net = caffe.Net(net.to_proto(), caffe.TEST)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    report = compare(net, graph, pixels(net, random))
    assert [entry.blob for entry in report.outputs] == ["class_", "prob"]


def chaotic(steps=40):
    """x -> 4 x (1 - x), again and again: after 25 steps the last bit is everything."""
    net = caffe.NetSpec()
    net.x = L.Input(shape={"dim": [2, 4, 8, 8]})
    filler = {"type": "gaussian", "std": 0.01}
    net.conv = L.Convolution(
        net.x, num_output=8, kernel_size=3, pad=1, weight_filler=filler
    )
    net.s0 = last = L.Sigmoid(net.conv)
    for step in range(1, steps + 1):
        rest = net[f"r{step}"] = L.Power(last, scale=-1, shift=1)
        product = net[f"p{step}"] = L.Eltwise(last, rest, operation=P.Eltwise.PROD)
        last = net[f"s{step}"] = L.Power(product, scale=4)
    net.pool = L.Pooling(last, kernel_size=2, stride=2)
    net.best = L.ArgMax(net.pool, axis=1)
    return net.to_proto()


def one_weight(graph):
    weights = graph.constants["conv.weights"].copy()  # it is the net's memory
    weights[3, 2, 1, 1] *= -1
    graph.constants["conv.weights"] = weights


def other_pads(graph):
    graph.nodes = [set_to("Conv", pads=[0, 0, 2, 2])(node) for node in graph.nodes]


def other_ties(graph):
    change = set_to("ArgMax", select_last_index=0)
    graph.nodes = [change(node) for node in graph.nodes]


@pytest.mark.parametrize(
    ("change", "where"),
    [(None, ""), (one_weight, "conv"), (other_pads, "conv"), (other_ties, "best")],
)
def test_a_net_that_magnifies_rounding_is_judged_by_its_layers(
    change, where, write_proto, tmp_path, monkeypatch, capsys
):
    """Its results tell nothing: in the engine alone a last bit changes them as much."""
    caffe.set_random_seed(1)
    weights = tmp_path / "net.caffemodel"
    caffe.Net(chaotic(), caffe.TEST).save(str(weights))
    export = export_onnx

    def changed(*arguments, **options):
        graph, files = export(*arguments, **options)
        if change:
            change(graph)
        return graph, files

    monkeypatch.setattr(sknet.convert.export, "export_onnx", changed)
    definition, file = str(write_proto(chaotic())), str(tmp_path / "net.onnx")
    command = ["export", "onnx", definition, "--weights", str(weights), "-o", file]
    status = main(command)
    printed = capsys.readouterr()
    assert "this net magnifies rounding" in printed.out
    assert status == (1 if change else 0), printed.err
    if change:
        assert f"in layer '{where}'" in printed.err


@pytest.mark.parametrize(
    ("variance", "depths", "said"),
    [
        (0, (2, 2, 2, 2), "was not compared: with these"),
        (0.7, (3, 4, 6, 3), "this net magnifies rounding"),
    ],
)
def test_untrained_networks_pass(variance, depths, said, tmp_path, capsys):
    """Without statistics of data values grow, and at a variance of 0 overflow."""
    caffe.set_random_seed(1)
    definition, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    generate = ["generate", "genet50_theta", "--crop", "64"]
    generate += ["--depths", ",".join(map(str, depths))]
    assert main([*generate, "-o", str(definition)]) == 0
    model = create_model("genet50_theta", image_size=64, depths=depths)
    net = caffe.Net(deploy(model), caffe.TEST)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "CuDNNBatchNorm":
            blobs[3].data[...] = variance
    net.save(str(weights))
    command = ["export", "onnx", str(definition), "--weights", str(weights)]
    status = main([*command, "-o", str(tmp_path / "net.onnx")])
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert said in printed.out


def test_the_check_leaves_the_weights_as_they_are(random, tmp_path):
    net = caffe.Net(chaotic(2), caffe.TEST)
    before = [blob.data.copy() for blob in net.params["conv"]]
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    report = compare(net, graph, pixels(net, random))
    assert all(entry.sensitivity > 0 for entry in report.outputs[:-1])
    for blob, values in zip(net.params["conv"], before, strict=True):
        np.testing.assert_array_equal(blob.data, values)


def test_inputs_stay_as_they_were_given(random, tmp_path):
    net = built((2, 9, 3, 3), "LRN", alpha=3)
    graph, _ = export_onnx(net, tmp_path / "y.onnx")
    inputs = pixels(net, random)
    before = inputs["x"].copy()
    compare(net, graph, inputs)
    np.testing.assert_array_equal(inputs["x"], before)
    assert isinstance(net.to_proto(), caffe_pb2.NetParameter)
