"""What definitions say, whether or not they say it by a default."""

from __future__ import annotations

from caffe.proto import caffe_pb2


def values(message):
    """All fields, those that are not set with their defaults."""
    found = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None:
            found[field.name] = list(value) if hasattr(value, "append") else value
        elif hasattr(value, "append"):
            found[field.name] = [values(entry) for entry in value]
        elif message.HasField(field.name):
            found[field.name] = values(value)
    if found.get("param"):
        default = values(caffe_pb2.ParamSpec())
        while found["param"] and found["param"][-1] == default:
            found["param"].pop()
    return found
