#!/usr/bin/env bash
# Only ex_* leaves the library and the program; a program that uses the kernel only carries no
# database, loop or HTTP code (R-09-06). $1: the build folder.
# shellcheck source=tests/repo/lib.sh
. "$(dirname "$0")/lib.sh"
build=$1

exported() {
    nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | LC_ALL=C sort
}

# What the tool chain itself puts into the table of a program with exports.
system='_init|_fini|_start|_edata|_end|__bss_start|__data_start|data_start|main|_IO_stdin_used'
system+='|__dso_handle|__TMC_END__|stdin|stdout|stderr|environ|__environ|_environ|optarg|optind|opterr|optopt'

library="$build/src/libexcore.so"
[ "$(exported "$library" | grep -c '^ex_')" -gt 20 ] || fail "$library exports hardly anything"
alien=$(exported "$library" | grep -v '^ex_' || true)
[ -z "$alien" ] || fail "$library exports: ${alien//$'\n'/ }"

if [ -x "$build/excore" ]; then
    alien=$(exported "$build/excore" | grep -Ev "^(ex_.*|$system)\$" || true)
    [ -z "$alien" ] || fail "excore exports: ${alien//$'\n'/ }"
    missing=$(LC_ALL=C comm -23 <(exported "$library" | grep '^ex_') <(exported "$build/excore"))
    [ -z "$missing" ] || fail "excore does not give to applications: ${missing//$'\n'/ }"
fi

# Every public function that a header declares is there.
declared=$(awk '
    /^EX_API/ { text = ""; is_open = 1 }
    is_open { text = text " " $0 }
    is_open && /;/ { is_open = 0; if (match(text, /ex_[a-z0-9_]+\(/)) print substr(text, RSTART, RLENGTH - 1) }
    ' include/excore/*.h | LC_ALL=C sort -u)
[ "$(wc -w <<<"$declared")" -gt 20 ] || fail "found hardly any declared function"
exported "$library" >"$scratch/exported"
for name in $declared; do
    grep -qx "$name" "$scratch/exported" || fail "declared but not exported: $name"
done

cat >"$scratch/kernel_only.c" <<'END'
#include <excore/arena.h>
#include <excore/buf.h>
#include <excore/json.h>
int main(void)
{
    ex_arena arena;
    ex_json value;
    ex_arena_init(&arena, 0);
    ex_status status = ex_json_parse(EX_S("{\"a\":1}"), &arena, NULL, &value, NULL);
    ex_arena_done(&arena);
    return status != EX_OK;
}
END
${CC:-gcc} -Iinclude "$scratch/kernel_only.c" "$build/src/libexcore.a" -lm -lpthread -o "$scratch/kernel_only" ||
    fail "a program that uses the kernel only does not link without the other libraries"
if [ -x "$scratch/kernel_only" ]; then
    "$scratch/kernel_only" || fail "the kernel-only program does not run"
    heavy=$(nm "$scratch/kernel_only" | grep -E ' (sqlite3_|uv_|nghttp2_|llhttp|curl_|yaml_|ex_store|ex_http)' || true)
    [ -z "$heavy" ] || fail "the kernel-only program carries: ${heavy//$'\n'/ }"
fi
finish
