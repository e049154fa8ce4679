"""Message classes of `event.proto`, as protoc would generate them."""

from caffe.proto.schema import load

_members = load("event")
globals().update(_members)
__all__ = sorted(_members)
