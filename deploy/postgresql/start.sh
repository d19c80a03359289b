#!/bin/sh
# The start of a server, primary or standby; then as the image does. Commits wait for a standby by its cluster_name.
# $CONFIG names its settings: keys.conf for the vault's keys, else postgresql.conf.
# Where $PRIMARY names another, the first start copies it. The copying has no such name: nothing counts as kept by it.
set -eu
if [ -n "${PRIMARY:-}" ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA" && chmod 0700 "$PGDATA"
  until pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --wal-method=stream --checkpoint=fast \
    --no-password --dbname="host=$PRIMARY user=replicator passfile=$SECRETS/replicator.pgpass"; do
    find "$PGDATA" -mindepth 1 -delete # the primary is not there yet, or the copy was cut short
    sleep 1
  done
fi
own=$(dirname "$0")
# shellcheck disable=SC3028 # HOSTNAME is the container's
exec docker-entrypoint.sh postgres -c "config_file=$own/${CONFIG:-postgresql.conf}" -c "hba_file=$own/pg_hba.conf" \
  -c "cluster_name=$HOSTNAME" "$@"
