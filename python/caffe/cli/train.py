"""`caffe train`."""

from __future__ import annotations

from pathlib import Path

from caffe.cli.command import (
    GPU,
    LEVEL,
    PLUGIN,
    PRECISION,
    STAGE,
    WEIGHTS,
    Command,
    device_indices,
    required,
    split,
    use_device,
)
from caffe.cli.flags import Flag, UsageError, Values
from caffe.cli.signals import Interrupted
from caffe.cli.tool import (
    launched,
    load_plugins,
    log,
    require_file,
    start_processes,
)
from caffe.proto.caffe_pb2 import SolverParameter

_EFFECTS = ("stop", "snapshot", "none")
_ON_NAN = {"stop": SolverParameter.STOP, "continue": SolverParameter.CONTINUE}


def run(flags: Values) -> int:
    """Trains as a solver prototxt says, until max_iter or a signal."""
    from caffe import _caffe, tensorboard
    from caffe.solver import get_solver, read_solver

    gpus = device_indices(flags)
    if len(gpus) > 1 and launched("SIZE") <= 1 and flags.gpu != "local":
        start_processes(len(gpus))
    file = required(flags, "solver", "the solver prototxt")
    if flags.snapshot and flags.weights:
        raise UsageError(
            "-snapshot and -weights were both given; give a snapshot to go on with it, "
            "or weights to start anew from them"
        )
    # Before anything is logged: of several processes only the first logs what it does.
    _caffe.join_group()
    load_plugins(flags.plugin)
    for path in filter(None, [file, flags.snapshot, *split(flags.weights)]):
        require_file(path, "file")
    if flags.tensorboard and not _caffe.solver_rank():
        tensorboard.prepare(Path(flags.tensorboard))
    param = read_solver(file)
    param.train_state.level = flags.level
    param.train_state.stage.extend(split(flags.stage))
    if (
        not flags.gpu
        and param.HasField("solver_mode")
        and param.solver_mode == SolverParameter.GPU
    ):
        if not _caffe.has_gpu:
            raise RuntimeError(
                f"'{file}' has `solver_mode: GPU`, but this build has no GPU support; "
                "write `solver_mode: CPU` there to train on the CPU"
            )
        flags = flags.replace(gpu=str(param.device_id))
    use_device(flags)
    # Weights that the prototxt names are for a new run, and yield to the flag.
    if flags.snapshot or flags.weights:
        param.ClearField("weights")
    if flags.weights:
        param.weights.append(flags.weights)

    if flags.on_nan:
        param.on_nan = _ON_NAN[flags.on_nan]

    actions = {
        "stop": _caffe.SolverAction.STOP,
        "snapshot": _caffe.SolverAction.SNAPSHOT,
        "none": _caffe.SolverAction.NONE,
    }
    signals = _caffe.SignalHandler(
        actions[flags.sigint_effect], actions[flags.sighup_effect]
    )
    solver = get_solver(param)
    solver.set_action_function(signals)
    for net in (solver.net, *solver.test_nets):
        net.keep_blobs = flags.keep_blobs
        if flags.precision:
            net.precision = flags.precision
    if flags.snapshot:
        log(f"Resuming from {flags.snapshot}")
        solver.restore(flags.snapshot)
    if flags.tensorboard:
        tensorboard.record(solver, Path(flags.tensorboard))
    log("Starting Optimization")
    solver.solve()
    # The others may still have something to write, and a status that says that this
    # process was stopped would end them.
    _caffe.finish_group()
    log("Optimization Done.")
    if failures := solver.snapshot_failures:
        raise OSError(
            f"{failures} of the snapshots that were due could not be written; the log "
            "says why"
        )
    if signals.stopped_by:
        raise Interrupted(signals.stopped_by)
    return 0


COMMAND = Command(
    "train",
    "train or fine-tune a net",
    (
        Flag("solver", "", "Solver prototxt."),
        Flag("snapshot", "", "Solverstate to go on from."),
        WEIGHTS,
        GPU,
        LEVEL,
        STAGE,
        Flag("sigint_effect", "stop", "What SIGINT (Ctrl-C) does.", _EFFECTS),
        Flag("sighup_effect", "snapshot", "What SIGHUP does.", _EFFECTS),
        Flag(
            "on_nan",
            "",
            "When the loss is no finite number: stop with an error, or train on; by "
            "default as on_nan in the solver says, which stops.",
            tuple(_ON_NAN),
        ),
        PRECISION,
        PLUGIN,
        Flag(
            "keep_blobs",
            False,
            "Keep data and diffs that training needs no more, at the cost of memory.",
        ),
        Flag(
            "tensorboard",
            "",
            "Folder for TensorBoard's files; with -snapshot, that of the run before.",
        ),
    ),
    run,
)
