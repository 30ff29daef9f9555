/* running.c: see running.h. No call here that a signal handler must not make. */
#include "kernel/running.h"

#include <stdatomic.h>

/* initial-exec: the first look of a thread allocates nothing, even in a handler. */
static _Thread_local const ex_running *innermost __attribute__((tls_model("initial-exec")));

/* The place is complete before the handler, on the same thread, can see it. */
void ex_running_enter(ex_running *place)
{
    place->outer = innermost;
    atomic_signal_fence(memory_order_release);
    innermost = place;
    atomic_signal_fence(memory_order_release);
}

void ex_running_leave(const ex_running *place)
{
    atomic_signal_fence(memory_order_release);
    innermost = place->outer;
}

typedef struct line {
    char *out;
    size_t size, len;
} line;

static void put(line *l, ex_slice text)
{
    for (size_t i = 0; i < text.len && l->len < l->size; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        l->out[l->len++] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
}

static void put_number(line *l, const char *before, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);
    if (n == 0)
        return;
    for (; n > 0; n /= 10)
        digits[--at] = (char)('0' + n % 10);
    put(l, ex_str(before));
    put(l, ex_slice_of(digits + at, sizeof(digits) - at));
}

static void put_place(line *l, const ex_running *p)
{
    put(l, ex_str(p->what));
    put(l, EX_S(" "));
    put(l, p->context);
    put(l, p->context.len ? EX_S("/") : EX_S(""));
    put(l, ex_str(p->owner));
    put(l, p->name ? EX_S("/") : EX_S(""));
    put(l, ex_str(p->name));
    if (p->stream.len) {
        put(l, EX_S(", stream "));
        put(l, p->stream);
    }
    put_number(l, ", version ", p->version);
    put_number(l, ", position ", p->position);
}

size_t ex_running_write(char *out, size_t size)
{
    line l = {out, size, 0};
    for (const ex_running *p = innermost; p; p = p->outer) {
        put(&l, l.len ? EX_S("; in ") : EX_S(""));
        put_place(&l, p);
    }
    return l.len;
}
