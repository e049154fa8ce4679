"""Threads beside the engine: it computes without the interpreter's lock."""

from __future__ import annotations

import threading
import time

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2


def ticks_during(work):
    """Times at which another Python thread ran while `work` was running."""
    ticks = []
    stop = threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    started = time.monotonic()
    work()
    ended = time.monotonic()
    stop.set()
    thread.join()
    return [at for at in ticks if started < at < ended], ended - started


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_other_threads_run_while_a_net_computes(direction):
    definition = nets.convolutional(batch=8, size=64, channels=64)
    definition.force_backward = True
    net = caffe.Net(definition, caffe.TRAIN)
    net.forward()
    net.backward()
    # One call, so that there is no moment between two of them.
    ticks, seconds = ticks_during(getattr(net, direction))
    assert len(ticks) > min(3, seconds / 0.1)


def test_other_threads_run_while_a_solver_steps():
    definition = caffe_pb2.SolverParameter(
        net_param=nets.regression(), base_lr=0.01, lr_policy="fixed", max_iter=10**9
    )
    solver = caffe.SGDSolver(definition)
    ticks, _ = ticks_during(lambda: solver.step(3000))
    assert len(ticks) > 3


def test_a_running_solver_can_be_watched():
    definition = caffe_pb2.SolverParameter(
        net_param=nets.regression(), base_lr=0.01, lr_policy="fixed", max_iter=10**9
    )
    solver = caffe.SGDSolver(definition)
    solver.net.blobs["target"].data[...] = 1
    thread = threading.Thread(target=solver.step, args=(20000,))
    thread.start()
    losses = []
    while thread.is_alive():
        losses.append(float(solver.net.blobs["loss"].data))
    thread.join()
    assert solver.iter == 20000
    assert losses
    assert np.isfinite(losses).all()


def test_threads_take_turns_with_one_net(random):
    net = caffe.Net(nets.convolutional(), caffe.TEST)
    inputs = random.standard_normal((8, 2, 3, 16, 16), dtype=np.float32)
    want = [net.forward(data=data)["pool"].copy() for data in inputs]
    turn = threading.Lock()
    failures = []

    def work(index):
        for _ in range(20):
            with turn:
                got = net.forward(data=inputs[index])["pool"].copy()
            if not np.array_equal(got, want[index]):
                failures.append(index)

    def disturb(stop):
        # Not in turn: it may see any run's values, but must break nothing.
        while not stop.is_set():
            net.blobs["conv1"].data.sum()

    stop = threading.Event()
    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    other = threading.Thread(target=disturb, args=(stop,))
    for thread in [*threads, other]:
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    other.join()
    assert not failures


def run_in_threads(nets_, data):
    results = {}

    def work(net):
        for _ in range(10):
            results[net] = net.forward(data=data)["pool"].copy()

    threads = [threading.Thread(target=work, args=(net,)) for net in nets_]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_nets_run_at_the_same_time(random, tmp_path):
    data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
    first = caffe.Net(nets.convolutional(), caffe.TEST)
    first.save(tmp_path / "w.caffemodel")
    want = first.forward(data=data)["pool"].copy()
    others = [
        caffe.Net(nets.convolutional(), caffe.TEST, weights=tmp_path / "w.caffemodel")
        for _ in range(3)
    ]
    for got in run_in_threads(others, data).values():
        assert_close(got, want, Op.COPY)


def test_nets_with_one_memory_take_turns(random):
    data = random.standard_normal((2, 3, 16, 16), dtype=np.float32)
    first = caffe.Net(nets.convolutional(), caffe.TEST)
    want = first.forward(data=data)["pool"].copy()
    for _ in range(5):
        others = [caffe.Net(nets.convolutional(), caffe.TEST) for _ in range(3)]
        # In a chain, and some of it while others run already.
        for net, source in zip(others, [first, *others], strict=False):
            net.share_with(source)
        for got in run_in_threads([first, *others], data).values():
            assert_close(got, want, Op.COPY)


def test_sharing_with_the_net_of_a_running_solver():
    definition = caffe_pb2.SolverParameter(
        net_param=nets.regression(), base_lr=0.01, lr_policy="fixed", max_iter=10**9
    )
    solver = caffe.SGDSolver(definition)
    thread = threading.Thread(target=solver.step, args=(5000,))
    thread.start()
    other = caffe.Net(nets.regression(), caffe.TEST)
    other.share_with(solver.net)
    for _ in range(20):
        other.forward()
    thread.join()
    assert solver.iter == 5000
    weight = other.params["fc"][0].data
    assert np.shares_memory(weight, solver.net.params["fc"][0].data)
