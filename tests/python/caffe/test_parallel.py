"""Training in several processes that mpirun starts, against one process."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from log_lines import LOG_LINE
from parallel_runs import (
    CAFFE,
    ENVIRONMENT,
    LONGEST_S,
    SIZE,
    Running,
    classifier,
    data,
    finish,
    images,
    iteration_of,
    launch,
    numbers,
    open_mpi_version,
    raw,
    solver,
    train,
    weights,
    write_images,
)
from tolerance import Op, assert_close

import caffe
from caffe import layers as L

pytestmark = pytest.mark.skipif(
    not (shutil.which("mpirun") and shutil.which("mpicc")),
    reason="MPI is not installed (apt-get install libopenmpi-dev openmpi-bin)",
)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    path = tmp_path_factory.mktemp("parallel") / "lmdb"
    write_images(path, map(raw, images()))
    return path


@pytest.mark.parametrize(
    ("processes", "net", "fields"),
    [
        (2, {}, {"iter_size": 2}),
        (3, {}, {"type": "Adam", "base_lr": 0.01, "momentum2": 0.999}),
        (2, {"shared": True}, {"clip_gradients": 0.5}),
        (3, {"shared": True}, {"iter_size": 2, "clip_gradients": 0.5}),
    ],
)
def test_equals_one_process_with_the_whole_batch(
    database, tmp_path, processes, net, fields
):
    logs, final = [], []
    for count in (1, processes):
        top = data(database, 6 // count, mirror=True, crop_size=6, mean_value=128)
        file = solver(
            tmp_path / str(count),
            classifier(*top, **net),
            test_iter=[3 * count],
            test_interval=4,
            **fields,
        )
        logs.append(train(count, file))
        final.append(weights(file.parent / "s_iter_8.caffemodel"))
    one, several = final
    assert list(one) == list(several)
    for name in one:
        # Sums over 1200 values and 6 images, in each of 8 iterations.
        op = Op.COPY if name.startswith("frozen") else Op.REDUCTION
        assert_close(several[name], one[name], op, terms=1200 * 6 * 8)
    for pattern, count in (
        (r"Iteration \d+.*, loss = (\S+)", 3),
        (r"    Test net output #0: loss = (\S+)", 3),
    ):
        want = numbers(logs[0], pattern)
        assert len(want) == count
        assert_close(numbers(logs[1], pattern), want, Op.PRINTED)
    # One rank logs, tests and snapshots; the solver and the command are both done.
    for line, count in (
        ("Use CPU.", 1),
        ("Iteration 4, Testing net (#0)", 1),
        ("Optimization Done.", 2),
    ):
        assert logs[1].count(line) == count, line
    if "clip_gradients" in fields:
        assert any("Gradient clipping" in line for line in logs[1])


# Every rank's file says how many sums and copies it has made.
COUNTING = r"""
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
static int sums, copies;
int MPI_Iallreduce(const void* in, void* out, int count, MPI_Datatype type, MPI_Op op,
                   MPI_Comm communicator, MPI_Request* request) {
  ++sums;
  return PMPI_Iallreduce(in, out, count, type, op, communicator, request);
}
int MPI_Ibcast(void* data, int count, MPI_Datatype type, int root,
               MPI_Comm communicator, MPI_Request* request) {
  ++copies;
  return PMPI_Ibcast(data, count, type, root, communicator, request);
}
int MPI_Finalize(void) {
  char name[4096];
  const char* rank = getenv("OMPI_COMM_WORLD_RANK");
  snprintf(name, sizeof name, "%s.%s", getenv("COUNTS"), rank);
  FILE* file = fopen(name, "w");
  fprintf(file, "%d %d", sums, copies);
  fclose(file);
  return PMPI_Finalize();
}
"""


def test_an_iteration_is_a_sum_for_every_parameter_and_one_more(database, tmp_path):
    source, library = tmp_path / "count.c", tmp_path / "count.so"
    source.write_text(COUNTING)
    build = ["mpicc", "-shared", "-fPIC", "-o", library, source]
    subprocess.run(build, check=True)
    few, many = 3, 8
    counts = []
    for iterations in (few, many):
        file = solver(
            tmp_path / str(iterations),
            classifier(*data(database, 2)),
            max_iter=iterations,
            display=0,
        )
        named = tmp_path / f"counts{iterations}"
        counting = ("env", f"LD_PRELOAD={library}", f"COUNTS={named}")
        command = (CAFFE, "train", "-solver", file)
        output, status = finish(launch(2, *counting, *command))
        assert status == 0, output
        ranks = [Path(f"{named}.{rank}").read_text().split() for rank in range(2)]
        assert ranks[0] == ranks[1]
        counts.append([int(count) for count in ranks[0]])
    sums, copies = np.subtract(counts[1], counts[0])
    learned = 6  # weights and biases of conv, wide and fc
    assert sums == (many - few) * (learned + 1)
    assert copies == 0


def test_random_draws_differ_by_rank(tmp_path):
    # All processes have the same batches: with equal draws two would step like one.
    changed = []
    for processes, dropout in ((1, False), (1, True), (2, True)):
        top = L.DummyData(
            ntop=2,
            shape=[{"dim": [2, 3, SIZE, SIZE]}, {"dim": [2]}],
            data_filler=[{"value": 0.5}, {"value": 1}],
        )
        folder = tmp_path / str(len(changed))
        train(processes, solver(folder, classifier(*top, dropout=dropout), max_iter=1))
        changed.append(weights(folder / "s_iter_1.caffemodel")["wide 0"])
    assert not np.array_equal(changed[0], changed[1])
    assert not np.array_equal(changed[1], changed[2])


def test_runs_repeat_and_resume_bit_for_bit(database, tmp_path):
    top = data(database, 2, mirror=True, crop_size=6)
    net = classifier(*top, dropout=True, norm=True)
    fields = {
        "iter_size": 2,
        "snapshot": 3,
        "test_iter": [2],
        "test_interval": 2,
    }
    results = []
    for name in ("first", "again"):
        file = solver(tmp_path / name, net, **fields)
        train(3, file)
        results.append((file.parent / "s_iter_8.caffemodel").read_bytes())
    assert results[0] == results[1]
    final = tmp_path / "again" / "s_iter_8.caffemodel"
    final.unlink()
    # Its own seed would make other draws.
    file.write_text(file.read_text().replace("random_seed: 3", "random_seed: 4"))
    state = tmp_path / "again" / "s_iter_3.solverstate"
    log = train(3, file, "-snapshot", state)
    assert final.read_bytes() == results[0]
    assert not any("was written by" in line for line in log)


def test_another_number_of_processes_is_told(database, tmp_path):
    net = classifier(*data(database, 2))
    file = solver(tmp_path / "s", net, snapshot=4)
    train(2, file)
    state = tmp_path / "s" / "s_iter_4.solverstate"
    for processes in (1, 3):
        log = train(processes, file, "-snapshot", state)
        (warning,) = [line for line in log if "was written by" in line]
        assert f"written by 2 process(es) and goes on in {processes}:" in warning
        assert "Iteration 8, loss" in " ".join(log)


def test_another_number_of_processes_goes_on_with_the_same_samples(database, tmp_path):
    def net(count):
        top = data(database, 12 // count, mirror=True, crop_size=6, mean_value=128)
        return classifier(*top)

    whole = tmp_path / "2"
    train(2, solver(whole, net(2), snapshot=3))
    want = weights(whole / "s_iter_8.caffemodel")
    for count in (1, 3):
        folder = tmp_path / str(count)
        train(
            count,
            solver(folder, net(count)),
            "-snapshot",
            whole / "s_iter_3.solverstate",
        )
        got = weights(folder / "s_iter_8.caffemodel")
        for name in want:
            # Sums over 1200 values and 12 images, in each of 5 iterations.
            assert_close(got[name], want[name], Op.REDUCTION, terms=1200 * 12 * 5)


def test_statistics_of_batch_norms_are_means_over_the_ranks(database, tmp_path):
    momentum = 0.75
    net = caffe.NetSpec()
    net.data, net.label = data(database, 4)
    net.norm = L.CuDNNBatchNorm(net.data, momentum=momentum)
    net.fc = L.InnerProduct(net.norm, num_output=5, weight_filler={"type": "xavier"})
    net.loss = L.SoftmaxWithLoss(net.fc, net.label)
    file = solver(tmp_path / "s", net.to_proto(), max_iter=1, display=0)
    train(3, file)
    got = weights(tmp_path / "s" / "s_iter_1.caffemodel")
    values = images()[:12].astype(np.float64) / 128
    means, variances = [], []
    for rank in range(3):
        batch = values[rank::3]
        means.append(batch.mean(axis=(0, 2, 3)))
        variances.append(batch.var(axis=(0, 2, 3), ddof=1))
    terms = 4 * SIZE * SIZE
    for blob, parts in ((2, means), (3, variances)):
        want = (1 - momentum) * np.mean(parts, axis=0)
        assert_close(got[f"norm {blob}"], want, Op.REDUCTION, terms=terms)


def test_signals_to_one_rank_reach_all(database, tmp_path):
    with Running(database, tmp_path / "s") as run:
        os.kill(run.ranks[1], signal.SIGHUP)
        last = time.monotonic() + LONGEST_S
        while not run.snapshots() and time.monotonic() < last:
            assert run.process.stdout.readline()
        assert len(run.snapshots()) == 1
        os.kill(run.ranks[1], signal.SIGTERM)
        output, status = finish(run.process)
        assert status == 143, output
        assert "Optimization stopped early." in output
        assert len(run.snapshots()) == 2


def test_interrupting_mpirun_leaves_a_snapshot(database, tmp_path):
    # Open MPI 5 kills its processes so soon that only earlier snapshots are certain.
    waits = open_mpi_version() < 5
    with Running(database, tmp_path / "s", snapshot=0 if waits else 100) as run:
        run.process.send_signal(signal.SIGINT)
        output, _ = finish(run.process)
    if waits:
        assert "Optimization stopped early." in output
        assert len(run.snapshots()) == 1
    newest = run.snapshots()[-1]
    iteration = iteration_of(newest)
    # What is there is whole.
    file = solver(tmp_path / "r", run.net, max_iter=iteration + 2)
    train(2, file, "-snapshot", newest)
    assert (tmp_path / "r" / f"s_iter_{iteration + 2}.solverstate").exists()


def test_a_killed_rank_ends_the_others(database, tmp_path):
    with Running(database, tmp_path / "s") as run:
        os.kill(run.ranks[1], signal.SIGKILL)
        _, status = finish(run.process)
        assert status != 0
        last = time.monotonic() + LONGEST_S
        while Path(f"/proc/{run.ranks[0]}/exe").exists():  # no link in a zombie
            assert time.monotonic() < last
            time.sleep(0.1)


def test_a_bad_image_on_one_rank_ends_all(tmp_path):
    contents = [raw(image) for image in images()]
    contents[15] = {"encoded": True, "data": b"no image"}  # an odd one: rank 1
    write_images(tmp_path / "lmdb", contents)
    file = solver(tmp_path / "s", classifier(*data(tmp_path / "lmdb", 2)))
    output, status = finish(launch(2, CAFFE, "train", "-solver", file))
    assert status != 0
    (sentence,) = re.findall(r"caffe train: error: (.*)", output)
    assert "'00015'" in sentence


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train",), "flag -solver is missing"),
        (("train", "-solver", "none"), "'none' does not exist"),
        (("train", "-solver", "solver.prototxt"), "unknown layer type 'Convolutoin'"),
        (("test", "-model", "none", "-weights", "none"), "'none' does not exist"),
        (("tset",), "the closest is 'test'"),
    ],
)
def test_an_error_of_all_processes_is_said_once(
    tmp_path, monkeypatch, arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    Path("solver.prototxt").write_text(
        'net_param { layer { name: "c" type: "Convolutoin" } } max_iter: 1'
    )
    output, status = finish(launch(3, CAFFE, *arguments))
    assert status != 0
    (said,) = re.findall(r"caffe.*: error: (.*)", output)
    assert sentence in said


@pytest.mark.parametrize(
    "command",
    [
        ("caffe", "time", "-model", "none"),
        ("convert_imageset", "images/", "list.txt", "db"),
        ("compute_image_mean", "db"),
        ("caffe", "summarize", "net.prototxt"),
    ],
)
def test_what_works_in_one_process_alone_says_so(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    name = str(Path(CAFFE).with_name(command[0]))
    output, status = finish(launch(2, name, *command[1:]))
    assert status != 0
    (said,) = re.findall(r"error: (.*)", output)
    assert said.startswith("this is one of 2 processes that mpirun started")
    assert said.endswith("run it without mpirun")
    assert not list(tmp_path.iterdir())


class TestScoring:
    """`caffe test` in several processes."""

    @pytest.fixture
    def score(self, database, tmp_path):
        def run(processes, net, *arguments):
            shutil.rmtree(tmp_path / "s", ignore_errors=True)
            model = solver(tmp_path / "s", net).with_name("net.prototxt")
            weights = tmp_path / "w.caffemodel"
            if not weights.exists():
                caffe.set_random_seed(3)
                caffe.Net(model, caffe.TEST).save(weights)
            command = ("test", "-model", model, "-weights", weights, *arguments)
            output, status = finish(launch(processes, CAFFE, *command))
            assert status == 0, output
            lines = filter(None, map(LOG_LINE.match, output.splitlines()))
            log = [line.group(1) for line in lines]
            return log[log.index(f"Running for {arguments[1]} iterations.") :]

        return run

    @pytest.mark.parametrize("optimize", ["true", "false"])
    def test_gives_the_log_of_one_process(self, database, score, optimize):
        net = classifier(*data(database, 4))
        net.layer.add(
            name="top", type="Accuracy", bottom=["fc", "label"], top=["accuracy"]
        )
        # No multiple of 2 or 3, and more than an epoch.
        arguments = ("-iterations", 13, f"-optimize={optimize}")
        one = score(1, net, *arguments)
        assert len(numbers(one, r"Batch \d+, accuracy = (\S+)")) == 13
        assert len(set(numbers(one, r"Batch \d+, loss = (\S+)"))) > 6
        for processes in (2, 3):
            assert score(processes, net, *arguments) == one

    def test_every_batch_is_run_once(self, database, score, tmp_path, monkeypatch):
        (tmp_path / "counting.py").write_text(
            "import os, caffe\n"
            "class Count(caffe.Layer):\n"
            "    def reshape(self, bottom, top):\n"
            "        top[0].reshape(*bottom[0].shape)\n"
            "    def forward(self, bottom, top):\n"
            "        top[0].data[...] = bottom[0].data\n"
            "        with open(self.param_str, 'a') as file:\n"
            "            file.write(os.environ['OMPI_COMM_WORLD_RANK'])\n"
        )
        monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", str(tmp_path))
        net = caffe.NetSpec()
        net.data = data(database, 4)[0]
        counts = {"module": "counting", "layer": "Count"}
        counts["param_str"] = str(tmp_path / "ranks")
        net.count = L.Python(net.data, python_param=counts)
        net.fc = L.InnerProduct(net.count, num_output=2)
        net.mean = L.Reduction(net.fc, operation="MEAN")
        monkeypatch.syspath_prepend(tmp_path)
        score(3, net.to_proto(), "-iterations", 7, "-optimize=false")
        ran = (tmp_path / "ranks").read_text()
        assert sorted(ran) == list("0001122")

    def test_random_starts_are_the_same_in_all(self, database, score):
        # Wherever it starts, an epoch has every image once.
        top = L.Data(
            ntop=2,
            source=str(database),
            backend="LMDB",
            batch_size=2,
            rand_skip=1000,
            transform_param={"scale": 1 / 128},
        )
        net = classifier(*top)
        log = score(2, net, "-iterations", 23)
        losses = numbers(log, r"Batch \d+, loss = (\S+)")
        assert len(losses) == 23
        (mean,) = numbers(log, r"loss = (\S+) ")
        (want,) = numbers(score(1, net, "-iterations", 23), r"loss = (\S+) ")
        assert_close([mean], [want], Op.PRINTED)


class TestPycaffe:
    def run(self, tmp_path, script, processes=2):
        (tmp_path / "script.py").write_text(script)
        return finish(launch(processes, sys.executable, tmp_path / "script.py"))

    def test_solvers_take_part(self, database, tmp_path):
        script = """
