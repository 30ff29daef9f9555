#!/usr/bin/env bash
# The verbs on a directory, without a server; and what only a directory can do wrong.
# shellcheck disable=SC2119,SC2317 # helpers are called through others
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/verbs.sh
. "$tests/verbs.sh"

check_verbs --data store

# Where the events are.
expect 1 "$excore" read order-1
has "$err" "no store in ./data; say where the events are with --data PLACE or --url URL"
expect 1 "$excore" append order-1 T '{}'
[ ! -e data ] || fail "append made ./data although nobody asked for it"
expect 1 "$excore" read order-1 --data nowhere
[ ! -e nowhere ] || fail "read made a store"
expect 0 env EXCORE_STORE_DATA=store "$excore" read order-1
has "$out" "order-1@1"
cp -r store data
expect 0 "$excore" read order-1
has "$out" "order-1@1"
expect 2 "$excore" read order-1 --data store --url http://127.0.0.1:1
has "$err" "--data and --url exclude each other"
expect 1 "$excore" append order-1 T '{}' --data missing/store
has "$err" "missing/store"

# Started without standard descriptors, it does not print into the store's files.
"$excore" append closed T '{}' --data closed <&- >&- 2>&- || fail "append failed without descriptors"
"$excore" read closed --data closed <&- >&- 2>&- || fail "read failed without descriptors"
expect 0 "$excore" read closed --data closed
has "$out" "closed@1"
grep -rqF "closed@1 position" closed && fail "the answer was printed into the store"

# Help, version, misuse.
for verb in serve append read tail bench copy status migrate config completion help version; do
    expect 0 "$excore" $verb --help
    has "$out" "Usage: excore $verb [options]"
    has "$out" "-h, --help"
    expect 0 "$excore" help $verb
    has "$out" "Usage: excore $verb [options]"
    expect 0 "$excore" $verb --version
    [[ $out =~ ^excore\ [0-9]+\.[0-9]+\.[0-9]+\ \(([0-9a-f]+|unknown)\)$ ]] || fail "version: $out"
    expect 2 "$excore" $verb --no-such-option
    has "$err" "unknown option '--no-such-option'"
done
awk 'length > 100' < <("$excore" help append) | grep -q . && fail "a line of the help is too long"
expect 2 "$excore"
has "$err" "Usage: excore VERB"
expect 0 "$excore" --help
has "$out" "Usage: excore VERB"
expect 0 "$excore" --version
expect 2 "$excore" apend
has "$err" "'apend' is not a verb; did you mean 'append'?"
expect 2 "$excore" help apend
expect 0 "$excore" version --json
has "$out" '"libraries":{"sqlite":"3.'

# Colours: on a terminal only, and not with NO_COLOR.
if command -v script >/dev/null; then
    export TERM=xterm
    script -qec "stty cols 70; '$excore' read order-1 --data store" /dev/null </dev/null >screen
    grep -q $'\033\[' screen || fail "no colours on a terminal"
    sed 's/\x1b\[[0-9]*m//g' screen | awk 'length > 74' | grep -q . && fail "a line is wider than the terminal"
    NO_COLOR=1 script -qec "'$excore' read order-1 --data store" /dev/null </dev/null >screen
    grep -q $'\033\[' screen && fail "colours despite NO_COLOR"
fi

# Output that a reader leaves ends quietly, whatever its size; a full disk says so (issue 9, item 14; G-910).
expect 0 "$excore" append large T "{\"text\":\"$(head -c 100000 /dev/zero | tr '\0' x)\"}" --data store
expect 0 "$excore" append large T '{}' --data store
while read -r -a words; do
    code=0
    "$excore" "${words[@]}" 2>left.err | head -c 1 >/dev/null || code=${PIPESTATUS[0]}
    is "${words[*]}: $code $(<left.err)" "${words[*]}: 0 "
    code=0
    "$excore" "${words[@]}" >/dev/full 2>full.err || code=$?
    is "${words[*]}: $code $(<full.err)" \
        "${words[*]}: 1 excore ${words[0]}: cannot write to standard output: No space left on device"
done <<'END'
read large --data store
read large --json --data store
read large --raw --data store
tail --from 0 --no-follow --data store
status --data store
status --json --data store
config
config --json
help
completion bash
END
expect 2 "$excore" append large T '{}' --id 00000000-0000-0000-0000-000000000000 --data store
has "$err" "option '--id': the nil id is none"
finish
