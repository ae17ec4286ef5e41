#!/bin/bash
# Starts mdgan-peer on a part of the data that no other container has: a
# container does not know its number among its like, so it takes the first of the
# SHARDS shards that is free. A shard is taken by a lock on a file in /work/shards,
# a volume all of them share; the kernel frees it when the container ends, however
# it ends, and the container that comes in its place takes that shard and name.
# Its key is made on its first start, and let in by a line in the list that the server
# reads in /work/keys.
set -euo pipefail

keys_of() { # NAME
  local key=/work/state/$1.key line
  if [[ ! -e $key ]]; then
    rm -f "${key%.key}.pub" # of a start that was killed in between
    mdgan-peer keygen --key "$key" --name "$1" >&2
  fi
  line=$(<"${key%.key}.pub")
  (
    flock 9
    grep -qxF "$line" /work/keys/authorized_peers 2> /dev/null ||
      echo "$line" >> /work/keys/authorized_peers
  ) 9> /work/keys/.lock
  until [[ -e /work/keys/server.pub ]]; do sleep 0.2; done
  until grep -qxF "$line" /work/keys/authorized_peers; do sleep 0.2; done
  sleep 1 # the server looks at the list twice a second
}

: "${SHARDS:?into how many parts the data is cut}"
for ((i = 0; i < SHARDS; i++)); do
  exec {lock}>"/work/shards/$i"
  if flock --nonblock "$lock"; then
    keys_of "peer-$i"
    # The lock is mdgan-peer's from here on: exec keeps the file open.
    exec mdgan-peer --shard "$i/$SHARDS" --name "peer-$i" \
      --key "/work/state/peer-$i.key" --server-key /work/keys/server.pub "$@"
  fi
  exec {lock}>&-
done
echo "all $SHARDS shards are taken: this peer is one too many; SHARDS in" \
  "compose.yaml says how many there are" >&2
exit 0 # so that it is not started again
