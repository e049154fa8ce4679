"""Weights of torchvision's and timm's networks for the networks of this package.

The architectures are the same but for details, and each is carried over exactly:

* PyTorch's first convolution reads red, green, blue; Caffe's blue, green, red. Its
  weights are reordered.
* PyTorch's networks read (pixel / 255 - mean) / std. 1 / (255 std) goes into the first
  convolution's weights, so the converted net reads pixels minus the mean: 0 stays 0,
  and padding means the same.
* Most stems in PyTorch pool 3x3 with stride 2 and padding 1, rounding down; Caffe's
  without padding, rounding up. The written definition pools as PyTorch does.
* timm's Inception-V4 and Inception-ResNet-V2 leave padding out of their averages, Caffe
  counts it. The definition corrects that with a fixed Scale layer, which ties it to one
  image size.
* Batch norms with another eps than the definition's have their scale adapted.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.proto import caffe_pb2
from sknet.blobs import store
from sknet.complexity import analyse
from sknet.models import Model, create_model, deploy

Array = npt.NDArray[Any]
Names = Callable[[Any], Iterable[str]]

_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_DPN = tuple(level / 255 for level in (124, 117, 104)), (1 / (0.0167 * 255),) * 3
_DEFAULT_EPS = 1e-5


@dataclass(frozen=True)
class Source:
    """A network of torchvision or timm.

    Attributes:
        model: The network here, as in `sknet list`.
        names: Its modules with parameters, in the order of the layers here.
        options: Fields of the model's configuration that differ.
        mean: Subtracted from red, green and blue pixels / 255.
        std: Divides the difference.
        padded_pool: Whether the stem's pooling pads, as PyTorch's own ResNets do.
        excluded_padding: Whether average poolings leave padding out.
        eps: Of all batch norms.
    """

    model: str
    names: Names
    options: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = _IMAGENET[0]
    std: tuple[float, ...] = _IMAGENET[1]
    padded_pool: bool = True
    excluded_padding: bool = False
    eps: float = _DEFAULT_EPS


def _resnet(
    model: Any, middle: str, first: str = "", last: str = "fc"
) -> Iterable[str]:
    """Modules of a ResNet; `middle` lists those of a block but for the shortcut's."""
    yield from (f"{first}conv1", f"{first}bn1")
    for stage, depth in enumerate(model.depths):
        for index in range(depth):
            block = f"layer{stage + 1}.{index}"
            yield from (f"{block}.{part}" for part in middle.split())
            if index == 0:
                yield from (f"{block}.downsample.0", f"{block}.downsample.1")
    yield last


_BOTTLENECK = "conv1 bn1 conv2 bn2 conv3 bn3"


def _resnext(model: Any) -> Iterable[str]:
    return _resnet(model, _BOTTLENECK)


def _seresnext(model: Any) -> Iterable[str]:
    return _resnet(model, f"{_BOTTLENECK} se.fc1 se.fc2")


def _legacy_seresnext(model: Any) -> Iterable[str]:
    middle = f"{_BOTTLENECK} se_module.fc1 se_module.fc2"
    return _resnet(model, middle, "layer0.", "last_linear")


def _skresnext(model: Any) -> Iterable[str]:
    return _resnet(
        model,
        "conv1.conv conv1.bn conv2.paths.0.conv conv2.paths.0.bn conv2.paths.1.conv "
        "conv2.paths.1.bn conv2.attn.fc_reduce conv2.attn.bn conv2.attn.fc_select "
        "conv3.conv conv3.bn",
    )


def _dpn(model: Any) -> Iterable[str]:
    yield from ("features.conv1_1.conv", "features.conv1_1.bn")
    for stage, depth in enumerate(model.depths):
        for index in range(depth):
            unit = f"features.conv{stage + 2}_{index + 1}"
            parts = ["c1x1_a", "c3x3_b", "c1x1_c"]
            if index == 0:
                parts.insert(0, "c1x1_w_s2" if stage else "c1x1_w_s1")
            for part in parts:
                yield from (f"{unit}.{part}.bn", f"{unit}.{part}.conv")
    yield from ("features.conv5_bn_ac.bn", "classifier")


def _inception(modules: Iterable[tuple[str, str]], last: str) -> Iterable[str]:
    """Convolutions with batch norms: module by module, its branches in words.

    A word that ends with "!" is a convolution without batch norm.
    """
    for module, parts in modules:
        for part in parts.split() or [""]:
            name = ".".join(filter(None, (module, part.rstrip("!"))))
            yield from (name,) if part.endswith("!") else (f"{name}.conv", f"{name}.bn")
    yield last


