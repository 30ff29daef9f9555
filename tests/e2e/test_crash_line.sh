#!/usr/bin/env bash
# A crash in the application's code leaves one line that names what was running, and the process ends as
# it would have without it. issue 9, item 8; G-964, G-965. $3: an application that breaks as it is told.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
ulimit -c 0
is_sanitized=$(grep -c '__[at]san_init' "$excore" || true) # then the process ends in its way
has_asan=$(grep -c __asan_init "$excore" || true)

# crash_of PATH JSON: what a server of its own writes when it gets that command.
crash_of() {
    : >serve.log
    start_server --app "$linked" --data :memory: --listen 127.0.0.1:0
    curl -sS -o answer -X POST -H 'content-type: application/json' --data "$2" "$url$1" 2>/dev/null || true
    wait_for is_gone "$server"
    code=0
    wait "$server" 2>/dev/null || code=$?
    said=$(grep -a '^excore: .* on thread ' serve.log || true)
}

# UndefinedBehaviorSanitizer finds a fault before the processor does; it has an end of its own.
is_found() {
    [ "$is_sanitized" != 0 ] && grep -qa "runtime error" serve.log
}

while IFS='|' read -r how signal want where; do
    crash_of /v1/bar/glass/g-1/break "{\"how\":\"$how\"}"
    ! is_found || continue
    is "$(wc -l <<<"$said")" 1
    has "$said" "$where"
    [ "$is_sanitized" = 0 ] || continue
    has "$said" "excore: $signal"
    is "$code" "$want"
done <<'TABLE'
slice|SIGSEGV at 0x0 on thread ex-sequencer|139|: command bar/glass/break, stream glass-g-1
stack|SIGSEGV at 0x|139|: command bar/glass/break, stream glass-g-1
number|SIGFPE at 0x|136|: command bar/glass/break, stream glass-g-1
trap|SIGILL at 0x|132|: command bar/glass/break, stream glass-g-1
abort|SIGABRT on thread|134|: command bar/glass/break, stream glass-g-1
evolve|SIGSEGV at 0x0|139|: evolve function of glass/GlassCracked, stream glass-g-1, version 1
TABLE

crash_of "/v1/bar/glass/of%20the%20view/break" '{"how":"not"}'
is_found || has "$said" ": handler of view bar/shown/GlassShown, stream glass-of the view, version 1, position 1"

# Nothing of the application: it says so.
: >serve.log
start_server --app "$linked" --data :memory: --listen 127.0.0.1:0
stop_server SEGV
has "$(<serve.log)" ": no code of the application was running"
[ "$is_sanitized" != 0 ] || is "$code" 139

# An arena has nothing beyond what it handed out, where a sanitizer looks.
if [ "$has_asan" != 0 ]; then
    crash_of /v1/bar/glass/g-1/break '{"how":"overrun"}'
    has "$(<serve.log)" "use-after-poison"
    has "$said" ": command bar/glass/break, stream glass-g-1"
fi
finish
