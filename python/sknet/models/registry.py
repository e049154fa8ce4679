"""What a model is, and the registry of model entry points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from caffe.closest import suggestion
from caffe.net_spec import NetSpec, Top
from caffe.proto import caffe_pb2


@dataclass(frozen=True)
class Release:
    """The Caffe file of a network that its authors published.

    Attributes:
        form: "training" with images and labels in and loss and accuracies out, or
            "deploy" with stock batch norms.
        respell: Changes a layer where the file says the same in other words.
    """

    form: str
    respell: Callable[[caffe_pb2.LayerParameter], None] = lambda layer: None


@dataclass(frozen=True)
class Model(ABC):
    """A network from image batch to class scores, without data and loss.

    Attributes:
        name: `name` of the generated net.
        classes: Number of classes.
        image_size: Side of the square input in pixels.
        recipe: Name of the training recipe, see `sknet.models.recipe`.
        release: The authors' file of this very network, if there is one.
    """

    name: str
    classes: int = 1000
    image_size: int = 224
    recipe: str = "imagenet"
    release: Release | None = None

    def __post_init__(self) -> None:
        """Rejects sizes that no net can have."""
        for field in ("classes", "image_size"):
            value = getattr(self, field)
            if value < 1:
                raise ValueError(f"{self.name}: {field} is {value}, expected >= 1")

    def check_stages(self, stages: int, *fields: str) -> None:
        """Each of these fields is absent, or has a number >= 1 for every stage."""
        for field in fields:
            values = getattr(self, field)
            if values is None:
                continue
            if len(values) != stages:
                raise ValueError(
                    f"{self.name}: {len(values)} {field}, expected {stages}, one for "
                    "each entry of depths"
                )
            if min(values) < 1:
                raise ValueError(
                    f"{self.name}: {field} has {min(values)}, expected numbers >= 1"
                )

    def check_groups(self, width: int, groups: int) -> None:
        """The groups divide the channels."""
        if groups < 1 or width % groups:
            raise ValueError(
                f"{self.name}: width {width} is not a multiple of groups, {groups}"
            )

    @abstractmethod
    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Adds the layers behind `data` (N x 3 x H x W) to `net`.

        Returns:
            The class scores before the softmax, N x classes.
        """

    def add_auxiliary_to(self, net: NetSpec) -> list[tuple[Top, float]]:
        """Adds heads that only training has, behind what `add_to` has added.

        Returns:
            Scores of each head, N x classes, and the weight of its loss; none here.
        """
        return []


AnyModel = TypeVar("AnyModel", bound=Model)
Entry = Callable[..., Model]
_entries: dict[str, Entry] = {}


def configured(config: AnyModel, options: dict[str, Any]) -> AnyModel:
    """`config` with the fields in `options` replaced.

    Another image size than the configured one replaces a last pooling of fixed kernel
    by one over the whole map, unless `options` say otherwise. What differs from
    `config` is no longer what the authors released.
    """
    known = [field for field in config.__dataclass_fields__ if field != "release"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"{config.name}: unknown option '{unknown[0]}' (known: {', '.join(known)})"
        )
    resized = options.get("image_size", config.image_size) != config.image_size
    if resized and "final_pool" in config.__dataclass_fields__:
        options = {"final_pool": 0, **options}
    changed = replace(config, **options)
    return config if changed == config else replace(changed, release=None)


def register_model(entry: Entry) -> Entry:
    """Makes the model that `entry` builds known under the function's name."""
    name = entry.__name__
    if name in _entries:
        raise ValueError(f"model '{name}' is registered twice")
    _entries[name] = entry
    return entry


def list_models() -> dict[str, str]:
    """Registered names, sorted, each with the first line of its documentation."""
    return {
        name: (_entries[name].__doc__ or "").strip().split("\n")[0]
        for name in sorted(_entries)
    }


def create_model(name: str, **options: Any) -> Model:
    """Builds a registered model; `options` replace fields of its configuration.

    Raises:
        ValueError: No such model, no such option, or a value out of its range.
    """
    if name not in _entries:
        raise ValueError(
            f"unknown model '{name}'{suggestion(name, _entries)}; `sknet list` names "
            f"all {len(_entries)}"
        )
    return _entries[name](**options)
