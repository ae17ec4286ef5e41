#!/bin/bash
# Starts mdgan-peer on a part of the data that no other container has: a
# container does not know its number among its like, so it takes the first of the
# PEERS shards that is free. A shard is taken by a lock on a file in /work/shards,
# a volume all of them share; the kernel frees it when the container ends, however
# it ends, and the container that comes in its place takes that shard and name.
set -euo pipefail

: "${PEERS:?the number of shards, which is the number of peers}"
for ((i = 0; i < PEERS; i++)); do
  exec {lock}>"/work/shards/$i"
  if flock --nonblock "$lock"; then
    # The lock is mdgan-peer's from here on: exec keeps the file open.
    exec mdgan-peer --shard "$i/$PEERS" --name "peer-$i" "$@"
  fi
  exec {lock}>&-
done
echo "All $PEERS shards are taken: set PEERS to the number of peers" >&2
exit 2
