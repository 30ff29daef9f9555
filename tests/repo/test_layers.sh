#!/usr/bin/env bash
# R-01-26: the include boundaries hold, and the checker finds each kind of violation.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"

tools/check-layers.sh . || fail "the tree breaks its include boundaries"

# A sound little tree; each case below adds one fault to a copy of it.
make_tree() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/src/kernel" "$scratch/tree/src/io" "$scratch/tree/src/store/sql" \
        "$scratch/tree/src/store/memory" "$scratch/tree/include/excore" "$scratch/tree/examples/shop"
    cd "$scratch/tree"
    printf 'kernel base\nio\nsql\nstore store\n' >src/LAYERS
    touch src/kernel/map.h src/io/loop.h src/store/sql/driver.h src/store/memory/driver.h include/excore/base.h
    echo '#include <excore/base.h>' >include/excore/store.h
    printf '#include "io/loop.h"\n#include <uv.h>\n#include "kernel/map.h"\n' >src/io/loop.c
    cd "$OLDPWD"
}

expect_violation() {
    local name=$1 file=$2 text=$3 want=$4 out
    make_tree
    printf '%b\n' "$text" >>"$scratch/tree/$file"
    if out=$(tools/check-layers.sh "$scratch/tree" 2>&1); then
        fail "$name: not noticed"
    elif [[ $out != *"$want"* ]]; then
        fail "$name: said \"$out\""
    fi
}

make_tree
tools/check-layers.sh "$scratch/tree" || fail "a sound tree is refused"

expect_violation "upward include" src/kernel/map.c '#include "io/loop.h"' \
    "src/kernel/map.c:1: layer kernel includes io/loop.h"
expect_violation "upward include of a public header" src/io/loop.c '# include <excore/store.h>' \
    "layer io includes excore/store.h"
expect_violation "relative include" src/io/loop.h '#include "../kernel/map.h"' "relative include"
expect_violation "path not from the root" src/kernel/map.c '#include "map.h"' "no such file"
expect_violation "uv.h outside io" src/store/store.c '#include <uv.h>' "<uv.h> is for src/io only"
expect_violation "database in an application" examples/shop/shop.c '#include <sqlite3.h>' \
    "examples/shop/shop.c:1: an application includes infrastructure: sqlite3.h"
expect_violation "store in an application" examples/shop/shop.c '#include <excore/store.h>' \
    "an application includes infrastructure: excore/store.h"
expect_violation "unnamed public header" include/excore/new.h '#include <excore/base.h>' \
    "include/excore/new.h stands behind no layer"
expect_violation "missing header" src/io/loop.h '#include "io/timer.h"' "no such file"

make_tree
echo '#include "io/timer.h"' >"$scratch/tree/src/io/loop.h"
echo '#include "io/loop.h"' >"$scratch/tree/src/io/timer.h"
if out=$(tools/check-layers.sh "$scratch/tree" 2>&1); then
    fail "header cycle: not noticed"
elif [[ $out != *"include cycle between files"*src/io/timer.h* ]]; then
    fail "header cycle: said \"$out\""
fi

make_tree
echo '#include "store/memory/driver.h"' >"$scratch/tree/src/store/sql/sql.c"
echo '#include "store/sql/driver.h"' >"$scratch/tree/src/store/memory/memory.c"
if out=$(tools/check-layers.sh "$scratch/tree" 2>&1); then
    fail "folder cycle: not noticed"
elif [[ $out != *"include cycle between folders"* ]]; then
    fail "folder cycle: said \"$out\""
fi
finish
