"""Takes arrays of GPU memory from blobs, as other libraries do.

`test_gpu_arrays.py` runs one of its functions in a process with emulated GPUs.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import contextmanager

import nets
import numpy as np
import pytest
from tolerance import Op, assert_close

import caffe
from caffe import _caffe
from caffe import layers as L

cuda = ctypes.CDLL(_caffe.library_path())
CAPSULE = ctypes.pythonapi
CAPSULE.PyCapsule_GetPointer.restype = ctypes.c_void_p
CAPSULE.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
CAPSULE.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
GPU = 2
ONLY_READ = 1


class Device(ctypes.Structure):
    """DLDevice."""

    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class DataType(ctypes.Structure):
    """DLDataType."""

    _fields_ = [
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
    ]


class Tensor(ctypes.Structure):
    """DLTensor."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("dtype", DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Managed(ctypes.Structure):
    """DLManagedTensor."""

    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    """DLManagedTensorVersioned."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


def take(capsule, kind=Versioned):
    """Takes a capsule's tensor over; who does calls its `deleter` at the end."""
    name = b"dltensor_versioned" if kind is Versioned else b"dltensor"
    address = CAPSULE.PyCapsule_GetPointer(capsule, name)
    CAPSULE.PyCapsule_SetName(capsule, b"used_" + name)
    return kind.from_address(address)


def free(managed):
    managed.deleter(ctypes.addressof(managed))


def values(pointer, shape):
    """What lies in GPU memory."""
    host = np.empty(shape, np.float32)
    _copy(host.ctypes.data, pointer, host.nbytes)
    return host


def write(pointer, array):
    """Writes to GPU memory."""
    array = np.ascontiguousarray(array, np.float32)
    _copy(pointer, array.ctypes.data, array.nbytes)


def _copy(to, source, count):
    pointers = ctypes.c_void_p(to), ctypes.c_void_p(source)
    status = cuda.cudaMemcpy(*pointers, ctypes.c_size_t(count), 4)
    assert status == 0, status


def pointer_of(array):
    return array.__cuda_array_interface__["data"][0]


def newest(array):
    """The values, by the CUDA array interface."""
    interface = array.__cuda_array_interface__
    return values(interface["data"][0], interface["shape"])


@contextmanager
def raises(kind, *parts):
    """Expects an exception whose sentence has the parts."""
    with pytest.raises(kind) as caught:
        yield
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in parts:
        assert part in sentence, sentence


def random(*shape):
    return np.random.default_rng(3).standard_normal(shape, dtype=np.float32)


def convolutional():
    """A net that has run, and its images."""
    caffe.set_random_seed(1)
    net = caffe.Net(nets.convolutional(), caffe.TEST)
    images = random(2, 3, 16, 16)
    net.forward(data=images)
    return net, images


def interface_of_the_cuda_array():
    net, images = convolutional()
    array = net.blobs["data"].gpu_data
    interface = array.__cuda_array_interface__
    assert interface["version"] == 3
    assert interface["shape"] == array.shape == (2, 3, 16, 16)
    assert interface["typestr"] == "<f4"
    assert interface["strides"] is None
    assert interface["stream"] == 1
    assert interface["data"][1] is True
    assert not array.writeable
    assert (newest(array) == images).all()
    # Behind a convolution the values are in another order until somebody asks.
    want = net.blobs["conv1"].data.copy()
    assert (newest(net.blobs["conv1"].gpu_data) == want).all()
    writeable = net.blobs["data"].mutable_gpu_data
    assert writeable.__cuda_array_interface__["data"][1] is False
    assert writeable.writeable


def tensor_of_dlpack():
    net, images = convolutional()
    array = net.blobs["data"].gpu_data
    assert array.__dlpack_device__() == (GPU, 0)
    managed = take(array.__dlpack__(max_version=(1, 1), stream=1))
    assert (managed.major, managed.minor) == (1, 0)
    assert managed.flags == ONLY_READ
    tensor = managed.tensor
    assert (tensor.device.type, tensor.device.id) == (GPU, 0)
    assert (tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes) == (2, 32, 1)
    assert tensor.shape[: tensor.ndim] == [2, 3, 16, 16]
    assert tensor.strides[: tensor.ndim] == [768, 256, 16, 1]
    assert tensor.byte_offset == 0
    assert tensor.data == pointer_of(array)
    del array
    assert (values(tensor.data, (2, 3, 16, 16)) == images).all()
    free(managed)
    writeable = take(net.blobs["data"].mutable_gpu_data.__dlpack__(max_version=(1, 0)))
    assert writeable.flags == 0
    free(writeable)
    # Libraries of before know no version, and no arrays that are only read.
    older = net.blobs["data"].mutable_gpu_data.__dlpack__()
    managed = take(older, Managed)
    assert managed.tensor.shape[:4] == [2, 3, 16, 16]
    free(managed)