import caffe

solver = caffe.get_solver({file!r})
assert caffe.solver_count() == {count}
if {own_loop}:
    for _ in range(4):
        solver.net.clear_param_diffs()
        solver.net.forward()
        solver.net.backward()
        solver.apply_update()
else:
    # Rank 0's weights are everybody's.
    for blob in solver.net.params["fc"]:
        blob.data[...] *= 1 + caffe.solver_rank()
    for _ in range(2):
        solver.step(2)
solver.snapshot()
"""
        results = []
        for count, own_loop in ((1, False), (2, False), (2, True)):
            folder = tmp_path / f"{count}{own_loop}"
            file = solver(folder, classifier(*data(database, 6 // count)))
            text = script.format(file=str(file), own_loop=own_loop, count=count)
            output, status = self.run(tmp_path, text, count)
            assert status == 0, output
            results.append(weights(folder / "s_iter_4.caffemodel"))
        for result in results[1:]:
            for name, want in results[0].items():
                assert_close(result[name], want, Op.REDUCTION, terms=6 * 16 * 4)

    @pytest.mark.parametrize(
        ("steps", "message"),
        [
            ("solver.step(3 + rank)", "rank 1 is to take 4 iterations"),
            ("solver.step(3); 1 / (1 - rank); solver.step(3)", "ZeroDivisionError"),
            (
                "solver.add_callback(lambda: 1 / (1 - rank), lambda: None)\n"
                "try: solver.step(3)\n"
                "except ZeroDivisionError: solver.step(3)",
                "rank 1 failed earlier and cannot train on",
            ),
        ],
    )
    def test_a_failing_script_ends_all(self, database, tmp_path, steps, message):
        file = solver(tmp_path / "s", classifier(*data(database, 2)))
        output, status = self.run(
            tmp_path,
            f"import caffe\nsolver = caffe.get_solver({str(file)!r})\n"
            f"rank = caffe.solver_rank()\n{steps}\n",
        )
        assert status != 0
        assert message in output, output

    def test_the_others_follow_what_happens_on_rank_0(self, database, tmp_path):
        net = classifier(*data(database, 2))
        file = solver(tmp_path / "s", net, test_iter=[3], test_interval=4)
        script = f"""
