"""What an evaluation is about: a net with its weights, images, and how it sees them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sknet.evaluation.images import ImageSource, open_source
from sknet.evaluation.network import Network, load_network, misfits, read_definition
from sknet.evaluation.protocol import Preprocessing, Protocol, protocol_for

PathLike = str | os.PathLike[str]


class Setting(NamedTuple):
    """The first arguments of `evaluate`.

    Attributes:
        network: The net, filled.
        source: Images.
        protocol: Their crops.
        preprocessing: From levels to the values of the net's input.
    """

    network: Network
    source: ImageSource
    protocol: Protocol
    preprocessing: Preprocessing

    def doubts(self) -> list[str]:
        """Reasons to doubt a result before there is one, in sentences."""
        name = self.network.definition.name
        return [*misfits(self.network.weights), *self.preprocessing.doubts(name)]


def set_up(
    net: PathLike,
    weights: PathLike,
    source: PathLike,
    *,
    labels: PathLike | None = None,
    protocol: str | None = None,
    resize: int | None = None,
    mean: Sequence[float] | None = None,
    scale: float | None = None,
    batch: int = 32,
    strict: bool = False,
    optimize: bool = True,
    precision: str = "float32",
) -> Setting:
    """Reads and builds what `sknet evaluate` does, by options of the same names.

    `mean` and `scale` count more than what the definition says; the functions called
    here explain the others.

    Raises:
        ValueError: They do not fit together.
        OSError: A file cannot be read.
    """
    definition = read_definition(os.fspath(net))
    preprocessing = definition.preprocessing.replaced(mean, scale)
    crops = protocol_for(
        protocol, definition.side, resize, definition.resize, definition.resize_from
    )
    images = open_source(Path(source), None if labels is None else Path(labels))
    network = load_network(
        definition,
        Path(weights),
        crops.crop,
        batch * crops.crops,
        strict=strict,
        optimize=optimize,
        precision=precision,
    )
    return Setting(network, images, crops, preprocessing)
