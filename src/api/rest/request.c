/* request.c: see request.h. */
#include "api/rest/request.h"

#include "api/rest/json_fields.h"
#include "kernel/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#define CORRELATION_ID_MAX 128

/* ---- Query parameters ---- */

static ex_status raise_param(ex_error *err, ex_slice name, const char *message)
{
    ex_status st = ex_raise(err, EX_EINVAL, "query parameter \"%.*s\" %s", EX_ARG(name), message);
    ex_error_set_field(err, name);
    return st;
}

ex_status request_check_params(const http_exchange *x, const request_param *known, size_t count,
                               ex_error *err)
{
    uint32_t seen = 0;
    size_t at = 0;
    ex_slice name, value;
    while (http_query_next(x, &at, &name, &value)) {
        size_t i = 0;
        while (i < count && !ex_slice_is(name, known[i].name))
            i++;
        if (i == count) {
            ex_status st = raise_param(err, name, "is not known here");
            ex_error_set_code(err, "UNKNOWN_FIELD");
            return st;
        }
        if (seen & UINT32_C(1) << i && !known[i].is_list)
            return raise_param(err, name, "is given twice");
        seen |= UINT32_C(1) << i;
    }
    return EX_OK;
}

ex_status request_u64(const http_exchange *x, const char *name, uint64_t *ret, ex_error *err)
{
    bool is_given = false;
    ex_slice text = http_query(x, name, &is_given);
    uint64_t n = 0;
    if (!is_given)
        return EX_OK;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned char)text.ptr[i] - (unsigned)'0';
        if (digit > 9)
            return raise_param(err, ex_str(name), "must be a whole number from 0");
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, digit, &n))
            n = UINT64_MAX;
    }
    if (text.len == 0)
        return raise_param(err, ex_str(name), "must be a whole number from 0");
    *ret = n;
    return EX_OK;
}

static uint32_t count_items(const http_exchange *x, const char *name)
{
    uint32_t count = 0;
    size_t at = 0;
    ex_slice key, value;
    while (http_query_next(x, &at, &key, &value)) {
        if (!ex_slice_is(key, name))
            continue;
        count++;
        for (size_t i = 0; i < value.len; i++)
            count += value.ptr[i] == ',';
    }
    return count;
}