import shutil
import sys
import caffe
from caffe._caffe import SolverAction

solver = caffe.get_solver({str(file)!r})
folder = {str(tmp_path / "s")!r}
asked = 0


def action():
    # Rank 0 is asked in tests, too: three times at iterations 0 and 4.
    global asked
    asked += 1
    actions = {{2: SolverAction.SNAPSHOT, 9: SolverAction.STOP}}
    return actions.get(asked, SolverAction.NONE)


if caffe.solver_rank() == 0:
    solver.set_action_function(action)
solver.step(6)
assert solver.iter == 4
solver.step(2)
assert solver.iter == 6
if caffe.solver_rank() == 0:
    shutil.move(folder, folder + "moved")
try:
    solver.snapshot()
except OSError as error:
    # In one piece: the ranks share the stream.
    sys.stdout.write(f"rank {{caffe.solver_rank()}} got {{error}}\\n")
solver.step(1)
"""
        output, status = self.run(tmp_path, script)
        assert status == 0, output
        assert re.search(r"rank 0 got .*/s/s_iter_6", output)
        assert "rank 1 got rank 0 could not write the snapshot" in output
        moved = sorted(path.name for path in (tmp_path / "smoved").glob("s_iter*"))
        assert moved == ["s_iter_0.caffemodel", "s_iter_0.solverstate"]

    def test_nets_must_match(self, database, tmp_path):
        for count in (0, 1):
            net = classifier(*data(database, 2), shared=bool(count))
            solver(tmp_path / str(count), net)
        output, status = self.run(
            tmp_path,
            "import caffe, os\n"
            "rank = os.environ['OMPI_COMM_WORLD_RANK']\n"
            f"caffe.get_solver({str(tmp_path)!r} + f'/{{rank}}/solver.prototxt')\n"
            "caffe.get_solver(1)\n",
        )
        assert status != 0
        assert (
            "the learned parameters of rank 1 have the shapes (5, 1200) (5,)" in output
        )
