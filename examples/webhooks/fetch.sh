#!/usr/bin/env bash
# Get @octokit/webhooks-examples from npm, once, and split it: fetch.sh DIR
# Writes DIR/package (the tarball's content) and DIR/payloads (see split.js).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

mkdir -p "$1"
cd "$1"
if [ ! -f package/api.github.com/index.json ]; then
    npm pack --silent '@octokit/webhooks-examples@7.6.1' >/dev/null
    tar -xzf octokit-webhooks-examples-7.6.1.tgz
fi
rm -rf payloads
mkdir payloads
node "$here/split.js" package/api.github.com/index.json payloads
