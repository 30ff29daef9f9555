#!/usr/bin/env bash
# /openapi.json of a running server is valid OpenAPI 3.1 to a validator that is not ours, every schema compiles, and real
# answers and problems are what it says (issue 9, item 11; G-908). Skipped without npm, or when it cannot fetch. $1: build.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$(cd "$1" && pwd)
for tool in npm node curl; do
    command -v $tool >/dev/null || skip "no $tool on this machine"
done
[ -x "$build/excore" ] || skip "no program in $build"
tools=.cache/openapi
mkdir -p "$tools"
[ -d "$tools/node_modules/ajv" ] || npm install --silent --no-audit --no-fund --prefix "$tools" \
    @seriousme/openapi-schema-validator@2.11.0 >"$scratch/npm.log" 2>&1 || skip "npm cannot fetch the validator"
cp tests/repo/openapi_check.mjs "$tools/"

"$build/excore" serve --data :memory: --app "$build/examples/orders/orders.so" --listen 127.0.0.1:0 >"$scratch/serve" 2>&1 &
server=$!
wait_for "$scratch/serve" 'http://127.0.0.1:[0-9]+' || fail "$(cat "$scratch/serve")"
node "$tools/openapi_check.mjs" "$found" >"$scratch/found" 2>&1 || fail "$(cat "$scratch/found")"
kill -TERM $server
wait $server || fail "the server ended with $?"
server=
finish