def _inception_v3(model: Any) -> Iterable[str]:
    a = (
        "branch1x1 branch5x5_1 branch5x5_2 branch3x3dbl_1 branch3x3dbl_2 "
        "branch3x3dbl_3 branch_pool"
    )
    b = (
        "branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 branch7x7dbl_1 branch7x7dbl_2 "
        "branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5 branch_pool"
    )
    c = (
        "branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b branch3x3dbl_1 "
        "branch3x3dbl_2 branch3x3dbl_3a branch3x3dbl_3b branch_pool"
    )
    return _inception(
        [
            *((f"Conv2d_{part}", "") for part in _V3_STEM.split()),
            *((f"Mixed_5{letter}", a) for letter in "bcd"),
            ("Mixed_6a", "branch3x3 branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3"),
            *((f"Mixed_6{letter}", b) for letter in "bcde"),
            (
                "Mixed_7a",
                "branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 "
                "branch7x7x3_4",
            ),
            *((f"Mixed_7{letter}", c) for letter in "bc"),
        ],
        "fc",
    )


_V3_STEM = "1a_3x3 2a_3x3 2b_3x3 3b_1x1 4a_3x3"


def _inception_v4(model: Any) -> Iterable[str]:
    a = "branch0 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2 branch3.1"
    b = (
        "branch0 branch1.0 branch1.1 branch1.2 branch2.0 branch2.1 branch2.2 branch2.3 "
        "branch2.4 branch3.1"
    )
    c = (
        "branch0 branch1_0 branch1_1a branch1_1b branch2_0 branch2_1 branch2_2 "
        "branch2_3a branch2_3b branch3.1"
    )
    parts = [
        *["", "", ""],
        "conv",
        "branch0.0 branch0.1 branch1.0 branch1.1 branch1.2 branch1.3",
        "conv",
        *[a] * 4,
        "branch0 branch1.0 branch1.1 branch1.2",
        *[b] * 7,
        "branch0.0 branch0.1 branch1.0 branch1.1 branch1.2 branch1.3",
        *[c] * 3,
    ]
    modules = ((f"features.{index}", part) for index, part in enumerate(parts))
    return _inception(modules, "last_linear")


def _inception_resnet_v2(model: Any) -> Iterable[str]:
    three = "branch0 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2"
    two = "branch0 branch1.0 branch1.1 branch1.2"
    return _inception(
        [
            *((f"conv2d_{part.split('_')[0]}", "") for part in _V3_STEM.split()),
            ("mixed_5b", f"{three} branch3.1"),
            *((f"repeat.{index}", f"{three} conv2d!") for index in range(10)),
            ("mixed_6a", two),
            *((f"repeat_1.{index}", f"{two} conv2d!") for index in range(20)),
            (
                "mixed_7a",
                "branch0.0 branch0.1 branch1.0 branch1.1 branch2.0 branch2.1 branch2.2",
            ),
            *((f"repeat_2.{index}", f"{two} conv2d!") for index in range(9)),
            ("block8", f"{two} conv2d!"),
            ("conv2d_7b", ""),
        ],
        "classif",
    )


def _wide(groups: int) -> dict[str, Any]:
    """ResNeXt-101 32x8d and 64x4d: twice the middle, the same output."""
    widths = (256, 512, 1024, 2048)
    return {"widths": widths, "outputs": widths, "groups": groups}


_INCEPTION: dict[str, Any] = {
    "mean": _HALF[0],
    "std": _HALF[1],
    "padded_pool": False,
    "eps": 1e-3,
}
_DPN_FIELDS: dict[str, Any] = {"mean": _DPN[0], "std": _DPN[1], "eps": 1e-3}
SOURCES: dict[str, Source] = {
    "dpn92": Source("dpn92", _dpn, **_DPN_FIELDS),
    "dpn98": Source("dpn98", _dpn, **_DPN_FIELDS),
    "inception_resnet_v2": Source(
        "inception_resnet_v2",
        _inception_resnet_v2,
        excluded_padding=True,
        **_INCEPTION,
    ),
    "inception_v3": Source("inception_v3", _inception_v3, **_INCEPTION),
    "inception_v4": Source(
        "inception_v4", _inception_v4, excluded_padding=True, **_INCEPTION
    ),
    # Trained in Caffe, with Caffe's pooling.
    "legacy_seresnext50_32x4d": Source("senet50", _legacy_seresnext, padded_pool=False),
    "legacy_seresnext101_32x4d": Source(
        "senet101", _legacy_seresnext, padded_pool=False
    ),
    "resnext50_32x4d": Source("resnext50", _resnext),
    "resnext101_32x4d": Source("resnext101", _resnext),
    "resnext101_32x8d": Source("resnext101", _resnext, _wide(32)),
    "resnext101_64x4d": Source("resnext101", _resnext, _wide(64)),
    "seresnext50_32x4d": Source("senet50", _seresnext),
    "seresnext101_32x4d": Source("senet101", _seresnext),
    "skresnext50_32x4d": Source("sknet50", _skresnext),
}


