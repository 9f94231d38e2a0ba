#!/bin/bash
# Does HiDiffusion help the built-in model above its trained size? Renders the same prompts and seeds
# with several --hires modes at several sizes and counts the objects in them.
#
#   tools/evaluate/hires_study.sh OUT [PROMPTS [COUNT]]
#
# OUT gets a folder of pictures for each size and mode, and counts.txt. PROMPTS has one prompt a line
# (prompts/single.txt beside this script: one object each, so every further one is a duplicate).
# Environment: BIN (build/bin), SIZES ("128 256 512"), MODES ("off raunet hidiffusion"), STEPS (the
# model's), OBSERVER (a file that keeps what fovea-evaluate learned).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
out=$1 prompts=${2:-$here/prompts/single.txt} count=${3:-64}
bin=${BIN:-build/bin} sizes=${SIZES:-128 256 512} modes=${MODES:-off raunet hidiffusion}
observer=${OBSERVER:-$out/observer.bin}
mkdir -p "$out"
head -n "$count" "$prompts" >"$out/prompts.txt"

for size in $sizes; do
  for mode in $modes; do
    folder=$out/$size-$mode
    mkdir -p "$folder"
    i=0
    while IFS= read -r prompt; do
      file=$folder/$(printf '%03d' "$i").png
      if [ ! -e "$file" ]; then
        "$bin/fovea" generate -p "$prompt" -s $((1000 + i)) -W "$size" -H "$size" \
          --hires "$mode" ${STEPS:+--steps "$STEPS"} -o "$file" >/dev/null 2>&1
      fi
      i=$((i + 1))
    done <"$out/prompts.txt"
    "$bin/fovea-evaluate" --pictures "$folder" --prompts "$out/prompts.txt" \
      --observer "$observer" --json >"$out/$size-$mode.json"
    # One line a picture; every object that was seen has one "color" in its list.
    awk -v name="$size $mode" '
      /"seen":/ {
        pictures++
        seen = $0
        objects = gsub(/"confidence"/, "", seen)
        total += objects
        if (objects == 0) none++
        if (objects > 1) more++
        if (/"count":true/) counted++
        if (/"right":true/) right++
      }
      END {
        printf "%-18s %d pictures: %.2f objects each, %d with none, %d with more than one, ",
          name, pictures, total / pictures, none, more
        printf "%d of the right number, %d all right\n", counted, right
      }' "$out/$size-$mode.json" | tee -a "$out/counts.txt"
  done
done
