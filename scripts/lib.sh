# What the scripts share: sourced, never run. Sets the working directory to the repository's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# configure FOLDER [CMAKE ARGUMENTS]: quiet unless it fails.
configure() {
  local folder=$1 log
  shift
  log=$(mktemp)
  if ! cmake -S . -B "$folder" -G Ninja "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    fail "cmake could not configure $folder; scripts/install-packages installs what is needed"
  fi
  rm -f "$log"
}

# One compiler for each core, and no more than memory allows: our largest source takes about 1 GB.
build_jobs() {
  local cores memory_gb
  cores=$(nproc)
  memory_gb=$(awk '/MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo)
  echo $((memory_gb < 1 ? 1 : cores < memory_gb ? cores : memory_gb))
}
