"""`caffe.Net`: runs, learns, loads and saves a net."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from caffe import _arguments, _caffe
from caffe._log import log
from caffe.net_arguments import constructor_values
from caffe.net_arrays import batches, fill, joined
from caffe.net_schedule import Schedule, schedule_of
from caffe.net_structure import NetStructure
from caffe.net_weights import WeightsReport, check_finite
from caffe.proto.caffe_pb2 import NetParameter

Array = npt.NDArray[Any]
Path = str | os.PathLike[str]
Network = Path | NetParameter
Weights = Path | Sequence[Path]


class Net(NetStructure):
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
        make, weights = constructor_values(who, args, kwargs)
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
        super().__init__(engine)
        self._open_turns = 0
        self._warned_of_threads = False

    @property
    def optimized(self) -> bool:
        """Whether layers are fused for inference, see `optimize` of the constructor."""
        return self._engine.optimized

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
                fill(self, inputs, self.inputs, "data")
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
            log(
                f"net '{self.name}': several threads run it on inputs that lie in its "
                "blobs; give the inputs to forward(), or write them, run and read the "
                "results in one `with net.turn():`",
                severity=1,
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
                fill(self, gradients, self.outputs, "diff")
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
        found: dict[str, list[Array]] = {}
        for batch in batches(self, inputs):
            for name, array in self._run_forward(blobs, None, None, batch).items():
                found.setdefault(name, []).append(array.copy())
        return joined(found, inputs)

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
            batches(self, inputs), batches(self, outputs), strict=True
        ):
            with self._engine.turn():
                values = self._run_forward(blobs or (), None, None, batch)
                for name, array in values.items():
                    data.setdefault(name, []).append(array.copy())
                values = self._run_backward(diffs or (), None, None, diff)
                for name, array in values.items():
                    gradients.setdefault(name, []).append(array.copy())
        return joined(data, inputs), joined(gradients, inputs)

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
        return WeightsReport.of(self._engine)

    def load_hdf5(self, filename: Path) -> WeightsReport:
        """Like `copy_from`, for HDF5 files of any name."""
        self._engine.copy_from_hdf5(_arguments.path(filename, "load_hdf5", "filename"))
        return WeightsReport.of(self._engine)

    def check_weights(self) -> None:
        """Makes sure that all learned values are numbers.

        Raises:
            ValueError: Names the blobs with NaN or infinite values, and how many.
        """
        check_finite(self)

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
        """Precision of the arithmetic: "float32", or another that was chosen.

        The prototxt's `precision` unless set here. On a CPU with "bf16" convolutions
        without groups multiply operands rounded to bfloat16 (8 bits of precision),
        about twice as fast where it has AVX512-BF16 or AMX, and with a warning in
        float32 where it has neither. Sums, activations, gradients and weights are
        float32 all the same.

        On a GPU with "bf16" or "fp16" (11 bits, with a scaled loss in training)
        activations and their gradients have that type in memory, too; sums, losses,
        weights and their gradients are float32. With "tf32" (11 bits) the operands of
        float32 products are rounded, and nothing else. In CPU mode `forward` raises
        ValueError with "fp16" and "tf32".
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

    def schedule(self) -> Schedule:
        """The steps in which `forward` and `backward` run the whole net now.

        They depend on `optimize`, `keep_blobs`, and on who looks: callbacks and
        `set_debug_info` have the net run layer by layer.

        >>> print(net.schedule())  # doctest: +SKIP
        """
        return schedule_of(self._engine.schedule())

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


def read_net(path: Path) -> NetParameter:
    """A prototxt or a caffemodel as a message, without building the net.

    It is read as `Net` reads it, and upgraded: whatever its format and the Caffe that
    wrote it, the result has only `layer`s, and inputs are layers of type Input.

    Raises:
        ValueError: The text is no net; with file, line and column.
        OSError: The file cannot be read, or is something else.
    """
    return NetParameter.FromString(_caffe.read_net(os.fspath(path)))
