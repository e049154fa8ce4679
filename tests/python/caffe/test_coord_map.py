"""Alignment of blobs: coordinates followed by hand through small nets."""

from __future__ import annotations

import pytest

import caffe
from caffe import coord_map
from caffe import layers as L
from caffe import params as P


def plain(coordinate_map):
    axis, a, b = coordinate_map
    return axis, a.tolist(), b.tolist()


@pytest.fixture
def data():
    return L.Input(shape={"dim": [1, 3, 100, 100]})


def test_convolution_without_pad_loses_its_border(data):
    conv = L.Convolution(data, kernel_size=5, num_output=1)
    # Output pixel x is centred on input pixel x + 2.
    assert plain(coord_map.coord_map_from_to(conv, data)) == (1, [1], [2])


def test_stride_and_pad(data):
    conv = L.Convolution(data, kernel_size=3, stride=2, pad=1, num_output=1)
    assert plain(coord_map.coord_map_from_to(conv, data)) == (1, [2], [0])
    assert plain(coord_map.coord_map_from_to(data, conv)) == (1, [0.5], [0])


def test_dilation_widens_the_kernel(data):
    conv = L.Convolution(data, kernel_size=3, dilation=4, num_output=1)
    assert plain(coord_map.coord_map_from_to(conv, data)) == (1, [1], [4])


def test_geometry_by_axis_and_in_a_dict(data):
    conv = L.Convolution(
        data,
        convolution_param={"num_output": 1, "kernel_h": 3, "kernel_w": 7},
    )
    assert plain(coord_map.coord_map_from_to(conv, data)) == (1, [1], [1, 3])
    pool = L.Pooling(data, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    assert plain(coord_map.coord_map_from_to(pool, data)) == (1, [2], [0.5])


def test_deconvolution_is_the_way_back(data):
    parameters = {"num_output": 1, "kernel_size": 4, "stride": 2, "pad": 1}
    down = L.Convolution(data, **parameters)
    up = L.Deconvolution(down, convolution_param=parameters)
    assert plain(coord_map.coord_map_from_to(up, data)) == (1, [1], [0])


def test_layers_that_keep_coordinates(data):
    top = L.ReLU(L.CuDNNBatchNorm(data), in_place=True)
    axis, a, b = coord_map.coord_map_from_to(top, data)
    assert (axis, a.tolist(), b.tolist()) == (None, [1], [0])
    sum_ = L.Eltwise(top, L.Convolution(data, kernel_size=1, num_output=3))
    assert plain(coord_map.coord_map_from_to(data, sum_))[1:] == ([1], [0])


def test_crop_follows_the_first_bottom(data):
    reference = L.Convolution(data, kernel_size=5, num_output=1)
    cut = L.Crop(data, reference, axis=2, offset=3)
    assert plain(coord_map.coord_map_from_to(data, cut)) == (1, [1], [-3])


def test_crop_aligns(data):
    # 100 -> 96 pixels, centred 2 further in.
    small = L.Convolution(data, kernel_size=5, num_output=1)
    layer = caffe.to_proto(coord_map.crop(data, small)).layer[-1]
    assert (layer.type, layer.crop_param.axis) == ("Crop", 2)
    assert list(layer.crop_param.offset) == [2]


def test_crop_of_a_blob_with_itself(data):
    layer = caffe.to_proto(coord_map.crop(L.ReLU(data), data)).layer[-1]
    assert (layer.crop_param.axis, list(layer.crop_param.offset)) == (2, [0])


def test_what_cannot_be_aligned(data):
    half = L.Convolution(data, kernel_size=1, stride=2, num_output=1)
    with pytest.raises(AssertionError, match="scales differ"):
        coord_map.crop(data, half)
    small = L.Convolution(data, kernel_size=5, num_output=1)
    with pytest.raises(AssertionError, match="negative"):
        coord_map.crop(small, data)
    even = L.Convolution(data, kernel_size=4, num_output=1)
    with pytest.raises(AssertionError, match="whole number"):
        coord_map.crop(data, even)
    with pytest.raises(RuntimeError, match="no path"):
        coord_map.coord_map_from_to(data, L.Input(shape={"dim": [1]}))
    flat = L.InnerProduct(data, num_output=1)
    with pytest.raises(RuntimeError, match="no path"):
        coord_map.coord_map_from_to(flat, data)
    with pytest.raises(coord_map.UndefinedMapException, match="InnerProduct"):
        coord_map.coord_map(flat.fn)
    with pytest.raises(coord_map.UndefinedMapException, match="kernel_size"):
        coord_map.coord_map(L.Pooling(data, global_pooling=True).fn)


def test_maps_of_different_axes(data):
    first = L.Convolution(data, kernel_size=3, num_output=1)
    second = L.Convolution(first, kernel_size=3, num_output=1, axis=2)
    with pytest.raises(coord_map.AxisMismatchException):
        coord_map.coord_map_from_to(second, data)
