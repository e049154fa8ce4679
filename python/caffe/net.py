"""`caffe.Net`."""

from __future__ import annotations

import operator
import os
import reprlib
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np
import numpy.typing as npt

from caffe import _arguments, _caffe
from caffe.closest import suggestion
from caffe.named import Named
from caffe.proto.caffe_pb2 import TEST, TRAIN, NetParameter

Array = npt.NDArray[Any]
Path = str | os.PathLike[str]
Network = Path | NetParameter
Weights = Path | Sequence[Path]
Value = TypeVar("Value")


class WeightsReport(NamedTuple):
    """How stored weights and a net fit, by the names of layers.

    Attributes:
        matched: Layers that got weights.
        without_weights: Layers of the net that got none.
        without_layer: Stored layers that the net lacks; not told of HDF5 files.
    """

    matched: list[str]
    without_weights: list[str]
    without_layer: list[str]


class Net:
    """A network, ready to run.

    Values go in and out through `net.blobs["name"].data`, NumPy arrays that share the
    memory of the net. They stay valid for as long as they are referenced, and show the
    values of the latest run.

    All methods raise ValueError for wrong definitions, shapes and names, OSError for
    files, and NotImplementedError and RuntimeError for what the engine cannot do. The
    interpreter's lock is released while computing.

    Threads that use one net take turns, and a call with its inputs and results is one
    turn; `turn` joins several calls. Only in the thread that made the net, and until
    another runs it, are the results of runs arrays over the net's memory; from then
    on, and in all other threads, they are copies.
    """

    @overload
    def __init__(
        self,
        network_file: Network,
        phase: int,
        level: int = 0,
        stages: Sequence[str] | None = None,
        weights: Weights | None = None,
        *,
        optimize: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self,
        network_file: Network,
        weights: Path,
        phase: int,
        *,
        optimize: bool = False,
    ) -> None: ...

    def __init__(
        self,
        network_file: Network,
        *args: Any,
        optimize: bool = False,
        **kwargs: Any,
    ) -> None:
        """Builds the net, and fills it if weights are given.

        Args:
            network_file: Prototxt, or a NetParameter.
            phase: `caffe.TRAIN` or `caffe.TEST`.
            level: Compared with the layers' include and exclude rules, like the phase
                and the stages.
            stages: Stages that are met.
            weights: Caffemodel or HDF5 file, or several, applied in order.
            optimize: Run faster and in less memory, in phase TEST: layers are fused,
                and only the data of inputs and outputs are kept; asking for another
                blob's raises RuntimeError, as do `backward` and `forward` with
                `start` or `end`. Results equal the plain net's to float rounding.
            *args: These in this order, or the old form `(weights, phase)`.
            **kwargs: The same by name.
        """
        who = f"caffe.{type(self).__name__}"
        make, weights = _constructor_values(who, args, kwargs)
        if isinstance(network_file, NetParameter):
            engine = _caffe.Net.from_message(network_file.SerializeToString(), *make)
        else:
            file = _arguments.path(
                network_file, who, "network_file", " or a NetParameter"
            )
            engine = _caffe.Net.from_file(file, *make)
        self._attach(engine)
        for file in weights:
            self.copy_from(file)
        if optimize:
            engine.optimize()

    @classmethod
    def _of(cls, engine: _caffe.Net) -> Net:
        """The Python side of a net that a solver owns."""
        net = cls.__new__(cls)
        net._attach(engine)
        return net

    def _attach(self, engine: _caffe.Net) -> None:
        self._engine = engine
        self._open_turns = 0
        self._warned_of_threads = False
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
    def optimized(self) -> bool:
        """Whether layers are fused for inference, see `optimize` of the constructor."""
        return self._engine.optimized

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

    def _layer_index(self, name: str) -> int:
        if name not in self._layer_names:
            copiers, _ = self._splits()
            known = [layer for layer in self._layer_names if layer not in copiers]
            raise ValueError(f"net '{self.name}': no layer {_unknown(name, known)}")
        return self._layer_names.index(name)

    def _fill(self, values: Mapping[str, Array], names: list[str], part: str) -> None:
        """Copies arrays into the data or diff of the blobs, which must be `names`."""
        if set(values) != set(names):
            raise ValueError(
                f"net '{self.name}': got arrays for {_listed(values)}, expected them "
                f"for {_listed(names)}"
            )
        for name, value in values.items():
            target = getattr(self._blobs[name], part)
            shape = np.shape(value)
            if shape[:1] != target.shape[:1] or not _stretches(shape, target.shape):
                raise ValueError(
                    f"net '{self.name}', blob '{name}': array has shape {shape}, "
                    f"expected {target.shape}{self._cure(name, shape)}"
                )
            target[...] = value

    def _cure(self, name: str, shape: tuple[int, ...]) -> str:
        """What makes an array of the wrong shape fit, as the end of a sentence."""
        expected = self._blobs[name].shape
        if name not in self.inputs or len(shape) != len(expected) or 0 in shape:
            return ""
        if shape[1:] != expected[1:] and sorted(shape[1:]) == sorted(expected[1:]):
            return "; transpose it, as caffe.io.Transformer does"
        cure = f"; to run this shape, call net.blobs['{name}'].reshape{shape} first"
        if shape[1:] == expected[1:]:
            cure += ", or forward_all(), which takes any number"
        return cure

    def _check_blobs(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._blobs:
                _, copies = self._splits()
                known = [blob for blob in self._blob_names if blob not in copies]
                raise ValueError(f"net '{self.name}': no blob {_unknown(name, known)}")

    def _splits(self) -> tuple[set[str], set[str]]:
        """The layers and blobs of blobs with several readers, which messages spare."""
        layers = {
            name for name, layer in self.layer_dict.items() if layer.type == "Split"
        }
        return layers, {blob for name in layers for blob in self.top_names[name]}

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keeps other threads from the net, and from nets that share its weights.

            with net.turn():
                net.blobs["data"].data[...] = image
                net.forward()
                scores = net.blobs["prob"].data.copy()

        What a single call does is one turn without it.
        """
        with self._engine.turn():
            self._engine.take_over()
            self._open_turns += 1
            try:
                yield
            finally:
                self._open_turns -= 1

    def forward(
        self,
        blobs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: Array,
    ) -> dict[str, Array]:
        """Runs the net.

        Args:
            blobs: Blobs to return besides the outputs.
            start: Name of the first layer to run; by default the first of the net.
            end: Name of the last; by default the last. Its tops are then the outputs.
            **kwargs: Values of all the input blobs, by name.

        Returns:
            Arrays by blob name. They share the net's memory, so copy what has to
            outlast the next run; where several threads run the net they are copies.
        """
        return self._run_forward(blobs or (), start, end, kwargs)

    def _run_forward(
        self,
        blobs: Iterable[str],
        start: str | None,
        end: str | None,
        inputs: Mapping[str, Array],
    ) -> dict[str, Array]:
        first = 0 if start is None else self._layer_index(start)
        last = len(self._layers) - 1 if end is None else self._layer_index(end)
        names = self.outputs if end is None else self.top_names[end]
        wanted = list(dict.fromkeys([*names, *blobs]))
        self._check_blobs(wanted)
        with self._engine.turn():
            if inputs:
                self._fill(inputs, self.inputs, "data")
            self._forward(first, last)
            if self._inputs and not inputs and first == 0:
                self._warn_of_threads()
            return self._results(wanted, data=True)

    def _results(self, names: list[str], data: bool) -> dict[str, Array]:
        blobs = [self._blob_names.index(name) for name in names]
        return dict(zip(names, self._engine.results(blobs, data), strict=True))

    def _warn_of_threads(self) -> None:
        """Once, when threads outside of `turn` run what has been put into the blobs."""
        if self._warned_of_threads or self._open_turns:
            return
        if self._engine.several_threads:
            self._warned_of_threads = True
            _caffe.log(
                f"net '{self.name}': several threads run it on inputs that lie in its "
                "blobs; give the inputs to forward(), or write them, run and read the "
                "results in one `with net.turn():`",
                1,
                __file__,
                sys._getframe().f_lineno,
            )

    def _forward(self, start: int, end: int) -> float:
        """Runs the layers start..end by index; returns their weighted loss."""
        return self._engine.forward(start, end)

    def backward(
        self,
        diffs: Sequence[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **kwargs: Array,
    ) -> dict[str, Array]:
        """Runs the net backwards.

        Args:
            diffs: Blobs whose gradients to return besides those of the inputs.
            start: Name of the first layer to run, by default the last of the net.
            end: Name of the last to run, by default the first of the net. The
                gradients of its bottoms are then returned.
            **kwargs: Gradients of all the output blobs, by name.

        Returns:
            Arrays of gradients by blob name, which share the net's memory or are
            copies, as those of `forward`.
        """
        return self._run_backward(diffs or (), start, end, kwargs)

    def _run_backward(
        self,
        diffs: Iterable[str],
        start: str | None,
        end: str | None,
        gradients: Mapping[str, Array],
    ) -> dict[str, Array]:
        first = len(self._layers) - 1 if start is None else self._layer_index(start)
        last = 0 if end is None else self._layer_index(end)
        names = self.inputs if end is None else self.bottom_names[end]
        wanted = list(dict.fromkeys([*names, *diffs]))
        self._check_blobs(wanted)
        with self._engine.turn():
            if gradients:
                self._fill(gradients, self.outputs, "diff")
            self._backward(first, last)
            return self._results(wanted, data=False)

    def _backward(self, start: int, end: int) -> None:
        """Runs the layers start..end backwards by index; start >= end."""
        self._engine.backward(start, end)

    def forward_all(
        self, blobs: Sequence[str] | None = None, **kwargs: Array
    ) -> dict[str, Array]:
        """Runs as many batches as it takes to process all of the inputs.

        Args:
            blobs: Blobs to return besides the outputs.
            **kwargs: Values of all the input blobs, of any length.

        Returns:
            Arrays by blob name, one entry per input; for blobs without a batch axis,
            such as losses, one entry per batch.
        """
        return self._run_all(blobs or (), kwargs)

    def _run_all(
        self, blobs: Iterable[str], inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        batches: dict[str, list[Array]] = {}
        for batch in self._batches(inputs):
            for name, array in self._run_forward(blobs, None, None, batch).items():
                batches.setdefault(name, []).append(array.copy())
        return self._joined(batches, inputs)

    def forward_backward_all(
        self,
        blobs: Sequence[str] | None = None,
        diffs: Sequence[str] | None = None,
        **kwargs: Array,
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Runs all of the inputs forward and backward.

        Args:
            blobs: Blobs to return besides the outputs.
            diffs: Blobs whose gradients to return besides those of the inputs.
            **kwargs: Values of all the input blobs and gradients of all the output
                blobs, of any length.

        Returns:
            Data and gradients by blob name, as in `forward_all`.
        """
        data: dict[str, list[Array]] = {}
        gradients: dict[str, list[Array]] = {}
        inputs = {name: kwargs[name] for name in kwargs if name in self.inputs}
        outputs = {name: kwargs[name] for name in kwargs if name not in inputs}
        for batch, diff in zip(
            self._batches(inputs), self._batches(outputs), strict=True
        ):
            with self._engine.turn():
                values = self._run_forward(blobs or (), None, None, batch)
                for name, array in values.items():
                    data.setdefault(name, []).append(array.copy())
                values = self._run_backward(diffs or (), None, None, diff)
                for name, array in values.items():
                    gradients.setdefault(name, []).append(array.copy())
        return self._joined(data, inputs), self._joined(gradients, inputs)

    def _batches(self, arrays: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
        """Cuts arrays into batches; the last one is filled up with zeros."""
        lengths = {name: len(array) for name, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(
                f"net '{self.name}': arrays of lengths {lengths}, expected one length "
                "and at least one array"
            )
        (total,) = set(lengths.values())
        (size,) = {
            self._blobs[name].shape[0] for name in arrays if name in self._blobs
        } or {1}
        for begin in range(0, total, size):
            batch = {}
            for name, array in arrays.items():
                part = np.asarray(array[begin : begin + size])
                if len(part) < size:
                    padding = np.zeros((size - len(part), *part.shape[1:]), part.dtype)
                    part = np.concatenate([part, padding])
                batch[name] = part
            yield batch

    @staticmethod
    def _joined(
        batches: Mapping[str, list[Array]], inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        total = len(next(iter(inputs.values())))
        return {
            name: np.concatenate(parts)[:total] if parts[0].ndim else np.stack(parts)
            for name, parts in batches.items()
        }

    def reshape(self) -> None:
        """Adapts all shapes to those of the input blobs."""
        self._engine.reshape()

    def clear_param_diffs(self) -> None:
        """Sets the gradients of all learned blobs to zero."""
        self._engine.clear_param_diffs()

    def copy_from(self, filename: Path) -> WeightsReport:
        """Fills the layers from those of the same names in a caffemodel or HDF5 file.

        Returns:
            Which layers of the net and of the file found each other.

        Raises:
            ValueError: A layer there has blobs of other shapes or another number.
        """
        self._engine.copy_from(_arguments.path(filename, "copy_from", "filename"))
        return self._weights_report()

    def load_hdf5(self, filename: Path) -> WeightsReport:
        """Like `copy_from`, for HDF5 files of any name."""
        self._engine.copy_from_hdf5(_arguments.path(filename, "load_hdf5", "filename"))
        return self._weights_report()

    def _weights_report(self) -> WeightsReport:
        return WeightsReport(
            *(
                [name.decode(errors="backslashreplace") for name in names]
                for names in self._engine.weights_report
            )
        )

    def check_weights(self) -> None:
        """Makes sure that all learned values are numbers.

        Raises:
            ValueError: Names the blobs with NaN or infinite values, and how many.
        """
        damaged = [
            f"layer '{layer}', blob {index}: {bad:,} of {blob.count:,}"
            for layer, blobs in self.params.items()
            for index, blob in enumerate(blobs)
            if (bad := blob.count - int(np.isfinite(blob.data).sum()))
        ]
        if damaged:
            more = f" and {len(damaged) - 3} more blobs" if len(damaged) > 3 else ""
            raise ValueError(
                f"net '{self.name}': values that are NaN or infinite in "
                f"{'; '.join(damaged[:3])}{more}; the weights are damaged, or training "
                "diverged"
            )

    def share_with(self, other: Net) -> None:
        """Uses the learned blobs of `other` in the layers of the same names."""
        if not isinstance(other, Net):
            raise TypeError(
                f"share_with: other is {reprlib.repr(other)}, expected a caffe.Net"
            )
        self._engine.share_with(other._engine)

    def save(self, filename: Path, write_diff: bool = False) -> None:
        """Writes a caffemodel: complete or not at all."""
        self._engine.save(_arguments.path(filename, "save", "filename"), write_diff)

    def save_hdf5(self, filename: Path, write_diff: bool = False) -> None:
        """Writes the learned blobs in HDF5 format: completely or not at all."""
        self._engine.save_hdf5(
            _arguments.path(filename, "save_hdf5", "filename"), write_diff
        )

    def to_proto(self, write_diff: bool = False) -> NetParameter:
        """The net with its learned blobs as a message."""
        return NetParameter.FromString(self._engine.to_proto(write_diff))

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Makes a net that begins with a MemoryData layer read from these arrays.

        Args:
            data: float32 (N, channels, height, width); N a multiple of the batch size.
            labels: N labels.

        Where several threads do so, each sets and runs in one `with net.turn():`.
        """
        self._engine.set_input_arrays(
            np.ascontiguousarray(data, dtype=np.float32),
            np.ascontiguousarray(labels, dtype=np.float32),
        )

    _set_input_arrays = set_input_arrays

    @property
    def precision(self) -> str:
        """Precision of the arithmetic: "float32", or "bf16" where it was chosen.

        The prototxt's `precision` unless set here. With "bf16" convolutions without
        groups multiply operands rounded to bfloat16 (8 bits of precision), about twice
        as fast where the CPU has AVX512-BF16 or AMX, and with a warning in float32
        where it has neither. Sums, activations, gradients and weights are float32 all
        the same.
        """
        return NetParameter.Precision.Name(self._engine.precision).lower()

    @precision.setter
    def precision(self, value: str) -> None:
        known = {name.lower(): n for name, n in NetParameter.Precision.items()}
        if value not in known:
            raise ValueError(f"precision: got {value!r}, expected {' or '.join(known)}")
        self._engine.precision = known[value]

    @property
    def keep_blobs(self) -> bool:
        """Whether all blobs can be seen after a run: True unless set to False.

        False saves memory in training, with the same results bit for bit: data and
        gradients are freed when no layer needs them any more, and what is cheap is
        computed again. Inputs, outputs and learned blobs stay. Asking for a blob that
        was freed raises RuntimeError, and so does a second `backward`. In phase TEST
        nothing is kept for `backward`. A net with debug info, or on the GPU, keeps its
        blobs.
        """
        return self._engine.keep_blobs

    @keep_blobs.setter
    def keep_blobs(self, value: bool) -> None:
        self._engine.keep_blobs = value

    def set_debug_info(self, value: bool) -> None:
        """Logs the mean absolute values of all blobs in every run."""
        self._engine.set_debug_info(value)

    def memory_bytes(self) -> int:
        """Bytes that activations and learned blobs occupy, data and gradients."""
        return self._engine.memory_bytes()

    def before_forward(self, function: Callable[[int], object]) -> None:
        """Calls `function(layer index)` before each layer runs forward."""
        self._engine.before_forward(
            _arguments.function(function, "before_forward", "function")
        )

    def after_forward(self, function: Callable[[int], object]) -> None:
        """Calls `function(layer index)` after each layer has run forward."""
        self._engine.after_forward(
            _arguments.function(function, "after_forward", "function")
        )

    def before_backward(self, function: Callable[[int], object]) -> None:
        """Calls `function(layer index)` before each layer runs backward."""
        self._engine.before_backward(
            _arguments.function(function, "before_backward", "function")
        )

    def after_backward(self, function: Callable[[int], object]) -> None:
        """Calls `function(layer index)` after each layer has run backward."""
        self._engine.after_backward(
            _arguments.function(function, "after_backward", "function")
        )

    def _top_ids(self, layer: int) -> list[int]:
        return self._engine.top_ids(layer)

    def _bottom_ids(self, layer: int) -> list[int]:
        return self._engine.bottom_ids(layer)

    def __repr__(self) -> str:
        return (
            f"<caffe.{type(self).__name__} '{self.name}', {len(self._layers)} layers>"
        )


def read_net(path: Path) -> NetParameter:
    """A prototxt or a caffemodel as a message, without building the net.

    It is read as `Net` reads it, and upgraded: whatever its format and the Caffe that
    wrote it, the result has only `layer`s, and inputs are layers of type Input.

    Raises:
        ValueError: The text is no net; with file, line and column.
        OSError: The file cannot be read, or is something else.
    """
    return NetParameter.FromString(_caffe.read_net(os.fspath(path)))


# The arguments behind network_file, in the order of either form.
_NEW_FORM = ("phase", "level", "stages", "weights")
_OLD_FORM = ("weights", "phase", "level", "stages")


def _constructor_values(
    who: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[int, int, list[str]], list[str]]:
    """Phase, level, stages and weights, from either form of the constructor."""
    is_old = bool(args) and isinstance(args[0], (str, bytes, os.PathLike, list, tuple))
    form = _OLD_FORM if is_old else _NEW_FORM
    if len(args) > len(form):
        raise TypeError(
            f"{who}: got {len(args) + 1} values, expected at most network_file, "
            f"{', '.join(form)}"
        )
    given = dict(zip(form, args, strict=False))
    for name, value in kwargs.items():
        if name not in form:
            known = [*form, "optimize"]
            raise TypeError(f"{who}: no argument {_unknown(name, known)}")
        if name in given:
            raise TypeError(f"{who}: got {name} twice, by position and by name")
        given[name] = value
    weights = given.get("weights")
    if isinstance(weights, str) and weights.upper() in ("TRAIN", "TEST"):
        given.setdefault("phase", weights)  # meant as such, where none is given
    if "phase" not in given:
        raise TypeError(f"{who}: {_without_phase(weights)}")
    make = (
        _phase(given["phase"], who),
        _level(given.get("level", 0), who),
        _stages(given.get("stages"), who),
    )
    return make, _weights(weights, who)


def _without_phase(weights: Any) -> str:
    missing = "the phase is missing, expected caffe.TRAIN or caffe.TEST behind"
    if weights is None:
        return f"{missing} network_file"
    form = f"caffe.Net(network_file, caffe.TEST, weights={reprlib.repr(weights)})"
    return f"{missing} network_file, and weights by name, as in {form}"


def _phase(value: Any, who: str) -> int:
    wrong = f"{who}: phase is {reprlib.repr(value)}, expected caffe.TRAIN or caffe.TEST"
    if isinstance(value, str) and value.upper() in ("TRAIN", "TEST"):
        wrong += ", without quotes"
    try:
        phase = operator.index(value)
    except TypeError:
        raise TypeError(wrong) from None
    if phase not in (TRAIN, TEST):
        raise ValueError(wrong)
    return phase


def _level(value: Any, who: str) -> int:
    if isinstance(value, (str, bytes, os.PathLike, list, tuple)):
        raise TypeError(
            f"{who}: level is {reprlib.repr(value)}, expected a whole number; give "
            "weights and stages by name, as in weights='net.caffemodel'"
        )
    return _arguments.whole_number(value, who, "level")


def _stages(value: Any, who: str) -> list[str]:
    # A text is a sequence as well: of its letters.
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        stages = list(value)
        if all(isinstance(stage, str) for stage in stages):
            return stages
    elif value is None:
        return []
    raise TypeError(
        f"{who}: stages is {reprlib.repr(value)}, expected a list of names such as "
        "['deploy']"
    )


def _weights(value: Any, who: str) -> list[str]:
    if value is None:
        return []
    is_one = isinstance(value, (str, bytes)) or not isinstance(value, Iterable)
    files = [value] if is_one else value
    return [_arguments.path(f, who, "weights", ", or a list of them") for f in files]


def _stretches(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether NumPy repeats an array of this shape to fill the target."""
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"'{name}'{suggestion(name, known)}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "no blob"
