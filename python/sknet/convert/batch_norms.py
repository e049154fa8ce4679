"""Batch norms of the Caffe forks, and their conversion into each other.

All normalise by channel and then scale and shift, but store that differently:

| form | layers | blobs |
|---|---|---|
| sknet | CuDNNBatchNorm | scale, bias, mean, variance |
| bvlc | BatchNorm and, mostly, Scale | mean, variance, factor; scale, bias |
| nvidia | BatchNorm with `scale_bias` | mean, variance, factor, scale, bias |
| intel | BatchNorm with `use_weight_bias` | mean, variance, factor, scale, bias |
| intel2 | BatchNorm, early | scale, bias |

BVLC's statistics are divided by the factor. NVIDIA's are not, and its factor is 1, or 0
in files older than 0.16.5. Two more layouts are read: NVIDIA's of 2016 (scale, bias,
mean, variance) and that of intel's plain engine (scale, bias, mean, variance, factor).
intel2 stores no statistics: it always normalises with those of the batch, in TEST too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import text_format

from caffe.io import array_to_blobproto
from caffe.proto import caffe_pb2
from sknet.convert import FORMS

Array = npt.NDArray[np.float64]

# cuDNN's smallest eps. CuDNNBatchNorm and NVIDIA's layer never use less.
_LEAST_EPS = 1e-5
_TYPES = ("BatchNorm", "CuDNNBatchNorm")


@dataclass(frozen=True)
class BatchNorm:
    """One batch norm, whatever its form.

    Attributes:
        form: As stored; `nvidia` stands for intel's as well, whose blobs are equal.
        name: Name of the layer.
        scale_layer: Name of the Scale layer that belongs to it, or None.
        scale: (C,), what normalised values are multiplied by.
        bias: (C,), what is added then.
        mean: (C,), the running mean; None where each batch's own is used.
        variance: (C,), the running variance, or None.
        eps: Added to the variance.
        momentum: Share of the past in the running statistics.
        rates: ParamSpecs of scale and bias, or none if they have the defaults.
    """

    form: str
    name: str
    scale_layer: str | None
    scale: Array
    bias: Array
    mean: Array | None
    variance: Array | None
    eps: float
    momentum: float
    rates: tuple[Any, ...] = field(default=(), compare=False)


def find(model: Any, definition: Sequence[Any] | None = None) -> list[BatchNorm]:
    """The batch norms of a net.

    Args:
        model: NetParameter with weights.
        definition: LayerParameters of the net, if the model's own lack their blobs.

    Raises:
        ValueError: Names a layer with blobs of no known form, or without any.
    """
    layers = list(definition if definition is not None else model.layer)
    stored = {layer.name: layer for layer in model.layer}
    found = []
    for index, layer in enumerate(layers):
        if layer.type not in _TYPES:
            continue
        if layer.name not in stored or not stored[layer.name].blobs:
            raise ValueError(
                f"layer '{layer.name}' ({layer.type}): the caffemodel has no blobs for "
                "it; give the prototxt that belongs to the caffemodel"
            )
        norm = _read(layer, [_array(blob) for blob in stored[layer.name].blobs])
        if norm.form == "bvlc":
            scale = _scale_behind(layers, index)
            if scale is not None and scale.name in stored:
                norm = _with_scale(norm, scale, stored[scale.name])
        found.append(norm)
    return found


def convert(
    model: Any, form: str, norms: Sequence[BatchNorm], *, text: bool = False
) -> Any:
    """A net with all its batch norms in one form.

    Args:
        model: NetParameter, with weights or without; its layers are found by name.
        form: One of FORMS.
        norms: What `find` returned.
        text: Spell parameters as the forks' prototxts do, not as their caffemodels.

    Returns:
        A new NetParameter. Layers that have the form already are not changed.

    Raises:
        ValueError: Names a layer that the form cannot express.
    """
    if form not in FORMS:
        raise ValueError(f"unknown form '{form}', expected one of {', '.join(FORMS)}")
    by_name = {norm.name: norm for norm in norms}
    scales = {norm.scale_layer: norm for norm in norms if norm.scale_layer}
    by_layer = {layer.name: layer for layer in model.layer}
    result = caffe_pb2.NetParameter()
    result.CopyFrom(model)
    del result.layer[:]
    for layer in model.layer:
        norm = by_name.get(layer.name) or scales.get(layer.name)
        if norm is None or _has_form(norm, form):
            result.layer.append(layer)
        elif layer.name == norm.name:
            scale = by_layer.get(norm.scale_layer or "")
            result.layer.extend(_written(norm, form, layer, scale, text=text))
    return result


def convert_text(prototxt: bytes, form: str, norms: Sequence[BatchNorm]) -> bytes:
    """A prototxt with all its batch norms in one form.

    Everything but the layers concerned, comments too and in whatever encoding, stays as
    it is; lists of layers (`layer [{...}, {...}]`) become single ones.

    Raises:
        ValueError: The text is no prototxt; with line and column.
    """
    from caffe import _caffe

    net = caffe_pb2.NetParameter.FromString(_caffe.parse_net(prototxt, "prototxt"))
    by_name = {norm.name: norm for norm in norms}
    scales = {norm.scale_layer: norm for norm in norms if norm.scale_layer}
    by_layer = {layer.name: layer for layer in net.layer}
    # One character a byte: positions are the same, whatever the encoding.
    text = prototxt.decode("latin-1")
    blocks, edits = _layer_blocks(text)
    for (start, stop), layer in zip(blocks, net.layer, strict=True):
        norm = by_name.get(layer.name) or scales.get(layer.name)
        if norm is None or _has_form(norm, form):
            continue
        written = ""
        if layer.name == norm.name:
            scale = by_layer.get(norm.scale_layer or "")
            made = caffe_pb2.NetParameter(
                layer=_written(norm, form, layer, scale, text=True)
            )
            written = text_format.MessageToString(made, as_utf8=True).rstrip("\n")
            written = written.encode().decode("latin-1")
        elif match := _BEHIND.match(text, stop):
            # The Scale layer goes with its separator and its line.
            stop = match.end()
        edits = [edit for edit in edits if not start <= edit[0] < stop]
        edits.append((start, stop, written))
    pieces = []
    end = 0
    for start, stop, replacement in sorted(edits):
        pieces += [text[end:start], replacement]
        end = stop
    return "".join([*pieces, text[end:]]).encode("latin-1")


_TOKEN = re.compile(
    r"#[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|\w+|\s+|.",
    re.DOTALL | re.ASCII,
)
_BEHIND = re.compile(r"[ \t]*[,;]?\n?")
_Edit = tuple[int, int, str]


def _layer_blocks(prototxt: str) -> tuple[list[tuple[int, int]], list[_Edit]]:
    """Start and end of every layer in the text of a net that the engine has read.

    Also the replacements that make single layers of lists, after which every block
    starts with `layer`.
    """
    blocks = []
    edits: list[_Edit] = []
    depth = start = opened_at = 0
    word = field = ""
    word_at = 0
    in_list = False
    for match in _TOKEN.finditer(prototxt):
        token = match[0]
        at = match.start()
        if token == "[" and depth == 0:
            in_list, field, opened_at = True, word, word_at
            if field == "layer":
                edits.append((opened_at, match.end(), ""))
        elif token in "]," and depth == 0 and in_list:
            if field == "layer":
                edits.append((at, match.end(), ""))
            in_list = token == ","
        elif token in "{<":
            if depth == 0:
                if not in_list:
                    field = word
                elif field == "layer":
                    edits.append((at, at, "layer "))
                start = at if in_list else word_at
            depth += 1
        elif token in "}>":
            depth -= 1
            if depth == 0 and field == "layer":
                blocks.append((start, match.end()))
        elif token[0].isalnum() or token[0] == "_":
            word, word_at = token, at
    return blocks, edits


def _array(blob: Any) -> Array:
    values = blob.double_data or blob.data
    return np.array(values, np.float64)


def _read(layer: Any, blobs: list[Array]) -> BatchNorm:
    """The form is known by the number of blobs and where the single factor stands."""
    who = f"layer '{layer.name}' ({layer.type})"
    sizes = [blob.size for blob in blobs]
    channels = max(sizes)
    ones, zeros = np.ones(channels), np.zeros(channels)
    factor = None
    mean: Array | None
    variance: Array | None
    if layer.type == "CuDNNBatchNorm" and len(blobs) == 4:
        form, (scale, bias, mean, variance) = "sknet", blobs
    elif len(blobs) == 3:
        form, (mean, variance, factor) = "bvlc", blobs
        scale, bias = ones, zeros
    elif len(blobs) in (4, 5) and sizes[2] == 1:
        form = "nvidia"
        mean, variance, factor, scale, *rest = blobs
        bias = rest[0] if rest else zeros
    elif len(blobs) == 5 and sizes[4] == 1:
        form, (scale, bias, mean, variance, factor) = "intel engine", blobs
    elif len(blobs) == 4:
        form, (scale, bias, mean, variance) = "nvidia 2016", blobs
    elif len(blobs) in (1, 2):
        form, mean, variance = "intel2", None, None
        scale, bias = blobs[0], blobs[1] if len(blobs) == 2 else zeros
    else:
        raise ValueError(
            f"{who}: {len(blobs)} blobs of sizes {sizes}, expected 2 to 5: no known "
            "batch norm stores that"
        )
    if any(part is not None and part.size != channels for part in (scale, bias, mean)):
        raise ValueError(
            f"{who}: blobs of sizes {sizes}, expected one size but for a factor"
        )
    if variance is not None and variance.size != channels:
        raise ValueError(
            f"{who}: blobs of sizes {sizes}, expected one size but for a factor"
        )
    if factor is not None and mean is not None and variance is not None:
        if factor.size != 1:
            raise ValueError(f"{who}: a factor of {factor.size} values, expected one")
        # 0 means no statistics yet to BVLC, and 1 in NVIDIA's old files.
        if factor[0] != 0:
            mean, variance = mean / factor[0], variance / factor[0]
        elif form == "bvlc":
            mean, variance = zeros, zeros
    eps, momentum = _settings(layer)
    if form in ("sknet", "nvidia", "nvidia 2016"):
        eps = max(eps, _LEAST_EPS)
    param = layer.batch_norm_param
    if (
        form == "bvlc"
        and param.HasField("use_global_stats")
        and not param.use_global_stats
    ):
        mean = variance = None
    rates = tuple(layer.param)
    rates = {"sknet": rates[:2], "nvidia 2016": rates[:2], "nvidia": rates[3:5]}.get(
        form, ()
    )
    return BatchNorm(
        form,
        layer.name,
        None,
        scale,
        bias,
        mean,
        variance,
        eps,
        momentum,
        rates if len(rates) == 2 else (),
    )


def _settings(layer: Any) -> tuple[float, float]:
    """The values of eps and momentum, which field 200 or 139 holds under two names."""
    if layer.type == "CuDNNBatchNorm" and layer.HasField("cudnn_batch_norm_param"):
        param = layer.cudnn_batch_norm_param
        return param.eps, param.momentum
    param = layer.batch_norm_param
    momentum = (
        param.momentum if param.HasField("momentum") else param.moving_average_fraction
    )
    return param.eps, momentum


def _scale_behind(layers: Sequence[Any], index: int) -> Any:
    """The Scale layer that alone reads a batch norm's result, or None."""
    norm = layers[index]
    blob = norm.top[0] if norm.top else None
    readers = []
    for layer in layers[index + 1 :]:
        if blob in layer.bottom:
            readers.append(layer)
        if blob in layer.top:
            break
    if blob is None:
        # A file of weights alone: what belongs together stands together.
        readers = list(layers[index + 1 : index + 2])
    if len(readers) != 1:
        return None
    scale = readers[0]
    param = scale.scale_param
    fits = (
        scale.type == "Scale"
        and len(scale.bottom) <= 1
        and param.axis in (1, -3)
        and param.num_axes == 1
        and list(scale.include) == list(norm.include)
        and list(scale.exclude) == list(norm.exclude)
    )
    return scale if fits else None


