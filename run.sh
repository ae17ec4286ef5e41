#!/usr/bin/env bash
# From nothing to pictures: installs, builds, and trains MD-GAN on clothes with
# one server process and four peer processes on this machine.
set -euo pipefail

usage() {
  cat <<'TEXT'
Trains a generator of pictures on this machine: one server, and peers that each
are a process with a part of the data that it shows to nobody, talking TCP.
First it installs what is missing of Debian's packages (as root, or with sudo)
and builds.

Usage: ./run.sh [OPTION ...] [-- SERVER OPTION ...]

  --peers N      peers, each with an N-th of the data     [4]
  --rounds R     generator updates     [as the configuration says]
  --data DIR     MNIST or CIFAR-10 files, or pictures in a folder, a subfolder
                 for each class     [Fashion-MNIST, from Debian]
  --config FILE  what to train; see configs/     [configs/fashion-mlp.ini]
  --help         this text

What follows -- goes to `mdgan-server train`, whose --help lists it all (paths
there are relative to this repository):
  ./run.sh --rounds 500 -- --seed 7 --swap-epochs 0

As it stands it trains for about three minutes on two cores. Ctrl-C ends it
early and keeps what there is.
TEXT
}

start_directory=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")"

peers=4
config=configs/fashion-mlp.ini
fashion=/usr/share/datasets/fashion-mnist
data=$fashion
server_options=()

fail() {
  echo "run.sh: $*" >&2
  exit 2
}
from_start() { # a path as the user meant it
  case $1 in /*) echo "$1" ;; *) echo "$start_directory/$1" ;; esac
}

while (($#)); do
  case $1 in
    --help | -h) usage; exit 0 ;;
    --) shift; server_options+=("$@"); break ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
    --peers | --rounds | --data | --config)
      (($# > 1)) || fail "$1 needs a value"
      case $1 in
        --peers) peers=$2 ;;
        --rounds) server_options+=(--rounds "$2") ;;
        --data) data=$(from_start "$2") ;;
        --config) config=$(from_start "$2") ;;
      esac
      shift 2
      ;;
    *) fail "unknown option $1; ./run.sh --help lists them" ;;
  esac
done
[[ $peers =~ ^[1-9][0-9]{0,3}$ ]] ||
  fail "--peers must be 1 to 9999, but is '$peers'"
[[ -f $config ]] || fail "there is no configuration $config"

# shellcheck source=common/setup.sh
source common/setup.sh
packages=("${packages_build[@]}")
if [[ $data == "$fashion" ]]; then packages+=("${packages_data[@]}"); fi
install_packages "${packages[@]}"
[[ -d $data ]] || fail "there is no folder $data"

echo "Building (some minutes the first time)"
build_targets=(mdgan-server mdgan-peer)
build release -DMDGAN_BUILD_TESTS=OFF
bin=build/release/bin

# One thread a process: the processes share the cores as it is.
export OMP_NUM_THREADS=1
# Every process in a group of its own, so that Ctrl-C comes here alone; the
# server then tells the peers.
set -m
scratch=$(mktemp -d)
touch "$scratch/started"
peer_groups=()
# shellcheck disable=SC2317 # the trap calls it
finish() {
  exec 2>/dev/null # the shell's remarks on those it ends
  local group
  for group in "${peer_groups[@]}"; do kill -- "-$group" || true; done
  wait || true
  rm -rf "$scratch"
}
trap finish EXIT

"$bin/mdgan-server" train --config "$config" --bind tcp://127.0.0.1:0 \
  --min-peers "$peers" "${server_options[@]}" &
server=$!
trap 'kill -INT "$server" 2>/dev/null || true' INT TERM

# The server's status.json: beside the lock that it holds on its run's folder.
status_file() {
  local file
  for file in "/proc/$server/fd/"*; do
    file=$(readlink "$file") || continue
    if [[ $file == */lock && -f ${file%lock}status.json ]]; then
      echo "${file%lock}status.json"
    fi
  done
}
# Waits until it listens, or has ended and said why: it may have to train a
# classifier first.
address=
status_json=
for ((tenths = 0; tenths < 18000 && ${#address} == 0; tenths++)); do
  kill -0 "$server" 2>/dev/null || break
  sleep 0.1 &
  wait $! || true # so that Ctrl-C comes here
  status_json=$(status_file) || continue
  if [[ -n $status_json ]] && grep -q "^ \"pid\": $server,$" "$status_json"; then
    address=$(sed -n 's/^ "endpoint": "\(.*\)",$/\1/p' "$status_json") || true
  fi
done
if [[ -z $address ]]; then kill -INT "$server" 2>/dev/null || true; fi

# A peer that could not even begin will not come: the server need not wait.
run_peer() {
  local status=0
  "$bin/mdgan-peer" --server "$address" --data "$data" --shard "$1/$peers" \
    --listen "tcp://127.0.0.1:0" --name "peer-$1" --quiet \
    --connect-timeout 60 || status=$?
  case $status in
    2 | 3 | 6)
      echo "$status" >"$scratch/failed"
      kill -INT "$server" 2>/dev/null || true
      ;;
  esac
}
for ((i = 0; i < peers && ${#address} > 0; i++)); do
  run_peer "$i" &
  peer_groups+=($!)
done

while kill -0 "$server" 2>/dev/null; do wait "$server" || true; done
status=0
wait "$server" || status=$?
if [[ -f $scratch/failed ]]; then status=$(<"$scratch/failed"); fi

newest=
if [[ -n $status_json ]]; then
  newest=$(find "$(dirname "$status_json")/samples" -name '*.png' \
    -newer "$scratch/started" 2>/dev/null | sort | tail -n 1) || true
fi
if [[ -n $newest ]]; then
  echo
  echo "The pictures are in $(dirname "$newest"), the newest is"
  echo "$newest"
fi
exit "$status"
