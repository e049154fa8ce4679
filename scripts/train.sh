#!/usr/bin/env bash
# Trains a model by its recipe on databases of prepare_imagenet.sh.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat <<'END'
usage: train.sh MODEL DATA OUT [options of `sknet train` and `caffe train`]

Trains a model of `sknet list` on DATA/train_lmdb and DATA/val_lmdb: definitions, log and
snapshots go to OUT. Started again, it goes on from the newest snapshot; other options
than OUT was begun with are refused, unless they only change how long it trains.
`sknet train -h` lists options such as --schedule senet, --epochs 30 or --batch 16. With
one dash, options are those of `caffe train`: -weights W to fine-tune, -gpu, -precision,
-tensorboard. Interrupted, it writes a snapshot and exits with 128 plus the signal's number, 130
after Ctrl-C, so that nothing behind `&&` is begun.
END
}

[[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
(($# >= 3)) || { usage >&2; exit 2; }
command -v sknet >/dev/null || die 'sknet is not installed; run scripts/setup.sh'
exec sknet train "$@"
