#!/usr/bin/env bash
# Fills Table 2 of the paper with measured errors.
set -euo pipefail
SCRIPTS=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=scripts/lib.sh
. "$SCRIPTS/lib.sh"

usage() {
  cat <<'END'
usage: reproduce_table2.sh IMAGENET WEIGHTS_DIR OUT [options of `sknet evaluate`]

Evaluates every WEIGHTS_DIR/MODEL.caffemodel, where MODEL is a name of `sknet list` such
as sknet50, at 224 and 320 on the validation images of IMAGENET:
  IMAGENET/val_lmdb, as prepare_imagenet.sh builds it, or else
  IMAGENET/val/n01440764/*.JPEG, or else IMAGENET/val/*.JPEG with IMAGENET/val.txt.
Prints the table with the paper's and the measured errors, and writes it to
OUT/table2.json and OUT/table2_224.png. Results that OUT has already are used again.
END
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
  (($# >= 3)) || { usage >&2; exit 2; }
  command -v sknet >/dev/null || die 'sknet is not installed; run scripts/setup.sh'
  local imagenet=$1 weights=$2 out=$3 source=$1/val file options=()
  shift 3
  local files=("$weights"/*.caffemodel)
  [[ -e ${files[0]} ]] || die "'$weights' has no caffemodels; name them sknet50.caffemodel and so on"
  if [[ -e $imagenet/val_lmdb ]]; then
    source=$imagenet/val_lmdb
  elif [[ -e $imagenet/val.txt ]]; then
    options=(--labels "$imagenet/val.txt")
  fi
  for file in "${files[@]}"; do
    bash "$SCRIPTS/evaluate.sh" "$(basename "$file" .caffemodel)" "$file" "$source" \
      "$out" ${options[@]+"${options[@]}"} "$@"
  done
  local results=("$out"/*_224.json "$out"/*_320.json)
  sknet table2 --measured "${results[@]}" --json "$out/table2.json"
  sknet scatter --measured "${results[@]}" -o "$out/table2_224.png"
}

main "$@"
