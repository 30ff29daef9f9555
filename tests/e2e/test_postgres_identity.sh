#!/usr/bin/env bash
# Copies of a log that PostgreSQL itself takes for the same: a database made from a template, the files of a server that
# was stopped, started beside it or put back in its place. Whoever holds a position is told where they part. And a
# role that may not ask which cluster it is in. (G-832, G-833; issue 8, item 1)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
start_database pg
db=$place

sql() { # URL …
    psql -qXAt -v ON_ERROR_STOP=1 "$@"
}
append() { # URL POSITION
    expect 0 "$excore" append a T '{}' --data "$1"
    has "$out" " position $2"
}
epoch() { # URL
    "$excore" status --data "$1" --json | jq -r '.store.epoch | "\(.reason) \(.first)"'
}
# log_of URL: what an answer says to keep beside a position.
log_of() {
    start_server --data "$1" --listen 127.0.0.1:0
    curl -sS -m 20 -o /dev/null -D .head "$url/v1/events?after=0"
    log=$(sed -n 's/^excore-log: *//Ip' .head | tr -d '\r')
    stop_server
    is "${#log}" 73
}
# told URL LOG POSITION…: the answers to those who hold the positions, "200" or the code of a problem.
told() {
    start_server --data "$1" --listen 127.0.0.1:0
    local position answers=()
    for position in "${@:3}"; do
        code=$(curl -sS -m 20 -o .answer -w '%{http_code}' "$url/v1/events?after=$position&log=$2")
        [ "$code" = 200 ] || code=$(jq -r .code .answer)
        answers+=("$code")
    done
    stop_server
    out=${answers[*]}
}

# ---- A database made from this one as a template ----
append "$db" 1
append "$db" 2
log_of "$db"
held=$log
sql "${db/\/excore\?//postgres?}" -c 'CREATE DATABASE twin TEMPLATE excore'
twin=${db/\/excore\?//twin?}
append "$db" 3
append "$twin" 3
is "$(epoch "$db")" "created 1"
is "$(epoch "$twin")" "replaced 3"
told "$twin" "$held" 2 3
is "$out" "200 LOG_CHANGED"
told "$db" "$held" 2 3
is "$out" "200 200"
log_of "$twin"
told "$db" "$log" 3
is "$out" LOG_CHANGED

# ---- One role may ask which cluster it is, the other may not ----
sql "$db" -c "CREATE ROLE plain LOGIN" -c "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC" \
    -c "GRANT USAGE ON SCHEMA excore TO plain" -c "GRANT ALL ON ALL TABLES IN SCHEMA excore TO plain"
plain=${db/excore@/plain@}
append "$plain" 4
append "$db" 5
append "$plain" 6
is "$(epoch "$db")" "created 1"
# The same after an epoch that the one or the other has written.
count=1
for first in "$plain" "$db"; do
    sql "$db" -c "DELETE FROM excore.log_witness"
    for one in "$first" "$db" "$plain" "$db"; do
        expect 0 "$excore" append a T '{}' --data "$one"
    done
    count=$((count + 1))
    is "$(sql "$db" -c 'SELECT count(*) FROM excore.log_epochs')" $count
done
# Both at once, and each of them for as long as it likes.
start_server --data "$plain" --listen 127.0.0.1:0
for one in "$url" "$db" "$url" "$db"; do
    option=--url
    [ "$one" = "$url" ] || option=--data
    expect 0 "$excore" append a T '{}' $option "$one"
done
stop_server
is "$(sql "$db" -c 'SELECT count(*) FROM excore.log_epochs')" $count

# ---- The files of a server that was stopped ----
end=$(sql "$db" -c 'SELECT position FROM excore.log_head')
log_of "$db"
before=$log
start_database beside
beside=${place/excore@/plain@}
"$postgres" stop "$scratch/beside"
"$postgres" stop "$scratch/pg"
data=$(<"$scratch/pg/data.place")/data
copied=$(<"$scratch/beside/data.place")/data
cp -a "$data" "$data.back"
find "$copied" -mindepth 1 -delete
cp -a "$data/." "$copied"
"$postgres" start "$scratch/pg" >/dev/null
"$postgres" start "$scratch/beside" >/dev/null
append "$plain" $((end + 1))
append "$plain" $((end + 2))
append "$beside" $((end + 1))
log_of "$beside"
told "$beside" "$log" "$end" $((end + 1))
is "$out" "200 200"
told "$plain" "$log" $((end + 1))
is "$out" LOG_CHANGED
log_of "$plain"
told "$beside" "$log" $((end + 1))
is "$out" LOG_CHANGED
is "$(epoch "$beside")" "restarted $((end + 1))"

# ---- The same files, put back while no node ran ----
held=$log
"$postgres" stop "$scratch/pg"
rm -r "$data"
mv "$data.back" "$data"
"$postgres" start "$scratch/pg" >/dev/null
for n in 1 2 3; do
    append "$plain" $((end + n))
done
told "$plain" "$held" $((end + 1)) $((end + 2))
is "$out" "LOG_CHANGED LOG_CHANGED"
told "$plain" "$before" "$end" $((end + 1))
is "$out" "200 LOG_CHANGED"
finish
