#!/usr/bin/env bash
# Makes the still life family, from the scenes to the exported and evaluated folders.
#
#   tools/train/run.sh WORK [STAGE...]     all stages, or these; a finished one returns at once
#   tools/train/run.sh --test [STAGE...]   every stage on ten steps, each stopped and gone on with
#
# Any part may be stopped and started again: sets are kept, training goes on from its checkpoint.
# Stages: scenes sized tokenizer pca vae clip text unet export_clip dit judge export evaluate study.
# To train the exported weights further instead of anew:
#   STEPS_UNET_SINGLE=0 STEPS_UNET=0 STEPS_DIT=0 tools/train/run.sh WORK restore scenes sized pca unet
#
# WORK     folder for scenes (about 7 GB) and checkpoints
# ASSETS   where the models go (assets/models of this checkout)
# SCENES   the scene renderer (build/bin/fovea-scenes)
# BIN      fovea and fovea-evaluate (build/bin), for the study at the end
# PYTHON   (python3), with the packages of requirements.txt
# DEVICE   cpu or cuda (what PyTorch finds)
# MINUTES  end every training stage after so many minutes (0: never) and stop there; call again
# PAUSE    training waits while this file exists
# THREADS  of each stage on a CPU (1)
# COUNT, STEPS_VAE, STEPS_CLIP, STEPS_TEXT, STEPS_UNET_SINGLE, STEPS_UNET, STEPS_UNET_SIZED, STEPS_DIT,
# STEPS_DIT_SIZED, STEPS_JUDGE: shorter or longer runs; each U-Net and DiT number counts from the first step
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
all=(scenes sized tokenizer pca vae clip text unet export_clip dit judge export evaluate study)

# Sizes of the second part of the training, and the share of a set's pictures that each has.
buckets=(128x128:30 192x128:12 128x192:10 192x192:12 256x256:6 96x96:4 160x160:6 256x128:4 128x256:4
         256x192:4 192x256:4)