def source(name: str) -> Source:
    """The network of that name in torchvision or timm.

    Raises:
        ValueError: No such network, with the closest name.
    """
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1, cutoff=0.0)[0]
        raise ValueError(
            f"unknown network '{name}'; the closest known is '{close}' (known: "
            f"{', '.join(SOURCES)})"
        )
    return SOURCES[name]


def read_state_dict(path: Path) -> dict[str, Array]:
    """Arrays by name, from a .safetensors file or one that torch.save wrote.

    Nothing in the file is executed: pickles are read with weights_only. Wrappers
    ({"state_dict": …}, names that begin with "module.") are taken off.

    Raises:
        ValueError: The file is damaged, or holds something else.
        ImportError: The package torch or safetensors is missing.
    """
    try:
        import torch

        if path.suffix == ".safetensors":
            return _arrays(_read_safetensors(path))
    except ImportError as error:
        raise ImportError(
            f"{path}: reading it needs the package {error.name}; install it with "
            "`pip install sknet-caffe[torch]`"
        ) from None
    import zipfile

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as e:  # whatever the unpickler trips over
        zipped = zipfile.is_zipfile(path)
        reason = "it holds more than tensors" if zipped else "it is damaged or no such"
        raise ValueError(
            f"{path}: not read as a state dict: {reason} file; save "
            "`model.state_dict()` with torch.save"
        ) from e
    for wrapper in ("state_dict", "model", "state_dict_ema"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
            break
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor)
        for name, value in state.items()
    ):
        raise ValueError(
            f"{path}: got {type(state).__name__}, expected a state dict: tensors by "
            "name, as `torch.save(model.state_dict(), file)` writes"
        )
    return _arrays(state)


def _arrays(state: Mapping[str, Any]) -> dict[str, Array]:
    return {
        name.removeprefix("module."): value.float().numpy()
        for name, value in state.items()
    }


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from None


@dataclass(frozen=True)
class Imported:
    """A converted network.

    Attributes:
        definition: NetParameter for inference.
        weights: NetParameter with the learned arrays.
        mean: What to subtract from blue, green and red pixels (0 to 255).
    """

    definition: Any
    weights: Any
    mean: tuple[float, ...]


def convert(
    state: Mapping[str, Array],
    name: str,
    *,
    image_size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    **options: Any,
) -> Imported:
    """Converts a state dict.

    Args:
        state: Arrays by name; running counters and auxiliary heads are left out.
        name: Key of SOURCES.
        image_size: Side of the input in pixels, by default the network's own.
        mean: Of red, green, blue pixels / 255, by default the network's usual one.
        std: By which the difference was divided in training.
        options: More fields of the configuration, such as `depths`.

    Raises:
        ValueError: An array is missing, left over, or has another shape.
    """
    origin = source(name)
    model = _model(origin, state, image_size, options)
    definition = deploy(model)
    modules = list(origin.names(model))
    _check_names(state, modules, name)
    weights = caffe_pb2.NetParameter(name=definition.name)
    learned = [layer for layer in definition.layer if layer.type in _CONVERTERS]
    shapes = {cost.layer.name: cost for cost in analyse(definition).layers}
    scale = 1 / (255 * np.array(std or origin.std))
    for index, (layer, module) in enumerate(zip(learned, modules, strict=True)):
        arrays = _CONVERTERS[layer.type](layer, module, state, origin)
        expected = shapes[layer.name].cost.stored
        got = sum(array.size for array in arrays)
        if got != expected:
            raise ValueError(
                f"module '{module}' has arrays of shapes "
                f"{', '.join(str(array.shape) for array in arrays)}, but layer "
                f"'{layer.name}' ({layer.type}) of {origin.model} has {expected} "
                f"values; the file is of another network than {name}"
            )
        if index == 0:
            # Red, green, blue, each with its scale, to blue, green, red.
            arrays[0] = (arrays[0] * scale.reshape(1, 3, 1, 1))[:, ::-1]
        stored = weights.layer.add()
        stored.CopyFrom(layer)
        store(stored, *arrays)
    if origin.padded_pool:
        _pad_stem(definition)
    if origin.excluded_padding:
        _exclude_padding(definition, weights)
    levels = tuple(255 * value for value in (mean or origin.mean))
    return Imported(definition, weights, levels[::-1])


def _model(
    origin: Source,
    state: Mapping[str, Array],
    image_size: int | None,
    options: Mapping[str, Any],
) -> Model:
    fields = {**origin.options, **options}
    plain = create_model(origin.model, **fields)
    last = list(origin.names(plain))[-1]
    if f"{last}.weight" in state:
        fields["classes"] = len(state[f"{last}.weight"])
    if image_size and image_size != plain.image_size:
        fields["image_size"] = image_size
        if hasattr(plain, "final_pool"):
            # A pooling of the whole map, whatever its size is then.
            fields["final_pool"] = 0
    return create_model(origin.model, **fields)


