/* id.c: UUIDv7 and ULID: making, reading and writing them.
 *
 * One atomic word holds the last milliseconds and a counter; an id takes the
 * greater of "now" and "last plus one", so ids rise strictly over all threads,
 * inside a millisecond and when the clock steps back. Each new millisecond
 * starts the counter at a random number below half of its range, which leaves
 * 524,288 ids before the counter runs into the next millisecond.
 *
 *             48 bits         4   12 bits         2   8 bits          54 bits
 *   UUIDv7  | milliseconds  | 7 | counter, high | 2 | counter, low  | random |
 *   ULID    | milliseconds  | counter (20 bits)                     | random (60 bits) |
 *
 * Failure: only the random source can fail; then no id is made. */
#include <excore/id.h>

#include "kernel/id_sequence.h"

#include <pthread.h>

#define COUNTER_BITS 20
#define COUNTER_MASK ((1u << COUNTER_BITS) - 1)
#define SEED_MASK    ((1u << (COUNTER_BITS - 1)) - 1)
#define MS_MAX       ((UINT64_C(1) << (64 - COUNTER_BITS)) - 1) /* the year 2527 */
#define DRAW_BYTES   12u                                        /* random bytes for one id */
#define POOL_DRAWS   64u

static id_sequence process_sequence;

/* ---- Random bytes: one getrandom for POOL_DRAWS ids of a thread ---- */

typedef struct draw_pool {
    uint8_t bytes[POOL_DRAWS * DRAW_BYTES];
    size_t left;       /* bytes not used yet, at the end */
    unsigned fork_age; /* of the process the bytes were drawn in */
} draw_pool;

static _Thread_local draw_pool pool;
static atomic_uint fork_age;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static bool is_fork_watched; /* written once, under fork_once */

static void after_fork(void)
{
    atomic_fetch_add_explicit(&fork_age, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    is_fork_watched = pthread_atfork(NULL, NULL, after_fork) == 0;
}

static ex_status draw_pooled(const ex_clock *clock, uint8_t out[DRAW_BYTES])
{
    unsigned age = atomic_load_explicit(&fork_age, memory_order_relaxed);
    if (pool.left == 0 || pool.fork_age != age) {
        (void)pthread_once(&fork_once, watch_forks);
        if (!is_fork_watched) /* a child would draw its parent's bytes again: do without the pool */
            return clock->random(clock->ctx, out, DRAW_BYTES);
        ex_status st = clock->random(clock->ctx, pool.bytes, sizeof(pool.bytes));
        if (st)
            return st;
        pool.left = sizeof(pool.bytes);
        pool.fork_age = age;
    }
    uint8_t *next = pool.bytes + sizeof(pool.bytes) - pool.left;
    memcpy(out, next, DRAW_BYTES);
    memset(next, 0, DRAW_BYTES); /* a used byte must not come back, not even in a core file */
    pool.left -= DRAW_BYTES;
    return EX_OK;
}

/* Another clock may be a simulation's: its bytes must come in its order, so they are not pooled. */
static ex_status draw(const ex_clock *clock, uint8_t out[DRAW_BYTES])
{
    return clock == ex_clock_system() ? draw_pooled(clock, out)
                                      : clock->random(clock->ctx, out, DRAW_BYTES);
}

/* ---- Making ---- */

static uint64_t clock_ms(const ex_clock *clock)
{
    int64_t us = ex_now_us(clock);
    uint64_t ms = us > 0 ? (uint64_t)us / 1000 : 0;
    return ms < MS_MAX ? ms : MS_MAX;
}

static uint64_t next_tick(id_sequence *s, uint64_t ms, uint32_t seed)
{
    uint64_t last = atomic_load_explicit(&s->last, memory_order_relaxed);
    uint64_t next;
    do
        next = ms > last >> COUNTER_BITS ? ms << COUNTER_BITS | (seed & SEED_MASK) : last + 1;
    while (!atomic_compare_exchange_weak_explicit(&s->last, &last, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    return next;
}

static void put_time(uint8_t out[6], uint64_t ms)
{
    for (int i = 0; i < 6; i++)
        out[i] = (uint8_t)(ms >> (40 - 8 * i));
}

static void fill_uuid(uint8_t out[16], uint32_t counter, const uint8_t noise[8])
{
    memcpy(out + 8, noise, 8);
    out[6] = (uint8_t)(0x70 | counter >> 16);
    out[7] = (uint8_t)(counter >> 8);
    out[8] = (uint8_t)(0x80 | (counter >> 2 & 0x3F));
    out[9] = (uint8_t)((counter & 3) << 6 | (noise[1] & 0x3F));
}

static void fill_ulid(uint8_t out[16], uint32_t counter, const uint8_t noise[8])
{
    memcpy(out + 8, noise, 8);
    out[6] = (uint8_t)(counter >> 12);
    out[7] = (uint8_t)(counter >> 4);
    out[8] = (uint8_t)((counter & 15) << 4 | (noise[0] & 15));
}

ex_status id_sequence_next(id_sequence *s, const ex_clock *clock, ex_id_form form, ex_id *ret,
                           ex_error *err)
{
    uint8_t bits[DRAW_BYTES];
    if (draw(clock, bits))
        return ex_raise(err, EX_EINTERNAL, "no random bytes for an id");
    uint32_t seed;
    memcpy(&seed, bits + 8, sizeof(seed));
    uint64_t tick = next_tick(s, clock_ms(clock), seed);
    uint32_t counter = (uint32_t)tick & COUNTER_MASK;
    put_time(ret->bytes, tick >> COUNTER_BITS);
    if (form == EX_ID_ULID)
        fill_ulid(ret->bytes, counter, bits);
    else
        fill_uuid(ret->bytes, counter, bits);
    ret->form = (uint8_t)form;
    return EX_OK;
}

ex_status ex_id_new(ex_id *ret, ex_error *err)
{
    return id_sequence_next(&process_sequence, ex_clock_system(), EX_ID_UUID, ret, err);
}

ex_status ex_id_new_ulid(ex_id *ret, ex_error *err)
{
    return id_sequence_next(&process_sequence, ex_clock_system(), EX_ID_ULID, ret, err);
}

/* ---- Reading ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash_place(size_t at)
{
    return at == 8 || at == 13 || at == 18 || at == 23;
}

static bool parse_uuid(const char *text, uint8_t out[16])
{
    for (size_t at = 0, n = 0; at < 36; n++) {
        if (is_dash_place(at) && text[at++] != '-')
            return false;
        int high = hex_digit(text[at]), low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0)
            return false;
        out[n] = (uint8_t)(high << 4 | low);
        at += 2;
    }
    return true;
}

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static int crockford_digit(char c)
{
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 0x20);
    const char *at = c ? strchr(crockford, c) : NULL;
    return at ? (int)(at - crockford) : -1;
}

static bool parse_ulid(const char *text, uint8_t out[16])
{
    uint64_t high = 0, low = 0;
    if (text[0] > '7') /* 26 digits hold 130 bits; the first one has room for 3 */
        return false;
    for (size_t i = 0; i < 26; i++) {
        int digit = crockford_digit(text[i]);
        if (digit < 0)
            return false;
        high = high << 5 | low >> 59;
        low = low << 5 | (uint64_t)digit;
    }
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(high >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    return true;
}

ex_status ex_id_parse(ex_slice text, ex_id *ret, ex_error *err)
{
    ex_id id = {0};
    id.form = text.len == 26 ? EX_ID_ULID : EX_ID_UUID;
    if ((text.len == 36 && parse_uuid(text.ptr, id.bytes)) ||
        (text.len == 26 && parse_ulid(text.ptr, id.bytes))) {
        *ret = id;
        return EX_OK;
    }
    ex_slice shown = {text.ptr, text.len < 64 ? text.len : 64};
    ex_status st = ex_raise(err, EX_EINVAL, "\"%.*s\" is neither a UUID nor a ULID", EX_ARG(shown));
    ex_error_set_code(err, "INVALID_ID");
    return st;
}

/* ---- Writing ---- */

static char *put_hex(char *out, const uint8_t *bytes, int count)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < count; i++) {
        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 15];
    }
    return out;
}

