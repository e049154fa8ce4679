"""The little of Caffe's Python module that shows which layers a process has."""

from ._caffe import created_type, layer_type_list

__all__ = ["created_type", "layer_type_list"]
