#!/usr/bin/env bash
# OpenCV multiplies the colours of a TIFF by its alpha, of a PNG or WebP it does not.
#
# The same RGBA pixels are written as PNG, WebP and TIFF by Pillow 12.0.0 (the TIFF says
# that its alpha is "unassociated", that is, not multiplied into the colours) and read by
# opencv-python-headless 4.12.0.88. One would expect the stored levels from all three, in
# particular with IMREAD_UNCHANGED. For the TIFF OpenCV goes through libtiff's RGBA
# interface, which multiplies; IMREAD_COLOR then drops the alpha, so that nothing tells
# why the picture is dark. Whoever mixes formats in one data set trains on two kinds of
# pixels. Seen (blue, green, red, alpha of one pixel stored as 50, 100, 200, 51):
#
#   OpenCV 4.12.0
#   PNG  IMREAD_COLOR     [50, 100, 200]
#   PNG  IMREAD_UNCHANGED [50, 100, 200, 51]
#   WEBP IMREAD_COLOR     [50, 100, 200]
#   WEBP IMREAD_UNCHANGED [50, 100, 200, 51]
#   TIFF IMREAD_COLOR     [10, 20, 40]
#   TIFF IMREAD_UNCHANGED [10, 20, 40, 51]
#
# The same with opencv-python-headless 5.0.0.93 and with Debian 12's OpenCV 4.6.0.
# Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  opencv-python-headless==4.12.0.88 pillow==12.0.0 'numpy==2.2.6'
"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import cv2
import numpy as np
from PIL import Image

stored = [50, 100, 200, 51]  # blue, green, red, alpha
pixels = np.full((4, 4, 4), [stored[i] for i in (2, 1, 0, 3)], np.uint8)
print("OpenCV", cv2.__version__)
got = {}
for kind, options in (
    ("PNG", {}),
    ("WEBP", {"lossless": True, "exact": True}),
    ("TIFF", {}),
):
    file = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(file, kind, **options)
    # The file has what it was given: Pillow reads it back.
    assert np.array_equal(np.asarray(Image.open(file)), pixels)
    data = np.frombuffer(file.getvalue(), np.uint8)
    for flag in ("IMREAD_COLOR", "IMREAD_UNCHANGED"):
        got[kind, flag] = cv2.imdecode(data, getattr(cv2, flag))[0, 0].tolist()
        print(f"{kind:4} {flag:16} {got[kind, flag]}")
multiplied = [round(level * stored[3] / 255) for level in stored[:3]]
as_seen = {
    ("PNG", "IMREAD_COLOR"): stored[:3],
    ("PNG", "IMREAD_UNCHANGED"): stored,
    ("WEBP", "IMREAD_COLOR"): stored[:3],
    ("WEBP", "IMREAD_UNCHANGED"): stored,
    ("TIFF", "IMREAD_COLOR"): multiplied,
    ("TIFF", "IMREAD_UNCHANGED"): [*multiplied, stored[3]],
}
sys.exit(got != as_seen)
PYTHON
