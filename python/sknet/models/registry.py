"""What a model is, and the registry of model entry points."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from caffe.net_spec import NetSpec, Top


@dataclass(frozen=True)
class Model(ABC):
    """A network from image batch to class scores, without data and loss.

    Attributes:
        name: `name` of the generated net.
        classes: Number of classes.
        image_size: Side of the square input in pixels.
        recipe: Name of the training recipe, see `sknet.models.recipe`.
    """

    name: str
    classes: int
    image_size: int
    recipe: str

    @abstractmethod
    def add_to(self, net: NetSpec, data: Top) -> Top:
        """Adds the layers behind `data` (N x 3 x H x W) to `net`.

        Returns:
            The class scores before the softmax, N x classes.
        """


Entry = Callable[..., Model]
_entries: dict[str, Entry] = {}


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
        close = difflib.get_close_matches(name, _entries, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown model '{name}'; the closest known is '{close[0]}' "
            f"(known: {', '.join(sorted(_entries))})"
        )
    return _entries[name](**options)
