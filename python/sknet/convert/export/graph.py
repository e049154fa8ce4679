"""An ONNX graph under construction, and the folding of batch norms in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from caffe._caffe import version
from caffe.files import put_in_place, temporary_folder, writing

if TYPE_CHECKING:
    import onnx

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

# `--opset` takes these; what ONNX Runtime of 2021 and later understands.
OLDEST_OPSET = 13
DEFAULT_OPSET = 17
# A protobuf message ends at 2 GiB; above this the weights go into a file of their own.
EXTERNAL_DATA_BYTES = 1_900_000_000


@dataclass(frozen=True)
class Tensor:
    """A value of the graph: its name and its shape."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class BlobValue:
    """What one layer left in one blob.

    Attributes:
        layer: Name of the layer.
        type: Its type.
        blob: Name of the blob in the net.
        tensor: Its value in the graph.
    """

    layer: str
    type: str
    blob: str
    tensor: Tensor


@dataclass
class Node:
    """One operator.

    Attributes:
        op: ONNX's name of it.
        inputs: Names of values and constants; "" for one that is left out.
        outputs: Names of the values it gives.
        attributes: As ONNX defines them.
        affine: For operators that multiply each channel (axis 1) by a factor and add a
            term: both, each of shape (C,). What `fold` works on.
    """

    op: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    affine: tuple[Array, Array] | None = None


