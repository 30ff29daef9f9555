/* json_canonical.c: the one form of a JSON value that sizes, fingerprints and hashes are made of.
 *
 * Like RFC 8785 with two differences: keys are sorted by their UTF-8 bytes, and
 * numbers are decimals, of which no digit is lost. Numbers with the same value
 * have the same form whichever way they were written, and others another:
 *
 *   written                      form
 *   ---------------------------  -------------------------------------------------
 *   1, 1.0, 10e-1                1
 *   -0, 0.0, 0e9                 0
 *   1e5                          100000
 *   1e21                         1e+21: of a double that has exactly this value the
 *                                shortest form
 *   9007199254740993.0           9007199254740993: an integer of at most 20 digits
 *   0.10000000000000000001       10000000000000000001e-20
 *
 * An exponent may have any number of digits: beyond 10^17 it is kept as text, and what
 * the place of the point adds to it is added to the text. Releases before wrote all
 * numbers but 64-bit integers through doubles (ex_json_canonical_rounded). (R-FN-07) */
#include "kernel/json_rounded.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define FEW_MEMBERS    16
#define INTEGER_DIGITS 20 /* of the largest 64-bit integer */
#define NEAR_DIGITS    17 /* an exponent of so many digits is counted in 64 bits */

/* ---- Decimals ---- */

/** Digits times ten to the power of `exponent` (+ `far`). */
typedef struct decimal {
    bool is_negative;
    ex_slice digits; /* from the first that is not 0 to the last; a point may stand between */
    size_t count;    /* of digits; 0: the number is 0 */
    int64_t exponent;
    ex_slice far; /* a written exponent of more than NEAR_DIGITS digits, without sign and zeros in
                     front; else empty */
    bool is_far_negative;
} decimal;

static void read_exponent(ex_slice text, decimal *d)
{
    bool is_negative = text.ptr[0] == '-';
    size_t i = is_negative || text.ptr[0] == '+';
    while (i < text.len && text.ptr[i] == '0')
        i++;
    if (text.len - i > NEAR_DIGITS) {
        d->far = ex_slice_of(text.ptr + i, text.len - i);
        d->is_far_negative = is_negative;
        return;
    }
    int64_t n = 0;
    for (; i < text.len; i++)
        n = 10 * n + (text.ptr[i] - '0');
    d->exponent = is_negative ? -n : n;
}

/* Of a valid JSON number. */
static decimal decimal_of(ex_slice text)
{
    decimal d = {.is_negative = text.len && text.ptr[0] == '-'};
    size_t end = 0, point = 0, first = d.is_negative, last = 0;
    while (end < text.len && text.ptr[end] != 'e' && text.ptr[end] != 'E')
        end++;
    while (point < end && text.ptr[point] != '.')
        point++;
    while (first < end && (text.ptr[first] == '0' || first == point))
        first++;
    if (first == end)
        return (decimal){0};
    for (size_t i = first; i < end; i++)
        if (i != point && text.ptr[i] != '0')
            last = i;
    d.digits = ex_slice_of(text.ptr + first, last - first + 1);
    d.count = d.digits.len - (first < point && point < last);
    if (end < text.len)
        read_exponent(ex_slice_of(text.ptr + end + 1, text.len - end - 1), &d);
    d.exponent += last < point ? (int64_t)(point - 1 - last) : -(int64_t)(last - point);
    return d;
}

/* `a` is that of a double. */
static bool is_same_decimal(const decimal *a, const decimal *b)
{
    assert(a->far.len == 0);
    if (a->is_negative != b->is_negative || a->count != b->count || a->exponent != b->exponent ||
        b->far.len)
        return false;
    for (size_t n = 0, i = 0, j = 0; n < a->count; n++, i++, j++) {
        i += a->digits.ptr[i] == '.';
        j += b->digits.ptr[j] == '.';
        if (a->digits.ptr[i] != b->digits.ptr[j])
            return false;
    }
    return true;
}

/* The sum of `far` and `exponent`. The place of a point in a text is far below 10^NEAR_DIGITS, so
 * the sign is that of `far`, and at most one digit comes or goes in front. */
static void put_far_exponent(const decimal *d, ex_buf *out)
{
    int64_t carry = d->is_far_negative ? -d->exponent : d->exponent;
    if (d->is_far_negative)
        ex_buf_put_char(out, '-');
    size_t first = out->len;
    ex_buf_put_char(out, '0'); /* for a digit that comes */
    ex_buf_put(out, d->far);
    if (out->status)
        return;
    for (size_t i = out->len; carry != 0; i--) {
        assert(i > first);
        int64_t sum = out->ptr[i - 1] - '0' + carry;
        int64_t digit = (sum % 10 + 10) % 10;
        out->ptr[i - 1] = (char)('0' + digit);
        carry = (sum - digit) / 10;
    }
    size_t zeros = 0;
    while (out->ptr[first + zeros] == '0')
        zeros++;
    memmove(out->ptr + first, out->ptr + first + zeros, out->len - first - zeros);
    out->len -= zeros;
}

