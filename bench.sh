#!/usr/bin/env bash
# Installs what is missing, builds, and runs the benchmarks.
#   ./bench.sh          all of them
#   ./bench.sh --help   which there are
set -euo pipefail

for argument in "$@"; do
  if [[ $argument == --help || $argument == -h ]]; then
    exec python3 "$(dirname "${BASH_SOURCE[0]}")/tests/bench/suite.py" --help
  fi
done

start_directory=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

# shellcheck source=common/setup.sh
source common/setup.sh
install_packages "${packages_build[@]}" "${packages_data[@]}" \
  "${packages_bench[@]}"
build_targets=(mdgan-server mdgan-peer bench_no_sockets bench_bare_sockets
  bench_broadcast bench_micro)
build release -DMDGAN_BUILD_BENCHMARKS=ON

suite=$PWD/tests/bench/suite.py
cd "$start_directory" # paths are as the user meant them
exec python3 "$suite" "$@"
