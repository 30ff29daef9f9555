#!/usr/bin/env bash
# Measure and print one table: what | measured | yardstick | ratio | target | verdict.
#
#   bench/run.sh            about six minutes; the long log has one million events
#   bench/run.sh --full     the long log has ten million events (5 GB of disk, some minutes more)
#   bench/run.sh --quick    a look at every row in half a minute; the figures are rough
#   --write                 put the table into docs/benchmarks.md too
#   --only NAME             one program: append, latency, commands, http, log, slices, condition, tags, view, server, postgres
#
# Builds nothing: tools/build.sh release does (`make bench` calls both). All files lie in a new
# directory below build/, on the file system of the source tree, and are removed at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

mode=default should_write=no only=''
usage() {
    sed -n '2,11s/^# \{0,1\}//p' bench/run.sh
}

while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        usage
        exit 0
        ;;
    --full) mode=full ;;
    --quick) mode=quick ;;
    --write) should_write=yes ;;
    --only)
        only=${2:?--only needs a name}
        shift
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
    shift
done

programs=$PWD/build/release/bench
export EXCORE=$PWD/build/release/excore
export ORDERS=$PWD/build/release/examples/orders/orders.so
if [ ! -x "$programs/bench_append" ] || [ ! -x "$EXCORE" ]; then
    echo "bench/run.sh: build first: tools/build.sh release" >&2
    exit 1
fi

work=$(mktemp -d build/bench-XXXXXX)
end() {
    if [ -d "$work/postgres" ]; then
        tools/postgres.sh remove "$work/postgres"
    fi
    rm -rf "$work"
}
trap end EXIT
table=$work/table.md

describe_machine() {
    local commit
    commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
    echo "- date: $(date -u '+%Y-%m-%d %H:%M UTC'), commit $commit, mode $mode"
    echo "- machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)," \
        "$(nproc) cores, $(awk '/^MemTotal/ {printf "%.0f GB", $2 / 1e6}' /proc/meminfo)," \
        "kernel $(uname -r)"
    echo "- disk: $(stat -f -c %T "$work") on $(df --output=source "$work" | tail -n 1)," \
        "SQLite $("$EXCORE" version --json | sed -n 's/.*"sqlite": *"\([^"]*\)".*/\1/p')"
    echo "- durability: full (every append, command and yardstick row waits for fsync)"
    echo "- load average: $(cut -d ' ' -f 1-3 /proc/loadavg) before"
}

# run PROGRAM [ARGUMENT]…: its rows go to the table; what it left on the disk goes away.
run() {
    local name=$1
    shift
    if [ -n "$only" ] && [ "$only" != "$name" ]; then
        return 0
    fi
    (cd "$work" && "$programs/bench_$name" "$@") | tee -a "$table"
    find "$work" -mindepth 1 -maxdepth 1 -type d -exec rm -rf {} +
}

# The store on a PostgreSQL of our own; with npm also message-db and Emmett on it.
run_postgres() {
    local peers=()
    EXCORE_POSTGRES=$(tools/postgres.sh start "$work/postgres")
    export EXCORE_POSTGRES
    if [ "$mode" != quick ] && command -v npm >/dev/null; then
        bench/peers/run.sh "$EXCORE_POSTGRES" 2 >"$work/peers"
        peers=(--peers peers)
    fi
    (cd "$work" && "$programs/bench_postgres" "${times[@]}" --events "$((log_events / 5))" "${peers[@]}") |
        tee -a "$table"
    (cd "$work" && "$programs/bench_view" --postgres-events "$((log_events / 5))") | tee -a "$table"
    (cd "$work" && "$programs/bench_condition" "${times[@]}" --events 0 --postgres-events "$((log_events / 5))") |
        tee -a "$table"
    (cd "$work" && "$programs/bench_tags" "${times[@]}" --postgres 1 --events "$((log_events / 5))") | tee -a "$table"
}

case $mode in
quick) times=(--seconds 0.2 --rounds 3) log_events=100000 ;;
default) times=(--seconds 0.7 --rounds 5) log_events=1000000 ;;
full) times=(--seconds 1 --rounds 9) log_events=10000000 ;;
esac

{
    describe_machine
    echo
    echo "| what | measured (median, lowest to highest) | yardstick, same run | ratio | target | verdict |"
    echo "|---|---|---|---|---|---|"
} | tee "$table"
run append "${times[@]}"
run latency "${times[@]}"
run commands "${times[@]}"
run http "${times[@]}"
run log "${times[@]}" --events "$log_events"
run slices --events "$((log_events / 5))"
run condition "${times[@]}" --events "$log_events" --postgres-events 0
run tags "${times[@]}"
run view
run server
if [ -z "$only" ] || [ "$only" = postgres ]; then
    run_postgres
fi
echo "- load average: $(cut -d ' ' -f 1-3 /proc/loadavg) after" | tee "$work/after"

if [ "$should_write" = yes ]; then
    {
        sed '/^<!-- table -->$/q' docs/benchmarks.md
        echo
        sed '/^- load average:/q' "$table"
        cat "$work/after"
        echo
        grep '^|' "$table"
        echo
        sed -n '/^<!-- end of table -->$/,$p' docs/benchmarks.md
    } >"$work/benchmarks.md"
    mv "$work/benchmarks.md" docs/benchmarks.md
    echo "written to docs/benchmarks.md" >&2
fi