def _with_scale(norm: BatchNorm, scale: Any, stored: Any) -> BatchNorm:
    blobs = [_array(blob) for blob in stored.blobs]
    if not blobs or any(blob.size != norm.scale.size for blob in blobs):
        return norm
    return replace(
        norm,
        scale_layer=scale.name,
        scale=blobs[0],
        bias=blobs[1] if len(blobs) > 1 else norm.bias,
        rates=tuple(scale.param)[:2] if len(scale.param) >= 2 else (),
    )


def _has_form(norm: BatchNorm, form: str) -> bool:
    # NVIDIA's and intel's blobs are equal, their prototxts are not.
    return norm.form == form and form != "nvidia"


def _written(
    norm: BatchNorm, form: str, layer: Any, scale_layer: Any, *, text: bool
) -> list[Any]:
    """The layers of `norm` in a form, in the place of `layer` and its Scale layer."""
    by_batch = norm.mean is None or norm.variance is None
    if by_batch and form not in ("bvlc", "intel2"):
        raise ValueError(
            f"layer '{norm.name}': it normalises with the statistics of each batch and "
            f"has no running ones, which form '{form}' needs; convert to bvlc, train "
            "or run it in phase TRAIN without use_global_stats to collect some, and "
            "convert the result"
        )
    scale, eps = norm.scale, norm.eps
    mean = np.zeros_like(scale) if norm.mean is None else norm.mean
    variance = np.zeros_like(scale) if norm.variance is None else norm.variance
    if form in ("sknet", "nvidia") and eps < _LEAST_EPS:
        # The same values with the eps that these layers use at least.
        scale = scale * np.sqrt((variance + _LEAST_EPS) / (variance + eps))
        eps = _LEAST_EPS
    top = (scale_layer.top if scale_layer is not None else layer.top)[:]
    made = caffe_pb2.LayerParameter(
        name=layer.name,
        type="CuDNNBatchNorm" if form == "sknet" else "BatchNorm",
        bottom=layer.bottom,
        top=top,
        phase=layer.phase if layer.HasField("phase") else None,
        include=layer.include,
        exclude=layer.exclude,
    )
    rates = norm.rates or (_rate(1, 0), _rate(1, 0))
    fixed = [_rate(0, 0)]
    factor = np.zeros(1) if by_batch else np.ones(1)
    second = None
    if form == "sknet":
        blobs = [scale, norm.bias, mean, variance]
        made.param.extend([*rates, *fixed * 2])
        if text:
            made.batch_norm_param.momentum = norm.momentum
            made.batch_norm_param.eps = eps
        else:
            made.cudnn_batch_norm_param.momentum = norm.momentum
            made.cudnn_batch_norm_param.eps = eps
    else:
        made.batch_norm_param.moving_average_fraction = norm.momentum
        made.batch_norm_param.eps = eps
        if text and form == "nvidia":
            made.batch_norm_param.scale_bias = True
        elif text and form in ("intel", "intel2"):
            made.batch_norm_param.use_weight_bias = True
            made.batch_norm_param.bias_term = True
        if form == "intel2":
            blobs = [scale, norm.bias]
            made.param.extend(rates)
        elif form == "bvlc":
            blobs = [mean, variance, factor]
            made.param.extend(fixed * 3)
            if by_batch:
                made.batch_norm_param.use_global_stats = False
            second = caffe_pb2.LayerParameter(
                name=norm.scale_layer or f"{layer.name}/scale",
                type="Scale",
                bottom=top,
                top=top,
                include=layer.include,
                exclude=layer.exclude,
                param=rates,
            )
            second.scale_param.bias_term = True
        else:
            blobs = [mean, variance, factor, scale, norm.bias]
            made.param.extend([*fixed * 3, *rates])
    layers = [made] if second is None else [made, second]
    if layer.blobs:
        shape = (1, -1, 1, 1) if form == "sknet" else (-1,)
        made.blobs.extend(array_to_blobproto(blob.reshape(shape)) for blob in blobs)
        if second is not None:
            second.blobs.extend(map(array_to_blobproto, (scale, norm.bias)))
    return layers


def _rate(lr_mult: float, decay_mult: float) -> Any:
    return caffe_pb2.ParamSpec(lr_mult=lr_mult, decay_mult=decay_mult)