def _check_names(state: Mapping[str, Array], modules: list[str], name: str) -> None:
    """Every array must have its place, and every place an array."""
    known = set(modules)
    for key in state:
        module, _, kind = key.rpartition(".")
        if module in known or kind == "num_batches_tracked":
            continue
        if module.startswith("AuxLogits"):
            continue
        raise ValueError(
            f"array '{key}' has no place in {name}; the file is of another network, or "
            "of a variant"
        )
    for module in modules:
        if f"{module}.weight" not in state:
            close = difflib.get_close_matches(f"{module}.weight", state, n=1)
            hint = f"; the closest is '{close[0]}'" if close else ""
            raise ValueError(
                f"array '{module}.weight' of {name} is not in the file{hint}"
            )


def _convolution(
    layer: Any, module: str, state: Mapping[str, Array], origin: Source
) -> list[Array]:
    del origin
    arrays = [state[f"{module}.weight"].astype(np.float64)]
    if layer.type == "InnerProduct":
        # DPN's classifier is a 1x1 convolution.
        arrays[0] = arrays[0].reshape(len(arrays[0]), -1)
        bias = layer.inner_product_param.bias_term
    else:
        bias = layer.convolution_param.bias_term
        if arrays[0].ndim != 4:
            raise ValueError(
                f"array '{module}.weight' has shape {arrays[0].shape}, expected that "
                "of a convolution, (outputs, inputs, height, width)"
            )
        outputs = layer.convolution_param.num_output
        kernel = layer.convolution_param.kernel_size
        wanted = (
            (kernel[0], kernel[0])
            if kernel
            else (layer.convolution_param.kernel_h, layer.convolution_param.kernel_w)
        )
        if arrays[0].shape[0] != outputs or arrays[0].shape[2:] != wanted:
            raise ValueError(
                f"array '{module}.weight' has shape {arrays[0].shape}, expected "
                f"({outputs}, …, {wanted[0]}, {wanted[1]}) for layer '{layer.name}'; "
                "the file is of another network"
            )
    if bias:
        arrays.append(_required(state, f"{module}.bias").astype(np.float64))
    elif f"{module}.bias" in state:
        raise ValueError(
            f"array '{module}.bias' has no place in layer '{layer.name}', which has no "
            "bias; the file is of another network"
        )
    return arrays


def _batch_norm(
    layer: Any, module: str, state: Mapping[str, Array], origin: Source
) -> list[Array]:
    scale, bias, mean, variance = (
        _required(state, f"{module}.{part}").astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    eps = layer.batch_norm_param.eps
    if eps != np.float32(origin.eps):
        scale = scale * np.sqrt((variance + eps) / (variance + origin.eps))
    return [array.reshape(1, -1, 1, 1) for array in (scale, bias, mean, variance)]


_CONVERTERS: dict[str, Callable[..., list[Array]]] = {
    "Convolution": _convolution,
    "CuDNNBatchNorm": _batch_norm,
    "InnerProduct": _convolution,
}


def _required(state: Mapping[str, Array], name: str) -> Array:
    if name not in state:
        raise ValueError(f"array '{name}' is not in the file")
    return state[name]


def _pad_stem(definition: Any) -> None:
    """The stem's pooling as in PyTorch: padding 1, output size rounded down."""
    pool = next(layer for layer in definition.layer if layer.type == "Pooling")
    pool.pooling_param.pad = 1
    pool.pooling_param.round_mode = pool.pooling_param.FLOOR


def _exclude_padding(definition: Any, weights: Any) -> None:
    """Behind each padded average a fixed Scale that divides by the pixels inside."""
    shapes = {cost.layer.name: cost.shapes for cost in analyse(definition).layers}
    layers = list(definition.layer)
    del definition.layer[:]
    for layer in layers:
        definition.layer.append(layer)
        param = layer.pooling_param
        if layer.type != "Pooling" or param.pool != param.AVE or not param.pad:
            continue
        inside = []
        for size in shapes[layer.name][0][2:]:
            # Stride 1, and padding that keeps the size.
            start = np.arange(size) - param.pad
            end = np.minimum(start + param.kernel_size, size)
            inside.append(end - np.maximum(start, 0))
        factor = param.kernel_size**2 / np.multiply.outer(*inside)
        fixed = definition.layer.add(
            name=f"{layer.name}/inside",
            type="Scale",
            bottom=layer.top,
            top=layer.top,
            param=[caffe_pb2.ParamSpec(lr_mult=0, decay_mult=0)],
        )
        fixed.scale_param.axis = 2
        fixed.scale_param.num_axes = 2
        stored = weights.layer.add()
        stored.CopyFrom(fixed)
        store(stored, factor)
