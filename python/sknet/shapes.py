"""Output shapes of layers: the engine's, or by rules where nothing is compiled.

The rules serve `sknet.models`' own nets; tests hold them against the engine for every
type of layer that it has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from caffe.net_spec import CONVOLUTIONS
from caffe.proto import caffe_pb2

Shape = tuple[int, ...]
ShapeRule = Callable[[Any, Sequence[Shape]], list[Shape]]


def engines_shapes(
    net: str, layers: Sequence[Any], sources: Mapping[str, Shape], phase: int
) -> dict[str, Shape]:
    """Shapes of all blobs of a net, as the engine computes them.

    Args:
        net: Its name.
        layers: Its LayerParameters; inputs take the place of those without a bottom, so
            that no file need be there.
        sources: Shapes of the tops of these, and of inputs that no layer makes.
        phase: caffe.TRAIN or caffe.TEST.

    Raises:
        ValueError: The engine's, for layers that it does not know or that do not fit.
    """
    import caffe

    def add_input(name: str, tops: Iterable[str]) -> None:
        layer = whole.layer.add(name=name, type="Input", top=tops)
        for top in tops:
            layer.input_param.shape.add(dim=sources[top])

    whole = caffe_pb2.NetParameter(name=net)
    if given := sources.keys() - {top for layer in layers for top in layer.top}:
        add_input("input", sorted(given))
    for layer in layers:
        if layer.bottom:
            whole.layer.append(layer)
        else:
            add_input(layer.name, layer.top)
    for layer in whole.layer:  # zeros, because random numbers take seconds
        for field in ("convolution_param", "inner_product_param"):
            if layer.HasField(field):
                getattr(layer, field).ClearField("weight_filler")
    with caffe.quiet():
        built = caffe.Net(whole, phase)
    return {name: tuple(blob.shape) for name, blob in built.blobs.items()}


def infer(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """Shapes of the tops of `layer` (a LayerParameter) for those of its bottoms.

    Raises:
        ValueError: The type is unknown here, or the shapes do not fit together.
    """
    rule = _RULES.get(layer.type)
    who = f"layer '{layer.name}' ({layer.type})"
    if rule is None:
        raise ValueError(
            f"{who}: there is no rule for the shapes of this type, as Python layers "
            "and plugins tell them in their code; take it out of the definition"
        )
    try:
        tops = rule(layer, bottoms)
    except IndexError:
        raise ValueError(
            f"{who}: {len(bottoms)} bottoms, more expected or with more axes"
        ) from None
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None
    for top in tops:
        if any(extent < 1 for extent in top):
            raise ValueError(f"{who}: output shape {top} has an empty axis")
    return tops[: len(layer.top)]


def canonical(axis: int, shape: Shape) -> int:
    """`axis` counted from the front."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"axis {axis} is outside shape {shape}")
    return axis % len(shape)


def _spatial(param: Any, name: str, axes: int, default: int) -> list[int]:
    """Per-axis values of a repeated field, or of its _h/_w pair."""
    short = {"kernel_size": "kernel"}.get(name, name)
    if axes == 2 and hasattr(param, f"{short}_h"):
        pair = getattr(param, f"{short}_h"), getattr(param, f"{short}_w")
        if any(pair):
            return list(pair)
    values = getattr(param, name)
    values = list(values) if hasattr(values, "__len__") else [values]
    if not values:
        return [default] * axes
    if len(values) not in (1, axes):
        raise ValueError(f"{len(values)} values of {name}, expected 1 or {axes}")
    return values * axes if len(values) == 1 else values


def conv_geometry(param: Any, axes: int) -> list[tuple[int, int, int, int]]:
    """(kernel, stride, pad, dilation) of each spatial axis of a convolution."""
    return list(
        zip(
            _spatial(param, "kernel_size", axes, 0),
            _spatial(param, "stride", axes, 1),
            _spatial(param, "pad", axes, 0),
            _spatial(param, "dilation", axes, 1),
            strict=True,
        )
    )


