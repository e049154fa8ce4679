"""Threads beside the engine: it computes without the interpreter's lock."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

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


def images(random, count):
    return random.standard_normal((count, 2, 3, 16, 16), dtype=np.float32)


def results(net, inputs):
    """What one thread gets for each input."""
    return [net.forward(data=data)["pool"].copy() for data in inputs]


def assert_all_equal(got, want):
    for one, other in zip(got, want, strict=True):
        assert_close(one, other, Op.COPY)


@pytest.mark.parametrize("optimize", [False, True])
def test_each_thread_gets_the_results_of_its_inputs(random, optimize):
    net = caffe.Net(nets.convolutional(), caffe.TEST, optimize=optimize)
    inputs = images(random, 200)
    want = results(net, inputs)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda data: net.forward(data=data)["pool"], inputs))
    assert_all_equal(got, want)


@pytest.mark.parametrize("optimize", [False, True])
def test_one_thread_gets_the_memory_itself(random, optimize):
    net = caffe.Net(nets.convolutional(), caffe.TEST, optimize=optimize)
    for data in images(random, 2):
        got = net.forward(data=data)["pool"]
        assert np.shares_memory(got, net.blobs["pool"].data)


@pytest.mark.parametrize("optimize", [False, True])
def test_results_stay_when_another_thread_begins(random, optimize):
    net = caffe.Net(nets.convolutional(), caffe.TEST, optimize=optimize)
    inputs = images(random, 3)
    want = results(net, inputs)
    part = net.forward(data=inputs[0])["pool"][1:]
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(lambda: net.forward(data=inputs[1])["pool"]).result()
    mine = net.forward(data=inputs[2])["pool"]
    assert_close(part, want[0][1:], Op.COPY)
    assert_all_equal([other, mine], want[1:])
    assert_close(net.blobs["pool"].data, want[2], Op.COPY)


def test_a_result_beside_its_blob_is_not_overwritten(random):
    net = caffe.Net(nets.convolutional(), caffe.TEST)
    inputs = images(random, 2)
    want = results(net, inputs)
    mine = net.forward(data=inputs[0])["pool"]
    kept = net.blobs["pool"].data

    def other():
        return net.forward(data=inputs[1])["pool"]

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(RuntimeError, match=r"blob 'pool'.*\['pool'\]\.copy\(\)"):
            pool.submit(other).result()
        assert_close(mine, want[0], Op.COPY)
        del mine
        pool.submit(other).result()
    assert_close(kept, want[1], Op.COPY)  # as documented, it shows each run


def test_threads_with_several_batches(random):
    net = caffe.Net(nets.linear(force_backward=True), caffe.TEST)
    inputs = random.standard_normal((100, 5, 4), dtype=np.float32)
    gradients = random.standard_normal((100, 5, 3), dtype=np.float32)

    def forward(index):
        return net.forward_all(data=inputs[index])["prob"]

    def both(index):
        data, diffs = net.forward_backward_all(
            data=inputs[index], prob=gradients[index]
        )
        return np.concatenate([data["prob"], diffs["data"]], axis=1)

    for work in (forward, both):
        want = [work(index) for index in range(100)]
        with ThreadPoolExecutor(8) as pool:
            assert_all_equal(pool.map(work, range(100)), want)


def in_another_thread(work):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def test_backward_goes_with_its_own_forward(random):
    net = caffe.Net(nets.linear(force_backward=True), caffe.TEST)
    inputs = random.standard_normal((100, 2, 4), dtype=np.float32)
    gradient = random.standard_normal((2, 3), dtype=np.float32)

    def work(data):
        with net.turn():
            net.forward(data=data)
            return net.backward(prob=gradient)["data"].copy()

    want = [work(data) for data in inputs]
    with ThreadPoolExecutor(8) as pool:
        assert_all_equal(pool.map(work, inputs), want)

    net.forward(data=inputs[0])
    in_another_thread(lambda: net.forward(data=inputs[1]))
    with pytest.raises(RuntimeError, match=r"net 'linear'.*with net\.turn\(\):"):
        net.backward(prob=gradient)
    net.forward(data=inputs[0])
    assert_close(net.backward(prob=gradient)["data"], want[0], Op.COPY)


def test_a_run_in_parts_is_one_threads(random):
    net = caffe.Net(nets.linear(), caffe.TEST)
    first, second = random.standard_normal((2, 2, 4), dtype=np.float32)
    want = net.forward(data=first)["prob"].copy()
    net.forward(data=first, end="fc")
    in_another_thread(lambda: net.forward(data=second))
    with pytest.raises(RuntimeError, match=r"net 'linear'.*with net\.turn\(\):"):
        net.forward(start="prob")
    with net.turn():
        net.forward(data=first, end="fc")
        assert_close(net.forward(start="prob")["prob"], want, Op.COPY)


def test_input_arrays_are_those_of_the_thread(random):
    net = caffe.Net(nets.memory_data(), caffe.TEST)
    inputs = random.standard_normal((100, 2, 1, 3, 3), dtype=np.float32)
    labels = np.arange(200, dtype=np.float32).reshape(100, 2)

    def work(index):
        with net.turn():
            net.set_input_arrays(inputs[index], labels[index])
            out = net.forward()
        return out["doubled"], out["label"]

    with ThreadPoolExecutor(8) as pool:
        for index, (doubled, label) in enumerate(pool.map(work, range(100))):
            assert_close(doubled, 2 * inputs[index], Op.COPY)
            assert_close(label, labels[index], Op.COPY)

    net.set_input_arrays(inputs[0], labels[0])
    in_another_thread(lambda: net.set_input_arrays(inputs[1], labels[1]))
    with pytest.raises(RuntimeError, match=r"set_input_arrays.*with net\.turn\(\):"):
        net.forward()
    # Whoever set none takes what is there.
    in_another_thread(net.forward)


def test_inputs_written_by_hand_are_warned_of_once(random, capfd):
    net = caffe.Net(nets.linear(), caffe.TEST)
    inputs = random.standard_normal((50, 2, 4), dtype=np.float32)
    want = [net.forward(data=data)["prob"].copy() for data in inputs]

    def work(data):
        net.blobs["data"].data[...] = data
        net.forward()
        return net.blobs["prob"].data.copy()

    def in_turn(data):
        with net.turn():
            return work(data)

    with ThreadPoolExecutor(8) as pool:
        assert_all_equal(pool.map(in_turn, inputs), want)
        assert "several threads" not in capfd.readouterr().err
        lock = threading.Lock()

        def locked(data):
            with lock:
                return work(data)

        assert_all_equal(pool.map(locked, inputs), want)
    warnings = capfd.readouterr().err.splitlines()
    warnings = [line for line in warnings if "several threads" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith("W")
    assert "net 'linear'" in warnings[0]


def solver_definition(net_param, **options):
    options = {"base_lr": 0.01, "max_iter": 10**9, **options}
    return caffe_pb2.SolverParameter(net_param=net_param, lr_policy="fixed", **options)


def test_the_net_of_a_running_solver_gives_each_thread_its_results(random):
    # Without a learning rate, so that there is a result to compare with.
    solver = caffe.SGDSolver(solver_definition(nets.regression(), base_lr=0))
    inputs = random.standard_normal((200, 8, 4), dtype=np.float32)
    target = random.standard_normal((8, 3), dtype=np.float32)
    weight = solver.net.params["fc"][0].data.astype(np.float64)
    want = [
        ((data @ weight.T + solver.net.params["fc"][1].data - target) ** 2).sum() / 16
        for data in inputs
    ]
    stop = threading.Event()

    def train():
        while not stop.is_set():
            solver.step(10)

    thread = threading.Thread(target=train)
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        got = pool.map(
            lambda data: solver.net.forward(data=data, target=target)["loss"], inputs
        )
        got = list(got)
    stop.set()
    thread.join()
    assert_close(got, want, Op.REDUCTION, terms=8 * 3 * 4)


def test_a_solver_is_not_disturbed_by_gradients_of_others():
    options = {"test_iter": [3], "test_interval": 1}
    weights = []
    for disturbed in (False, True):
        definition = solver_definition(nets.learner(), random_seed=1, **options)
        solver = caffe.SGDSolver(definition)
        thread = threading.Thread(target=solver.step, args=(300,))
        thread.start()
        while disturbed and thread.is_alive():
            with solver.net.turn():
                solver.net.forward()
                solver.net.backward()
        thread.join()
        weights.append(solver.net.params["fc"][0].data.copy())
    assert_close(*weights, Op.COPY)


def test_a_turn_is_given_back():
    net = caffe.Net(nets.linear(), caffe.TEST)
    with net.turn(), net.turn(), pytest.raises(ValueError, match="nothing"):
        net.forward(nothing=0)
    in_another_thread(net.forward)


def test_nets_are_not_shared_in_a_turn():
    first = caffe.Net(nets.linear(), caffe.TEST)
    second = caffe.Net(nets.linear(), caffe.TEST)
    with first.turn(), pytest.raises(RuntimeError, match="share first"):
        second.share_with(first)
    second.share_with(first)
    with first.turn():
        second.share_with(first)  # they take turns already
        in_time = threading.Event()
        thread = threading.Thread(target=lambda: (second.forward(), in_time.set()))
        thread.start()
        first.forward()
        assert not in_time.is_set()
    thread.join()
