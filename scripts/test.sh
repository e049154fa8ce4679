#!/usr/bin/env bash
# Builds and installs everything, then runs the C++ tests (ctest) and the Python tests
# (pytest). Ends with the closing lines of both; exits non-zero if either failed.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

# The build tree that pip used: the tests link the library compiled there.
tag=$(python -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
build_dir=$(echo build/"$tag"-*)
# Device code is compiled as well, with NVIDIA's compiler from PyPI (0.8 GB, no GPU needed).
cuda_stamp="$VIRTUAL_ENV/cuda-compiler.$(sha256sum <tests/cuda/requirements.txt | cut -c 1-16)"
if [ ! -e "$cuda_stamp" ]; then
  step "CUDA compiler" pip_install --no-deps -r tests/cuda/requirements.txt
  touch "$cuda_stamp"
fi
# The real glog and gflags, beside which programs are compiled: unpacked, not installed,
# since others show a machine without them. Without a network these tests are left out.
unpack_real_headers() {
  local folder=$PWD/build/real_headers dev="libgoogle-glog-dev libgflags-dev" libraries
  mkdir -p "$folder" && cd "$folder"
  # shellcheck disable=SC2086  # a list of package names
  libraries=$(apt-cache depends -i $dev | awk '/Depends: lib(google-glog|gflags)/ {print $2}')
  libraries+=" $(apt-cache depends -i $libraries | awk '/Depends: libunwind/ {print $2}')"
  # shellcheck disable=SC2086
  apt-get download $dev $(echo $libraries | tr ' ' '\n' | sort -u) &&
    for package in *.deb; do dpkg -x "$package" . || return; done
}
if [ ! -e build/real_headers/usr/include/glog/logging.h ]; then
  (unpack_real_headers >/dev/null 2>&1) || echo "glog and gflags cannot be fetched"
fi
configure() { cmake -S . -B "$build_dir" -DCAFFE_BUILD_TESTS=ON; }
compile() { cmake --build "$build_dir" --parallel "$(nproc)"; }
step "configure C++ tests" configure
step "compile C++ tests" compile
step "compile the library for aarch64" bash scripts/check_aarch64.sh
configure_for_gpus() {
  cmake -S tests/cuda/nvcc -B build/nvcc -G Ninja -DCPU_BUILD="$build_dir"
}
compile_for_gpus() { cmake --build build/nvcc --parallel "$(nproc)"; }
step "configure the library for GPUs" configure_for_gpus
step "compile the library for GPUs" compile_for_gpus

mkdir -p build/logs
# Tests run side by side, in processes of several OpenMP threads: threads that spin while
# they wait would take the processors from the others.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-passive}"
status=0
ctest --test-dir "$build_dir" --parallel "$(nproc)" --output-on-failure \
  2>&1 | tee build/logs/ctest.log || status=1
python -m pytest --numprocesses "$(nproc)" --dist loadgroup 2>&1 | tee build/logs/pytest.log || status=1

echo
grep -E '^[0-9]+% tests passed' build/logs/ctest.log || echo "ctest: no test ran"
tail -n 1 build/logs/pytest.log
exit $status
