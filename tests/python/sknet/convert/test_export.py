"""ONNX export: every layer type runs in three runtimes as it does in the engine."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_runtimes import RUNTIMES
from tolerance import Op, tolerance

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.proto import caffe_pb2
from sknet.convert.export import build_graph, compare, export_onnx
from sknet.convert.export.operators import RULES
from sknet.models import create_model, deploy

NEWEST_OPSET = 22


def image(channels=4, height=9, width=7, batch=2):
    return L.Input(shape={"dim": [batch, channels, height, width]})


def one(kind, *bottoms, **parameters):
    """A net of inputs and one layer called "y" that reads them."""
    net = caffe.NetSpec()
    names = [f"x{index}" for index in range(len(bottoms))]
    for name, bottom in zip(names, bottoms, strict=True):
        net[name] = L.Input(**bottom.fn.params)  # one of its own where two are alike
    tops = getattr(L, kind)(*(net[name] for name in names), **parameters)
    if isinstance(tops, tuple):
        for index, top in enumerate(tops):
            net[f"y{index}"] = top
    else:
        net.y = tops
    return net.to_proto()


def engine(definition, random):
    """The net with random weights; variances and their factor are positive."""
    net = caffe.Net(definition, caffe.TEST)
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for index, blob in enumerate(blobs):
            blob.data[...] = random.normal(0, 0.5, blob.shape)
            if (kind, index) in (
                ("CuDNNBatchNorm", 3),
                ("BatchNorm", 1),
                ("BatchNorm", 2),
            ):
                blob.data[...] = random.uniform(0.5, 2, blob.shape)
    return net


def inputs_of(net, random, low=None):
    shapes = {name: net.blobs[name].shape for name in net.inputs}
    if low is not None:
        return {
            name: random.uniform(low, low + 2, shape).astype(np.float32)
            for name, shape in shapes.items()
        }
    return {
        name: random.normal(0, 1, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def tied(inputs):
    """Few values, so that many are equal; planes of zeros, and of negative values."""
    result = {}
    for name, array in inputs.items():
        levels = np.rint(array)
        planes = levels.reshape(*levels.shape[:2], -1)
        planes[:, 1::4] = 0
        planes[:, 2::4] = -1 - np.abs(planes[:, 2::4])
        result[name] = levels
    return result


def assert_same(got, want, share, who):
    """Up to `share` of the largest value; NaN and infinities as the engine has them."""
    got = np.asarray(got)
    # OpenCV has no arrays without axes.
    assert got.shape == (want.shape or (1,)) or got.shape == want.shape, who
    finite = np.isfinite(want)
    largest = np.abs(want[finite]).max(initial=0.0)
    np.testing.assert_allclose(
        got.reshape(want.shape), want, rtol=0, atol=share * largest, err_msg=who
    )


def check(net, inputs, path, op, terms, others=True, **options):
    """Exports, compares all layers, and the results in all runtimes.

    With `others` for inputs of few values, too.
    """
    graph, _ = export_onnx(net, path, **options)
    report = compare(net, graph, inputs)
    assert report.layers
    share = sum(tolerance(op, terms))
    for entry in report.layers + report.outputs:
        assert entry.largest > 0, entry
        assert entry.difference <= share * entry.largest, entry
    blobs = {value.tensor.name: value.blob for value in graph.blobs}
    names = [tensor.name for tensor in graph.outputs]
    runtimes = [runtime(path) for runtime in RUNTIMES]
    for values in (inputs, tied(inputs)) if others else (inputs,):
        given = {tensor.name: values[tensor.name] for tensor in graph.inputs}
        for name, array in given.items():
            net.blobs[name].data[...] = array
        net._forward(0, len(net.layers) - 1)
        for run in runtimes:
            for name, result in zip(names, run(given, names), strict=True):
                who = f"{type(run).__name__}, {name}"
                assert_same(result, net.blobs[blobs[name]].data, share, who)
    return report.layers


IMAGE = image()
MATRIX = L.Input(shape={"dim": [3, 5]})
VOLUME = L.Input(shape={"dim": [2, 4, 5, 6, 7]})
LINE = L.Input(shape={"dim": [2, 4, 11]})


def sequence(*shape):
    return L.Input(shape={"dim": list(shape)})


# Four steps of three streams, and their states.
STEPS, MARKS, STATE = sequence(4, 3, 5), sequence(4, 3), sequence(1, 3, 6)
HIDDEN = {"num_output": 6, "expose_hidden": True}
# (layer, bottoms, parameters, terms behind one result)
CASES = {
    "conv": ("Convolution", [IMAGE], {"num_output": 6, "kernel_size": 3}, 36),
    "conv_all": (
        "Convolution",
        [IMAGE],
        {
            "num_output": 8,
            "kernel_h": 3,
            "kernel_w": 2,
            "stride_h": 2,
            "stride_w": 1,
            "pad_h": 2,
            "pad_w": 1,
            "dilation": [2, 3],
            "group": 2,
            "bias_term": False,
        },
        12,
    ),
    "conv_1d": ("Convolution", [LINE], {"num_output": 3, "kernel_size": 4}, 16),
    "conv_3d": (
        "Convolution",
        [VOLUME],
        {"num_output": 3, "kernel_size": [3, 2, 1], "pad": [1, 0, 2], "stride": 2},
        24,
    ),
    "conv_axis": (
        "Convolution",
        [VOLUME],
        {"num_output": 3, "kernel_size": 3, "axis": 2},
        45,
    ),
    "conv_two": (
        "Convolution",
        [IMAGE, IMAGE],
        {"num_output": 2, "kernel_size": 3, "ntop": 2},
        36,
    ),
    "conv_stem": (
        "Convolution",
        [image(3, 16, 16)],
        {"num_output": 4, "kernel_size": 7, "stride": 2, "pad": 3},
        147,
    ),
    "conv_by_channel": (
        "Convolution",
        [IMAGE],
        {"num_output": 4, "kernel_size": 3, "pad": 2, "dilation": 2, "group": 4},
        9,
    ),
    "conv_point": ("Convolution", [IMAGE], {"num_output": 3, "kernel_size": 1}, 4),
    "deconv_by_channel": (
        "Deconvolution",
        [IMAGE],
        {
            "convolution_param": {
                "num_output": 4,
                "kernel_size": [3],
                "stride": [2],
                "dilation": [2],
                "group": 4,
                "bias_term": False,
            }
        },
        9,
    ),
    "deconv_sides": (
        "Deconvolution",
        [IMAGE],
        {
            "convolution_param": {
                "num_output": 3,
                "kernel_h": 2,
                "kernel_w": 3,
                "stride_h": 1,
                "stride_w": 2,
                "pad_h": 0,
                "pad_w": 1,
            }
        },
        24,
    ),
    "deconv": (
        "Deconvolution",
        [IMAGE],
        {
            "convolution_param": {
                "num_output": 6,
                "kernel_size": [4],
                "stride": [2],
                "pad": [1],
                "group": 2,
            }
        },
        8,
    ),
    "inner_product": ("InnerProduct", [IMAGE], {"num_output": 5}, 252),
    "inner_product_axis": (
        "InnerProduct",
        [IMAGE],
        {"num_output": 5, "axis": 2, "bias_term": False},
        63,
    ),
    "inner_product_transposed": (
        "InnerProduct",
        [MATRIX],
        {"num_output": 4, "transpose": True},
        5,
    ),
    "inner_product_last": (
        "InnerProduct",
        [VOLUME],
        {"num_output": 3, "axis": -1, "transpose": True},
        7,
    ),
    "batch_norm_engine": ("CuDNNBatchNorm", [IMAGE], {}, 4),
    "batch_norm_matrix": ("CuDNNBatchNorm", [MATRIX], {}, 4),
    "batch_norm": ("BatchNorm", [IMAGE], {"eps": 0.01}, 4),
    "batch_norm_volume": ("BatchNorm", [VOLUME], {}, 4),
    "batch_norm_of_batch": ("BatchNorm", [IMAGE], {"use_global_stats": False}, 126),
    "batch_norm_of_volume": ("BatchNorm", [VOLUME], {"use_global_stats": False}, 420),
    "batch_norm_stored": ("BatchNorm", [LINE], {"use_global_stats": True}, 4),
    "scale": ("Scale", [IMAGE], {"bias_term": True}, 2),
    "scale_axes": ("Scale", [IMAGE], {"axis": 2, "num_axes": 2, "bias_term": True}, 2),
    "scale_scalar": ("Scale", [IMAGE], {"num_axes": 0}, 2),
    "scale_two": ("Scale", [IMAGE, L.Input(shape={"dim": [2, 4]})], {"axis": 0}, 2),
    "scale_two_bias": (
        "Scale",
        [IMAGE, L.Input(shape={"dim": [4, 9]})],
        {"bias_term": True},
        2,
    ),
    "scale_rest": ("Scale", [IMAGE], {"axis": 1, "num_axes": -1}, 2),
    "bias": ("Bias", [IMAGE], {}, 2),
    "bias_two": ("Bias", [IMAGE, L.Input(shape={"dim": [9]})], {"axis": 2}, 2),
    "bias_rest": ("Bias", [IMAGE], {"axis": -2, "num_axes": -1}, 2),
    "axpy": ("Axpy", [image(4, 1, 1), IMAGE, IMAGE], {}, 2),
    "axpy_matrix": ("Axpy", [L.Input(shape={"dim": [2, 4]}), IMAGE, IMAGE], {}, 2),
    "relu": ("ReLU", [IMAGE], {}, 1),
    "relu_leaky": ("ReLU", [IMAGE], {"negative_slope": 0.1}, 1),
    "prelu": ("PReLU", [IMAGE], {}, 1),
    "prelu_shared": ("PReLU", [IMAGE], {"channel_shared": True}, 1),
    "elu": ("ELU", [IMAGE], {"alpha": 0.7}, 1),
    "sigmoid": ("Sigmoid", [IMAGE], {}, 1),
    "tanh": ("TanH", [IMAGE], {}, 1),
    "power": ("Power", [IMAGE], {"power": 2, "scale": 0.5, "shift": 1}, 4),
    "power_identity": ("Power", [IMAGE], {}, 1),
    "power_shift": ("Power", [IMAGE], {"shift": -1.5}, 2),
    "power_none": ("Power", [IMAGE], {"power": 0, "scale": 3, "shift": 1}, 1),
    "power_root": ("Power", [IMAGE], {"power": 0.5, "shift": 9}, 4),
    "power_inverse": ("Power", [IMAGE], {"power": -1, "shift": 9}, 4),
    "power_cube": ("Power", [IMAGE], {"power": 3, "scale": -0.5}, 4),
    "exp": ("Exp", [IMAGE], {}, 1),
    "exp_base": ("Exp", [IMAGE], {"base": 2, "scale": 0.5, "shift": 1}, 1),
    "log": ("Log", [IMAGE], {"shift": 3, "scale": 0.25}, 1),
    "log_base": ("Log", [IMAGE], {"base": 10, "shift": 9}, 1),
    "abs": ("AbsVal", [IMAGE], {}, 1),
    "dropout": ("Dropout", [IMAGE], {}, 1),
    "lrn": ("LRN", [image(9)], {"local_size": 5, "alpha": 2, "k": 1.5}, 5),
    "lrn_default": ("LRN", [image(9)], {}, 5),
    "lrn_alexnet": ("LRN", [image(9)], {"alpha": 1e-4, "k": 2, "beta": 0.75}, 5),
    "lrn_strong": ("LRN", [image(12)], {"local_size": 3, "alpha": 3, "beta": 0.5}, 3),
    "lrn_small_k": ("LRN", [image(9)], {"alpha": 0.3, "k": 0.25}, 5),
    "lrn_wide": ("LRN", [image(5)], {"local_size": 13, "alpha": 0.1}, 5),
    "lrn_within_wide": (
        "LRN",
        [IMAGE],
        {"local_size": 7, "norm_region": P.LRN.WITHIN_CHANNEL, "beta": 0.5},
        49,
    ),
    "lrn_within": (
        "LRN",
        [IMAGE],
        {"local_size": 3, "norm_region": P.LRN.WITHIN_CHANNEL, "alpha": 2},
        9,
    ),
    "sum": ("Eltwise", [IMAGE] * 3, {"coeff": [1, -0.5, 2]}, 3),
    "sum_plain": ("Eltwise", [IMAGE] * 2, {}, 2),
    "sum_difference": ("Eltwise", [IMAGE] * 2, {"coeff": [1, -1]}, 2),
    "product": ("Eltwise", [IMAGE] * 3, {"operation": P.Eltwise.PROD}, 3),
    "maximum": ("Eltwise", [IMAGE] * 2, {"operation": P.Eltwise.MAX}, 1),
    "maximum_three": ("Eltwise", [MATRIX] * 3, {"operation": P.Eltwise.MAX}, 1),
    "concat": ("Concat", [IMAGE, image(3)], {}, 1),
    "concat_last": ("Concat", [IMAGE, IMAGE], {"axis": -1}, 1),
    "concat_old": ("Concat", [IMAGE, IMAGE], {"concat_dim": 0}, 1),
    "slice": ("Slice", [IMAGE], {"ntop": 3, "slice_point": [1, 3]}, 1),
    "slice_last": ("Slice", [LINE], {"ntop": 2, "axis": -1, "slice_point": [4]}, 1),
    "slice_equal": ("Slice", [IMAGE], {"ntop": 2}, 1),
    "slice_one": ("Slice", [IMAGE], {"ntop": 1}, 1),
    "split": ("Split", [IMAGE], {"ntop": 2}, 1),
    "reshape": ("Reshape", [IMAGE], {"shape": {"dim": [0, 2, -1, 7]}}, 1),
    "reshape_axis": (
        "Reshape",
        [IMAGE],
        {"shape": {"dim": [3, 3]}, "axis": 2, "num_axes": 1},
        1,
    ),
    "reshape_insert": (
        "Reshape",
        [IMAGE],
        {"shape": {"dim": [1]}, "axis": -2, "num_axes": 0},
        1,
    ),
    "flatten": ("Flatten", [IMAGE], {"axis": 1, "end_axis": 2}, 1),
    "flatten_all": ("Flatten", [VOLUME], {}, 1),
    "tile": ("Tile", [IMAGE], {"axis": 2, "tiles": 3}, 1),
    "tile_batch": ("Tile", [MATRIX], {"axis": 0, "tiles": 2}, 1),
    "softmax": ("Softmax", [IMAGE], {}, 4),
    "softmax_axis": ("Softmax", [IMAGE], {"axis": -1}, 7),
    "softmax_matrix": ("Softmax", [MATRIX], {}, 5),
    "softmax_batch": ("Softmax", [IMAGE], {"axis": 0}, 2),
    "argmax": ("ArgMax", [IMAGE], {"top_k": 2}, 1),
    "argmax_values": ("ArgMax", [MATRIX], {"top_k": 3, "out_max_val": True}, 1),
    "argmax_axis": ("ArgMax", [IMAGE], {"axis": 1}, 1),
    "argmax_axis_values": ("ArgMax", [IMAGE], {"axis": 3, "out_max_val": True}, 1),
    "argmax_class": ("ArgMax", [L.Input(shape={"dim": [3, 40]})], {}, 1),
    "argmax_class_value": ("ArgMax", [MATRIX], {"out_max_val": True}, 1),
    "argmax_classes": ("ArgMax", [L.Input(shape={"dim": [3, 40]})], {"top_k": 5}, 1),
    "argmax_axis_three": ("ArgMax", [IMAGE], {"axis": 1, "top_k": 3}, 1),
    "argmax_axis_three_values": (
        "ArgMax",
        [IMAGE],
        {"axis": -1, "top_k": 3, "out_max_val": True},
        1,
    ),
    **{
        f"reduction_{name}_{axis}": (
            "Reduction",
            [IMAGE],
            {"operation": getattr(P.Reduction, name), "axis": axis, "coeff": coeff},
            504,
        )
        for name in ("SUM", "ASUM", "SUMSQ", "MEAN")
        for axis, coeff in ((0, 1), (1, 1), (2, 3), (-1, -0.5))
    },
    "reduction_volume": ("Reduction", [VOLUME], {"operation": P.Reduction.MEAN}, 1680),
    "reduction_in_volume": ("Reduction", [VOLUME], {"axis": 2}, 210),
    "pool_max": ("Pooling", [image(3, 16, 16)], {"kernel_size": 3, "stride": 2}, 1),
    "pool_max_global": ("Pooling", [IMAGE], {"global_pooling": True}, 1),
    "pool_mean_global": ("Pooling", [IMAGE], {"pool": 1, "global_pooling": True}, 63),
    "pool_mean_padded": (
        "Pooling",
        [IMAGE],
        {"pool": 1, "kernel_size": 3, "pad": 1},
        9,
    ),
    "pool_mean_sides": (
        "Pooling",
        [image(3, 10, 7)],
        {
            "pool": 1,
            "kernel_h": 5,
            "kernel_w": 2,
            "stride_h": 3,
            "stride_w": 1,
            "pad_h": 2,
        },
        10,
    ),
    "pool_max_sides": (
        "Pooling",
        [image(3, 10, 7)],
        {"kernel_size": 3, "stride_h": 2, "stride_w": 1, "pad_w": 1},
        1,
    ),
    "pool_places": (
        "Pooling",
        [image(3, 10, 7)],
        {"kernel_size": 3, "stride": 2, "pad": 1, "ntop": 2},
        1,
    ),
    "interp_size": ("Interp", [IMAGE], {"height": 5, "width": 20}, 16),
    "interp_zoom": ("Interp", [IMAGE], {"zoom_factor": 3}, 16),
    "interp_shrink": ("Interp", [IMAGE], {"shrink_factor": 2}, 16),
    "interp_point": ("Interp", [IMAGE], {"height": 1, "width": 1}, 16),
    "interp_cropped": (
        "Interp",
        [IMAGE],
        {"height": 6, "width": 6, "pad_beg": -1, "pad_end": -2},
        16,
    ),
    "bnll": ("BNLL", [IMAGE], {}, 1),
    "clip": ("Clip", [IMAGE], {"min": -0.5, "max": 1}, 1),
    "swish": ("Swish", [IMAGE], {}, 1),
    "swish_beta": ("Swish", [MATRIX], {"beta": 1.5}, 1),
    "threshold": ("Threshold", [IMAGE], {"threshold": 0.25}, 1),
    "mvn": ("MVN", [IMAGE], {"eps": 0.01}, 63),
    "mvn_mean": ("MVN", [VOLUME], {"normalize_variance": False}, 210),
    "mvn_across": ("MVN", [IMAGE], {"across_channels": True, "eps": 0.01}, 252),
    "crop": ("Crop", [IMAGE, image(1, 5, 3)], {"offset": [2, 1]}, 1),
    "crop_channels": ("Crop", [IMAGE, image(2, 5, 3)], {"axis": 1, "offset": 1}, 1),
    "spp": ("SPP", [image(3, 9, 12)], {"pyramid_height": 3}, 1),
    "spp_average": ("SPP", [image(3, 8, 6)], {"pyramid_height": 2, "pool": 1}, 48),
    "spp_one": ("SPP", [IMAGE], {"pyramid_height": 1}, 1),
    "lstm_unit": (
        "LSTMUnit",
        [sequence(1, 3, 5), sequence(1, 3, 20), sequence(1, 3)],
        {"ntop": 2},
        20,
    ),
    "lstm": ("LSTM", [STEPS, MARKS, STATE, STATE], {**HIDDEN, "ntop": 3}, 60),
    "lstm_static": (
        "LSTM",
        [STEPS, MARKS, sequence(3, 7), STATE, STATE],
        {**HIDDEN, "ntop": 3},
        60,
    ),
    "rnn": ("RNN", [STEPS, MARKS, STATE], {**HIDDEN, "ntop": 2}, 60),
    "rnn_static": (
        "RNN",
        [STEPS, MARKS, sequence(3, 7), STATE],
        {**HIDDEN, "ntop": 2},
        60,
    ),
    "interp_like": ("Interp", [IMAGE, image(1, 4, 15)], {}, 16),
}


TRANSCENDENTAL = {
    "BNLL",
    "ELU",
    "Exp",
    "LRN",
    "Log",
    "Sigmoid",
    "Softmax",
    "Swish",
    "TanH",
}


@pytest.mark.parametrize("opset", [13, 17, NEWEST_OPSET])
@pytest.mark.parametrize("case", CASES)
def test_layer(case, opset, random, tmp_path):
    layer, bottoms, parameters, terms = CASES[case]
    net = engine(one(layer, *bottoms, **parameters), random)
    if layer in TRANSCENDENTAL:
        op, terms = Op.TRANSCENDENTAL, 1
    else:
        op = Op.REDUCTION
    check(net, inputs_of(net, random), tmp_path / "y.onnx", op, terms, opset=opset)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
@pytest.mark.parametrize("pad", [0, 1, 2])
def test_pooling_windows(method, mode, pad, random, tmp_path):
    """Every small window: overhanging, clipped at H + pad, larger than the stride."""
    net = caffe.NetSpec()
    windows = [(k, s) for k in (1, 2, 3, 5) for s in (1, 2, 3, 4) if pad < k]
    for index, size in enumerate(range(3, 8)):
        net[f"x{index}"] = image(2, size, size + 2)
        for kernel, stride in windows:
            if size + 2 * pad < kernel:
                continue
            net[f"y{index}_{kernel}_{stride}"] = L.Pooling(
                net[f"x{index}"],
                pool=getattr(P.Pooling, method),
                kernel_size=kernel,
                stride=stride,
                pad=pad,
                round_mode=getattr(P.Pooling, mode),
            )
    net = engine(net.to_proto(), random)
    inputs = inputs_of(net, random, low=-3)
    report = check(net, inputs, tmp_path / "y.onnx", Op.REDUCTION, 25)
    assert len(report) > 30


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
def test_pads_are_the_same_on_both_sides(method, mode):
    """Importers differ over others; `ceil_mode` adds the window that overhangs."""
    for size, kernel, stride, pad in itertools.product(
        range(5, 12), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2)
    ):
        if pad >= kernel:
            continue
        parameters = {"kernel_size": kernel, "stride": stride, "pad": pad}
        parameters["pool"] = getattr(P.Pooling, method)
        parameters["round_mode"] = getattr(P.Pooling, mode)
        net = one("Pooling", image(1, size, size), **parameters)
        attributes = build_graph(caffe.Net(net, caffe.TEST)).nodes[0].attributes
        assert attributes["pads"] == (pad,) * 4
        if (size + 2 * pad - kernel) % stride == 0 or mode == "FLOOR":
            assert "ceil_mode" not in attributes


def test_sums_of_absolute_values_have_axes_in_every_operator_set():
    """ReduceL1's are an attribute up to 17, which OpenVINO passes over."""
    net = one("Reduction", IMAGE, operation=P.Reduction.ASUM, axis=1)
    for opset in (13, 17, NEWEST_OPSET):
        nodes = build_graph(caffe.Net(net, caffe.TEST), opset).nodes
        assert [node.op for node in nodes] == ["Reshape", "Abs", "ReduceSum"]


