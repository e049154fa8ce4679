#!/usr/bin/env bash
# onnx 1.23.2: the ReferenceEvaluator's LRN normalises as many channels as the batch has
# images, and leaves the others divided by bias^beta alone. A reference implementation is
# what one would settle an argument with; for LRN (AlexNet, GoogLeNet) ONNX Runtime is
# right and the reference is wrong, by more than the values are large. With as many images
# as channels the two agree, so that a square test tensor does not show it.
#
# Seen with onnx 1.23.2 and onnxruntime 1.23.2, CPython 3.11, against the formula of the
# operator's specification in float64, size 3, alpha 1, beta 0.75, bias 1:
#   images 1, channels 6: reference off by 6.2e+00, onnxruntime by 1.9e-07
#   images 6, channels 6: reference off by 1.2e-07, onnxruntime by 2.3e-07
#
# Exits 0 if all that is so, 1 if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  onnx==1.23.2 onnxruntime==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

CHANNELS = 6


def errors(images):
    shape = (images, CHANNELS, 2, 2)
    x = (3 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("LRN", ["x"], ["y"], size=3, alpha=1.0, beta=0.75, bias=1.0)],
            "lrn",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    exact = x.astype(np.float64)
    want = np.empty(shape)
    for c in range(CHANNELS):
        near = exact[:, max(0, c - 1) : c + 2]
        want[:, c] = exact[:, c] / (1 + (near**2).sum(axis=1) / 3) ** 0.75
    (reference,) = ReferenceEvaluator(model).run(None, {"x": x})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (runtime,) = session.run(None, {"x": x})
    found = [float(np.abs(got - want).max()) for got in (reference, runtime)]
    print(
        f"images {images}, channels {CHANNELS}: reference off by {found[0]:.1e}, "
        f"onnxruntime by {found[1]:.1e}"
    )
    return found


one, square = errors(1), errors(CHANNELS)
sys.exit(not (one[0] > 1 and max(one[1], *square) < 1e-5))
PY
