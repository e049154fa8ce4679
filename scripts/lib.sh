# Helpers shared by the scripts of this folder; sourced, not run.

# die SENTENCE: one sentence on stderr, exit 1.
die() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# interruptible COMMAND...: runs it; its exit status. A signal that is sent to the script alone
# reaches the command too, which otherwise would go on by itself; when it has ended in order, so
# does the script, with 128 plus the signal's number.
interruptible() {
  local name child='' signal='' status=0
  for name in INT TERM HUP; do
    # shellcheck disable=SC2064  # the name of now
    trap "signal=$name; [[ -z \$child ]] || kill -s $name \$child 2>/dev/null || :" "$name"
  done
  (
    trap - INT TERM HUP
    exec "$@"
  ) &
  child=$!
  [[ -z $signal ]] || kill -s "$signal" "$child"
  wait "$child" || status=$?
  # A signal ends the wait, but not yet the command.
  while kill -0 "$child" 2>/dev/null; do
    wait "$child" || status=$?
  done
  trap - INT TERM HUP
  [[ -z $signal ]] || exit $((128 + $(kill -l "$signal")))
  return "$status"
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
