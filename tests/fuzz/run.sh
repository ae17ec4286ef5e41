#!/usr/bin/env bash
# Fuzzes each target for some time.
set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h || ! ${1:-} =~ ^[0-9]+$ ]]; then
  cat <<'TEXT'
Usage: tests/fuzz/run.sh SECONDS [TARGET ...]

Builds the preset fuzz (clang and its libFuzzer) and runs each target, such as
envelope, for so many seconds from its corpus. Inputs with new coverage are kept
in build/fuzz/corpus, and the next run goes on from them. Ends with 1 when a
target failed: the input is in build/fuzz/finds, and its name is printed.
TEXT
  [[ ${1:-} == -* ]] && exit 0
  exit 2
fi

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=$1
shift
targets=("$@")
if ((${#targets[@]} == 0)); then
  for source in tests/fuzz/*_fuzzer.cc; do
    targets+=("$(basename "$source" _fuzzer.cc)")
  done
fi

# shellcheck source=common/setup.sh
source common/setup.sh
install_packages "${packages_build[@]}" catch2
install_clang
build_targets=("${targets[@]/#/fuzz_}")
build fuzz -DMDGAN_BUILD_TESTS=ON

# Files of inputs are written in memory where the system has such a place.
if [[ -d /dev/shm && -w /dev/shm ]]; then export TMPDIR=/dev/shm; fi
# fuzz TARGET
fuzz() {
  local target=$1
  local corpus=build/fuzz/corpus/$target
  local log=build/fuzz/$target.log
  mkdir -p "$corpus" build/fuzz/finds
  # One seed: from the same corpus the same inputs are made, so that an automatic
  # build fails for what was changed. A further run has a larger corpus.
  local ended=0
  "build/fuzz/bin/fuzz_$target" -max_total_time="$seconds" -seed=1 -timeout=25 \
    -max_len=8192 -rss_limit_mb=2048 -print_final_stats=1 -close_fd_mask=1 \
    -artifact_prefix="build/fuzz/finds/$target-" \
    "$corpus" "tests/fuzz/corpus/$target" >"$log" 2>&1 || ended=1
  # One write, so that the lines of targets that run beside it stay whole.
  echo "fuzz_$target: $seconds s
$( ((ended == 0)) || { tail -n 40 "$log"; echo "fuzz_$target failed"; }
  grep -E 'number_of_executed_units|average_exec_per_sec' "$log")"
  return "$ended"
}
export -f fuzz
export seconds

# shellcheck disable=SC2016 # the inner shell expands it
if ! printf '%s\0' "${targets[@]}" |
  xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz "$1"' _; then
  echo "A target failed. Inputs: build/fuzz/finds; once the cause is mended" \
    "they belong into tests/fuzz/corpus" >&2
  exit 1
fi
