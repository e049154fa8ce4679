#!/usr/bin/env bash
# Evaluates a trained net at 224 and at 320 pixels.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: evaluate.sh MODEL|PROTOTXT WEIGHTS SOURCE OUT [options of `sknet evaluate`]

Measures the top-1 and top-5 errors on SOURCE (the val_lmdb of prepare_imagenet.sh, or a
folder of images) with centre crops of 224 from a shorter side of 256 and of 320 from
352. Results go to OUT/MODEL_224.json and OUT/MODEL_320.json. Interrupted, it goes on
where it was when started again; the exit status is then 128 plus the signal's number, 130 after
Ctrl-C.
END
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
  (($# >= 4)) || { usage >&2; exit 2; }
  command -v sknet >/dev/null || die 'sknet is not installed; run scripts/setup.sh'
  local net=$1 weights=$2 source=$3 out=$4 name crop
  shift 4
  name=$(basename "$net" .prototxt)
  mkdir -p "$out"
  for crop in 224 320; do
    printf '== %s at %s\n' "$name" "$crop"
    interruptible sknet evaluate "$net" --weights "$weights" --source "$source" --protocol "$crop" \
      --json "$out/${name}_$crop.json" --resume "$out/${name}_$crop.checkpoint" "$@"
  done
}

main "$@"
