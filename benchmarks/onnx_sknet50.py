"""SKNet-50 in ONNX Runtime, OpenVINO or OpenCV; counterpart of `caffe_sknet50.py`.

Reads one job as JSON from its command line and prints the result as JSON; see
`peers.py`, which exports the model. Needs `pip install onnxruntime openvino
opencv-python-headless`; nothing of sknet-caffe.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import measurement
import numpy as np


def with_onnxruntime(
    path: str, images: Any, threads: int, bf16: bool
) -> tuple[Callable[[], Any], str]:
    """A function that infers, and the version."""
    import onnxruntime

    if bf16:
        raise ValueError("ONNX Runtime has no bfloat16 convolution on the CPU")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    feed = {session.get_inputs()[0].name: images}
    return lambda: session.run(None, feed), onnxruntime.__version__


def with_openvino(
    path: str, images: Any, threads: int, bf16: bool
) -> tuple[Callable[[], Any], str]:
    """A function that infers, and the version."""
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        path,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # Its default is bfloat16 where the processor has it.
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        },
    )
    return lambda: compiled([images]), openvino.__version__.split("-")[0]


def with_opencv(
    path: str, images: Any, threads: int, bf16: bool
) -> tuple[Callable[[], Any], str]:
    """A function that infers, and the version."""
    import cv2

    if bf16:
        raise ValueError("OpenCV has no bfloat16")
    if threads:
        cv2.setNumThreads(threads)
    net = cv2.dnn.readNetFromONNX(path)

    def infer() -> Any:
        net.setInput(images)
        return net.forward()

    return infer, cv2.__version__


RUNTIMES = {
    "onnxruntime": with_onnxruntime,
    "openvino": with_openvino,
    "opencv": with_opencv,
}


def main() -> None:
    """Runs the job and prints its result."""
    job = measurement.job()
    images = np.random.default_rng(1).standard_normal(
        (job["batch"], 3, 224, 224), dtype=np.float32
    )
    path = job["models"][str(job["batch"])]
    runtime = RUNTIMES[job["runtime"]]
    step, version = runtime(path, images, job["threads"], job["bf16"])
    measurement.measure(job, step, version)


if __name__ == "__main__":
    main()
