#!/usr/bin/env bash
# Where values come from, in which order; what `config` prints is a configuration again (R-01-27 to R-01-35).
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

value() {
    grep -oE "\"$1\":\{[^}]*\}" <<<"$out"
}

expect 0 "$excore" config --json
has "$(value server.port)" '"value":8080,"source":"default"'
has "$(value store.durability)" '"value":"full"'
has "$(value log.level)" '"value":"info"'
[ "$(grep -oE '"source":' <<<"$out" | wc -l)" -gt 35 ] || fail "keys are missing"

# Flag before environment before file before default.
cat >excore.yaml <<'YAML'
server:
  port: 1001
  idle_timeout: 5m
store:
  data: ${HOME_OF_DATA:./from-file}
YAML
expect 0 "$excore" config --config excore.yaml --json
has "$(value server.port)" '"value":1001,"source":"file","origin":"excore.yaml:2"'
has "$(value server.idle_timeout)" '"value":"5m"'
has "$(value store.data)" '"value":"./from-file"'
expect 0 env EXCORE_SERVER_PORT=1002 HOME_OF_DATA=/elsewhere EXCORE_CONFIG=excore.yaml "$excore" config --json
has "$(value server.port)" '"value":1002,"source":"environment"'
has "$(value store.data)" '"value":"/elsewhere"'
expect 0 env EXCORE_SERVER_PORT=1002 "$excore" config --config excore.yaml --listen :1003 --set store.queue_limit=7 --json
has "$(value server.port)" '"value":1003,"source":"flag"'
has "$(value server.host)" '"value":"::"'
has "$(value store.queue_limit)" '"value":7'
expect 0 env LOG_LEVEL=warn "$excore" config --json
has "$(value log.level)" '"value":"warn","source":"environment"'
expect 0 env EXCORE_URL=http://x "$excore" config
expect 78 env EXCORE_SERVER_PROT=1 "$excore" config
has "$err" "EXCORE_SERVER_PROT"

# Printed, loaded, printed: the same values.
expect 0 "$excore" config --config excore.yaml --set api.sse_heartbeat=20s
printf '%s\n' "$out" >printed.yaml
expect 0 "$excore" config --config printed.yaml
printf '%s\n' "$out" >again.yaml
diff <(grep -v '^ *#' printed.yaml) <(grep -v '^ *#' again.yaml) || fail "a printed configuration reads back changed"
grep -q 'sse_heartbeat: 20s' again.yaml || fail "a value got lost"

# Every key has a help line.
expect 0 "$excore" config
grep -q '# address to listen on' <<<"$out" || fail "keys without help"

# All faults at once, and nothing is printed; also those that need two keys.
expect 78 "$excore" config --set server.port=-1 --set server.loops=0 --set nonsense=1 --set log.format=xml
is "$out" ""
for text in server.port server.loops nonsense log.format; do
    has "$err" "$text"
done
expect 78 "$excore" config --set api.page_events_limit=10
has "$err" "api.stream_page_events: 1000 is above api.page_events_limit (10)"
has "$err" "api.log_page_events: 100 is above api.page_events_limit (10)"
expect 78 "$excore" config --set store.data=
has "$err" "store.data: must not be empty"

# Both kinds together, and words that are none (issue 9, item 14).
expect 78 "$excore" config --set server.port=x --set store.data= --set log.level=loud --set store.durability=none \
    --set server.hosts=a:80
for text in 'server.port: "x"' 'store.data: must not be empty' 'log.level: "loud" is not one of debug|info|warn|error|off' \
    'store.durability: "none" is not one of full|normal' 'server.hosts: "a:80"'; do
    has "$err" "$text"
done
LOG_LEVEL=trace expect 0 "$excore" config # other programs' words

# In production a database elsewhere needs TLS; serve refuses with the same words (R-01-34).
far=postgres://shop:secret@db.example/shop
expect 78 "$excore" config --set service.env=production --set "store.data=$far"
has "$err" "store.data: in production a PostgreSQL server that is not on this machine needs sslmode=require"
has_not "$err" secret
expect 78 "$excore" serve --data "$far" --set service.env=production
has "$err" "needs sslmode=require"
expect 0 "$excore" config --set service.env=production --set "store.data=$far?sslmode=verify-full"
expect 0 "$excore" config --set service.env=staging --set "store.data=$far"

expect 2 "$excore" config --set server.port
has "$err" "option '--set' wants KEY=VALUE"
finish