def what_is_written_counts():
    net, images = convolutional()
    want = net.forward(data=images)["pool"].copy()
    twice = net.forward(data=2 * images)["pool"].copy()
    inputs = net.blobs["data"].mutable_gpu_data
    for array, expected in ((images, want), (2 * images, twice), (images, want)):
        write(pointer_of(inputs), array)
        assert (net.forward()["pool"] == expected).all()
    del inputs
    assert (net.blobs["data"].data == images).all()
    # Weights are kept in other forms, too.
    weights = net.params["conv2"][0].mutable_gpu_data
    net.forward()
    write(pointer_of(weights), np.zeros(weights.shape))
    assert (net.forward()["pool"] == 0).all()
    managed = take(net.params["conv2"][1].mutable_gpu_data.__dlpack__(), Managed)
    write(managed.tensor.data, np.arange(16))
    assert (net.forward()["pool"][1, :, 0, 0] == np.arange(16)).all()
    free(managed)
    bias = net.params["conv2"][1].data
    assert (bias == np.arange(16)).all()


def what_is_held_shows_each_run():
    net, images = convolutional()
    array = net.blobs["conv1"].gpu_data
    pointer = pointer_of(array)
    view = net.blobs["conv1"].data
    for scale in (1, 2, -3):
        net.forward(data=scale * images)
        assert (values(pointer, array.shape) == view).all()
        assert pointer_of(array) == pointer
    # NumPy's holders may write; those of the GPU see it when they ask or a net ran.
    view[...] = 5
    assert (newest(array) == 5).all()
    view[...] = 6
    want = net.forward(start="relu1")["pool"].copy()
    net.blobs["conv1"].data[...] = 6
    assert (net.forward(start="relu1")["pool"] == want).all()


def gradients():
    caffe.set_random_seed(1)
    net = caffe.Net(nets.linear(force_backward=True), caffe.TRAIN)
    data = random(2, 4)
    net.forward(data=data)
    write(pointer_of(net.blobs["prob"].mutable_gpu_diff), np.eye(2, 3))
    net.backward()
    got = newest(net.params["fc"][0].gpu_diff)
    prob = net.blobs["prob"].data.astype(float)
    top = np.eye(2, 3)
    scores = prob * (top - (prob * top).sum(1, keepdims=True))
    assert_close(got, scores.T @ data, Op.REDUCTION, len(data))


def two_that_may_write():
    net, images = convolutional()
    blob = net.blobs["data"]
    view = blob.data
    with raises(RuntimeError, "Blob.mutable_gpu_data: ", "NumPy", "drop it"):
        _ = blob.mutable_gpu_data
    assert (newest(blob.gpu_data) == images).all()
    del view
    array = blob.mutable_gpu_data
    with raises(RuntimeError, "Blob.data: ", "Blob.mutable_gpu_data is held"):
        _ = blob.data
    with raises(RuntimeError, "Blob.data: "):
        net.forward(data=images)
    assert blob.diff.shape == blob.shape
    # What is made of the array holds it, too.
    capsule = array.__dlpack__()
    del array
    with raises(RuntimeError, "Blob.data: "):
        _ = blob.data
    del capsule
    assert (blob.data == images).all()
    # Results are handed out all the same.
    net.forward()
    output = net.blobs["pool"].mutable_gpu_data
    first = net.forward()["pool"]
    write(pointer_of(output), np.zeros(output.shape))
    assert (first != 0).any()


def memory_outlives_blob_and_net():
    net, images = convolutional()
    blob = net.blobs["data"]
    array = blob.gpu_data
    managed = take(blob.gpu_data.__dlpack__(max_version=(1, 0)))
    blob.reshape(64, 3, 32, 32)
    net.reshape()
    net.forward()
    assert blob.gpu_data.shape == (64, 3, 32, 32)
    assert array.shape == (2, 3, 16, 16)
    del net, blob
    gc.collect()
    others = [caffe.Net(nets.convolutional(), caffe.TEST) for _ in range(3)]
    for other in others:
        other.forward(data=np.full((2, 3, 16, 16), 9))
    assert (newest(array) == images).all()
    del array
    gc.collect()
    assert (values(managed.tensor.data, (2, 3, 16, 16)) == images).all()
    used = _caffe.device_memory().used
    free(managed)
    assert _caffe.device_memory().used <= used - images.nbytes


def capsules_that_nobody_takes_free_the_memory():
    blob = caffe.Blob(256, 1024)
    capsule = blob.gpu_data.__dlpack__(max_version=(1, 0))
    used = _caffe.device_memory().used
    del blob
    assert _caffe.device_memory().used == used
    del capsule
    assert _caffe.device_memory().used <= used - 256 * 1024 * 4


