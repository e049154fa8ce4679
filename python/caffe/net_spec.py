"""Nets written in Python: `NetSpec`, `layers` and `params`.

    from caffe import layers as L, params as P, NetSpec

    net = NetSpec()
    net.data, net.label = L.Data(source="train_lmdb", batch_size=32, ntop=2)
    net.conv1 = L.Convolution(net.data, num_output=20, kernel_size=5)
    net.pool1 = L.Pooling(net.conv1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    net.relu1 = L.ReLU(net.pool1, in_place=True)
    net.loss = L.SoftmaxWithLoss(net.relu1, net.label)
    print(net.to_proto())

Every layer type works without being listed here: keyword arguments are looked up in the
schema, first in the parameter message of the type, then in LayerParameter itself. This
module needs no compiled code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from google.protobuf.message import Message

from caffe.closest import closest, suggestion
from caffe.named import UnknownNameError
from caffe.proto import caffe_pb2

# Convolution, and what forks call one whose group is the number of channels.
CONVOLUTIONS = ("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution")

# Types whose parameters live in a message of another name, besides or instead of one of
# their own.
_BORROWED: dict[str, tuple[str, ...]] = {
    "ConvolutionDepthwise": ("convolution_param",),
    "Deconvolution": ("convolution_param",),
    "Im2col": ("convolution_param",),
    "LSTM": ("recurrent_param",),
    "RNN": ("recurrent_param",),
    "SoftmaxWithLoss": ("loss_param", "softmax_param"),
    "InfogainLoss": ("loss_param", "softmax_param"),
}


def param_name_dict() -> dict[str, str]:
    """Maps `XParameter`, without the suffix, to the name of its field in a layer.

    `{"Convolution": "convolution", "LRN": "lrn", ...}`, both without their suffixes.
    """
    return {
        field.message_type.name.removesuffix("Parameter"): field.name[: -len("_param")]
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param") and field.message_type is not None
    }


_param_names = param_name_dict()


def assign_proto(proto: Message, name: str, value: Any) -> None:
    """Sets a field from plain Python values.

    Dicts become messages, lists become repeated fields, a scalar given to a repeated
    field becomes its only entry, and enums may be given by name.

    Raises:
        AttributeError: The message has no such field; the closest is named.
    """
    fields = proto.DESCRIPTOR.fields_by_name
    if name not in fields:
        raise AttributeError(
            f"{proto.DESCRIPTOR.name} has no field '{name}'{suggestion(name, fields)}"
        )
    field = fields[name]
    target = getattr(proto, name)
    if hasattr(target, "extend"):  # a repeated field
        values = value if _is_sequence(value) else [value]
        for item in values:
            if field.message_type is not None:
                _fill(target.add(), item)
            else:
                target.append(_scalar(field, item))
    elif field.message_type is not None:
        # {} is a value too: a message that is present and empty.
        target.SetInParent()
        _fill(target, value)
    else:
        setattr(proto, name, _scalar(field, value))


def _is_sequence(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(
        value, (str, bytes, Mapping, Message)
    )


def _fill(message: Message, value: Any) -> None:
    if isinstance(value, Message):
        message.CopyFrom(value)
        return
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{message.DESCRIPTOR.name}: got {value!r}, expected a dict of its fields"
        )
    for name, item in value.items():
        assign_proto(message, name, item)


def _scalar(field: Any, value: Any) -> Any:
    if field.enum_type is not None and isinstance(value, str):
        names = field.enum_type.values_by_name
        if value not in names:
            raise ValueError(
                f"field '{field.name}': unknown value '{value}', expected one of "
                f"{', '.join(names)}"
            )
        return names[value].number
    if hasattr(value, "item"):  # a NumPy scalar
        return value.item()
    return value


class Top:
    """One output of a layer (`Function`), to be used as input of others."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net of everything that this output depends on, with automatic names."""
        return to_proto(self)


class Function:
    """One layer: its type, inputs and parameters, and the `Top`s it makes."""

    def __init__(
        self, type_name: str, inputs: Iterable[Top], params: Mapping[str, Any]
    ) -> None:
        self.type_name = type_name
        self.inputs = tuple(inputs)
        for index, item in enumerate(self.inputs):
            if not isinstance(item, Top):
                raise TypeError(
                    f"{type_name} input {index} is not a Top (type is {type(item)})"
                )
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        if self.in_place and len(self.inputs) < self.ntop:
            raise ValueError(
                f"{type_name}: in_place needs an input for each of {self.ntop} tops, "
                f"got {len(self.inputs)}"
            )
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def to_layer(self, namer: _Namer, bottoms: list[str]) -> caffe_pb2.LayerParameter:
        """This layer as a message; `bottoms` are the names of its inputs."""
        layer = caffe_pb2.LayerParameter(type=self.type_name, bottom=bottoms)
        if self.in_place:
            layer.top.extend(bottoms[: self.ntop])
        else:
            layer.top.extend(namer.top(top) for top in self.tops)
        layer.name = namer.layer(self)
        for name, value in self.params.items():
            try:
                assign_proto(self._message_with(layer, name), name, value)
            except (AttributeError, TypeError, ValueError) as error:
                raise type(error)(
                    f"layer '{layer.name}' ({self.type_name}): {error}"
                ) from None
        return layer

    def _message_with(self, layer: caffe_pb2.LayerParameter, name: str) -> Message:
        """The parameter message of this type if it has the field, else the layer."""
        if name.endswith("param"):
            return layer
        homes = list(_BORROWED.get(self.type_name, ()))
        # Types of plugins are called like what they vary.
        if self.type_name.endswith("Convolution"):
            homes.append("convolution_param")
        if self.type_name.endswith("Loss"):
            homes.append("loss_param")
        if self.type_name in _param_names:
            homes.insert(0, f"{_param_names[self.type_name]}_param")
        for home in homes:
            message = cast(Message, getattr(layer, home))
            if name in message.DESCRIPTOR.fields_by_name:
                return message
        if name in layer.DESCRIPTOR.fields_by_name:
            return layer
        if homes:
            return cast(Message, getattr(layer, homes[0]))  # names it in the error
        close = closest(self.type_name, (*_param_names, *_BORROWED))
        raise AttributeError(
            f"no parameters are known of this type, got '{name}'"
            + (f"; the closest type that has some is '{close}'" if close else "")
        )


