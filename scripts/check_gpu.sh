#!/usr/bin/env bash
# Checks the GPU of this machine: builds the library for it, runs its tests there, and
# prints how long the release's two layers take.
# Needs an NVIDIA driver, CUDA 12.4 or later with nvcc, and cuDNN 9 with its headers.
#   CUDACXX=/path/to/nvcc bash scripts/check_gpu.sh     chooses another CUDA
#   bash scripts/check_gpu.sh -DCAFFE_CUDNN_INCLUDE=... -DCAFFE_CUDNN_LIBRARY=...  for CMake
set -euo pipefail
EXTRAS=${EXTRAS:-demo}
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

CUDACXX=${CUDACXX:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
export CUDACXX
[ -x "$CUDACXX" ] ||
  die "no CUDA compiler at $CUDACXX; install NVIDIA's CUDA toolkit, or name its nvcc with CUDACXX=/path/to/nvcc"
capability=$(nvidia-smi --id=0 --query-gpu=compute_cap --format=csv,noheader) ||
  die "nvidia-smi found no GPU; this check needs one and its driver"

configure() {
  cmake -S . -B build/gpu -G Ninja -DCAFFE_BUILD_TESTS=ON -DCAFFE_CUDA=ON \
    "-DCMAKE_CUDA_ARCHITECTURES=${capability/./}" "$@"
}
compile() { cmake --build build/gpu --target caffe_gpu --parallel "$(nproc)"; }
step "configure GPU tests" configure "$@"
step "compile GPU tests" compile

ctest --test-dir build/gpu -R '^gpu' --output-on-failure --no-tests=error
build/gpu/tests/cuda/gpu/caffe_gpu_layer_times
if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  echo "PyTorch's times:"
  python benchmarks/gpu_layer_times.py
fi
