/* clock.h: the port for time and randomness, so that tests can set both. */
#ifndef EXCORE_CLOCK_H
#define EXCORE_CLOCK_H

#include <excore/error.h>

EX_BEGIN_DECLS

/** A source of time and random bytes. Methods are required, never block, Thread: any. */
typedef struct ex_clock {
    int64_t (*now_us)(void *ctx);        /* wall clock, microseconds since 1970 UTC */
    uint64_t (*monotonic_ns)(void *ctx); /* never steps back */
    ex_status (*random)(void *ctx, void *out, size_t n); /* EX_OK or EX_EINTERNAL */
    void *ctx;
} ex_clock;

/** The system's clocks and getrandom. */
EX_API const ex_clock *ex_clock_system(void);

static inline int64_t ex_now_us(const ex_clock *c)
{
    return c->now_us(c->ctx);
}
static inline uint64_t ex_monotonic_ns(const ex_clock *c)
{
    return c->monotonic_ns(c->ctx);
}

/* What RFC 3339 has a text for: 0000-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z. */
#define EX_TIME_MIN_US INT64_C(-62167219200000000)
#define EX_TIME_MAX_US INT64_C(253402300799999999)

#define EX_TIME_TEXT_SIZE 28 /* 2026-11-21T09:30:00.123456Z and its NUL */

/** RFC 3339, UTC, six decimals; a time out of range is the nearest that has a text. Returns the
 * slice over `out`. */
EX_API ex_slice ex_time_text(int64_t us, char out[EX_TIME_TEXT_SIZE]);
/** Parse RFC 3339 with any offset and 0 to 9 decimals (cut to microseconds). */
EX_API EX_NODISCARD ex_status ex_time_parse(ex_slice text, int64_t *ret_us, ex_error *err);

EX_END_DECLS

#endif
