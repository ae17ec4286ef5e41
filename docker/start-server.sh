#!/bin/bash
# Starts mdgan-server train with the key in /work/runs, which it makes if there is
# none, and lets in the peers that have put their lines into
# /work/keys/authorized_peers, a volume that all share.
set -euo pipefail

key=/work/runs/server.key
if [[ ! -e $key ]]; then
  rm -f "${key%.key}.pub" # of a start that was killed in between
  mdgan-server keygen --key "$key"
fi
touch /work/keys/authorized_peers
# Peers wait for this file: whole or not at all.
cp "${key%.key}.pub" /work/keys/.server.pub
mv /work/keys/.server.pub /work/keys/server.pub
exec mdgan-server train --key "$key" \
  --authorized-peers /work/keys/authorized_peers "$@"