ex_slice request_trim(ex_slice s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = ex_slice_of(s.ptr + 1, s.len - 1);
    while (s.len && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

ex_status request_list_value(ex_slice part, ex_arena *arena, ex_slice *ret, ex_error *err)
{
    *ret = part;
    if (part.len == 0 || !memchr(part.ptr, '%', part.len))
        return EX_OK;
    char *out = ex_arena_alloc(arena, part.len);
    if (!out)
        return field_no_memory(err);
    size_t len = 0;
    for (size_t i = 0; i < part.len; i++) {
        ex_slice escape = ex_slice_of(part.ptr + i, part.len - i < 3 ? part.len - i : 3);
        bool is_comma = ex_slice_is(escape, "%2C");
        if (is_comma || ex_slice_is(escape, "%25")) {
            out[len++] = is_comma ? ',' : '%';
            i += 2;
        } else {
            out[len++] = part.ptr[i];
        }
    }
    *ret = ex_slice_of(out, len);
    return EX_OK;
}

static ex_status split_list(ex_slice text, ex_arena *arena, ex_slice *items, uint32_t *count,
                            ex_error *err)
{
    for (bool is_last = false; !is_last;) {
        const char *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        if (len == 0)
            return ex_raise(err, EX_EINVAL, "holds an empty value");
        ex_status st = request_list_value(ex_slice_of(text.ptr, len), arena, &items[*count], err);
        if (st)
            return st;
        (*count)++;
        is_last = !comma;
        if (comma)
            text = ex_slice_of(comma + 1, text.len - len - 1);
    }
    return EX_OK;
}

ex_status request_list(http_exchange *x, const char *name, const ex_slice **ret,
                       uint32_t *ret_count, ex_error *err)
{
    uint32_t room = count_items(x, name), count = 0;
    if (room == 0)
        return EX_OK;
    ex_slice *items = ex_arena_array(http_arena(x), room, sizeof(*items));
    if (!items)
        return field_no_memory(err);
    size_t at = 0;
    ex_slice key, value;
    while (http_query_next(x, &at, &key, &value)) {
        if (!ex_slice_is(key, name))
            continue;
        ex_status st = split_list(value, http_arena(x), items, &count, err);
        if (st)
            return st == EX_EINVAL ? raise_param(err, key, "holds an empty value") : st;
    }
    *ret = items;
    *ret_count = count;
    return EX_OK;
}

/* ---- Media types ---- */

/* Cut the text before `separator` off the front, trimmed. */
static ex_slice take_until(ex_slice *rest, char separator)
{
    const char *end = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    ex_slice part = request_trim(ex_slice_of(rest->ptr, len));
    *rest = end ? ex_slice_of(end + 1, rest->len - len - 1) : EX_S("");
    return part;
}

static bool is_caseless(ex_slice a, ex_slice b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* The weight in thousandths; a malformed one counts as 1 (RFC 9110 says nothing better). */
static unsigned parse_q(ex_slice q)
{
    unsigned weight = 0, unit = 100;
    if (q.len == 0 || (q.ptr[0] != '0' && q.ptr[0] != '1') || (q.len > 1 && q.ptr[1] != '.') ||
        q.len > 5)
        return 1000;
    if (q.ptr[0] == '1')
        return 1000;
    for (size_t i = 2; i < q.len; i++, unit /= 10) {
        if (q.ptr[i] < '0' || q.ptr[i] > '9')
            return 1000;
        weight += (unsigned)(q.ptr[i] - '0') * unit;
    }
    return weight;
}

static unsigned range_weight(ex_slice parameters)
{
    while (parameters.len) {
        ex_slice p = take_until(&parameters, ';');
        if (p.len > 1 && (p.ptr[0] == 'q' || p.ptr[0] == 'Q') && p.ptr[1] == '=')
            return parse_q(ex_slice_of(p.ptr + 2, p.len - 2));
    }
    return 1000;
}

/* How well a media range names a type: 0 not, 1 by star-star, 2 by type/star, 3 exactly. */
static unsigned range_match(ex_slice range, ex_slice type)
{
    if (ex_slice_is(range, "*/*"))
        return 1;
    if (range.len > 2 && range.ptr[range.len - 2] == '/' && range.ptr[range.len - 1] == '*')
        return type.len >= range.len && strncasecmp(type.ptr, range.ptr, range.len - 1) == 0 ? 2
                                                                                             : 0;
    return is_caseless(range, type) ? 3 : 0;
}

/* The weight that the header gives a type: that of the most specific range naming it. */
static unsigned type_weight(ex_slice accept, ex_slice type)
{
    unsigned best_match = 0, weight = 0;
    while (accept.len) {
        ex_slice parameters = take_until(&accept, ',');
        ex_slice range = take_until(&parameters, ';');
        unsigned match = range_match(range, type);
        if (match > best_match) {
            best_match = match;
            weight = range_weight(parameters) * 4 + match; /* a more specific one wins a draw */
            if (weight < 4)
                weight = 0; /* q=0: not acceptable */
        }
    }
    return weight;
}

int request_negotiate(ex_slice accept, const char *const *offers, size_t count)
{
    int best = -1;
    unsigned best_weight = 0;
    if (request_trim(accept).len == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        unsigned weight = type_weight(accept, ex_str(offers[i]));
        if (weight > best_weight) {
            best = (int)i;
            best_weight = weight;
        }
    }
    return best;
}

ex_status request_accept(const http_exchange *x, const char *const *offers, size_t count,
                         size_t *ret, ex_error *err)
{
    int best = request_negotiate(http_header(x, "accept"), offers, count);
    if (best < 0) {
        ex_status st = ex_raise(
            err, EX_EINVAL, "none of the accepted media types can be given; \"%s\" can", offers[0]);
        ex_error_set_code(err, "NOT_ACCEPTABLE");
        err->http_status = 406;
        return st;
    }
    *ret = (size_t)best;
    return EX_OK;
}

/* Parameters other than charset are ignored, and a charset must be UTF-8. */
static bool has_foreign_charset(ex_slice parameters)
{
    while (parameters.len) {
        ex_slice p = take_until(&parameters, ';');
        if (p.len < 8 || strncasecmp(p.ptr, "charset=", 8) != 0)
            continue;
        ex_slice charset = ex_slice_of(p.ptr + 8, p.len - 8);
        if (!is_caseless(charset, EX_S("utf-8")) && !is_caseless(charset, EX_S("\"utf-8\"")))
            return true;
    }
    return false;
}

ex_status request_body_type(const http_exchange *x, const char *const *types, size_t count,
                            size_t *ret, ex_error *err)
{
    ex_slice parameters = http_header(x, "content-type");
    ex_slice type = take_until(&parameters, ';');
    for (size_t i = 0; i < count && !has_foreign_charset(parameters); i++)
        if (is_caseless(type, ex_str(types[i]))) {
            *ret = i;
            return EX_OK;
        }
    ex_status st = ex_raise(err, EX_EMEDIATYPE, "the body must be %s in UTF-8", types[0]);
    ex_error_set_field(err, EX_S("Content-Type"));
    return st;
}

/* ---- Ids ---- */

static bool is_id_text(ex_slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '_' || c == '-'))
            return false;
    }
    return s.len > 0 && s.len <= CORRELATION_ID_MAX;
}

ex_slice request_correlation_id(const http_exchange *x)
{
    ex_slice given = http_header(x, "x-correlation-id");
    return is_id_text(given) ? given : http_request_id(x);
}

/* ---- Conditional reads ---- */

bool request_names_etag(ex_slice if_none_match, ex_slice etag)
{
    while (if_none_match.len) {
        ex_slice tag = take_until(&if_none_match, ','); /* ours hold no comma */
        if (ex_slice_starts(tag, EX_S("W/")))
            tag = ex_slice_of(tag.ptr + 2, tag.len - 2);
        if (ex_slice_eq(tag, etag) || ex_slice_is(tag, "*"))
            return true;
    }
    return false;
}

ex_slice request_body_etag(ex_slice body, char out[REQUEST_ETAG_SIZE])
{
    int n = snprintf(out, REQUEST_ETAG_SIZE, "\"%016" PRIx64 "\"",
                     ex_fingerprint(EX_FINGERPRINT_START, body));
    return ex_slice_of(out, (size_t)n);
}

void request_respond_unchanged(http_exchange *x)
{
    http_respond(x, 304, NULL, EX_S(""));
}

void request_add_number(http_exchange *x, const char *lower_name, const char *quote, uint64_t n)
{
    char text[24];
    char *at = text + sizeof(text);
    if (*quote)
        *--at = *quote;
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    if (*quote)
        *--at = *quote;
    http_add_header(x, lower_name, ex_slice_of(at, (size_t)(text + sizeof(text) - at)));
}
