"""NumPy arrays over blobs: shared memory, its life, and its place."""

from __future__ import annotations

import gc
import weakref

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe import layers as L


@pytest.fixture
def net():
    return caffe.Net(nets.convolutional(), caffe.TEST)


def test_arrays_share_the_memory(net):
    first, second = net.blobs["data"].data, net.blobs["data"].data
    assert np.shares_memory(first, second)
    first[...] = 3
    assert (second == 3).all()
    assert first.dtype == np.float32
    assert first.flags.c_contiguous
    assert first.flags.writeable
    assert not np.shares_memory(first, net.blobs["data"].diff)


def test_arrays_outlive_the_net(random):
    net = caffe.Net(nets.convolutional(), caffe.TEST)
    data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
    out = net.forward(data=data)["pool"]
    weights = net.params["conv1"][0].data
    kept, kept_weights = out.copy(), weights.copy()
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    # Memory that had been freed would be taken by these.
    others = [caffe.Net(nets.convolutional(), caffe.TEST) for _ in range(3)]
    for other in others:
        other.forward(data=np.full((2, 3, 16, 16), 9))
    assert_close(out, kept, Op.COPY)
    assert_close(weights, kept_weights, Op.COPY)
    out[...] = 1


def test_blobs_and_lists_outlive_the_net():
    net = caffe.Net(nets.convolutional(), caffe.TEST)
    blob, params, layer = net.blobs["data"], net.params["conv1"], net.layers[1]
    del net
    gc.collect()
    blob.data[...] = 1
    assert params[0].data.shape == (16, 3, 3, 3)
    assert layer.blobs[1].shape == (16,)
    blob.reshape(4, 4)
    assert blob.data.shape == (4, 4)


def test_a_kept_array_shows_each_run(net, random):
    # Between the convolutions data is not in Caffe's order; the array is.
    view = net.blobs["conv1"].data
    seen = []
    for _ in range(3):
        data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
        net.forward(data=data)
        fresh = caffe.Net(nets.convolutional(), caffe.TEST)
        fresh.share_with(net)
        want = fresh.forward(blobs=["conv1"], data=data)["conv1"]
        assert_close(view, want, Op.COPY)
        seen.append(view.copy())
    assert not np.array_equal(seen[0], seen[1])


def test_what_is_written_to_kept_arrays_counts(net, random):
    data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
    weights = net.params["conv2"][0].data
    bias = net.params["conv2"][1].data
    net.forward(data=data)
    weights[...] = 0
    bias[...] = np.arange(16)
    out = net.forward(data=data)["pool"]
    assert_close(out[0, :, 0, 0], np.arange(16), Op.REDUCTION, terms=256)


def test_a_kept_activation_can_be_written(net, random):
    data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
    view = net.blobs["conv2"].data
    net.forward(data=data)
    view[...] = 5
    out = net.forward(start="pool")["pool"]
    assert_close(out, np.full((2, 16, 1, 1), 5.0), Op.REDUCTION, terms=256)


def test_arrays_keep_their_shape_when_the_blob_is_reshaped(net):
    view = net.blobs["data"].data
    view[...] = 4
    net.blobs["data"].reshape(64, 3, 32, 32)
    net.reshape()
    net.forward()
    assert view.shape == (2, 3, 16, 16)
    assert (view == 4).all()
    assert net.blobs["data"].data.shape == (64, 3, 32, 32)


def test_scalars_and_empty_blobs():
    net = caffe.Net(nets.regression(), caffe.TRAIN)
    loss = net.forward()["loss"]
    assert loss.shape == ()
    assert float(loss) == 0
    empty = caffe.Blob(0, 3)
    assert empty.data.shape == (0, 3)


def test_blobs_of_their_own():
    blob = caffe.Blob(2, 3)
    assert (blob.data == 0).all()
    blob.diff[...] = 2
    assert (blob.diff == 2).all()
    blob.reshape(1, 2, 3)
    assert blob.shape == (1, 2, 3)
    assert caffe.Blob((4, 5)).shape == (4, 5)
    with pytest.raises(TypeError, match="'x' as an extent"):
        caffe.Blob("x", 3)
    with pytest.raises(TypeError, match="expected a whole number"):
        blob.reshape(2.5)
    with pytest.raises(ValueError, match="elements"):
        caffe.Blob(50000, 60000)


def test_arrays_of_memory_data_outlive_it(random):
    spec = caffe.NetSpec()
    spec.data, spec.label = L.MemoryData(
        batch_size=2, channels=1, height=2, width=3, ntop=2
    )
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    images = random.random((2, 1, 2, 3), dtype=np.float32)
    before = net.blobs["data"].data
    net.set_input_arrays(images.copy(), np.arange(2))
    net.forward()
    view = net.blobs["data"].data
    net.set_input_arrays(np.zeros_like(images), np.arange(2))
    del net
    gc.collect()
    assert_close(view, images, Op.COPY)
    before[...] = 1
