/* pg_value.c: see pg_value.h.
 *
 * The values of all arguments lie one behind the other in `bytes`; an item holds offset and length,
 * for the buffer moves as it grows. An array in PostgreSQL's binary format, all in network order:
 *
 *     int32 dimensions (1)   int32 has nulls   int32 element type   int32 count   int32 first index
 * (1) for each element: int32 length (-1: null), bytes
 */
#include "sql/postgres/pg_int.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#define ARGS_LIMIT_BYTES (1u << 29) /* PostgreSQL takes no message over 1 GiB */
#define ARGS_MAX         65535
#define ARRAY_HEADER     20

void ex_pg_args_init(ex_pg_args *a)
{
    memset(a, 0, sizeof(*a));
    ex_buf_init(&a->bytes, ARGS_LIMIT_BYTES);
}

void ex_pg_args_done(ex_pg_args *a)
{
    if (!a)
        return;
    ex_buf_done(&a->bytes);
    free(a->items);
    memset(a, 0, sizeof(*a));
}

void ex_pg_args_reset(ex_pg_args *a)
{
    ex_buf_reset(&a->bytes);
    a->count = 0;
    a->status = EX_OK;
    a->is_array = false;
}

static void fail(ex_pg_args *a, ex_status status)
{
    if (!a->status)
        a->status = status;
}

static void put_u32(ex_buf *b, uint32_t value)
{
    value = htobe32(value);
    ex_buf_put(b, ex_slice_of(&value, sizeof(value)));
}

static ex_pg_arg *add_item(ex_pg_args *a, uint32_t type)
{
    if (a->count == a->capacity) {
        size_t capacity = a->capacity ? a->capacity * 2 : 16;
        ex_pg_arg *items =
            capacity <= ARGS_MAX * 2 ? realloc(a->items, capacity * sizeof(*items)) : NULL;
        if (!items) {
            fail(a, EX_ENOMEM);
            return NULL;
        }
        a->items = items;
        a->capacity = capacity;
    }
    ex_pg_arg *item = &a->items[a->count++];
    *item = (ex_pg_arg){.type = type, .offset = a->bytes.len, .len = -1};
    return item;
}

/* NULL bytes: a null. */
static void put(ex_pg_args *a, uint32_t type, const void *bytes, size_t len)
{
    if (len > INT32_MAX) {
        fail(a, EX_ETOOLARGE);
        return;
    }
    if (a->is_array) {
        assert(!bytes || type == a->element);
        a->elements++;
        a->has_null = a->has_null || !bytes;
        put_u32(&a->bytes, bytes ? (uint32_t)len : UINT32_MAX);
        if (bytes)
            ex_buf_put(&a->bytes, ex_slice_of(bytes, len));
        return;
    }
    ex_pg_arg *item = add_item(a, type);
    if (item && bytes) {
        item->len = (int32_t)len;
        ex_buf_put(&a->bytes, ex_slice_of(bytes, len));
    }
}

void ex_pg_put_null(ex_pg_args *a, ex_pg_type type)
{
    put(a, type, NULL, 0);
}

void ex_pg_put_bool(ex_pg_args *a, bool value)
{
    char byte = value ? 1 : 0;
    put(a, EX_PG_BOOL, &byte, 1);
}

void ex_pg_put_i64(ex_pg_args *a, int64_t value)
{
    uint64_t n = htobe64((uint64_t)value);
    put(a, EX_PG_INT8, &n, sizeof(n));
}

void ex_pg_put_i32(ex_pg_args *a, int32_t value)
{
    uint32_t n = htobe32((uint32_t)value);
    put(a, EX_PG_INT4, &n, sizeof(n));
}

void ex_pg_put_f64(ex_pg_args *a, double value)
{
    uint64_t n;
    memcpy(&n, &value, sizeof(n));
    n = htobe64(n);
    put(a, EX_PG_FLOAT8, &n, sizeof(n));
}

void ex_pg_put_text(ex_pg_args *a, ex_slice value)
{
    if (value.len && memchr(value.ptr, 0, value.len))
        fail(a, EX_EINVAL);
    put(a, EX_PG_TEXT, value.ptr ? value.ptr : "", value.len);
}

void ex_pg_put_bytea(ex_pg_args *a, ex_slice value)
{
    put(a, EX_PG_BYTEA, value.ptr ? value.ptr : "", value.len);
}

void ex_pg_put_uuid(ex_pg_args *a, const uint8_t value[16])
{
    put(a, EX_PG_UUID, value, 16);
}

