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

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from caffe.closest import suggestion
from caffe.extras import missing
from caffe.files import reading
from caffe.io import array_to_blobproto
from caffe.proto import caffe_pb2
from sknet.complexity import analyse
from sknet.convert.torch_sources import Source, source
from sknet.models import Model, create_model, deploy
from sknet.models.definitions import validation_transform

Array = npt.NDArray[Any]


def read_state_dict(path: Path) -> dict[str, Array]:
    """Arrays by name, from a .safetensors file or one that torch.save wrote.

    Nothing in the file is executed: pickles are read with weights_only. Wrappers
    ({"state_dict": …}, names that begin with "module.") are taken off.

    Raises:
        ValueError: The file is damaged, or holds something else.
        OSError: It cannot be read.
        ImportError: The package torch or safetensors is missing.
    """
    with reading(path), path.open("rb"):
        pass
    try:
        import torch

        if path.suffix == ".safetensors":
            return _arrays(_read_safetensors(path))
    except ImportError as error:
        raise ImportError(
            missing(error.name or "torch", f"{path}: reading it", "torch")
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
        transform: What a data layer does with an image, a TransformationParameter.
    """

    definition: Any
    weights: Any
    mean: tuple[float, ...]
    transform: Any


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
        name: Key of `torch_sources.SOURCES`.
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
        stored.blobs.extend(map(array_to_blobproto, arrays))
    if origin.padded_pool:
        _pad_stem(definition)
    if origin.excluded_padding:
        _exclude_padding(definition, weights)
    levels = tuple(255 * value for value in (mean or origin.mean))[::-1]
    transform = validation_transform(model)
    transform.mean_value[:] = levels
    transform.ClearField("scale")
    return Imported(definition, weights, levels, transform)


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
            raise ValueError(
                f"array '{module}.weight' of {name} is not in the file"
                f"{suggestion(f'{module}.weight', state)}"
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
        stored.blobs.append(array_to_blobproto(factor))
