"""What each layer type is in ONNX.

A rule takes a `Layer` and adds nodes that compute its tops; sums, exponents and window
sizes follow the engine's layers, whose headers under include/caffe/layers define them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sknet.convert.export.graph import Array, Graph, Shape, Tensor
from sknet.shapes import canonical, conv_geometry, recurrent_states


@dataclass(frozen=True)
class Layer:
    """One layer of the net.

    Attributes:
        param: Its LayerParameter.
        blobs: Its learned arrays.
        bottoms: What it reads.
        tops: What it has to give: names, and the shapes that the engine computed.
    """

    param: Any
    blobs: list[Array]
    bottoms: list[Tensor]
    tops: list[Tensor]

    @property
    def name(self) -> str:
        """Name in the net."""
        name: str = self.param.name
        return name

    def value(self, what: str) -> str:
        """A name for a value between the layer's operators."""
        return f"{self.tops[0].name}.{what}"

    def constant(self, what: str) -> str:
        """A name for one of its constants."""
        return f"{self.name}.{what}"

    def unsupported(self, what: str) -> NotImplementedError:
        """The error for a setting that has no translation."""
        return NotImplementedError(
            f"layer '{self.name}' ({self.param.type}): {what} cannot be exported to "
            "ONNX; remove the layer or replace it in the prototxt"
        )


Rule = Callable[[Graph, Layer], None]


def _reshaped(graph: Graph, value: str, shape: Shape, output: str) -> str:
    target = graph.constant(f"{output}.shape", shape, np.int64)
    return graph.add("Reshape", [value, target], [output])


def _scalar(graph: Graph, layer: Layer, what: str, value: float) -> str:
    return graph.constant(layer.constant(what), np.float32(value))


def _convolution(graph: Graph, layer: Layer) -> None:
    param = layer.param.convolution_param
    transposed = layer.param.type == "Deconvolution"
    weights = graph.constant(layer.constant("weights"), layer.blobs[0])
    learned = [weights]
    if param.bias_term:
        learned.append(graph.constant(layer.constant("bias"), layer.blobs[1].ravel()))
    for bottom, top in zip(layer.bottoms, layer.tops, strict=True):
        channel = canonical(param.axis, bottom.shape)
        geometry = conv_geometry(param, len(bottom.shape) - channel - 1)
        if not geometry:
            raise layer.unsupported("a convolution without spatial axes")
        value = bottom.name
        output = top.name
        if channel != 1:
            # ONNX has one batch axis in front of the channels.
            batch = math.prod(bottom.shape[:channel])
            merged = (batch, *bottom.shape[channel:])
            value = _reshaped(graph, value, merged, f"{top.name}.merged")
            output = f"{top.name}.convolved"
        kernel, stride, pad, dilation = zip(*geometry, strict=True)
        graph.add(
            "ConvTranspose" if transposed else "Conv",
            [value, *learned],
            [output],
            kernel_shape=kernel,
            strides=stride,
            pads=pad * 2,
            dilations=dilation,
            group=param.group,
        )
        if channel != 1:
            _reshaped(graph, output, top.shape, top.name)


def _inner_product(graph: Graph, layer: Layer) -> None:
    param = layer.param.inner_product_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    axis = canonical(param.axis, bottom.shape)
    rows, inputs = math.prod(bottom.shape[:axis]), math.prod(bottom.shape[axis:])
    value = bottom.name
    if bottom.shape != (rows, inputs):
        value = _reshaped(graph, value, (rows, inputs), layer.value("rows"))
    weights = layer.blobs[0].reshape(
        (inputs, param.num_output) if param.transpose else (param.num_output, inputs)
    )
    operands = [value, graph.constant(layer.constant("weights"), weights)]
    if param.bias_term:
        operands.append(graph.constant(layer.constant("bias"), layer.blobs[1].ravel()))
    product = (rows, param.num_output)
    output = top.name if top.shape == product else layer.value("product")
    graph.add("Gemm", operands, [output], transB=int(not param.transpose))
    if top.shape != product:
        _reshaped(graph, output, top.shape, top.name)


def _pooling(graph: Graph, layer: Layer) -> None:
    param = layer.param.pooling_param
    (bottom,) = layer.bottoms
    top = layer.tops[0]
    sizes = bottom.shape[2:]
    if param.global_pooling:
        kernel, stride, pad = sizes, (1, 1), (0, 0)
    else:
        kernel = (
            (param.kernel_size,) * 2
            if param.HasField("kernel_size")
            else (param.kernel_h, param.kernel_w)
        )
        stride = (
            (param.stride_h, param.stride_w)
            if param.HasField("stride_h")
            else (param.stride,) * 2
        )
        pad = (
            (param.pad_h, param.pad_w)
            if param.HasField("pad_h") or param.HasField("pad_w")
            else (param.pad,) * 2
        )
    windows = {
        "kernel_shape": kernel,
        "strides": stride,
        **_window_counts(top.shape[2:], sizes, kernel, stride, pad),
    }
    if param.pool == param.MAX:
        _max_pooling(graph, layer, windows)
    elif param.pool == param.AVE:
        if param.global_pooling:
            graph.add("GlobalAveragePool", [bottom.name], [top.name])
        else:
            _average(graph, layer, bottom, top, windows)
    else:
        raise layer.unsupported("stochastic pooling")


