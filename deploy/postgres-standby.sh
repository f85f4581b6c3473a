#!/bin/sh
# A standby: at its first start a copy of the primary, then it streams from it.
set -eu
: "${PASSWORDS:=/run/secrets/passwords}" "${PGDATA:?folder of the cluster}" "${PRIMARY:=host=postgres port=5432}"
[ "$(id -u)" -ne 0 ] || { chown postgres: "$PGDATA"; cp "$PASSWORDS" /tmp/passwords; chown postgres: /tmp/passwords; chmod 600 /tmp/passwords
    PASSWORDS=/tmp/passwords exec setpriv --reuid=postgres --regid=postgres --clear-groups /bin/sh "$0" "$@"; }

from="$PRIMARY user=outcry_replicator passfile=$PASSWORDS"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    chmod 700 "$PGDATA"
    pg_basebackup --pgdata="$PGDATA" --dbname="$from" --slot=standby --checkpoint=fast --no-password
fi
touch "$PGDATA/standby.signal"
exec "$@" -cprimary_slot_name=standby -c"primary_conninfo=$from application_name=standby"
