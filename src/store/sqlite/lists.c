/* lists.c: posting lists by index.
 *
 *   list         index
 *   -----------  ------------------------------------------------------------
 *   type         events_type (type_id), whose entries end with the position
 *   tag          event_tags, clustered by (tag_id, position)
 *   correlation  events_correlation (correlation_id), partial: only events that have one
 *   stream       events_stream (stream_id, version): within a stream, positions rise
 *                with versions, so the version to start at is found by bisection */
#include "store/sqlite/lists.h"

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
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_STREAM_VERSION, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, stream_id);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, upto);
    return rc == SQLITE_OK ? one_number(c, st, ret, err)
                           : sqlite_conn_raise(c, rc, "cannot bind a stream", err);
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

static ex_status position_of_version(sqlite_conn *c, uint64_t stream_id, uint64_t version,
                                     uint64_t *ret, ex_error *err)
{
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, STATEMENT_STREAM_POSITION, &st, err);
    if (status)
        return status;
    int rc = bind_u64(st, 1, stream_id);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, version);
    return rc == SQLITE_OK ? one_number(c, st, ret, err)
                           : sqlite_conn_raise(c, rc, "cannot bind a stream", err);
}

/* The first version of the stream whose position is not below `from`; last + 1 when there is none.
 */
static ex_status first_version_from(sqlite_conn *c, uint64_t stream_id, uint64_t from,
                                    uint64_t *ret, ex_error *err)
{
    uint64_t low = 1, last = 0;
    ex_status status = sqlite_lists_stream_version(c, stream_id, INT64_MAX, &last, err);
    uint64_t high = last + 1;
    while (status == EX_OK && low < high && from > 1) {
        uint64_t middle = low + (high - low) / 2, position = 0;
        status = position_of_version(c, stream_id, middle, &position, err);
        if (status == EX_OK && position < from)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return status;
}

static ex_status fill(void *ctx, const postings_list *list, uint64_t from, uint64_t *out,
                      uint32_t room, uint32_t *ret_count, ex_error *err)
{
    static const statement statements[] = {
        [POSTINGS_STREAM] = STATEMENT_LIST_STREAM,
        [POSTINGS_TYPE] = STATEMENT_LIST_TYPE,
        [POSTINGS_TAG] = STATEMENT_LIST_TAG,
        [POSTINGS_CORRELATION] = STATEMENT_LIST_CORRELATION,
    };
    sqlite_conn *c = ctx;
    uint64_t lowest = from;
    sqlite3_stmt *st;
    ex_status status = sqlite_conn_statement(c, statements[list->kind], &st, err);
    if (status == EX_OK && list->kind == POSTINGS_STREAM)
        status = first_version_from(c, list->key, from, &lowest, err);
    if (status)
        return status;

    int rc = list->kind == POSTINGS_CORRELATION ? bind_text(st, 1, list->name)
                                                : bind_u64(st, 1, list->key);
    if (rc == SQLITE_OK)
        rc = bind_u64(st, 2, lowest);
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
    postings_source source = {c, resolve, fill};
    return source;
}
