"""Nets that are optimised for inference: every family gives what it gives plain."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from sknet.models import create_model, deploy

BATCH = 2
SHALLOW = {"depths": (1, 1, 1, 1), "image_size": 32}
# One of each kind of block, shallow where the family has a depth.
MODELS = {
    "sknet50": SHALLOW,
    "sknet50_k3k5k7": SHALLOW,
    "resnext50": SHALLOW,
    "resnext50_bam": SHALLOW,
    "resnext50_cbam": SHALLOW,
    "senet50": SHALLOW,
    "dpn92": SHALLOW,
    "attention56": {"image_size": 64},
    "inception_v3": {"image_size": 75},
    "inception_v4": {"image_size": 75},
    "inception_resnet_v2": {"image_size": 75},
    "sknet_digits": {},
}


def pair(name, options):
    """(plain, optimised) nets of a model with equal weights and inputs."""
    definition = deploy(create_model(name, **options), BATCH)
    caffe.set_random_seed(3)
    plain = caffe.Net(definition, caffe.TEST)
    draws = np.random.default_rng(4)
    for layer in definition.layer:
        if layer.type == "CuDNNBatchNorm":
            for blob, low in zip(
                plain.params[layer.name], (0.5, -1, -1, 0.5), strict=1
            ):
                blob.data[...] = draws.uniform(low, 1.5, blob.shape)
    fused = caffe.Net(definition, caffe.TEST, optimize=True)
    for layer, blobs in plain.params.items():
        for blob, other in zip(blobs, fused.params[layer], strict=True):
            other.data[...] = blob.data
    image = draws.standard_normal(plain.blobs["data"].shape)
    for net in (plain, fused):
        net.blobs["data"].data[...] = image
    return plain, fused


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_the_plain_net(name):
    plain, fused = pair(name, MODELS[name])
    assert fused.optimized
    want = plain.forward()["prob"]
    assert np.ptp(want) > 0
    # Weights times scale round otherwise than sums times scale, in some 250 layers.
    for _ in range(2):
        assert_close(fused.forward()["prob"], want, Op.REDUCTION, 9 * 512 * 250)


def test_blobs_that_are_fused_away_say_so():
    plain, fused = pair("sknet_digits", {})
    fused.forward()
    for name in ("conv2_1/1x1_increase/bn", "conv2_1/B_axpy", "conv2_1"):
        with pytest.raises(RuntimeError, match=rf"'{name}'.*optimize=True"):
            _ = fused.blobs[name].data
    with pytest.raises(RuntimeError, match="optimize=True"):
        fused.forward(end=next(iter(fused.layer_dict)))
    with pytest.raises(RuntimeError, match=r"Backward.*optimize=True"):
        fused.backward()
    assert_close(
        fused.forward()["prob"], plain.forward()["prob"], Op.REDUCTION, 9 * 512 * 250
    )


def test_only_inference_is_optimised():
    definition = deploy(create_model("sknet_digits"), BATCH)
    with pytest.raises(ValueError, match="phase TRAIN, expected TEST"):
        caffe.Net(definition, caffe.TRAIN, optimize=True)
