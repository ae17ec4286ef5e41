#!/bin/bash
# Starts mdgan-server train with the key and the page's token in /work/runs, which it
# makes if there are none, and lets in the peers that have put their lines into
# /work/keys/authorized_peers, a volume that all share.
set -euo pipefail

key=/work/runs/server.key
if [[ ! -e $key ]]; then
  rm -f "${key%.key}.pub" # of a start that was killed in between
  mdgan-server keygen --key "$key"
fi
# The page is bound to all of the container's addresses, so it asks for this.
token=/work/runs/page.token
if [[ ! -s $token ]]; then
  (umask 077; head -c 24 /dev/urandom | base64 >"$token")
fi
touch /work/keys/authorized_peers
# Peers wait for this file: whole or not at all.
cp "${key%.key}.pub" /work/keys/.server.pub
mv /work/keys/.server.pub /work/keys/server.pub
exec mdgan-server train --key "$key" --http '*:8080' --http-token "$token" \
  --authorized-peers /work/keys/authorized_peers "$@"
