"""caffe.SGDSolver and the others: training from Python."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe._caffe import SolverAction
from caffe.proto import caffe_pb2


@pytest.fixture
def parameters(write_proto, tmp_path):
    """A solver for the regression net that snapshots into an empty folder."""
    return caffe_pb2.SolverParameter(
        net=str(write_proto(nets.regression())),
        test_iter=[1],
        test_interval=1000,
        test_initialization=False,
        base_lr=0.05,
        lr_policy="step",
        gamma=0.5,
        stepsize=2,
        momentum=0.9,
        max_iter=6,
        snapshot_prefix=str(tmp_path / "snap"),
        snapshot_after_train=False,
        random_seed=3,
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )


@pytest.fixture
def solver(parameters, write_proto):
    return with_data(caffe.SGDSolver(write_proto(parameters, "solver.prototxt")))


def with_data(solver):
    numbers = np.random.default_rng(1)
    for blob in ("data", "target"):
        values = solver.net.blobs[blob].data
        values[...] = numbers.standard_normal(values.shape)
    return solver


def test_structure(solver, parameters):
    assert isinstance(solver.net, caffe.Net)
    assert solver.net is solver.net
    assert len(solver.test_nets) == 1
    assert (solver.net.phase, solver.test_nets[0].phase) == (caffe.TRAIN, caffe.TEST)
    assert solver.iter == 0
    assert solver.type == "SGD"
    assert solver.param.max_iter == 6
    assert solver.param.snapshot_prefix == parameters.snapshot_prefix
    assert isinstance(solver.param, caffe.SolverParameter)
    assert "regression" in repr(solver)


def test_settings_can_be_changed(solver):
    assert solver.param is solver.param
    solver.param.base_lr = 0
    assert solver.lr == 0
    before = solver.net.params["fc"][0].data.copy()
    solver.step(1)
    np.testing.assert_array_equal(solver.net.params["fc"][0].data, before)
    solver.param.base_lr = 0.25
    assert solver.lr == 0.25
    solver.step(1)
    assert (solver.net.params["fc"][0].data != before).any()
    # stepsize is 2: the rate of the next iteration is halved.
    assert solver.lr == 0.125


def test_callbacks_can_change_settings(solver):
    rates = []

    def halve():
        rates.append(solver.lr)
        solver.param.base_lr *= 0.5

    solver.param.lr_policy = "fixed"
    solver.param.base_lr = 1
    solver.add_callback(on_gradients_ready=halve)
    solver.step(3)
    assert rates == [1, 0.5, 0.25]
    assert solver.lr == 0.125


def test_settings_of_the_start_cannot_change(solver):
    solver.param.random_seed = 8
    with pytest.raises(ValueError, match="random_seed cannot change"):
        solver.step(1)
    assert solver.iter == 0
    solver.param.random_seed = 3
    solver.param.momentum = 2
    with pytest.raises(ValueError, match="momentum"):
        solver.step(1)
    solver.param.momentum = 0
    solver.step(1)
    assert solver.iter == 1


@pytest.mark.parametrize(
    "name", ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
)
def test_types(parameters, write_proto, name):
    parameters.type = name
    if name in ("AdaGrad", "RMSProp"):
        parameters.ClearField("momentum")
    path = write_proto(parameters, "solver.prototxt")
    for made in (caffe.get_solver(path), caffe.Solver(str(path))):
        assert made.type == name
    cls = getattr(caffe, f"{name}Solver")
    assert type(caffe.get_solver(parameters)) is cls
    parameters.ClearField("type")
    assert cls(parameters).type == name


def test_unknown_types_name_the_closest(parameters):
    parameters.type = "Adan"
    with pytest.raises(ValueError, match=r"'Adan'.*'Adam'"):
        caffe.get_solver(parameters)


def test_a_step_is_momentum_sgd(solver):
    net = solver.net
    data, target = (net.blobs[name].data.copy() for name in ("data", "target"))
    weight, bias = (blob.data.astype(np.float64) for blob in net.params["fc"])
    velocity = np.zeros_like(weight), np.zeros_like(bias)
    for iteration in range(4):
        rate = 0.05 * 0.5 ** (iteration // 2)
        assert solver.lr == pytest.approx(rate)
        error = (data @ weight.T + bias - target) / len(data)
        for slope, value, speed in zip(
            (error.T @ data, error.sum(axis=0)), (weight, bias), velocity, strict=True
        ):
            speed *= 0.9
            speed += rate * slope
            value -= speed
        solver.step(1)
        assert solver.iter == iteration + 1
    got_weight, got_bias = (blob.data for blob in net.params["fc"])
    assert_close(got_weight, weight, Op.REDUCTION, terms=4 * 8 * 4)
    assert_close(got_bias, bias, Op.REDUCTION, terms=4 * 8 * 4)


def test_kept_weight_arrays_show_the_update(solver):
    view = solver.net.params["fc"][0].data
    before = view.copy()
    solver.step(1)
    assert not np.array_equal(view, before)
    assert np.array_equal(view, solver.net.params["fc"][0].data)


def test_solve_runs_to_max_iter(solver):
    solver.net.forward()
    before = float(solver.net.blobs["loss"].data)
    solver.solve()
    assert solver.iter == 6
    assert solver.smoothed_loss < before


def test_snapshot_and_restore(solver, parameters, tmp_path):
    solver.step(3)
    solver.snapshot()
    state = tmp_path / "snap_iter_3.solverstate"
    assert state.exists()
    solver.step(3)
    other = with_data(caffe.SGDSolver(parameters))
    other.restore(state)
    assert other.iter == 3
    other.step(3)
    for got, want in zip(other.net.params["fc"], solver.net.params["fc"], strict=True):
        assert_close(got.data, want.data, Op.COPY)
    third = with_data(caffe.SGDSolver(parameters))
    third.solve(str(state))
    assert_close(
        third.net.params["fc"][0].data, other.net.params["fc"][0].data, Op.COPY
    )


def test_missing_and_wrong_states(solver, tmp_path):
    with pytest.raises(OSError, match=r"missing\.solverstate"):
        solver.restore(tmp_path / "missing.solverstate")
    solver.net.save(tmp_path / "w.caffemodel")
    with pytest.raises((OSError, ValueError), match=r"w\.caffemodel"):
        solver.restore(tmp_path / "w.caffemodel")
    assert solver.iter == 0


def test_callbacks(solver):
    calls = []
    weight = solver.net.params["fc"][0]

    def on_gradients():
        calls.append(("gradients", bool(weight.diff.any())))
        weight.diff[...] = 0

    solver.add_callback(lambda: calls.append("start"), on_gradients)
    before = weight.data.copy()
    solver.step(2)
    assert calls == ["start", ("gradients", True)] * 2
    # The bias learned, but these gradients were taken away.
    assert_close(weight.data, before, Op.COPY)


def test_errors_in_callbacks_come_out(solver):
    def fail():
        raise LookupError("no")

    solver.add_callback(fail, lambda: None)
    with pytest.raises(LookupError, match="no"):
        solver.step(1)


def test_callbacks_get_what_the_log_shows(parameters):
    parameters.display = 2
    parameters.test_interval = 3
    parameters.test_iter[:] = [1, 2]
    solver = with_data(caffe.SGDSolver(parameters))
    for net in solver.test_nets:
        for name in ("data", "target"):
            net.blobs[name].data[...] = solver.net.blobs[name].data
    displayed, tests = {}, []
    solver.add_callback(
        on_display=lambda loss, _: displayed.update({solver.iter: loss}),
        on_test=lambda net, outputs: tests.append((solver.iter, net, *outputs)),
    )
    losses = []
    for _ in range(5):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    assert displayed == {0: losses[0], 2: losses[2], 4: losses[4]}
    # The test nets have the same data and the same weights.
    assert [test[:2] for test in tests] == [(3, 0), (3, 1)]
    for *_, (name, mean) in tests:
        assert name == "loss"
        assert_close(mean, losses[3], Op.REDUCTION, terms=8 * 3)


def test_callbacks_must_be_functions(solver):
    with pytest.raises(TypeError):
        solver.add_callback(on_display=5)


def test_callbacks_do_not_keep_the_solver_alive(parameters):
    solver = caffe.SGDSolver(parameters)
    solver.add_callback(
        lambda solver=solver: solver, on_test=lambda _, __, solver=solver: solver
    )
    solver.net.before_forward(lambda layer, solver=solver: solver)
    solver.set_action_function(lambda solver=solver: SolverAction.NONE)
    solver.step(1)
    gone = weakref.ref(solver)
    del solver
    gc.collect()
    assert gone() is None


def test_apply_update_and_share_weights(solver):
    net = solver.net
    net.forward()
    net.backward()
    before = net.params["fc"][0].data.copy()
    solver.apply_update()
    assert not np.array_equal(net.params["fc"][0].data, before)
    other = caffe.Net(nets.regression(), caffe.TEST)
    solver.share_weights(other)
    assert np.shares_memory(other.params["fc"][0].data, net.params["fc"][0].data)


def test_an_action_function_ends_training(solver, tmp_path):
    answers = iter([SolverAction.NONE, SolverAction.SNAPSHOT, SolverAction.STOP])
    solver.set_action_function(lambda: next(answers))
    solver.step(100)
    assert solver.iter == 3
    assert (tmp_path / "snap_iter_2.solverstate").exists()


@pytest.fixture
def ctrl_c():
    """Python's handler: a shell starts its background jobs with SIGINT ignored."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("ctrl_c")
