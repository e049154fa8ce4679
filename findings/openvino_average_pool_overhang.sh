#!/usr/bin/env bash
# OpenVINO 2026.4 divides an ONNX AveragePool window that overhangs the padding by the whole
# kernel. With ceil_mode=1 the last window may begin inside of the padded image and end
# outside of it; with count_include_pad=1 the divisor is the window's part inside of the
# padded image, in ONNX's reference and in ONNX Runtime, as it always was in Caffe's AVE
# pooling. So a net that rounds up (Caffe's rule for pooling) with padding comes out wrong
# at its lower and right edge, by a factor of up to 9/4 for a 3x3 window, without a word.
# onnxruntime 1.23.2 still did the same as OpenVINO. Without padding, with
# count_include_pad=0, or where no window overhangs, all agree.
#
# Seen with openvino 2026.4.1, onnxruntime 1.32.0 and onnx 1.23.2 on a 4x4 image of 1..16,
# kernel 3, stride 2, pads 1, last row of the result:
#   onnx 4.50 7.50 4.00
#   onnxruntime 4.50 7.50 4.00
#   openvino 3.00 5.00 1.78
#
# Exits 0 if all that is so, 1 if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.32.0 openvino==2026.4.1
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

image = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
model = helper.make_model(
    helper.make_graph(
        [
            helper.make_node(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
                ceil_mode=1,
                count_include_pad=1,
            )
        ],
        "pool",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 1, 4, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 3, 3))],
    ),
    opset_imports=[helper.make_opsetid("", 17)],
    ir_version=8,
)
data = model.SerializeToString()
core = openvino.Core()
compiled = core.compile_model(
    core.read_model(data), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
)
results = {
    "onnx": ReferenceEvaluator(model).run(None, {"x": image})[0],
    "onnxruntime": onnxruntime.InferenceSession(data).run(None, {"x": image})[0],
    "openvino": compiled(image)[0],
}
for name, result in results.items():
    print(name, *(f"{value:.2f}" for value in np.asarray(result)[0, 0, 2]))
edge = {name: np.asarray(result)[0, 0, 2] for name, result in results.items()}
# Elements of the three windows that lie in the padded image, of 6x6.
same = np.allclose(edge["onnx"], edge["onnxruntime"])
whole_kernel = np.allclose(edge["openvino"] * 9 / np.array([6, 6, 4]), edge["onnx"])
sys.exit(not (same and whole_kernel))
PY
