#!/usr/bin/env bash
# Run the libFuzzer targets: fuzz.sh SECONDS [TARGET]…
#
# A target is tests/fuzz/fuzz_NAME.c, its seeds lie in tests/fuzz/corpus/NAME/. New inputs are
# kept in build/fuzz/corpus/NAME, so that a later run goes on where this one stopped. A crash
# leaves build/fuzz/crash/NAME-…, to become a row of a unit test. As many run at once as there
# are processors.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1
shift
build=build/fuzz

if [ $# -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        [ -e "$source" ] || continue
        name=${source##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi

if [ $# -eq 0 ]; then
    echo "no fuzz targets in tests/fuzz"
    exit 1
fi
tools/build.sh fuzz "${@/#/fuzz_}"
mkdir -p $build/crash $build/log

fuzz_one() {
    local name=$1 program=$build/tests/fuzz/fuzz_$1
    local dictionary=()
    if [ -f "tests/fuzz/$name.dict" ]; then
        dictionary=("-dict=tests/fuzz/$name.dict")
    fi
    mkdir -p "$build/corpus/$name"
    if "$program" "${dictionary[@]}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/crash/$name-" "$build/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$build/log/$name" 2>&1; then
        sed -n 's/^stat::number_of_executed_units: */runs /p' "$build/log/$name" | sed "s/^/  $name: /"
    else
        tail -n 40 "$build/log/$name"
        echo "  $name: FAILED, input in $build/crash, full log in $build/log/$name"
        return 1
    fi
}
export -f fuzz_one
export build seconds
printf '%s\n' "$@" | xargs -r -P "$(nproc)" -I {} bash -c 'set -euo pipefail; fuzz_one {}'
