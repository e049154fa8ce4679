#!/usr/bin/env bash
# Compiles the library's own sources for 64-bit ARM, with Debian's cross compiler
# (apt-get install g++-aarch64-linux-gnu) and the flags that CMake finds it to know.
# Nothing is linked or run: the libraries that Caffe uses are here for this machine only.
#   bash scripts/check_aarch64.sh [SOURCE.cpp ...]     by default all of src/caffe
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"

COMPILER=aarch64-linux-gnu-g++
command -v "$COMPILER" >/dev/null ||
  die "the compiler '$COMPILER' is missing; run: apt-get install g++-aarch64-linux-gnu"

# What CMake would compile with there, MPI and LevelDB included where they are here.
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT
mkdir -p "$OUT/include/caffe/proto"
cat >"$OUT/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.22)
project(flags LANGUAGES CXX)
include($ROOT/cmake/NativeArch.cmake)
add_library(flags INTERFACE)
caffe_native_arch(flags INTERFACE)
get_property(options TARGET flags PROPERTY INTERFACE_COMPILE_OPTIONS)
list(JOIN options " " options)
file(WRITE "$OUT/flags" "\${options}\n")
END
CXX=$COMPILER cmake -S "$OUT" -B "$OUT/cmake" -DCMAKE_SYSTEM_NAME=Linux \
  -DCMAKE_SYSTEM_PROCESSOR=aarch64 >"$OUT/cmake.log"
read -ra flags <"$OUT/flags"
protoc --cpp_out="$OUT/include/caffe/proto" -I src/caffe/proto caffe.proto

# The dependencies' headers fit every processor, but lie beside those of this machine's C
# library, which do not: so one by one.
for header in absl google leveldb lmdb.h oneapi opencv4/opencv2 utf8_range.h \
  utf8_validity.h dnnl{,_config,_debug,_types,_version}.{h,hpp}; do
  [ ! -e "/usr/include/$header" ] ||
    ln -s "/usr/include/$header" "$OUT/include/$(basename "$header")"
done
for header in jpeglib.h jmorecfg.h jerror.h "$(g++ -print-multiarch)/jconfig.h"; do
  ln -s "/usr/include/$header" "$OUT/include/$(basename "$header")"
done
read -ra headers < <(pkg-config --cflags-only-I hdf5 ompi-c)
headers=("${headers[@]/#-I/-isystem}")

sources=("$@")
[ $# -gt 0 ] || mapfile -t sources < <(find src/caffe -name '*.cpp' ! -path '*/gpu/*' | sort)
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 1 "$COMPILER" -std=c++20 -O1 \
  -fopenmp -fPIC -DCPU_ONLY -DUSE_LMDB -DUSE_LEVELDB -DUSE_OPENCV -DOMPI_SKIP_MPICXX \
  "${flags[@]}" -Iinclude -Isrc -isystem "$OUT/include" "${headers[@]}" -c -o /dev/null
echo "$COMPILER compiled ${#sources[@]} sources"
