/* cursor.c: reading streams and the log through pooled readers.
 *
 * A cursor ends at the position that was the head when its first event was
 * fetched. Events never change and positions are contiguous, so this bound is a
 * snapshot without holding one in the database. */
#include <assert.h>
#include <stdlib.h>

#include "store/position_check.h"
#include "store/query_check.h"
#include "store/store_internal.h"

struct ex_cursor {
    ex_store *store;
    void *reader; /* NULL: given back at the end */
    store_scan scan;
    uint64_t left; /* events that the limit still allows */
    bool is_started;
    bool is_at_end;
    bool has_given; /* an event: the place where it began exists */
    bool is_broken; /* the reader failed: do not keep it */
    ex_id epoch;    /* of the log when it began */
    uint64_t generation;
    char stream[]; /* the name that scan borrows */
};

static uint64_t clamp(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : n;
}

static ex_status cursor_new(ex_store *s, const store_scan *scan, uint64_t limit, ex_cursor **ret,
                            ex_error *err)
{
    ex_cursor *c = calloc(1, sizeof(*c) + scan->stream.len);
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for a cursor");
    c->store = s;
    c->scan = *scan;
    if (scan->stream.len)
        memcpy(c->stream, scan->stream.ptr, scan->stream.len);
    c->scan.stream = ex_slice_of(c->stream, scan->stream.len);
    c->left = limit ? limit : UINT64_MAX;
    ex_status st = reader_pool_take(&s->readers, &c->reader, err);
    if (st) {
        free(c);
        return st;
    }
    *ret = c;
    return EX_OK;
}

ex_status ex_store_read_stream(ex_store *s, const ex_read_stream *read, ex_cursor **ret,
                               ex_error *err)
{
    ex_status st = store_name_check(read->stream, "stream", err);
    if (st)
        return st;
    store_scan scan = {.is_stream = true,
                       .stream = read->stream,
                       .limit = read->limit,
                       .from = clamp(read->from),
                       .direction = read->direction};
    if (read->from == 0)
        scan.from = read->direction == EX_BACKWARD ? INT64_MAX : 1;
    return cursor_new(s, &scan, read->limit, ret, err);
}

ex_status ex_store_read_log(ex_store *s, const ex_read_log *read, ex_cursor **ret, ex_error *err)
{
    if (read->filter) {
        ex_status st = filter_check(read->filter, err);
        if (st)
            return st;
    }
    store_scan scan = {.limit = read->limit,
                       .from = clamp(read->after) + (read->after < INT64_MAX),
                       .filter = read->filter};
    return cursor_new(s, &scan, read->limit, ret, err);
}

static ex_status start(ex_cursor *c, ex_error *err)
{
    const store_reader_ops *ops = c->store->driver.ops->reader;
    ex_status st = EX_OK;
    c->generation = log_identity_generation(&c->store->identity);
    c->epoch = log_identity_current(&c->store->identity).id;
    if (c->store->sequencer)
        c->scan.upto = atomic_load_explicit(&c->store->head, memory_order_acquire);
    else
        st = ops->head(c->reader, &c->scan.upto, err);
    if (st == EX_OK)
        st = ops->start(c->reader, &c->scan, err);
    c->is_started = st == EX_OK;
    return st;
}

/* Backward, the first events may be newer than the bound: pass them over. */
static ex_status next_within(ex_cursor *c, ex_event *ret, ex_error *err)
{
    const store_reader_ops *ops = c->store->driver.ops->reader;
    for (;;) {
        ex_status st = ops->next(c->reader, ret, err);
        if (st)
            return st;
        if (ret->position <= c->scan.upto)
            return EX_OK;
        if (c->scan.direction == EX_FORWARD)
            return EX_EEND;
    }
}

static void give_back(ex_cursor *c)
{
    if (!c->reader)
        return;
    c->store->driver.ops->reader->stop(c->reader);
    reader_pool_give(&c->store->readers, c->reader, c->is_broken);
    c->reader = NULL;
}

/* A read that finds nothing: is there nothing yet, or does it begin beyond the end? */
static ex_status check_start(const ex_cursor *c, ex_error *err)
{
    if (c->has_given || c->scan.direction == EX_BACKWARD)
        return EX_OK;
    uint64_t before = c->scan.from - 1;
    return c->scan.is_stream ? position_check_stream(c->store, c->scan.stream, before, err)
                             : position_check_log(c->store, before, err);
}

/* The log has opened an epoch since: what was read may belong to it, and what could not be read may
 * have been lost. */
static ex_status check_epoch(ex_cursor *c, ex_status st, const ex_event *event, ex_error *err)
{
    uint64_t position = st == EX_OK ? event->position : c->scan.upto;
    ex_status changed = store_check_epoch(c->store, &c->epoch, position, NULL, err);
    return changed ? changed : st;
}

ex_status ex_cursor_next(ex_cursor *c, ex_event *ret, ex_error *err)
{
    if (c->is_at_end || c->left == 0)
        return EX_EEND;
    ex_status st = c->is_started ? EX_OK : start(c, err);
    if (st == EX_OK)
        st = next_within(c, ret, err);
    if (st != EX_EEND && log_identity_generation(&c->store->identity) != c->generation)
        st = check_epoch(c, st, ret, err);
    if (st == EX_OK) {
        c->left--;
        c->has_given = true;
    } else if (st == EX_EEND) {
        c->is_at_end = true;
        give_back(c);
        ex_status ahead = check_start(c, err);
        return ahead ? ahead : st;
    } else {
        c->is_broken = true;
    }
    return st;
}

void ex_cursor_close(ex_cursor *c)
{
    if (!c)
        return;
    give_back(c);
    free(c);
}