def values_that_are_not_kept():
    net = caffe.Net(nets.convolutional(), caffe.TEST, optimize=True)
    net.forward(data=random(2, 3, 16, 16))
    for name in ("gpu_data", "mutable_gpu_data"):
        with raises(RuntimeError, "conv1"):
            getattr(net.blobs["conv1"], name)
    assert newest(net.blobs["pool"].gpu_data).shape == (2, 16, 1, 1)


def streams():
    net, images = convolutional()
    array = net.blobs["conv1"].gpu_data
    want = net.blobs["conv1"].data.copy()
    stream = ctypes.c_void_p()
    not_in_order = 1
    assert cuda.cudaStreamCreateWithFlags(ctypes.byref(stream), not_in_order) == 0
    # The copy must wait for the kernels of the run, which nothing has waited for.
    net.forward(data=2 * images)
    net.forward(data=images)
    array = net.blobs["conv1"].gpu_data
    managed = take(array.__dlpack__(stream=stream.value, max_version=(1, 0)))
    host = np.empty(array.shape, np.float32)
    arguments = (
        ctypes.c_void_p(host.ctypes.data),
        ctypes.c_void_p(managed.tensor.data),
        ctypes.c_size_t(host.nbytes),
    )
    assert cuda.cudaMemcpyAsync(*arguments, 4, stream) == 0
    assert cuda.cudaStreamSynchronize(stream) == 0
    assert (host == want).all()
    free(managed)
    free(take(array.__dlpack__(stream=-1, max_version=(1, 0))))
    for wrong in (0, -2):
        with raises(ValueError, f"stream {wrong}"):
            array.__dlpack__(stream=wrong, max_version=(1, 0))


def what_cannot_be_had():
    array = caffe.Blob(2).gpu_data
    with raises(BufferError, "DLPack 1.0", "mutable_gpu_data"):
        array.__dlpack__()
    with raises(BufferError, "DLPack 1.0"):
        array.__dlpack__(max_version=(0, 8))
    with raises(BufferError, "GPU 0", "(2, 1)"):
        array.__dlpack__(max_version=(1, 0), dl_device=(2, 1))
    with raises(BufferError, "copy=True"):
        array.__dlpack__(max_version=(1, 0), copy=True)
    free(take(array.__dlpack__(max_version=(1, 0), dl_device=(2, 0), copy=False)))
    caffe.set_mode_cpu()
    for name in ("gpu_data", "gpu_diff", "mutable_gpu_data", "mutable_gpu_diff"):
        with raises(RuntimeError, f"Blob.{name}: ", "set_mode_gpu"):
            getattr(caffe.Blob(2), name)


def shapes_without_axes_and_without_values():
    net = caffe.Net(nets.regression(), caffe.TRAIN)
    net.forward()
    loss = net.blobs["loss"].gpu_data
    assert loss.shape == loss.__cuda_array_interface__["shape"] == ()
    assert newest(loss) == net.blobs["loss"].data
    managed = take(loss.__dlpack__(max_version=(1, 0)))
    assert managed.tensor.ndim == 0
    free(managed)
    empty = caffe.Blob(0, 3).gpu_data
    assert empty.__cuda_array_interface__["data"] == (0, True)
    managed = take(empty.__dlpack__(max_version=(1, 0)))
    assert managed.tensor.shape[:2] == [0, 3]
    assert managed.tensor.data is None
    free(managed)


def memory_of_another_gpu():
    caffe.set_device(1)
    array = caffe.Blob(2, 3).gpu_data
    caffe.set_device(0)
    assert array.__dlpack_device__() == (GPU, 1)
    managed = take(array.__dlpack__(max_version=(1, 0), stream=1))
    assert managed.tensor.device.id == 1
    free(managed)


class Twice(caffe.Layer):
    """2 x, by whoever computes on the GPU without NumPy."""

    def setup(self, bottom, top):
        """Nothing to set up."""

    def reshape(self, bottom, top):
        """As the bottom."""
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        """From GPU memory to GPU memory."""
        write(pointer_of(top[0].mutable_gpu_data), 2 * newest(bottom[0].gpu_data))

    def backward(self, top, propagate_down, bottom):
        """The same of the gradient."""
        write(pointer_of(bottom[0].mutable_gpu_diff), 2 * newest(top[0].gpu_diff))


def layers_in_python():
    spec = caffe.NetSpec()
    spec.data = L.Input(shape={"dim": [2, 3]})
    spec.twice = L.Python(spec.data, module="__main__", layer="Twice")
    spec.out = L.AbsVal(spec.twice)
    definition = spec.to_proto()
    definition.force_backward = True
    net = caffe.Net(definition, caffe.TRAIN)
    data = random(2, 3)
    assert (net.forward(data=data)["out"] == abs(2 * data)).all()
    got = net.backward(out=np.ones((2, 3)))["data"]
    assert (got == 2 * np.sign(data)).all()


if __name__ == "__main__":
    caffe.set_mode_gpu()
    globals()[sys.argv[1]]()
