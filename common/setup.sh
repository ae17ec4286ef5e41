# shellcheck shell=bash disable=SC2034
# What run.sh, test.sh, bench.sh and the Dockerfile share: the Debian packages
# (Debian 12 and 13 have them all under these names), and how to install and
# build.
#   source common/setup.sh
#   bash common/setup.sh build     prints the list packages_build

packages_libraries=(
  ca-certificates cmake ninja-build g++ pkg-config
  libzmq3-dev cppzmq-dev libmsgpack-cxx-dev
  libboost-program-options-dev libspdlog-dev nlohmann-json3-dev
  libpng-dev libjpeg62-turbo-dev libtiff-dev libwebp-dev libstb-dev zlib1g-dev
  libsodium-dev
  libutf8proc-dev
  # Without it LibTorch gets the reference BLAS, which is many times slower.
  libopenblas0-pthread
)
packages_build=("${packages_libraries[@]}" libtorch-dev libdnnl-dev)
packages_data=(dataset-fashion-mnist)
packages_test=(catch2 iproute2 python3-zmq python3-msgpack python3-torch
  python3-numpy python3-matplotlib python3-scipy python3-pil python3-yaml)
packages_experiment=(python3-matplotlib python3-numpy)
packages_lint=(clang-format clang-tidy)
packages_bench=(libbenchmark-dev python3-torch python3-numpy)

# install_packages PACKAGE...: installs those that are missing; asks nothing.
install_packages() {
  local missing=() package
  for package in "$@"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == \
      installed ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then return 0; fi
  if ! command -v apt-get >/dev/null; then
    echo "Please install what Debian calls: ${missing[*]}" >&2
    return 1
  fi
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "These packages are missing: ${missing[*]}" >&2
      echo "Install them as root, or install sudo, and start again." >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq)
  "${apt[@]}" update
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

# clang, and its libraries of the sanitizers and of libFuzzer.
install_clang() {
  install_packages clang
  install_packages "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
}

# build PRESET [CMAKE OPTION...]: configures and builds a preset, or of it only
# the targets in build_targets.
build_targets=()
build() {
  local preset=$1 log memory jobs targets=()
  shift
  mkdir -p build
  log=build/$preset-configure.log
  if ! cmake --preset "$preset" "$@" >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "Configuring failed; all of the output is in $log" >&2
    return 1
  fi
  # A file that includes LibTorch takes the compiler up to 2 GB.
  memory=$(awk '/^MemAvailable/ {print int($2 / 2000000)}' /proc/meminfo)
  jobs=$(nproc)
  if ((jobs > memory)); then jobs=$((memory > 0 ? memory : 1)); fi
  if ((${#build_targets[@]})); then targets=(--target "${build_targets[@]}"); fi
  cmake --build --preset "$preset" --parallel "$jobs" "${targets[@]}"
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
  declare -n list="packages_${1:?build, libraries, data, test, experiment, lint or bench}"
  printf '%s\n' "${list[@]}"
fi
