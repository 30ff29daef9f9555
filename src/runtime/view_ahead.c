/* view_ahead.c: see view_ahead.h. */
#include "runtime/view_ahead.h"

#include "runtime/event_decode.h"
#include "runtime/views.h"

#define WINDOW_BYTES (4u << 20)  /* of events */
#define DATA_BYTES   (32u << 20) /* of events as their types; what finds no room is read again */
#define EVENTS_MIN   3           /* with fewer a look ahead saves nothing */
#define ROUNDS       3           /* a handler's loads that depend on each other */

void view_window_init(view_window *w)
{
    *w = (view_window){0};
    ex_arena_init(&w->arena, DATA_BYTES);
}

void view_window_done(view_window *w)
{
    chunk_done(&w->events);
    ex_arena_done(&w->arena);
}

/* ---- Filling ---- */

static ex_status add(view_window *w, const ex_event *event, ex_error *err)
{
    ex_event *slot = chunk_slot(&w->events);
    if (!slot)
        return ex_raise(err, EX_ENOMEM, "no memory for events");
    *slot = *event;
    return chunk_keep(&w->events, err);
}

/* A subscription that cannot go on says so again when it is asked next, after these. */
static bool poll(view_runner *r, ex_event *event)
{
    ex_status st = ex_subscription_poll(r->sub, event, NULL);
    r->window.is_drained = st == EX_ETIMEOUT || st == EX_EAGAIN;
    return st == EX_OK;
}

ex_status view_window_fill(view_runner *r, const ex_event *first, ex_error *err)
{
    view_window *w = &r->window;
    ex_event event;
    chunk_reset(&w->events);
    ex_arena_reset(&w->arena);
    w->is_drained = false;
    w->taken = 0;
    ex_status st = add(w, first, err);
    while (!st && w->events.count < r->rt->options.view_batch_events &&
           w->events.bytes_len < WINDOW_BYTES && poll(r, &event))
        st = add(w, &event, err);
    if (st)
        return st;
    w->position = ex_subscription_position(r->sub);
    w->id = ex_subscription_event_id(r->sub);
    w->items = ex_arena_array(&w->arena, w->events.count, sizeof(*w->items));
    return w->items ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory for events");
}

const ex_event *view_window_next(view_window *w, const view_ahead_item **ret_item)
{
    if (w->taken == w->events.count)
        return NULL;
    *ret_item = &w->items[w->taken];
    return &w->events.events[w->taken++];
}

/* ---- Looking ---- */

static bool read_data(view_runner *r, const ex_event *event, view_ahead_item *item)
{
    event_decoder decoder = event_decoder_of(event->data, event->schema_version, &r->arena);
    void *data = ex_arena_alloc(&r->window.arena, item->when->type->size);
    if (data && !event_decode(&decoder, item->when->type, &r->window.arena, data, NULL))
        item->data = data;
    return item->data != NULL;
}

static void visit(view_runner *r, ex_view_tx *tx, const ex_event *event, view_ahead_item *item)
{
    ex_arena_reset(&r->arena);
    item->is_blocked = false;
    if (!item->data && !read_data(r, event, item))
        return; /* what is wrong with it is told when it is applied */
    tx->is_blocked = false;
    (void)view_run_handler(r, tx, item->when, item->data, event); /* nothing of it counts */
    item->is_blocked = tx->is_blocked;
}

ex_status view_window_look(view_runner *r, ex_view_tx *tx)
{
    view_window *w = &r->window;
    ex_status st = EX_OK;
    if (w->events.count < EVENTS_MIN)
        return EX_OK;
    for (size_t i = 0; i < w->events.count; i++) {
        w->items[i].when = view_find_when(r->def, w->events.events[i].type);
        w->items[i].is_blocked = w->items[i].when != NULL;
    }
    for (int round = 0; round < ROUNDS && !st; round++) {
        tx->is_ahead = true;
        for (size_t i = 0; i < w->events.count; i++)
            if (w->items[i].is_blocked)
                visit(r, tx, &w->events.events[i], &w->items[i]);
        tx->is_ahead = false;
        tx->error = (ex_error){0};
        if (tx->rows->wanted_count == 0)
            break;
        st = view_rows_read(tx);
    }
    return st;
}
