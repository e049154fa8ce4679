"""Layers written in Python, inside nets of the engine."""

from __future__ import annotations

import gc
import weakref
from typing import ClassVar

import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe.proto import caffe_pb2


class Power(caffe.Layer):
    """top = factor * bottom^2 with a learned factor."""

    alive: ClassVar[weakref.WeakSet] = weakref.WeakSet()

    def setup(self, bottom, top):
        self.alive.add(self)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.blobs[0].data * bottom[0].data ** 2

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data ** 2).sum()
        if propagate_down[0]:
            slope = 2 * self.blobs[0].data * bottom[0].data
            bottom[0].diff[...] = slope * top[0].diff


class Recorder(caffe.Layer):
    """Keeps what it sees."""

    seen: ClassVar[dict] = {}

    def __init__(self, param):
        self.seen["param"] = param

    def setup(self, bottom, top):
        self.seen.update(
            name=self.name, phase=self.phase, text=self.param_str, bottoms=len(bottom)
        )
        self.seen["view"] = bottom[0].data

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.seen["blobs"] = bottom
        self.seen["kept view"] = self.seen["view"].copy()


class Failing(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        raise LookupError(f"{self.name} failed")


class Filled(caffe.Layer):
    """Fills its tops once for all, in `setup` or, counting, in every Forward."""

    def setup(self, bottom, top):
        for one in top:
            one.reshape(2, 3)
            one.data[...] = 3

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.param_str == "counts":
            top[0].data[...] += 1

    def backward(self, top, propagate_down, bottom):
        pass


class Triple(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 3 * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 3 * top[0].diff


class TripleInPlace(Triple):
    works_in_place = True


class Incomplete(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)


class NoLayer:
    pass


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The engine imports this very module by name."""
    import sys

    monkeypatch.setitem(sys.modules, "python_layers", sys.modules[__name__])


def net_with(layer, phase=caffe.TRAIN, force_backward=True, **python_param):
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [2, 3]})
    spec.before = L.Power(spec.data, scale=2)
    spec.own = L.Python(
        spec.before, module="python_layers", layer=layer, **python_param
    )
    spec.after = L.Power(spec.own, scale=3)
    definition = spec.to_proto()
    definition.force_backward = force_backward
    return caffe.Net(definition, phase)


def test_forward_and_backward_between_layers_of_the_engine(random):
    net = net_with("Power", param_str="0.5")
    data = random.standard_normal((2, 3), dtype=np.float32)
    gradient = random.standard_normal((2, 3), dtype=np.float32)
    out = net.forward(data=data)["after"]
    assert_close(out, 3 * 0.5 * (2 * data) ** 2, Op.ELEMENTWISE)
    got = net.backward(after=gradient)["data"]
    assert_close(got, gradient * 3 * (2 * 0.5 * 2 * data) * 2, Op.ELEMENTWISE)
    want = [(3 * gradient * (2 * data) ** 2).sum()]
    assert_close(net.params["own"][0].diff, want, Op.REDUCTION, terms=6)
    assert [layer.type for layer in net.layers] == ["Input", "Power", "Python", "Power"]


def test_shapes_follow_the_bottoms():
    net = net_with("Power", param_str="1")
    net.blobs["data"].reshape(5, 7)
    net.reshape()
    assert net.blobs["after"].shape == (5, 7)


def test_weights_are_saved_and_loaded(tmp_path):
    net_with("Power", param_str="0.25").save(tmp_path / "w.caffemodel")
    net = net_with("Power", param_str="1")
    net.copy_from(tmp_path / "w.caffemodel")
    assert net.params["own"][0].data == [0.25]


def test_what_a_layer_knows(random):
    net = net_with("Recorder", caffe.TEST, param_str="some text")
    seen = Recorder.seen
    assert (seen["name"], seen["phase"], seen["text"], seen["bottoms"]) == (
        *("own", caffe.TEST, "some text", 1),
    )
    assert isinstance(seen["param"], caffe_pb2.LayerParameter)
    assert seen["param"].python_param.layer == "Recorder"
    data = random.standard_normal((2, 3), dtype=np.float32)
    net.forward(data=data)
    # Arrays kept from an earlier call are up to date.
    assert_close(seen["kept view"], 2 * data, Op.ELEMENTWISE)


def test_bottoms_cannot_be_used_when_the_net_is_gone():
    net = net_with("Recorder", caffe.TEST)
    net.forward()
    (bottom,) = Recorder.seen.pop("blobs")
    assert bottom.shape == (2, 3)
    Recorder.seen.clear()
    del net
    gc.collect()
    with pytest.raises(RuntimeError, match="net it belongs to is gone"):
        _ = bottom.data


def test_layers_die_with_their_net():
    net = net_with("Power", param_str="1")
    assert len(Power.alive) == 1
    del net
    gc.collect()
    assert len(Power.alive) == 0


def test_errors_keep_their_type_and_traceback():
    net = net_with("Failing")
    with pytest.raises(LookupError, match="own failed") as caught:
        net.forward()
    assert caught.traceback[-1].name == "forward"
    with pytest.raises(NotImplementedError, match="Incomplete has no method 'forward'"):
        net_with("Incomplete").forward()


def test_a_class_says_whether_it_works_in_place(random):
    def net(layer):
        spec = caffe.NetSpec()
        spec.data = L.Input(shape={"dim": [2, 3]})
        spec.own = L.TanH(spec.data)  # whose gradient reads what `layer` writes over
        spec.thrice = L.Python(
            spec.own, module="python_layers", layer=layer, in_place=True
        )
        definition = spec.to_proto()
        definition.force_backward = True
        return caffe.Net(definition, caffe.TRAIN)

    with pytest.raises(ValueError, match=r"'thrice' \(Python\): top\[0\] is bottom"):
        net("Triple")
    data = random.standard_normal((2, 3), dtype=np.float32)
    made = net("TripleInPlace")
    assert_close(made.forward(data=data)["own"], 3 * np.tanh(data), Op.ELEMENTWISE)
    got = made.backward(own=np.ones((2, 3)))["data"]
    assert_close(got, 3 * (1 - np.tanh(data) ** 2), Op.ELEMENTWISE)


@pytest.mark.parametrize("reader", ["itself", "Flatten", "Split"])
@pytest.mark.parametrize("way", ["kept", "freed", "optimised"])
def test_a_layer_finds_its_top_as_it_left_it(way, reader):
    """Although another works in place on it."""
    spec = caffe.NetSpec()
    spec.own, spec.other = L.Python(
        module="python_layers", layer="Filled", param_str="", ntop=2
    )
    bottom = spec.own
    if reader == "Flatten":
        spec.flat = bottom = L.Flatten(bottom)
    if reader == "Split":
        spec.first, spec.second = L.Split(bottom, ntop=2)
        bottom = spec.first
    spec.twice = L.Power(bottom, scale=2, in_place=True)
    phase = caffe.TRAIN if way == "freed" else caffe.TEST
    net = caffe.Net(spec.to_proto(), phase, optimize=way == "optimised")
    if way == "freed":
        net.keep_blobs = False
    for _ in range(3):
        out = net.forward()
        assert (out["other"] == 3).all()
        doubled = {"itself": "own", "Flatten": "flat", "Split": "first"}[reader]
        assert (out[doubled] == 6).all()


def test_a_layer_may_count_in_its_top():
    spec = caffe.NetSpec()
    spec.own = L.Python(module="python_layers", layer="Filled", param_str="counts")
    spec.twice = L.Power(spec.own, scale=2, in_place=True)
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    counts = [net.forward()["own"].flat[0].item() for _ in range(3)]
    assert counts == [8, 10, 12]
    # A caller may give it another shape, and the values for that.
    net.blobs["own"].reshape(4)
    net.blobs["own"].data[...] = 0
    assert (net.forward()["own"] == [2, 2, 2, 2]).all()


def test_missing_backward_is_named():
    net = net_with("Recorder")
    net.forward()
    with pytest.raises(NotImplementedError, match="Recorder has no method 'backward'"):
        net.backward()
    Recorder.seen.clear()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"layer": "Missing"},
            r"^layer 'own' \(Python\): cannot load class 'Missing' of module "
            "'python_layers'",
        ),
        (
            {"layer": "NoLayer"},
            r"^layer 'own' \(Python\): 'NoLayer' .*not a class derived from",
        ),
        ({"layer": "np"}, "'own'.*'np'.*not a class derived"),
    ],
)
def test_classes_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        net_with(**arguments)


def test_modules_that_are_missing():
    layer = L.Python(L.Input(shape={"dim": [1]}), module="no_such_module", layer="X")
    with pytest.raises(ValueError, match=r"no_such_module.*PYTHONPATH") as caught:
        caffe.Net(caffe.to_proto(layer), caffe.TEST)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    layer = L.Python(L.Input(shape={"dim": [1]}), layer="X")
    with pytest.raises(ValueError, match=r"\(Python\): python_param needs `module`"):
        caffe.Net(caffe.to_proto(layer), caffe.TEST)
