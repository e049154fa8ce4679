"""The `caffe` command as users run it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nets
import numpy as np
import pytest
from google.protobuf import text_format
from log_lines import messages
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe.cli import main
from caffe.proto import caffe_pb2


def training_net():
    """A net that makes its own data, the same in every batch, and learns it."""
    net = caffe.NetSpec()
    net.data, net.target = L.DummyData(
        ntop=2,
        shape=[{"dim": [8, 4]}, {"dim": [8, 3]}],
        data_filler=[{"value": 0.5}, {"value": 1}],
    )
    net.fc = L.InnerProduct(net.data, num_output=3, weight_filler={"type": "xavier"})
    net.loss = L.EuclideanLoss(net.fc, net.target)
    message = net.to_proto()
    message.name = "learner"
    return message


@pytest.fixture
def solver_file(write_proto, tmp_path):
    write_proto(training_net(), "net.prototxt")
    return write_proto(
        caffe_pb2.SolverParameter(
            net=str(tmp_path / "net.prototxt"),
            test_iter=[2],
            test_interval=10,
            base_lr=0.1,
            lr_policy="fixed",
            display=5,
            max_iter=20,
            snapshot_prefix=str(tmp_path / "snap"),
            random_seed=1,
            solver_mode=caffe_pb2.SolverParameter.CPU,
        ),
        "solver.prototxt",
    )


class TestTrain:
    @pytest.mark.parametrize("spelling", [["-solver"], ["--solver="]])
    def test_trains(self, run_tool, solver_file, tmp_path, spelling):
        flag = spelling[0]
        arguments = [flag + str(solver_file)] if "=" in flag else [flag, solver_file]
        run = run_tool("caffe", "train", *arguments)
        assert run.returncode == 0, run.stderr
        log = messages(run.stderr)
        start, end = log.index("Starting Optimization"), log.index("Optimization Done.")
        assert start < end
        losses = [
            float(match.group(1))
            for line in log
            if (match := re.match(r"Iteration \d+.*, loss = (\S+)", line))
        ]
        assert len(losses) == 5
        assert losses[-1] < losses[0]
        assert any("Test net output #0: loss =" in line for line in log)
        assert (tmp_path / "snap_iter_20.caffemodel").exists()
        assert (tmp_path / "snap_iter_20.solverstate").exists()

    def test_goes_on_from_a_snapshot(self, run_tool, solver_file, tmp_path):
        param = text_format.Parse(
            solver_file.read_text(), caffe_pb2.SolverParameter(snapshot=10)
        )
        solver_file.write_text(text_format.MessageToString(param))
        run_tool("caffe", "train", "-solver", solver_file)
        final = tmp_path / "snap_iter_20.caffemodel"
        want = final.read_bytes()
        final.unlink()
        state = tmp_path / "snap_iter_10.solverstate"
        run = run_tool("caffe", "train", "-solver", solver_file, "-snapshot", state)
        assert run.returncode == 0, run.stderr
        assert f"Resuming from {state}" in messages(run.stderr)
        assert final.read_bytes() == want

    def test_makes_the_folder_of_its_snapshots(self, run_tool, solver_file, tmp_path):
        prefix = tmp_path / "new" / "run" / "s"
        text = solver_file.read_text().replace(str(tmp_path / "snap"), str(prefix))
        solver_file.write_text(text)
        run = run_tool("caffe", "train", "-solver", solver_file)
        assert run.returncode == 0, run.stderr
        assert prefix.with_name("s_iter_20.caffemodel").exists()

    @pytest.mark.parametrize("due", ["", "snapshot: 10"])
    def test_a_prefix_that_cannot_be_written_is_an_error_before_training(
        self, run_tool, solver_file, tmp_path, due
    ):
        (tmp_path / "file").touch()
        prefix = str(tmp_path / "file" / "s")
        text = solver_file.read_text().replace(str(tmp_path / "snap"), prefix)
        solver_file.write_text(f"{text}\n{due}")
        run = run_tool("caffe", "train", "-solver", solver_file)
        assert run.returncode == 1
        last = run.stderr.splitlines()[-1]
        assert f"snapshot_prefix '{prefix}': the folder '{tmp_path}/file'" in last
        assert "Iteration" not in run.stderr

    def test_without_max_iter_nothing_is_trained(self, run_tool, solver_file):
        solver_file.write_text(solver_file.read_text().replace("max_iter: 20", ""))
        run = run_tool("caffe", "train", "-solver", solver_file)
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1] == (
            "caffe train: error: solver: max_iter is missing, expected the number of "
            "iterations to train for"
        )

    def test_keeping_blobs_changes_no_weights(self, run_tool, solver_file, tmp_path):
        final = tmp_path / "snap_iter_20.caffemodel"
        weights = []
        for flag in ("-keep_blobs", "-keep_blobs=false"):
            run = run_tool("caffe", "train", "-solver", solver_file, flag)
            assert run.returncode == 0, run.stderr
            weights.append(final.read_bytes())
            final.unlink()
        assert weights[0] == weights[1]

    def test_precision_is_a_flag(self, run_tool, solver_file):
        run = run_tool("caffe", "train", "-solver", solver_file, "-precision", "bf16")
        assert run.returncode == 0, run.stderr
        run = run_tool("caffe", "train", "-solver", solver_file, "-precision", "half")
        assert run.returncode != 0
        assert "flag -precision: got 'half', expected float32 or bf16" in run.stderr

    def test_starts_from_weights(self, run_tool, solver_file, tmp_path):
        paths = [tmp_path / "a.caffemodel", tmp_path / "b.caffemodel"]
        for path, value in zip(paths, (1, 0.5), strict=True):
            net = caffe.Net(training_net(), caffe.TRAIN)
            net.params["fc"][0].data[...] = value
            net.params["fc"][1].data[...] = 0
            net.save(path)
        weights = ",".join(map(str, paths))
        run = run_tool("caffe", "train", "-solver", solver_file, "-weights", weights)
        # 4 inputs of 0.5 with weights of 0.5 give the target, 1.
        assert "Test net output #0: loss = 0" in " ".join(messages(run.stderr)), (
            run.stderr
        )

    def test_stages(self, run_tool, solver_file, tmp_path):
        definition = training_net()
        definition.layer[-1].include.add(stage=["full"])
        (tmp_path / "net.prototxt").write_text(text_format.MessageToString(definition))
        param = text_format.Parse(
            solver_file.read_text(), caffe_pb2.SolverParameter(test_state=[{}])
        )
        param.ClearField("test_iter")
        param.ClearField("test_state")
        param.test_interval = 0
        solver_file.write_text(text_format.MessageToString(param))
        run = run_tool("caffe", "train", "-solver", solver_file, "-stage", "full")
        assert run.returncode == 0, run.stderr
        assert any("loss = " in line for line in messages(run.stderr))

    @pytest.mark.parametrize(
        ("number", "effect", "stops"),
        [
            (signal.SIGINT, [], True),
            (signal.SIGTERM, [], True),
            (signal.SIGTERM, ["-sigint_effect=none"], True),
            (signal.SIGINT, ["-sigint_effect=snapshot"], False),
            (signal.SIGHUP, [], False),
            (signal.SIGHUP, ["-sighup_effect", "stop"], True),
            (signal.SIGINT, ["-sigint_effect", "none"], False),
        ],
    )
    def test_signals(self, solver_file, tmp_path, number, effect, stops):
        text = solver_file.read_text().replace("max_iter: 20", "max_iter: 1000000000")
        solver_file.write_text(text)
        command = Path(sys.executable).with_name("caffe")
        with subprocess.Popen(
            [command, "train", "-solver", solver_file, *effect],
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                for line in process.stderr:
                    if "Iteration 10 " in line:
                        break
                process.send_signal(number)
                if stops:
                    process.stderr.read()
                    assert process.wait(300) == 128 + number
                    assert list(tmp_path.glob("snap_iter_*.solverstate"))
                    return
                snapshots = effect != ["-sigint_effect", "none"]
                last = time.monotonic() + (300 if snapshots else 0.5)
                while time.monotonic() < last:
                    process.stderr.readline()
                    if snapshots and list(tmp_path.glob("snap_iter_*.solverstate")):
                        break
                assert bool(list(tmp_path.glob("snap_iter_*"))) == snapshots
                assert process.poll() is None
            finally:
                process.kill()

    def test_failed_snapshots_fail_the_command(self, run_tool, solver_file, tmp_path):
        text = solver_file.read_text()
        folder = tmp_path / "gone"
        folder.mkdir()
        text = text.replace(str(tmp_path / "snap"), str(folder / "snap"))
        solver_file.write_text(text + "snapshot: 5\n")
        # The folder vanishes while training: a layer of the net's data removes it.
        (tmp_path / "remover.py").write_text(
            "import caffe, shutil\n"
            "class Remove(caffe.Layer):\n"
            "    def reshape(self, bottom, top): top[0].reshape(1)\n"
            "    def forward(self, bottom, top):\n"
            f"        shutil.rmtree({str(folder)!r}, ignore_errors=True)\n"
        )
        definition = training_net()
        definition.layer.add(
            name="remove",
            type="Python",
            top=["removed"],
            python_param={"module": "remover", "layer": "Remove"},
        )
        (tmp_path / "net.prototxt").write_text(text_format.MessageToString(definition))
        run = run_tool(
            *("caffe", "train", "-solver", solver_file),
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert "Optimization Done." in run.stderr
        assert run.returncode == 1
        last = run.stderr.splitlines()[-1]
        assert last.startswith("caffe train: error:")
        assert "snapshots that were due could not be written" in last


class TestTest:
    @pytest.fixture
    def files(self, write_proto, tmp_path):
        definition = training_net()
        definition.layer.add(
            name="again",
            type="EuclideanLoss",
            bottom=["fc", "target"],
            top=["again"],
            loss_weight=[2],
        )
        model = write_proto(definition, "model.prototxt")
        net = caffe.Net(model, caffe.TEST)
        net.params["fc"][0].data[...] = 1
        net.save(tmp_path / "w.caffemodel")
        return model, tmp_path / "w.caffemodel"

    def test_scores(self, run_tool, files):
        model, weights = files
        run = run_tool(
            *("caffe", "test", "-model", model, "-weights", weights),
            "-iterations=3",
        )
        assert run.returncode == 0, run.stderr
        log = messages(run.stderr)
        # Each of 3 outputs is 4 * 0.5 * 1 = 2, 1 from its target.
        assert "Use CPU." in log
        assert "Running for 3 iterations." in log
        assert [line for line in log if line.startswith("Batch")] == [
            f"Batch {batch}, {name} = 1.5"
            for batch in range(3)
            for name in ("again", "loss")
        ] or [line for line in log if line.startswith("Batch")] == [
            f"Batch {batch}, {name} = 1.5"
            for batch in range(3)
            for name in ("loss", "again")
        ]
        assert log[-3:] in (
            ["Loss: 4.5", "loss = 1.5 (* 1 = 1.5 loss)", "again = 1.5 (* 2 = 3 loss)"],
            ["Loss: 4.5", "again = 1.5 (* 2 = 3 loss)", "loss = 1.5 (* 1 = 1.5 loss)"],
        )

    def test_needs_both_files(self, run_tool, files):
        run = run_tool("caffe", "test", "-model", files[0])
        assert run.returncode == 2
        assert "caffe test: error: flag -weights is missing" in run.stderr
        run = run_tool("caffe", "test", "-weights", files[1])
        assert "flag -model is missing" in run.stderr


class TestTime:
    def test_times_every_layer(self, run_tool, write_proto):
        net = nets.convolutional(size=8)
        net.force_backward = True
        model = write_proto(net)
        run = run_tool("caffe", "time", "-model", model, "-iterations", "4")
        assert run.returncode == 0, run.stderr
        log = messages(run.stderr)
        assert "Testing for 4 iterations." in log
        for layer in ("data", "conv1", "relu1", "conv2", "pool"):
            for direction in ("forward", "backward"):
                pattern = rf" *{layer}\t{direction}: (\S+) ms\."
                (time_ms,) = filter(None, (re.fullmatch(pattern, line) for line in log))
                assert float(time_ms.group(1)) >= 0
        times = {
            match.group(1): float(match.group(2))
            for line in log
            if (match := re.fullmatch(r"(Average .*|Total Time): (\S+) ms\.", line))
        }
        assert set(times) == {
            "Average Forward pass",
            "Average Backward pass",
            "Average Forward-Backward",
            "Total Time",
        }
        assert_close(
            times["Total Time"],
            4 * times["Average Forward-Backward"],
            Op.PRINTED,
        )
        assert times["Average Forward pass"] > 0

    def test_phase(self, run_tool, write_proto):
        definition = nets.linear()
        definition.layer[-1].include.add(phase=caffe.TEST)
        model = write_proto(definition)
        for phase, timed in (("TEST", True), ("TRAIN", False)):
            run = run_tool(
                *("caffe", "time", "-model", model, "-phase", phase, "-iterations=1")
            )
            assert ("prob\tforward" in run.stderr) == timed


def test_device_query(run_tool):
    run = run_tool("caffe", "device_query")
    assert run.returncode == 0
    log = messages(run.stderr)
    assert any(line.startswith("Number of cores: ") for line in log)
    assert "This build has no GPU support." in log
    run = run_tool("caffe", "device_query", "-gpu", "0")
    assert run.returncode == 1
    assert "caffe device_query: error:" in run.stderr
    assert "this build has no GPU support; leave the flag out" in run.stderr


def test_scores_of_a_net_whose_outputs_change_are_refused(
    run_tool, write_proto, tmp_path
):
    for width in (4, 5):
        image = b"P6 %d 4 255\n" % width + bytes(3 * 4 * width)
        (tmp_path / f"{width}.ppm").write_bytes(image)
    (tmp_path / "list.txt").write_text("4.ppm 0\n5.ppm 1\n")
    net = caffe.NetSpec()
    net.data, net.label = L.ImageData(
        ntop=2, source="list.txt", root_folder=f"{tmp_path}/", batch_size=1
    )
    net.conv = L.Convolution(net.data, num_output=1, kernel_size=1)
    net.silence = L.Silence(net.label, ntop=0)
    model = write_proto(net.to_proto())
    caffe.Net(
        caffe_pb2.NetParameter(layer=[*_inputs(4), net.to_proto().layer[1]]), caffe.TEST
    ).save(tmp_path / "w.caffemodel")
    run = run_tool(
        *("caffe", "test", "-model", model, "-weights", "w.caffemodel"),
        *("-iterations", 2, "-optimize=false"),
    )
    assert run.returncode == 1
    assert "20 output values for a batch, expected 16 as in the first" in run.stderr


def _inputs(width):
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [1, 3, 4, width]})
    return net.to_proto().layer


class TestUsage:
    def test_help_and_version(self, capsys):
        assert main(["help"]) == 0
        text = capsys.readouterr().out
        for command in ("train", "test", "time", "device_query", "build-plugin"):
            assert f"  {command}" in text
        assert main(["--help"]) == 0
        assert capsys.readouterr().out == text
        assert main(["--version"]) == 0
        assert capsys.readouterr().out == f"caffe {caffe.__version__}\n"

    @pytest.mark.parametrize("arguments", [["help", "train"], ["train", "-help"]])
    def test_help_of_a_command(self, capsys, arguments):
        assert main(arguments) == 0
        text = capsys.readouterr().out
        assert "-sigint_effect stop|snapshot|none" in text
        assert "-log_file" in text
        assert "-iterations" not in text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "caffe: error: no command given"),
            (["fly"], "caffe: error: unknown command 'fly', expected one of train"),
            (["trian"], "build-plugin; the closest is 'train'"),
            (["help", "trian"], "unknown command 'trian', expected one of train"),
            (["trian", "-help"], "; the closest is 'train'"),
            (["help", "train", "test"], "got 'train test', expected one command"),
            (["train", "help"], "got 'train help', expected one command"),
            (["upgrade_net_proto_txt"], "the closest is 'upgrade_net_proto_text'"),
            (["upgrade_net_proto_text", "old"], "got 1 argument, expected PROTO_FILE"),
            (["-verbose", "parse_log", "a", "b"], "unknown flag '-verbose'"),
            (["-v=0", "parse_log"], "the flags of parse_log stand behind its name"),
            (["train", "test"], "caffe train: error: got 'train test'"),
            (
                ["train", "-solvr", "x"],
                "unknown flag '-solvr'; the closest is '-solver'",
            ),
            (["train"], "caffe train: error: flag -solver is missing"),
            (["time"], "caffe time: error: flag -model is missing"),
            (["time", "-model", "x", "-phase", "VAL"], "expected TRAIN or TEST"),
            (["time", "-model", "x", "-iterations=0"], "got 0, expected 1 or more"),
            (["train", "-solver=a", "-snapshot=b", "-weights=c"], "both given"),
            (["build-plugin"], "caffe build-plugin: error: no source file given"),
            (["build-plugin", "a.cpp"], "flag -o is missing"),
        ],
    )
    def test_wrong_command_lines(self, capsys, arguments, message):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.splitlines()[-1] == "See `caffe help`."

    def test_flags_of_other_commands_are_noted(self, run_tool, write_proto):
        model = write_proto(nets.linear())
        run = run_tool(
            *("caffe", "--iterations=1", "time", f"--model={model}", "-snapshot", "x")
        )
        assert run.returncode == 0
        assert "caffe time: note: -snapshot has no effect" in run.stderr


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["train", "-solver", "none.prototxt"], "'none.prototxt' does not exist"),
            (["test", "-model", "n", "-weights", "w"], "'n' does not exist"),
            (["time", "-model", "n", "-plugin", "p.so"], "p.so"),
            (["time", "-model", "n", "-gpu", "0"], "no GPU support"),
            (["build-plugin", "none.cpp", "-o", "x.so"], "'none.cpp' does not exist"),
        ],
    )
    def test_one_sentence(self, run_tool, arguments, message):
        run = run_tool("caffe", *arguments)
        assert run.returncode == 1
        last = run.stderr.splitlines()[-1]
        assert last.startswith(f"caffe {arguments[0]}: error: ")
        assert message in last
        assert "Traceback" not in run.stderr

    def test_solver_mode_gpu_says_what_to_do(self, run_tool, solver_file):
        text = solver_file.read_text().replace("CPU", "GPU")
        solver_file.write_text(text)
        run = run_tool("caffe", "train", "-solver", solver_file)
        assert run.returncode == 1
        assert run.stderr.splitlines()[-1] == (
            f"caffe train: error: '{solver_file}' has `solver_mode: GPU`, but this "
            "build has no GPU support; write `solver_mode: CPU` there to train on the "
            "CPU"
        )

    def test_the_gpu_flag_says_what_to_do(self, run_tool, solver_file, write_proto):
        model = write_proto("", "empty.prototxt")
        for arguments in (
            ["train", "-solver", solver_file],
            ["test", "-model", model, "-weights", model],
            ["time", "-model", model],
        ):
            run = run_tool("caffe", *arguments, "-gpu", "0,1")
            assert run.returncode == 1
            assert run.stderr.splitlines()[-1] == (
                f"caffe {arguments[0]}: error: flag -gpu asks for GPU 0,1, but this "
                "build has no GPU support; leave the flag out to run on the CPU"
            )

    def test_bad_nets(self, run_tool, write_proto, tmp_path):
        model = write_proto('layer { name: "x" type: "Relu" top: "x" }')
        run = run_tool("caffe", "time", "-model", model)
        assert run.returncode == 1
        assert "'Relu'" in run.stderr.splitlines()[-1]
        assert "'ReLU'" in run.stderr.splitlines()[-1]

    def test_mistakes_in_python_layers_have_a_traceback(self, run_tool, tmp_path):
        (tmp_path / "wrong.py").write_text(
            "import caffe\n"
            "class Wrong(caffe.Layer):\n"
            "    def reshape(self, bottom, top):\n"
            "        raise ValueError('my mistake')\n"
        )
        (tmp_path / "net.prototxt").write_text(
            'layer { name: "w" type: "Python" top: "w"\n'
            '  python_param { module: "wrong" layer: "Wrong" } }\n'
        )
        run = run_tool(
            *("caffe", "time", "-model", tmp_path / "net.prototxt"),
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert run.returncode == 1
        assert 'wrong.py", line 4, in reshape' in run.stderr


class TestLog:
    def test_files_and_levels(self, run_tool, write_proto, tmp_path):
        model = write_proto(nets.linear())
        common = ("caffe", "time", "-model", model, "-iterations=1")
        run = run_tool(*common, "-log_file", tmp_path / "log.txt", "-logtostderr")
        assert messages((tmp_path / "log.txt").read_text()) == messages(run.stderr)
        run_tool(*common, "-log_dir", tmp_path)
        assert "*** Benchmark ends ***" in (tmp_path / "caffe.INFO").read_text()
        run = run_tool(*common, "-minloglevel=2")
        assert run.stderr == ""

    def test_a_log_file_that_cannot_be_written(self, run_tool, write_proto, tmp_path):
        model = write_proto(nets.linear())
        run = run_tool(
            *("caffe", "time", "-model", model, "-log_file", tmp_path / "no" / "log")
        )
        assert run.returncode == 1
        assert str(tmp_path / "no" / "log") in run.stderr.splitlines()[-1]


def test_the_module_is_the_command(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "caffe.cli", "--version"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert run.stdout == f"caffe {caffe.__version__}\n"
    assert np.__version__  # the interpreter of this environment


def test_the_last_test_is_of_the_last_snapshot(write_proto, tmp_path, capfd):
    """No training batch moves the statistics of batch norms between the two."""
    net = caffe.NetSpec()
    net.data = L.DummyData(
        shape={"dim": [8, 4, 3, 3]}, data_filler={"type": "gaussian"}
    )
    net.target = L.DummyData(shape={"dim": [8, 3]}, data_filler={"value": 1})
    net.normal = L.BatchNorm(net.data)
    net.fc = L.InnerProduct(net.normal, num_output=3, weight_filler={"value": 0.1})
    net.loss = L.EuclideanLoss(net.fc, net.target)
    message = net.to_proto()
    message.layer[0].include.add(phase=caffe.TRAIN)
    test_data = caffe_pb2.LayerParameter()
    test_data.CopyFrom(message.layer[0])
    test_data.include[0].phase = caffe.TEST
    test_data.dummy_data_param.data_filler[0].CopyFrom(
        caffe_pb2.FillerParameter(value=0.5)
    )
    message = caffe_pb2.NetParameter(layer=[test_data, *message.layer])
    path = write_proto(message, "net.prototxt")
    solver = write_proto(
        caffe_pb2.SolverParameter(
            net=str(path),
            test_iter=[1],
            test_interval=3,
            test_initialization=False,
            base_lr=0.01,
            lr_policy="fixed",
            display=1,
            max_iter=3,
            snapshot_prefix=str(tmp_path / "snap"),
            random_seed=1,
            solver_mode=caffe_pb2.SolverParameter.CPU,
        ),
        "solver.prototxt",
    )
    assert main(["train", "-solver", str(solver)]) == 0
    (logged,) = re.findall(r"Test net output #0: loss = (\S+)", capfd.readouterr().err)
    scored = caffe.Net(
        str(path), caffe.TEST, weights=str(tmp_path / "snap_iter_3.caffemodel")
    )
    assert logged == f"{scored.forward()['loss'].item():.6g}"
