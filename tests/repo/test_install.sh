#!/usr/bin/env bash
# R-09-05: what is installed is complete: examples/embedded builds against it through pkg-config
# (shared, static) and find_package (shared, static), and runs. $1: the build folder.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$1
prefix="$scratch/first/prefix"

cmake --install "$build" --prefix "$prefix" >"$scratch/install.log" || fail "install failed"
mkdir "$scratch/moved"
mv "$prefix" "$scratch/moved/" # an installed tree can be moved
prefix="$scratch/moved/prefix"

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig" LC_ALL=C
unset MAKEFLAGS MAKELEVEL CFLAGS LDFLAGS
warnings="-Wall -Wextra -Werror -std=c11"
want='1 OrderPlaced {"total_cents":500}'

# check NAME LD_LIBRARY_PATH PROGRAM: runs twice on one store, sees one event more each time.
check() {
    local name=$1 path=$2 program=$3 out
    mkdir "$scratch/$name.data"
    out=$(LD_LIBRARY_PATH=$path "$program" "$scratch/$name.data" 2>&1) || fail "$name: $out"
    [ "$out" = "$want" ] || fail "$name printed: $out"
    out=$(LD_LIBRARY_PATH=$path "$program" "$scratch/$name.data" 2>&1) || fail "$name, second run: $out"
    [ "$out" = "$want"$'\n'"2${want#1}" ] || fail "$name, second run, printed: $out"
    if out=$(LD_LIBRARY_PATH=$path "$program" /proc/no/such/place 2>&1); then
        fail "$name: opens a store in /proc"
    elif [ -z "$out" ]; then
        fail "$name: says nothing when the store does not open"
    fi
}

needs() {
    readelf -d "$1" 2>/dev/null | grep -q "NEEDED.*\[$2"
}

with_make() {
    local name=$1 path=$2
    shift 2
    cp -r examples/embedded "$scratch/$name"
    if make -s -C "$scratch/$name" CFLAGS="$warnings" "$@"; then
        check "$name" "$path" "$scratch/$name/embedded"
    else
        fail "$name: does not build"
    fi
}

with_cmake() {
    local name=$1 library=$2
    cp -r examples/embedded "$scratch/$name"
    if cmake -G Ninja -S "$scratch/$name" -B "$scratch/$name/build" -DCMAKE_PREFIX_PATH="$prefix" \
        -DEMBEDDED_LIBRARY="$library" -DCMAKE_C_FLAGS="$warnings" >"$scratch/$name.log" 2>&1 &&
        cmake --build "$scratch/$name/build" >>"$scratch/$name.log" 2>&1; then
        check "$name" "" "$scratch/$name/build/embedded"
    else
        cat "$scratch/$name.log"
        fail "$name: does not build"
    fi
}

with_make pkg-shared "" # it finds the library by itself (issue 9, item 14)
needs "$scratch/pkg-shared/embedded" libexcore.so.0 || fail "pkg-shared does not use the shared library"
needs "$scratch/pkg-shared/embedded" libsqlite3 && fail "pkg-shared links what only libexcore needs"
with_make pkg-static "" STATIC=1
needs "$scratch/pkg-static/embedded" libexcore && fail "pkg-static uses the shared library"
with_cmake package-shared excore::shared
with_cmake package-static excore::static
needs "$scratch/package-static/build/embedded" libexcore && fail "package-static uses the shared library"

[ "$(pkg-config --modversion excore)" = "$(sed -n 's/^project(excore VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" ] ||
    fail "the pkg-config file has another version"
# Pages with what they link to, and the examples to copy from; nothing that was built or fetched.
pages="$prefix/share/doc/excore"
for page in README.md ARCHITECTURE.md SECURITY.md docs/*.md docs/decisions/*.md examples/orders/order.c \
    examples/embedded/Makefile examples/webhooks/load.sh; do
    cmp -s "$page" "$pages/$page" || fail "$page is not installed"
done
[ -z "$(find "$pages" -name '*.o' -o -name '*.so' -o -name '*.db' -o -type d -empty)" ] ||
    fail "installed with the pages: $(find "$pages" -name '*.o' -o -name '*.so' -o -name '*.db' -o -type d -empty)"
DESTDIR="$scratch/staged" cmake --install "$build" --prefix /opt/excore >/dev/null || fail "DESTDIR: install failed"
grep -rlF "$scratch" "$scratch/staged/opt/excore/lib/pkgconfig" "$scratch/staged/opt/excore/lib/cmake" &&
    fail "DESTDIR stands in what was installed"

for header in include/excore/*.h; do
    cmp -s "$header" "$prefix/$header" || fail "$header is not installed"
done
if [ -x "$build/excore" ]; then
    "$scratch/staged/opt/excore/bin/excore" version >/dev/null || fail "DESTDIR: the installed program does not run"
    "$prefix/bin/excore" version >/dev/null || fail "the installed program does not run"
    [ -s "$prefix/share/bash-completion/completions/excore" ] || fail "no bash completion installed"

    # An application built against what is installed, as the README shows, is served by it.
    cp -r examples/orders "$scratch/application"
    # shellcheck disable=SC2046,SC2086 # flags are words
    (cd "$scratch/application" && cc -shared -fPIC $warnings $(pkg-config --cflags excore) ./*.c -o orders.so) ||
        fail "the orders example does not build outside of the tree"
    "$prefix/bin/excore" serve --app "$scratch/application/orders.so" --data "$scratch/served" \
        --listen 127.0.0.1:0 >"$scratch/serve.out" 2>"$scratch/serve.err" &
    server=$!
    wait_for "$scratch/serve.out" 'application orders' || fail "it is not served: $(cat "$scratch/serve.err")"
    kill -TERM $server
    wait $server || fail "the installed server ended with $?"
    server=
fi
finish
