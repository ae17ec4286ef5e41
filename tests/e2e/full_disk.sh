#!/usr/bin/env bash
# A server whose run is on a file system of 96 MiB that fills up and has room
# again: full_disk.sh SERVER DATA MOUNTPOINT. Exit code 77: no file system can be
# mounted here.
set -euo pipefail

if [[ ${4:-} != inside ]]; then
  mkdir -p "$3"
  if ! unshare -rm true 2>/dev/null; then
    echo "no user namespace can be made here"
    exit 77
  fi
  exec unshare -rm bash "$0" "$1" "$2" "$3" inside
fi

disk=$3
if ! mount -t tmpfs -o size=96m tmpfs "$disk"; then
  echo "no tmpfs can be mounted here"
  exit 77
fi
run=$disk/run
"$1" train --data "$2" --local-peers 2 --rounds 1000000 --stats-every 1 \
  --samples-every 200 --checkpoint-every 200 --keep-last 1 --keep-every 0 \
  --run-dir "$run" >"$disk.out" 2>&1 &
server=$!
trap 'kill -9 $server 2>/dev/null || true' EXIT

fail() {
  echo "$1"
  tail -n 20 "$disk.out"
  exit 1
}
round() {
  sed -n 's/^ "round": \([0-9]*\),$/\1/p' "$run/status.json" 2>/dev/null || true
}
wait_for() { # what, then a condition
  for ((i = 0; i < 1200; i++)); do
    if eval "$2"; then return; fi
    kill -0 $server || fail "the server ended before $1"
    sleep 0.1
  done
  fail "no $1"
}

wait_for "checkpoint of a trained round" \
  'compgen -G "$run/checkpoints/*[1-9]*" >/dev/null'
# Again and again: removing an old checkpoint makes room for the next.
while sleep 0.02; do
  dd if=/dev/zero of="$disk/fill" bs=16k oflag=append conv=notrunc \
    2>/dev/null || true
done &
filler=$!
trap 'kill -9 $server $filler 2>/dev/null || true' EXIT
wait_for "word of the full disk" 'grep -q "NOT SAVED" "$disk.out"'
# status.json may be as old as the disk is full: the log on the other file
# system says how far training is.
logged() { sed -n 's/.*round \([0-9]*\)\/1000000.*/\1/p' "$disk.out" | tail -n 1; }
from=$(logged)
wait_for "round while the disk is full" '(( $(logged) > from + 50 ))'
kill $filler
wait $filler || true
rm "$disk/fill"
wait_for "checkpoint after there is room" 'grep -q "can be written again" "$disk.out"'
kill -TERM $server
code=0
wait $server || code=$?
((code == 10)) || fail "exit code $code"
ls "$run/checkpoints" | grep -q "$(printf %08d "$(round)")" ||
  fail "the newest checkpoint is not of round $(round)"
