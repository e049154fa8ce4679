"""What a net consists of: its layers and blobs, by name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

from caffe import _caffe
from caffe.closest import suggestion
from caffe.named import Named

Value = TypeVar("Value")


class NetStructure:
    """The names, layers and blobs of a net, to look at."""

    def __init__(self, engine: _caffe.Net) -> None:
        self._engine = engine
        self._blob_names = engine.blob_names
        self._layer_names = engine.layer_names
        self._inputs = engine.inputs
        self._outputs = engine.outputs
        self._blob_loss_weights = engine.blob_loss_weights
        self._layers = engine.layers
        self._blobs = Named.of(
            f"net '{engine.name}': no blob",
            zip(self._blob_names, engine.blobs, strict=True),
        )
        self._params = Named.of(
            f"net '{engine.name}': no layer with learned blobs",
            (
                (name, layer.blobs)
                for name, layer in zip(self._layer_names, self._layers, strict=True)
                if len(layer.blobs)
            ),
        )

    @property
    def name(self) -> str:
        """Name in the prototxt."""
        return self._engine.name

    @property
    def phase(self) -> int:
        """`caffe.TRAIN` or `caffe.TEST`."""
        return self._engine.phase

    @property
    def blobs(self) -> OrderedDict[str, _caffe.Blob]:
        """All blobs by name, in the order in which they are computed."""
        return self._blobs

    @property
    def params(self) -> OrderedDict[str, _caffe.BlobVec]:
        """The learned blobs of the layers that have any, by layer name."""
        return self._params

    @property
    def layers(self) -> list[_caffe.EngineLayer]:
        """The layers in order; each has `type`, `name` and `blobs`."""
        return self._layers

    @property
    def layer_dict(self) -> OrderedDict[str, _caffe.EngineLayer]:
        """The layers by name."""
        return self._by_layer(self._layers)

    @property
    def inputs(self) -> list[str]:
        """Names of the input blobs: those of Input layers."""
        return [self._blob_names[index] for index in self._inputs]

    @property
    def outputs(self) -> list[str]:
        """Names of the output blobs: those that no layer reads."""
        return [self._blob_names[index] for index in self._outputs]

    @property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """Names of the blobs that each layer writes, by layer name."""
        return self._blobs_by_layer(self._engine.top_ids)

    @property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """Names of the blobs that each layer reads, by layer name."""
        return self._blobs_by_layer(self._engine.bottom_ids)

    def _by_layer(self, values: Iterable[Value]) -> Named[Value]:
        problem = f"net '{self.name}': no layer"
        return Named.of(problem, zip(self._layer_names, values, strict=True))

    def _blobs_by_layer(self, ids: Callable[[int], list[int]]) -> Named[list[str]]:
        return self._by_layer(
            [self._blob_names[blob] for blob in ids(index)]
            for index in range(len(self._layers))
        )

    @property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """Weight of each blob in the objective, by name."""
        return Named.of(
            f"net '{self.name}': no blob",
            zip(self._blob_names, self._blob_loss_weights, strict=True),
        )

    def _top_ids(self, layer: int) -> list[int]:
        return self._engine.top_ids(layer)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._engine.bottom_ids(layer)

    def _layer_index(self, name: str) -> int:
        if name not in self._layer_names:
            copiers, _ = self._splits()
            known = [layer for layer in self._layer_names if layer not in copiers]
            raise ValueError(
                f"net '{self.name}': no layer '{name}'{suggestion(name, known)}"
            )
        return self._layer_names.index(name)

    def _check_blobs(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._blobs:
                _, copies = self._splits()
                known = [blob for blob in self._blob_names if blob not in copies]
                raise ValueError(
                    f"net '{self.name}': no blob '{name}'{suggestion(name, known)}"
                )

    def _splits(self) -> tuple[set[str], set[str]]:
        """The layers and blobs of blobs with several readers, which messages spare."""
        layers = {
            name for name, layer in self.layer_dict.items() if layer.type == "Split"
        }
        return layers, {blob for name in layers for blob in self.top_names[name]}

    def __repr__(self) -> str:
        return (
            f"<caffe.{type(self).__name__} '{self.name}', {len(self._layers)} layers>"
        )
