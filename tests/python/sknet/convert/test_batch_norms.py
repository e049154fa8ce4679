"""Batch norms of the forks: recognised by their blobs, equal in their results."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from tolerance import Op, assert_close

import caffe
from caffe import _caffe
from caffe import layers as L
from caffe.proto import caffe_pb2
from sknet.convert.batch_norms import (
    FORMS,
    convert,
    convert_text,
    find,
)

CHANNELS = 6
# A few multiplications and additions, and a square root and a division of each form.
TERMS = 9


def bvlc_net(eps=1e-5):
    """Three batch norms: in place with Scale, not in place with Scale, alone."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [3, CHANNELS, 5, 4]})
    common = {"batch_norm_param": {"eps": eps, "moving_average_fraction": 0.9}}
    net["a/bn"] = L.BatchNorm(net.data, **common)
    net["a/scale"] = L.Scale(
        net["a/bn"], bias_term=True, in_place=True, param=[{"lr_mult": 3}, {}]
    )
    net.a = L.ReLU(net["a/scale"], in_place=True)
    net["b/bn"] = L.BatchNorm(net.a, **common)
    net["b/scale"] = L.Scale(net["b/bn"])
    net["c/bn"] = L.BatchNorm(net["b/scale"], **common)
    # Its result has two readers, so Scale cannot be merged with it.
    net["c/scale"] = L.Scale(net["c/bn"], bias_term=True)
    net.sum = L.Eltwise(net["c/bn"], net["c/scale"])
    return net.to_proto()


def filled(definition, random):
    """The net with random learned arrays and positive variances and factors."""
    net = caffe.Net(definition, caffe.TEST)
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for index, blob in enumerate(blobs):
            blob.data[...] = random.normal(0, 1, blob.shape)
            positive = {"BatchNorm": (1, 2), "CuDNNBatchNorm": (3,)}.get(kind, ())
            if index in positive:
                blob.data[...] = random.uniform(0.5, 2, blob.shape)
    return net


def run(definition, model, data, tmp_path):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(model.SerializeToString())
    net = caffe.Net(definition, caffe.TEST, weights=path)
    return next(iter(net.forward(data=data).values())).copy()


def parsed(text):
    return caffe_pb2.NetParameter.FromString(_caffe.parse_net(text, "text"))


def printed(definition):
    return text_format.MessageToString(definition).encode()


@pytest.fixture
def data(random):
    return random.normal(0, 1, (3, CHANNELS, 5, 4)).astype(np.float32)


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 1e-8])
def test_bvlc_becomes_sknet_and_comes_back(eps, random, data, tmp_path):
    net = filled(bvlc_net(eps), random)
    want = net.forward(data=data)["sum"].copy()
    model = net.to_proto()
    text = printed(bvlc_net(eps))
    norms = find(model, parsed(text).layer)
    assert [norm.form for norm in norms] == ["bvlc"] * 3
    assert [norm.scale_layer for norm in norms] == ["a/scale", "b/scale", None]

    sknet = convert(model, "sknet", norms)
    sknet_text = convert_text(text, "sknet", norms)
    types = [layer.type for layer in parsed(sknet_text).layer]
    assert types.count("CuDNNBatchNorm") == 3
    assert types.count("Scale") == 1
    assert_close(
        run(parsed(sknet_text), sknet, data, tmp_path), want, Op.REDUCTION, TERMS
    )
    # The caffemodel has the same layers as the prototxt, but for the engine's splits.
    names = [layer.name for layer in sknet.layer if layer.type != "Split"]
    assert names == [layer.name for layer in parsed(sknet_text).layer]
    rates = parsed(sknet_text).layer[1].param
    assert [rate.lr_mult for rate in rates] == [3, 1, 0, 0]

    norms = find(sknet)
    assert [norm.form for norm in norms] == ["sknet"] * 3
    back = convert(sknet, "bvlc", norms)
    back_text = convert_text(sknet_text, "bvlc", norms)
    assert_close(
        run(parsed(back_text), back, data, tmp_path), want, Op.REDUCTION, TERMS
    )


