#!/usr/bin/env bash
# Real input: 329 GitHub webhooks through the command line and through HTTP, back byte for byte,
# by stream, by type, by tag, live (G-008). Skipped without npm and node, or when npm cannot fetch. $1: build.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$PWD/${1#"$PWD/"}
[ "${1#/}" = "$1" ] || build=$1
export EXCORE=$build/excore

for tool in npm node curl; do
    command -v $tool >/dev/null || skip "no $tool on this machine"
done
[ -x "$EXCORE" ] || skip "no program in $build"
examples/webhooks/fetch.sh .cache/webhooks 2>"$scratch/fetch.log" ||
    skip "npm cannot fetch the payloads: $(tail -n 1 "$scratch/fetch.log")"
payloads=$PWD/.cache/webhooks/payloads

cd examples/webhooks
[ "$(wc -l <"$payloads/manifest.tsv")" -eq 329 ] || fail "the package does not hold 329 payloads"

column() {
    cut -f"$1" "$payloads/manifest.tsv" | tr '\t' '\n' | grep . | LC_ALL=C sort -u
}

# expect NAME FILE CONDITION…: the events in FILE are the payloads that the conditions name.
expect() {
    local name=$1 file=$2
    shift 2
    node verify.js "$payloads" "$@" <"$file" >"$scratch/verify.log" 2>&1 ||
        fail "$name: $(cat "$scratch/verify.log")"
}

# The command line, twice: the data alone, byte for byte; and all of the event, one a line.
read_streams() {
    local stream
    while read -r stream; do
        "$EXCORE" read "$stream" --raw "$@" >"$scratch/stream" || fail "read $stream $*"
        expect "read $stream --raw $*" "$scratch/stream" --raw "stream=$stream"
        "$EXCORE" read "$stream" --json "$@" >"$scratch/stream" || fail "read $stream $*"
        expect "read $stream --json $*" "$scratch/stream" --lines "stream=$stream"
    done < <(column 2)
}

# read_log OPTIONS… -- CONDITION…: the filtered log through the command line.
read_log() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    "$EXCORE" tail --from 0 --no-follow --raw "${options[@]}" >"$scratch/log" || fail "tail ${options[*]}"
    expect "tail --raw ${options[*]}" "$scratch/log" --raw "$@"
}

# pages PARAMETERS: every page of the log that they select, as one sequence of JSON values.
pages() {
    local after=0 more=true page
    : >"$scratch/pages"
    while [ "$more" = true ]; do
        page=$(curl -sSg --fail-with-body "$url/v1/events?after=$after&limit=100&$1") || fail "pages of $1: $page"
        printf '%s\n' "$page" >>"$scratch/pages"
        [[ ${page: -100} =~ \"next\":([0-9]+),\"has_more\":(true|false) ]] || fail "no next in ${page: -100}"
        after=${BASH_REMATCH[1]} more=${BASH_REMATCH[2]}
    done
}

# ---- Through the command line, on a directory ----

./load.sh "$payloads" --data "$scratch/cli" >"$scratch/load.log" 2>&1 || fail "load: $(cat "$scratch/load.log")"
read_streams --data "$scratch/cli"
read_log --data "$scratch/cli" --
while read -r type; do
    read_log --data "$scratch/cli" --types "$type" -- "type=$type"
done < <(column 3)
while read -r tag; do
    read_log --data "$scratch/cli" --tags "$tag" -- "tag=$tag"
done < <(column 4-)
read_log --data "$scratch/cli" --types issues --tags repository:Codertocat/Hello-World -- \
    type=issues tag=repository:Codertocat/Hello-World

# ---- Through HTTP ----

"$EXCORE" serve --data "$scratch/http" --listen 127.0.0.1:0 >"$scratch/serve.out" 2>"$scratch/serve.err" &
server=$!
wait_for "$scratch/serve.out" 'http://[0-9.]*:[0-9]*' || fail "no server: $(cat "$scratch/serve.err")"
url=$found

./load.sh "$payloads" --url "$url" >"$scratch/load.log" 2>&1 || fail "load: $(cat "$scratch/load.log")"
pages ""
expect "the whole log" "$scratch/pages"
while read -r type; do
    pages "types=$type"
    expect "type $type" "$scratch/pages" "type=$type"
done < <(column 3)
while read -r tag; do
    pages "tags=${tag//\//%2F}"
    expect "tag $tag" "$scratch/pages" "tag=$tag"
done < <(column 4-)
pages "types=issues&tags=repository:Codertocat%2FHello-World"
expect "type and tag" "$scratch/pages" type=issues tag=repository:Codertocat/Hello-World

# What one way wrote, the other way reads.
read_streams --url "$url"
read_log --url "$url" --types pull_request --tags sender:Codertocat -- type=pull_request tag=sender:Codertocat
kill $server
wait $server || fail "the server ended with $?"
server=
read_streams --data "$scratch/http"
finish