def conv_outputs(layer: Any, channels: int) -> tuple[int, int]:
    """(num_output, group) of a convolution that reads so many channels.

    Both are the number of channels in forks' depthwise layers, given or not.
    """
    param = layer.convolution_param
    if layer.type not in CONVOLUTIONS[1:]:
        return param.num_output, param.group
    for name in ("num_output", "group"):
        if param.HasField(name) and getattr(param, name) != channels:
            raise ValueError(
                f"{name} is {getattr(param, name)}, expected {channels}, the channels "
                "of bottom[0], or nothing; write type Convolution for another number"
            )
    return channels, channels


def _convolution(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.convolution_param
    transposed = layer.type == "Deconvolution"
    tops = []
    for bottom in bottoms:
        channel = canonical(param.axis, bottom)
        num_output, group = conv_outputs(layer, bottom[channel])
        if bottom[channel] % group or num_output % group:
            raise ValueError(
                f"group {group} does not divide the {bottom[channel]} input and "
                f"{num_output} output channels"
            )
        sizes = bottom[channel + 1 :]
        out = []
        for size, (kernel, stride, pad, dilation) in zip(
            sizes, conv_geometry(param, len(sizes)), strict=True
        ):
            extent = dilation * (kernel - 1) + 1
            out.append(
                stride * (size - 1) + extent - 2 * pad
                if transposed
                else (size + 2 * pad - extent) // stride + 1
            )
        tops.append((*bottom[:channel], num_output, *out))
    return tops


def _pooling(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.pooling_param
    bottom = bottoms[0]
    if len(bottom) != 4:
        raise ValueError(f"bottom shape {bottom}, expected (N, C, H, W)")
    if param.global_pooling:
        return [(*bottom[:2], 1, 1)] * 2
    out = []
    # The second is other forks' word for it, which the engine's reader replaces.
    floor = param.round_mode == param.FLOOR or (
        param.HasField("ceil_mode") and not param.ceil_mode
    )
    for size, kernel, stride, pad in zip(
        bottom[2:],
        _spatial(param, "kernel_size", 2, 0),
        _spatial(param, "stride", 2, 1),
        _spatial(param, "pad", 2, 0),
        strict=True,
    ):
        room = size + 2 * pad - kernel
        pooled = (room // stride if floor else -(-room // stride)) + 1
        # A window that would start behind the image is left out.
        if (pooled - 1) * stride >= size + pad:
            pooled -= 1
        out.append(pooled)
    return [(*bottom[:2], *out)] * 2


def _interp(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    if len(bottoms[0]) != 4:
        raise ValueError(f"bottom shape {bottoms[0]}, expected (N, C, H, W)")
    if len(bottoms) == 2:
        return [(*bottoms[0][:2], *bottoms[1][2:])]
    param = layer.interp_param
    pads = param.pad_beg + param.pad_end  # negative: cropped
    sides = []
    for size, given in zip(bottoms[0][2:], (param.height, param.width), strict=True):
        side = size + pads
        if param.shrink_factor > 1:
            side = (side - 1) // param.shrink_factor + 1
        if param.zoom_factor > 1:
            side += (side - 1) * (param.zoom_factor - 1)
        sides.append(given or side)
    return [(*bottoms[0][:2], *sides)]


def _inner_product(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.inner_product_param
    axis = canonical(param.axis, bottoms[0])
    return [(*bottoms[0][:axis], param.num_output)]


def _eltwise(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    if any(bottom != bottoms[0] for bottom in bottoms):
        raise ValueError(f"bottom shapes {list(bottoms)}, expected equal ones")
    return [bottoms[0]]


def _axpy(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    a, x, y = bottoms[0], bottoms[1], bottoms[2]
    if x != y or a[:2] != x[:2]:
        raise ValueError(
            f"bottom shapes a {a}, x {x}, y {y}, expected (N, C, 1, 1) and twice "
            "(N, C, H, W)"
        )
    return [x]


def _argmax(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.argmax_param
    bottom = bottoms[0]
    if param.HasField("axis"):
        axis = canonical(param.axis, bottom)
        return [(*bottom[:axis], param.top_k, *bottom[axis + 1 :])]
    ones = (1,) * (len(bottom) - 3)
    return [(bottom[0], 2 if param.out_max_val else 1, param.top_k, *ones)]


def _reduction(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [bottoms[0][: canonical(layer.reduction_param.axis, bottoms[0])]]


def _concat(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    first = bottoms[0]
    axis = canonical(axis, first)
    for bottom in bottoms:
        if (*bottom[:axis], *bottom[axis + 1 :]) != (*first[:axis], *first[axis + 1 :]):
            raise ValueError(f"bottom shape {bottom} does not fit {first} but for axis")
    return [(*first[:axis], sum(b[axis] for b in bottoms), *first[axis + 1 :])]


def _slice(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.slice_param
    bottom = bottoms[0]
    axis = canonical(
        param.slice_dim if param.HasField("slice_dim") else param.axis, bottom
    )
    size = bottom[axis]
    points = list(param.slice_point)
    if not points:
        if size % len(layer.top):
            raise ValueError(f"{len(layer.top)} tops do not divide an axis of {size}")
        step = size // len(layer.top)
        points = list(range(step, size, step))
    if len(points) != len(layer.top) - 1:
        raise ValueError(f"{len(points)} slice points for {len(layer.top)} tops")
    edges = [0, *points, size]
    return [
        (*bottom[:axis], end - start, *bottom[axis + 1 :])
        for start, end in pairwise(edges)
    ]


def _reshape(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.reshape_param
    bottom = bottoms[0]
    start = param.axis if param.axis >= 0 else len(bottom) + param.axis + 1
    end = len(bottom) if param.num_axes == -1 else start + param.num_axes
    dims = list(param.shape.dim)
    new = [bottom[start + i] if dim == 0 else dim for i, dim in enumerate(dims)]
    if -1 in new:
        index = new.index(-1)
        known = math.prod(bottom[:start]) * math.prod(bottom[end:])
        known *= math.prod(dim for i, dim in enumerate(new) if i != index)
        new[index] = math.prod(bottom) // known
    top = (*bottom[:start], *new, *bottom[end:])
    if math.prod(top) != math.prod(bottom):
        raise ValueError(f"{bottom} cannot be reshaped to {top}: other element count")
    return [top]


def _flatten(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    bottom = bottoms[0]
    start = canonical(layer.flatten_param.axis, bottom)
    end = canonical(layer.flatten_param.end_axis, bottom) + 1
    return [(*bottom[:start], math.prod(bottom[start:end]), *bottom[end:])]


def _crop(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    axis = canonical(layer.crop_param.axis, bottoms[0])
    if len(bottoms[0]) != len(bottoms[1]):
        raise ValueError(f"bottom shapes {list(bottoms)}, expected as many axes")
    return [(*bottoms[0][:axis], *bottoms[1][axis:])]


def _embed(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [(*bottoms[0], layer.embed_param.num_output)]


def _batch_reindex(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [(*bottoms[1], *bottoms[0][1:])]


def _filter(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    # As many rows as there can be; the selector decides.
    return list(bottoms[:-1])


def _im2col(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param, bottom = layer.convolution_param, bottoms[0]
    channel = canonical(param.axis, bottom)
    rows, out = bottom[channel], []
    sizes = bottom[channel + 1 :]
    geometry = conv_geometry(param, len(sizes))
    for size, (kernel, stride, pad, dilation) in zip(sizes, geometry, strict=True):
        rows *= kernel
        out.append((size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1)
    return [(*bottom[:channel], rows, *out)]


def _spp(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    images, channels = bottoms[0][:2]
    height = layer.spp_param.pyramid_height
    if height == 1:
        return [(images, channels, 1, 1)]
    return [(images, channels * (4**height - 1) // 3)]


def _parameter(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [tuple(layer.parameter_param.shape.dim)]


def recurrent_states(layer: Any) -> int:
    """How many states an RNN or LSTM takes and gives: none, unless they are exposed."""
    if not layer.recurrent_param.expose_hidden:
        return 0
    return 2 if layer.type == "LSTM" else 1


def _recurrent(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    steps, streams = bottoms[0][:2]
    outputs = layer.recurrent_param.num_output
    states = [(1, streams, outputs)] * recurrent_states(layer)
    return [(steps, streams, outputs), *states]


def _lstm_unit(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [bottoms[0]] * 2


def _tile(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    bottom = bottoms[0]
    axis = canonical(layer.tile_param.axis, bottom)
    tiled = bottom[axis] * layer.tile_param.tiles
    return [(*bottom[:axis], tiled, *bottom[axis + 1 :])]


def _same(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    return [bottoms[0]] * len(layer.top)


def _scalar(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    # A second top holds per-class accuracies or, for losses, the probabilities.
    return [(), bottoms[0]]


def _accuracy(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    axis = canonical(layer.accuracy_param.axis, bottoms[0])
    return [(), (bottoms[0][axis],)]


def _input(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    return shapes * len(layer.top) if len(shapes) == 1 else shapes


def _data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """Batches of crops; the size of whole images stands in the data only."""
    crop = layer.transform_param.crop_size
    if not crop:
        raise ValueError("the image size is in the data; give shapes of the tops")
    batch = layer.data_param.batch_size
    channels = 1 if layer.transform_param.force_gray else 3
    return [(batch, channels, crop, crop), (batch,)]


def _image_data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param, transform = layer.image_data_param, layer.transform_param
    size = (transform.crop_size,) * 2
    if not transform.crop_size:
        size = param.new_height, param.new_width
        if not all(size) or transform.resize_short:
            raise ValueError("the image size is in the data; give shapes of the tops")
    channels = 3 if param.is_color and not transform.force_gray else 1
    return [(param.batch_size, channels, *size), (param.batch_size,)]


def _memory_data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.memory_data_param
    image = param.channels, param.height, param.width
    return [(param.batch_size, *image), (param.batch_size,)]


def _hdf5_data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    raise ValueError("the shapes are in the files; give shapes of the tops")


def _window_data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """Of colour images, as the lists that there are have them."""
    batch, crop = layer.window_data_param.batch_size, layer.transform_param.crop_size
    return [(batch, 3, crop, crop), (batch,)]


def _dummy_data(layer: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    param = layer.dummy_data_param
    shapes = [tuple(shape.dim) for shape in param.shape]
    if not shapes:
        fields = [param.num, param.channels, param.height, param.width]
        longest = max(map(len, fields))
        # One value serves all tops.
        rows = [list(f) * longest if len(f) == 1 else list(f) for f in fields]
        shapes = list(zip(*rows, strict=False))
    return shapes * len(layer.top) if len(shapes) == 1 else shapes


_RULES: dict[str, ShapeRule] = {
    "Accuracy": _accuracy,
    "ArgMax": _argmax,
    "Axpy": _axpy,
    "BatchReindex": _batch_reindex,
    "Concat": _concat,
    "ContrastiveLoss": _scalar,
    **dict.fromkeys(CONVOLUTIONS, _convolution),
    "Crop": _crop,
    "Data": _data,
    "Deconvolution": _convolution,
    "DummyData": _dummy_data,
    "Eltwise": _eltwise,
    "Embed": _embed,
    "EuclideanLoss": _scalar,
    "Filter": _filter,
    "Flatten": _flatten,
    "HDF5Data": _hdf5_data,
    "HDF5Output": lambda layer, bottoms: [],
    "HingeLoss": _scalar,
    "Im2col": _im2col,
    "ImageData": _image_data,
    "InfogainLoss": _scalar,
    "InnerProduct": _inner_product,
    "Input": _input,
    "Interp": _interp,
    "LSTM": _recurrent,
    "LSTMUnit": _lstm_unit,
    "MemoryData": _memory_data,
    "MultinomialLogisticLoss": _scalar,
    "Parameter": _parameter,
    "Pooling": _pooling,
    "RNN": _recurrent,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "SPP": _spp,
    "SigmoidCrossEntropyLoss": _scalar,
    "Silence": lambda layer, bottoms: [],
    "Slice": _slice,
    "SoftmaxWithLoss": _scalar,
    "Tile": _tile,
    "WindowData": _window_data,
    **dict.fromkeys(
        (
            "AbsVal",
            "BNLL",
            "BatchNorm",
            "Bias",
            "Clip",
            "CuDNNBatchNorm",
            "Dropout",
            "ELU",
            "Exp",
            "LRN",
            "Log",
            "MVN",
            "PReLU",
            "Power",
            "ReLU",
            "Scale",
            "Sigmoid",
            "Softmax",
            "Split",
            "Swish",
            "TanH",
            "Threshold",
        ),
        _same,
    ),
}
