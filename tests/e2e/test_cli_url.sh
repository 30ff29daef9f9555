#!/usr/bin/env bash
# The same verbs through a server; and what only a server can do wrong.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/verbs.sh
. "$tests/verbs.sh"

start_server --data store --listen 127.0.0.1:0
check_verbs --url "$url"

# A trailing slash, and the address from the environment.
expect 0 "$excore" read order-1 --url "$url/"
has "$out" "order-1@1"
expect 0 env EXCORE_URL="$url" "$excore" read order-1
has "$out" "order-1@1"

# A directory is read while the server writes it, and followed.
expect 0 "$excore" read order-1 --data store
has "$out" "order-1@2"
"$excore" tail --from 0 --types Beside --json --data store >beside 2>&1 &
children+=($!)
expect 0 "$excore" append beside Beside '{"i":1}' --url "$url"
wait_for file_has beside '"data":{"i":1}'
expect 0 "$excore" append beside Beside '{"i":2}' --url "$url"
wait_for file_has beside '"data":{"i":2}'
is "$(wc -l <beside)" 2

# Writing it is refused, with the owner named and the way out.
expect 1 "$excore" append order-1 T '{}' --data store
has "$err" "is in use by process $server"
has "$err" "--url"

# More than a page of events, over pages and over the event stream.
expect 0 "$excore" bench --url "$url" --seconds 1 --in-flight 16 --json
appends=$(grep -oE '"appends":[0-9]+' <<<"$out" | cut -d: -f2)
expect 0 "$excore" tail --from 0 --no-follow --types BenchEvent --json --url "$url"
is "$(wc -l <<<"$out")" "$appends"
expect 0 "$excore" tail --from 0 --types BenchEvent --limit "$appends" --json --url "$url"
is "$(wc -l <<<"$out")" "$appends"

# A follower survives a restart of the server: nothing missed, nothing twice.
"$excore" tail --from 0 --types Restart --json --url "$url" >restart 2>restart.err &
follower=$!
children+=("$follower")
expect 0 "$excore" append restart Restart '{"i":1}' --url "$url"
wait_for file_has restart '"data":{"i":1}'
stop_server
is "$code" 0
start_server --data store --listen "127.0.0.1:$port"
expect 0 "$excore" append restart Restart '{"i":2}' --url "$url"
wait_for file_has restart '"data":{"i":2}'
is "$(grep -c Restart restart)" 2
has "$(<restart.err)" "connection lost; asking again after position"
kill -TERM "$follower"
code=0
wait "$follower" || code=$?
is "$code" 0

# Data as deep as the store takes it, read back (issue 9, item 13; G-909).
deep=$(printf '[%.0s' {1..64})$(printf ']%.0s' {1..64})
expect 0 "$excore" append deep T "$deep" --url "$url"
expect 0 "$excore" append deep After '{}' --url "$url"
expect 0 "$excore" read deep --raw --url "$url"
is "$out" "$deep"$'\n{}'
expect 0 "$excore" tail --from 0 --no-follow --url "$url"
has "$out" After
expect 1 "$excore" append deep T "[$deep]" --url "$url"

# Not a server, not ours, not an address.
stop_server
expect 1 "$excore" append order-1 T '{}' --url "http://127.0.0.1:$port"
has "$err" "excore append: http://127.0.0.1:$port: "
expect 1 "$excore" tail --url "http://127.0.0.1:$port"
expect 1 "$excore" read order-1 --url "ftp://127.0.0.1"
expect 1 "$excore" read order-1 --url "http://no-such-host.invalid"
has "$err" "no-such-host.invalid"
finish
