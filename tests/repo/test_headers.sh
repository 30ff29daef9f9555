#!/usr/bin/env bash
# R-09-05: each header compiles alone, with gcc and clang; a public one also as C11 and as C++.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"

read -ra flags <<<"$(pkg-config --cflags libuv sqlite3 libpq libnghttp2 yaml-0.1 libcurl)"
flags+=(-Iinclude -Isrc -isystem /usr/share/include/llhttp -fsyntax-only -Wall -Wextra -Werror)

# Each header twice in a file of its own: alone, and guarded against the second time.
one_file_each() {
    local suffix=$1 prefix=$2 header path
    mkdir -p "$scratch/$suffix"
    while read -r header; do
        path=${header#"$prefix"}
        printf '#include <%s>\n#include <%s>\n' "$path" "$path" >"$scratch/$suffix/${path//\//_}.$suffix"
    done
}

check() {
    local compiler=$1 files=$2
    shift 2
    command -v "$compiler" >/dev/null || fail "no $compiler here"
    "$compiler" "${flags[@]}" "$@" "$scratch/$files"/* || fail "$compiler $*: a header does not compile alone"
}

git ls-files 'include/*.h' >"$scratch/public"
git ls-files 'src/*.h' >"$scratch/private"
[ -s "$scratch/public" ] || fail "no public header found"
one_file_each c include/ <"$scratch/public"
one_file_each cc include/ <"$scratch/public"
for compiler in gcc clang; do
    check $compiler c -std=c11
    check $compiler c -std=c17 -D_GNU_SOURCE
done
check g++ cc -std=c++11 -D_GNU_SOURCE
check clang++ cc -std=c++11 -D_GNU_SOURCE
one_file_each c src/ <"$scratch/private"
for compiler in gcc clang; do
    check $compiler c -std=gnu17 -D_GNU_SOURCE
done

# A guard named after the path, so that no two headers share one.
while read -r header; do
    path=${header#include/}
    path=${path#src/}
    guard=$(tr 'a-z/.-' 'A-Z___' <<<"${path#excore/}")
    grep -qE "^#ifndef (EXCORE_)?$guard\$" "$header" || fail "$header: guard is not EXCORE_$guard"
done < <(cat "$scratch/public" "$scratch/private")
finish
