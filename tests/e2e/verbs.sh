# What append, read and tail do, whether on a directory or on a server: check_verbs PLACE…
# shellcheck shell=bash disable=SC2154

check_append() {
    expect 0 "$excore" append order-1 OrderPlaced '{"total_cents":500}' --tag customer:7 --tag shop:a "$@"
    is "$out" "order-1@1 position 1"
    expect 0 "$excore" append order-1 OrderPaid '{"by":"card"}' --expected 1 --json "$@"
    has "$out" '{"position":2,"version":2,"events":[{"id":"'
    expect 1 "$excore" append order-1 OrderPaid '{}' --expected 1 "$@"
    has "$err" "excore append: stream 'order-1' is at version 2, expected was 1"
    expect 1 "$excore" append order-1 OrderPaid '{}' --expected no_stream "$@"
    expect 1 "$excore" append order-9 OrderPaid '{}' --expected exists "$@"

    local id=01890a5d-ac96-774b-bcce-b302099a8057
    expect 0 "$excore" append order-2 OrderPlaced '{"n":1}' --id $id --expected no_stream "$@"
    is "$out" "order-2@1 position 3"
    expect 0 "$excore" append order-2 OrderPlaced '{"n":1}' --id $id --expected no_stream "$@"
    is "$out" "order-2@1 position 3 (stored before)"
    expect 0 "$excore" append order-2 OrderPlaced '{"n":1}' --id $id --json "$@"
    has "$out" '"duplicate":true'
    expect 1 "$excore" append order-2 OrderPlaced '{"n":2}' --id $id "$@"
}

check_append_refused() {
    expect 1 "$excore" append s T '{"a":1,}' "$@"
    has "$err" "DATA is no JSON: "
    has "$err" "line 1, column 8"
    expect 1 "$excore" append s T '{"a":1,"a":2}' "$@"
    expect 1 "$excore" append s T @missing.json "$@"
    has "$err" "cannot open missing.json: No such file or directory"
    expect 1 "$excore" append s T '{}' --metadata '[1]' "$@"
    # shellcheck disable=SC2016 # a name, not a variable
    expect 1 "$excore" append '$system' T '{}' "$@"
    has "$err" "belong to the platform"
    expect 1 "$excore" append "$(printf 'a%.0s' {1..256})" T '{}' "$@"
    expect 1 "$excore" append $'a\nb' T '{}' "$@"
    expect 1 "$excore" append $'\xff' T '{}' "$@"
    expect 1 "$excore" append s T '{}' --tag notag "$@"
    expect 2 "$excore" append s T '{}' --id nonsense "$@"
    expect 2 "$excore" append s T '{}' --expected maybe "$@"
    has "$err" "not 'maybe'"
    expect 2 "$excore" append s T '{}' --schema-version 0 "$@"
    expect 2 "$excore" append s T "$@"
    has "$err" "DATA is missing"
}

# From files, from standard input, and byte for byte back.
check_data() {
    printf ' \n{"b": 1.0,  "a":[1e2,"\\u00e9"]}\n' >data.json
    expect 0 "$excore" append data-1 FromFile @data.json "$@"
    "$excore" append data-1 FromInput - "$@" <data.json >/dev/null || fail "standard input was not taken"
    expect 0 "$excore" read data-1 --raw "$@"
    is "$out" '{"b": 1.0,  "a":[1e2,"\u00e9"]}
{"b": 1.0,  "a":[1e2,"\u00e9"]}'

    printf '\000\001\377bin\n' >data.bin
    expect 0 "$excore" append data-2 Binary @data.bin --content-type application/octet-stream "$@"
    "$excore" read data-2 --raw "$@" >raw.bin
    printf '\n' | cat data.bin - | cmp -s - raw.bin || fail "binary data came back changed"
    expect 0 "$excore" read data-2 "$@"
    has "$out" "<7 bytes of application/octet-stream>"

    expect 0 "$excore" append data-3 Terminal '"\u001b[31m\n"' "$@"
    printf '"\033[31m' >escape.txt
    expect 0 "$excore" append data-3 Terminal @escape.txt --content-type text/plain "$@"
    expect 0 "$excore" read data-3 "$@"
    has "$out" '\x1b[31m'
    has_not "$out" $'\033'

    expect 0 "$excore" append data-4 Full '{}' --metadata '{"who":"me"}' --schema-version 3 --tag a:b "$@"
    expect 0 "$excore" read data-4 --json "$@"
    has "$out" '"schema_version":3,"data":{},"metadata":{"who":"me"}'
    has "$out" '"tags":["a:b"]'
}

check_names() {
    local name
    for name in 'a/b c?d%25&e#f' 'a..b' '...' 'ünï-çødé' "$(printf 'n%.0s' {1..255})"; do
        expect 0 "$excore" append "$name" T '{}' "$@"
        expect 0 "$excore" read "$name" --json "$@"
        has "$out" "\"version\":1"
    done
}

versions() {
    grep -oE '"version":[0-9]+' <<<"$out" | grep -oE '[0-9]+$' | tr '\n' ' '
}

