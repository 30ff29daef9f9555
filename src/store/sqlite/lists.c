/* lists.c: posting lists by index.
 *
 *   list         index
 *   -----------  ------------------------------------------------------------
 *   type         events_type (type_id), whose entries end with the position
 *   tag          event_tags, clustered by (tag_id, position)
 *   correlation  events_correlation (correlation_id), partial: only events that have one
 *   stream       the chain of its events (chain.h), from its head backwards: positions fall
 *                with versions, so the event to end at is found in logarithmic time */
#include "store/sqlite/lists.h"

#include "store/sqlite/chain_walk.h"

static ex_status one_number(sqlite_conn *c, sqlite3_stmt *st, uint64_t *ret, ex_error *err)
{
    int rc = sqlite3_step(st);
    ex_status status = EX_OK;
    if (rc == SQLITE_ROW)
        *ret = column_u64(st, 0);
    else if (rc == SQLITE_DONE)
        *ret = 0;
    else
        status = sqlite_conn_raise(c, rc, "cannot search the log", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

ex_status sqlite_lists_find_id(sqlite_conn *c, statement which, ex_slice name, uint64_t *ret_id,
                               ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, which, &st, err);
    if (status)
        return status;
    int rc = bind_text(st, 1, name);
    return rc == SQLITE_OK ? one_number(c, st, ret_id, err)
                           : sqlite_conn_raise(c, rc, "cannot bind a name", err);
}

ex_status sqlite_lists_stream_version(sqlite_conn *c, uint64_t stream_id, uint64_t upto,
                                      uint64_t *ret, ex_error *err)
{
    chain_place place;
    ex_status st = chain_walk_head(c, stream_id, &place, err);
    if (st == EX_OK)
        st = chain_walk_to_position(c, stream_id, upto, &place, err);
    if (st == EX_OK)
        *ret = place.version;
    return st;
}

static ex_status resolve(void *ctx, postings_kind kind, ex_slice name, uint64_t *ret_key,
                         ex_error *err)
{
    static const statement statements[] = {
        [POSTINGS_STREAM] = STATEMENT_STREAM_FIND,
        [POSTINGS_TYPE] = STATEMENT_TYPE_FIND,
        [POSTINGS_TAG] = STATEMENT_TAG_FIND,
    };
    if (kind == POSTINGS_CORRELATION) {
        *ret_key = 1; /* found by its text: correlation ids are not interned */
        return EX_OK;
    }
    return sqlite_lists_find_id(ctx, statements[kind], name, ret_key, err);
}

static ex_status fill_stream(sqlite_conn *c, uint64_t stream_id, uint64_t from, uint64_t *out,
                             uint32_t room, uint32_t *ret_count, ex_error *err)
{
    chain_place head;
    ex_status st = chain_walk_head(c, stream_id, &head, err);
    chain_place before = head;
    if (st == EX_OK)
        st = chain_walk_to_position(c, stream_id, from - 1, &before, err);
    return st ? st
              : chain_walk_collect(c, stream_id, head, before.version + 1, CHAIN_CHECK_ALL, out,
                                   room, ret_count, err);
}

static ex_status fill(void *ctx, const postings_list *list, uint64_t from, uint64_t *out,
                      uint32_t room, uint32_t *ret_count, ex_error *err)
{
    static const statement statements[] = {
        [POSTINGS_TYPE] = STATEMENT_LIST_TYPE,
        [POSTINGS_TAG] = STATEMENT_LIST_TAG,
        [POSTINGS_CORRELATION] = STATEMENT_LIST_CORRELATION,
    };
    sqlite_conn *c = ctx;
    if (list->kind == POSTINGS_STREAM)
        return fill_stream(c, list->key, from, out, room, ret_count, err);
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, statements[list->kind], &st, err);
    if (status)
        return status;

    int rc = list->kind == POSTINGS_CORRELATION ? bind_text(st, 1, list->name)
                                                : bind_u64(st, 1, list->key);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, from);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 3, room);
    uint32_t count = 0;
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
        if (rc == SQLITE_ROW && count < room)
            out[count++] = column_u64(st, 0);
    }
    if (rc == SQLITE_DONE)
        *ret_count = count;
    else
        status = sqlite_conn_raise(c, rc, "cannot search the log", err);
    (void)sqlite3_reset(st); /* repeats rc */
    return status;
}

postings_source sqlite_lists_source(sqlite_conn *c)
{
    postings_source source = {c, resolve, fill, NULL};
    return source;
}
