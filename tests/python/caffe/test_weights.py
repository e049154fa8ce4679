"""Weights that are shared, reported, refused."""

from __future__ import annotations

import nets
import numpy as np
import pytest
from google.protobuf import text_format
from tolerance import Op, assert_close

import caffe
from caffe.cli import main
from caffe.proto import caffe_pb2

# The layer of the test phase shares the weight of the one that is trained, by its name.
SHARING = """
layer { name: "data" type: "DummyData" top: "x"
  dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 0.5 } } }
layer { name: "target" type: "DummyData" top: "t"
  dummy_data_param { shape { dim: 2 dim: 4 } data_filler { value: 1 } } }
%s
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "t" top: "loss" }
"""
BOTH = """
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false
    weight_filler { type: "gaussian" } } }
"""
ONLY_TEST = """
layer { name: "b" type: "InnerProduct" bottom: "x" top: "b" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false
    weight_filler { type: "gaussian" } } include { phase: TEST } }
"""


def sharing_solver(layers, tmp_path, **fields):
    net = text_format.Parse(SHARING % layers, caffe_pb2.NetParameter())
    return caffe_pb2.SolverParameter(
        net_param=net,
        test_iter=[1],
        test_interval=1000,
        test_initialization=False,
        base_lr=0.1,
        lr_policy="fixed",
        max_iter=10,
        snapshot_prefix=str(tmp_path / "snap"),
        random_seed=3,
        solver_mode=caffe_pb2.SolverParameter.CPU,
        **fields,
    )


@pytest.mark.parametrize("layers", [BOTH + ONLY_TEST, ONLY_TEST + BOTH])
def test_layers_of_the_test_net_share_what_is_trained(layers, tmp_path):
    solver = caffe.get_solver(sharing_solver(layers, tmp_path))
    (tested,) = solver.test_nets
    for steps in (0, 3):
        solver.step(steps)
        trained = solver.net.params["a"][0].data
        for layer in "ab":
            np.testing.assert_array_equal(tested.params[layer][0].data, trained)
        out = tested.forward()
        assert_close(out["b"], np.full((2, 3), 0.5) @ trained.T, Op.REDUCTION, terms=3)


def test_share_with_takes_the_sharers_along(tmp_path):
    text = (SHARING % (BOTH + ONLY_TEST)).replace("EuclideanLoss", "Eltwise")
    parse = lambda: text_format.Parse(text, caffe_pb2.NetParameter())  # noqa: E731
    source, target = caffe.Net(parse(), caffe.TRAIN), caffe.Net(parse(), caffe.TEST)
    target.share_with(source)
    source.params["a"][0].data[...] = 7
    assert (target.params["a"][0].data == 7).all()
    assert (target.params["b"][0].data == 7).all()


def test_test_nets_follow_what_is_loaded_at_once(tmp_path):
    first = caffe.get_solver(sharing_solver(BOTH, tmp_path))
    first.step(2)
    first.snapshot()
    weights = str(tmp_path / "snap_iter_2.caffemodel")
    trained = first.net.params["a"][0].data.copy()
    for load in (
        lambda solver: solver.restore(str(tmp_path / "snap_iter_2.solverstate")),
        lambda solver: solver.net.copy_from(weights),
    ):
        solver = caffe.get_solver(sharing_solver(BOTH, tmp_path))
        load(solver)
        np.testing.assert_array_equal(solver.test_nets[0].params["a"][0].data, trained)
        want = ((np.full((2, 3), 0.5) @ trained.T - 1) ** 2).sum() / 4
        got = solver.test_nets[0].forward()["loss"]
        assert_close(got, want, Op.REDUCTION, terms=8)


@pytest.fixture
def scored(write_proto, tmp_path):
    """A net that needs no data, and weights for it."""
    net = write_proto(nets.learner(), "net.prototxt")
    weights = tmp_path / "net.caffemodel"
    caffe.Net(str(net), caffe.TEST).save(weights)
    return net, weights


def test_copy_from_reports(scored, write_proto, tmp_path):
    net, weights = scored
    other = nets.learner()
    for layer in other.layer:
        if layer.name == "fc":
            layer.name = "renamed"
    target = caffe.Net(str(write_proto(other, "other.prototxt")), caffe.TEST)
    shapes = {"fc": [(3, 4), (3,)]}
    report = target.copy_from(weights)
    assert report == ([], ["renamed"], ["fc"], shapes)
    again = caffe.Net(str(net), caffe.TEST)
    assert again.copy_from(weights) == (["fc"], [], [], shapes)
    again.save_hdf5(tmp_path / "net.h5")
    assert again.copy_from(tmp_path / "net.h5") == (["fc"], [], [], shapes)
    assert target.copy_from(tmp_path / "net.h5") == report