sized=(${buckets[@]%%:*})
shares=(${buckets[@]##*:})

# Returns 0 if the checkpoint NAME has STEPS steps; else this slice was too short, or training never ran.
finished() {
  "$python" - "$ckpt/$1.pt" "$2" <<'PY'
import sys, common
state = common.load(sys.argv[1])
sys.exit(0 if state and state["step"] >= int(sys.argv[2]) else 75)
PY
}

# train NAME STEPS ARGUMENTS...: runs NAME.py, unless its checkpoint has so many steps.
train() {
  local name=$1 steps=$2
  shift 2
  finished "$name" "$steps" && return
  "$python" "$name.py" "${common[@]}" --steps "$steps" "$@"
  finished "$name" "$steps" || { echo "run.sh: $name has not ended; call again" >&2; exit 75; }
}

render() {  # NAME COUNT SEED MIX [SIZE]
  [ -f "$work/$1/images.npy" ] ||
    "$scenes" --out "$work/$1" --count "$2" --seed "$3" --mix "$4" --size "${5:-128}" \
      --threads "${RENDER_THREADS:-2}"
}

stage_restore() {
  render full "$count" 11 full
  "$python" restore.py --assets "${ASSETS:-$root/assets/models}" --data "$work/full" --out "$ckpt"
}
stage_scenes() {
  render full "$count" 11 full
  render single "$count" 12 single
  render pair "$count" 14 0,1,0
  render unseen "$((count < 1000 ? count : 1000))" 9001 full
  render unseen_single "$((count < 500 ? count : 500))" 9002 single
}
stage_sized() {
  local i
  for i in "${!sized[@]}"; do
    render "${sized[i]}" "$(((count * shares[i] + 99) / 100))" $((2600 + i)) 35,55,10 "${sized[i]}"
  done
}
stage_tokenizer() {
  [ -f "$tokenizer/vocab.json" ] ||
    "$python" tokenizer.py --data "$work/full" "$work/single" --out "$tokenizer"
}
stage_pca() {
  "$python" pca.py --data "$work/full" "$work/single" "$work/pair" "${sized[@]/#/$work/}" --out "$ckpt"
}
stage_vae() { train vae "${STEPS_VAE:-9000}" --sets full single; }
stage_clip() { train clip "${STEPS_CLIP:-900}" --tokenizer "$tokenizer"; }
stage_text() {
  train text "${STEPS_TEXT:-4000}" --tokenizer "$tokenizer" --sets full single pair
}
stage_unet() {  # single objects; all kinds; all sizes. The rate falls at the end of the last part.
  local first=${STEPS_UNET_SINGLE:-2000} second=${STEPS_UNET:-14000}
  train unet "$first" --tokenizer "$tokenizer" --sets single --decay 0
  train unet "$second" --tokenizer "$tokenizer" --batch 32 --sets single full pair \
    --shares 0.25 0.3 0.45 --decay 0
  train unet "${STEPS_UNET_SIZED:-20000}" --tokenizer "$tokenizer" --batch 32 --sets "${sized[@]}" \
    --shares "${shares[@]}" --outline 3 --metric 0.5 --lr 6e-4 --decay 0.15
}
stage_export_clip() {
  "$python" export.py --out "$ckpt" --tokenizer "$tokenizer" --assets "$assets" --parts clip
}
stage_dit() {
  local clip=$assets/still-life-clip/text_encoder
  train dit "${STEPS_DIT:-18000}" --tokenizer "$tokenizer" --clip "$clip" --sets single full pair \
    --shares 0.5 0.2 0.3 --decay 0
  train dit "${STEPS_DIT_SIZED:-26000}" --tokenizer "$tokenizer" --clip "$clip" --sets "${sized[@]}" \
    --shares "${shares[@]}" --outline 3 --metric 0.5 --lr 6e-4
}
stage_judge() {
  "$python" judge.py --data "$work/full" "$work/single" --check "$work/unseen_single" --out "$ckpt" \
    --steps "${STEPS_JUDGE:-500}"
}
stage_export() {
  "$python" export.py --out "$ckpt" --tokenizer "$tokenizer" --assets "$assets"
}
stage_evaluate() {
  "$python" evaluate_vae.py --unseen "$work/unseen" --vae "$assets/still-life-unet/vae" --logs "$logs"
  "$python" evaluate_clip.py --unseen "$work/unseen" --clip "$assets/still-life-clip" --logs "$logs" \
    --count "$((count < 500 ? count / 100 * 100 : 500))"
  "$python" evaluate_unet.py --data "$work" --sets full single --single unseen_single --pairs unseen \
    --tokenizer "$tokenizer" --out "$ckpt" --logs "$logs" --sheet "$work/sheet.png" \
    --count "$((count < 1000 ? 4 : 64))"
  "$python" sharpness.py --unseen "$work/unseen" --tokenizer "$tokenizer" --out "$ckpt" \
    --count "$((count < 1000 ? 2 : 64))" >"$logs/sharpness.jsonl"
  "$python" plots.py --logs "$logs"
}
stage_study() {
  local model size
  for model in still-life-unet still-life-dit; do
    for size in 128x128 192x128 192x192 256x256; do
      MODEL=$assets/$model BIN=${BIN:-$root/build/bin} OBSERVER=$work/observer.bin \
        "$root/tools/evaluate/study.sh" "$work/study-$model-$size" -W "${size%x*}" -H "${size#*x}"
    done
  done
}

# Ten steps of every stage in a folder of its own: a training stage is ended after five, as a killed
# slice would be, and goes on; check.py then looks at what the stage left.
test_stages() {
  local stage
  export COUNT=100 STEPS_JUDGE=10
  count=100
  for stage in "$@"; do
    echo "== $stage"
    case $stage in
      study) echo "needs built programs and a trained observer: see study.sh" && continue ;;
      vae | clip | text | unet | dit)
        run_with_steps 5 "$stage"
        run_with_steps 10 "$stage" ;;
      *) "stage_$stage" ;;
    esac
    "$python" check.py "$stage" --work "$work" --assets "$assets"
  done
}
run_with_steps() {
  STEPS_VAE=$1 STEPS_CLIP=$1 STEPS_TEXT=$1 STEPS_DIT=$(($1 / 2)) STEPS_DIT_SIZED=$1
  STEPS_UNET_SINGLE=$(($1 / 3)) STEPS_UNET=$(($1 / 2)) STEPS_UNET_SIZED=$1
  "stage_$2"
}

if [ "${1:-}" = --test ]; then
  shift
  work=${WORK:-$(mktemp -d)} assets=$work/assets testing=1
else
  work=${1:?usage: run.sh WORK [STAGE...], or run.sh --test [STAGE...]}
  shift
  assets=${ASSETS:-$root/assets/models} testing=
fi
[ $# -gt 0 ] || set -- "${all[@]}"
for stage in "$@"; do
  declare -F "stage_$stage" >/dev/null || { echo "run.sh: no stage $stage" >&2; exit 2; }
done
mkdir -p "$work" "$assets"
work=$(cd "$work" && pwd)
assets=$(cd "$assets" && pwd)
count=${COUNT:-20000} scenes=${SCENES:-$root/build/bin/fovea-scenes}
ckpt=$work/ckpt logs=$work/logs tokenizer=$work/ckpt/tokenizer
common=(--data "$work" --out "$ckpt" --logs "$logs" --minutes "${MINUTES:-0}"
        --threads "${THREADS:-1}" --pause "${PAUSE:-}" ${DEVICE:+--device "$DEVICE"})
cd "$here"
if [ "$testing" ]; then
  test_stages "$@"
else
  for stage in "$@"; do "stage_$stage"; done
fi