@dataclass
class Graph:
    """Nodes in the order in which they run, with the constants that they read.

    Attributes:
        opset: Version of the operators.
        nodes: The operators.
        constants: Arrays by name.
        inputs: What the user gives.
        outputs: What the user gets.
        blobs: Values that stand for a blob of the net, in the order of its layers.
        reserved: Names that constants must not have.
        layers: Names of the net's layers that it stands for.
        limits: Values of the net whose readers lose digits where they are larger.
        places: Values of the net that are indices, and of how many things.
        notes: What else to know, by names; the model's metadata.
    """

    opset: int = DEFAULT_OPSET
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    blobs: list[BlobValue] = field(default_factory=list)
    reserved: frozenset[str] = frozenset()
    layers: set[str] = field(default_factory=set)
    limits: dict[str, float] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def constant(self, name: str, value: Any, dtype: type = np.float32) -> str:
        """Adds an array, without a copy if need be; returns its name, made unique."""
        unique = name
        count = 1
        while unique in self.constants or unique in self.reserved:
            count += 1
            unique = f"{name}_{count}"
        self.constants[unique] = np.ascontiguousarray(value, dtype)
        return unique

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        *,
        affine: tuple[Array, Array] | None = None,
        **attributes: Any,
    ) -> str:
        """Adds a node; returns the name of its first output."""
        self.nodes.append(Node(op, list(inputs), list(outputs), attributes, affine))
        return outputs[0]

    def reduce(
        self, op: str, value: str, axes: Sequence[int], output: str, *, keep: bool
    ) -> str:
        """Adds a Reduce* node: its axes became an input in operator sets 13 and 18."""
        if self.opset >= (13 if op == "ReduceSum" else 18):
            axes_name = self.constant(f"{output}.axes", list(axes), np.int64)
            return self.add(op, [value, axes_name], [output], keepdims=int(keep))
        return self.add(op, [value], [output], axes=list(axes), keepdims=int(keep))

    def to_model(self, name: str, outputs: Sequence[Tensor] = ()) -> onnx.ModelProto:
        """The ONNX model.

        Args:
            name: Name of the graph.
            outputs: Values to give out instead of the graph's own outputs.
        """
        from onnx import TensorProto, helper, numpy_helper

        def info(tensor: Tensor) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(
                tensor.name, TensorProto.FLOAT, tensor.shape
            )

        graph = helper.make_graph(
            [
                helper.make_node(
                    node.op, node.inputs, node.outputs, str(index), **node.attributes
                )
                for index, node in enumerate(self.nodes)
            ],
            name or "net",
            [info(tensor) for tensor in self.inputs],
            [info(tensor) for tensor in outputs or self.outputs],
            [
                numpy_helper.from_array(array, constant)
                for constant, array in self.constants.items()
            ],
        )
        opsets = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(
            graph,
            opset_imports=opsets,
            # The oldest format that has this operator set: old runtimes read it too.
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="sknet-caffe",
            producer_version=version,
        )
        helper.set_model_props(model, self.notes)
        return model

    def save(
        self,
        path: Path,
        name: str,
        outputs: Sequence[Tensor] = (),
        external_data_bytes: int = EXTERNAL_DATA_BYTES,
    ) -> list[Path]:
        """Writes the model, completely or not at all.

        Args:
            path: The file.
            name: Name of the graph.
            outputs: As for `to_model`.
            external_data_bytes: Weights larger than this go into `<path>.data`.

        Returns:
            The files written.
        """
        import onnx

        model = self.to_model(name, outputs)
        size = sum(array.nbytes for array in self.constants.values())
        with temporary_folder(path) as folder, writing(path):
            # The model names its data file, so both get their final names in here.
            draft = folder / path.name
            data = f"{path.name}.data"
            if size > external_data_bytes:
                onnx.save_model(
                    model,
                    str(draft),
                    save_as_external_data=True,
                    all_tensors_to_one_file=True,
                    location=data,
                )
            else:
                onnx.save_model(model, str(draft))
            onnx.checker.check_model(str(draft))
            files = [file for file in (draft.with_name(data), draft) if file.exists()]
            targets = [path.with_name(file.name) for file in files]
            for file, target in zip(files, targets, strict=True):
                put_in_place(file, target)
            return targets

    def without_unused(self) -> Graph:
        """Without nodes, constants and inputs on which no output depends."""
        needed = {tensor.name for tensor in self.outputs}
        nodes = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                nodes.append(node)
                needed.update(node.inputs)
        made = {name for node in nodes for name in node.outputs}
        inputs = [tensor for tensor in self.inputs if tensor.name in needed]
        made.update(tensor.name for tensor in inputs)
        return replace(
            self,
            nodes=nodes[::-1],
            constants={
                name: array for name, array in self.constants.items() if name in needed
            },
            inputs=inputs,
            blobs=[blob for blob in self.blobs if blob.tensor.name in made],
        )

    def apart(self) -> tuple[Graph, dict[str, str]]:
        """With inputs of their own for all layers, in place of each other's results.

        Returns:
            The graph, which gives out every blob, and the new inputs' names by those
            of the values that they stand for.
        """
        read = {name for node in self.nodes for name in node.inputs}
        cut = [blob.tensor for blob in self.blobs if blob.tensor.name in read]
        names = {tensor.name: f"given {tensor.name}" for tensor in cut}
        graph = replace(
            self,
            nodes=[
                replace(node, inputs=[names.get(name, name) for name in node.inputs])
                for node in self.nodes
            ],
            inputs=[
                *self.inputs,
                *(Tensor(names[tensor.name], tensor.shape) for tensor in cut),
            ],
            outputs=[blob.tensor for blob in self.blobs],
        )
        return graph, names

    def folded(self) -> Graph:
        """With channel-wise factors and terms moved into the Conv or Gemm before them.

        That is what batch norm and Scale are at inference. One that does not follow a
        convolution alone stays, joined with those behind it. The results are equal up
        to rounding; the values between the joined operators do not exist any more.
        """
        readers: dict[str, int] = {}
        for name in (
            *(name for node in self.nodes for name in node.inputs),
            *(tensor.name for tensor in self.outputs),
        ):
            readers[name] = readers.get(name, 0) + 1
        result = replace(self, nodes=[], constants=dict(self.constants))
        makers: dict[str, Node] = {}
        for original in self.nodes:
            node = replace(original, inputs=list(original.inputs))
            maker = makers.get(node.inputs[0]) if node.affine else None
            if (
                maker
                and (maker.affine or maker.op in _FOLDED)
                and readers[node.inputs[0]] == 1
            ):
                result._absorb(maker, node)
                node = maker
            else:
                result.nodes.append(node)
            makers.update(dict.fromkeys(node.outputs, node))
        for node in list(result.nodes):
            if node.affine and node.op != "BatchNormalization":
                result._expand(node)
        return result.without_unused()

    def expanded(self) -> Graph:
        """With every `Affine` written as Mul and Add, which ONNX has."""
        result = replace(self, nodes=list(self.nodes), constants=dict(self.constants))
        for node in self.nodes:
            if node.op == "Affine":
                result._expand(node)
        return result.without_unused()

    def _absorb(self, maker: Node, node: Node) -> None:
        """Lets `maker` do what `node`, the only reader of its output, does."""
        assert node.affine is not None
        factor, term = node.affine
        if maker.affine:
            first_factor, first_term = maker.affine
            maker.affine = first_factor * factor, first_term * factor + term
            maker.op = "Affine"
            maker.inputs = maker.inputs[:1]
            maker.attributes = {"axes": node.attributes["axes"]}
        else:
            weights = self.constants[maker.inputs[1]].astype(np.float64)
            bias = (
                self.constants[maker.inputs[2]].astype(np.float64)
                if len(maker.inputs) > 2
                else np.zeros_like(term)
            )
            # Gemm has its outputs in the last axis unless its weights are transposed.
            axis = 1 if maker.op == "Gemm" and not maker.attributes["transB"] else 0
            along = [1] * weights.ndim
            along[axis] = -1
            name = node.outputs[0]
            maker.inputs[1:] = [
                self.constant(f"{name}.weights", weights * factor.reshape(along)),
                self.constant(f"{name}.bias", bias * factor + term),
            ]
        maker.outputs = node.outputs

    def _expand(self, node: Node) -> None:
        assert node.affine is not None
        factor, term = node.affine
        shape = (-1, *[1] * (node.attributes["axes"] - 2))
        (value,), (output,) = node.inputs[:1], node.outputs
        steps: list[tuple[str, Array]] = []
        if np.any(factor != 1):
            steps.append(("Mul", factor))
        if np.any(term != 0) or not steps:
            steps.append(("Add", term))
        new = []
        for index, (op, operand) in enumerate(steps):
            name = self.constant(f"{output}.{op}", operand.reshape(shape))
            result = output if index == len(steps) - 1 else f"{output}.scaled"
            new.append(Node(op, [value, name], [result]))
            value = result
        # Compared by identity: equal nodes may occur twice.
        at = next(i for i, other in enumerate(self.nodes) if other is node)
        self.nodes[at : at + 1] = new


_FOLDED = ("Conv", "Gemm")
