"""caffe.Net: building, filling, running, saving."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections import OrderedDict
from pathlib import Path

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe import layers as L
from caffe.cli.commands import main
from caffe.proto import caffe_pb2


@pytest.fixture
def linear(write_proto):
    return caffe.Net(write_proto(nets.linear()), caffe.TEST)


def scores(net, data):
    """The definition of the fully connected layer, in double."""
    weight, bias = (blob.data.astype(np.float64) for blob in net.params["fc"])
    return data @ weight.T + bias


def softmax(values):
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class TestConstructor:
    @pytest.fixture
    def files(self, write_proto, tmp_path):
        model = write_proto(nets.linear())
        weights = tmp_path / "w.caffemodel"
        caffe.Net(model, caffe.TEST).save(weights)
        return model, weights

    def test_all_forms(self, files):
        model, weights = files
        made = [
            caffe.Net(str(model), str(weights), caffe.TEST),
            caffe.Net(model, weights, caffe.TEST),
            caffe.Net(model, weights, phase=caffe.TEST),
            caffe.Net(str(model), caffe.TEST, weights=str(weights)),
            caffe.Net(model, caffe.TEST, 0, [], weights),
            caffe.Net(network_file=model, phase=caffe.TEST, weights=weights),
            caffe.Net(model, phase=caffe.TEST, level=0, stages=None, weights=[weights]),
            caffe.Net(nets.linear(), caffe.TEST, weights=weights),
        ]
        want = made[0].params["fc"][0].data
        for net in made:
            assert_close(net.params["fc"][0].data, want, Op.COPY)
            assert net.phase == caffe.TEST

    def test_phase_is_needed(self, files):
        with pytest.raises(TypeError, match="phase"):
            caffe.Net(files[0])
        with pytest.raises(TypeError, match="phase"):
            caffe.Net(*files)

    def test_rules_of_phase_level_and_stage(self, write_proto):
        spec = caffe.NetSpec()
        spec.data = L.Input(shape={"dim": [1]})
        spec.train = L.ReLU(spec.data, include={"phase": caffe.TRAIN})
        spec.deep = L.ReLU(spec.data, include={"min_level": 2})
        spec.staged = L.ReLU(spec.data, include={"stage": "deploy"})
        model = write_proto(spec.to_proto())

        def layers(*args, **kwargs):
            names = caffe.Net(model, *args, **kwargs).layer_dict
            return {name for name in names if "split" not in name} - {"data"}

        assert layers(caffe.TRAIN) == {"train"}
        assert layers(caffe.TEST, level=2) == {"deep"}
        assert layers(caffe.TEST, 0, ["deploy"]) == {"staged"}
        assert layers(caffe.TRAIN, level=3, stages=["deploy", "other"]) == {
            *("train", "deep", "staged")
        }

    def test_later_weights_win(self, files, tmp_path):
        model, weights = files
        other = caffe.Net(model, caffe.TEST)
        other.params["fc"][0].data[...] = 5
        other.save(tmp_path / "other.caffemodel")
        net = caffe.Net(
            model, caffe.TEST, weights=[weights, tmp_path / "other.caffemodel"]
        )
        assert (net.params["fc"][0].data == 5).all()


class TestStructure:
    def test_names(self, linear):
        assert linear.name == "linear"
        assert linear.inputs == ["data"]
        assert linear.outputs == ["prob"]
        assert list(linear.blobs) == ["data", "fc", "prob"]
        assert isinstance(linear.blobs, OrderedDict)
        assert linear._blob_names == ["data", "fc", "prob"]
        assert linear._layer_names == ["data", "fc", "prob"]
        assert linear.top_names == OrderedDict(data=["data"], fc=["fc"], prob=["prob"])
        assert linear.bottom_names == OrderedDict(data=[], fc=["data"], prob=["fc"])
        assert "linear" in repr(linear)

    def test_unknown_names_are_told_the_closest(self, linear):
        for mapping, problem in (
            (linear.blobs, "no blob"),
            (linear.blob_loss_weights, "no blob"),
            (linear.params, "no layer with learned blobs"),
            (linear.layer_dict, "no layer"),
            (linear.top_names, "no layer"),
            (linear.bottom_names, "no layer"),
        ):
            name = next(iter(mapping))
            with pytest.raises(KeyError) as caught:
                mapping[f"{name}{name[-1]}"]
            wrong = "fcc" if name == "fc" else "dataa"
            close = f"; the closest is '{name}'" if name != "fc" else ""
            close = close or "; there is only 'fc'"
            assert str(caught.value) == f"net 'linear': {problem} '{wrong}'{close}"
            with pytest.raises(KeyError, match="0, expected a name"):
                mapping[0]
            assert "nope" not in mapping
            assert mapping.get("nope") is None
            assert dict(mapping.copy()) == dict(mapping)

    def test_layers_and_parameters(self, linear):
        assert [layer.type for layer in linear.layers] == [
            "Input",
            "InnerProduct",
            "Softmax",
        ]
        assert list(linear.layer_dict) == ["data", "fc", "prob"]
        assert linear.layer_dict["fc"].name == "fc"
        assert list(linear.params) == ["fc"]
        weight, bias = linear.params["fc"]
        assert (weight.shape, bias.shape) == ((3, 4), (3,))
        assert len(linear.layers[1].blobs) == 2
        assert (linear.layers[1].blobs[-1].data == bias.data).all()
        with pytest.raises(IndexError, match="2 blobs"):
            linear.params["fc"][2]

    def test_blobs(self, linear):
        blob = linear.blobs["data"]
        assert (blob.count, blob.num, blob.channels, blob.height, blob.width) == (
            *(8, 2, 4, 1, 1),
        )
        assert "(2, 4)" in repr(blob)

    def test_loss_weights(self):
        net = caffe.Net(nets.regression(), caffe.TRAIN)
        assert net.blob_loss_weights["loss"] == 1
        assert net.blob_loss_weights["fc"] == 0


class TestForward:
    def test_computes(self, linear, random):
        data = random.standard_normal((2, 4), dtype=np.float32)
        linear.blobs["data"].data[...] = data
        out = linear.forward()
        assert list(out) == ["prob"]
        want = softmax(scores(linear, data))
        assert_close(out["prob"], want, Op.TRANSCENDENTAL)

    def test_takes_inputs_and_returns_other_blobs(self, linear, random):
        data = random.standard_normal((2, 4), dtype=np.float32)
        out = linear.forward(blobs=["fc", "prob"], data=data)
        assert list(out) == ["prob", "fc"]
        assert_close(out["fc"], scores(linear, data), Op.REDUCTION, terms=4)

    def test_runs_a_part(self, linear, random):
        data = random.standard_normal((2, 4), dtype=np.float32)
        assert list(linear.forward(end="fc", data=data)) == ["fc"]
        assert (linear.blobs["prob"].data == 0).all()
        linear.blobs["fc"].data[...] = 0
        out = linear.forward(start="prob")
        assert_close(out["prob"], np.full((2, 3), 1 / 3), Op.TRANSCENDENTAL)

    def test_refuses_wrong_arguments(self, linear):
        with pytest.raises(ValueError, match="'date', expected them for 'data'"):
            linear.forward(date=np.zeros((2, 4)))
        with pytest.raises(ValueError, match=r"shape \(3, 4\), expected \(2, 4\)"):
            linear.forward(data=np.zeros((3, 4)))
        with pytest.raises(ValueError, match=r"shape \(2, 5\), expected \(2, 4\)"):
            linear.forward(data=np.zeros((2, 5)))
        with pytest.raises(ValueError, match="no layer 'fd'; there are 'data'"):
            linear.forward(end="fd")
        with pytest.raises(ValueError, match="no blob 'pro'; the closest is 'prob'"):
            linear.forward(blobs=["pro"])

    def test_a_wrong_shape_is_named_with_its_cure(self):
        net = caffe.Net(nets.convolutional(), caffe.TEST)
        who = "net 'convolutional', blob 'data': array has shape"
        reshape = "; to run this shape, call net.blobs['data'].reshape"
        for shape, cure in (
            ((2, 3, 20, 12), f"{reshape}(2, 3, 20, 12) first"),
            ((2, 3, 16, 15), f"{reshape}(2, 3, 16, 15) first"),
            (
                (5, 3, 16, 16),
                f"{reshape}(5, 3, 16, 16) first, or forward_all(), which takes any "
                "number",
            ),
            ((2, 16, 16, 3), "; transpose it, as caffe.io.Transformer does"),
            ((3, 16, 16), ""),
        ):
            with pytest.raises(ValueError, match="array has shape") as caught:
                net.forward(data=np.zeros(shape))
            assert str(caught.value) == f"{who} {shape}, expected (2, 3, 16, 16){cure}"
        # What the cure says helps.
        net.blobs["data"].reshape(2, 3, 20, 12)
        assert net.forward(data=np.zeros((2, 3, 20, 12)))["pool"].shape[0] == 2

    def test_an_array_that_numpy_repeats_fills_a_blob(self, random):
        net = caffe.Net(nets.convolutional(), caffe.TEST)
        means = random.standard_normal((2, 3, 1, 1), dtype=np.float32)
        once = net.forward(data=means)["pool"].copy()
        whole = net.forward(data=means + np.zeros((2, 3, 16, 16), np.float32))["pool"]
        assert_close(once, whole, Op.COPY)

    def test_all_of_many_inputs(self, linear, random):
        data = random.standard_normal((5, 4), dtype=np.float32)
        out = linear.forward_all(blobs=["fc"], data=data)
        assert_close(out["fc"], scores(linear, data), Op.REDUCTION, terms=4)
        assert out["prob"].shape == (5, 3)
        with pytest.raises(ValueError, match="at least one array"):
            linear.forward_all()

    def test_all_needs_one_batch_size(self):
        two = caffe_pb2.NetParameter(name="two")
        for name, size in (("image", 2), ("box", 3)):
            layer = two.layer.add(name=name, type="Input", top=[name])
            layer.input_param.shape.add(dim=[size, 1])
        net = caffe.Net(two, caffe.TEST)
        with pytest.raises(
            ValueError,
            match=r"net 'two': .*'image': \(2, 1\), 'box': \(3, 1\)\}, expected one "
            r"batch size .*; run batch by batch",
        ):
            net.forward_all(image=np.zeros((6, 1)), box=np.zeros((6, 1)))
        loss = caffe.Net(nets.regression(batch=4), caffe.TRAIN)
        inputs = {"data": np.zeros((8, 4)), "target": np.zeros((8, 3))}
        with pytest.raises(
            ValueError, match=r"'loss': \(\)\}, expected one batch size"
        ):
            loss.forward_backward_all(**inputs, loss=np.ones(8))

    def test_all_with_losses_gives_one_per_batch(self, random):
        net = caffe.Net(nets.regression(batch=4), caffe.TRAIN)
        inputs = {
            "data": random.standard_normal((8, 4), dtype=np.float32),
            "target": random.standard_normal((8, 3), dtype=np.float32),
        }
        losses = net.forward_all(**inputs)["loss"]
        error = inputs["data"] @ net.params["fc"][0].data.T - inputs["target"]
        want = (error.astype(np.float64) ** 2).reshape(2, -1).sum(axis=1) / 2 / 4
        assert_close(losses, want, Op.REDUCTION, terms=4 * 12)


class TestBackward:
    @pytest.fixture
    def net(self):
        return caffe.Net(nets.linear(force_backward=True), caffe.TRAIN)

    def test_computes(self, net, random):
        data = random.standard_normal((2, 4), dtype=np.float32)
        gradient = random.standard_normal((2, 3), dtype=np.float32)
        prob = net.forward(data=data)["prob"].astype(np.float64)
        got = net.backward(diffs=["fc"], prob=gradient)
        of_scores = prob * (gradient - (gradient * prob).sum(axis=1, keepdims=True))
        weight = net.params["fc"][0].data
        assert list(got) == ["data", "fc"]
        assert_close(got["fc"], of_scores, Op.REDUCTION, terms=16)
        assert_close(got["data"], of_scores @ weight, Op.REDUCTION, terms=16)
        of_weight = of_scores.T @ data
        assert_close(net.params["fc"][0].diff, of_weight, Op.REDUCTION, terms=16)
        net.clear_param_diffs()
        assert (net.params["fc"][0].diff == 0).all()

    def test_runs_a_part(self, net):
        net.forward()
        net.blobs["fc"].diff[...] = 1
        got = net.backward(start="fc", end="fc")
        assert list(got) == ["data"]
        want = np.tile(net.params["fc"][0].data.sum(axis=0), (2, 1))
        assert_close(got["data"], want, Op.REDUCTION, terms=3)

    def test_refuses_wrong_arguments(self, net):
        net.forward()
        with pytest.raises(ValueError, match="'data', expected them for 'prob'"):
            net.backward(data=np.zeros((2, 4)))
        with pytest.raises(ValueError, match=r"shape \(1, 3\), expected \(2, 3\)"):
            net.backward(prob=np.zeros((1, 3)))

    def test_all(self, net, random):
        data = random.standard_normal((5, 4), dtype=np.float32)
        gradient = random.standard_normal((5, 3), dtype=np.float32)
        values, gradients = net.forward_backward_all(
            blobs=["fc"], diffs=["fc"], data=data, prob=gradient
        )
        assert set(values) == {"prob", "fc"}
        prob = softmax(scores(net, data))
        of_scores = prob * (gradient - (gradient * prob).sum(axis=1, keepdims=True))
        assert_close(gradients["fc"], of_scores, Op.REDUCTION, terms=16)
        assert gradients["data"].shape == (5, 4)


class TestKeepBlobs:
    @pytest.fixture
    def message(self):
        message = nets.convolutional()
        message.force_backward = True
        return message

    def test_frees_blobs_and_changes_no_result(self, message, random):
        data = random.standard_normal((2, 3, 16, 16))
        gradients = []
        for keep in (True, False):
            caffe.set_random_seed(1)
            net = caffe.Net(message, caffe.TRAIN)
            assert net.keep_blobs
            net.keep_blobs = keep
            net.blobs["data"].data[...] = data
            net.forward()
            net.backward(pool=np.ones((2, 16, 1, 1)))
            gradients.append(net.params["conv1"][0].diff.copy())
        assert np.array_equal(*gradients)
        assert np.abs(gradients[0]).max() > 0
        for half in ("data", "diff"):
            with pytest.raises(
                RuntimeError, match=f"{half} of blob 'conv2'.*keep_blobs"
            ):
                getattr(net.blobs["conv2"], half)
        with pytest.raises(RuntimeError, match="not kept"):
            net.backward()
        net.keep_blobs = True
        net.forward()
        assert net.blobs["conv2"].data.any()

    def test_an_array_that_is_held_stays(self, message, random):
        net = caffe.Net(message, caffe.TRAIN)
        net.keep_blobs = False
        held = net.blobs["conv2"].data
        net.blobs["data"].data[...] = random.standard_normal((2, 3, 16, 16))
        net.forward()
        net.backward()
        assert held.any()

    def test_callbacks_see_blobs(self, message):
        net = caffe.Net(message, caffe.TRAIN)
        net.keep_blobs = False
        seen = []
        net.before_backward(lambda layer: seen.append(net.blobs["conv1"].data.sum()))
        net.forward()
        net.backward()
        assert len(seen) == len(net.layers)


class TestPrecision:
    def test_is_float32_unless_chosen(self):
        message = nets.convolutional()
        assert caffe.Net(message, caffe.TEST).precision == "float32"
        message.precision = caffe_pb2.NetParameter.BF16
        net = caffe.Net(message, caffe.TEST)
        assert net.precision == "bf16"
        net.precision = "float32"
        assert net.precision == "float32"
        with pytest.raises(ValueError, match="got 'half', expected float32 or bf16"):
            net.precision = "half"

    @pytest.mark.parametrize("precision", ["fp16", "tf32"])
    def test_a_cpu_refuses_what_is_for_gpus(self, precision):
        net = caffe.Net(nets.convolutional(), caffe.TEST)
        net.precision = precision
        message = f"{precision.upper()} is for GPUs, .* CPU, which has FLOAT32 and BF16"
        with pytest.raises(ValueError, match=message):
            net.forward()
        net.precision = "bf16"
        net.forward()

    @pytest.mark.parametrize("optimize", [False, True])
    def test_rounds_operands_and_can_be_changed(self, random, optimize):
        caffe.set_random_seed(1)
        net = caffe.Net(nets.convolutional(), caffe.TEST, optimize=optimize)
        net.blobs["data"].data[...] = random.standard_normal((2, 3, 16, 16))
        outputs = []
        for precision in ("float32", "bf16", "float32"):
            net.precision = precision
            outputs.append(net.forward()["pool"].copy())
        assert np.array_equal(outputs[0], outputs[2])
        assert_close(outputs[1], outputs[0], Op.BFLOAT16)

    def test_a_cpu_without_it_computes_in_float32_and_says_so(self, tmp_path):
        program = tmp_path / "program.py"
        program.write_text(
            "import nets, numpy, caffe\n"
            "caffe.set_random_seed(1)\n"
            "net = caffe.Net(nets.convolutional(), caffe.TEST)\n"
            "net.blobs['data'].data[...] = numpy.linspace(-1, 1, 1536).reshape("
            "2, 3, 16, 16)\n"
            "first = net.forward()['pool'].copy()\n"
            "net.precision = 'bf16'\n"
            "assert numpy.array_equal(net.forward()['pool'], first)\n"
        )
        environment = {
            **os.environ,
            "DNNL_MAX_CPU_ISA": "AVX512_CORE",
            "PYTHONPATH": str(Path(nets.__file__).parent),
        }
        run = subprocess.run(
            [sys.executable, program], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        assert run.stderr.count("precision BF16 has no effect") == 1


class TestReshape:
    def test_blob_and_net(self, linear):
        linear.blobs["data"].reshape(5, 4)
        linear.reshape()
        assert linear.blobs["prob"].shape == (5, 3)
        assert linear.forward()["prob"].shape == (5, 3)
        linear.blobs["data"].reshape((1, 4))
        assert linear.forward()["prob"].shape == (1, 3)

    def test_shapes_that_do_not_fit(self, linear):
        linear.blobs["data"].reshape(2, 5)
        with pytest.raises(ValueError, match="'fc'"):
            linear.reshape()
        with pytest.raises(ValueError, match="-1"):
            linear.blobs["data"].reshape(-1, 5)


class TestWeights:
    @pytest.mark.parametrize("binary", [True, False])
    def test_save_and_load(self, linear, tmp_path, binary):
        path = tmp_path / ("w.caffemodel" if binary else "w.caffemodel.h5")
        (linear.save if binary else linear.save_hdf5)(path)
        net = caffe.Net(nets.linear(), caffe.TEST)
        (net.copy_from if binary else net.load_hdf5)(path)
        for got, want in zip(net.params["fc"], linear.params["fc"], strict=True):
            assert_close(got.data, want.data, Op.COPY)
        other = caffe.Net(nets.linear(), str(path), caffe.TEST)
        assert_close(other.params["fc"][0].data, linear.params["fc"][0].data, Op.COPY)

    def test_saved_files_are_messages(self, linear, tmp_path):
        linear.params["fc"][0].diff[...] = 3
        linear.save(tmp_path / "w.caffemodel", write_diff=True)
        message = caffe_pb2.NetParameter.FromString(
            (tmp_path / "w.caffemodel").read_bytes()
        )
        (layer,) = [layer for layer in message.layer if layer.name == "fc"]
        stored = caffe.io.blobproto_to_array(layer.blobs[0])
        assert_close(stored, linear.params["fc"][0].data, Op.COPY)
        assert set(layer.blobs[0].diff) == {3}
        assert linear.to_proto(write_diff=True) == message
        assert not linear.to_proto().layer[1].blobs[0].diff

    def test_share(self, linear):
        net = caffe.Net(nets.linear(), caffe.TEST)
        net.share_with(linear)
        linear.params["fc"][0].data[...] = 7
        assert (net.params["fc"][0].data == 7).all()

    def test_other_shapes_are_refused(self, linear, tmp_path):
        linear.save(tmp_path / "w.caffemodel")
        definition = nets.linear()
        definition.layer[1].inner_product_param.num_output = 5
        with pytest.raises(ValueError, match=r"'fc'.*3.*4.*5.*4"):
            caffe.Net(definition, caffe.TEST, weights=tmp_path / "w.caffemodel")


def test_memory_data(random):
    spec = caffe.NetSpec()
    spec.data, spec.label = L.MemoryData(
        batch_size=2, channels=1, height=2, width=3, ntop=2
    )
    net = caffe.Net(spec.to_proto(), caffe.TEST)
    images = random.random((4, 1, 2, 3))  # of double: they are converted
    net.set_input_arrays(images, np.arange(4))
    for start in (0, 2, 0):
        out = net.forward()
        assert_close(out["data"], images[start : start + 2], Op.ELEMENTWISE)
        assert out["label"].ravel().tolist() == [start, start + 1]
    with pytest.raises(ValueError, match="2 labels, expected 4"):
        net.set_input_arrays(images, np.arange(2))
    with pytest.raises(ValueError, match="multiple of the batch size, 2"):
        net.set_input_arrays(images[:3], np.arange(3))
    with pytest.raises(
        ValueError, match=r"shape \(4, 2, 1, 3\), expected \(N, 1, 2, 3\)"
    ):
        net.set_input_arrays(images.reshape(4, 2, 1, 3), np.arange(4))


def test_set_input_arrays_needs_memory_data(linear):
    with pytest.raises(ValueError, match="MemoryData"):
        linear.set_input_arrays(np.zeros((2, 1, 1, 1)), np.zeros(2))


class TestCallbacks:
    def test_are_called_around_layers(self):
        net = caffe.Net(nets.regression(), caffe.TRAIN)
        calls = []
        for moment in (
            *("before_forward", "after_forward", "before_backward", "after_backward"),
        ):
            getattr(net, moment)(
                lambda layer, moment=moment: calls.append((moment, layer))
            )
        net.forward()
        count = len(net.layers)
        assert calls == [
            (moment, layer)
            for layer in range(count)
            for moment in ("before_forward", "after_forward")
        ]
        calls.clear()
        net.backward()
        assert calls == [
            (moment, layer)
            for layer in reversed(range(count))
            for moment in ("before_backward", "after_backward")
        ]

    def test_see_and_change_blobs(self, linear, random):
        index = linear._layer_names.index("fc")
        view = linear.blobs["fc"].data

        def halve(layer):
            if layer == index:
                seen.append(view.copy())
                view[...] = 0

        seen = []
        linear.after_forward(halve)
        data = random.standard_normal((2, 4), dtype=np.float32)
        out = linear.forward(data=data)
        assert_close(seen[0], scores(linear, data), Op.REDUCTION, terms=4)
        assert_close(out["prob"], np.full((2, 3), 1 / 3), Op.TRANSCENDENTAL)

    def test_do_not_keep_the_net_alive(self):
        net = caffe.Net(nets.linear(), caffe.TEST)
        for moment in ("before_forward", "after_backward"):
            getattr(net, moment)(lambda layer, net=net: net)
        net.forward()
        gone = weakref.ref(net)
        del net
        gc.collect()
        assert gone() is None

    def test_raise(self, linear):
        def fail(layer):
            raise LookupError(f"layer {layer}")

        linear.before_forward(fail)
        with pytest.raises(LookupError, match="layer 0"):
            linear.forward()


def test_paths_may_be_path_objects(linear, tmp_path):
    path = Path(tmp_path) / "w.caffemodel"
    linear.save(path)
    linear.copy_from(path)
    linear.copy_from(str(path))


NORMALIZED = """
name: "normalized"
layer { name: "x" type: "Input" top: "x"
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "msra" } } }
layer { name: "bn" type: "CuDNNBatchNorm" bottom: "c" top: "bn" }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 2 dim: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "y" top: "loss" }
"""


def test_schedule(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(NORMALIZED)
    net = caffe.Net(str(path), caffe.TRAIN)
    layers = [step.layers for step in net.schedule().steps]
    assert net.schedule().policy == "training"
    assert layers == [("x",), ("c",), ("bn", "relu"), ("fc",), ("y",), ("loss",)]
    assert not any(step.frees_after_backward for step in net.schedule().steps)
    net.keep_blobs = False
    by_layers = {step.layers: step for step in net.schedule().steps}
    # What the norm reads is its input; the next layer's is computed from it again.
    assert by_layers[("bn", "relu")].frees_after_backward == ("c",)
    assert by_layers[("fc",)].frees_after_forward == ("bn",)
    assert by_layers[("fc",)].recomputes_before_backward == ("bn",)
    assert by_layers[("c",)].frees_gradients == ("c",)
    assert "recompute before Backward: bn" in str(net.schedule())
    net.after_forward(lambda layer: None)
    assert net.schedule().policy == "plain"
    assert [step.layers for step in net.schedule().steps] == [
        (name,) for name in ("x", "c", "bn", "relu", "fc", "y", "loss")
    ]
    inference = caffe.Net(str(path), caffe.TEST, optimize=True).schedule()
    assert inference.policy == "inference"
    assert ("c", "bn", "relu") in [step.layers for step in inference.steps]


def test_time_prints_the_schedule(tmp_path, capfd):
    path = tmp_path / "net.prototxt"
    path.write_text(NORMALIZED)
    command = ["time", "-model", str(path), "-iterations", "1", "-schedule"]
    assert main(command) == 0
    log = capfd.readouterr().err
    assert "policy training: 7 layers in 6 steps" in log
    assert "2: bn + relu (CuDNNBatchNorm)" in log
    assert "recompute before Backward: bn" in log
    assert main([*command, "-phase", "TEST"]) == 0
    log = capfd.readouterr().err
    assert "policy inference: 7 layers in 5 steps" in log
    assert "1: c + bn + relu (Convolution)" in log
    assert "Average Forward pass" in log
