#!/usr/bin/env bash
# Start the server and, once it is ready, print curl lines that work: run.sh PORT DATA APP
set -euo pipefail
cd "$(dirname "$0")/.."

port=$1 data=$2 app=$3

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

# The server replaces this shell, so Ctrl-C and the exit status are its own.
exec build/release/excore serve --data "$data" --app "$app" --listen "127.0.0.1:$port" \
    > >(show_examples)