@pytest.mark.parametrize("form", ["nvidia", "intel"])
def test_blobs_of_nvidia_and_intel(form, random):
    """mean, variance, 1, scale, bias: the order both forks' layers read."""
    net = filled(bvlc_net(), random)
    model = net.to_proto()
    norms = find(model)
    text = printed(bvlc_net())
    converted = convert(model, form, norms)
    layer = next(layer for layer in converted.layer if layer.name == "a/bn")
    mean, variance, factor = (blob.data for blob in net.params["a/bn"])
    want = [mean / factor, variance / factor, np.ones(1)]
    want += [blob.data for blob in net.params["a/scale"]]
    assert [list(blob.shape.dim) for blob in layer.blobs] == [
        [CHANNELS],
        [CHANNELS],
        [1],
        [CHANNELS],
        [CHANNELS],
    ]
    for blob, values in zip(layer.blobs, want, strict=True):
        assert_close(np.float32(blob.data), values, Op.ELEMENTWISE)
    switch = {"nvidia": b"scale_bias: true", "intel": b"use_weight_bias: true"}[form]
    assert convert_text(text, form, norms).count(switch) == 3


@pytest.mark.parametrize("form", [form for form in FORMS if form != "intel2"])
def test_every_form_leads_back(form, random, data, tmp_path):
    net = filled(bvlc_net(), random)
    want = net.forward(data=data)["sum"].copy()
    model, text = net.to_proto(), printed(bvlc_net())
    for target in (form, "nvidia", "sknet", "intel", form, "bvlc"):
        norms = find(model, parsed(text).layer)
        model, text = convert(model, target, norms), convert_text(text, target, norms)
    assert_close(run(parsed(text), model, data, tmp_path), want, Op.REDUCTION, TERMS)


def single(blobs, kind="BatchNorm", **settings):
    """A caffemodel of one batch norm with these blobs."""
    layer = caffe_pb2.LayerParameter(
        name="bn", type=kind, bottom=["data"], top=["bn"], **settings
    )
    for values in blobs:
        blob = layer.blobs.add(data=values)
        blob.shape.dim.append(len(values))
    return caffe_pb2.NetParameter(layer=[layer])


SCALE, BIAS, MEAN, VARIANCE = [2.0, 3.0], [0.5, -1.0], [1.0, -2.0], [4.0, 0.25]


@pytest.mark.parametrize(
    ("form", "blobs"),
    [
        ("nvidia", [MEAN, VARIANCE, [1.0], SCALE, BIAS]),
        ("nvidia", [MEAN, VARIANCE, [0.0], SCALE, BIAS]),
        ("nvidia", [[4.0, -8.0], [16.0, 1.0], [4.0], SCALE, BIAS]),
        ("nvidia 2016", [SCALE, BIAS, MEAN, VARIANCE]),
        ("intel engine", [SCALE, BIAS, [2.0, -4.0], [8.0, 0.5], [2.0]]),
    ],
)
def test_layouts_are_recognised(form, blobs):
    (norm,) = find(single(blobs))
    assert norm.form == form
    for got, want in (
        (norm.scale, SCALE),
        (norm.bias, BIAS),
        (norm.mean, MEAN),
        (norm.variance, VARIANCE),
    ):
        np.testing.assert_array_equal(got, want)
    layer = convert(single(blobs), "sknet", [norm]).layer[0]
    assert [list(blob.data) for blob in layer.blobs] == [SCALE, BIAS, MEAN, VARIANCE]
    assert list(layer.blobs[0].shape.dim) == [1, 2, 1, 1]


def test_intel_without_bias():
    (norm,) = find(single([MEAN, VARIANCE, [1.0], SCALE]))
    np.testing.assert_array_equal(norm.scale, SCALE)
    np.testing.assert_array_equal(norm.bias, [0, 0])


