#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'TEXT'
Usage: ./test.sh [PRESET [CTEST OPTION ...]]

Builds a preset of CMakePresets.json (release, debug, asan, tsan; [release]) and
runs its tests. What follows the preset goes to ctest:
  ./test.sh release -L unit        only the tests with a label: unit, protocol,
                                   tensor, integration, e2e, experiment,
                                   tree, fuzz
  ./test.sh debug -R swap          only those whose name matches
MDGAN_MNIST_DIR may name a folder with MNIST's four files, for the tests that
need it; without it they are skipped.
TEXT
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")"
preset=${1:-release}
shift || true

# shellcheck source=common/setup.sh
source common/setup.sh
install_packages "${packages_build[@]}" "${packages_data[@]}" \
  "${packages_test[@]}"
build "$preset" -DMDGAN_BUILD_TESTS=ON

# One thread: the sums are the same on every machine, and tests run in parallel.
export OMP_NUM_THREADS=1
ctest --preset "$preset" "$@"