def _window_counts(
    counts: Shape, sizes: Shape, kernel: Shape, stride: Shape, pad: Shape
) -> dict[str, Any]:
    """The attributes that make as many windows as the engine has.

    Importers differ over pads that are not the same on both sides. The engine rounds
    the number of windows up, and then leaves out those that begin behind the image.
    """
    room = [
        (size + 2 * p - k, s)
        for size, k, s, p in zip(sizes, kernel, stride, pad, strict=True)
    ]
    if counts == tuple(extent // s + 1 for extent, s in room):
        return {"pads": pad * 2}
    if counts == tuple(-(-extent // s) + 1 for extent, s in room):
        return {"pads": pad * 2, "ceil_mode": 1}
    # One axis has a window more and the other has it left out.
    behind = tuple(
        max(0, p + (count - 1) * s - extent)
        for count, (extent, s), p in zip(counts, room, pad, strict=True)
    )
    return {"pads": pad + behind}


def _max_pooling(graph: Graph, layer: Layer, windows: dict[str, Any]) -> None:
    (bottom,) = layer.bottoms
    top = layer.tops[0]
    if len(layer.tops) == 1:
        graph.add("MaxPool", [bottom.name], [top.name], **windows)
        return
    # ONNX counts places in the whole array, Caffe in each image plane.
    places = layer.value("places")
    graph.add("MaxPool", [bottom.name], [top.name, places], **windows)
    plane = math.prod(bottom.shape[2:])
    size = graph.constant(layer.constant("plane"), plane, np.int64)
    in_plane = graph.add("Mod", [places, size], [layer.value("in_plane")])
    graph.add("Cast", [in_plane], [layer.tops[1].name], to=_FLOAT)


def _average(
    graph: Graph, layer: Layer, bottom: Tensor, top: Tensor, windows: dict[str, Any]
) -> None:
    """Means over windows, which the engine clips to the image and its padding.

    ONNX can divide by the pixels alone, which every importer reads right, or by the
    whole window, where they differ over `count_include_pad`. So it divides by the
    pixels, and a factor makes that the clipped window; without padding it is 1.
    """
    shares = []
    kernel, stride = windows["kernel_shape"], windows["strides"]
    pad = windows["pads"][:2]
    for count, s, k, size, p in zip(
        top.shape[2:], stride, kernel, bottom.shape[2:], pad, strict=True
    ):
        start = np.arange(count) * s - p
        pixels = np.minimum(start + k, size) - np.maximum(start, 0)
        shares.append(pixels / (np.minimum(start + k, size + p) - start))
    share = np.multiply.outer(*shares)
    padded = bool(np.any(share != 1))
    average = layer.value("average") if padded else top.name
    graph.add("AveragePool", [bottom.name], [average], **windows)
    if padded:
        factor = graph.constant(layer.constant("pixels"), share[None, None])
        graph.add("Mul", [average, factor], [top.name])


def _statistics(graph: Graph, layer: Layer) -> tuple[Array, Array, Array, Array, float]:
    """Scale, bias, mean, variance (each (C,)) and eps of a batch norm."""
    flat = [blob.ravel().astype(np.float64) for blob in layer.blobs]
    if layer.param.type == "CuDNNBatchNorm":
        scale, bias, mean, variance = flat
        # cuDNN's smallest value, which the engine keeps.
        return (
            scale,
            bias,
            mean,
            variance,
            max(layer.param.cudnn_batch_norm_param.eps, 1e-5),
        )
    mean, variance, factor = flat
    unit = 0.0 if factor[0] == 0 else 1 / factor[0]
    ones = np.ones_like(mean)
    eps = layer.param.batch_norm_param.eps
    return ones, 0 * ones, mean * unit, variance * unit, eps


def _batch_norm(graph: Graph, layer: Layer) -> None:
    (bottom,), (top,) = layer.bottoms, layer.tops
    param = layer.param.batch_norm_param
    if (
        layer.param.type == "BatchNorm"
        and param.HasField("use_global_stats")
        and not param.use_global_stats
    ):
        _normalised_by_batch(graph, layer)
        return
    scale, bias, mean, variance, eps = _statistics(graph, layer)
    factor = scale / np.sqrt(variance + eps)
    affine = factor, bias - mean * factor
    axes = len(bottom.shape)
    if axes == 1:
        _affine(graph, bottom, top, *affine)
        return
    names = [
        graph.constant(layer.constant(name), array)
        for name, array in (
            ("scale", scale),
            ("bias", bias),
            ("mean", mean),
            ("variance", variance),
        )
    ]
    graph.add(
        "BatchNormalization",
        [bottom.name, *names],
        [top.name],
        affine=affine,
        epsilon=eps,
    )


def _normalised_by_batch(graph: Graph, layer: Layer) -> None:
    """BatchNorm with `use_global_stats: false`, in TEST too."""
    (bottom,), (top,) = layer.bottoms, layer.tops
    shape = bottom.shape
    value, output = bottom.name, top.name
    if len(shape) > 3:
        # As one axis: OpenCV's sums over four axes of a volume are wrong.
        lines = (*shape[:2], math.prod(shape[2:]))
        value = _reshaped(graph, value, lines, layer.value("lines"))
        output = layer.value("normalised")
    axes = [axis for axis in (0, 2) if axis < len(shape)]
    mean = graph.reduce("ReduceMean", value, axes, layer.value("mean"), keep=True)
    centred = graph.add("Sub", [value, mean], [layer.value("centred")])
    square = graph.add("Mul", [centred, centred], [layer.value("square")])
    variance = graph.reduce(
        "ReduceMean", square, axes, layer.value("variance"), keep=True
    )
    eps = _scalar(graph, layer, "eps", layer.param.batch_norm_param.eps)
    raised = graph.add("Add", [variance, eps], [layer.value("raised")])
    deviation = graph.add("Sqrt", [raised], [layer.value("deviation")])
    graph.add("Div", [centred, deviation], [output])
    if output != top.name:
        _reshaped(graph, output, top.shape, top.name)


def _affine(
    graph: Graph, bottom: Tensor, top: Tensor, factor: Array, term: Array
) -> None:
    """One node for factor * x + term by channel, which can be folded."""
    graph.add(
        "Affine",
        [bottom.name],
        [top.name],
        affine=(factor.astype(np.float64), term.astype(np.float64)),
        axes=max(len(bottom.shape), 2),
    )


def _coefficient(
    graph: Graph, layer: Layer, name: str, shape: Shape, axis: int, output: str
) -> str:
    """Gives a bottom the axes that let it multiply bottom[0] from `axis` on."""
    axes = len(layer.bottoms[0].shape)
    full = (1,) * axis + shape + (1,) * (axes - axis - len(shape))
    return name if full == shape else _reshaped(graph, name, full, output)


def _place(layer: Layer, axis: int) -> tuple[Shape, int, bool]:
    """Shape and first axis of a Scale or Bias, and if it has learned a channel each."""
    bottom, learned = layer.bottoms[0].shape, len(layer.bottoms) == 1
    shape = layer.blobs[0].shape if learned else layer.bottoms[1].shape
    axis = canonical(axis, bottom) if shape else 0
    return shape, axis, learned and axis == 1 and len(shape) == 1 and len(bottom) > 1


def _spread(graph: Graph, layer: Layer, values: Array, axis: int, name: str) -> str:
    ones = (1,) * (len(layer.bottoms[0].shape) - axis - values.ndim)
    return graph.constant(layer.constant(name), values.reshape(values.shape + ones))


def _operand(graph: Graph, layer: Layer, shape: Shape, axis: int, name: str) -> str:
    if len(layer.bottoms) == 1:
        return _spread(graph, layer, layer.blobs[0], axis, name)
    given = layer.bottoms[1].name
    return _coefficient(graph, layer, given, shape, axis, layer.value(name))


def _scale(graph: Graph, layer: Layer) -> None:
    param = layer.param.scale_param
    bottom, top = layer.bottoms[0], layer.tops[0]
    shape, axis, by_channel = _place(layer, param.axis)
    bias = layer.blobs[-1] if param.bias_term else np.zeros(shape)
    if by_channel:
        _affine(graph, bottom, top, layer.blobs[0], bias)
        return
    factor = _operand(graph, layer, shape, axis, "scale")
    product = layer.value("scaled") if param.bias_term else top.name
    graph.add("Mul", [bottom.name, factor], [product])
    if param.bias_term:
        term = _spread(graph, layer, bias, axis, "bias")
        graph.add("Add", [product, term], [top.name])


def _bias(graph: Graph, layer: Layer) -> None:
    bottom, top = layer.bottoms[0], layer.tops[0]
    shape, axis, by_channel = _place(layer, layer.param.bias_param.axis)
    if by_channel:
        _affine(graph, bottom, top, np.ones(shape), layer.blobs[0])
        return
    term = _operand(graph, layer, shape, axis, "bias")
    graph.add("Add", [bottom.name, term], [top.name])


def _axpy(graph: Graph, layer: Layer) -> None:
    a, x, y = layer.bottoms
    full = a.shape[:2] + (1,) * (len(x.shape) - 2)
    factor = a.name
    if a.shape != full:
        factor = _reshaped(graph, factor, full, layer.value("a"))
    product = graph.add("Mul", [factor, x.name], [layer.value("weighed")])
    graph.add("Add", [product, y.name], [layer.tops[0].name])


def _relu(graph: Graph, layer: Layer) -> None:
    slope = layer.param.relu_param.negative_slope
    names = [layer.bottoms[0].name], [layer.tops[0].name]
    if slope:
        graph.add("LeakyRelu", *names, alpha=slope)
    else:
        graph.add("Relu", *names)


def _prelu(graph: Graph, layer: Layer) -> None:
    (bottom,), (top,) = layer.bottoms, layer.tops
    slopes = layer.blobs[0].reshape((-1, *[1] * (len(bottom.shape) - 2)))
    name = graph.constant(layer.constant("slopes"), slopes)
    graph.add("PRelu", [bottom.name, name], [top.name])


def _elu(graph: Graph, layer: Layer) -> None:
    graph.add(
        "Elu",
        [layer.bottoms[0].name],
        [layer.tops[0].name],
        alpha=layer.param.elu_param.alpha,
    )


def _unary(op: str) -> Rule:
    def rule(graph: Graph, layer: Layer) -> None:
        graph.add(op, [layer.bottoms[0].name], [layer.tops[0].name])

    return rule


def _shifted(graph: Graph, layer: Layer, param: Any) -> str:
    """`shift + scale * x`."""
    value = layer.bottoms[0].name
    if param.scale != 1:
        factor = _scalar(graph, layer, "scale", param.scale)
        value = graph.add("Mul", [value, factor], [layer.value("scaled")])
    if param.shift != 0:
        term = _scalar(graph, layer, "shift", param.shift)
        value = graph.add("Add", [value, term], [layer.value("shifted")])
    return value


def _power(graph: Graph, layer: Layer) -> None:
    param = layer.param.power_param
    value = _shifted(graph, layer, param)
    output = [layer.tops[0].name]
    if param.power == 1:
        graph.add("Identity", [value], output)
    else:
        exponent = _scalar(graph, layer, "power", param.power)
        graph.add("Pow", [value, exponent], output)


def _exp(graph: Graph, layer: Layer) -> None:
    param = layer.param.exp_param
    value = _shifted(graph, layer, param)
    if param.base != -1:
        factor = _scalar(graph, layer, "log_base", math.log(param.base))
        value = graph.add("Mul", [value, factor], [layer.value("exponent")])
    graph.add("Exp", [value], [layer.tops[0].name])


def _log(graph: Graph, layer: Layer) -> None:
    param = layer.param.log_param
    value = _shifted(graph, layer, param)
    output = layer.tops[0].name
    if param.base == -1:
        graph.add("Log", [value], [output])
        return
    natural = graph.add("Log", [value], [layer.value("natural")])
    factor = _scalar(graph, layer, "log_base", 1 / math.log(param.base))
    graph.add("Mul", [natural, factor], [output])


def _lrn(graph: Graph, layer: Layer) -> None:
    param = layer.param.lrn_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    if param.norm_region == param.ACROSS_CHANNELS:
        _lrn_across(graph, layer)
        return
    # k is not used within channels.
    _keep_within(graph, bottom, param.alpha, 1)
    size, pad = param.local_size, (param.local_size - 1) // 2
    square = graph.add("Mul", [bottom.name] * 2, [layer.value("square")])
    mean = Tensor(layer.value("mean"), top.shape)
    windows = {"kernel_shape": (size,) * 2, "strides": (1, 1), "pads": (pad,) * 4}
    _average(graph, layer, Tensor(square, bottom.shape), mean, windows)
    alpha = _scalar(graph, layer, "alpha", param.alpha)
    scaled = graph.add("Mul", [mean.name, alpha], [layer.value("scaled")])
    one = _scalar(graph, layer, "one", 1)
    raised = graph.add("Add", [scaled, one], [layer.value("raised")])
    beta = _scalar(graph, layer, "beta", param.beta)
    divisor = graph.add("Pow", [raised, beta], [layer.value("divisor")])
    graph.add("Div", [bottom.name, divisor], [top.name])


def _lrn_across(graph: Graph, layer: Layer) -> None:
    param = layer.param.lrn_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    _keep_within(graph, bottom, param.alpha, param.k)
    alpha, bias, factor = param.alpha, param.k, 1.0
    if bias > 0 and bias != int(bias):
        # OpenVINO cuts `bias` to a whole number; (k + x)^-b is k^-b (1 + x / k)^-b.
        alpha, bias, factor = alpha / bias, 1.0, bias**-param.beta
    output = top.name if factor == 1 else layer.value("normalised")
    graph.add(
        "LRN",
        [bottom.name],
        [output],
        alpha=alpha,
        beta=param.beta,
        bias=bias,
        size=param.local_size,
    )
    if factor != 1:
        name = _scalar(graph, layer, "factor", factor)
        graph.add("Mul", [output, name], [top.name])


def _keep_within(graph: Graph, bottom: Tensor, alpha: float, k: float) -> None:
    """Notes up to which values k + alpha * mean(x^2) is made of both of its terms.

    Far above, runtimes that slide a sum of squares along the channels lose k in the
    rounding of squares that have left the window.
    """
    if alpha > 0 and k > 0:
        limit = math.sqrt(k / alpha)
        graph.limits[bottom.name] = min(limit, graph.limits.get(bottom.name, limit))


def _eltwise(graph: Graph, layer: Layer) -> None:
    param = layer.param.eltwise_param
    names = [bottom.name for bottom in layer.bottoms]
    output = layer.tops[0].name
    if param.operation == param.MAX:
        graph.add("Max", names, [output])
        return
    if param.operation == param.SUM and param.coeff:
        for index, coeff in enumerate(param.coeff):
            if coeff != 1:
                factor = _scalar(graph, layer, f"coeff{index}", coeff)
                weighed = layer.value(f"weighed{index}")
                names[index] = graph.add("Mul", [names[index], factor], [weighed])
    op = "Add" if param.operation == param.SUM else "Mul"
    value = names[0]
    for index, name in enumerate(names[1:], 1):
        last = index == len(names) - 1
        result = output if last else layer.value(f"partial{index}")
        value = graph.add(op, [value, name], [result])


def _concat(graph: Graph, layer: Layer) -> None:
    param = layer.param.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    names = [bottom.name for bottom in layer.bottoms]
    axis = canonical(axis, layer.bottoms[0].shape)
    graph.add("Concat", names, [layer.tops[0].name], axis=axis)


def _slice(graph: Graph, layer: Layer) -> None:
    param = layer.param.slice_param
    (bottom,) = layer.bottoms
    axis = param.slice_dim if param.HasField("slice_dim") else param.axis
    axis = canonical(axis, bottom.shape)
    sizes = [top.shape[axis] for top in layer.tops]
    names = [top.name for top in layer.tops]
    if len(names) == 1:
        graph.add("Identity", [bottom.name], names)
        return
    lengths = graph.constant(layer.constant("sizes"), sizes, np.int64)
    graph.add("Split", [bottom.name, lengths], names, axis=axis)


def _copies(graph: Graph, layer: Layer) -> None:
    for top in layer.tops:
        graph.add("Identity", [layer.bottoms[0].name], [top.name])


def _reshape(graph: Graph, layer: Layer) -> None:
    (top,) = layer.tops
    _reshaped(graph, layer.bottoms[0].name, top.shape, top.name)


def _tile(graph: Graph, layer: Layer) -> None:
    (bottom,), (top,) = layer.bottoms, layer.tops
    repeats = [1] * len(bottom.shape)
    param = layer.param.tile_param
    repeats[canonical(param.axis, bottom.shape)] = param.tiles
    name = graph.constant(layer.constant("repeats"), repeats, np.int64)
    graph.add("Tile", [bottom.name, name], [top.name])


def _softmax(graph: Graph, layer: Layer) -> None:
    (bottom,), (top,) = layer.bottoms, layer.tops
    axis = canonical(layer.param.softmax_param.axis, bottom.shape)
    graph.add("Softmax", [bottom.name], [top.name], axis=axis)


def _argmax(graph: Graph, layer: Layer) -> None:
    """Largest values or their places; of equal values the engine takes the last."""
    param = layer.param.argmax_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    by_axis = param.HasField("axis")
    value, shape = bottom.name, bottom.shape
    axis = canonical(param.axis, shape) if by_axis else 1
    if not by_axis and len(shape) != 2:
        shape = (shape[0], math.prod(shape[1:]))
        value = _reshaped(graph, value, shape, layer.value("flat"))
    if by_axis and param.out_max_val:
        _largest(graph, layer, value, axis, top.name)
        return
    places = _places(graph, layer, value, shape, axis)
    if by_axis:
        graph.add("Cast", [places], [top.name], to=_FLOAT)
        return
    result = graph.add("Cast", [places], [layer.value("indices")], to=_FLOAT)
    if param.out_max_val:
        largest = _largest(graph, layer, value, axis, layer.value("largest"))
        both = layer.value("both")
        result = graph.add("Concat", [result, largest], [both], axis=1)
    _reshaped(graph, result, top.shape, top.name)


def _top_k(
    graph: Graph, layer: Layer, value: str, axis: int, largest: str, places: str
) -> None:
    count = layer.param.argmax_param.top_k
    name = graph.constant(layer.constant("k"), [count], np.int64)
    graph.add("TopK", [value, name], [largest, places], axis=axis)


def _largest(graph: Graph, layer: Layer, value: str, axis: int, output: str) -> str:
    if layer.param.argmax_param.top_k == 1:
        return graph.reduce("ReduceMax", value, [axis], output, keep=True)
    _top_k(graph, layer, value, axis, output, layer.value("places_of_largest"))
    return output


def _places(graph: Graph, layer: Layer, value: str, shape: Shape, axis: int) -> str:
    output = layer.value("places")
    if layer.param.argmax_param.top_k == 1:
        return graph.add(
            "ArgMax", [value], [output], axis=axis, keepdims=1, select_last_index=1
        )
    # TopK gives the first of equal values: the last, when it counts from behind.
    last = shape[axis] - 1
    order = graph.constant(layer.constant("order"), range(last, -1, -1), np.int64)
    value = graph.add("Gather", [value, order], [layer.value("reversed")], axis=axis)
    counted = layer.value("counted_from_behind")
    _top_k(graph, layer, value, axis, layer.value("values"), counted)
    end = graph.constant(layer.constant("last"), last, np.int64)
    return graph.add("Sub", [end, counted], [output])


def _reduction(graph: Graph, layer: Layer) -> None:
    param = layer.param.reduction_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    axis = canonical(param.axis, bottom.shape)
    value = bottom.name
    if axis < len(bottom.shape) - 1:
        # As one axis: OpenCV's sums over three axes of a volume are wrong.
        rows = (*bottom.shape[:axis], math.prod(bottom.shape[axis:]))
        value = _reshaped(graph, value, rows, layer.value("rows"))
    if param.operation == param.ASUM:
        # Not ReduceL1, whose axes OpenVINO passes over in operator sets 13 to 17.
        value = graph.add("Abs", [value], [layer.value("absolute")])
    op = {
        param.SUM: "ReduceSum",
        param.ASUM: "ReduceSum",
        param.SUMSQ: "ReduceSumSquare",
        param.MEAN: "ReduceMean",
    }[param.operation]
    weighed = param.coeff != 1
    output = layer.value("reduced") if weighed else top.name
    graph.reduce(op, value, [axis], output, keep=False)
    if weighed:
        factor = _scalar(graph, layer, "coeff", param.coeff)
        graph.add("Mul", [output, factor], [top.name])


def _interp(graph: Graph, layer: Layer) -> None:
    """Bilinear resize with corners on corners, after cropping."""
    param = layer.param.interp_param
    bottom, top = layer.bottoms[0], layer.tops[0]
    value = bottom.name
    # Padding is never positive; negative padding crops.
    begin, end = -param.pad_beg, -param.pad_end
    if begin or end:
        bounds = {
            "starts": [begin] * 2,
            "ends": [size - end for size in bottom.shape[2:]],
            "axes": [2, 3],
        }
        names = [
            graph.constant(layer.constant(name), values, np.int64)
            for name, values in bounds.items()
        ]
        value = graph.add("Slice", [value, *names], [layer.value("cropped")])
    sizes = graph.constant(layer.constant("sizes"), top.shape, np.int64)
    graph.add(
        "Resize",
        [value, "", "", sizes],
        [top.name],
        mode="linear",
        coordinate_transformation_mode="align_corners",
    )


def _clip(graph: Graph, layer: Layer) -> None:
    param = layer.param.clip_param
    limits = [_scalar(graph, layer, "min", param.min)]
    limits.append(_scalar(graph, layer, "max", param.max))
    graph.add("Clip", [layer.bottoms[0].name, *limits], [layer.tops[0].name])


def _swish(graph: Graph, layer: Layer) -> None:
    bottom = layer.bottoms[0].name
    beta = _scalar(graph, layer, "beta", layer.param.swish_param.beta)
    scaled = graph.add("Mul", [bottom, beta], [layer.value("scaled")])
    gate = graph.add("Sigmoid", [scaled], [layer.value("gate")])
    graph.add("Mul", [bottom, gate], [layer.tops[0].name])


def _threshold(graph: Graph, layer: Layer) -> None:
    param = layer.param.threshold_param
    threshold = _scalar(graph, layer, "threshold", param.threshold)
    above = graph.add(
        "Greater", [layer.bottoms[0].name, threshold], [layer.value("above")]
    )
    graph.add("Cast", [above], [layer.tops[0].name], to=_FLOAT)


def _mvn(graph: Graph, layer: Layer) -> None:
    param = layer.param.mvn_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    groups = bottom.shape[: 1 if param.across_channels else 2]
    # As one axis: OpenCV's sums over several axes of a volume are wrong.
    rows = (math.prod(groups), math.prod(bottom.shape[len(groups) :]))
    value = _reshaped(graph, bottom.name, rows, layer.value("rows"))
    mean = graph.reduce("ReduceMean", value, [1], layer.value("mean"), keep=True)
    result = graph.add("Sub", [value, mean], [layer.value("centred")])
    if param.normalize_variance:
        square = graph.add("Mul", [result, result], [layer.value("square")])
        variance = graph.reduce(
            "ReduceMean", square, [1], layer.value("variance"), keep=True
        )
        deviation = graph.add("Sqrt", [variance], [layer.value("deviation")])
        eps = _scalar(graph, layer, "eps", param.eps)
        divisor = graph.add("Add", [deviation, eps], [layer.value("divisor")])
        result = graph.add("Div", [result, divisor], [layer.value("normalised")])
    _reshaped(graph, result, top.shape, top.name)


def _crop(graph: Graph, layer: Layer) -> None:
    param = layer.param.crop_param
    bottom, top = layer.bottoms[0], layer.tops[0]
    first = canonical(param.axis, bottom.shape)
    axes = list(range(first, len(bottom.shape)))
    offsets = list(param.offset) or [0]
    if len(offsets) == 1:
        offsets *= len(axes)
    ends = [
        offset + top.shape[axis] for offset, axis in zip(offsets, axes, strict=True)
    ]
    bounds = [
        graph.constant(layer.constant(name), values, np.int64)
        for name, values in (("starts", offsets), ("ends", ends), ("axes", axes))
    ]
    graph.add("Slice", [bottom.name, *bounds], [top.name])


def _spp(graph: Graph, layer: Layer) -> None:
    """Poolings as the engine's layer makes them, one behind the other."""
    param = layer.param.spp_param
    (bottom,), (top,) = layer.bottoms, layer.tops
    images, channels, *sizes = bottom.shape
    rows = []
    for level in range(param.pyramid_height):
        bins = 2**level
        pooling = type(layer.param)(name=f"{layer.name}/{level}", type="Pooling")
        kernel = [-(-size // bins) for size in sizes]
        pad = [(k * bins - s + 1) // 2 for k, s in zip(kernel, sizes, strict=True)]
        window = pooling.pooling_param
        window.pool = param.pool
        window.kernel_h, window.kernel_w = kernel
        window.stride_h, window.stride_w = kernel
        window.pad_h, window.pad_w = pad
        alone = param.pyramid_height == 1
        name = top.name if alone else layer.value(f"level{level}")
        pooled = Tensor(name, (images, channels, bins, bins))
        _pooling(graph, Layer(pooling, [], [bottom], [pooled]))
        if alone:
            return
        row = (images, channels * bins**2)
        rows.append(_reshaped(graph, name, row, layer.value(f"row{level}")))
    graph.add("Concat", rows, [top.name], axis=1)


def _parameter(graph: Graph, layer: Layer) -> None:
    values = graph.constant(layer.constant("values"), layer.blobs[0])
    graph.add("Identity", [values], [layer.tops[0].name])


def _picked(
    graph: Graph, layer: Layer, table: str, rows: int, indices: str, output: str
) -> str:
    graph.places[indices] = min(rows, graph.places.get(indices, rows))
    whole = graph.add("Cast", [indices], [layer.value("indices")], to=_INT64)
    return graph.add("Gather", [table, whole], [output], axis=0)


def _embed(graph: Graph, layer: Layer) -> None:
    bias = layer.param.embed_param.bias_term
    top = layer.tops[0].name
    table = graph.constant(layer.constant("weights"), layer.blobs[0])
    output = layer.value("rows") if bias else top
    rows = layer.param.embed_param.input_dim
    _picked(graph, layer, table, rows, layer.bottoms[0].name, output)
    if bias:
        term = graph.constant(layer.constant("bias"), layer.blobs[1])
        graph.add("Add", [output, term], [top])


def _batch_reindex(graph: Graph, layer: Layer) -> None:
    table, indices = layer.bottoms
    rows = table.shape[0]
    _picked(graph, layer, table.name, rows, indices.name, layer.tops[0].name)


def _lstm_cell(
    graph: Graph, layer: Layer, step: int, inputs: tuple[str, str, str], size: int
) -> tuple[str, str]:
    """Cells and outputs of a step, from the cells before, gates and marks (1, N, 1)."""

    def value(what: str) -> str:
        return layer.value(f"{what}{step}")

    before, gates, marks = inputs
    sizes = graph.constant(layer.constant("sizes"), [size] * 4, np.int64)
    names = [value(gate) for gate in ("i", "f", "o", "g")]
    graph.add("Split", [gates, sizes], names, axis=2)
    act = [
        graph.add(op, [name], [f"{name}.active"])
        for op, name in zip(("Sigmoid",) * 3 + ("Tanh",), names, strict=True)
    ]
    forget = graph.add("Mul", [act[1], marks], [value("forget")])
    kept = graph.add("Mul", [forget, before], [value("kept")])
    added = graph.add("Mul", [act[0], act[3]], [value("added")])
    cell = graph.add("Add", [kept, added], [value("c")])
    squashed = graph.add("Tanh", [cell], [value("tanh_c")])
    return cell, graph.add("Mul", [act[2], squashed], [value("h")])


def _lstm_unit(graph: Graph, layer: Layer) -> None:
    before, gates, marks = layer.bottoms
    full = _reshaped(graph, marks.name, (*marks.shape, 1), layer.value("marks"))
    size = before.shape[2]
    results = _lstm_cell(graph, layer, 1, (before.name, gates.name, full), size)
    for result, top in zip(results, layer.tops, strict=True):
        graph.add("Identity", [result], [top.name])


def _recurrent(graph: Graph, layer: Layer) -> None:
    """All steps, one by one: ONNX's own operators cannot begin anew in between."""
    param = layer.param.recurrent_param
    if not param.expose_hidden:
        raise layer.unsupported(
            "a state that goes on in the next run (without expose_hidden: true)"
        )
    lstm = layer.param.type == "LSTM"
    states = recurrent_states(layer.param)
    x, marks = layer.bottoms[:2]
    steps, streams = x.shape[:2]
    size = param.num_output
    rows = size * 4 if lstm else size
    blobs = list(layer.blobs)

    def product(value: str, flat: Shape, output: str, bias: bool = True) -> str:
        weights = graph.constant(layer.constant("weights"), blobs.pop(0))
        operands = [_reshaped(graph, value, flat, f"{output}.flat"), weights]
        if bias:
            operands.append(graph.constant(layer.constant("bias"), blobs.pop(0)))
        return graph.add("Gemm", operands, [f"{output}.rows"], transB=1)

    def steps_of(value: str, what: str) -> list[str]:
        names = [layer.value(f"{what}{step}") for step in range(steps)]
        if steps == 1:
            return [value]
        ones = graph.constant(layer.constant("steps"), [1] * steps, np.int64)
        graph.add("Split", [value, ones], names, axis=0)
        return names

    flat = (steps * streams, math.prod(x.shape[2:]))
    terms = product(x.name, flat, layer.value("x"))
    full = (steps, streams, rows)
    terms = _reshaped(graph, terms, full, layer.value("terms"))
    if len(layer.bottoms) > 2 + states:
        static = layer.bottoms[2]
        flat = (streams, math.prod(static.shape[1:]))
        same = product(static.name, flat, layer.value("static"), bias=False)
        terms = graph.add("Add", [terms, same], [layer.value("all_terms")])
    of_state = graph.constant(layer.constant("state_weights"), blobs.pop(0).T)
    if not lstm:
        of_output = graph.constant(layer.constant("output_weights"), blobs.pop(0).T)
        bias = graph.constant(layer.constant("output_bias"), blobs.pop(0))
    every = _reshaped(graph, marks.name, (*marks.shape, 1), layer.value("marks"))
    state, *cell = (bottom.name for bottom in layer.bottoms[-states:])
    outputs = []
    for step, (term, mark) in enumerate(
        zip(steps_of(terms, "term"), steps_of(every, "mark"), strict=True)
    ):

        def value(what: str, step: int = step) -> str:
            return layer.value(f"{what}{step}")

        conted = graph.add("Mul", [state, mark], [value("conted")])
        moved = graph.add("MatMul", [conted, of_state], [value("moved")])
        total = graph.add("Add", [moved, term], [value("sum")])
        if lstm:
            cell[0], state = _lstm_cell(
                graph, layer, step, (cell[0], total, mark), size
            )
            outputs.append(state)
            continue
        state = graph.add("Tanh", [total], [value("h")])
        seen = graph.add("MatMul", [state, of_output], [value("seen")])
        raised = graph.add("Add", [seen, bias], [value("raised")])
        outputs.append(graph.add("Tanh", [raised], [value("o")]))
    graph.add("Concat", outputs, [layer.tops[0].name], axis=0)
    for result, top in zip((state, *cell), layer.tops[1:], strict=True):
        graph.add("Identity", [result], [top.name])


def _refused(what: str) -> Rule:
    def rule(graph: Graph, layer: Layer) -> None:
        raise layer.unsupported(what)

    return rule


def _nothing(graph: Graph, layer: Layer) -> None:
    pass


# TensorProto.FLOAT, without importing onnx where it is not needed.
_FLOAT = 1
_INT64 = 7  # TensorProto.INT64

RULES: dict[str, Rule] = {
    "AbsVal": _unary("Abs"),
    "ArgMax": _argmax,
    "Axpy": _axpy,
    "BNLL": _unary("Softplus"),
    "BatchNorm": _batch_norm,
    "BatchReindex": _batch_reindex,
    "Bias": _bias,
    "Clip": _clip,
    "Concat": _concat,
    "Convolution": _convolution,
    "Crop": _crop,
    "CuDNNBatchNorm": _batch_norm,
    "Deconvolution": _convolution,
    "Dropout": _copies,
    "ELU": _elu,
    "Eltwise": _eltwise,
    "Embed": _embed,
    "Exp": _exp,
    "Filter": _refused("a number of samples that depends on their values"),
    "Flatten": _reshape,
    "HDF5Output": _nothing,
    "Im2col": _refused("an unfolded image"),
    "InnerProduct": _inner_product,
    "Interp": _interp,
    "LRN": _lrn,
    "LSTM": _recurrent,
    "LSTMUnit": _lstm_unit,
    "Log": _log,
    "MVN": _mvn,
    "PReLU": _prelu,
    "Parameter": _parameter,
    "Pooling": _pooling,
    "Power": _power,
    "RNN": _recurrent,
    "ReLU": _relu,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "SPP": _spp,
    "Scale": _scale,
    "Sigmoid": _unary("Sigmoid"),
    "Silence": _nothing,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _copies,
    "Swish": _swish,
    "TanH": _unary("Tanh"),
    "Threshold": _threshold,
    "Tile": _tile,
}
