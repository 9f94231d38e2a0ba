# Driving the real window on a screen of its own (Xvfb): sourced after lib.sh by scripts that do.
# Needs scripts/install-packages --screen. Controls are found by name in the file that
# `fovea-studio --widgets` writes, never by pixels.

screen_open() {  # [WIDTHxHEIGHT]: a screen of that size, by default 1440x900; sets DISPLAY
  local channel="$work/display"
  mkfifo "$channel"
  Xvfb -displayfd 3 -screen 0 "${1:-1440x900}x24" -nolisten tcp 3>"$channel" >"$work/xvfb.log" 2>&1 &
  xvfb_pid=$!
  local number
  read -r -t 20 number <"$channel" || fail "Xvfb did not start: $(cat "$work/xvfb.log")"
  export DISPLAY=:$number LIBGL_ALWAYS_SOFTWARE=1
}

screen_close() {
  local pid
  for pid in ${studio_pid:-} ${xvfb_pid:-}; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
}

studio_start() {  # ARGUMENTS...: opens the window and waits until it answers
  rm -f "$work/widgets"
  "$studio" --data "$work/data" --widgets "$work/widgets" "$@" >"$work/studio.log" 2>&1 &
  studio_pid=$!
  wait_for ready 1 60
  window=$(xdotool search --pid "$studio_pid" --name 'Fovea Studio' | head -n 1)
  xdotool windowfocus --sync "$window"
}

studio_stop() {
  kill -"${1:-TERM}" "$studio_pid" 2>/dev/null || true
  wait "$studio_pid" 2>/dev/null || true
  studio_pid=
}

value() {  # NAME: what the studio says of itself
  awk -F '\t' -v name="=$1" '$1 == name {print $2; exit}' "$work/widgets" 2>/dev/null || true
}

wait_for() {  # NAME VALUE SECONDS: until it says so
  local end=$((SECONDS + ${3:-30}))
  while [[ $(value "$1") != "$2" ]]; do
    kill -0 "$studio_pid" 2>/dev/null || fail "the studio ended: $(cat "$work/studio.log")"
    ((SECONDS < end)) || fail "waited ${3:-30} s for $1 to be '$2'; it is '$(value "$1")'"
    sleep 0.05
  done
}

wait_past() {  # NAME NUMBER SECONDS: until it says more
  local end=$((SECONDS + ${3:-30}))
  until (($(value "$1") > $2)); do
    kill -0 "$studio_pid" 2>/dev/null || fail "the studio ended: $(cat "$work/studio.log")"
    ((SECONDS < end)) || fail "waited ${3:-30} s for $1 to pass $2; it is '$(value "$1")'"
    sleep 0.05
  done
}

rectangle() {  # NAME: "x y width height", once the control is there
  local end=$((SECONDS + 10)) found=
  while [[ -z $found ]]; do
    found=$(awk -F '\t' -v name="$1" '$1 == name {print $2; exit}' "$work/widgets")
    ((SECONDS < end)) || fail "no control $1 on the screen"
    [[ -n $found ]] || sleep 0.05
  done
  echo "$found"
}

point_at() {  # NAME
  local x y width height
  read -r x y width height <<<"$(rectangle "$1")"
  xdotool mousemove --window "$window" $((x + width / 2)) $((y + height / 2))
  sleep 0.15
}

press() {  # NAME: a click in the middle of the control
  point_at "$1"
  xdotool mousedown 1
  sleep 0.1
  xdotool mouseup 1
  sleep 0.2
}

tap() {  # KEYS: held for a tenth of a second, since a window sees what is down when it draws
  xdotool key --delay 200 "$1"
  sleep 0.1
}

type_into() {  # NAME TEXT: instead of what stands there
  press "$1"
  tap ctrl+a
  tap Delete
  xdotool type --delay 25 -- "$2"
  sleep 0.2
}

shoot() {  # NAME: a picture of the window, as F12 makes it, into $out/NAME.png
  local before after
  mkdir -p "$work/data/screenshots"
  xdotool mousemove 720 892
  sleep 0.4
  before=$(find "$work/data/screenshots" -name '*.png' | wc -l)
  tap F12
  for _ in {1..100}; do
    after=$(find "$work/data/screenshots" -name '*.png' | wc -l)
    ((after > before)) && break
    sleep 0.05
  done
  ((after > before)) || fail "F12 saved no picture of the window"
  sleep 0.1
  mv "$work"/data/screenshots/window-*.png "$out/$1.png"
}
