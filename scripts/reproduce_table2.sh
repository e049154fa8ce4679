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
All names, weights and images are checked first; what cannot be evaluated is named and left
out. After each net the table with the paper's and the measured errors is written to
OUT/table2.json, and errors against parameters to OUT/table2_224.png. Results that OUT has
already are used again. Interrupted, it exits with 128 plus the signal's number, 130 after Ctrl-C.
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
  local net status good=() skipped=() failed=()
  REASONS=$(mktemp)
  trap 'rm -f "$REASONS"' EXIT
  for file in "${files[@]}"; do
    net=$(basename "$file" .caffemodel)
    status=0
    interruptible sknet evaluate "$net" --weights "$file" --source "$source" --check \
      ${options[@]+"${options[@]}"} "$@" >/dev/null 2>"$REASONS" || status=$?
    ((status <= 128)) || exit "$status"
    if ((status == 0)); then
      good+=("$file")
    else
      skipped+=("$file: $(<"$REASONS")")
      printf 'note: left out %s\n' "${skipped[-1]}"
    fi
  done
  ((${#good[@]})) || die "nothing can be evaluated, see above"
  mkdir -p "$out"
  for file in "${good[@]}"; do
    net=$(basename "$file" .caffemodel)
    status=0
    interruptible bash "$SCRIPTS/evaluate.sh" "$net" "$file" "$source" "$out" \
      ${options[@]+"${options[@]}"} "$@" || status=$?
    # 128 and a signal: the user's, not the net's fault.
    ((status <= 128)) || exit "$status"
    if ((status == 0)); then
      write_table "$out" >"$out/table2.txt"
    else
      failed+=("$net")
    fi
  done
  ((${#failed[@]} == ${#good[@]})) || cat "$out/table2.txt"
  ((${#skipped[@]} == 0)) || printf 'note: left out %s\n' "${skipped[@]}"
  ((${#failed[@]} == 0)) || die "could not evaluate ${failed[*]}, see above"
}

write_table() {
  local results=("$1"/*_224.json "$1"/*_320.json)
  interruptible sknet table2 --measured "${results[@]}" --json "$1/table2.json"
  interruptible sknet scatter --measured "${results[@]}" -o "$1/table2_224.png"
}

main "$@"
