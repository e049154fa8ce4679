#!/usr/bin/env bash
# Makes this checkout ready to use on Debian 12 or Ubuntu 22.04 and later: installs the
# apt packages that are missing, creates .venv, builds and installs sknet-caffe into it.
# Run it, or source it to go on inside the environment (demo.sh and test.sh do).
#   PYTHON=python3.12 bash scripts/setup.sh    chooses another interpreter
#   EXTRAS=demo bash scripts/setup.sh          leaves out what only tests need (PyTorch)
#   WHEELS=folder bash scripts/setup.sh        without network: Python's packages from a folder
# A script that sources it may set BUILD_SETTINGS, options of pip for the build, and
# MORE_REQUIREMENTS, packages that the build needs besides.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
EXTRAS=${EXTRAS:-demo,lint,test}
# shellcheck source=scripts/lib.sh
. "$ROOT/scripts/lib.sh"

# `patch` is for the package lmdb, which is compiled where it has no wheel for a Python.
APT_PACKAGES=(
  ca-certificates ccache g++ patch pkg-config
  libdnnl-dev libhdf5-dev libleveldb-dev liblmdb-dev libprotobuf-dev protobuf-compiler
  libjpeg-dev libopencv-core-dev libopencv-imgcodecs-dev libopencv-imgproc-dev
  libgmock-dev libgtest-dev libopenmpi-dev openmpi-bin
)
# What tests compile with besides.
case ",$EXTRAS," in *,test,*) APT_PACKAGES+=(g++-aarch64-linux-gnu) ;; esac
# The requirements of [build-system] in pyproject.toml, which --no-build-isolation leaves
# to us, and the build tools: Ubuntu 22.04's own CMake is older than 3.25.
BUILD_REQUIREMENTS=("scikit-build-core>=0.10" "nanobind>=2.4,<3" "cmake>=3.25,<4" ninja
  ${MORE_REQUIREMENTS[@]+"${MORE_REQUIREMENTS[@]}"})

# The first interpreter that the package supports (requires-python of pyproject.toml):
# python3, or the newest there is.
find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 $(compgen -c python3. | grep -Ex 'python3\.[0-9]+' |
    sort -ruV)}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  die "no Python from 3.10 on found (tried ${PYTHON:-python3}); install one (apt-get install python3) or name one with PYTHON=/path/to/python3"
}

# What this interpreter lacks: the distribution ships venv and the headers separately.
python_packages() {
  local version
  version=$("$1" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
  "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$version-venv"
  "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' ||
    echo "$version-dev"
}

missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

apt_install() {
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends "$@"
}

install_missing_packages() {
  local missing
  missing=$(missing_packages "$@" | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  [ -z "${WHEELS:-}" ] ||
    die "packages of the system are missing, which a folder of wheels does not have; install them and run this again: $missing"
  command -v apt-get >/dev/null ||
    die "this script installs with apt-get, which is not here; install these yourself and run it again: $missing"
  if [ "$(id -u)" != 0 ]; then
    { command -v sudo >/dev/null && sudo -v; } ||
      die "packages are missing and neither root nor sudo is at hand; have an administrator run: apt-get install --no-install-recommends $missing"
  fi
  # shellcheck disable=SC2086  # a list of package names
  step "apt packages" apt_install $missing
}

create_venv() {
  "$1" -m venv --clear "$ROOT/.venv" || return
  [ -n "${WHEELS:-}" ] ||
    "$ROOT/.venv/bin/python" -m pip install --disable-pip-version-check --upgrade pip
}

pip_install() {
  local from=()
  [ -z "${WHEELS:-}" ] || from=(--no-index --find-links "$WHEELS")
  python -m pip install --disable-pip-version-check ${from[@]+"${from[@]}"} "$@"
}

# Precompiled headers halve a build from nothing, but ccache cannot see through them:
# where it has compiled before, its hits save more. An existing build keeps its way.
build_options() {
  local tag
  tag=$(python -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  if [ ! -e "$(echo build/"$tag"-*)/CMakeCache.txt" ] &&
    [ ! -d "${CCACHE_DIR:-$HOME/.cache/ccache}" ]; then
    echo --config-settings=cmake.define.CAFFE_PRECOMPILE=ON
  fi
}

build_and_install() {
  # shellcheck disable=SC2046  # no option, or one
  pip_install --no-build-isolation $(build_options) \
    ${BUILD_SETTINGS[@]+"${BUILD_SETTINGS[@]}"} ".[$EXTRAS]"
}

# Everything that decides what gets installed.
fingerprint() {
  {
    python -VV
    echo "${BUILD_SETTINGS[*]-}"
    cat "$ROOT/scripts/setup.sh"
    find CMakeLists.txt README.md LICENSE pyproject.toml cmake include python src \
      -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -d ' ' -f 1
}

python_executable=$(find_python)
# shellcheck disable=SC2046  # zero, one or two package names
install_missing_packages "${APT_PACKAGES[@]}" $(python_packages "$python_executable")

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  step "virtual environment .venv" create_venv "$python_executable"
fi
VIRTUAL_ENV="$ROOT/.venv"
PATH="$VIRTUAL_ENV/bin:$PATH"
export VIRTUAL_ENV PATH
unset PYTHONHOME PYTHONPATH

# A line for each installation of the present sources: fingerprint and extras.
stamp="$VIRTUAL_ENV/sknet-caffe.installed"
print=$(fingerprint)
is_installed() {
  local extra
  for extra in ${EXTRAS//,/ }; do
    grep -qs "^$print .*\b$extra\b" "$stamp" || return 1
  done
}
if ! is_installed; then
  grep -qs "^$print " "$stamp" || rm -f "$stamp"
  step "build requirements" pip_install "${BUILD_REQUIREMENTS[@]}"
  step "build and install sknet-caffe" build_and_install
  echo "$print $EXTRAS" >>"$stamp"
fi
