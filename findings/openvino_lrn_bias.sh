#!/usr/bin/env bash
# OpenVINO 2026.4.1, CPU plugin: the bias of LRN (Caffe's k) is cut to a whole number. With
# AlexNet's 2 or the default 1 nothing shows; 1.5 computes as 1, 2.7 as 2, and everything
# below 1 as 0, where quiet places are divided by almost nothing. No message. ONNX Runtime
# computes all of them right from the same file.
#
# Seen with openvino 2026.4.1, onnx 1.23.2, onnxruntime 1.23.2, CPython 3.11, against the
# formula of the operator's specification in float64, size 5, alpha 1, beta 0.75:
#   bias 2: openvino off by 1.0e-07, onnxruntime by 1.3e-07
#   bias 1.5: openvino off by 2.1e-01 (by 1.8e-07 from bias 1), onnxruntime by 1.9e-07
#   bias 0.9: openvino off by 1.4e+00 (by 1.9e-07 from bias 0), onnxruntime by 3.5e-07
#
# Exits 0 if all that is so, 1 if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.23.2 openvino==2026.4.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import io
import sys

import numpy as np
import onnxruntime
import openvino
from onnx import TensorProto, helper

SHAPE = (2, 8, 3, 3)
X = (3 * np.random.default_rng(0).standard_normal(SHAPE)).astype(np.float32)


def formula(bias):
    exact = X.astype(np.float64)
    result = np.empty(SHAPE)
    for c in range(SHAPE[1]):
        near = exact[:, max(0, c - 2) : c + 3]
        result[:, c] = exact[:, c] / (bias + (near**2).sum(axis=1) / 5) ** 0.75
    return result


def far(got, bias):
    return float(np.abs(got - formula(bias)).max())


ok = True
for bias in (2.0, 1.5, 0.9):
    node = helper.make_node("LRN", ["x"], ["y"], size=5, alpha=1.0, beta=0.75, bias=bias)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "lrn",
        [value("x", TensorProto.FLOAT, SHAPE)],
        [value("y", TensorProto.FLOAT, SHAPE)],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(io.BytesIO(model)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    vino = compiled(X)[0]
    (runtime,) = onnxruntime.InferenceSession(model).run(None, {"x": X})
    whole = int(bias)
    cut = "" if whole == bias else f" (by {far(vino, whole):.1e} from bias {whole})"
    print(
        f"bias {bias:g}: openvino off by {far(vino, bias):.1e}{cut}, "
        f"onnxruntime by {far(runtime, bias):.1e}"
    )
    ok &= far(runtime, bias) < 1e-5 and far(vino, whole) < 1e-5
    ok &= whole == bias or far(vino, bias) > 0.1
sys.exit(not ok)
PY