/* Group by group: a page of events has hundreds of ids, and to ask for the dashes at each digit
 * would take twice as long. */
static size_t uuid_text(const uint8_t bytes[16], char *out)
{
    char *end = put_hex(out, bytes, 4);
    for (int at = 4; at < 10; at += 2) {
        *end++ = '-';
        end = put_hex(end, bytes + at, 2);
    }
    *end++ = '-';
    return (size_t)(put_hex(end, bytes + 10, 6) - out);
}

static size_t ulid_text(const uint8_t bytes[16], char *out)
{
    uint64_t high = 0, low = 0;
    for (int i = 0; i < 8; i++) {
        high = high << 8 | bytes[i];
        low = low << 8 | bytes[8 + i];
    }
    for (int at = 25; at >= 0; at--) {
        out[at] = crockford[low & 31];
        low = low >> 5 | high << 59;
        high >>= 5;
    }
    return 26;
}

ex_slice ex_id_text(const ex_id *id, char out[EX_ID_TEXT_SIZE])
{
    size_t len = id->form == EX_ID_ULID ? ulid_text(id->bytes, out) : uuid_text(id->bytes, out);
    out[len] = '\0';
    return ex_slice_of(out, len);
}

/* ---- Questions ---- */

bool ex_id_is_nil(const ex_id *id)
{
    static const uint8_t nil[16];
    return memcmp(id->bytes, nil, sizeof(nil)) == 0;
}

bool ex_id_eq(const ex_id *a, const ex_id *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

uint64_t ex_id_time_ms(const ex_id *id)
{
    bool is_v7 = id->bytes[6] >> 4 == 7 && id->bytes[8] >> 6 == 2;
    if (id->form != EX_ID_ULID && !is_v7)
        return 0;
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->bytes[i];
    return ms;
}
