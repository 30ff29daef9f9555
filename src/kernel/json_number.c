/* json_number.c: decimal text to double and back.
 *
 * Both ways have a short cut that covers nearly all business data (up to 15
 * significant digits, exponent within ±22: one exact integer and one exact
 * power of ten, hence one correctly rounded operation). The rest goes through
 * libc with digits and exponent but never a decimal point ("1234e-2"), so the
 * locale has no say. */
#include "kernel/json_number.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_EXACT       (UINT64_C(1) << 53)
#define MAX_EXACT_POWER 22
#define FIFTEEN_DIGITS  1e15
#define KEPT_DIGITS     800    /* a double's midpoint has at most 767 significant digits */
#define FAR_EXPONENT    100000 /* beyond this everything is 0 or overflow */

static const double powers[MAX_EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* ---- Reading ---- */

typedef struct decimal {
    bool is_negative;
    uint64_t mantissa; /* the significant digits, exact while count <= 19 */
    int64_t count;     /* significant digits; 0: the number is zero */
    int64_t exponent;  /* of ten, behind the last significant digit */
    const char *first; /* the first significant digit */
} decimal;

static int64_t exponent_of(const char *p, const char *end)
{
    bool is_negative = *p == '-';
    int64_t n = 0;
    for (p += *p == '-' || *p == '+'; p < end; p++)
        if (n < INT64_MAX / 32)
            n = n * 10 + (*p - '0');
    return is_negative ? -n : n;
}

static decimal decimal_of(ex_slice text)
{
    const char *p = text.ptr, *end = text.ptr + text.len;
    decimal d = {.is_negative = *p == '-'};
    bool is_fraction = false;
    for (p += d.is_negative; p < end && (*p | 0x20) != 'e'; p++) {
        if (*p == '.') {
            is_fraction = true;
            continue;
        }
        if (d.count > 0 || *p != '0') {
            d.first = d.count ? d.first : p;
            d.mantissa = d.count < 19 ? d.mantissa * 10 + (uint64_t)(*p - '0') : d.mantissa;
            d.count++;
        }
        d.exponent -= is_fraction;
    }
    if (p < end)
        d.exponent += exponent_of(p + 1, end);
    return d;
}

/* libc reads "ddd…e±x". Digits beyond KEPT_DIGITS only tell whether the value lies above the cut.
 */
static double read_long(const decimal *d, const char *end)
{
    char text[KEPT_DIGITS + 32];
    int64_t kept = d->count < KEPT_DIGITS ? d->count : KEPT_DIGITS;
    int64_t exponent = d->exponent + d->count - kept;
    const char *p = d->first;
    size_t len = 0;
    for (int64_t i = 0; i < kept; p++)
        if (*p != '.')
            text[len++] = *p, i++;
    bool is_above = false;
    for (; p < end && (*p | 0x20) != 'e'; p++)
        is_above |= *p != '0' && *p != '.';
    if (is_above) {
        text[len++] = '1';
        exponent--;
    }
    exponent = exponent > FAR_EXPONENT ? FAR_EXPONENT : exponent;
    exponent = exponent < -FAR_EXPONENT ? -FAR_EXPONENT : exponent;
    (void)snprintf(text + len, sizeof(text) - len, "e%d", (int)exponent); /* fits: 8 of 31 bytes */
    return strtod(text, NULL);
}

static bool is_exact(const decimal *d)
{
    return FLT_EVAL_METHOD == 0 && d->count <= 19 && d->mantissa <= MAX_EXACT &&
           d->exponent >= -MAX_EXACT_POWER && d->exponent <= MAX_EXACT_POWER;
}

bool json_number_parse(ex_slice text, double *ret)
{
    decimal d = decimal_of(text);
    double n = 0;
    if (d.count == 0)
        n = 0;
    else if (is_exact(&d))
        n = d.exponent < 0 ? (double)d.mantissa / powers[-d.exponent]
                           : (double)d.mantissa * powers[d.exponent];
    else
        n = read_long(&d, text.ptr + text.len);
    if (isinf(n))
        return false;
    *ret = d.is_negative ? -n : n;
    return true;
}

/* ---- Writing ---- */

typedef struct shortest {
    uint64_t digits;
    int exponent; /* the value is digits * 10^exponent */
} shortest;

static bool find_short(double n, shortest *ret)
{
    if (FLT_EVAL_METHOD != 0)
        return false;
    for (int places = 0; places <= MAX_EXACT_POWER; places++) {
        double scaled = n * powers[places];
        if (scaled >= FIFTEEN_DIGITS)
            return false;
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if (digits && (double)digits / powers[places] == n) {
            *ret = (shortest){digits, -places};
            return true;
        }
    }
    return false;
}

static shortest rounded(double n, int precision)
{
    char text[64];
    shortest s = {0, 0};
    (void)snprintf(text, sizeof(text), "%.*e", precision - 1, n); /* at most 17 digits: fits */
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') /* whatever else is the locale's decimal point */
            s.digits = s.digits * 10 + (uint64_t)(*p - '0');
    s.exponent = atoi(p + 1) - (precision - 1);
    return s;
}

static bool reads_back(shortest s, double n)
{
    char text[48];
    (void)snprintf(text, sizeof(text), "%llue%d", (unsigned long long)s.digits, s.exponent);
    return strtod(text, NULL) == n;
}

/* Fifteen digits always name one normal double, so shorter forms are that one without its zeros;
 * find_short has tried them all in its range. Only subnormal numbers have less precision. */
static int first_precision(double n)
{
    if (n < DBL_MIN)
        return 1;
    return FLT_EVAL_METHOD == 0 && n >= 1e-7 && n < FIFTEEN_DIGITS ? 16 : 15;
}

static shortest find_long(double n)
{
    for (int precision = first_precision(n); precision < 17; precision++) {
        shortest s = rounded(n, precision);
        if (reads_back(s, n))
            return s;
        s.digits++; /* below a power of two doubles lie closer: the next one up may still do */
        if (precision == 16 && reads_back(s, n))
            return s;
    }
    return rounded(n, 17);
}

static size_t put_zeros(char *out, int count)
{
    memset(out, '0', (size_t)count);
    return (size_t)count;
}

static size_t put_exponent(char *out, int exponent)
{
    return (size_t)snprintf(out, 8, "e%+d", exponent);
}

/* `point`: how many digits stand before the decimal point. */
static size_t lay_out(const char *digits, int count, int point, char *out)
{
    size_t len = 0;
    if (point > 21 || point <= -6) {
        out[len++] = digits[0];
        if (count > 1) {
            out[len++] = '.';
            memcpy(out + len, digits + 1, (size_t)count - 1);
            len += (size_t)count - 1;
        }
        return len + put_exponent(out + len, point - 1);
    }
    if (point <= 0) {
        memcpy(out, "0.", 2);
        len = 2 + put_zeros(out + 2, -point);
        memcpy(out + len, digits, (size_t)count);
        return len + (size_t)count;
    }
    int whole = count < point ? count : point;
    memcpy(out, digits, (size_t)whole);
    len = (size_t)whole + put_zeros(out + whole, point - whole);
    if (count > point) {
        out[len++] = '.';
        memcpy(out + len, digits + point, (size_t)(count - point));
        len += (size_t)(count - point);
    }
    return len;
}

size_t json_number_write(double number, char out[JSON_NUMBER_SIZE])
{
    assert(isfinite(number));
    size_t sign = signbit(number) ? 1 : 0;
    out[0] = '-';
    double n = fabs(number);
    if (n == 0) {
        memcpy(out + sign, "0.0", 3);
        return sign ? 4 : 1;
    }
    shortest s;
    if (!find_short(n, &s))
        s = find_long(n);
    while (s.digits % 10 == 0) {
        s.digits /= 10;
        s.exponent++;
    }
    char digits[20];
    int count = 0;
    for (uint64_t left = s.digits; left; left /= 10)
        digits[sizeof(digits) - (size_t)++count] = (char)('0' + left % 10);
    return sign +
           lay_out(digits + sizeof(digits) - (size_t)count, count, count + s.exponent, out + sign);
}
