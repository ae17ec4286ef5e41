#!/usr/bin/env bash
# Builds with a LibTorch that has CUDA, runs the tests of GPUs and measures.
# What follows goes to ctest. MDGAN_NO_GPU=1: as on a machine without one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ -n ${MDGAN_NO_GPU:-} ]] || ! nvidia-smi -L 2>/dev/null | grep -q '^GPU'; then
  echo "skipped: this machine has no NVIDIA GPU (nvidia-smi lists none)"
  exit 0
fi
nvidia-smi -L

# The python that the benchmark's yardstick runs with: it needs torch with CUDA.
python=
for candidate in python3 /usr/bin/python3; do
  if "$candidate" -c 'import torch; assert torch.version.cuda' 2>/dev/null; then
    python=$candidate
    break
  fi
done

# LibTorch with CUDA: what the user names, the wheel's, or Debian's.
if [[ -z ${CMAKE_PREFIX_PATH:-} && -n $python ]]; then
  CMAKE_PREFIX_PATH=$("$python" -c \
    'import torch; print(torch.utils.cmake_prefix_path)')
fi
export CMAKE_PREFIX_PATH=${CMAKE_PREFIX_PATH:-}
if [[ -z $CMAKE_PREFIX_PATH ]] && ! compgen -G '/usr/lib/*/libtorch_cuda.so' \
  >/dev/null; then
  echo "There is a GPU, but no LibTorch with CUDA: name one by" >&2
  echo "CMAKE_PREFIX_PATH=/path/to/libtorch, or install PyTorch for python3;" >&2
  echo "docs/gpu.md has the steps." >&2
  exit 1
fi

# shellcheck source=common/setup.sh
source common/setup.sh
install_packages "${packages_libraries[@]}" "${packages_data[@]}" catch2
build gpu -DMDGAN_BUILD_TESTS=ON
build/gpu/bin/mdgan-server --version

export OMP_NUM_THREADS=1
ctest --preset gpu "$@"
exec python3 tests/gpu/benchmark.py --python "$python"
