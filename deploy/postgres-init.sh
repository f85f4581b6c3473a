#!/bin/sh
# Roles, database and slot of a new PostgreSQL, as `outcry stack up` makes them. Run once by the image, by the superuser on the socket.
# The passwords come from a file into variables of psql: never into a command line.
set -eu
: "${PASSWORDS:=/run/secrets/passwords}" "${PGDATA:?folder of the cluster}" "${POSTGRES_USER:=postgres}"
export PASSWORDS

cat > "$PGDATA/pg_hba.conf" <<'END'
local all,replication postgres peer
host all outcry_migrator,outcry_writer,outcry_reader all scram-sha-256
host replication outcry_replicator all scram-sha-256
END

psql --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres <<'END'
\set migrator `sed -n 's/^.*:outcry_migrator://p' "$PASSWORDS"`
\set writer `sed -n 's/^.*:outcry_writer://p' "$PASSWORDS"`
\set reader `sed -n 's/^.*:outcry_reader://p' "$PASSWORDS"`
\set replicator `sed -n 's/^.*:outcry_replicator://p' "$PASSWORDS"`
CREATE ROLE outcry_migrator LOGIN PASSWORD :'migrator';
CREATE ROLE outcry_writer LOGIN PASSWORD :'writer';
CREATE ROLE outcry_reader LOGIN PASSWORD :'reader';
CREATE ROLE outcry_replicator LOGIN REPLICATION PASSWORD :'replicator';
CREATE DATABASE outcry OWNER outcry_migrator TEMPLATE template0;
REVOKE ALL ON DATABASE outcry FROM PUBLIC;
GRANT CONNECT ON DATABASE outcry TO outcry_writer, outcry_reader;
SELECT pg_create_physical_replication_slot('standby', true);
END
