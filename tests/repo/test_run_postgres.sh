#!/usr/bin/env bash
# `make run STORE=postgres`, and the README's way from a directory to three nodes. $1: build.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$(cd "$1" && pwd)
[ -x "$build/excore" ] || skip "no program in $build"
PATH=$build:$PATH
app=$build/examples/orders/orders.so
export CLUSTER=$scratch/postgres
chmod 755 "$scratch" # the server's own user passes through

json=(-H 'content-type: application/json')
pids=()
# shellcheck disable=SC2317 # called by the trap
end() {
    [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait
    tools/postgres.sh remove "$CLUSTER"
    cleanup
}
trap end EXIT

# start NAME COMMAND…: in the background; sets url once it is ready
start() {
    local name=$1
    shift
    "$@" >"$scratch/$name" 2>&1 &
    pids+=($!)
    wait_for "$scratch/$name" 'serving http://127.0.0.1:[0-9]+' || fail "$name: $(cat "$scratch/$name")"
    url=${found#serving }
}

start run tools/run.sh 0 postgres - "$app"
run=${pids[0]}
curl -sS --fail-with-body "$url/v1/orders/order/o-1/create" "${json[@]}" -d '{"customer_id":"c-7"}' >"$scratch/answer" ||
    fail "make run STORE=postgres: $(cat "$scratch/answer")"

grep -qF "URL='$(tools/postgres.sh url "$CLUSTER")'" "$scratch/run" || fail "make run STORE=postgres does not print its URL"
URL="$(tools/postgres.sh url "$CLUSTER")&schema=moved"
export URL
mapfile -t lines < <(awk '/^```console/ { inside = 1; next } /^```/ { inside = 0 } inside && /^excore/' README.md |
    sed -e 's/  *&$//' -e 's/  *#.*//' -e "s|build/release|$build|" -e "s|\./data|$scratch/data|" -e 's/127.0.0.1:[0-9]*/127.0.0.1:0/')
[ ${#lines[@]} -eq 5 ] || fail "the README shows ${#lines[@]} lines about nodes, not 5"

start source excore serve --data "$scratch/data" --app "$app" --listen 127.0.0.1:0
source=${pids[1]}
curl -sS "$url/v1/orders/order/o-2/create" "${json[@]}" -d '{"customer_id":"c-8"}' >/dev/null
bash -c "${lines[0]}" >"$scratch/copy" 2>&1 &
copy=$!
wait_for "$scratch/copy" 'following from position' || fail "copy: $(cat "$scratch/copy")"
curl -sS "$url/v1/orders/order/o-3/create" "${json[@]}" -d '{"customer_id":"c-9"}' >/dev/null
kill -TERM "$source"
wait "$copy" || fail "copy ended with $?: $(cat "$scratch/copy")"
grep -q 'equal at position 2, switch now' "$scratch/copy" || fail "copy said: $(cat "$scratch/copy")"

for node in 1 2 3; do
    start "node$node" bash -c "exec ${lines[node]}"
    urls[node]=$url
done
curl -sS --fail-with-body "${urls[1]}/v1/orders/order/o-2/add-item" "${json[@]}" \
    -d '{"product_id":"p-1","product_name":"Tea","quantity":2,"unit_price_cents":250}' >"$scratch/answer" ||
    fail "a command on the first node: $(cat "$scratch/answer")"
curl -sS --fail-with-body "${urls[3]}/v1/orders/open-orders?min_position=3" >"$scratch/answer" ||
    fail "a query on the third node: $(cat "$scratch/answer")"
[ "$(jq '[.items[] | select(.total_cents == 500)] | length' "$scratch/answer")" = 1 ] ||
    fail "the third node does not show what the first one did: $(cat "$scratch/answer")"
bash -c "${lines[4]}" >"$scratch/status" || fail "status fails"
grep -q 'position 3' "$scratch/status" || fail "status said: $(cat "$scratch/status")"

kill -TERM "$run"
wait "$run" || fail "make run STORE=postgres ended with $? after SIGTERM"
tools/postgres.sh url "$CLUSTER" >/dev/null
[ ! -e "$(cat "$CLUSTER/data.place")/data/postmaster.pid" ] || fail "the private server still runs"
finish
