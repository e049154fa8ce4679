#!/usr/bin/env bash
# PyTorch writes to arrays of others that are only to be read, if it got them by DLPack.
#
# DLPack 1.0 marks such an array (DLPACK_FLAG_BITMASK_READ_ONLY), and NumPy and CuPy do so.
# PyTorch 2.13.0 asks for version 1.0, gets the mark, and makes a usual tensor of it: no
# error, no warning, and what is written lands in the other library's memory. By the older
# way, __cuda_array_interface__, the same array is refused with a TypeError. One would expect
# the same of both. Whoever hands out memory that must not change cannot rely on the mark.
# Seen:
#
#   PyTorch 2.13.0+cpu
#   DLPack of an array that is only to be read: tensor, and the array is [7.0, 1.0, 2.0]
#   CUDA array interface: TypeError, the read only flag is not supported, should always be False
#
# Exits with 1 if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 'numpy==2.2.6'
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import warnings

import numpy as np
import torch

warnings.simplefilter("error")
print("PyTorch", torch.__version__)
array = np.arange(3.0)
array.flags.writeable = False
tensor = torch.from_dlpack(array)
tensor[0] = 7
print("DLPack of an array that is only to be read: tensor, and the array is", array.tolist())


class OnAGpu:
    __cuda_array_interface__ = {
        "shape": (2,),
        "typestr": "<f4",
        "data": (4096, True),
        "version": 3,
        "strides": None,
        "stream": 1,
    }


try:
    torch.as_tensor(OnAGpu(), device="cuda")
    refused = "no"
except (TypeError, RuntimeError) as error:
    refused = type(error).__name__
    print(f"CUDA array interface: {refused}, {error}")
sys.exit(array[0] != 7 or refused != "TypeError")
PYTHON
