#!/usr/bin/env bash
# OpenCV 5.0.0, cv2.dnn.readNetFromONNX: what a padded AveragePool computes depends on the
# producer_name of the file. Without the attribute count_include_pad, whose default is 0 in
# ONNX (padding does not count), a file whose producer is "pytorch" has its padding counted;
# the same file under any other name has not. So a tool that loads a file of PyTorch's,
# changes something and saves it keeps its results or not by the name that it leaves. An
# exporter is safe that writes the attribute always.
#
# Seen with opencv-python-headless 5.0.0.93, onnx 1.23.2, onnxruntime 1.23.2, CPython 3.11,
# 3 x 3 windows, stride 2, pads of 1, values from 1 to 2:
#   producer 'pytorch', no attribute: off by 9.5e-01 from onnxruntime
#   producer 'other', no attribute: off by 2.4e-07 from onnxruntime
#   producer 'pytorch', count_include_pad=1: off by 1.2e-07 from onnxruntime
#
# Exits 0 if all that is so, 1 if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.23.2 opencv-python-headless==5.0.0.93 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import cv2
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

X = np.random.default_rng(0).uniform(1, 2, (1, 2, 7, 7)).astype(np.float32)


def off(producer, **attributes):
    node = helper.make_node(
        "AveragePool",
        ["x"],
        ["y"],
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        **attributes,
    )
    value = helper.make_tensor_value_info
    model = helper.make_model(
        helper.make_graph(
            [node],
            "pool",
            [value("x", TensorProto.FLOAT, X.shape)],
            [value("y", TensorProto.FLOAT, (1, 2, 4, 4))],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name=producer,
    ).SerializeToString()
    (want,) = onnxruntime.InferenceSession(model).run(None, {"x": X})
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model, np.uint8))
    net.setInput(X)
    distance = float(np.abs(net.forward() - want).max())
    text = ", ".join(f"{k}={v}" for k, v in attributes.items()) or "no attribute"
    print(f"producer '{producer}', {text}: off by {distance:.1e} from onnxruntime")
    return distance


named = off("pytorch")
other = off("other")
written = off("pytorch", count_include_pad=1)
sys.exit(not (named > 0.5 and max(other, written) < 1e-5))
PY
