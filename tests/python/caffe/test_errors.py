"""Wrong input: an exception that says what and where, and an interpreter that lives."""

from __future__ import annotations

import nets
import pytest
from google.protobuf import text_format

import caffe


def test_missing_files(tmp_path, write_proto):
    with pytest.raises(OSError, match=r"none\.prototxt"):
        caffe.Net(tmp_path / "none.prototxt", caffe.TEST)
    model = write_proto(nets.linear())
    with pytest.raises(OSError, match=r"none\.caffemodel"):
        caffe.Net(model, caffe.TEST, weights=tmp_path / "none.caffemodel")
    net = caffe.Net(model, caffe.TEST)
    with pytest.raises(OSError, match=r"none\.h5"):
        net.load_hdf5(tmp_path / "none.h5")
    with pytest.raises(OSError, match="no_such_folder"):
        net.save(tmp_path / "no_such_folder" / "w.caffemodel")


def test_text_errors_have_a_position(write_proto):
    path = write_proto('layer { name: "a"\n  tipe: "Input" }')
    with pytest.raises(ValueError, match=r"net\.prototxt:2:\d+.*tipe"):
        caffe.Net(path, caffe.TEST)


def test_unknown_layer_types_name_the_closest(write_proto):
    path = write_proto('layer { name: "a" type: "Convolutoin" top: "a" }')
    with pytest.raises(ValueError, match=r"'a'.*'Convolutoin'.*'Convolution'"):
        caffe.Net(path, caffe.TEST)


def test_unknown_bottoms(write_proto):
    path = write_proto('layer { name: "r" type: "ReLU" bottom: "data" top: "r" }')
    with pytest.raises(ValueError, match=r"'r'.*'data'"):
        caffe.Net(path, caffe.TEST)


def test_a_failed_check_in_a_layer_is_a_value_error():
    definition = nets.linear()
    definition.layer[1].ClearField("inner_product_param")
    with pytest.raises(ValueError, match="'fc'"):
        caffe.Net(definition, caffe.TEST)


def test_a_layer_is_named_though_another_thing_has_its_name():
    definition = nets.linear()
    definition.layer[1].name = "gauss"
    definition.layer[1].inner_product_param.weight_filler.type = "gauss"
    with pytest.raises(ValueError, match=r"^layer 'gauss' \(InnerProduct\): .*'gauss'"):
        caffe.Net(definition, caffe.TEST)


def test_a_wrong_axis_is_told_with_the_shape_and_the_range():
    definition = nets.linear()
    definition.layer[1].inner_product_param.axis = 7
    expected = (
        r"^layer 'fc' \(InnerProduct\): axis 7 of shape \(.+\), expected -\d to \d$"
    )
    with pytest.raises(ValueError, match=expected):
        caffe.Net(definition, caffe.TEST)


def test_truncated_weights(tmp_path):
    net = caffe.Net(nets.linear(), caffe.TEST)
    path = tmp_path / "w.caffemodel"
    net.save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(OSError, match=r"w\.caffemodel"):
        net.copy_from(path)


def test_gpus_are_refused_by_a_build_without():
    for use in (caffe.set_mode_gpu, lambda: caffe.set_device(0)):
        with pytest.raises(
            RuntimeError, match="no GPU support; to run on the CPU, leave"
        ):
            use()
    assert caffe.Net(nets.linear(), caffe.TEST).forward()["prob"].shape == (2, 3)
    assert not caffe.has_nccl()


def test_missing_plugins(tmp_path):
    with pytest.raises(OSError, match=r"libnone\.so"):
        caffe.load_plugin(tmp_path / "libnone.so")
    (tmp_path / "text.so").write_text("no library")
    with pytest.raises(OSError, match=r"text\.so"):
        caffe.load_plugin(tmp_path / "text.so")


def test_the_engine_goes_on_after_an_error():
    net = caffe.Net(nets.linear(), caffe.TEST)
    for _ in range(3):
        net.blobs["data"].reshape(2, 9)
        with pytest.raises(ValueError, match="'fc'"):
            net.forward()
        net.blobs["data"].reshape(2, 4)
        net.forward()


def test_types_are_checked(write_proto):
    with pytest.raises(TypeError):
        caffe.Net(3, caffe.TEST)
    net = caffe.Net(nets.linear(), caffe.TEST)
    with pytest.raises(TypeError):
        net.before_forward("no function")
    with pytest.raises(ValueError, match="layer"):
        net._forward(0, 99)
    with pytest.raises(ValueError, match="layer"):
        net._forward(-1, 0)


def test_unfinished_objects_are_harmless():
    from caffe import _caffe

    with pytest.raises(TypeError):
        _caffe.Net()

    class NoInit(caffe.Net):
        def __init__(self):
            pass

    with pytest.raises(AttributeError):
        NoInit().forward()


def test_layer_types_and_version():
    types = caffe.layer_type_list()
    assert types == sorted(types)
    assert {"Convolution", "CuDNNBatchNorm", "Axpy", "Python"} <= set(types)
    assert caffe.__version__.count(".") == 2
    assert "Net" in dir(caffe)
    with pytest.raises(AttributeError, match="no attribute 'Nett'"):
        _ = caffe.Nett


def test_seeds_repeat_fillers():
    def weights():
        caffe.set_random_seed(5)
        return caffe.Net(nets.linear(), caffe.TEST).params["fc"][0].data

    assert (weights() == weights()).all()


def test_log(capfd):
    caffe.log("a line")
    line = capfd.readouterr().err
    assert line.startswith("I")
    assert "test_errors.py:" in line
    assert line.endswith("] a line\n")
    caffe.init_log(1)
    caffe.log("hidden")
    caffe.init_log(0)
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="log level"):
        caffe.init_log(9)


def test_nets_from_messages_and_files_are_one(write_proto):
    definition = nets.convolutional()
    path = write_proto(text_format.MessageToString(definition))
    from_file = caffe.Net(path, caffe.TEST)
    from_message = caffe.Net(definition, caffe.TEST)
    assert from_file.top_names == from_message.top_names
