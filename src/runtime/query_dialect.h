/* query_dialect.h: whether a query's SQL means the same on SQLite and PostgreSQL.
 *
 * What the engines read alike but answer differently is refused when the application starts, on
 * both of them, and so is what only one of them has, as far as words tell. docs/views.md has the
 * list, and what words cannot tell. */
#ifndef EXCORE_RUNTIME_QUERY_DIALECT_H
#define EXCORE_RUNTIME_QUERY_DIALECT_H

#include "runtime/query_words.h"

#include <excore/view.h>

/** Check def->sql. The types of the query and the tables of its view are sound.
 *  @return EX_OK, EX_EINVAL (names query, view and the words at fault), EX_ENOMEM. Thread: any. */
EX_NODISCARD ex_status query_dialect_check(const ex_query_def *def, ex_error *err);

/* ---- For the rules: query_dialect.c, query_call.c ---- */

typedef struct dialect_word {
    query_word word;
    uint32_t depth; /* of brackets; a bracket has that of what is around it */
} dialect_word;

typedef struct dialect {
    const ex_query_def *def;
    dialect_word *words; /* count of them, then two that are the end */
    uint32_t count;
    bool divides; /* there is a / or % in it */
    ex_error *err;
} dialect;

/** What a value is, as far as one word tells. */
typedef enum dialect_shape {
    SHAPE_UNKNOWN,
    SHAPE_BOOL,
    SHAPE_NUMBER, /* whole */
    SHAPE_DOUBLE,
    SHAPE_DECIMAL, /* 0.1: a DOUBLE on SQLite, a NUMERIC on PostgreSQL */
    SHAPE_TEXT,    /* a column or parameter, or 'a literal' */
    SHAPE_JSON
} dialect_shape;

/** Raise with the words around `at`. Returns EX_EINVAL. */
ex_status dialect_refuse(const dialect *d, uint32_t at, const char *why);
const query_word *dialect_at(const dialect *d, uint32_t at);
bool dialect_is(const dialect *d, uint32_t at, const char *keyword);
bool dialect_is_sign(const dialect *d, uint32_t at, const char *sign);
/** Of the value that is the word at `at`: a column, parameter, literal; a call is unknown. */
dialect_shape dialect_shape_of(const dialect *d, uint32_t at);
/** The bracket that closes the one at `open`. */
uint32_t dialect_close_of(const dialect *d, uint32_t open);
/** Check a call, `name (` at `at`. */
EX_NODISCARD ex_status dialect_check_call(const dialect *d, uint32_t at);

#endif
