"""The networks of torchvision and timm whose weights can be imported.

For each: the network here, what its modules with parameters are called, in the order of
the layers here, and in which details it differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from caffe.closest import suggestion

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
        raise ValueError(
            f"unknown network '{name}'{suggestion(name, SOURCES)} (known: "
            f"{', '.join(SOURCES)})"
        )
    return SOURCES[name]
