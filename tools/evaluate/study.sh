#!/bin/bash
# How often the built-in model paints what is asked: prompts that training never saw, one seed each,
# rendered by fovea generate and judged by fovea-evaluate, with a contact sheet of each kind.
#
#   tools/evaluate/study.sh OUT [GENERATE FLAGS...]
#
# OUT gets single/, pairs/, their sheets single.png, pairs.png, and verdicts single.txt, pairs.txt.
# Environment: BIN (build/bin), MODEL (the built-in one), OBSERVER (a file that keeps what
# fovea-evaluate learned).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
out=$1
shift
bin=${BIN:-build/bin}
mkdir -p "$out"
for kind in single pairs; do
  prompts=$here/prompts/$kind.txt
  mkdir -p "$out/$kind"
  i=0
  while IFS= read -r prompt; do
    i=$((i + 1))
    "$bin/fovea" generate ${MODEL:+-m "$MODEL"} -p "$prompt" -s "$i" \
      -o "$out/$kind/$(printf '%03d' "$i").png" "$@" >/dev/null 2>&1
  done <"$prompts"
  "$bin/fovea-evaluate" --pictures "$out/$kind" --prompts "$prompts" --sheet "$out/$kind.png" \
    --observer "${OBSERVER:-$out/observer.bin}" >"$out/$kind.txt"
  echo "$kind: $(tail -n 3 "$out/$kind.txt" | head -n 1)"
  echo "$kind: $(tail -n 2 "$out/$kind.txt" | head -n 1)"
  echo "$kind: $(tail -n 1 "$out/$kind.txt")"
done
