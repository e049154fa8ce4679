"""Message classes of `caffe.proto`, as protoc would generate them."""

from caffe.proto.schema import load

_members = load("caffe")
globals().update(_members)
__all__ = sorted(_members)
