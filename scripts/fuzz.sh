#!/usr/bin/env bash
# Has libFuzzer invent files for every parser, from the seeds in tests/fuzz/corpus, with
# both sanitizers: a crash, an exception that is no caffe::Error, more than 10 s for one
# file or more than 256 MiB at once is a fault.
#   bash scripts/fuzz.sh             a minute for each target
#   bash scripts/fuzz.sh 1800 image  half an hour of processor time for one
# Inputs that lead to new code are kept in build/fuzz/found, faults in build/fuzz/faults.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
seconds=${1:-60}
shift || :
command -v clang++ >/dev/null ||
  die "no clang++ found; install it with its run-time libraries (apt-get install clang libclang-rt-14-dev libomp-dev)"

configure() { cmake --preset fuzz; }
compile() { cmake --build --preset fuzz --parallel "$(nproc)"; }
step "configure the fuzz targets" configure
step "compile the fuzz targets" compile

targets=()
for source in tests/fuzz/*_fuzzer.cpp; do
  name=$(basename "$source" _fuzzer.cpp)
  if [ $# = 0 ] || [[ " $* " == *" $name "* ]]; then targets+=("$name"); fi
done
[ ${#targets[@]} -gt 0 ] || die "no fuzz target is called $*"

# Larger allocations fail, as they do on a machine that has no more memory.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=256:detect_leaks=1
export UBSAN_OPTIONS=print_stacktrace=1 OMP_NUM_THREADS=1
export LSAN_OPTIONS=suppressions="$ROOT/tests/fuzz/leaks.txt":print_suppressions=0
fuzz() {
  local name=$1 found="build/fuzz/found/$1" faults="build/fuzz/faults/$1"
  mkdir -p "$found" "$faults"
  "build/fuzz/tests/fuzz/${name}_fuzzer" "$found" "tests/fuzz/corpus/${name}_fuzzer" \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="$faults/" -print_final_stats=1
}
export -f fuzz step die
export ROOT seconds
printf '%s\n' "${targets[@]}" |
  xargs -P "$(nproc)" -I '{}' bash -euo pipefail -c 'step "fuzz {}" fuzz {}'