static void put_decimal(const decimal *d, ex_buf *out)
{
    bool is_integer = d->far.len == 0 && d->exponent >= 0 && d->exponent <= INTEGER_DIGITS &&
                      d->count + (size_t)d->exponent <= INTEGER_DIGITS;
    if (d->count == 0) {
        ex_buf_put_char(out, '0');
        return;
    }
    if (d->is_negative)
        ex_buf_put_char(out, '-');
    for (size_t i = 0; i < d->digits.len; i++)
        if (d->digits.ptr[i] != '.')
            ex_buf_put_char(out, d->digits.ptr[i]);
    for (int64_t i = 0; is_integer && i < d->exponent; i++)
        ex_buf_put_char(out, '0');
    if (is_integer)
        return;
    ex_buf_put_char(out, 'e');
    if (d->far.len)
        put_far_exponent(d, out);
    else
        ex_buf_put_i64(out, d->exponent);
}

/* The shortest form of the double when that is the number itself: nearly always. */
static void put_number(const ex_json *value, bool is_rounded, ex_buf *out)
{
    size_t start = out->len;
    ex_json_put_double(out, value->as.number == 0 ? 0 : value->as.number); /* -0.0 too */
    if (is_rounded || value->raw.len == 0 || out->status)
        return;
    decimal shortest = decimal_of(ex_slice_of(out->ptr + start, out->len - start));
    decimal exact = decimal_of(value->raw);
    if (is_same_decimal(&shortest, &exact))
        return;
    out->len = start;
    put_decimal(&exact, out);
}

/* ---- Values ---- */

typedef struct form {
    ex_arena *scratch;
    bool is_rounded;
} form;

static int by_key(const void *a, const void *b)
{
    const ex_json_member *const *x = a, *const *y = b;
    return ex_slice_cmp((*x)->key, (*y)->key);
}

static void sort_few(const ex_json_member **members, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const ex_json_member *m = members[i];
        uint32_t at = i;
        for (; at > 0 && ex_slice_cmp(members[at - 1]->key, m->key) > 0; at--)
            members[at] = members[at - 1];
        members[at] = m;
    }
}

static ex_status put_value(const ex_json *value, const form *f, ex_buf *out);

static ex_status put_members(const ex_json_member **members, uint32_t count, const form *f,
                             ex_buf *out)
{
    if (count <= FEW_MEMBERS)
        sort_few(members, count);
    else
        qsort(members, count, sizeof(members[0]), by_key);
    for (uint32_t i = 0; i < count; i++) {
        ex_buf_put_char(out, i ? ',' : '{');
        ex_json_put_string(out, members[i]->key);
        ex_buf_put_char(out, ':');
        ex_status st = put_value(&members[i]->value, f, out);
        if (st)
            return st;
    }
    ex_buf_put_char(out, '}');
    return EX_OK;
}

static ex_status put_object(const ex_json *object, const form *f, ex_buf *out)
{
    if (object->count == 0) {
        ex_buf_put(out, EX_S("{}"));
        return EX_OK;
    }
    ex_arena_mark mark = ex_arena_save(f->scratch);
    const ex_json_member **members = ex_arena_array(f->scratch, object->count, sizeof(*members));
    if (!members)
        return EX_ENOMEM;
    for (uint32_t i = 0; i < object->count; i++)
        members[i] = &object->as.members[i];
    ex_status st = put_members(members, object->count, f, out);
    ex_arena_restore(f->scratch, mark);
    return st;
}

static ex_status put_array(const ex_json *array, const form *f, ex_buf *out)
{
    ex_buf_put_char(out, '[');
    for (uint32_t i = 0; i < array->count; i++) {
        if (i)
            ex_buf_put_char(out, ',');
        ex_status st = put_value(&array->as.items[i], f, out);
        if (st)
            return st;
    }
    ex_buf_put_char(out, ']');
    return EX_OK;
}

static ex_status put_value(const ex_json *value, const form *f, ex_buf *out)
{
    switch (value->kind) {
    case EX_JSON_NULL:
        ex_buf_put(out, EX_S("null"));
        break;
    case EX_JSON_BOOL:
        ex_buf_put(out, value->as.boolean ? EX_S("true") : EX_S("false"));
        break;
    case EX_JSON_INT:
        ex_buf_put_i64(out, value->as.i64);
        break;
    case EX_JSON_UINT:
        ex_buf_put_u64(out, value->as.u64);
        break;
    case EX_JSON_DOUBLE:
        put_number(value, f->is_rounded, out);
        break;
    case EX_JSON_STRING:
        ex_json_put_string(out, value->as.text);
        break;
    case EX_JSON_ARRAY:
        return put_array(value, f, out);
    case EX_JSON_OBJECT:
        return put_object(value, f, out);
    }
    return out->status;
}

static ex_status put_form(const ex_json *value, const form *f, ex_buf *out)
{
    ex_arena_mark mark = ex_arena_save(f->scratch);
    ex_status st = put_value(value, f, out);
    ex_arena_restore(f->scratch, mark);
    return st ? st : out->status;
}

ex_status ex_json_canonical(const ex_json *value, ex_arena *scratch, ex_buf *out)
{
    return put_form(value, &(form){scratch, false}, out);
}

ex_status ex_json_canonical_rounded(const ex_json *value, ex_arena *scratch, ex_buf *out)
{
    return put_form(value, &(form){scratch, true}, out);
}