def test_reports_on_hdf5_name_nested_layers(scored, write_proto, tmp_path):
    """A slash in a layer's name nests groups."""
    net, _ = scored
    nested = nets.learner()
    for layer in nested.layer:
        if layer.name == "fc":
            layer.name = "block/fc"
    path = write_proto(nested, "nested.prototxt")
    caffe.Net(str(path), caffe.TEST).save_hdf5(tmp_path / "net.h5")
    report = caffe.Net(str(net), caffe.TEST).copy_from(tmp_path / "net.h5")
    assert report.without_weights == ["fc"]
    assert report.without_layer == ["block/fc"]
    assert report.shapes == {"block/fc": [(3, 4), (3,)]}


def test_weights_of_another_net_are_not_scored(scored, write_proto, capsys):
    _, weights = scored
    other = nets.learner()
    for layer in other.layer:
        if layer.name == "fc":
            layer.name = "renamed"
    command = ["test", "-model", str(write_proto(other, "other.prototxt"))]
    command += ["-weights", str(weights), "-iterations", "1"]
    assert main(command) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "net.caffemodel' has weights for no layer of the net, but for 'fc'" in error
    assert "the net has 'renamed'" in error
    assert main([*command, "-allow_random"]) == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_damaged_weights_are_named_before_they_are_scored(scored, value, capsys):
    path, weights = scored
    net = caffe.Net(str(path), caffe.TEST)
    net.params["fc"][0].data.flat[[2, 5]] = value
    net.save(weights)
    command = ["test", "-model", str(path), "-weights", str(weights)]
    assert main([*command, "-iterations", "1"]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "net.caffemodel': net 'learner': values that are NaN or infinite" in error
    assert "layer 'fc', blob 0: 2 of 12" in error


def test_layers_without_backward_are_not_timed(scored, write_proto, capfd):
    path, _ = scored
    command = ["time", "-iterations", "1", "-model"]
    assert main([*command, str(path)]) == 0
    log = capfd.readouterr().err
    assert "fc\tbackward: not needed." not in log
    assert "data\tbackward: not needed." in log
    deploy = write_proto(nets.convolutional(), "deploy.prototxt")
    assert main([*command, str(deploy)]) == 0
    log = capfd.readouterr().err
    assert log.count("backward: not needed.") == log.count("\tforward: ")
    assert "Average Backward pass: not needed, since the net has no loss" in log
    assert "backward: 0 ms" not in log


def test_messages_name_blobs_as_the_prototxt_does(write_proto):
    """Not the copies that Split makes of blobs with several readers."""
    text = """
layer { name: "in" type: "Input" top: "y" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "p" type: "Power" bottom: "y" top: "p" }
layer { name: "z" type: "Input" top: "z" input_param { shape { dim: 2 dim: 4 } } }
layer { name: "e" type: "Eltwise" bottom: "z" bottom: "y" top: "e" }
"""
    with pytest.raises(
        ValueError, match=r"layer 'e' \(Eltwise\): bottom\[1\] 'y'"
    ) as e:
        caffe.Net(text_format.Parse(text, caffe_pb2.NetParameter()), caffe.TEST)
    assert "_split" not in str(e.value)


READ_TWICE = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 2 dim: 3 }} }} }}
layer {{ name: "l" type: "Input" top: "label" input_param {{ shape {{ dim: 2 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip" loss_weight: {}
        inner_product_param {{ num_output: 3 }} }}
layer {{ name: "top-1" type: "Accuracy" bottom: "ip" bottom: "label" top: "top-1" }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "s" }}
"""


@pytest.mark.parametrize("optimize", [False, True])
def test_messages_of_running_nets_name_blobs_as_the_prototxt_does(optimize):
    definition = text_format.Parse(READ_TWICE.format(0), caffe_pb2.NetParameter())
    net = caffe.Net(definition, caffe.TEST, optimize=optimize)
    with pytest.raises(
        ValueError, match=r"layer 'top-1' \(Accuracy\): bottom\[1\] 'label': sample 0"
    ):
        net.forward(x=np.ones((2, 3)), label=np.array([7, 0]))
    with pytest.raises(ValueError, match=r"no blob 'y'; there are 'x', 'label', 'ip',"):
        net.forward(blobs=["y"])
    with pytest.raises(ValueError, match=r"no layer 'y'; there are 'x', 'l', 'ip',"):
        net.forward(end="y")


def test_messages_name_layers_as_the_prototxt_does():
    definition = text_format.Parse(READ_TWICE.format("nan"), caffe_pb2.NetParameter())
    with pytest.raises(
        ValueError, match=r"layer 'ip' \(InnerProduct\): loss_weight\[0\] is nan"
    ):
        caffe.Net(definition, caffe.TEST)
