#!/usr/bin/env bash
# Regenerates the still life family: scenes, all stages, evaluation, export. Any part of it may be
# stopped and started again: finished sets are kept and every stage goes on from its checkpoint.
#
#   tools/train/run.sh WORK [ASSETS]
#
# WORK    folder for scenes (about 4 GB) and checkpoints
# ASSETS  where the models go (default: assets/models of this checkout)
#
# SCENES   the scene renderer (default: build/bin/fovea-scenes, else build/tools/scenes/fovea-scenes)
# PYTHON   (python3), with the packages of requirements.txt
# DEVICE   cpu or cuda (what PyTorch finds)
# MINUTES  end every training stage after so many minutes (0: never); call again to go on
# THREADS  of each stage on a CPU (1; the three stages run side by side)
# STEPS_UNET_SINGLE, STEPS_UNET, STEPS_DIT, STEPS_VAE, STEPS_CLIP, COUNT: shorter or longer runs
# BIN      fovea and fovea-evaluate (build/bin), for the evaluation at the end
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${1:?usage: run.sh WORK [ASSETS]}
assets=${2:-$root/assets/models}
python=${PYTHON:-python3}
count=${COUNT:-20000}
scenes=${SCENES:-$root/build/bin/fovea-scenes}
[ -x "$scenes" ] || scenes=$root/build/tools/scenes/fovea-scenes
mkdir -p "$work" "$assets"
work=$(cd "$work" && pwd)
assets=$(cd "$assets" && pwd)
ckpt=$work/ckpt
logs=$work/logs
cd "$here"

render() {  # NAME COUNT SEED MIX
  [ -f "$work/$1/images.npy" ] ||
    "$scenes" --out "$work/$1" --count "$2" --seed "$3" --mix "$4" --threads "${RENDER_THREADS:-2}"
}
render full "$count" 11 full
render single "$count" 12 single
render pair "$count" 14 0,1,0
render unseen 1000 9001 full
render unseen_single 500 9002 single

tokenizer=$ckpt/tokenizer
[ -f "$tokenizer/vocab.json" ] ||
  "$python" tokenizer.py --data "$work/full" "$work/single" --out "$tokenizer"
"$python" pca.py --data "$work/full" "$work/single" "$work/pair" --out "$ckpt"

common=(--data "$work" --out "$ckpt" --logs "$logs" --minutes "${MINUTES:-0}"
        --threads "${THREADS:-1}" ${DEVICE:+--device "$DEVICE"})
pids=()
"$python" vae.py "${common[@]}" --sets full single --steps "${STEPS_VAE:-9000}" & pids+=($!)
"$python" clip.py "${common[@]}" --tokenizer "$tokenizer" --steps "${STEPS_CLIP:-900}" & pids+=($!)
(  # what the text says; then single objects, small batches; the rate stays on its plateau until the second part's end
  "$python" text.py "${common[@]}" --tokenizer "$tokenizer" --sets full single pair \
    --steps "${STEPS_TEXT:-4000}"
  "$python" unet.py "${common[@]}" --tokenizer "$tokenizer" --sets single \
    --steps "${STEPS_UNET_SINGLE:-2000}" --decay 0
  "$python" unet.py "${common[@]}" --tokenizer "$tokenizer" --batch 32 \
    --sets single full pair --shares 0.25 0.3 0.45 --steps "${STEPS_UNET:-12000}" --decay 0.15
) & pids+=($!)
for pid in "${pids[@]}"; do wait "$pid"; done

"$python" export.py --out "$ckpt" --tokenizer "$tokenizer" --assets "$assets" --parts clip
"$python" dit.py "${common[@]}" --tokenizer "$tokenizer" --clip "$assets/still-life-clip/text_encoder" \
  --sets single full pair --shares 0.5 0.2 0.3 --steps "${STEPS_DIT:-18000}"
"$python" judge.py --data "$work/full" "$work/single" --check "$work/unseen_single" --out "$ckpt"
"$python" export.py --out "$ckpt" --tokenizer "$tokenizer" --assets "$assets"
"$python" evaluate_vae.py --unseen "$work/unseen" --vae "$assets/still-life-unet/vae" --logs "$logs"
"$python" evaluate_clip.py --unseen "$work/unseen" --clip "$assets/still-life-clip" --logs "$logs"
"$python" evaluate_unet.py --data "$work" --sets full single --single unseen_single --pairs unseen \
  --tokenizer "$tokenizer" --out "$ckpt" --logs "$logs" --sheet "$work/sheet.png"
"$python" plots.py --logs "$logs"
for model in still-life-unet still-life-dit; do
  MODEL=$assets/$model BIN=${BIN:-$root/build/bin} OBSERVER=$work/observer.bin \
    "$root/tools/evaluate/study.sh" "$work/study-$model"
done
