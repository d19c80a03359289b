#!/bin/sh
# The first start of a primary: the roles, by passwords in files, and the gateway's database.
# The image runs it once, in /docker-entrypoint-initdb.d. No standby is there yet: nothing here waits for one.
set -eu
export PGOPTIONS='-c synchronous_commit=local'
[ "${CONFIG:-}" = keys.conf ] && keys=true || keys=false
psql --no-psqlrc --set ON_ERROR_STOP=1 --set keys="$keys" --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
\set lgsp \`cat "$SECRETS/lgsp.password"\`
\set replicator \`cat "$SECRETS/replicator.password"\`
CREATE ROLE lgsp LOGIN PASSWORD :'lgsp';
GRANT pg_read_all_stats TO lgsp;  -- it looks whether a standby is synchronous
CREATE ROLE replicator LOGIN REPLICATION PASSWORD :'replicator';
CREATE DATABASE lgsp OWNER lgsp;
\if :keys
  GRANT pg_checkpoint TO lgsp;  -- so that a destroyed key leaves the server's log at once
  \connect lgsp
  GRANT EXECUTE ON FUNCTION pg_switch_wal() TO lgsp;  -- of this database alone
\else
  ALTER ROLE lgsp CREATEDB;  -- a drill of a restore makes the database lgsp_drill, and removes it
\endif
SQL
