"""The message classes of Caffe's file formats.

`caffe.proto.caffe_pb2` is loaded when it is first used, as is everything in `caffe`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from caffe.proto import caffe_pb2 as caffe_pb2

# Type checkers would take any name for one that this finds.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Loads the module of the messages."""
        if name != "caffe_pb2":
            raise AttributeError(f"module 'caffe.proto' has no attribute '{name}'")
        import importlib

        return importlib.import_module("caffe.proto.caffe_pb2")
