#!/usr/bin/env bash
# From the folders of ILSVRC 2012 to OUT/train_lmdb and OUT/val_lmdb.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: prepare_imagenet.sh IMAGENET OUT [options of `sknet prepare imagenet`]

Builds OUT/train_lmdb and OUT/val_lmdb from
  IMAGENET/train/n01440764/*.JPEG, a folder for each class, and
  IMAGENET/val/n01440764/*.JPEG likewise, or else
  IMAGENET/val/*.JPEG or ILSVRC2012_img_val.tar, and IMAGENET/val.txt with a line
  `name label` for each (Caffe's data/ilsvrc12/get_ilsvrc_aux.sh fetches that file).
An interrupted run, which exits with 130 after Ctrl-C, goes on where it was when started again.
END
}

main() {
  [[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
  (($# >= 2)) || { usage >&2; exit 2; }
  command -v sknet >/dev/null || die 'sknet is not installed; run scripts/setup.sh'
  local imagenet=$1 out=$2 val=$1/val labels=()
  shift 2
  [[ -e $val ]] || val=$imagenet/ILSVRC2012_img_val.tar
  [[ ! -e $imagenet/val.txt ]] || labels=(--val-labels "$imagenet/val.txt")
  exec sknet prepare imagenet --train "$imagenet/train" --val "$val" \
    ${labels[@]+"${labels[@]}"} --out "$out" "$@"
}

main "$@"