REFUSED = {
    "Filter": ([MATRIX, L.Input(shape={"dim": [3]})], {}, "a number of samples"),
    "Im2col": ([IMAGE], {"kernel_size": 2}, "an unfolded image"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_onnx_cannot_say_is_named(kind):
    bottoms, parameters, what = REFUSED[kind]
    net = caffe.Net(one(kind, *bottoms, **parameters), caffe.TEST)
    with pytest.raises(NotImplementedError, match=rf"'y' \({kind}\): {what}"):
        build_graph(net)


def test_a_state_that_goes_on_is_named():
    net = caffe.Net(one("LSTM", STEPS, MARKS, num_output=6), caffe.TEST)
    with pytest.raises(NotImplementedError, match=r"'y' \(LSTM\): a state that"):
        build_graph(net)


@pytest.mark.parametrize("kind", ["Embed", "Embed without bias", "BatchReindex"])
def test_rows_that_are_picked_by_indices(kind, random, tmp_path):
    if kind == "BatchReindex":
        net = engine(one("BatchReindex", MATRIX, sequence(4)), random)
    else:
        bias = kind == "Embed"
        options = {"num_output": 5, "input_dim": 3, "bias_term": bias}
        net = engine(one("Embed", sequence(2, 4), **options), random)
    inputs = inputs_of(net, random)
    *_, indices = net.inputs
    inputs[indices] = random.integers(0, 3, inputs[indices].shape).astype(np.float32)
    check(net, inputs, tmp_path / "y.onnx", Op.REDUCTION, 2, others=False)


def test_learned_values_are_constants(random, tmp_path):
    net = caffe.NetSpec()
    net.x = L.Input(shape={"dim": [2, 5]})
    net.p = L.Parameter(shape={"dim": [2, 5]})
    net.y = L.Eltwise(net.x, net.p)
    learned = engine(net.to_proto(), random)
    layers = check(
        learned,
        {"x": inputs_of(learned, random)["x"]},
        tmp_path / "y.onnx",
        Op.REDUCTION,
        2,
    )
    assert "p" in {entry.layer for entry in layers}


def test_every_type_has_a_case():
    """What the exporter has a rule for is tried, and what it has none for is known."""
    tried = {layer for layer, *_ in CASES.values()}
    # They have no tops; `test_silence_ends_in_nothing` tries one of them.
    without_tops = {"Silence", "HDF5Output"}
    # Their inputs are no arbitrary numbers, or they have none.
    elsewhere = {"Embed", "BatchReindex", "Parameter"}
    assert tried | without_tops | elsewhere | set(REFUSED) == set(RULES)
    left_out = {"Python", "Accuracy"}
    for name in caffe.layer_type_list():
        source = name == "Input" or name.endswith("Data")
        assert name in RULES or name in left_out or source or "Loss" in name, name


# Scales, biases, means and variances of batch norms.
LOW, HIGH = (0.5, -0.2, -0.2, 0.5), (1.5, 0.2, 0.2, 2)


def small_net(relu_on_input=False):
    """Convolutions with batch norms of both kinds, in place and not, and a branch."""
    net = caffe.NetSpec()
    net.data = image(3, 12, 12)
    net.conv1 = L.Convolution(net.data, num_output=8, kernel_size=3, pad=1)
    net.bn1 = L.CuDNNBatchNorm(net.conv1)
    net.relu1 = L.ReLU(net.bn1, in_place=True)
    net.conv2 = L.Convolution(net.relu1, num_output=8, kernel_size=3, group=4)
    net.bn2 = L.BatchNorm(net.conv2, in_place=True)
    net.scale2 = L.Scale(net.bn2, bias_term=True, in_place=True)
    net.pool = L.Pooling(net.scale2, kernel_size=3, stride=2, pool=P.Pooling.AVE)
    # Pre-activation: what the pooling gives has a second reader.
    net.bn3 = L.CuDNNBatchNorm(net.pool)
    net.scale3 = L.Scale(net.bn3, bias_term=True)
    net.sum = L.Eltwise(net.scale3, net.pool)
    net.drop = L.Dropout(net.sum, in_place=True)
    net.fc = L.InnerProduct(net.drop, num_output=5)
    net.bn4 = L.CuDNNBatchNorm(net.fc)
    net.label = L.Input(shape={"dim": [2]})
    net.loss = L.SoftmaxWithLoss(net.bn4, net.label)
    net.accuracy = L.Accuracy(net.bn4, net.label)
    net.prob = L.Softmax(net.bn4)
    return net.to_proto()


def test_net_with_batch_norms_and_losses(random, tmp_path):
    net = engine(small_net(), random)
    inputs = inputs_of(net, random)
    path = tmp_path / "net.onnx"
    report = check(net, inputs, path, Op.REDUCTION, 200)
    model = onnx.load(path)
    assert [value.name for value in model.graph.input] == ["data"]
    assert [value.name for value in model.graph.output] == ["prob"]
    # In-place layers are compared one by one, too.
    entries = [(entry.layer, entry.blob) for entry in report]
    assert ("relu1", "bn1") in entries
    assert ("bn2", "conv2") in entries
    assert ("scale2", "conv2") in entries
    assert model.ir_version <= 8
    # As another program loads it.
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (prob,) = session.run(None, {"data": inputs["data"]})
    want = net.forward(**{"data": inputs["data"], "label": np.zeros(2)})["prob"]
    np.testing.assert_array_equal(prob.argmax(1), want.argmax(1))


@pytest.mark.parametrize("fold", [False, True])
def test_network_with_selective_kernels(fold, random, tmp_path):
    """As it is initialised, with statistics of batch norms other than 0 and 1."""
    net = caffe.Net(deploy(create_model("sknet_digits")), caffe.TEST)
    for name, blobs in net.params.items():
        if net.layer_dict[name].type == "CuDNNBatchNorm":
            for blob, low, high in zip(blobs, LOW, HIGH, strict=True):
                blob.data[...] = random.uniform(low, high, blob.shape)
    # Terms of the longest sums, one behind the other.
    inputs = inputs_of(net, random)
    check(net, inputs, tmp_path / "y.onnx", Op.REDUCTION, 4608, fold=fold)


def test_silence_ends_in_nothing(random, tmp_path):
    net = caffe.NetSpec()
    net.x = image()
    net.y, net.rest = L.Slice(net.x, ntop=2)
    net.silence = L.Silence(net.rest, ntop=0)
    net = engine(net.to_proto(), random)
    path = tmp_path / "y.onnx"
    check(net, inputs_of(net, random), path, Op.COPY, 1)
    assert [value.name for value in onnx.load(path).graph.output] == ["y"]


def test_folding_leaves_no_batch_norm(random, tmp_path):
    net = engine(small_net(), random)
    path = tmp_path / "net.onnx"
    plain = check(net, inputs_of(net, random), path, Op.REDUCTION, 200)
    report = check(net, inputs_of(net, random), path, Op.REDUCTION, 200, fold=True)
    graph = onnx.load(path).graph
    operators = [node.op_type for node in graph.node]
    assert "BatchNormalization" not in operators
    # conv1, conv2 and fc took theirs; bn3 and scale3 became one factor and one term.
    assert operators.count("Conv") == 2
    assert operators.count("Mul") == 1
    assert len(report) < len(plain)
    assert {entry.layer for entry in report} >= {"bn1", "relu1", "scale2", "scale3"}


def test_wrong_weights_are_found_where_they_are(random, tmp_path):
    net = engine(small_net(), random)
    graph, _ = export_onnx(net, tmp_path / "net.onnx")
    graph.constants["conv2.weights"] = graph.constants["conv2.weights"] * 1.01
    report = compare(net, graph, inputs_of(net, random))
    (entry,) = (entry for entry in report.layers if entry.relative > 1e-3)
    assert (entry.layer, entry.type) == ("conv2", "Convolution")
    assert report.outputs[0].difference > 0


def test_large_weights_lie_in_a_file_of_their_own(random, tmp_path):
    net = engine(small_net(), random)
    path = tmp_path / "net.onnx"
    graph, files = export_onnx(net, path, external_data_bytes=100)
    assert files == [tmp_path / "net.onnx.data", path]
    assert path.stat().st_size < sum(a.nbytes for a in graph.constants.values())
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / "net.onnx.data"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    data = inputs_of(net, random)["data"]
    (prob,) = session.run(None, {"data": data})
    want = net.forward(data=data, label=np.zeros(2))["prob"]
    np.testing.assert_array_equal(prob.argmax(1), want.argmax(1))


def test_weights_are_untouched(random):
    net = engine(small_net(), random)
    before = {name: [b.data.copy() for b in net.params[name]] for name in net.params}
    build_graph(net)
    for name, blobs in before.items():
        for blob, want in zip(net.params[name], blobs, strict=True):
            np.testing.assert_array_equal(blob.data, want)


def test_input_overwritten_in_place(random, tmp_path):
    net = caffe.NetSpec()
    net.data = image()
    net.relu = L.ReLU(net.data, in_place=True)
    net = engine(net.to_proto(), random)
    (entry,) = check(net, inputs_of(net, random), tmp_path / "y.onnx", Op.COPY, 1)
    assert (entry.layer, entry.blob) == ("relu", "data")


class Twice(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 2 * bottom[0].data


def test_unknown_layer_is_named():
    net = one("Python", IMAGE, module=__name__, layer="Twice")
    net = caffe.Net(net, caffe.TEST)
    with pytest.raises(NotImplementedError, match=r"'y' has type Python"):
        build_graph(net)


def test_stochastic_pooling_is_named():
    net = one("Pooling", IMAGE, pool=P.Pooling.STOCHASTIC, kernel_size=2)
    with pytest.raises(NotImplementedError, match=r"'y' \(Pooling\): stochastic"):
        build_graph(caffe.Net(net, caffe.TEST))


def test_bad_operator_set(random, tmp_path):
    net = engine(one("ReLU", IMAGE), random)
    for opset in (12, 1000):
        with pytest.raises(ValueError, match="expected 13 to"):
            export_onnx(net, tmp_path / "y.onnx", opset=opset)
    assert not list(tmp_path.iterdir())


def test_net_of_losses_has_nothing_to_export():
    net = caffe.NetSpec()
    net.scores, net.label = (L.Input(shape={"dim": dim}) for dim in ([2, 3], [2]))
    net.loss = L.SoftmaxWithLoss(net.scores, net.label)
    net = caffe.Net(net.to_proto(), caffe.TEST)
    with pytest.raises(ValueError, match="nothing but losses"):
        build_graph(net)


def test_old_definitions_are_exported(random, tmp_path):
    """Layers in the format of 2014, and inputs without a layer."""
    definition = caffe_pb2.NetParameter(input=["data"], input_dim=[1, 3, 8, 8])
    layer = definition.layers.add(name="conv", bottom=["data"], top=["conv"])
    layer.type = caffe_pb2.V1LayerParameter.CONVOLUTION
    layer.convolution_param.num_output = 2
    layer.convolution_param.kernel_size.append(3)
    net = engine(definition, random)
    check(net, inputs_of(net, random), tmp_path / "y.onnx", Op.REDUCTION, 27)
