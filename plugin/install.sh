#!/usr/bin/env bash
# Puts the layers Axpy and CuDNNBatchNorm into the sources of another Caffe, to be compiled
# with it, or takes them out again:
#
#   plugin/install.sh THEIR_CAFFE [--only Axpy|CuDNNBatchNorm]
#   plugin/install.sh THEIR_CAFFE --remove
#
# Copies the files of files.txt and adds the release's message to caffe.proto, between two
# comments. No file is overwritten that this script did not write, and it stops before it
# changes anything. What it wrote stands in THEIR_CAFFE/.sknet_layers.
set -euo pipefail

refuse() {
  echo "sknet_layers: $1" >&2
  exit 1
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
usage="usage: plugin/install.sh THEIR_CAFFE [--only Axpy|CuDNNBatchNorm] [--remove]"
theirs="" only="" remove=""
while [ $# -gt 0 ]; do
  case $1 in
    --remove) remove=1 ;;
    --only)
      only=${2-}
      case $only in
        Axpy | CuDNNBatchNorm) shift ;;
        *) refuse "--only got '$only', expected Axpy or CuDNNBatchNorm; $usage" ;;
      esac
      ;;
    -*) refuse "unknown option '$1'; $usage" ;;
    *)
      [ -z "$theirs" ] || refuse "got two folders, '$theirs' and '$1', expected one; $usage"
      theirs=$1
      ;;
  esac
  shift
done
[ -n "$theirs" ] || refuse "which Caffe? $usage"
[ -d "$theirs" ] || refuse "there is no folder $theirs; name their Caffe's source tree"
proto=$theirs/src/caffe/proto/caffe.proto
record=$theirs/.sknet_layers
begin="// sknet_layers begin: plugin/install.sh --remove takes this out"
end="// sknet_layers end"
[ -f "$theirs/include/caffe/layer.hpp" ] && [ -f "$proto" ] ||
  refuse "no Caffe sources at $theirs: expected include/caffe/layer.hpp and src/caffe/proto/caffe.proto in it"

# Before anything is written: that the folders of the given files, of those that exist, can
# be written.
check_writable() {
  local place
  for place in "$@"; do
    while [ ! -d "$theirs/$place" ]; do place=$(dirname "$place"); done
    [ -w "$theirs/$place" ] || refuse "the folder $theirs/$place cannot be written"
  done
}

hash_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

# caffe.proto without the parts between the comments.
unpatched() {
  awk -v begin="$begin" -v end="$end" '
    index($0, begin) { inside = 1 }
    !inside { print }
    index($0, end) { inside = 0 }' "$proto"
}

# Standard input in place of a file, in one step; what is half written has another name.
put() {
  cat >"$1.sknet_layers"
  if [ -e "$1" ]; then chmod --reference="$1" "$1.sknet_layers"; fi
  mv "$1.sknet_layers" "$1"
}

if [ -n "$remove" ]; then
  [ -f "$record" ] || refuse "there is nothing to remove at $theirs: it has no .sknet_layers, where install.sh writes what it did"
  while read -r kind path hash; do
    [ "$kind" = file ] && [ -e "$theirs/$path" ] || continue
    [ "$(hash_of "$theirs/$path")" = "$hash" ] ||
      refuse "$theirs/$path was changed since install.sh wrote it, so nothing was removed; put your changes elsewhere, delete that file and run this again"
  done <"$record"
  check_writable . src/caffe/proto include/caffe/layers src/caffe/layers
  if grep -qF "$begin" "$proto"; then
    text=$(unpatched && echo .)
    text=${text%.}
    if grep -q "^bare_end" "$record"; then text=${text%$'\n'}; fi
    printf %s "$text" | put "$proto"
  fi
  while read -r kind path hash; do
    if [ "$kind" = file ]; then rm -f "$theirs/$path" "$theirs/$path.sknet_layers"; fi
  done <"$record"
  # Folders of ours, the deepest first; what others have put there stays.
  while read -r kind path hash; do
    if [ "$kind" = folder ] && [ -d "$theirs/$path" ]; then
      rmdir --ignore-fail-on-non-empty "$theirs/$path"
    fi
  done < <(tac "$record")
  rm -f "$record" "$proto.sknet_layers"
  echo "removed from $theirs"
  exit
fi

# --- Everything is looked at before anything is written.
if grep -q "class LayerBase" "$theirs/include/caffe/layer.hpp"; then
  refuse "the Caffe at $theirs has layers of two types, forward and backward (NVIDIA's 0.16 and later), to which these layers of one type do not fit"
