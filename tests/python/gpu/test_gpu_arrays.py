"""Blobs in GPU memory, as arrays for other libraries."""

from __future__ import annotations

from pathlib import Path

import pytest
from emulated_gpus import needed, succeed

import caffe

PROGRAM = Path(__file__).with_name("array_program.py")
SUBJECTS = (
    "interface_of_the_cuda_array",
    "tensor_of_dlpack",
    "what_is_written_counts",
    "what_is_held_shows_each_run",
    "gradients",
    "two_that_may_write",
    "memory_outlives_blob_and_net",
    "capsules_that_nobody_takes_free_the_memory",
    "values_that_are_not_kept",
    "streams",
    "what_cannot_be_had",
    "shapes_without_axes_and_without_values",
    "memory_of_another_gpu",
    "layers_in_python",
)


@needed
@pytest.mark.parametrize("subject", SUBJECTS)
def test_arrays(subject, tmp_path):
    succeed("python", PROGRAM, subject, cwd=tmp_path, PYTHONPATH=PROGRAM.parents[1])


@pytest.mark.skipif(caffe._caffe.has_gpu, reason="this build has GPU support")
@pytest.mark.parametrize(
    "name", ["gpu_data", "gpu_diff", "mutable_gpu_data", "mutable_gpu_diff"]
)
def test_a_build_without_gpus_says_so(name):
    with pytest.raises(RuntimeError, match=rf"Blob\.{name}: .* no GPU support"):
        getattr(caffe.Blob(2, 3), name)
