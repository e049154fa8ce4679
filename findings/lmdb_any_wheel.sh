#!/usr/bin/env bash
# lmdb 1.7.5 (PyPI) has, beside its wheels for single CPythons, one tagged py3-none-any: it
# says that it is pure Python and fits everything. It fits nothing: there is no extension
# in it, importing it makes cffi compile one, and the C source is looked for under the path
# that it had on the machine where the wheel was made. So on a Python newer than the wheels
# of lmdb, an installer that prefers wheels (`pip install --prefer-binary`, `--only-binary
# :all:`) takes 1.7.5 and succeeds, and `import lmdb` fails; without the preference pip
# compiles the newest release, which works.
#
# Seen with lmdb 1.7.5, cffi 2.0.0, CPython 3.11.7 and 3.15.2, g++ 12 and 16 (shortened):
#   installed from a wheel: Tag: py3-none-any, Root-Is-Purelib: true
#   compiled modules in it: 0
#   import lmdb: cffi.VerificationError: CompileError: command '/usr/bin/gcc' failed
#   because of: .../py-lmdb/build/lib/mdb.c: No such file or directory
#
# Exits 0 if all that is so, 1 if it is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
pip=(venv/bin/python -m pip --quiet --disable-pip-version-check)
# What an interpreter without a wheel of its own is offered.
"${pip[@]}" download --no-deps --only-binary :all: --implementation py --abi none \
  --platform any --python-version 3 lmdb==1.7.5
"${pip[@]}" install cffi==2.0.0 setuptools==80.9.0
"${pip[@]}" install --no-deps lmdb-1.7.5-py3-none-any.whl

wheel=$(cat venv/lib/python3*/site-packages/lmdb-1.7.5.dist-info/WHEEL)
echo "installed from a wheel: $(grep -E '^(Tag|Root)' <<<"$wheel" | paste -sd ' ')"
modules=$(find venv/lib/python3*/site-packages/lmdb -name '*.so' | wc -l)
echo "compiled modules in it: $modules"
if venv/bin/python -c 'import lmdb' 2>error; then
  echo "import lmdb: works"
  exit 1
fi
echo "import lmdb: $(grep -o 'cffi.VerificationError.*' error | cut -c 1-120)"
echo "because of: $(grep -o '/[^ ]*mdb\.c: No such file.*' error | head -n 1)"
grep -q 'Tag: py3-none-any' <<<"$wheel" && [ "$modules" = 0 ] &&
  grep -q 'mdb\.c: No such file' error
