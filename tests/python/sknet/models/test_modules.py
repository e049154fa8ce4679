"""Modules of the families in the engine against their papers' formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from numpy.lib.stride_tricks import sliding_window_view
from tolerance import Op, assert_close

import caffe
from sknet.models import create_model, deploy

BATCH, SIDE = 2, 32
EPS = 1e-5


@pytest.fixture
def run(tmp_path):
    """Runs a model of small depth with random weights and statistics."""

    def forward(model, **options):
        definition = deploy(create_model(model, image_size=SIDE, **options), BATCH)
        path = tmp_path / "net.prototxt"
        path.write_text(text_format.MessageToString(definition))
        caffe.set_random_seed(3)
        net = caffe.Net(str(path), caffe.TEST)
        draws = np.random.default_rng(4)
        for layer in definition.layer:
            if layer.type == "CuDNNBatchNorm":
                for blob, low in zip(
                    net.params[layer.name], (0.5, -1, -1, 0.5), strict=True
                ):
                    blob.data[...] = draws.uniform(low, 1.5, blob.shape)
        net.blobs["data"].data[...] = draws.standard_normal(net.blobs["data"].shape)
        net.forward()
        return net

    return forward


def blob(net, name):
    return net.blobs[name].data.astype(np.float64)


def weights(net, layer):
    return [part.data.astype(np.float64) for part in net.params[layer]]


def sigmoid(x):
    return (1 + np.tanh(x / 2)) / 2


def relu(x):
    return np.maximum(x, 0)


def batch_norm(net, layer, x):
    parts = [part.reshape(1, -1, *[1] * (x.ndim - 2)) for part in weights(net, layer)]
    scale, bias, mean, variance = parts
    return scale * (x - mean) / np.sqrt(variance + EPS) + bias


def convolve(net, layer, x, dilation=1):
    """A convolution without groups that keeps the size."""
    kernel, *bias = weights(net, layer)
    side = kernel.shape[-1]
    pad = dilation * (side - 1) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    extent = dilation * (side - 1) + 1
    windows = sliding_window_view(padded, (extent, extent), axis=(2, 3))
    windows = windows[..., ::dilation, ::dilation]
    y = np.einsum("nchwij,ocij->nohw", windows, kernel)
    return y + (bias[0].reshape(1, -1, 1, 1) if bias else 0)


def dense(net, layer, x):
    matrix, bias = weights(net, layer)
    return x @ matrix.T + bias


SMALL = {"depths": (1, 1, 1, 1)}


def test_cbam_weighs_channels_and_then_pixels(run):
    net = run("resnext50_cbam", **SMALL)
    name = "conv2_1"
    x = blob(net, f"{name}/1x1_increase/bn")

    def mlp(vector):
        hidden = relu(dense(net, f"{name}/channel_ave_fc1", vector))
        return dense(net, f"{name}/channel_ave_fc2", hidden)

    scores = mlp(x.mean((2, 3))) + mlp(x.max((2, 3)))
    y = x * sigmoid(scores)[..., None, None]
    maps = np.stack([y.max(1), y.mean(1)], 1)
    layer = f"{name}/spatial_7x7"
    gate = sigmoid(batch_norm(net, f"{layer}/bn", convolve(net, layer, maps)))
    assert_close(
        blob(net, f"{name}/spatial_scale"), y * gate, Op.REDUCTION, terms=2 * 49
    )
    shortcut = blob(net, f"{name}/1x1_proj/bn")
    assert_close(blob(net, name), relu(y * gate + shortcut), Op.REDUCTION, terms=2 * 49)


def test_bam_adds_the_gated_map(run):
    net = run("resnext50_bam", **SMALL)
    x = blob(net, "conv2_1")
    channel = dense(net, "bam2/channel_fc1", x.mean((2, 3)))
    channel = relu(batch_norm(net, "bam2/channel_fc1/bn", channel))
    channel = dense(net, "bam2/channel_fc2", channel)[..., None, None]
    spatial = x
    for part, dilation in (("reduce", 1), ("3x3d4_1", 4), ("3x3d4_2", 4)):
        layer = f"bam2/spatial_{part}"
        spatial = convolve(net, layer, spatial, dilation)
        spatial = relu(batch_norm(net, f"{layer}/bn", spatial))
    spatial = convolve(net, "bam2/spatial", spatial)
    wanted = (1 + sigmoid(channel * spatial)) * x
    assert_close(blob(net, "bam2"), wanted, Op.REDUCTION, terms=256)


def test_squeeze_and_excitation(run):
    net = run("senet50", **SMALL)
    x = blob(net, "conv2_1_1x1_increase")
    hidden = convolve(net, "conv2_1_1x1_down", x.mean((2, 3), keepdims=True))
    gate = sigmoid(convolve(net, "conv2_1_1x1_up", relu(hidden)))
    wanted = relu(gate * x + blob(net, "conv2_1_1x1_proj"))
    assert_close(blob(net, "conv2_1"), wanted, Op.REDUCTION, terms=256)


@pytest.mark.parametrize("variant", ["_minus", "", "_plus"])
def test_gather_and_excite(variant, run):
    net = run(f"genet50_theta{variant}", **SMALL)
    name = "conv2_1"
    x = blob(net, f"{name}/1x1_increase/bn")
    if variant == "_minus":
        gathered = x.mean((2, 3), keepdims=True)
    else:
        (kernel,) = weights(net, f"{name}/gather")
        assert kernel.shape == (256, 1, *x.shape[2:])
        gathered = (x * kernel[:, 0]).sum((2, 3), keepdims=True)
        gathered = batch_norm(net, f"{name}/gather/bn", gathered)
    if variant == "_plus":
        hidden = convolve(net, f"{name}/excite/1x1_down", relu(gathered))
        gathered = convolve(net, f"{name}/excite/1x1_up", relu(hidden))
    wanted = relu(sigmoid(gathered) * x + blob(net, f"{name}/1x1_proj/bn"))
    assert_close(blob(net, f"{name}/axpy"), wanted, Op.REDUCTION, terms=256)


@pytest.mark.parametrize(
    ("model", "suffixes"),
    [("sknet50", ("", "d2")), ("sknet50_k3k5k7", ("", "d2", "d3"))],
)
def test_selective_kernels(model, suffixes, run):
    net = run(model, **SMALL)
    name = "conv2_1"
    branches = [blob(net, f"{name}/3x3g32{suffix}/bn") for suffix in suffixes]
    squeezed = sum(branches).mean((2, 3), keepdims=True)
    hidden = convolve(net, f"{name}/B_fc1", squeezed)
    hidden = relu(batch_norm(net, f"{name}/B_fc1/bn", hidden))
    scores = convolve(net, f"{name}/B_fc2", hidden)
    scores = scores.reshape(BATCH, len(branches), -1, 1, 1)
    attention = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    for index in range(len(branches)):
        got = blob(net, f"{name}/B_slice{index}")
        assert_close(got, attention[:, index], Op.REDUCTION, terms=128)
    wanted = sum(attention[:, i] * branch for i, branch in enumerate(branches))
    assert_close(blob(net, f"{name}/B_axpy"), wanted, Op.REDUCTION, terms=128)


def test_dual_paths(run):
    net = run("dpn92", depths=(2, 1, 1, 1))
    new = blob(net, "conv2_2/1x1_increase")
    residual = blob(net, "conv2_1/residual") + new[:, :256]
    dense_path = np.concatenate([blob(net, "conv2_1/dense"), new[:, 256:]], 1)
    assert dense_path.shape[1] == 4 * 16
    both = np.concatenate([residual, dense_path], 1)
    assert_close(blob(net, "conv2_2"), both, Op.ELEMENTWISE)


def test_residual_attention(run):
    net = run("attention56")
    name = "attention_A1"
    trunk = blob(net, f"{name}/trunk/res3")
    linear = convolve(
        net, f"{name}/mask/linear_2", blob(net, f"{name}/mask/linear_1/bn")
    )
    wanted = (1 + sigmoid(linear)) * trunk
    assert_close(blob(net, f"{name}/fusion"), wanted, Op.REDUCTION, terms=256)
