/* clock.c: the system's clocks and random source, and RFC 3339 text.
 *
 * The text is made for every event that is written as JSON, so it is plain
 * arithmetic: no strftime, no time zone, no locale. Dates are computed from
 * days in eras of 400 years (H. Hinnant's civil_from_days), exact for the
 * proleptic Gregorian calendar. */
#include <excore/clock.h>

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#define US_PER_SECOND   INT64_C(1000000)
#define SECONDS_PER_DAY 86400
#define US_PER_DAY      (US_PER_SECOND * SECONDS_PER_DAY)
#define DAYS_PER_ERA    146097 /* 400 years */
#define EPOCH_SHIFT     719468 /* days from 0000-03-01 to 1970-01-01 */

/* ---- The system's port ---- */

static int64_t system_now_us(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail with a valid id and pointer */
    return (int64_t)ts.tv_sec * US_PER_SECOND + ts.tv_nsec / 1000;
}

static uint64_t system_monotonic_ns(void *ctx)
{
    (void)ctx;
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

static ex_status system_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    char *at = out;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return EX_EINTERNAL; /* no fallback: weak bytes are worse than none (R-01-19) */
        at += got;
        n -= (size_t)got;
    }
    return EX_OK;
}

const ex_clock *ex_clock_system(void)
{
    static const ex_clock system_clock = {system_now_us, system_monotonic_ns, system_random, NULL};
    return &system_clock;
}

/* ---- Writing ---- */

static void put_2(char *out, uint32_t n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "68697071727374757677787980818283848586878889909192939495969798"
        "99";
    memcpy(out, pairs + 2 * n, 2);
}

typedef struct civil_date {
    uint32_t year, month, day;
} civil_date;

/* `days` since 1970-01-01, not before the year 0. */
static civil_date date_of(int64_t days)
{
    uint32_t shifted =
        (uint32_t)(days + EPOCH_SHIFT + DAYS_PER_ERA); /* from -0400-03-01: positive */
    uint32_t era = shifted / DAYS_PER_ERA;
    uint32_t day_of_era = shifted % DAYS_PER_ERA;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t from_march = (5 * day_of_year + 2) / 153;
    uint32_t month = from_march < 10 ? from_march + 3 : from_march - 9;
    uint32_t day = day_of_year - (153 * from_march + 2) / 5 + 1;
    return (civil_date){era * 400 + year_of_era - 400 + (month <= 2), month, day};
}

ex_slice ex_time_text(int64_t us, char out[EX_TIME_TEXT_SIZE])
{
    us = us < EX_TIME_MIN_US ? EX_TIME_MIN_US : us > EX_TIME_MAX_US ? EX_TIME_MAX_US : us;
    int64_t days = us / US_PER_DAY;
    int64_t rest = us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    civil_date date = date_of(days);
    uint32_t second = (uint32_t)(rest / US_PER_SECOND);
    uint32_t micro = (uint32_t)(rest % US_PER_SECOND);
    memcpy(out, "....-..-..T..:..:..." /* the fraction follows */, 20);
    put_2(out, date.year / 100);
    put_2(out + 2, date.year % 100);
    put_2(out + 5, date.month);
    put_2(out + 8, date.day);
    put_2(out + 11, second / 3600);
    put_2(out + 14, second / 60 % 60);
    put_2(out + 17, second % 60);
    put_2(out + 20, micro / 10000);
    put_2(out + 22, micro / 100 % 100);
    put_2(out + 24, micro % 100);
    memcpy(out + 26, "Z", 2);
    return ex_slice_of(out, 27);
}

/* ---- Reading ---- */

typedef struct cursor {
    const char *at, *end;
} cursor;

static bool take_char(cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted)
        return false;
    c->at++;
    return true;
}

/* Exactly `digits` digits with a value of at most `max`. */
static bool take_number(cursor *c, int digits, uint32_t max, uint32_t *ret)
{
    uint32_t n = 0;
    for (; digits > 0; digits--, c->at++) {
        if (c->at == c->end || *c->at < '0' || *c->at > '9')
            return false;
        n = n * 10 + (uint32_t)(*c->at - '0');
    }
    *ret = n;
    return n <= max;
}

