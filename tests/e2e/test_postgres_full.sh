#!/usr/bin/env bash
# PostgreSQL's disk fills up: the data first, then the WAL, at which PostgreSQL ends itself. Writers are told to
# come again, readers are served, nothing acknowledged is lost, nothing refused is stored, and when there is room
# the same server goes on. The disk is a small tmpfs in a mount namespace of its own.
# shellcheck disable=SC2119,SC2317 # helpers are called through others

# Once more in a namespace, with the disk mounted. Without root's rights it takes two: in the first we may
# mount, in the second we are ourselves again, for PostgreSQL does not run as root.
if [ -z "${SMALL_DISK:-}" ]; then
    small=$(mktemp -d)
    trap 'rmdir "$small"' EXIT
    chmod 755 "$small"
    # shellcheck disable=SC2016 # for the other bash
    mounted='mount -t tmpfs -o size=96m,mode=0755 none "$0" 2>/dev/null || exit 77; exec "$@"'
    if [ "$(id -u)" -eq 0 ]; then
        way=(unshare --mount bash -c "$mounted" "$small")
    else
        way=(unshare --map-root-user --mount bash -c "$mounted" "$small"
            unshare --user --map-user="$(id -u)" --map-group="$(id -g)")
    fi
    if ! "${way[@]}" true 2>/dev/null; then
        echo "SKIP: a tmpfs cannot be mounted here, neither as root nor in a user namespace"
        exit 77
    fi
    SMALL_DISK=$small "${way[@]}" "$0" "$@"
    exit
fi

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
patience=60
disk=$SMALL_DISK
unset SMALL_DISK
stop_database() {
    "$postgres" kill "$disk/pg" >/dev/null 2>&1 || true
    cleanup
}
trap stop_database EXIT
start_database() {
    EXCORE_POSTGRES_OPTIONS="-c min_wal_size=32MB -c max_wal_size=32MB -c autovacuum=off" \
        "$postgres" start "$disk/pg"
}
db=$(start_database) || fail "no database: $db"
is "$(stat -f -c %T "$(<"$disk/pg/data.place")/data")" tmpfs

get() {
    curl -sS -m 30 -o .body -w '%{http_code}' "$@" || true
}

# append N: an event with an id and a body of its own, 1,500 bytes that do not compress; its status is $status.
# What is acknowledged stands in the file acknowledged.
append() {
    local id
    printf -v id '00000000-0000-4000-8000-%012x' "$1"
    [ -e "body.$1" ] || printf '{"events":[{"type":"Filled","id":"%s","data":{"n":%d,"text":"%s"}}]}' \
        "$id" "$1" "$(head -c 1125 /dev/urandom | base64 -w 0)" >"body.$1"
    status=$(curl -sS -m 30 -D .head -o .body -w '%{http_code}' "$url/v1/streams/disk" \
        -H 'content-type: application/json' -d "@body.$1" || true)
    case $status in
    201) echo "$1" >>acknowledged ;;
    503)
        has "$(<.body)" '"code":"STORAGE_UNAVAILABLE"'
        grep -qi '^retry-after: ' .head || fail "no retry-after: $(<.head)"
        ;;
    *) fail "append $1: $status $(<.body)" ;;
    esac
}

# The same again: it was not stored while it was refused.
append_goes_on() {
    append "$1"
    [ "$status" = 201 ]
}

is_ready() {
    [ "$(get "$url/health/ready")" = 200 ]
}
is_unready() {
    [ "$(get "$url/health/ready")" = 503 ]
}

fill_disk() {
    dd if=/dev/zero of="$disk/filler" bs=1M 2>/dev/null || true
    is "$(df --output=avail "$disk" | tail -n 1 | tr -d ' ')" 0
}

start_server --data "$db" --app "$orders" --listen 127.0.0.1:0
is "$(get "$url/v1/orders/order/o-1/create" -H 'content-type: application/json' -d '{"customer_id":"c"}')" 201
n=0
while [ "$n" -lt 20 ]; do
    n=$((n + 1))
    append "$n"
    is "$status" 201
done

# ---- No room for data ----
fill_disk
until [ "$status" != 201 ] || [ "$n" -gt 2000 ]; do
    n=$((n + 1))
    append "$n"
done
is "$status" 503
for _ in 1 2 3 4 5; do
    append "$n"
    is "$status" 503
done
has "$(<serve.log)" "the disk of PostgreSQL at"
is "$(get "$url/health/live")" 200
wait_for is_unready # what it found is kept for a moment
is "$(get "$url/v1/streams/disk?limit=10")" 200
is "$(get "$url/v1/orders/order-by-id?order_id=o-1")" 200
expect 1 "$excore" append other T "$(jq -c '.events[0].data' "body.$n")" --url "$url"
has "$err" "try again"
is "$(wc -l <<<"$err")" 1
expect 1 "$excore" append other T "$(jq -c '.events[0].data' "body.$n")" --data "$db"
has "$err" "the disk of PostgreSQL at"
is "$(wc -l <<<"$err")" 1
rm "$disk/filler"
wait_for append_goes_on "$n"
wait_for is_ready

# ---- No room for the WAL: PostgreSQL ends in a panic, and cannot start before there is room ----
fill_disk
switch_wal() {
    psql -qX "$db" -c "SELECT pg_logical_emit_message(false, 'excore', 'x'), pg_switch_wal()" >/dev/null 2>&1
}
segments=0
while switch_wal && [ "$segments" -lt 20 ]; do
    segments=$((segments + 1))
done
[ "$segments" -lt 20 ] || fail "PostgreSQL has room for its WAL"
n=$((n + 1))
append "$n"
is "$status" 503
is "$(get "$url/health/live")" 200
wait_for is_unready # what it found is kept for a moment
rm "$disk/filler"
start_database >/dev/null || fail "no database again"
wait_for append_goes_on "$n"
wait_for is_ready
for _ in 1 2 3; do
    n=$((n + 1))
    append "$n"
    is "$status" 201
done

# ---- What was acknowledged is there once, nothing else is, and there is no gap ----
expect 0 "$excore" tail --from 0 --no-follow --json --data "$db"
is "$(jq -s 'map(.position) == [range(1; length + 1)]' <<<"$out")" true
is "$(jq -r 'select(.stream == "disk") | .data.n' <<<"$out" | cksum)" "$(cksum <acknowledged)"
is "$(jq -s 'map(select(.stream == "disk") | .version) | . == [range(1; length + 1)]' <<<"$out")" true
stop_server
is "$code" 0
finish
