"""A network in TensorRT, measured; counterpart of `caffe_on_gpu.py` for inference.

Reads one job as JSON from its command line and prints the result as JSON; see
`gpu_peers.py`, which exports the model. Needs `pip install tensorrt torch onnx`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measurement
import tensorrt
import torch
from onnx_types import typed

TYPES = {
    tensorrt.DataType.FLOAT: torch.float32,
    tensorrt.DataType.HALF: torch.float16,
    tensorrt.DataType.BF16: torch.bfloat16,
}


def engine_of(path: str, precision: str) -> Any:
    """What TensorRT makes of an ONNX model; types are the model's."""
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    # TensorRT 11 knows no other kind, 10 has to be told.
    strongly = tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    network = builder.create_network(1 << int(strongly))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(typed(path, precision).SerializeToString()):
        raise ValueError(f"{path}: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    if precision == "float32":
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ValueError(f"{path}: TensorRT built no engine")
    engine = tensorrt.Runtime(logger).deserialize_cuda_engine(plan)
    if engine is None:
        raise ValueError(f"{path}: TensorRT cannot load the engine that it built")
    return engine


def step_of(engine: Any) -> Callable[[], object]:
    """A function that infers; it ends when the scores are on the host."""
    context = engine.create_execution_context()
    tensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        shape = tuple(engine.get_tensor_shape(name))
        kind = TYPES[engine.get_tensor_dtype(name)]
        tensors[name] = torch.randn(shape, device="cuda", dtype=kind)
        context.set_tensor_address(name, tensors[name].data_ptr())
    (scores,) = (
        tensor
        for name, tensor in tensors.items()
        if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.OUTPUT
    )
    stream = torch.cuda.Stream()

    def infer() -> None:
        with torch.cuda.stream(stream):
            if not context.execute_async_v3(stream.cuda_stream):
                raise RuntimeError("TensorRT could not run the engine")
            scores.cpu()

    return infer


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    free, _ = torch.cuda.mem_get_info()
    engine = engine_of(job["models"][str(job["batch"])], job["precision"])

    def used() -> float:
        # Its memory is not PyTorch's: what is gone since the start.
        return (free - torch.cuda.mem_get_info()[0]) / 2**20

    step = step_of(engine)
    measurement.measure_blocks(
        job, step, tensorrt.__version__, torch.cuda.synchronize, used
    )


if __name__ == "__main__":
    main()
