#!/usr/bin/env bash
# Installs what is missing, builds, and runs every test.
set -euo pipefail

if [[ ${1:-} == --help || ${1:-} == -h ]]; then
  cat <<'TEXT'
Usage: ./test.sh [PRESET [CTEST OPTION ...]]

Builds a preset of CMakePresets.json (release, debug, asan, tsan, fuzz, gpu;
[release]) and runs its tests. What follows the preset goes to ctest:
  ./test.sh release -L unit        only the tests with a label: unit, protocol,
                                   tensor, shell, integration, e2e,
                                   simulation, experiment, python, tree, fuzz
  ./test.sh debug -R swap          only those whose name matches
  ./test.sh gpu                    whether a GPU works here, and how fast: with
                                   the LibTorch of CMAKE_PREFIX_PATH or of
                                   python3's torch; see docs/gpu.md
MDGAN_MNIST_DIR may name a folder with MNIST's four files, for the tests that
need it; without it they are skipped.
TEXT
  exit 0
fi

cd "$(dirname "${BASH_SOURCE[0]}")"
preset=${1:-release}
shift || true
if [[ $preset == gpu ]]; then exec tests/gpu/run.sh "$@"; fi

# shellcheck source=common/setup.sh
source common/setup.sh
install_packages "${packages_build[@]}" "${packages_data[@]}" \
  "${packages_test[@]}"
if [[ $preset == fuzz ]]; then install_clang; fi
build "$preset" -DMDGAN_BUILD_TESTS=ON

# One thread: the sums are the same on every machine, and tests run in parallel.
export OMP_NUM_THREADS=1
# A program that has to choose OpenBLAS' kernels starts anew for it: here it is
# told at once, as tests start some hundreds of them.
server=build/$preset/bin/mdgan-server
if [[ -z ${OPENBLAS_CORETYPE:-} && -x $server ]]; then
  core=$("$server" --version | sed -n 's/.*kernels for \(.*\), chosen by.*/\1/p' || true)
  if [[ -n $core ]]; then export OPENBLAS_CORETYPE=$core; fi
fi
ctest --preset "$preset" "$@"
