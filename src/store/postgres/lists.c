/* lists.c: posting lists by index. Lists are found by their names, in the statement that reads
 * them; statements.h has them. Each buffer of positions is one round trip. */
#include "store/postgres/lists.h"

#include "store/postgres/postgres_driver.h"

ex_status pg_run_again(ex_pg *pg, pg_statement which, const ex_pg_args *args, ex_pg_result *ret,
                       ex_error *err)
{
    ex_status st = ex_pg_run(pg, pg_sql(which), args, ret, err);
    if (st && ex_pg_is_broken(pg)) {
        st = ex_pg_reopen(pg, err);
        if (st == EX_OK)
            st = ex_pg_run(pg, pg_sql(which), args, ret, err);
    }
    return st;
}

static ex_status resolve(void *ctx, postings_kind kind, ex_slice name, uint64_t *ret_key,
                         ex_error *err)
{
    (void)ctx;
    (void)kind;
    (void)name;
    (void)err;
    *ret_key = 1; /* by name: resolving it here would cost a round trip */
    return EX_OK;
}

static ex_status fill(void *ctx, const postings_list *list, uint64_t from, uint64_t *out,
                      uint32_t room, uint32_t *ret_count, ex_error *err)
{
    static const pg_statement statements[] = {
        [POSTINGS_STREAM] = PG_LIST_STREAM,
        [POSTINGS_TYPE] = PG_LIST_TYPE,
        [POSTINGS_TAG] = PG_LIST_TAG,
        [POSTINGS_CORRELATION] = PG_LIST_CORRELATION,
    };
    ex_pg_args args;
    ex_pg_result r = {0};
    ex_pg_args_init(&args);
    ex_pg_put_text(&args, list->name);
    ex_pg_put_i64(&args, (int64_t)from);
    ex_pg_put_i64(&args, room);
    /* not the connection's EX_EAGAIN: that would be a pause */
    ex_status st = pg_as_storage(pg_run_again(ctx, statements[list->kind], &args, &r, err), err);
    for (int row = 0; st == EX_OK && row < r.rows; row++)
        out[row] = (uint64_t)ex_pg_get_i64(&r, row, 0);
    if (st == EX_OK)
        *ret_count = (uint32_t)r.rows;
    ex_pg_result_free(&r);
    ex_pg_args_done(&args);
    return st;
}

postings_source pg_lists_source(ex_pg *pg)
{
    postings_source source = {pg, resolve, fill, NULL};
    return source;
}
