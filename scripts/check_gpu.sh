#!/usr/bin/env bash
# Checks the GPU of this machine: builds the library for it, runs its tests there, a part of
# them under compute-sanitizer, trains the digits' net to its error on the processor, and
# measures networks and kernels beside PyTorch and TensorRT, where these are installed.
# It takes ten minutes, and the downloads of its first time; the measurements get what is left.
#
#   bash scripts/check_gpu.sh                        all of it
#   bash scripts/check_gpu.sh --seconds 3600         measurements that take an hour
#   bash scripts/check_gpu.sh --offline WHEELS       without network (docs/gpu.md)
#   bash scripts/check_gpu.sh --no-peers             without installing PyTorch
#   bash scripts/check_gpu.sh -DCAFFE_CUDNN_INCLUDE=... -DCAFFE_CUDNN_LIBRARY=...   for CMake
#
# Needs an NVIDIA driver. The compiler is CUDACXX, the system's CUDA of 12.4 or later, or
# else NVIDIA's packages of Python.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
LIMIT_S=600 LEAST_S=120
MEASUREMENT_S=''
WITH_PEERS=yes
WHEELS=''
OPTIONS=()
while [ $# -gt 0 ]; do
  case $1 in
    --seconds | --offline)
      [ $# -gt 1 ] || die "$1 needs a value; the beginning of this script shows how"
      if [ "$1" = --seconds ]; then MEASUREMENT_S=$2; else WHEELS=$2; fi
      shift
      ;;
    --no-peers) WITH_PEERS='' ;;
    -D*) OPTIONS+=("$1") ;;
    *) die "'$1' is no option of this script, whose beginning lists them" ;;
  esac
  shift
done
case $MEASUREMENT_S in *[!0-9]*) die "--seconds is '$MEASUREMENT_S', expected a whole number" ;; esac
if [ -n "$WHEELS" ]; then
  [ -d "$WHEELS" ] || die "'$WHEELS' is no folder; docs/gpu.md says how to make one of wheels"
  WHEELS=$(cd "$WHEELS" && pwd)
fi
capability=$(nvidia-smi --id=0 --query-gpu=compute_cap --format=csv,noheader) ||
  die "nvidia-smi found no GPU; this check needs one and its driver"

# One build is the package's and the tests'.
BUILD_SETTINGS=(
  --config-settings=build-dir=build/gpu
  --config-settings=cmake.define.CAFFE_CUDA=ON
  --config-settings=cmake.define.CAFFE_BUILD_TESTS=ON
  "--config-settings=cmake.define.CMAKE_CUDA_ARCHITECTURES=${capability/./}"
)
for option in ${OPTIONS[@]+"${OPTIONS[@]}"}; do
  BUILD_SETTINGS+=("--config-settings=cmake.define.${option#-D}")
done
EXTRAS=${EXTRAS:-demo}
CUDACXX=${CUDACXX:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [ -x "$CUDACXX" ]; then
  export CUDACXX
else
  unset CUDACXX
  EXTRAS+=,cuda
  mapfile -t MORE_REQUIREMENTS < <(
    sed -n '/^if\.env\.CAFFE_CUDA/,/^]/s/^ *"\(.*\)",$/\1/p' \
      "$(dirname "${BASH_SOURCE[0]}")/../pyproject.toml"
  )
fi
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
tests=build/gpu/tests/cuda/gpu/caffe_gpu_tests

has_gpu_torch() { "$PEER_PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; }
PEER_PYTHON=${PEER_PYTHON:-$VIRTUAL_ENV/bin/python}
ours=$([ "$PEER_PYTHON" = "$VIRTUAL_ENV/bin/python" ] && echo yes || true)
if [ -n "$WITH_PEERS" ] && [ -n "$ours" ] && ! has_gpu_torch 2>/dev/null; then
  (step "PyTorch" pip_install --upgrade torch) ||
    echo "PyTorch cannot be installed, and is not measured"
fi
if [ -n "$WITH_PEERS" ] && [ -n "$ours" ] && [ -n "$WHEELS" ] && compgen -G "$WHEELS/tensorrt-*" >/dev/null; then
  (step "TensorRT" pip_install tensorrt onnx) ||
    echo "TensorRT cannot be installed, and is not measured"
fi

# Those of an earlier build, if only they have changed.
compile_tests() { cmake --build build/gpu --target caffe_gpu_tests caffe_tests; }
step "compile the tests" compile_tests
on_gpu() {
  ctest --test-dir build/gpu -R '^gpu' --no-tests=error --output-on-failure \
    --parallel "$(($(nproc) < 8 ? $(nproc) : 8))"
}

# check NAME COMMAND...: a step whose failure does not keep the others from running.
failed=()
check() { (step "$@") || failed+=("$1"); }

check "tests on the GPU" timeout 300 bash -c "$(declare -f on_gpu); on_gpu"

# What has shared memory, barriers, atomics and odd sizes; each tool sees all accesses of
# the kernels, and takes up to a hundred times as long.
sanitized='AxpyDeviceTest*:BatchNormDeviceTest*:ChannelsTest*:DeviceBranchesTest*:PoolingDeviceTest*:Im2ColDeviceTest*'
sanitizer=$(command -v compute-sanitizer ||
  compgen -G "$(dirname "${CUDACXX:-/usr/local/cuda/bin/nvcc}")/compute-sanitizer" || true)
if [ -n "$sanitizer" ]; then
  for tool in memcheck racecheck initcheck synccheck; do
    check "compute-sanitizer $tool" timeout 120 "$sanitizer" --tool "$tool" \
      --error-exitcode 9 "$tests" --gtest_brief=1 "--gtest_filter=$sanitized"
  done
else
  echo "compute-sanitizer is not installed: its four tools have not been run"
fi

check "train the digits" python scripts/digits_on_gpu.py build/gpu/digits
tail -n 2 "$ROOT/build/logs/train_the_digits.log"

left=$((LIMIT_S - SECONDS))
seconds=${MEASUREMENT_S:-$((left > LEAST_S ? left : LEAST_S))}
python benchmarks/gpu_peers.py --peer-python "$PEER_PYTHON" --seconds "$seconds" \
  --output build/gpu/measured.json | tee build/gpu/measured.txt || failed+=(measurements)
printf 'From start to end: %d min %02d s\n' $((SECONDS / 60)) $((SECONDS % 60))
[ ${#failed[@]} = 0 ] || die "these failed: $(printf '%s; ' "${failed[@]}")build/logs has what they said"
