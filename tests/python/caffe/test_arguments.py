"""What constructors are given: every form that works, and a sentence for all others."""

from __future__ import annotations

import time
from pathlib import Path

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe.proto import caffe_pb2

PHASES = r"expected caffe\.TRAIN or caffe\.TEST"


@pytest.fixture
def model(write_proto):
    return write_proto(nets.linear())


@pytest.fixture
def weights(model, tmp_path):
    caffe.Net(model, caffe.TEST).save(tmp_path / "w.caffemodel")
    return tmp_path / "w.caffemodel"


def test_forms_of_net(model, weights):
    stored = caffe.Net(model, caffe.TEST, weights=weights).params["fc"][0].data
    text = str(weights)
    for net in (
        caffe.Net(model, weights, caffe.TEST),
        caffe.Net(str(model), text, caffe.TEST),
        caffe.Net(str(model), caffe.TEST, weights=text),
        caffe.Net(model, caffe.TEST, 0, None, weights),
        caffe.Net(model, weights, phase=caffe.TEST),
        caffe.Net(network_file=model, phase=caffe.TEST, weights=[text, weights]),
        caffe.Net(nets.linear(), np.int64(1), level=np.int32(0), weights=(weights,)),
        caffe.Net(model, [weights], caffe.TEST, stages=("deploy",)),
    ):
        assert net.phase == caffe.TEST
        assert_close(net.params["fc"][0].data, stored, Op.COPY)


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, f"the phase is missing, {PHASES} behind network_file"),
        (
            ("w.caffemodel",),
            {},
            f"the phase is missing, {PHASES} behind network_file, and weights by name, "
            r"as in caffe\.Net\(network_file, caffe\.TEST, weights='w\.caffemodel'\)$",
        ),
        (("TEST",), {}, f"phase is 'TEST', {PHASES}, without quotes$"),
        ((), {"phase": "TEST"}, f"phase is 'TEST', {PHASES}"),
        ((), {"phase": "test"}, f"phase is 'test', {PHASES}"),
        ((), {"phase": b"TEST"}, f"phase is b'TEST', {PHASES}"),
        ((), {"phase": None}, f"phase is None, {PHASES}"),
        ((), {"phase": Path("TEST")}, f"phase is .*Path.*, {PHASES}"),
        ((), {"phase": 1.0}, f"phase is 1.0, {PHASES}"),
        ((), {"phase": 2}, f"phase is 2, {PHASES}"),
        ((None,), {}, f"phase is None, {PHASES}"),
        (
            (1, "w.caffemodel"),
            {},
            "level is 'w.caffemodel', .*weights='net.caffemodel'",
        ),
        ((1, Path("w")), {}, "level is .*Path.*, expected a whole number"),
        ((1, None), {}, "level is None, expected a whole number"),
        ((1, 0.5), {}, "level is 0.5, expected a whole number"),
        ((1, 2**31), {}, r"level is 2147483648, expected less than 2\^31"),
        ((1, -(2**31) - 1), {}, r"level is -2147483649, expected at least -2\^31"),
        ((1, 0, "deploy"), {}, r"stages is 'deploy', .*such as \['deploy'\]"),
        ((1,), {"stages": b"deploy"}, "stages is b'deploy', expected a list"),
        ((1,), {"stages": 3}, "stages is 3, expected a list of names"),
        ((1,), {"stages": ["a", 3]}, r"stages is \['a', 3\], expected a list"),
        ((1,), {"weights": 3}, r"weights is 3, expected a path \(str or os.PathLike\)"),
        ((1,), {"weights": b"w"}, "weights is b'w', expected a path"),
        ((1,), {"weights": ["w", None]}, "weights is None, expected a path"),
        ((b"w", 1), {}, "weights is b'w', expected a path"),
        (("w", 1), {"weights": "v"}, "got weights twice, by position and by name"),
        ((1, 0, None, None, True), {}, "got 6 values, expected at most network_file"),
        ((1,), {"weigths": "w"}, "no argument 'weigths'; the closest is 'weights'"),
        ((1,), {"optimise": True}, "no argument 'optimise'; the closest is 'optimize'"),
    ],
)
def test_arguments_of_net(model, arguments, named, message):
    with pytest.raises((TypeError, ValueError), match=f"^caffe.Net: {message}"):
        caffe.Net(model, *arguments, **named)


WRONG_PATHS = [None, 3, 3.5, b"file", ["file"], caffe_pb2.BlobProto()]