check_read() {
    local i
    for i in 1 2 3 4 5; do
        expect 0 "$excore" append list Counted "{\"i\":$i}" "$@"
    done
    expect 0 "$excore" read list --json "$@"
    is "$(versions)" "1 2 3 4 5 "
    expect 0 "$excore" read list --json --from 2 --limit 3 "$@"
    is "$(versions)" "2 3 4 "
    expect 0 "$excore" read list --json --backward --limit 2 "$@"
    is "$(versions)" "5 4 "
    expect 0 "$excore" read list --json --backward --from 2 "$@"
    is "$(versions)" "2 1 "
    expect 0 "$excore" read list --json --current --from 4 "$@" # issue 8, item 17
    is "$(versions)" "4 5 "
    expect 0 "$excore" read list --json --min-position 5 --backward --limit 1 "$@"
    is "$(versions)" "5 "
    expect 0 "$excore" tail --json --streams list --from 0 --no-follow --current --min-position 5 "$@"
    is "$(versions)" "1 2 3 4 5 "
    expect 0 "$excore" tail --json --limit 1 --current "$@"
    expect 0 "$excore" read list --json --from 6 "$@"
    is "$out" ""
    expect 2 "$excore" read list --json --raw "$@"
    has "$err" "--json and --raw exclude each other"
    expect 0 "$excore" read list --limit 0 "$@"
    is "$out" ""
    expect 1 "$excore" read nowhere "$@"
    has "$err" 'there is no stream "nowhere"'
    expect 0 "$excore" read order-1 "$@"
    [[ $out =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}\ [0-9:]{8}\.[0-9]{3}Z\ +1\ +order-1@1\ +OrderPlaced\ +\{\"total_cents\":500\} ]] ||
        fail "not a line for people: $out"
}

types() {
    grep -oE '"type":"[A-Za-z]+"' <<<"$out" | cut -d'"' -f4 | tr '\n' ' '
}

check_tail() {
    local all
    expect 0 "$excore" tail --from 0 --no-follow --json "$@"
    all=$(wc -l <<<"$out")
    is "$(grep -oE '"position":[0-9]+' <<<"$out" | cut -d: -f2 | tr '\n' ' ')" "$(seq -s ' ' "$all") "
    expect 0 "$excore" tail --no-follow --json "$@"
    is "$(wc -l <<<"$out")" 10
    expect 0 "$excore" tail --from 0 --no-follow --json --types OrderPlaced,OrderPaid "$@"
    is "$(types)" "OrderPlaced OrderPaid OrderPlaced "
    expect 0 "$excore" tail --from 1 --no-follow --json --types OrderPlaced --types OrderPaid --limit 1 "$@"
    is "$(types)" "OrderPaid "
    expect 0 "$excore" tail --from 0 --no-follow --json --tags customer:7,shop:a "$@"
    is "$(types)" "OrderPlaced "
    expect 0 "$excore" tail --from 0 --no-follow --json --tags customer:7,shop:b "$@"
    is "$(types)" ""
    expect 0 "$excore" tail --from 0 --no-follow --json --streams order-1,data-3 "$@"
    is "$(types)" "OrderPlaced OrderPaid Terminal Terminal "
    expect 0 "$excore" tail --from 0 --no-follow --json --types OrderPlaced --streams order-2 "$@"
    is "$(types)" "OrderPlaced "
    # shellcheck disable=SC2016 # a name, not a variable
    local flow='{"$correlation_id":"flow 1&x"}'
    expect 0 "$excore" append corr-1 Correlated 1 --metadata "$flow" "$@"
    expect 0 "$excore" append corr-2 Correlated 2 --metadata "$flow" "$@"
    expect 0 "$excore" tail --from 0 --no-follow --json --correlation 'flow 1&x' "$@"
    is "$(types)" "Correlated Correlated "
    expect 0 "$excore" tail --from 0 --no-follow --json --correlation 'flow 1&x' --streams corr-2 "$@"
    is "$(types)" "Correlated "
    expect 0 "$excore" tail --from 0 --no-follow --json --correlation flow "$@"
    is "$(types)" ""
    expect 2 "$excore" tail --from 0 --correlation "" "$@"
}

# Following: what is there, what comes, and the ways to end.
check_follow() {
    "$excore" tail --from 0 --types Followed --json "$@" >followed 2>follow.err &
    local follower=$! code=0
    children+=("$follower")
    expect 0 "$excore" append follow Followed '{"i":1}' "$@"
    wait_for file_has followed '"data":{"i":1}'
    expect 0 "$excore" append follow Ignored '{"i":2}' "$@"
    expect 0 "$excore" append follow Followed '{"i":3}' "$@"
    wait_for file_has followed '"data":{"i":3}'
    kill -INT "$follower"
    wait "$follower" || code=$?
    is "$code" 0
    is "$(wc -l <followed)" 2
    is "$(<follow.err)" ""

    "$excore" tail --from 0 --types Followed --limit 3 "$@" >limited &
    follower=$!
    children+=("$follower")
    expect 0 "$excore" append follow Followed '{"i":4}' "$@"
    wait_for is_gone "$follower"
    wait "$follower" || fail "tail --limit failed"
    is "$(wc -l <limited)" 3

    # A reader that goes away ends it quietly, also when nothing more is appended.
    { "$excore" tail --from 0 "$@" 2>pipe.err || echo $? >pipe.code; } | head -n 1 >/dev/null
    is "$(<pipe.err)" ""
    [ ! -e pipe.code ] || fail "a closed pipe gave exit code $(<pipe.code)"
    code=0
    "$excore" tail --from 0 --no-follow "$@" >/dev/full 2>full.err || code=$?
    is "$code" 1
    has "$(<full.err)" "cannot write to standard output: No space left on device"
}

check_verbs() {
    check_append "$@"
    check_append_refused "$@"
    check_data "$@"
    check_names "$@"
    check_read "$@"
    check_tail "$@"
    check_follow "$@"
}
