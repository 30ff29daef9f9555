#!/usr/bin/env bash
# A hot standby behind the primary, made by PostgreSQL's own replication. Whoever writes finds the primary among the
# hosts of the URL without being told to, for writing and for reading; a standby alone can be read, and is refused in
# one sentence by what writes. Both servers are this script's own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
start_database primary
primary=$place
start_database standby
standby=$place

expect 0 "$excore" append a T '{"n":1}' --data "$primary"
"$postgres" stop "$scratch/standby"
data=$(<"$scratch/standby/data.place")/data
find "$data" -mindepth 1 -delete
pg_basebackup -d "$primary" -D "$data" -R -X stream -c fast || fail "no copy of the primary"
chown -R --reference="$data" "$data"
"$postgres" start "$scratch/standby" >/dev/null || fail "the standby does not start"
is "$(psql -qXAt "$standby" -c 'SELECT pg_is_in_recovery()')" t

for verb in "append a T {}" "serve --listen 127.0.0.1:0" "migrate"; do
    # shellcheck disable=SC2086
    run timeout "$patience" "$excore" $verb --data "$standby"
    [ "$verb" != migrate ] || break # up to date: nothing is written
    is "$code" 1
    is "$(wc -l <<<"$err")" 1
    has "$err" "excore ${verb%% *}: cannot connect to PostgreSQL at "
    has "$err" "server is in hot standby mode"
done
is "$code" 0
has "$out" "up to date"
expect 0 "$excore" read a --data "$standby"
has "$out" '"n":1'
expect 0 "$excore" copy --from "$standby" --to copied # it cannot know who writes on its primary
has "$out" "equal at position 1; whether somebody still writes the source cannot be told: cannot connect"

parameter() {
    grep -oE "[?&]$2=[^&]*" <<<"$1" | cut -d= -f2
}
hosts="$(parameter "$standby" host),$(parameter "$primary" host)"
ports="$(parameter "$standby" port),$(parameter "$primary" port)"
both="postgres://excore@/excore?host=$hosts&port=$ports"
# issue 8, item 17: a standby cannot know what is current, and does not say that it does.
for verb in "read a" "tail --no-follow --from 0"; do
    # shellcheck disable=SC2086
    expect 1 timeout "$patience" "$excore" $verb --current --data "$standby"
    is "$err" "excore ${verb%% *}: a standby does not know where the log of its primary ends"
done
psql -qX "$standby" -c 'SELECT pg_wal_replay_pause()' >/dev/null # from here on it lags
expect 0 "$excore" append a T '{"n":2}' --data "$both"
is "$out" "a@2 position 2"
start_server --data "$both" --listen 127.0.0.1:0
is "$(curl -sS -m 20 "$url/v1/streams/a" | jq -c '[.events[].data.n]')" '[1,2]'
is "$(curl -sS -m 20 "$url/v1/events?types=T" | jq -c '[.events[].data.n]')" '[1,2]'
stop_server
is "$code" 0
psql -qX "$standby" -c 'SELECT pg_wal_replay_resume()' >/dev/null
finish
