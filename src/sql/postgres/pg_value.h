/* pg_value.h: parameters and results of a statement, in PostgreSQL's binary format.
 *
 * Arguments are built with sticky failure: put them in the order of $1, $2, …, hand them to
 * ex_pg_send, which reports a failed build. An array is one argument:
 *
 *     ex_pg_array_begin(&args, EX_PG_TEXT);
 *     for (…)
 *         ex_pg_put_text(&args, name[i]);
 *     ex_pg_array_end(&args);
 *
 * Thread: one at a time. Blocking: never. */
#ifndef EXCORE_SQL_POSTGRES_PG_VALUE_H
#define EXCORE_SQL_POSTGRES_PG_VALUE_H

#include <excore/buf.h>
#include <excore/error.h>

/** Types by their fixed object ids. */
typedef enum ex_pg_type {
    EX_PG_UNSPECIFIED = 0, /* the server derives it; only for a null */
    EX_PG_BOOL = 16,
    EX_PG_BYTEA = 17,
    EX_PG_INT8 = 20,
    EX_PG_INT2 = 21,
    EX_PG_INT4 = 23,
    EX_PG_TEXT = 25,
    EX_PG_FLOAT4 = 700,
    EX_PG_FLOAT8 = 701,
    EX_PG_UUID = 2950
} ex_pg_type;

typedef struct ex_pg_arg ex_pg_arg;

/** Fields are private. */
typedef struct ex_pg_args {
    ex_buf bytes;
    ex_pg_arg *items;
    size_t count;
    size_t capacity;
    ex_status status;
    /* the array being built, when is_array */
    bool is_array;
    bool has_null;
    uint32_t element;
    uint32_t elements;
} ex_pg_args;

/** Prepare an empty list; allocates nothing. */
void ex_pg_args_init(ex_pg_args *a);
/** Free. NULL and a zeroed list are accepted. */
void ex_pg_args_done(ex_pg_args *a);
/** Empty it for the next statement, clear a failure, keep the memory. */
void ex_pg_args_reset(ex_pg_args *a);

void ex_pg_put_null(ex_pg_args *a, ex_pg_type type);
void ex_pg_put_bool(ex_pg_args *a, bool value);
void ex_pg_put_i64(ex_pg_args *a, int64_t value);
void ex_pg_put_i32(ex_pg_args *a, int32_t value);
void ex_pg_put_f64(ex_pg_args *a, double value);
/** UTF-8. A NUL byte cannot be in PostgreSQL's text: the build fails with EX_EINVAL. */
void ex_pg_put_text(ex_pg_args *a, ex_slice value);
void ex_pg_put_bytea(ex_pg_args *a, ex_slice value);
void ex_pg_put_uuid(ex_pg_args *a, const uint8_t value[16]);

/** Until ex_pg_array_end each put adds an element; all must be of the type `element` or null. */
void ex_pg_array_begin(ex_pg_args *a, ex_pg_type element);
void ex_pg_array_end(ex_pg_args *a);

/** The rows of one statement. Owned by the caller; values are borrowed until it is freed. */
typedef struct ex_pg_result {
    void *impl; /* PGresult */
    int rows;
    int columns;
    uint64_t affected; /* rows inserted, updated, deleted or selected */
} ex_pg_result;

/** A zeroed and a freed one are accepted. */
void ex_pg_result_free(ex_pg_result *r);
/** The type of a column; others than ex_pg_type's may come. */
uint32_t ex_pg_result_type(const ex_pg_result *r, int column);
/** The name of a column, until the result is freed. */
const char *ex_pg_result_name(const ex_pg_result *r, int column);
bool ex_pg_is_null(const ex_pg_result *r, int row, int column);
/** int2, int4 or int8; 0 for a null. Asserts the width. */
int64_t ex_pg_get_i64(const ex_pg_result *r, int row, int column);
bool ex_pg_get_bool(const ex_pg_result *r, int row, int column);
/** float4 or float8; 0 for a null. */
double ex_pg_get_f64(const ex_pg_result *r, int row, int column);
/** The bytes as the server sent them: text, bytea, uuid (16 bytes). {NULL, 0} for a null, a pointer
 * that is not NULL for an empty value. A NUL follows the bytes. */
ex_slice ex_pg_get_slice(const ex_pg_result *r, int row, int column);

#endif