static bool is_leap(uint32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool take_date(cursor *c, civil_date *ret)
{
    static const uint8_t lengths[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!take_number(c, 4, 9999, &ret->year) || !take_char(c, '-') ||
        !take_number(c, 2, 12, &ret->month) || !take_char(c, '-') ||
        !take_number(c, 2, 31, &ret->day) || ret->month == 0 || ret->day == 0)
        return false;
    return ret->day <= lengths[ret->month] + (uint32_t)(ret->month == 2 && is_leap(ret->year));
}

static bool take_time(cursor *c, uint32_t *ret_second, bool *ret_is_leap_second)
{
    uint32_t hour, minute, second;
    if (!take_number(c, 2, 23, &hour) || !take_char(c, ':') || !take_number(c, 2, 59, &minute) ||
        !take_char(c, ':') || !take_number(c, 2, 60, &second))
        return false;
    *ret_second = hour * 3600 + minute * 60 + second;
    *ret_is_leap_second = second == 60;
    return true;
}

static bool take_fraction(cursor *c, uint32_t *ret_us)
{
    *ret_us = 0;
    if (!take_char(c, '.'))
        return true;
    int digits = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++, digits++)
        if (digits < 6)
            *ret_us = *ret_us * 10 + (uint32_t)(*c->at - '0');
    for (int i = digits; i < 6; i++)
        *ret_us *= 10;
    return digits >= 1 && digits <= 9;
}

static bool take_offset(cursor *c, int32_t *ret_seconds)
{
    *ret_seconds = 0;
    if (take_char(c, 'Z') || take_char(c, 'z'))
        return true;
    bool is_west = take_char(c, '-');
    uint32_t hour, minute;
    if ((!is_west && !take_char(c, '+')) || !take_number(c, 2, 23, &hour) || !take_char(c, ':') ||
        !take_number(c, 2, 59, &minute))
        return false;
    int32_t seconds = (int32_t)(hour * 3600 + minute * 60);
    *ret_seconds = is_west ? -seconds : seconds;
    return true;
}

static int64_t days_of(civil_date d)
{
    uint32_t year = d.year + 400 - (d.month <= 2); /* 400: the year 0 has a January too */
    uint32_t era = year / 400, year_of_era = year % 400;
    uint32_t from_march = d.month > 2 ? d.month - 3 : d.month + 9;
    uint32_t day_of_year = (153 * from_march + 2) / 5 + d.day - 1;
    uint32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * DAYS_PER_ERA + day_of_era - DAYS_PER_ERA - EPOCH_SHIFT;
}

/* A leap second is legal only as 23:59:60 UTC; like POSIX time it is the second that follows. */
static bool is_legal_leap(uint32_t second, int32_t offset)
{
    return (second - (int64_t)offset + 2 * SECONDS_PER_DAY) % SECONDS_PER_DAY == 0;
}

ex_status ex_time_parse(ex_slice text, int64_t *ret_us, ex_error *err)
{
    cursor c = {text.ptr, text.ptr + text.len};
    civil_date date;
    uint32_t second, micro;
    int32_t offset;
    bool is_leap_second;
    if (text.len == 0 || !take_date(&c, &date) || !(take_char(&c, 'T') || take_char(&c, 't')) ||
        !take_time(&c, &second, &is_leap_second) || !take_fraction(&c, &micro) ||
        !take_offset(&c, &offset) || c.at != c.end ||
        (is_leap_second && !is_legal_leap(second, offset))) {
        ex_slice shown = {text.ptr, text.len < 64 ? text.len : 64};
        return ex_raise(err, EX_EINVAL, "\"%.*s\" is not an RFC 3339 time", EX_ARG(shown));
    }
    int64_t seconds = days_of(date) * SECONDS_PER_DAY + second - offset;
    *ret_us = seconds * US_PER_SECOND + micro;
    return EX_OK;
}