@pytest.mark.parametrize("wrong", WRONG_PATHS, ids=lambda wrong: type(wrong).__name__)
def test_paths_that_are_none(model, wrong):
    net = caffe.Net(model, caffe.TEST)
    solver = caffe.SGDSolver(caffe_pb2.SolverParameter(net_param=nets.regression()))
    solvers = [
        *(caffe.SGDSolver, caffe.NesterovSolver, caffe.AdaGradSolver, caffe.Solver),
        *(caffe.RMSPropSolver, caffe.AdaDeltaSolver, caffe.AdamSolver),
    ]
    calls = {
        "caffe.Net: network_file": lambda: caffe.Net(wrong, caffe.TEST),
        "caffe.Classifier: pretrained_file": lambda: caffe.Classifier(model, wrong),
        "caffe.Classifier: network_file": lambda: caffe.Classifier(wrong, "w"),
        "caffe.Detector: pretrained_file": lambda: caffe.Detector(model, wrong),
        "caffe.Detector: network_file": lambda: caffe.Detector(wrong, "w"),
        "caffe.get_solver: solver_file": lambda: caffe.get_solver(wrong),
        **{
            f"caffe.{cls.__name__}: solver_file": lambda cls=cls: cls(wrong)
            for cls in solvers
        },
        "copy_from: filename": lambda: net.copy_from(wrong),
        "load_hdf5: filename": lambda: net.load_hdf5(wrong),
        "save: filename": lambda: net.save(wrong),
        "save_hdf5: filename": lambda: net.save_hdf5(wrong),
        "restore: filename": lambda: solver.restore(wrong),
        "load_plugin: path": lambda: caffe.load_plugin(wrong),
        "load_image: filename": lambda: caffe.io.load_image(wrong),
    }
    if wrong is not None:
        calls["solve: resume_file"] = lambda: solver.solve(wrong)
    for who, call in calls.items():
        message = rf"^{who} is .*, expected a path \(str or os\.PathLike\)"
        with pytest.raises(TypeError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_other_values_of_the_wrong_type(model):
    net = caffe.Net(model, caffe.TEST)
    solver = caffe.SGDSolver(caffe_pb2.SolverParameter(net_param=nets.regression()))
    for call, message in (
        (lambda: solver.step("3"), "step: iterations is '3', expected a whole number"),
        (
            lambda: net.share_with(model),
            "share_with: other is .*, expected a caffe.Net",
        ),
        (lambda: net.after_forward(3), "after_forward: function is 3, expected a func"),
        (
            lambda: solver.add_callback(on_test=3),
            "add_callback: on_test is 3, expected",
        ),
    ):
        with pytest.raises(TypeError, match=message):
            call()


# Everything that `import caffe` gave in Caffe 1.0.
CAFFE_1_0 = """
AdaDeltaSolver AdaGradSolver AdamSolver Classifier Detector Layer NCCL
NesterovSolver Net NetSpec RMSPropSolver SGDSolver TEST TRAIN Timer __version__
_caffe classifier detector get_solver has_nccl init_log io layer_type_list layers
log net_spec params proto pycaffe set_device set_mode_cpu set_mode_gpu
set_multiprocess set_random_seed set_solver_count set_solver_rank solver_count
solver_rank to_proto
"""
IO_1_0 = """
Transformer array_to_blobproto array_to_datum arraylist_to_blobprotovecor_str
blobproto_to_array blobprotovector_str_to_arraylist datum_to_array load_image oversample
resize_image
"""


def test_a_misspelt_name_of_the_module_is_told_the_closest():
    with pytest.raises(AttributeError, match=r"'Nett'; the closest is 'Net'$"):
        caffe.Nett  # noqa: B018
    with pytest.raises(AttributeError, match=r"'caffe' has no attribute 'zzz'$"):
        caffe.zzz  # noqa: B018


def test_the_names_of_caffe_1_0_are_here():
    for name in CAFFE_1_0.split():
        assert getattr(caffe, name) is not None, name
    for name in IO_1_0.split():
        assert callable(getattr(caffe.io, name)), name


def test_a_timer_measures():
    timer = caffe.Timer()
    assert timer.ms == 0
    before = time.perf_counter()
    timer.start()
    inside = time.perf_counter()
    while time.perf_counter() < inside + 0.002:
        pass
    timer.stop()
    after = time.perf_counter()
    assert 2 <= timer.ms <= 1000 * (after - before)


def test_nccl_says_that_it_is_not_here():
    assert not caffe.has_nccl()
    solver = caffe.SGDSolver(caffe_pb2.SolverParameter(net_param=nets.regression()))
    for call in (caffe.NCCL.new_uid, lambda: caffe.NCCL(solver, "uid")):
        with pytest.raises(NotImplementedError, match=r"caffe\.NCCL: .*mpirun"):
            call()
