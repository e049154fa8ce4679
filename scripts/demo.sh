#!/usr/bin/env bash
# From a bare machine to a trained SKNet: sets everything up, then runs demo.py.
set -euo pipefail
EXTRAS=demo
# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
python "$ROOT/scripts/demo.py" "$@"
printf '\nFrom start to end, set-up included: %d min %02d s\n' $((SECONDS / 60)) $((SECONDS % 60))
