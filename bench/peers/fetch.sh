#!/usr/bin/env bash
# Install the peers from npm into a folder, once: fetch.sh DIR
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$1"
cp "$here/package.json" "$here/peers.mjs" "$1"
cd "$1"
if [ ! -f node_modules/.package-lock.json ] || [ package.json -nt node_modules/.package-lock.json ]; then
    npm install --silent --no-audit --no-fund --no-package-lock >/dev/null
fi
