#!/usr/bin/env bash
# Trains a model by its recipe on databases of prepare_imagenet.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: train.sh MODEL DATA OUT [options of `sknet generate`]

Writes OUT/train_val.prototxt and OUT/solver.prototxt of a model of `sknet list` for
DATA/train_lmdb and DATA/val_lmdb, and trains it: the log goes to OUT/train.log as well,
snapshots to OUT/snapshots. Started again, it goes on from the
newest snapshot. Options such as --schedule senet, --gpus 8 or --batch 16 change the
recipe; the images of an update stay 256.
END
}

# field DATABASE NAME: a field of what `sknet prepare` recorded; `classes` are counted.
field() {
  python3 -c 'import json, sys
value = json.load(open(sys.argv[1] + "/classes.json"))[sys.argv[2]]
print(len(value) if isinstance(value, list) else value)' "$1" "$2"
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
  (($# >= 3)) || { usage >&2; exit 2; }
  command -v sknet >/dev/null || die 'sknet is not installed; run scripts/setup.sh'
  local model=$1 data=$2 out=$3 part newest resume=()
  shift 3
  for part in train val; do
    [[ -e $data/${part}_lmdb/classes.json ]] ||
      die "'$data/${part}_lmdb' is no database of prepare_imagenet.sh; run it first"
  done
  mkdir -p "$out/snapshots"
  local options=(--classes "$(field "$data/train_lmdb" classes)" "$@")
  sknet generate "$model" --style train_val -o "$out/train_val.prototxt" \
    --solver "$out/solver.prototxt" --snapshot-prefix "$out/snapshots/$model" \
    --train-source "$data/train_lmdb" --val-source "$data/val_lmdb" \
    --train-images "$(field "$data/train_lmdb" images)" \
    --val-images "$(field "$data/val_lmdb" images)" "${options[@]}"
  # By time, since iteration numbers do not sort by name.
  newest=$(find "$out/snapshots" -name '*.solverstate' -printf '%T@ %p\n' |
    sort -n | tail -n 1 | cut -d ' ' -f 2-)
  [[ -z $newest ]] || resume=(-snapshot "$newest")
  caffe train -solver "$out/solver.prototxt" -log_file "$out/train.log" \
    ${resume[@]+"${resume[@]}"}
}

main "$@"
