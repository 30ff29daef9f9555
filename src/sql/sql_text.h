/* sql_text.h: the port's parameters ($1 or :name) in an engine's own words. */
#ifndef EXCORE_SQL_SQL_TEXT_H
#define EXCORE_SQL_SQL_TEXT_H

#include <excore/buf.h>
#include <excore/error.h>

#define SQL_PARAMS_MAX 999u

typedef struct sql_text {
    ex_buf sql; /* for the engine, NUL-terminated; the NUL is not counted in `len` */
    size_t len;
    uint32_t count;      /* of parameters */
    uint32_t name_count; /* 0, or as many as parameters */
    ex_buf names;        /* "name\0" for each named parameter, in the order of their numbers */
} sql_text;

/** Translate. Quotes, dollar quotes, comments and PostgreSQL's :: are left as they are.
 *  @param prefix '$' or '?' stands before a parameter's number
 *  @return EX_OK, EX_EINVAL ($ and : mixed, too many), EX_ENOMEM; on success the caller frees */
EX_NODISCARD ex_status sql_text_init(sql_text *ret, ex_slice text, char prefix, ex_error *err);
void sql_text_done(sql_text *t);
/** The number of a named parameter from 1, or 0. */
uint32_t sql_text_find(const sql_text *t, ex_slice name);
/** The name of parameter `at`, from 1; {NULL, 0} when it has none. */
ex_slice sql_text_name(const sql_text *t, uint32_t at);

#endif
