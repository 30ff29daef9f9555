/* json.h: a strict JSON reader into an arena, and a writer into a buffer.
 *
 * The reader accepts RFC 8259 text that is valid UTF-8 with paired surrogates
 * and no duplicate keys. Integers keep all 64 bits. Every value remembers the
 * bytes it was read from, so it can be passed on unchanged. */
#ifndef EXCORE_JSON_H
#define EXCORE_JSON_H

#include <excore/arena.h>
#include <excore/buf.h>
#include <excore/error.h>

EX_BEGIN_DECLS

typedef enum ex_json_kind {
    EX_JSON_NULL,
    EX_JSON_BOOL,
    EX_JSON_INT,    /* fits int64_t; -0 is 0 */
    EX_JSON_UINT,   /* above INT64_MAX, fits uint64_t */
    EX_JSON_DOUBLE, /* has a fraction, an exponent, or no 64-bit integer form; always finite */
    EX_JSON_STRING,
    EX_JSON_ARRAY,
    EX_JSON_OBJECT
} ex_json_kind;

typedef struct ex_json ex_json;
typedef struct ex_json_member ex_json_member;

struct ex_json {
    ex_json_kind kind;
    uint32_t count; /* items of an array, members of an object */
    union {
        bool boolean;
        int64_t i64;
        uint64_t u64;
        double number;
        ex_slice text; /* decoded; may hold NUL bytes; borrowed from source or arena */
        ex_json *items;
        ex_json_member *members; /* in source order */
    } as;
    ex_slice raw; /* the value's bytes in the source, without blanks around it */
};

struct ex_json_member {
    ex_slice key; /* decoded */
    ex_json value;
};

typedef struct ex_json_options {
    uint32_t max_depth; /* nested arrays and objects; 0 means 64, at most 1024 */
} ex_json_options;

/** Read one JSON text; only blanks may follow it.
 *
 *  The tree lies in `arena`; strings without escapes are borrowed from `text`, which must outlive
 * it. A failure names line and column (both from 1, columns in bytes).
 *  @param options NULL for the defaults
 *  @return EX_OK, EX_EMALFORMED (code MALFORMED_JSON, DUPLICATE_KEY or JSON_TOO_DEEP),
 *          EX_ETOOLARGE (arena limit), EX_ENOMEM
 *  Thread: any. Blocking: no. */
EX_API EX_NODISCARD ex_status ex_json_parse(ex_slice text, ex_arena *arena,
                                            const ex_json_options *options, ex_json *ret,
                                            ex_error *err);

/** Check the same rules without a tree (scratch memory from `arena` is given back). */
EX_API EX_NODISCARD ex_status ex_json_validate(ex_slice text, ex_arena *arena,
                                               const ex_json_options *options, ex_error *err);

/** The member's value, or NULL when `object` is NULL, no object, or has no such key. */
EX_API const ex_json *ex_json_get(const ex_json *object, ex_slice key);

/** Append the canonical form: keys sorted bytewise (UTF-8) at every depth, no blanks, shortest
 *  escapes. Numbers of one decimal value have one form, and no digit is lost: 1.0 is 1, 1e5 is
 *  100000, -0 and -0.0 are 0, 1e21 is 1e+21, 0.10000000000000000001 is 10000000000000000001e-20.
 *  Check ex_buf_status(out) as well. @return EX_OK, EX_ENOMEM, EX_ETOOLARGE */
EX_API EX_NODISCARD ex_status ex_json_canonical(const ex_json *value, ex_arena *scratch,
                                                ex_buf *out);

/** Append `text` as a JSON string with quotes. Text must be UTF-8; bad bytes become U+FFFD. */
EX_API void ex_json_put_string(ex_buf *out, ex_slice text);
/** Append the shortest decimal that reads back as `number` (1 for 1.0, -0.0 for minus zero, 1e+21);
 *  a non-finite one becomes null. */
EX_API void ex_json_put_double(ex_buf *out, double number);

/** True when `text` is well-formed UTF-8 (no surrogates, no overlong forms). */
EX_API bool ex_utf8_is_valid(ex_slice text);

/* ---- Writer: commas and nesting kept for you, failures sticky in the buffer ---- */

#define EX_JSON_WRITER_DEPTH 64

typedef struct ex_json_writer {
    ex_buf *out;
    uint32_t depth;
    bool needs_comma[EX_JSON_WRITER_DEPTH + 1];
    bool after_key;
} ex_json_writer;

EX_API void ex_json_writer_init(ex_json_writer *w, ex_buf *out);
EX_API void ex_json_begin_object(ex_json_writer *w);
EX_API void ex_json_end_object(ex_json_writer *w);
EX_API void ex_json_begin_array(ex_json_writer *w);
EX_API void ex_json_end_array(ex_json_writer *w);
EX_API void ex_json_key(ex_json_writer *w, ex_slice key);
EX_API void ex_json_null(ex_json_writer *w);
EX_API void ex_json_bool(ex_json_writer *w, bool value);
EX_API void ex_json_i64(ex_json_writer *w, int64_t value);
EX_API void ex_json_u64(ex_json_writer *w, uint64_t value);
EX_API void ex_json_double(ex_json_writer *w, double value);
EX_API void ex_json_string(ex_json_writer *w, ex_slice value);
/** A value that already is JSON text; not checked. */
EX_API void ex_json_raw(ex_json_writer *w, ex_slice json);

/* A key and its value. */
EX_API void ex_json_bool_member(ex_json_writer *w, ex_slice key, bool value);
EX_API void ex_json_i64_member(ex_json_writer *w, ex_slice key, int64_t value);
EX_API void ex_json_u64_member(ex_json_writer *w, ex_slice key, uint64_t value);
EX_API void ex_json_double_member(ex_json_writer *w, ex_slice key, double value);
EX_API void ex_json_string_member(ex_json_writer *w, ex_slice key, ex_slice value);
EX_API void ex_json_raw_member(ex_json_writer *w, ex_slice key, ex_slice json);

EX_END_DECLS

#endif
