/* fetch.c: one part: a reader, a scan, a chunk, the reader back. */
#include "store/fetch.h"

#include <assert.h>

#include "kernel/cancel.h"
#include "store/head_known.h"

#define NS_PER_MS   1000000u
#define CLOCK_EVERY 32u /* events between two looks at the clock */

/* ---- When a part is over ---- */

typedef struct slice {
    const ex_clock *clock;
    uint64_t end_ns;
    const fetch_bounds *bounds;
} slice;

static bool is_unwanted(const fetch_bounds *b)
{
    return ex_cancel_is_requested(b->cancel) ||
           (b->is_stopped && atomic_load_explicit(b->is_stopped, memory_order_relaxed));
}

static bool slice_is_over(void *ctx)
{
    const slice *s = ctx;
    return ex_monotonic_ns(s->clock) >= s->end_ns || is_unwanted(s->bounds);
}

static ex_status check_wanted(const fetch_bounds *b, ex_error *err)
{
    return is_unwanted(b) ? ex_raise(err, EX_ECANCELLED, "a read was cancelled") : EX_OK;
}

/* ---- Reading ---- */

/* The last event of the part tells where the next one begins. */
static void move_on(fetch *f, const ex_event *last)
{
    if (!f->scan.is_stream)
        f->scan.from = last->position + 1;
    else if (f->scan.direction == EX_FORWARD)
        f->scan.from = last->version + 1;
    else if (last->version > 1)
        f->scan.from = last->version - 1;
    else
        f->is_at_end = true;
}

static ex_status bound(ex_store *s, fetch *f, void *reader, ex_error *err)
{
    if (f->is_bounded)
        return EX_OK;
    ex_status st =
        head_known_bound(s, reader, f->scan.min_position, f->scan.is_current, &f->scan.upto, err);
    f->is_bounded = st == EX_OK;
    return st;
}

static bool has_room(const store_reader_ops *ops, void *reader, const fetch_bounds *b,
                     const chunk *c)
{
    return c->count < b->events &&
           (c->bytes_len < b->bytes || (ops->has_row && ops->has_row(reader)));
}

/* Rows that are in memory are taken along, late or not: they would be searched and read again. */
static bool is_time_over(const store_reader_ops *ops, void *reader, slice *part, const chunk *c)
{
    if (c->count == 0) /* it would come no further */
        return false;
    bool is_asked = ops->has_row ? !ops->has_row(reader) : c->count % CLOCK_EVERY == 0;
    return is_asked && slice_is_over(part);
}

/* EX_OK: a bound was reached; EX_EEND; EX_EAGAIN: the search paused, *ret_from is where. */
static ex_status copy_events(const store_reader_ops *ops, void *reader, const fetch *f, slice *part,
                             chunk *c, uint64_t *ret_from, ex_error *err)
{
    while (has_room(ops, reader, part->bounds, c)) {
        ex_event *e = chunk_slot(c);
        ex_status st = e ? ops->next(reader, e, err)
                         : ex_raise(err, EX_ENOMEM, "no memory for a chunk of the log");
        if (st == EX_EAGAIN)
            *ret_from = e->position;
        if (st)
            return st;
        /* backward, the first ones may be newer than the bound */
        if (e->position > f->scan.upto && f->scan.direction == EX_FORWARD)
            return EX_EEND;
        if (e->position <= f->scan.upto)
            st = chunk_keep(c, err);
        if (st)
            return st;
        if (is_time_over(ops, reader, part, c))
            return EX_OK;
    }
    return EX_OK;
}

static ex_status scan_part(ex_store *s, fetch *f, slice *part, void *reader, chunk *c,
                           uint64_t *ret_from, ex_error *err)
{
    const store_reader_ops *ops = s->driver.ops->reader;
    const store_pause pause = {slice_is_over, part};
    ex_status st = bound(s, f, reader, err);
    if (st)
        return st;
    f->scan.limit = part->bounds->events;
    f->scan.bytes = part->bounds->bytes;
    f->scan.pause = &pause;
    st = ops->start(reader, &f->scan, err);
    if (st == EX_OK)
        st = copy_events(ops, reader, f, part, c, ret_from, err);
    ops->stop(reader);
    f->scan.pause = NULL;
    return st;
}

typedef struct cancelled_reader {
    const store_reader_ops *ops;
    void *reader;
} cancelled_reader;

static void cancel_reader(void *ctx)
{
    const cancelled_reader *r = ctx;
    r->ops->cancel(r->reader, true);
}

/* A statement under way ends with the cancel, too, where the engine can be told. */
static ex_status scan_cancellable(ex_store *s, fetch *f, slice *part, void *reader, chunk *c,
                                  uint64_t *ret_from, ex_error *err)
{
    cancelled_reader r = {s->driver.ops->reader, reader};
    ex_cancel *cancel = part->bounds->cancel;
    if (!cancel || !r.ops->cancel)
        return scan_part(s, f, part, reader, c, ret_from, err);
    ex_status st = ex_cancel_attach(cancel, cancel_reader, &r, err);
    if (st)
        return st;
    st = scan_part(s, f, part, reader, c, ret_from, err);
    ex_cancel_detach(cancel);
    r.ops->cancel(reader, false);
    return st;
}

static bool is_failure(ex_status st)
{
    return st && st != EX_EEND && st != EX_EAGAIN;
}

ex_status fetch_more(ex_store *s, fetch *f, const fetch_bounds *bounds, chunk *c, ex_error *err)
{
    assert(c->count == 0 && bounds->events && bounds->bytes && !f->is_at_end);
    void *reader = NULL;
    uint64_t from = 0;
    ex_status st = check_wanted(bounds, err);
    if (st == EX_OK)
        st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    slice part = {s->options.clock, 0, bounds};
    part.end_ns = ex_monotonic_ns(part.clock) + (uint64_t)FETCH_SLICE_MS * NS_PER_MS;
    st = scan_cancellable(s, f, &part, reader, c, &from, err);
    reader_pool_give(&s->readers, reader, is_failure(st) && st != EX_ECANCELLED);
    if (!is_failure(st) && is_unwanted(bounds))
        st = check_wanted(bounds, err);
    if (st == EX_ECANCELLED)
        chunk_reset(c);
    if (c->count)
        move_on(f, &c->events[c->count - 1]);
    if (st == EX_EAGAIN && from > f->scan.from)
        f->scan.from = from;
    f->is_at_end |= st == EX_EEND;
    return is_failure(st) && c->count == 0 ? st
                                           : EX_OK; /* what was met behind events is met again */
}
