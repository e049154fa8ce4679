"""`caffe.SGDSolver` and the other solvers."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import ClassVar, TypeVar

from caffe import _arguments, _caffe
from caffe.net import Net
from caffe.proto.caffe_pb2 import SolverParameter

Path = str | os.PathLike[str]
# What an action function may ask for.
ActionFunction = Callable[[], _caffe.SolverAction]
T = TypeVar("T")


class Solver:
    """Trains a net: the class for any `type` that a solver prototxt may name.

    Ctrl-C raises KeyboardInterrupt when the running iteration is done; the solver can
    go on from there. The interpreter's lock is released while computing.
    """

    _type: ClassVar[str | None] = None

    def __init__(self, solver_file: Path | SolverParameter) -> None:
        """Builds the solver and its nets.

        Args:
            solver_file: Solver prototxt, or a SolverParameter. Its `type` counts only
                for `caffe.Solver` and `caffe.get_solver`.
        """
        if isinstance(solver_file, SolverParameter):
            param = SolverParameter()
            param.CopyFrom(solver_file)
        else:
            param = read_solver(solver_file, f"caffe.{type(self).__name__}")
        if self._type is not None:
            param.type = self._type
        self._engine = _caffe.Solver.from_message(param.SerializeToString())
        self._param: SolverParameter | None = None  # when somebody has asked for it
        self._taken = b""
        self._net = Net._of(self._engine.net)
        self._test_nets = [Net._of(net) for net in self._engine.test_nets]

    @property
    def net(self) -> Net:
        """The net that is trained."""
        return self._net

    @property
    def test_nets(self) -> list[Net]:
        """The nets that are tested; they share the weights of `net` when they run."""
        return self._test_nets

    @property
    def iter(self) -> int:
        """Number of updates the weights have had."""
        return self._engine.iter

    @property
    def lr(self) -> float:
        """Learning rate of the iteration that comes next."""
        self._take_param()
        return self._engine.lr

    @property
    def type(self) -> str:
        """Name of the update rule, as in a solver prototxt."""
        return self._engine.type

    @property
    def param(self) -> SolverParameter:
        """The settings; a change such as `solver.param.base_lr = 0.1` takes effect.

        It is checked, and holds, from the next call of the solver on, or the next
        iteration if a callback made it. What is only read at the start, such as the net
        or `random_seed`, cannot change: that call raises ValueError.
        """
        if self._param is None:
            self._taken = self._engine.param
            self._param = SolverParameter.FromString(self._taken)
        return self._param

    def _take_param(self) -> None:
        """Hands settings that have changed to the engine."""
        if self._param is None:
            return
        now = self._param.SerializeToString()
        if now != self._taken:
            self._engine.update_param(now)
            self._taken = now

    def _with_param(self, function: Callable[..., T]) -> Callable[..., T]:
        """The function, and after it what it has changed of the settings."""
        owner = weakref.ref(self)  # the engine is not to keep the solver alive

        def call(*args: object) -> T:
            result = function(*args)
            if (solver := owner()) is not None:
                solver._take_param()
            return result

        return call

    @property
    def smoothed_loss(self) -> float:
        """Mean of the losses of the last `average_loss` iterations."""
        return self._engine.smoothed_loss

    @property
    def snapshot_failures(self) -> int:
        """Number of snapshots that were due and could not be written."""
        return self._engine.snapshot_failures

    def step(self, iterations: int) -> None:
        """Trains for this many iterations, with tests and snapshots as they are due."""
        self._take_param()
        self._engine.step(_arguments.whole_number(iterations, "step", "iterations"))

    def solve(self, resume_file: Path | None = None) -> None:
        """Trains until `max_iter`, from a solverstate if one is given."""
        if resume_file is not None:
            resume_file = _arguments.path(resume_file, "solve", "resume_file")
        self._take_param()
        self._engine.solve(resume_file)

    def apply_update(self) -> None:
        """Updates the weights from the gradients in the net."""
        self._take_param()
        self._engine.apply_update()

    def restore(self, filename: Path) -> None:
        """Continues from a solverstate and the weights it names."""
        self._engine.restore(_arguments.path(filename, "restore", "filename"))

    def snapshot(self) -> None:
        """Writes <snapshot_prefix>_iter_<iter>.caffemodel and .solverstate."""
        self._take_param()
        self._engine.snapshot()

    def share_weights(self, net: Net) -> None:
        """Makes `net` use the weights of the train net."""
        net.share_with(self._net)

    def add_callback(
        self,
        on_start: Callable[[], object] | None = None,
        on_gradients_ready: Callable[[], object] | None = None,
        *,
        on_display: Callable[[float, float], object] | None = None,
        on_test: Callable[[int, list[tuple[str, float]]], object] | None = None,
    ) -> None:
        """Calls functions while training.

        Args:
            on_start: Before an iteration's first forward.
            on_gradients_ready: Before its update.
            on_display: When the log shows `iter` and `smoothed_loss`; takes the
                iteration's own loss, and iterations per second since the last such
                call, 0 if there was none.
            on_test: When the log shows a test of `iter`; takes the number of the test
                net, and the name and mean of each output in the order of the log.
        """
        functions = {
            "on_start": on_start,
            "on_gradients_ready": on_gradients_ready,
            "on_display": on_display,
            "on_test": on_test,
        }
        for name, function in functions.items():
            if function is not None:
                _arguments.function(function, "add_callback", name)
        self._engine.add_callback(
            *(
                function and self._with_param(function)
                for function in functions.values()
            )
        )

    def set_action_function(self, function: ActionFunction | None) -> None:
        """Asks `function` after every iteration whether to stop or to snapshot.

        It returns an entry of `caffe._caffe.SolverAction`.
        """
        self._engine.action = function and self._with_param(function)

    def __repr__(self) -> str:
        return (
            f"<caffe.{type(self).__name__} of net '{self.net.name}', iter {self.iter}>"
        )


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    _type = "SGD"


class NesterovSolver(Solver):
    """Nesterov's accelerated gradient."""

    _type = "Nesterov"


class AdaGradSolver(Solver):
    """AdaGrad (Duchi, Hazan, Singer, JMLR 2011)."""

    _type = "AdaGrad"


class RMSPropSolver(Solver):
    """RMSProp (Tieleman, Hinton, 2012)."""

    _type = "RMSProp"


class AdaDeltaSolver(Solver):
    """AdaDelta (Zeiler, 2012)."""

    _type = "AdaDelta"


class AdamSolver(Solver):
    """Adam (Kingma, Ba, ICLR 2015)."""

    _type = "Adam"


_CLASSES = {
    cls._type: cls
    for cls in (
        SGDSolver,
        NesterovSolver,
        AdaGradSolver,
        RMSPropSolver,
        AdaDeltaSolver,
        AdamSolver,
    )
}


def read_solver(solver_file: Path, who: str = "read_solver") -> SolverParameter:
    """A solver prototxt as a message, upgraded from older formats."""
    file = _arguments.path(solver_file, who, "solver_file", " or a SolverParameter")
    return SolverParameter.FromString(_caffe.read_solver(file))


def get_solver(solver_file: Path | SolverParameter) -> Solver:
    """A solver of the `type` that the prototxt names."""
    if isinstance(solver_file, SolverParameter):
        param = solver_file
    else:
        param = read_solver(solver_file, "caffe.get_solver")
    return _CLASSES.get(param.type, Solver)(param)
