#!/usr/bin/env bash
# Check the include boundaries of a source tree: check-layers.sh [ROOT]
#
#   - a folder of src/ includes only from itself and from the layers above its line in src/LAYERS;
#     the public headers named behind a layer there belong to it
#   - no include cycle between files, nor between sibling folders of one layer
#   - includes are paths from the source root, never "../", and each names an existing file
#   - uv.h only in io; llhttp.h and nghttp2.h only in api/http; sqlite3.h only in sql and
#     store/sqlite; an application (examples/) includes no infrastructure, but for the one that
#     shows the store
#
# Prints every violation as FILE:LINE: text; exit 1 when there was one.
set -euo pipefail
cd "${1:-$(dirname "$0")/..}"

includes() {
    find src include examples -name '*.[ch]' 2>/dev/null | LC_ALL=C sort |
        xargs -r grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]' || true
}

edges=$(mktemp)
trap 'rm -f "$edges"' EXIT

status=0
includes | awk -v edges="$edges" '
function fail(text) { printf "%s:%s: %s\n", file, line, text; bad = 1 }
function exists(path,   ignored, found) {
    found = (getline ignored < path) >= 0
    close(path)
    return found
}
function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
function layer_of(path,   parts) {
    if (path ~ /^include\//) {
        if (!(path in public_layer)) {
            if (!unnamed[path]++)
                fail("public header " path " stands behind no layer in src/LAYERS")
            return ""
        }
        return public_layer[path]
    }
    split(path, parts, "/")
    if (!(parts[2] in rank))
        fail("folder src/" parts[2] " is not in src/LAYERS")
    return parts[2]
}
function only(header, folders) {
    if (name == header && file !~ ("^src/(" folders ")/"))
        fail("<" header "> is for src/" folders " only")
}
BEGIN {
    while ((getline text < "src/LAYERS") > 0) {
        count = split(text, words, /[ \t]+/)
        if (words[1] !~ /^[a-z]/)
            continue
        rank[words[1]] = ++layers
        for (i = 2; i <= count; i++)
            if (words[i] != "")
                public_layer["include/excore/" words[i] ".h"] = words[1]
    }
}
{
    file = $0; sub(/:.*/, "", file)
    line = $0; sub(/^[^:]*:/, "", line); sub(/:.*/, "", line)
    if (!match($0, /["<][^">]+[">]/)) { fail("unreadable include"); next }
    quote = substr($0, RSTART, 1)
    name = substr($0, RSTART + 1, RLENGTH - 2)
    if (name ~ /(^|\/)\.\.\//) { fail("relative include \"" name "\""); next }
    if (file ~ /^examples\//) {
        if (name ~ /^(uv|sqlite3|curl\/|nghttp2\/|llhttp)/ || (name == "excore/store.h" && file !~ /^examples\/embedded\//))
            fail("an application includes infrastructure: " name)
        next
    }
    only("uv.h", "io"); only("llhttp.h", "api/http"); only("nghttp2/nghttp2.h", "api/http")
    only("sqlite3.h", "sql|store/sqlite")
    if (name ~ /^excore\//)
        target = "include/" name
    else if (quote == "\"")
        target = "src/" name
    else
        next
    if (!exists(target)) { fail("no such file from the source root: \"" name "\""); next }
    from = layer_of(file); to = layer_of(target)
    if (from == "" || to == "")
        next
    if (rank[to] > rank[from])
        fail("layer " from " includes " name " of the layer " to " above it")
    if (file ~ /\.h$/)
        print "file", file, target > edges
    if (from == to && folder(file) != folder(target) && file !~ /^include/ && target !~ /^include/ &&
        index(folder(file) "/", folder(target) "/") != 1 && index(folder(target) "/", folder(file) "/") != 1)
        print "folder", folder(file), folder(target) > edges
}
END { exit bad }' || status=1

for kind in file folder; do
    if ! cycle=$(awk -v kind=$kind '$1 == kind { print $2, $3 }' "$edges" | tsort 2>&1 >/dev/null); then
        echo "include cycle between ${kind}s:"
        sed -n 's/^tsort: \([^-].*\)/  \1/p' <<<"$cycle" | grep -v 'contains a loop'
        status=1
    fi
done
exit $status
