"""NaN and infinities show alike in all ways of running a net."""

from __future__ import annotations

import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from sknet.models import create_model, deploy

VALUES = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


def digits(**options):
    """A small SKNet with statistics that keep the scores moderate."""
    caffe.set_random_seed(4)
    net = caffe.Net(deploy(create_model("sknet_digits"), 2), caffe.TEST, **options)
    for blobs in net.params.values():
        if len(blobs) == 4:
            blobs[3].data[...] = 1  # variance
    return net


def assert_alike(got, want, precision="float32"):
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    # Rounded before and after folding, bfloat16 operands differ.
    op = Op.REDUCTION if precision == "float32" else Op.BFLOAT16
    assert_close(got[finite], want[finite], op, terms=10_000)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", VALUES)
def test_a_damaged_weight_shows_in_every_way(name, precision, random):
    plain, fused = digits(), digits(optimize=True)
    plain.precision = fused.precision = precision
    image = random.standard_normal((2, 3, 32, 32)).astype(np.float32)
    for layer, blobs in plain.params.items():
        for index, blob in enumerate(blobs):
            place = blob.count // 2
            kept = blob.data.flat[place]
            for net in (plain, fused):
                net.params[layer][index].data.flat[place] = VALUES[name]
            want = plain.forward(data=image)["prob"].copy()
            got = fused.forward(data=image)["prob"]
            if name == "nan" and index < 2:
                assert np.isnan(want).all(), layer
            assert_alike(got, want, precision)
            for net in (plain, fused):
                net.params[layer][index].data.flat[place] = kept
    # And all is well again.
    got = fused.forward(data=image)["prob"]
    assert_alike(got, plain.forward(data=image)["prob"], precision)


@pytest.mark.parametrize("name", VALUES)
def test_a_damaged_image_shows_in_every_way(name, random):
    plain, fused = digits(), digits(optimize=True)
    image = random.standard_normal((2, 3, 32, 32)).astype(np.float32)
    image[1, 0, 7, 9] = VALUES[name]
    want = plain.forward(data=image)["prob"].copy()
    assert np.isfinite(want[0]).all()
    assert np.isnan(want[1]).all()
    assert_alike(fused.forward(data=image)["prob"], want)


def test_sums_that_overflow_show_in_every_way(random):
    """Where weights are finite, and only what comes of them is not."""
    plain, fused = digits(), digits(optimize=True)
    image = random.standard_normal((2, 3, 32, 32)).astype(np.float32)
    for layer, blobs in plain.params.items():
        if len(blobs) != 1:
            continue
        for net in (plain, fused):
            net.params[layer][0].data[...] *= 1e38
        want = plain.forward(data=image)["prob"].copy()
        assert_alike(fused.forward(data=image)["prob"], want)
        for net in (plain, fused):
            net.params[layer][0].data[...] /= 1e38
