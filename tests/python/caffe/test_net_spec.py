"""Nets written with NetSpec against the prototxt that Caffe's users expect."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import param_name_dict
from caffe.proto import caffe_pb2


def parsed(text):
    return text_format.Parse(text, caffe_pb2.NetParameter())


def lenet(net):
    net.data, net.label = L.DummyData(
        shape=[{"dim": [64, 1, 28, 28]}, {"dim": [64, 1, 1, 1]}],
        transform_param={"scale": 1 / 255},
        ntop=2,
    )
    net.conv1 = L.Convolution(
        net.data, kernel_size=5, num_output=20, weight_filler={"type": "xavier"}
    )
    net.pool1 = L.Pooling(net.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    net.ip1 = L.InnerProduct(
        net.pool1, num_output=10, param=[{"lr_mult": 1}, {"lr_mult": 2}]
    )
    net.relu1 = L.ReLU(net.ip1, in_place=True)
    net.loss = L.SoftmaxWithLoss(net.relu1, net.label)
    return net


LENET = """
layer { name: "data" type: "DummyData" top: "data" top: "label"
  transform_param { scale: 0.00392156862745098 }
  dummy_data_param {
    shape { dim: 64 dim: 1 dim: 28 dim: 28 } shape { dim: 64 dim: 1 dim: 1 dim: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1"
  param { lr_mult: 1 } param { lr_mult: 2 } inner_product_param { num_output: 10 } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip1" bottom: "label" top: "loss" }
"""


def test_a_net_becomes_its_prototxt():
    assert lenet(caffe.NetSpec()).to_proto() == parsed(LENET)


def test_text_round_trip():
    net = lenet(caffe.NetSpec()).to_proto()
    assert parsed(text_format.MessageToString(net)) == net
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


def test_automatic_names_count_by_type():
    data = L.Input(shape={"dim": [1, 3]})
    first = L.InnerProduct(data, num_output=2)
    second = L.InnerProduct(L.ReLU(first, in_place=True), num_output=4)
    net = caffe.to_proto(L.Concat(first, second))
    assert [layer.name for layer in net.layer] == [
        "Input1",
        "InnerProduct1",
        "ReLU1",
        "InnerProduct2",
        "Concat1",
    ]
    assert list(net.layer[2].top) == ["InnerProduct1"]
    assert list(net.layer[4].bottom) == ["InnerProduct1", "InnerProduct2"]
    assert data.to_proto() == caffe.to_proto(data)


def test_layers_come_in_the_order_they_were_assigned_in():
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [1]})
    net["a/b"] = L.ReLU(net.data)
    net.c = L.ReLU(net.data)
    assert [layer.name for layer in net.to_proto().layer] == ["data", "a/b", "c"]
    assert net["a/b"] is net.tops["a/b"]


def test_a_name_argument_wins_over_the_attribute():
    net = caffe.NetSpec()
    net.data, net.label = L.Input(
        name="input", ntop=2, shape=[{"dim": [2]}, {"dim": [3]}]
    )
    (layer,) = net.to_proto().layer
    assert layer.name == "input"
    assert list(layer.top) == ["data", "label"]


def test_layers_without_tops():
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [1]})
    net.sink = L.Silence(net.data, ntop=0)
    layer = net.to_proto().layer[1]
    assert (layer.name, layer.type, list(layer.top)) == ("sink", "Silence", [])


def test_in_place_with_several_bottoms_writes_to_the_first():
    x, factor = L.Input(ntop=2, shape=[{"dim": [2, 3]}, {"dim": [2]}])
    layer = caffe.to_proto(L.Scale(x, factor, axis=0, in_place=True)).layer[1]
    assert list(layer.top) == [layer.bottom[0]]


def test_deleted_names_leave_the_net_unless_needed():
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [1]})
    net.a = L.ReLU(net.data)
    net.b = L.ReLU(net.a)
    del net.a
    del net["b"]
    assert [layer.name for layer in net.to_proto().layer] == ["data"]
    net.c = L.ReLU(L.ReLU(net.data))
    assert [layer.type for layer in net.to_proto().layer] == ["Input", "ReLU", "ReLU"]


def test_nets_deeper_than_the_call_stack():
    top = L.Input(shape={"dim": [1]})
    depth = 5000
    for _ in range(depth):
        top = L.ReLU(top)
    assert len(caffe.to_proto(top).layer) == depth + 1


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        (lambda x: L.Deconvolution(x, num_output=3), "convolution_param"),
        (lambda x: L.DepthwiseConvolution(x, num_output=3), "convolution_param"),
        (lambda x: L.FocalLoss(x, ignore_label=3), "loss_param"),
        (lambda x: L.SoftmaxWithLoss(x, x, ignore_label=3), "loss_param"),
        (lambda x: L.SoftmaxWithLoss(x, x, axis=2), "softmax_param"),
        (lambda x: L.SigmoidCrossEntropyLoss(x, x, normalize=True), "loss_param"),
        (lambda x: L.CuDNNBatchNorm(x, momentum=0.95), "cudnn_batch_norm_param"),
        (lambda x: L.LRN(x, local_size=3), "lrn_param"),
        (lambda x: L.ELU(x, alpha=2), "elu_param"),
    ],
)
def test_parameters_find_their_message(layer, field):
    x = L.Input(shape={"dim": [1]})
    message = caffe.to_proto(layer(x)).layer[1]
    assert {name.name for name, _ in message.ListFields()} == {
        *("name", "type", "bottom", "top"),
        field,
    }


def test_plain_values_become_fields():
    layer = caffe.to_proto(
        L.Convolution(
            L.Input(),
            num_output=np.int64(3),
            pad=np.array([1, 2]),
            kernel_size=(3, 5),
            engine="CAFFE",
            weight_filler=caffe_pb2.FillerParameter(type="msra"),
            loss_weight=0.5,
            include={"phase": "TRAIN", "stage": "x"},
            propagate_down=[False],
        )
    ).layer[1]
    expected = """
      name: "Convolution1" type: "Convolution" bottom: "Input1" top: "Convolution1"
      loss_weight: 0.5 propagate_down: false include { phase: TRAIN stage: "x" }
      convolution_param { num_output: 3 pad: 1 pad: 2 kernel_size: 3 kernel_size: 5
        engine: CAFFE weight_filler { type: "msra" } }
    """
    assert layer == text_format.Parse(expected, caffe_pb2.LayerParameter())


def test_an_empty_dict_is_a_message_that_is_present():
    layer = caffe.to_proto(L.Dropout(L.Input(), dropout_param={})).layer[1]
    assert layer.HasField("dropout_param")


def test_enums_are_numbers():
    assert P.Pooling.AVE == caffe_pb2.PoolingParameter.AVE
    assert P.Data.LMDB == caffe_pb2.DataParameter.LMDB
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)


def test_every_parameter_message_is_listed():
    names = param_name_dict()
    assert names["Convolution"] == "convolution"
    assert names["LRN"] == "lrn"
    assert names["CuDNNBatchNorm"] == "cudnn_batch_norm"
    assert names["HDF5Data"] == "hdf5_data"


def test_unknown_fields_are_named_with_the_closest():
    x = L.Input(shape={"dim": [1]})
    net = caffe.NetSpec()
    net.c = L.Convolution(x, num_outputs=3)
    expected = r"'c' \(Convolution\).*'num_outputs'; the closest is 'num_output'"
    with pytest.raises(AttributeError, match=expected):
        net.to_proto()


def test_unknown_types_are_named_with_the_closest():
    for layer, type_name, close in (
        (lambda: L.Inpt(shape={"dim": [1]}), "Inpt", "Input"),
        (lambda: L.Relu(L.Input(), negative_slope=0.1), "Relu", "ReLU"),
        (lambda: L.InerProduct(L.Input(), num_output=3), "InerProduct", "InnerProduct"),
        (
            lambda: L.SoftmaxWithLos(L.Input(), ignore_label=3),
            "SoftmaxWithLos",
            "SoftmaxWithLoss",
        ),
    ):
        message = f"\\({type_name}\\): no parameters .*closest .* is '{close}'$"
        with pytest.raises(AttributeError, match=message):
            caffe.to_proto(layer())
    # One that the schema need not know, and that is like no other.
    with pytest.raises(AttributeError, match=r"no parameters .* got 'strength'$"):
        caffe.to_proto(L.Silence(strength=3))
    own = L.MyLayer(loss_weight=2, include={"phase": "TEST"}, param_str="x")
    with pytest.raises(AttributeError, match="'param_str'"):
        caffe.to_proto(own)
    assert caffe.to_proto(L.MyLayer(loss_weight=2)).layer[0].type == "MyLayer"


def test_unknown_values_of_enums_are_named_with_the_closest():
    assert caffe.params.Pooling.AVE == caffe_pb2.PoolingParameter.AVE
    with pytest.raises(AttributeError, match=r"no layer type 'Poolng'.*'Pooling'$"):
        caffe.params.Poolng.AVE  # noqa: B018
    with pytest.raises(AttributeError, match=r"no value 'MAXX'; .* 'MAX'$"):
        caffe.params.Pooling.MAXX  # noqa: B018


def test_unknown_enum_values_list_the_known():
    with pytest.raises(ValueError, match="'MEAN', expected one of MAX, AVE"):
        caffe.to_proto(L.Pooling(L.Input(), pool="MEAN"))


def test_a_scalar_for_a_message_is_refused():
    with pytest.raises(TypeError, match=r"FillerParameter.*'xavier'.*dict"):
        caffe.to_proto(L.Convolution(L.Input(), weight_filler="xavier"))


def test_unknown_tops_name_the_closest():
    net = caffe.NetSpec()
    net.label = L.Input()
    with pytest.raises(AttributeError, match="no 'lable'; the closest is 'label'"):
        _ = net.lable
    with pytest.raises(KeyError, match="'lable'"):
        _ = net["lable"]
    assert not hasattr(net, "other")


def test_only_outputs_of_layers_are_inputs():
    with pytest.raises(
        TypeError, match=r"^ReLU input 0 is not a Top \(type is <class 'str'>\)$"
    ):
        L.ReLU("data")
    pair = L.Input(ntop=2)
    with pytest.raises(TypeError, match="several outputs"):
        caffe.NetSpec().data = pair
    with pytest.raises(ValueError, match="in_place needs an input for each of 2 tops"):
        L.Slice(pair[0], ntop=2, in_place=True)


def test_specs_can_be_copied():
    net = lenet(caffe.NetSpec())
    assert copy.copy(net).to_proto() == net.to_proto()