def test_two_blobs_normalise_with_the_batch(random, data, tmp_path):
    scale, bias = random.normal(0, 1, (2, CHANNELS))
    model = single([scale, bias])
    text = b"""
    layer { name: "data" type: "Input" top: "data"
            input_param { shape { dim: 3 dim: 6 dim: 5 dim: 4 } } }
    layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn"
            batch_norm_param { use_weight_bias: true } }
    """
    norms = find(model, parsed(text).layer)
    assert [norm.form for norm in norms] == ["intel2"]
    bvlc_text = convert_text(text, "bvlc", norms)
    got = run(parsed(bvlc_text), convert(model, "bvlc", norms), data, tmp_path)
    axes = (0, 2, 3)
    wide = data.astype(np.float64)
    deviation = np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    want = (wide - wide.mean(axes, keepdims=True)) / deviation
    want = want * scale.reshape(1, -1, 1, 1) + bias.reshape(1, -1, 1, 1)
    assert_close(got, want, Op.REDUCTION, 60)
    # And back, without loss.
    norms = find(convert(model, "bvlc", norms))
    again = convert(convert(model, "bvlc", find(model)), "intel2", norms).layer[0]
    assert_close(np.float32(again.blobs[0].data), scale, Op.ELEMENTWISE)
    for form in ("sknet", "nvidia", "intel"):
        with pytest.raises(ValueError, match="'bn': it normalises with the stat"):
            convert(model, form, find(model))


def test_statistics_can_be_dropped():
    model = single([SCALE, BIAS, MEAN, VARIANCE], "CuDNNBatchNorm")
    layer = convert(model, "intel2", find(model)).layer[0]
    assert [list(blob.data) for blob in layer.blobs] == [SCALE, BIAS]


def test_momentum_and_eps_move_along():
    model = single([SCALE, BIAS, MEAN, VARIANCE], "CuDNNBatchNorm")
    param = model.layer[0].cudnn_batch_norm_param
    param.momentum, param.eps = 0.75, 0.5
    bvlc = convert(model, "bvlc", find(model))
    param = bvlc.layer[0].batch_norm_param
    assert (param.moving_average_fraction, param.eps) == (0.75, 0.5)
    # SKNet's text has them in batch_norm_param.
    text = convert(bvlc, "sknet", find(bvlc), text=True).layer[0].batch_norm_param
    assert (text.momentum, text.eps) == (0.75, 0.5)


def test_the_rest_of_a_prototxt_is_kept():
    text = (
        b'# a n\xe9t\nname: "x"  # {\nlayer { name: "bn" type: \'BatchNorm\' # }\n'
        b'  bottom: "data" top: "bn" }\n\nlayer {\n  name: "s" type: "Scale"\n'
        b'  bottom: "bn" top: "s" };\nlayer { name: "relu {" type: "ReLU" }  # end\n'
    )
    model = single([MEAN, VARIANCE, [1.0]])
    scale = model.layer.add(name="s", type="Scale")
    scale.blobs.add(data=SCALE)
    norms = find(model, parsed(text).layer)
    got = convert_text(text, "sknet", norms)
    assert got.startswith(b'# a n\xe9t\nname: "x"  # {\nlayer {\n  name: "bn"\n')
    assert got.endswith(b'}\n\nlayer { name: "relu {" type: "ReLU" }  # end\n')
    assert b'"s"' in got
    assert b"Scale" not in got


def test_lists_of_layers():
    text = (
        b'layer: [ # two\n{ name: "bn" type: "BatchNorm" bottom: "x" top: "y" },'
        b'< name: "s" type: "Scale" bottom: "y" top: "s" >, { name: "r" }] name: "n"'
    )
    model = single([MEAN, VARIANCE, [1.0]])
    model.layer.add(name="s", type="Scale").blobs.add(data=SCALE)
    got = convert_text(text, "sknet", find(model, parsed(text).layer))
    assert b"# two\n" in got
    net = parsed(got)
    assert [layer.name for layer in net.layer] == ["bn", "r"]
    assert net.name == "n"
    assert net.layer[0].top == ["s"]


@pytest.mark.parametrize(
    ("blobs", "message"),
    [
        ([], "has no blobs for it"),
        ([SCALE] * 6, "6 blobs of sizes .2, 2, 2, 2, 2, 2., expected 2 to 5"),
        ([MEAN, [1.0, 2.0, 3.0], [1.0]], "expected one size but for a factor"),
        ([MEAN, VARIANCE, [1.0, 2.0]], "a factor of 2 values"),
    ],
)
def test_blobs_of_no_form(blobs, message):
    with pytest.raises(ValueError, match=f"layer 'bn' .*{message}"):
        find(single(blobs))