class _Namer:
    """Names of layers and tops: those given, else the type and a running number."""

    def __init__(self, names: Mapping[Top | Function, str]) -> None:
        self._names: dict[Top | Function, str] = dict(names)
        self._used: Counter[str] = Counter()

    def _automatic(self, fn: Function) -> str:
        self._used[fn.type_name] += 1
        return fn.type_name + str(self._used[fn.type_name])

    def top(self, top: Top) -> str:
        if top not in self._names:
            self._names[top] = self._automatic(top.fn)
        return self._names[top]

    def layer(self, fn: Function) -> str:
        if fn not in self._names:
            # A layer is called like its first top.
            self._names[fn] = self.top(fn.tops[0]) if fn.tops else self._automatic(fn)
        return self._names[fn]


def _in_order(outputs: Iterable[Top | Function]) -> list[Function]:
    """Every layer that the outputs depend on, each behind those it depends on."""
    order: dict[Function, None] = {}
    for output in outputs:
        # A stack and no recursion: nets are deeper than Python's call stack.
        stack = [output.fn if isinstance(output, Top) else output]
        while stack:
            missing = [top.fn for top in stack[-1].inputs if top.fn not in order]
            if missing:
                stack.append(missing[0])
            else:
                order.setdefault(stack.pop())
    return list(order)


def _build(
    outputs: Iterable[Top | Function], names: Mapping[Top | Function, str]
) -> caffe_pb2.NetParameter:
    namer = _Namer(names)
    layers: dict[Function, caffe_pb2.LayerParameter] = {}
    for fn in _in_order(outputs):
        bottoms = [layers[top.fn].top[top.n] for top in fn.inputs]
        layers[fn] = fn.to_layer(namer, bottoms)
    return caffe_pb2.NetParameter(layer=layers.values())


def to_proto(*tops: Top | Function) -> caffe_pb2.NetParameter:
    """The net of everything that these outputs depend on, with automatic names."""
    return _build(tops, {})


class NetSpec:
    """A net whose layers and blobs are called like the attributes they are stored in.

    `net["conv1/bn"]` serves names that are no identifiers.
    """

    tops: dict[str, Top | Function]

    def __init__(self) -> None:
        super().__setattr__("tops", {})

    def __setattr__(self, name: str, value: Any) -> None:
        """Adds a layer's output, or a layer without outputs, under a name."""
        if not isinstance(value, (Top, Function)):
            raise TypeError(
                f"NetSpec '{name}': got {value!r}, expected the output of a layer; a "
                "layer with several outputs needs as many names on the left"
            )
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top:
        """The output of that name."""
        if name.startswith("__"):  # asked for by copy and pickle
            raise AttributeError(name)
        return self[name]

    def __setitem__(self, name: str, value: Top | Function) -> None:
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Top:
        if name not in self.tops:
            raise NoSuchTopError(
                f"this net has no '{name}'{suggestion(name, self.tops)}"
            )
        return cast(Top, self.tops[name])

    def __delattr__(self, name: str) -> None:
        """Forgets a name; layers that others depend on stay in the net."""
        self[name]
        del self.tops[name]

    def __delitem__(self, name: str) -> None:
        delattr(self, name)

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net as a message, in the order of assignment."""
        return _build(
            self.tops.values(), {value: name for name, value in self.tops.items()}
        )


class NoSuchTopError(UnknownNameError, AttributeError):
    """What both `net.x` and `net["x"]` raise."""


class Layers:
    """`layers.X(*inputs, **params)` makes a layer of type X.

    `ntop` is its number of outputs (default 1), `in_place` lets it overwrite its input.
    Returns one `Top`, a tuple of them, or for `ntop=0` the `Function`.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*inputs: Top, **params: Any) -> Any:
            fn = Function(name, inputs, params)
            if fn.ntop == 0:
                return fn
            return fn.tops[0] if fn.ntop == 1 else fn.tops

        return layer


class Parameters:
    """`params.X.NAME` is the value of an enum in message XParameter."""

    class _Values:
        def __init__(self, message: Any) -> None:
            self._message = message

        def __getattr__(self, name: str) -> int:
            if name.startswith("__"):
                raise AttributeError(name)
            message = self._message.DESCRIPTOR
            values = message.enum_values_by_name
            if name not in values:
                raise AttributeError(
                    f"{message.name} has no value '{name}'{suggestion(name, values)}"
                )
            return cast(int, values[name].number)

    def __getattr__(self, name: str) -> Parameters._Values:
        if name.startswith("__"):
            raise AttributeError(name)
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(
                f"params: no layer type '{name}'{suggestion(name, _param_names)}"
            )
        return Parameters._Values(message)


layers = Layers()
params = Parameters()