static uint32_t array_of(uint32_t element)
{
    switch (element) {
    case EX_PG_BOOL:
        return 1000;
    case EX_PG_BYTEA:
        return 1001;
    case EX_PG_INT4:
        return 1007;
    case EX_PG_TEXT:
        return 1009;
    case EX_PG_INT8:
        return 1016;
    case EX_PG_FLOAT8:
        return 1022;
    case EX_PG_UUID:
        return 2951;
    default:
        assert(!"no array of this type");
        return 0;
    }
}

void ex_pg_array_begin(ex_pg_args *a, ex_pg_type element)
{
    static const char header[ARRAY_HEADER];
    assert(!a->is_array);
    put(a, array_of(element), header, sizeof(header)); /* filled in at the end */
    a->is_array = true;
    a->has_null = false;
    a->element = element;
    a->elements = 0;
}

void ex_pg_array_end(ex_pg_args *a)
{
    assert(a->is_array);
    a->is_array = false;
    if (a->status || ex_buf_status(&a->bytes))
        return;
    ex_pg_arg *item = &a->items[a->count - 1];
    size_t len = a->bytes.len - item->offset;
    if (len > INT32_MAX) {
        fail(a, EX_ETOOLARGE);
        return;
    }
    item->len = (int32_t)len;
    uint32_t header[ARRAY_HEADER / 4] = {htobe32(1), htobe32(a->has_null), htobe32(a->element),
                                         htobe32(a->elements), htobe32(1)};
    memcpy(a->bytes.ptr + item->offset, header, sizeof(header));
}

ex_status pg_args_status(const ex_pg_args *a, ex_error *err)
{
    ex_status st = a->status ? a->status : ex_buf_status(&a->bytes);
    assert(!a->is_array);
    if (!st && a->count > ARGS_MAX)
        st = EX_ETOOLARGE;
    switch (st) {
    case EX_OK:
        return EX_OK;
    case EX_EINVAL:
        return ex_raise(err, st, "PostgreSQL cannot store a text with a NUL byte in it");
    case EX_ETOOLARGE:
        return ex_raise(err, st, "the values of a statement are too large for PostgreSQL");
    default:
        return ex_raise(err, st, "no memory for the values of a statement");
    }
}

static PGresult *impl_of(const ex_pg_result *r)
{
    return r->impl;
}

void ex_pg_result_free(ex_pg_result *r)
{
    PQclear(r->impl);
    memset(r, 0, sizeof(*r));
}

uint32_t ex_pg_result_type(const ex_pg_result *r, int column)
{
    return PQftype(impl_of(r), column);
}

const char *ex_pg_result_name(const ex_pg_result *r, int column)
{
    return PQfname(impl_of(r), column);
}

bool ex_pg_is_null(const ex_pg_result *r, int row, int column)
{
    assert(row < r->rows && column < r->columns);
    return PQgetisnull(impl_of(r), row, column);
}

ex_slice ex_pg_get_slice(const ex_pg_result *r, int row, int column)
{
    if (ex_pg_is_null(r, row, column))
        return (ex_slice){NULL, 0};
    return ex_slice_of(PQgetvalue(impl_of(r), row, column),
                       (size_t)PQgetlength(impl_of(r), row, column));
}

int64_t ex_pg_get_i64(const ex_pg_result *r, int row, int column)
{
    ex_slice s = ex_pg_get_slice(r, row, column);
    uint16_t half;
    uint32_t word;
    uint64_t n;
    switch (s.len) {
    case 0:
        return 0;
    case sizeof(half):
        memcpy(&half, s.ptr, sizeof(half));
        return (int16_t)be16toh(half);
    case sizeof(word):
        memcpy(&word, s.ptr, sizeof(word));
        return (int32_t)be32toh(word);
    default:
        assert(s.len == sizeof(n));
        memcpy(&n, s.ptr, sizeof(n));
        return (int64_t)be64toh(n);
    }
}

bool ex_pg_get_bool(const ex_pg_result *r, int row, int column)
{
    ex_slice s = ex_pg_get_slice(r, row, column);
    return s.len == 1 && s.ptr[0] != 0;
}

double ex_pg_get_f64(const ex_pg_result *r, int row, int column)
{
    ex_slice s = ex_pg_get_slice(r, row, column);
    double value = 0;
    if (s.len == sizeof(float)) {
        uint32_t word;
        float single;
        memcpy(&word, s.ptr, sizeof(word));
        word = be32toh(word);
        memcpy(&single, &word, sizeof(single));
        return (double)single;
    }
    if (s.len == sizeof(value)) {
        uint64_t n;
        memcpy(&n, s.ptr, sizeof(n));
        n = be64toh(n);
        memcpy(&value, &n, sizeof(value));
    }
    return value;
}
