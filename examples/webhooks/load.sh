#!/usr/bin/env bash
# Append the payloads that split.js wrote: load.sh DIR --data STORE | load.sh DIR --url URL
#
# --data goes through the command line, --url through HTTP with curl. A stream for each
# repository, the event's name as type, repository and sender as tags.
set -euo pipefail

dir=$1 how=$2 where=$3
: "${EXCORE:=excore}"

with_command_line() {
    local number=$1 stream=$2 type=$3 tag
    shift 3
    local tags=()
    for tag in "$@"; do
        tags+=(--tag "$tag")
    done
    "$EXCORE" append "$stream" "$type" "$(<"$dir/$number.json")" "${tags[@]}" --data "$where" >/dev/null
}

with_http() {
    local number=$1 stream=$2
    curl -sS --fail-with-body -o /dev/null "$where/v1/streams/${stream//\//%2F}" \
        -H 'content-type: application/json' --data-binary "@$dir/$number.body"
}

if [ "$how" = --url ]; then # a server that was started a moment ago may not listen yet
    curl -sS -o /dev/null --retry 10 --retry-delay 1 --retry-connrefused "$where/health/live" 2>/dev/null
fi

count=0
while IFS=$'\t' read -ra row; do
    case $how in
    --data) with_command_line "${row[@]}" ;;
    --url) with_http "${row[@]}" ;;
    *) echo "usage: load.sh DIR --data STORE | --url URL" >&2; exit 2 ;;
    esac
    count=$((count + 1))
done <"$dir/manifest.tsv"
echo "$count payloads loaded"
