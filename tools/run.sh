#!/usr/bin/env bash
# Start the server and, once it is ready, print curl lines that work: run.sh PORT STORE DATA APP
#
# STORE is sqlite (in the folder DATA) or postgres: a private PostgreSQL in build/postgres (or $CLUSTER), which is
# stopped when the server ends. DATA may be a postgres:// URL too.
set -euo pipefail
cd "$(dirname "$0")/.."

port=$1 store=$2 data=$3 app=$4
cluster=${CLUSTER:-build/postgres}

# The server prints one line when it is ready, "… http://HOST:PORT …"; PORT 0 lets the kernel pick.
show_examples() {
    local line url='' stamp
    while IFS= read -r line; do
        printf '%s\n' "$line"
        if [ -z "$url" ] && [[ $line =~ (http://[0-9A-Za-z.:-]+) ]]; then
            url=${BASH_REMATCH[1]}
            stamp=$(date +%s)
            sed -e "s|URL|$url|g" -e "s|ORDER|o-$stamp|g" tools/examples.txt
        fi
    done
}

serve=(build/release/excore serve --app "$app" --listen "127.0.0.1:$port")

# The server gets the signals of the terminal or ours, and ends before its database does.
serve_on_postgres() {
    local url status=0
    url=$(tools/postgres.sh start "$cluster")
    printf "the database, for excore --data and psql: URL='%s'\n" "$url"
    trap 'tools/postgres.sh stop "$cluster"' EXIT
    "${serve[@]}" --data "$url" > >(show_examples) &
    trap 'kill -TERM $! 2>/dev/null' TERM
    trap : INT
    while wait $! || status=$?; kill -0 $! 2>/dev/null; do
        status=0
    done
    return $status
}

case $store in
sqlite)
    # the server replaces this shell, so Ctrl-C and the exit status are its own
    exec "${serve[@]}" --data "$data" > >(show_examples)
    ;;
postgres) serve_on_postgres ;;
*)
    echo "run.sh: STORE is sqlite or postgres, not '$store'" >&2
    exit 2
    ;;
esac
