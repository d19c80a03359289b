#!/bin/sh
# What the image of PostgreSQL does at its start, as far as our files depend on it: the first time it makes the data,
# starts a server without network, runs the scripts of $INITDB, and stops it.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --pgdata="$PGDATA" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 --no-sync \
    --no-instructions --encoding=utf8 --wal-segsize=1 >/dev/null
  PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") PGHOST=$SOCKETS
  export PGPASSWORD PGHOST
  pg_ctl --wait --silent --options="$(shift && printf "'%s' " "$@") -c listen_addresses=''" start
  for script in "$INITDB"/*.sh; do "$script"; done
  pg_ctl --wait --silent --mode=fast stop
fi
exec "$@"
