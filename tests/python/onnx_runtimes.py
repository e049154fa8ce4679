"""Three runtimes that read ONNX files, each with an importer and kernels of its own.

OpenCV stands beside ONNX Runtime and OpenVINO because users of this field have it, one
wheel fits every Python, and it runs all operators that the exporter writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import openvino


class OnnxRuntime:
    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(
            path, providers=["CPUExecutionProvider"]
        )

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: list[str]):
        return self.session.run(outputs, dict(inputs))


class OpenVino:
    def __init__(self, path: Path) -> None:
        # On processors with bfloat16 that would be the default.
        self.model = openvino.Core().compile_model(
            path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: list[str]):
        results = self.model(dict(inputs))
        return [results[name] for name in outputs]


class OpenCv:
    def __init__(self, path: Path) -> None:
        self.net = cv2.dnn.readNetFromONNX(str(path))

    def __call__(self, inputs: Mapping[str, np.ndarray], outputs: list[str]):
        for name, array in inputs.items():
            self.net.setInput(array, name)
        return [np.array(result) for result in self.net.forward(outputs)]


RUNTIMES = (OnnxRuntime, OpenVino, OpenCv)
