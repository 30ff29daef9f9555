/* cursor.c: reading streams and the log.
 *
 * A cursor takes events from a chunk in memory and has it filled anew when it is
 * used up (fetch.c): between two calls it holds memory only, however long its
 * user takes. The first chunks are small, because few events may be wanted.
 *
 * It ends at the position that was the head when its first event was fetched.
 * Events never change and positions are contiguous, so this bound is a snapshot
 * without holding one in the database. */
#include "store/cursor.h"

#include <stdlib.h>

#include "store/fetch.h"
#include "store/position_check.h"
#include "store/query_check.h"

#define FIRST_EVENTS 64u
#define MOST_EVENTS  1024u
#define FIRST_BYTES  ((size_t)64 << 10)
#define MOST_BYTES   ((size_t)256 << 10)

struct ex_cursor {
    ex_store *store;
    fetch fetch;
    fetch_bounds bounds; /* of the next chunk */
    chunk chunk;
    uint64_t left;     /* events that the limit still allows to fetch */
    uint64_t began_at; /* version or position */
    bool has_given;    /* an event: the place where it began exists */
    ex_id epoch;       /* of the log when it began */
    uint64_t generation;
    char stream[]; /* the name that the scan borrows */
};

static uint64_t clamp(uint64_t n)
{
    return n > INT64_MAX ? INT64_MAX : n;
}

/* A limit tells how many are wanted; else it is found out. */
static ex_status cursor_new(ex_store *s, const store_scan *scan, uint64_t limit, ex_cancel *cancel,
                            ex_cursor **ret, ex_error *err)
{
    ex_cursor *c = calloc(1, sizeof(*c) + scan->stream.len);
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for a cursor");
    c->store = s;
    c->fetch = fetch_of(scan);
    c->began_at = scan->from;
    if (scan->stream.len)
        memcpy(c->stream, scan->stream.ptr, scan->stream.len);
    c->fetch.scan.stream = ex_slice_of(c->stream, scan->stream.len);
    c->left = limit ? limit : UINT64_MAX;
    c->bounds = (fetch_bounds){.events = limit ? MOST_EVENTS : FIRST_EVENTS,
                               .bytes = limit ? MOST_BYTES : FIRST_BYTES,
                               .cancel = cancel};
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
                       .from = clamp(read->from),
                       .min_position = read->min_position,
                       .is_current = read->is_current,
                       .direction = read->direction};
    if (read->from == 0)
        scan.from = read->direction == EX_BACKWARD ? INT64_MAX : 1;
    return cursor_new(s, &scan, read->limit, read->cancel, ret, err);
}

ex_status ex_store_read_log(ex_store *s, const ex_read_log *read, ex_cursor **ret, ex_error *err)
{
    if (read->filter) {
        ex_status st = filter_check(read->filter, err);
        if (st)
            return st;
    }
    store_scan scan = {.from = clamp(read->after) + (read->after < INT64_MAX),
                       .min_position = read->min_position,
                       .is_current = read->is_current,
                       .filter = read->filter};
    return cursor_new(s, &scan, read->limit, read->cancel, ret, err);
}

static ex_status refill(ex_cursor *c, ex_error *err)
{
    fetch_bounds bounds = c->bounds;
    if (bounds.events > c->left)
        bounds.events = (uint32_t)c->left;
    chunk_reset(&c->chunk);
    if (!c->fetch.is_bounded) {
        c->generation = log_identity_generation(&c->store->identity);
        c->epoch = log_identity_current(&c->store->identity).id;
    }
    ex_status st = fetch_more(c->store, &c->fetch, &bounds, &c->chunk, err);
    if (st)
        return st;
    c->left -= c->chunk.count;
    if (c->bounds.events < MOST_EVENTS)
        c->bounds.events *= 4;
    if (c->bounds.bytes < MOST_BYTES)
        c->bounds.bytes *= 2;
    return EX_OK;
}

/* A read that finds nothing: is there nothing yet, or does it begin beyond the end? */
static ex_status check_start(const ex_cursor *c, ex_error *err)
{
    const store_scan *scan = &c->fetch.scan;
    if (c->has_given || scan->direction == EX_BACKWARD)
        return EX_OK;
    uint64_t before = c->began_at - 1;
    return scan->is_stream ? position_check_stream(c->store, scan->stream, before, err)
                           : position_check_log(c->store, before, err);
}

/* The log has opened an epoch since: what was read may belong to it, and what could not be read may
 * have been lost. */
static ex_status check_epoch(ex_cursor *c, ex_status st, const ex_event *event, ex_error *err)
{
    uint64_t position = st == EX_OK ? event->position : c->fetch.scan.upto;
    ex_status changed = store_check_epoch(c->store, &c->epoch, position, NULL, err);
    return changed ? changed : st;
}

static ex_status take_or_refill(ex_cursor *c, const ex_event **ret, ex_error *err)
{
    *ret = chunk_take(&c->chunk);
    if (*ret)
        return EX_OK;
    if (c->left == 0 || c->fetch.is_at_end)
        return EX_EEND;
    ex_status st = refill(c, err);
    if (st == EX_ECORRUPT && c->fetch.scan.is_stream) /* engines know streams by number */
        return ex_error_context(err, st, "stream '%.*s'", EX_ARG(c->fetch.scan.stream));
    if (st)
        return st;
    *ret = chunk_take(&c->chunk);
    return *ret ? EX_OK : c->fetch.is_at_end ? EX_EEND : EX_EAGAIN;
}

ex_status ex_cursor_try(ex_cursor *c, ex_event *ret, ex_error *err)
{
    const ex_event *e = NULL;
    ex_status st = take_or_refill(c, &e, err);
    if (st != EX_EEND && log_identity_generation(&c->store->identity) != c->generation)
        st = check_epoch(c, st, e, err);
    if (st == EX_OK) {
        c->has_given = true;
        *ret = *e;
    } else if (st == EX_EEND) {
        ex_status ahead = check_start(c, err);
        return ahead ? ahead : st;
    }
    return st;
}

ex_status ex_cursor_next(ex_cursor *c, ex_event *ret, ex_error *err)
{
    ex_status st;
    do
        st = ex_cursor_try(c, ret, err);
    while (st == EX_EAGAIN);
    return st;
}

uint64_t ex_cursor_position(const ex_cursor *c)
{
    if (c->chunk.taken == c->chunk.count)
        return fetch_position(&c->fetch);
    return c->chunk.events[c->chunk.taken].position - 1;
}

void ex_cursor_close(ex_cursor *c)
{
    if (!c)
        return;
    chunk_done(&c->chunk);
    free(c);
}
