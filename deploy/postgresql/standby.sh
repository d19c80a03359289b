#!/bin/sh
# The start of a standby: the first time a copy of the primary ($PRIMARY), then as the image does. It follows under its
# cluster_name, by which commits wait for it; the copying has no such name, so that nothing counts as kept by it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA" && chmod 0700 "$PGDATA"
  until pg_basebackup --pgdata="$PGDATA" --write-recovery-conf --wal-method=stream --checkpoint=fast \
    --no-password --dbname="host=$PRIMARY user=replicator passfile=$SECRETS/replicator.pgpass"; do
    find "$PGDATA" -mindepth 1 -delete  # the primary is not there yet, or the copy was cut short
    sleep 1
  done
fi
exec docker-entrypoint.sh "$@"
