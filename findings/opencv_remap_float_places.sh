#!/usr/bin/env bash
# cv2.remap and cv2.warpAffine, INTER_LINEAR, of a float32 image at float32 places: OpenCV
# 4.14.0 rounds the places to 1/32 of a pixel all the same, OpenCV 5.0.0 does not. The
# same call on the same valid input so differs by over five of 255 levels between two
# current releases of one package, while cv2.resize (INTER_LINEAR, float32) is exact to
# 0.001 in both. Nothing in the types says so: one would guess that float32 places of a
# float32 image are used as they are. Who trains with one release and evaluates with the
# other, or checks another framework's rotation against cv2, sees other pixels.
#
# Output on Debian 12, x86-64, Python 3.11:
#   4.14.0: remap off by 5.43 levels, warpAffine by 5.11, resize by 0.0000
#   4.14.0: remap at column 10 + 1/100 gives the level of column 10 + 0/32
#   5.0.0: remap off by 0.00 levels, warpAffine by 0.00, resize by 0.0000
#   5.0.0: remap at column 10 + 1/100 gives the level of column 10 + 0.01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for version in 4.14.0.94 5.0.0.93; do
  "$folder/venv/bin/pip" install -q --disable-pip-version-check \
    numpy==2.4.6 "opencv-python-headless==$version"
  "$folder/venv/bin/python" - "$version" <<'PY'
import sys

import cv2
import numpy as np

image = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
image = image.astype(np.float32)


def bilinear(y, x):
    """In float64, at places inside of the image."""
    low_y, low_x = y.astype(int), x.astype(int)
    fy, fx = y - low_y, x - low_x
    top = image[low_y, low_x] * (1 - fx) + image[low_y, low_x + 1] * fx
    bottom = image[low_y + 1, low_x] * (1 - fx) + image[low_y + 1, low_x + 1] * fx
    return top * (1 - fy) + bottom * fy


random = np.random.default_rng(1)
x, y = random.uniform(0, 298, (2, 224, 224)).astype(np.float32)
remapped = cv2.remap(image, x, y, cv2.INTER_LINEAR)
remap = np.abs(remapped - bilinear(y.astype(float), x.astype(float))).max()

angle = np.radians(7)
matrix = np.array(
    [[np.cos(angle), -np.sin(angle), 40], [np.sin(angle), np.cos(angle), 20.3]]
)
row, column = np.indices((200, 200))
turned = cv2.warpAffine(
    image, matrix, (200, 200), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
)
u, v = (m[0] * column + m[1] * row + m[2] for m in matrix)
affine = np.abs(turned - bilinear(v, u)).max()

places = np.clip((np.arange(224) + 0.5) * 300 / 224 - 0.5, 0, 298.999999)
want = bilinear(*np.meshgrid(places, places, indexing="ij"))
resize = np.abs(cv2.resize(image, (224, 224)) - want).max()
print(
    f"{cv2.__version__}: remap off by {remap:.2f} levels, warpAffine by {affine:.2f}, "
    f"resize by {resize:.4f}"
)

ramp = np.tile(np.arange(20, dtype=np.float32) * 32, (20, 1))
at = np.full((1, 1), 10.01, np.float32)
level = float(cv2.remap(ramp, at, np.full((1, 1), 5, np.float32), cv2.INTER_LINEAR)[0, 0])
rounded = level == 320.0
print(
    f"{cv2.__version__}: remap at column 10 + 1/100 gives the level of column 10 + "
    + ("0/32" if rounded else f"{level / 32 - 10:.2f}")
)
old = sys.argv[1].startswith("4.")
expected = (
    resize < 0.01
    and rounded == old
    and (remap > 5 and affine > 5 if old else remap < 0.02 and affine < 0.02)
)
sys.exit(0 if expected else 1)
PY
done
