"""Shape rules against counting the windows one by one, and against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import assume, given
from hypothesis import strategies as st

from caffe.proto import caffe_pb2
from sknet.shapes import infer


def layer(text: str):
    message = caffe_pb2.LayerParameter(name="l", top=["y"])
    text_format.Parse(text, message)
    return message


def windows(size: int, extent: int, stride: int, pad: int) -> int:
    """Windows that lie wholly inside the padded axis."""
    starts = range(-pad, size + pad, stride)
    return sum(start + extent <= size + pad for start in starts)


GEOMETRY = {
    "size": st.integers(1, 40),
    "kernel": st.integers(1, 7),
    "stride": st.integers(1, 4),
    "pad": st.integers(0, 3),
}


@given(**GEOMETRY, dilation=st.integers(1, 3))
def test_convolution_counts_the_windows_inside(size, kernel, stride, pad, dilation):
    expected = windows(size, dilation * (kernel - 1) + 1, stride, pad)
    assume(expected > 0)
    text = (
        f'type: "Convolution" convolution_param {{ num_output: 6 pad: {pad} '
        f"kernel_size: {kernel} stride: {stride} dilation: {dilation} }}"
    )
    assert infer(layer(text), [(2, 3, size, size)]) == [(2, 6, expected, expected)]


@given(**GEOMETRY)
def test_deconvolution_inverts_convolution(size, kernel, stride, pad):
    assume(stride * (size - 1) + kernel > 2 * pad)
    text = (
        'type: "Deconvolution" convolution_param { num_output: 6 '
        f"kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    )
    (top,) = infer(layer(text), [(1, 2, size, size)])
    assert top[:2] == (1, 6)
    assert [windows(up, kernel, stride, pad) for up in top[2:]] == [size, size]


@given(**GEOMETRY)
def test_pooling_covers_the_image_and_clips_the_last_window(size, kernel, stride, pad):
    assume(pad < kernel <= size + 2 * pad)
    text = (
        f'type: "Pooling" pooling_param {{ kernel_size: {kernel} stride: {stride} '
        f"pad: {pad} }}"
    )
    (top,) = infer(layer(text), [(1, 4, size, size)])
    starts = [start - pad for start in range(0, size + 2 * pad, stride)]
    inside = [start for start in starts if start + kernel <= size + pad]
    # One window more than fit if pixels or padding are left, and if it begins before
    # the end of the image.
    rest = size + pad - (inside[-1] + kernel)
    overhang = rest > 0 and inside[-1] + stride < size
    assert top[2] == len(inside) + overhang


@given(
    size=st.integers(1, 40),
    shrink=st.integers(1, 4),
    zoom=st.integers(1, 4),
    cut=st.integers(0, 3),
)
def test_interp_keeps_every_nth_pixel_and_puts_others_between(size, shrink, zoom, cut):
    assume(cut < size)
    text = (
        f'type: "Interp" interp_param {{ shrink_factor: {shrink} zoom_factor: {zoom} '
        f"pad_end: {-cut} }}"
    )
    kept = len(range(0, size - cut, shrink))
    between = (zoom - 1) * (kept - 1)
    expected = [(2, 3, kept + between, kept + between)]
    assert infer(layer(text), [(2, 3, size, size)]) == expected


def test_interp_takes_a_size_outright_or_from_the_second_bottom():
    text = 'type: "Interp" interp_param { height: 5 width: 7 }'
    assert infer(layer(text), [(2, 3, 4, 4)]) == [(2, 3, 5, 7)]
    assert infer(layer('type: "Interp"'), [(2, 3, 4, 4), (1, 8, 6, 9)]) == [
        (2, 3, 6, 9)
    ]


@given(
    shape=st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple),
    data=st.data(),
)
def test_reshape_flatten_tile_and_concat_agree_with_numpy(shape, data):
    array = np.zeros(shape)
    axis = data.draw(st.integers(0, len(shape) - 1))
    end = data.draw(st.integers(axis, len(shape) - 1))
    flat = array.reshape(*shape[:axis], -1, *shape[end + 1 :])
    text = f'type: "Flatten" flatten_param {{ axis: {axis} end_axis: {end} }}'
    assert infer(layer(text), [shape]) == [flat.shape]

    text = (
        f'type: "Reshape" reshape_param {{ axis: {axis} num_axes: {end - axis + 1} '
        "shape { dim: -1 dim: 1 } }"
    )
    expected = array.reshape(*shape[:axis], -1, 1, *shape[end + 1 :])
    assert infer(layer(text), [shape]) == [expected.shape]

    text = f'type: "Tile" tile_param {{ axis: {axis} tiles: 3 }}'
    assert infer(layer(text), [shape]) == [array.repeat(3, axis).shape]

    text = f'type: "Concat" concat_param {{ axis: {axis} }}'
    assert infer(layer(text), [shape, shape]) == [
        np.concatenate([array, array], axis).shape
    ]


@given(cuts=st.lists(st.integers(1, 6), min_size=2, max_size=5))
def test_slice_undoes_concat(cuts):
    parts = [(2, cut, 3) for cut in cuts]
    (joined,) = infer(layer('type: "Concat"'), parts)
    points = " ".join(f"slice_point: {sum(cuts[:i])}" for i in range(1, len(cuts)))
    slicer = layer(f'type: "Slice" slice_param {{ {points} }}')
    slicer.top.extend(["z"] * (len(cuts) - 1))
    assert infer(slicer, [joined]) == parts


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        (
            'type: "Nonsense"',
            [],
            r"layer 'l' \(Nonsense\): there is no rule for the shapes",
        ),
        ('type: "Axpy"', [(1, 2, 1, 1)], "1 bottoms, more expected"),
        ('type: "Axpy"', [(1, 2, 1, 1), (1, 3, 4, 4), (1, 3, 4, 4)], "expected"),
        ('type: "Eltwise"', [(1, 2), (1, 3)], "expected equal ones"),
        ('type: "Softmax"', [], "0 bottoms, more expected"),
        ('type: "Pooling" pooling_param { kernel_size: 2 }', [(1, 2)], "expected"),
        (
            'type: "Convolution" convolution_param '
            "{ num_output: 4 group: 3 kernel_size: 1 }",
            [(1, 6, 2, 2)],
            "group 3 does not divide",
        ),
        (
            'type: "Convolution" convolution_param { num_output: 4 kernel_size: 9 }',
            [(1, 6, 2, 2)],
            "has an empty axis",
        ),
        (
            'type: "Reshape" reshape_param { shape { dim: 7 } }',
            [(2, 3)],
            "other element count",
        ),
        ('type: "Flatten" flatten_param { axis: 5 }', [(2, 3)], "axis 5 is outside"),
        ('type: "Data"', [], "the image size is in the data"),
    ],
)
def test_misfits_name_the_layer(text, bottoms, message):
    with pytest.raises(ValueError, match=message):
        infer(layer(text), bottoms)
