#!/usr/bin/env bash
# What a struct and its EX_TYPE do not have in common the compiler tells, in the words of the user,
# with gcc and with clang. issue 9, item 6; G-717
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

cat >"$scratch/head.h" <<'C'
#include <excore/app.h>
typedef enum colour { RED, GREEN } colour;
typedef struct item { ex_slice id; int64_t n; } item;
typedef struct other { ex_slice id; int64_t n; } other;
typedef struct order {
    ex_slice order_id; int64_t cents; short small; char name[8]; colour tint; item first; item *last;
    EX_LIST(item) items; EX_LIST(ex_slice) labels;
} order;
EX_ENUM_TYPE(colour, "red", "green");
EX_TYPE(item, "Item", EX_KEY(item, id), EX_FIELD(item, n, .min = 0, .max_len = 3));
EX_TYPE(other, "Other", EX_FIELD(other, id), EX_FIELD(other, n));
C

# compiler FIELDS: what the compiler says about them
try() {
    printf '#include "head.h"\nEX_TYPE(order, "Order", %s);\n' "$2" >"$scratch/try.c"
    "$1" -std=gnu17 -fsyntax-only -Wall -Wextra -Wshadow -Werror -I "$root/include" -I "$scratch" \
        "$scratch/try.c" 2>&1 || true
}

for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || { echo "no $compiler: its part is left out"; continue; }
    said=$(try "$compiler" 'EX_KEY(order, order_id, .max_len = 9), EX_FIELD(order, cents, .min = 0), EX_ENUM(order, tint, colour),
        EX_STRUCT(order, first, item), EX_OPT_STRUCT(order, last, item), EX_LIST_OF(order, items, item), EX_TEXTS(order, labels)')
    [ -z "$said" ] || { echo "FAIL: $compiler: a good type: $said"; failures=$((failures + 1)); }
    while IFS='|' read -r fields words; do
        said=$(try "$compiler" "$fields")
        case $said in
        *"$words"*) ;;
        *) echo "FAIL: $compiler: $fields: \"$words\" is not in: $said"; failures=$((failures + 1)) ;;
        esac
    done <<'TABLE'
EX_FIELD(item, n)|item.n is listed in the EX_TYPE of another struct
EX_KEY(order, order_id), EX_FIELD(other, n)|other.n is listed in the EX_TYPE of another struct
EX_LIST_OF(order, items, other)|order.items is not an EX_LIST(other)
EX_LIST_OF(order, labels, item)|order.labels is not an EX_LIST(item)
EX_TEXTS(order, items)|order.items is not an EX_LIST(ex_slice)
EX_STRUCT(order, first, other)|order.first is not a struct other
EX_STRUCT(order, last, item)|order.last is not a struct item
EX_OPT_STRUCT(order, first, item)|order.first is not a pointer to a struct item
EX_OPT_STRUCT(order, last, other)|order.last is not a pointer to a struct other
EX_FIELD(order, items)|order.items is of a type that EX_FIELD does not know; lists are EX_LIST_OF
EX_FIELD(order, first)|order.first is of a type that EX_FIELD does not know
EX_FIELD(order, name)|order.name is of a type that EX_FIELD does not know
EX_FIELD(order, small)|order.small is of a type that EX_FIELD does not know
EX_KEY(order, cents)|order.cents is a key and not an ex_slice
EX_ENUM(order, cents, colour)|order.cents is not int-sized
EX_FIELD(order, missing)|missing
TABLE
done
# A literal that is no code does not compile either. Not syntax only: it takes the compiler's folding. G-960
for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    while IFS='|' read -r code words by; do
        [ -z "$by" ] || [ "$by" = "$compiler" ] || continue
        printf '#include <excore/aggregate.h>\nex_status f(ex_decision *d);\nex_status f(ex_decision *d) { return ex_reject(d, %s, "n %%d", 1); }\n' \
            "$code" >"$scratch/code.c"
        said=$("$compiler" -std=gnu17 -O2 -Wall -Wextra -Wpedantic -Werror -I "$root/include" -c -o /dev/null "$scratch/code.c" 2>&1 || true)
        if [ -z "$words" ] && [ -n "$said" ] || [[ "$said" != *"$words"* ]]; then
            echo "FAIL: $compiler: ex_reject with $code: \"$words\" is not all of: $said"
            failures=$((failures + 1))
        fi
    done <<'TABLE'
"ORDER_NOT_FOUND"|
"A1"|
(const char *)d|
"ORDER_not_FOUND"|is not like ORDER_NOT_FOUND|gcc
"order"|is not like ORDER_NOT_FOUND
"Order not found"|is not like ORDER_NOT_FOUND|gcc
"1ST"|is not like ORDER_NOT_FOUND
""|is not like ORDER_NOT_FOUND
"A123456789_123456789_123456789_123456789_123456789_123456789_1234"|is not like ORDER_NOT_FOUND
TABLE
done
[ "$failures" -eq 0 ] && echo ok
exit "$((failures > 0))"
