# Helpers shared by the scripts of this folder; sourced, not run.

# die SENTENCE: one sentence on stderr, exit 1.
die() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# step NAME COMMAND...: runs the command with its output in a log file and prints one
# line with the time it took; on failure, the end of the log and where the log is.
step() {
  local name=$1 log began=$SECONDS
  shift
  mkdir -p "$ROOT/build/logs"
  log="$ROOT/build/logs/$(printf '%s' "$name" | tr -c 'A-Za-z0-9\n' '_').log"
  printf '%-52s' "$name ..."
  if "$@" >"$log" 2>&1 </dev/null; then
    printf '%5d s\n' $((SECONDS - began))
  else
    printf '%5d s  FAILED\n' $((SECONDS - began))
    tail -n 40 "$log" | sed 's/^/    /' >&2
    die "'$name' failed; the whole log is $log"
  fi
}
