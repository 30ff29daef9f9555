#!/usr/bin/env bash
# docs/guarantees.md is true: each promise has a number of its own and a test that exists and cites
# it, and no file cites a number that is not there. Every test is one that ctest runs.
# $1: the build folder.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"

page=docs/guarantees.md

# check PAGE: rows are "| G-123 | promise | `test file`… |".
check() {
    local page=$1 line number promise tests file
    local -A seen=()
    while IFS='|' read -r _ number promise tests _; do
        number=${number// /}
        [ -z "${seen[$number]:-}" ] || fail "$number stands twice"
        seen[$number]=1
        [ -n "${promise// /}" ] || fail "$number promises nothing"
        # shellcheck disable=SC2016 # the back quotes are markdown's
        files=$(grep -oE '`tests/[^`]+`' <<<"$tests" | tr -d '`' || true)
        [ -n "$files" ] || fail "$number names no test"
        while read -r file; do
            [ -z "$file" ] && continue
            if [ ! -f "$file" ]; then
                fail "$number: $file is missing"
            elif ! grep -qE "$number\b" "$file"; then
                fail "$number: $file does not cite it"
            fi
        done <<<"$files"
    done < <(grep -E '^\| *G-[0-9]+ *\|' "$page" || true)
    [ "${#seen[@]}" -gt 0 ] || fail "$page has no row"
    while IFS=: read -r file line number; do
        [ -n "${seen[$number]:-}" ] || fail "$file:$line cites $number, which $page does not have"
    done < <(git grep -noE '\bG-[0-9]{3}\b' -- src include tests/'*.c' tests/'*.h' tests/'*.sh' tests/'*.js' \
        ':!tests/repo/test_guarantees.sh' || true)
}

# The checker itself: what is wrong is found.
cat >"$scratch/bad.md" <<'END'
| G-999 | no such test | `tests/unit/none.c` |
| G-999 | twice | `tests/repo/lib.sh` |
| G-998 |  | |
END
found=$(check "$scratch/bad.md" | grep -cE '^FAIL: G-99[89]') || true
[ "$found" -eq 5 ] || fail "the checker finds $found of 5 faults"

check $page

# A test that is not in a CMakeLists.txt lies there and proves nothing.
find "$1/tests" -name CTestTestfile.cmake -exec cat {} + >"$scratch/run"
while read -r file; do
    name=$(basename "$file")
    case $name in
    *.sh) grep -qF "/$name\"" "$scratch/run" || fail "$file is run by no test" ;;
    *.c) grep -qE "[./]${name%.c}[\" ]" "$scratch/run" || fail "$file is run by no test" ;;
    esac
done < <(git ls-files 'tests/**/test_*.sh' 'tests/**/test_*.c' 'tests/test_*')
finish
