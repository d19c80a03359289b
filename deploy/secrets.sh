#!/bin/sh
# usage: sh deploy/secrets.sh [FOLDER]   (default: secrets)
# Makes what the profile `cluster` of docker-compose.yml takes from files: passwords of PostgreSQL, the secret of the
# keys at rest, and the certificate by which the edge proves itself to the doors. What is there stays. As root, each file
# belongs to the user of its container. Keep a copy of lgsp.secret elsewhere: without it no backup opens.
set -eu
umask 077
folder=${1:-secrets}
mkdir -p "$folder"
cd "$folder"
password() { [ -e "$1" ] || od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$1"; }
password postgres.password
password lgsp.password
password replicator.password
[ -e lgsp.pgpass ] || echo "*:*:*:lgsp:$(cat lgsp.password)" >lgsp.pgpass
[ -e replicator.pgpass ] || echo "*:*:*:replicator:$(cat replicator.password)" >replicator.pgpass
[ -e lgsp.secret ] || head -c 32 /dev/urandom >lgsp.secret
[ -e edge.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 825 -subj /CN=edge \
  -addext subjectAltName=DNS:edge -keyout edge.key -out edge.crt 2>/dev/null
chmod 0644 edge.crt
if [ "$(id -u)" = 0 ]; then
  chmod 0711 .
  chown 999:999 postgres.password lgsp.password replicator.password replicator.pgpass
  chown 10001:10001 lgsp.pgpass lgsp.secret edge.key edge.crt
fi
