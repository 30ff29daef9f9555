#!/usr/bin/env bash
# A directory is copied with cp while a server writes it, and a server is started on the copy (issue 8, item 1): its
# views tell what its log tells, however far they were when they were copied. $ROUNDS: of each kind, 2.
# (G-152)
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

create() { # FIRST LAST: orders of these numbers, in one process on one connection
    local n
    for ((n = $1; n <= $2; n++)); do
        printf 'next\nurl = "%s/v1/orders/order/o-%d/create"\nheader = "content-type: application/json"\n' "$url" "$n"
        printf 'data = "{\\"customer_id\\":\\"c-7\\"}"\nsilent\noutput = "/dev/null"\n'
    done | sed 1d | curl -sS -m 60 -K -
}
copy_all() { cp -a live copy; }
# What cp does when it comes to the views late: they know more than the log.
copy_log_first() {
    mkdir copy
    cp -a live/events.* copy/
    create $((last + 1)) $((last + 20))
    cp -a live/views.* copy/
}

start_server --data live --app "$orders" --listen 127.0.0.1:0
live_url=$url
last=0
for ((round = 1; round <= ${ROUNDS:-2}; round++)); do
    for way in copy_all copy_log_first; do
        url=$live_url
        create $((last + 1)) $((last + 60)) &
        writer=$!
        last=$((last + 60))
        $way
        wait "$writer"
        last=$((last + 20))
        live=$server
        start_server --data copy --app "$orders" --listen 127.0.0.1:0
        head=$(curl -sS -m 20 "$url/v1/events?limit=1" | jq .head)
        # the log grows past what the views have seen
        create 100000 100030
        position=$(curl -sS -m 20 "$url/v1/events?limit=1" | jq .head)
        [ "$position" -eq $((head + 31)) ] || fail "$way: the copy's log ends at $position"
        is "$way: $(curl -sS -m 20 "$url/v1/orders/order-count?min_position=$position" | jq .count)" "$way: $position"
        stop_server
        rm -rf copy
        server=$live
    done
done
stop_server
is "$code" 0
file_has serve.log "the log has a new epoch" || fail "the log does not say that it is a copy: $(<serve.log)"
file_has serve.log "view is built anew" || fail "no copy had views that were ahead: the test shows nothing"
finish
