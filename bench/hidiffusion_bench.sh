#!/bin/bash
# What HiDiffusion saves on a U-Net: one timed step of each stage, weighted over a run, against what
# the FLOP counts predict.
#
#   bench/hidiffusion_bench.sh MODEL SIZE [PLAN...]
#
# MODEL is a pipeline folder or a U-Net's (tools/full_size.py writes one with random weights), SIZE
# the side of the picture in pixels, each PLAN an attention plan to time beside it. Environment:
# FOVEA (build/bin/fovea), STEPS (50), FLAGS (of `fovea bench model`: "--dtype bf16 --cold").
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
model=$1 size=$2
shift 2
fovea=${FOVEA:-build/bin/fovea} steps=${STEPS:-50}
component=()
if [ -e "$model/model_index.json" ]; then component=(--component unet); fi

# Prints "seconds gflop" of one step; $1 is the step, the rest further flags.
measure() {
  local step=$1 json
  shift
  # shellcheck disable=SC2086
  json=$("$fovea" bench model -m "$model" "${component[@]}" -W "$size" -H "$size" --repeat 1 \
    --step "$step" --steps "$steps" --json ${FLAGS:-} "$@")
  if [[ " $* " == *" --hires "* && ! -s $spans ]]; then
    grep -o '"steps": "[0-9-]*"' <<<"$json" | grep -o '[0-9-]*' >"$spans"
  fi
  awk -F'[:,]' '/"seconds"/ {s = $2} /"gflop"/ {g = $2} END {print s + 0, g + 0}' <<<"$json"
}

spans=$(mktemp)
trap 'rm -f "$spans"' EXIT
read -r dense dense_gflop <<<"$(measure 0)"
printf '%-44s %9.2f s %10.1f GFLOP a step\n' "dense" "$dense" "$dense_gflop"

total=0 total_gflop=0 done=0
while [ "$done" -lt "$steps" ]; do
  read -r seconds gflop <<<"$(measure "$done" --hires hidiffusion)"
  # The span that begins here.
  last=$(awk -F- -v at="$done" '$1 == at {print $NF}' "$spans")
  count=$((last - done + 1))
  printf '%-44s %9.2f s %10.1f GFLOP a step\n' "hidiffusion, steps $done-$last" "$seconds" "$gflop"
  total=$(awk -v a="$total" -v s="$seconds" -v n="$count" 'BEGIN {print a + s * n}')
  total_gflop=$(awk -v a="$total_gflop" -v g="$gflop" -v n="$count" 'BEGIN {print a + g * n}')
  done=$((last + 1))
done

# $1 name, $2 seconds and $3 GFLOP of a run.
compare() {
  awk -v name="$1" -v s="$2" -v g="$3" -v d="$dense" -v dg="$dense_gflop" -v n="$steps" 'BEGIN {
    printf "%-44s %8.2fx, predicted %.2fx: %.3f of it\n", name, d * n / s, dg * n / g,
      d * n / s / (dg * n / g)
  }'
}
compare "hidiffusion over dense, $steps steps" "$total" "$total_gflop"
for plan in "$@"; do
  read -r seconds gflop <<<"$(measure 0 --attention "$plan")"
  printf '%-44s %9.2f s %10.1f GFLOP a step\n' "$plan" "$seconds" "$gflop"
  compare "$plan over dense" "$(awk -v s="$seconds" -v n="$steps" 'BEGIN {print s * n}')" \
    "$(awk -v g="$gflop" -v n="$steps" 'BEGIN {print g * n}')"
done