fi
grep -q param_propagate_down_ "$theirs/include/caffe/layer.hpp" ||
  refuse "the Caffe at $theirs is older than 2014: its layers have no param_propagate_down_; use Caffe 1.0 or one that is near it"
if [ -e "$theirs/include/caffe/layer_traits.hpp" ]; then
  refuse "the Caffe at $theirs is this project's own, which has both layers"
fi
[ ! -e "$record" ] || refuse "install.sh has been here: $record says what it wrote; take that out first with --remove"
layers=${only:-"Axpy CuDNNBatchNorm"}
from=() to=()
while read -r layer source place; do
  case " - $layers " in *" $layer "*) ;; *) continue ;; esac
  [ ! -e "$theirs/$place" ] || refuse "$theirs/$place exists and is not ours; does this Caffe have the layer already? --only names the one that it has not"
  from+=("$here/../$source")
  to+=("$place")
done < <(grep -v '^#' "$here/files.txt")

patch=""
case $layers in *CuDNNBatchNorm*) patch=1 ;; esac
if [ -n "$patch" ]; then
  field=$(awk '/^message[ \t]+LayerParameter[ \t]*[{]/ { inside = 1; next }
    /^}/ { inside = 0 }
    inside { sub("//.*", "") }
    inside && /=[ \t]*200[ \t]*[;\[]/ { sub("[ \t]*=.*", ""); sub(".*[ \t]", ""); print; exit }' "$proto")
  if [ -n "$field" ]; then
    case $field in
      cudnn_batch_norm_param | batch_norm_param)
        refuse "$proto has the release's field 200 ($field) already; this Caffe was patched before, or is one of the releases'" ;;
    esac
    refuse "$proto uses field 200 of LayerParameter for $field, and the release's files have their parameters there; use libsknet_layers.so instead, which takes this Caffe's batch_norm_param, or install --only Axpy"
  fi
  if grep -qE 'cudnn_batch_norm_param|message[ \t]+CuDNNBatchNormParameter' "$proto"; then
    refuse "$proto has cudnn_batch_norm_param or CuDNNBatchNormParameter already; this Caffe was patched before"
  fi
  grep -qE '^message[ \t]+LayerParameter[ \t]*\{' "$proto" ||
    refuse "$proto has no line 'message LayerParameter {'; is it Caffe's?"
fi

check_writable . "${to[@]}" ${patch:+src/caffe/proto}

undo() {
  status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    if bash "${BASH_SOURCE[0]}" "$theirs" --remove >&2; then
      echo "sknet_layers: the copy failed; what had been written was removed again" >&2
    else
      echo "sknet_layers: the copy failed, and part of it is still there; run plugin/install.sh $theirs --remove" >&2
    fi
  fi
  exit "$status"
}

# The record comes first: whatever happens then, --remove knows what may be there.
{
  echo "# What sknet-caffe's plugin/install.sh wrote; its --remove reads this."
  for place in "${to[@]}"; do
    folder=$(dirname "$place")
    missing=()
    while [ ! -d "$theirs/$folder" ]; do
      missing=("$folder" "${missing[@]}")
      folder=$(dirname "$folder")
    done
    for folder in "${missing[@]}"; do echo "folder $folder"; done
  done | awk '!seen[$0]++'
  for i in "${!to[@]}"; do echo "file ${to[$i]} $(hash_of "${from[$i]}")"; done
  if [ -n "$patch" ] && [ -n "$(tail -c 1 "$proto")" ]; then echo bare_end; fi
} | put "$record"
trap undo EXIT
for i in "${!to[@]}"; do
  mkdir -p "$(dirname "$theirs/${to[$i]}")"
  put "$theirs/${to[$i]}" <"${from[$i]}"
done
if [ -n "$patch" ]; then
  {
    awk -v begin="$begin" -v end="$end" '
      /^message[ \t]+LayerParameter[ \t]*[{]/ { inside = 1 }
      inside && /^}/ {
        print "  " begin
        print "  optional CuDNNBatchNormParameter cudnn_batch_norm_param = 200;"
        print "  " end
        inside = 0
      }
      { print }' "$proto"
    echo "$begin"
    cat "$here/batch_norm_message.proto"
    echo "$end"
  } | put "$proto"
fi
trap - EXIT
echo "installed in $theirs: ${#to[@]} files${patch:+, and caffe.proto has cudnn_batch_norm_param = 200}"
echo "build it as ever; with CMake, run cmake again first, so that it sees the new files"
