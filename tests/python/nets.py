"""Definitions of small nets for tests of the engine."""

from __future__ import annotations

import caffe
from caffe import layers as L


def linear(batch=2, force_backward=False):
    """scores = x W' + b for 4 inputs and 3 outputs, with a softmax behind."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [batch, 4]})
    net.fc = L.InnerProduct(
        net.data,
        num_output=3,
        weight_filler={"type": "gaussian", "std": 1},
        bias_filler={"type": "gaussian", "std": 1},
    )
    net.prob = L.Softmax(net.fc)
    message = net.to_proto()
    message.name = "linear"
    message.force_backward = force_backward
    return message


def convolutional(batch=2, size=16, channels=16):
    """Two convolutions, which exchange data in a layout of their own, and a pooling."""
    net = caffe.NetSpec()
    net.data = L.Input(shape={"dim": [batch, 3, size, size]})
    common = {
        "num_output": channels,
        "kernel_size": 3,
        "pad": 1,
        "weight_filler": {"type": "msra"},
    }
    net.conv1 = L.Convolution(net.data, **common)
    net.relu1 = L.ReLU(net.conv1, in_place=True)
    net.conv2 = L.Convolution(net.relu1, **common)
    net.pool = L.Pooling(net.conv2, global_pooling=True, pool=1)
    message = net.to_proto()
    message.name = "convolutional"
    return message


def regression(batch=8):
    """A loss to be minimised: |x W' + b - target|^2, with the inputs in the net."""
    net = caffe.NetSpec()
    net.data, net.target = L.Input(
        name="input",
        ntop=2,
        shape=[{"dim": [batch, 4]}, {"dim": [batch, 3]}],
    )
    net.fc = L.InnerProduct(
        net.data, num_output=3, weight_filler={"type": "gaussian", "std": 0.1}
    )
    net.loss = L.EuclideanLoss(net.fc, net.target)
    message = net.to_proto()
    message.name = "regression"
    return message


def learner():
    """Learns data of its own, the same in every batch; its outputs are loss and pair.

    pair has two values, each 0.25.
    """
    net = caffe.NetSpec()
    net.data, net.target = L.DummyData(
        ntop=2,
        shape=[{"dim": [8, 4]}, {"dim": [8, 3]}],
        data_filler=[{"value": 0.5}, {"value": 1}],
    )
    net.pair = L.DummyData(shape={"dim": [2]}, data_filler={"value": 0.25})
    net.fc = L.InnerProduct(net.data, num_output=3, weight_filler={"type": "xavier"})
    net.loss = L.EuclideanLoss(net.fc, net.target)
    message = net.to_proto()
    message.name = "learner"
    return message


def memory_data():
    """Twice the arrays that are set, two images of 1 x 3 x 3 at a time, and labels."""
    net = caffe.NetSpec()
    net.data, net.label = L.MemoryData(
        ntop=2, batch_size=2, channels=1, height=3, width=3
    )
    net.doubled = L.Power(net.data, scale=2)
    return net.to_proto()
