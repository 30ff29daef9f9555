/* pg_statement.c: prepared statements, kept by argument types and text.
 *
 * A statement is prepared in the pipeline that first uses it. When that pipeline is aborted before,
 * the server does not know it, and its next use prepares it under the same name again. */
#include "sql/postgres/pg_int.h"

#include <stdio.h>
#include <stdlib.h>

#define KEPT_MAX 512 /* texts past this number are prepared for each use, under no name */

static pg_statement *create(ex_slice sql)
{
    pg_statement *s = calloc(1, sizeof(*s) + sql.len + 1);
    if (!s)
        return NULL;
    s->refs = 1;
    s->sql_len = sql.len;
    memcpy(s->sql, sql.ptr, sql.len);
    return s;
}

void pg_statement_unref(pg_statement *s)
{
    if (s && --s->refs == 0)
        free(s);
}

/* The types, four bytes each, then the text: a type never changes the length of its part. */
static ex_slice key_of(ex_buf *b, ex_slice sql, const ex_pg_args *args)
{
    size_t count = args ? args->count : 0;
    for (size_t i = 0; i < count; i++)
        ex_buf_put(b, ex_slice_of(&args->items[i].type, sizeof(args->items[i].type)));
    ex_buf_put(b, sql);
    return ex_buf_slice(b);
}

static void name_it(ex_pg *pg, pg_statement *s)
{
    (void)snprintf(s->name, sizeof(s->name), "s%llu", (unsigned long long)++pg->names); /* fits */
}

static pg_statement *keep(ex_pg *pg, ex_slice key, pg_statement *s)
{
    if (pg->statements.count >= KEPT_MAX || ex_map_put(&pg->statements, key, s, NULL))
        return s;
    s->is_kept = true;
    s->refs++;
    name_it(pg, s);
    return s;
}

pg_statement *pg_statement_get(ex_pg *pg, ex_slice sql, const ex_pg_args *args)
{
    ex_buf b;
    ex_buf_init(&b, 0);
    ex_slice key = key_of(&b, sql, args);
    pg_statement *s = NULL;
    if (ex_buf_status(&b))
        goto out;
    s = ex_map_get(&pg->statements, key);
    if (s) {
        s->refs++;
        goto out;
    }
    s = create(sql);
    if (s)
        s = keep(pg, key, s);
out:
    ex_buf_done(&b);
    return s;
}

void pg_statement_forget(ex_pg *pg, pg_statement *s)
{
    s->state = PG_UNPREPARED;
    if (s->is_kept)
        name_it(pg, s); /* the old name stays with the server until the connection ends */
}

void pg_statements_reset(ex_pg *pg)
{
    size_t at = 0;
    void *s;
    ex_slice key;
    while (ex_map_next(&pg->statements, &at, &key, &s))
        ((pg_statement *)s)->state = PG_UNPREPARED;
}
