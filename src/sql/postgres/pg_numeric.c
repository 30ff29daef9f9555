/* pg_numeric.c: see pg_numeric.h. In network order:
 *
 *     uint16 digits   int16 weight   uint16 sign (0x0000 +, 0x4000 -, else not a number)   uint16
 * scale for each digit: uint16, 0 to 9999; the first stands for digit * 10000^weight
 */
#include "sql/postgres/pg_numeric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADER_BYTES 8
#define DIGITS_MAX   32 /* a double has 17 decimals: the rest cannot be seen */

static uint16_t word(ex_slice bytes, size_t index)
{
    const unsigned char *p = (const unsigned char *)bytes.ptr + 2 * index;
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool as_i64(ex_slice bytes, int digits, int weight, bool is_negative, int64_t *ret)
{
    int64_t value = 0;
    if (weight > 4 || digits > weight + 1)
        return false;
    for (int i = 0; i <= weight; i++) {
        int64_t digit = i < digits ? word(bytes, 4 + (size_t)i) : 0;
        if (__builtin_mul_overflow(value, 10000, &value) ||
            __builtin_sub_overflow(value, digit, &value)) /* below zero there is one more */
            return false;
    }
    return is_negative ? (*ret = value, true) : !__builtin_sub_overflow(0, value, ret);
}

ex_sql_value pg_numeric(ex_slice bytes)
{
    ex_sql_value v = {.type = EX_SQL_F64, .as.f64 = (double)NAN};
    if (bytes.len < HEADER_BYTES)
        return v;
    int digits = word(bytes, 0), weight = (int16_t)word(bytes, 1);
    uint16_t sign = word(bytes, 2);
    if ((sign != 0 && sign != 0x4000) || bytes.len < HEADER_BYTES + 2 * (size_t)digits)
        return v;
    if (as_i64(bytes, digits, weight, sign != 0, &v.as.i64)) {
        v.type = EX_SQL_I64;
        return v;
    }
    char text[4 * DIGITS_MAX + 32];
    int n = snprintf(text, sizeof(text), "%s0", sign ? "-" : "");
    if (digits > DIGITS_MAX)
        digits = DIGITS_MAX;
    for (int i = 0; i < digits; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%04u", word(bytes, 4 + (size_t)i));
    (void)snprintf(text + n, sizeof(text) - (size_t)n, "e%d", 4 * (weight + 1 - digits)); /* fits */
    v.as.f64 = strtod(text, NULL);
    return v;
}
