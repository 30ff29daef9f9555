#!/usr/bin/env bash
# The best rate of each peer, for the rows of bench_postgres: run.sh URL SECONDS
#
# URL is a database of a server on which the role may create others. Every peer gets one of its own
# with its own schema, as its own installer makes it, and runs with 1 to 64 connections.
# Prints "NAME CONNECTIONS RATE" for the best number of connections of each.
set -euo pipefail
cd "$(dirname "$0")/../.."
peers=$PWD/.cache/peers
bench/peers/fetch.sh "$peers"

url=$1 seconds=$2
connections=(1 8 16 32 64)

at_database() { # the URL with another database
    sed -E "s|^(postgres(ql)?://[^/?]*)(/[^?]*)?|\\1/$1|" <<<"$url"
}

# Its installer knows the environment's names only, and makes a database of a fixed name.
install_message_db() (
    psql -q -d "$url" -c 'DROP DATABASE IF EXISTS message_store'
    read -r PGHOST PGPORT PGUSER < <(psql -d "$url" <<<'\echo :HOST :PORT :USER')
    export PGHOST PGPORT PGUSER
    cd "$peers/node_modules/@eventide/message-db/database"
    ./install.sh
)

best() { # PEER URL
    (cd "$peers" && node peers.mjs "$1" "$2" "$seconds" "${connections[@]}") |
        sort -k2,2n | tail -n 1 | sed "s/^/$1 /"
}

install_message_db >"$peers/message-db.log" 2>&1 || {
    echo "message-db was not installed:" >&2
    tail -n 5 "$peers/message-db.log" >&2
    exit 1
}
best message-db "$(at_database message_store)"
psql -q -d "$url" -c 'DROP DATABASE IF EXISTS emmett' -c 'CREATE DATABASE emmett' 2>/dev/null
best emmett "$(at_database emmett)"