def test_a_negative_number_of_steps_is_refused(solver):
    with pytest.raises(ValueError, match="Step got -1 iterations, expected 0 or more"):
        solver.step(-1)
    solver.step(0)
    assert solver.iter == 0


@pytest.fixture
def interrupted_by_ctrl_c():
    """As in a terminal: shells have what they run in the background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupted_by_ctrl_c")
def test_ctrl_c_ends_a_step_between_iterations(solver, parameters):

    def interrupt():
        while solver.iter < 3:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        solver.step(10**9)
    thread.join()
    # What was done is whole: as many steps make the same weights.
    done = solver.iter
    assert done > 0
    other = with_data(caffe.SGDSolver(parameters))
    other.step(done)
    assert_close(
        other.net.params["fc"][0].data, solver.net.params["fc"][0].data, Op.COPY
    )
    solver.step(1)
    assert solver.iter == done + 1


def test_the_nets_outlive_the_solver(solver):
    net, test_net = solver.net, solver.test_nets[0]
    weight = net.params["fc"][0].data
    del solver
    net.forward()
    test_net.forward()
    assert weight.shape == (3, 4)


def test_definitions_with_inline_nets():
    definition = caffe_pb2.SolverParameter(
        net_param=nets.regression(), base_lr=0.1, lr_policy="fixed", max_iter=1
    )
    solver = caffe.SGDSolver(definition)
    solver.step(1)
    assert solver.iter == 1


def test_missing_files(tmp_path):
    with pytest.raises(OSError, match=r"nothing\.prototxt"):
        caffe.SGDSolver(tmp_path / "nothing.prototxt")
