/* event_check.c: the types under which an application reads each event. */
#include "runtime/event_check.h"

#include <stdlib.h>

#include "kernel/map.h"
#include "runtime/event_decode.h"
#include "runtime/registry.h"
#include "runtime/runtime_internal.h"

/* A view that handles events of one type, of any stream. */
typedef struct reader {
    const ex_type *type;
    const char *view;
    struct reader *next; /* of the same event type */
} reader;

struct event_check {
    const ex_app *app;
    ex_map by_type; /* event type -> its first reader */
    reader *readers;
    size_t count;
};

/* ---- Building ---- */

static size_t count_readers(const ex_app *app)
{
    size_t count = 0;
    for (uint32_t c = 0; c < app->context_count; c++)
        for (uint32_t i = 0; i < app->contexts[c]->view_count; i++)
            count += app->contexts[c]->views[i]->event_count;
    return count;
}

static ex_status add(event_check *check, reader r)
{
    ex_slice name = ex_str(r.type->name);
    reader *added = &check->readers[check->count++];
    r.next = ex_map_get(&check->by_type, name);
    *added = r;
    return ex_map_put(&check->by_type, name, added, NULL);
}

static ex_status add_context(event_check *check, const ex_context *context)
{
    ex_status st = EX_OK;
    for (uint32_t i = 0; i < context->view_count; i++) {
        const ex_view_def *v = context->views[i];
        for (uint32_t k = 0; !st && k < v->event_count; k++)
            st = add(check, (reader){.type = v->events[k].type, .view = v->name});
    }
    return st;
}

ex_status event_check_new(const ex_app *app, event_check **ret, ex_error *err)
{
    event_check *check = calloc(1, sizeof(*check));
    size_t count = count_readers(app);
    if (!check)
        return ex_raise(err, EX_ENOMEM, "no memory for the application's event types");
    check->app = app;
    ex_map_init(&check->by_type, 0);
    check->readers = calloc(count ? count : 1, sizeof(*check->readers));
    ex_status st = check->readers ? EX_OK : EX_ENOMEM;
    for (uint32_t c = 0; !st && c < app->context_count; c++)
        st = add_context(check, app->contexts[c]);
    if (st) {
        event_check_free(check);
        return ex_raise(err, st, "no memory for the application's event types");
    }
    *ret = check;
    return EX_OK;
}

void event_check_free(event_check *c)
{
    if (!c)
        return;
    ex_map_done(&c->by_type, NULL);
    free(c->readers);
    free(c);
}

/* ---- Checking ---- */

static ex_status refuse(ex_status st, const char *kind, const char *name, ex_slice type,
                        ex_error *err)
{
    if (st != EX_EINVAL) /* no memory */
        return st;
    (void)ex_error_context(err, st, "%.*s does not fit %s '%s'", EX_ARG(type), kind, name);
    if (err)
        err->http_status = 422;
    ex_error_set_code(err, "EVENT_DOES_NOT_FIT");
    return EX_EINVAL;
}

/* The value of the event under one type; gone when the next one is read. */
static ex_status read(event_decoder *d, const ex_type *type, void **ret, ex_error *err)
{
    *ret = ex_arena_alloc(d->scratch, type->size);
    return *ret ? event_decode(d, type, d->scratch, *ret, err)
                : ex_raise(err, EX_ENOMEM, "no memory to check an event");
}

static ex_status check_aggregate(const ex_aggregate *a, ex_slice stream, ex_slice type,
                                 event_decoder *d, const ex_type **ret_read, ex_error *err)
{
    size_t category = strlen(a->name) + 1;
    ex_slice id = ex_slice_of(stream.ptr + category, stream.len - category);
    const ex_event_def *def = NULL;
    void *value = NULL;
    ex_status st = event_decode_find(a, type, &def, err);
    if (!st && def)
        st = read(d, def->type, &value, err);
    if (!st && def)
        st = event_check_key(def->type, value, id, err);
    *ret_read = def ? def->type : NULL;
    return st ? refuse(st, "aggregate", a->name, type, err) : EX_OK;
}

static ex_status check_readers(const event_check *c, ex_slice stream, ex_slice type,
                               event_decoder *d, ex_error *err)
{
    const ex_aggregate *a = registry_find_aggregate(c->app, stream);
    const ex_type *known = NULL; /* aggregates and views mostly share them */
    void *value = NULL;
    ex_status st = a ? check_aggregate(a, stream, type, d, &known, err) : EX_OK;
    for (const reader *r = ex_map_get(&c->by_type, type); r && !st; r = r->next) {
        if (r->type == known)
            continue;
        known = r->type;
        st = read(d, r->type, &value, err);
        if (st)
            st = refuse(st, "view", r->view, type, err);
    }
    return st;
}

ex_status event_check_run(const event_check *c, ex_slice stream, const ex_new_event *event,
                          ex_error *err)
{
    ex_arena arena;
    ex_arena_init(&arena, 0);
    uint32_t version = event->schema_version ? event->schema_version : 1;
    event_decoder decoder = event_decoder_of(event->data, version, &arena);
    ex_status st = check_readers(c, stream, event->type, &decoder, err);
    ex_arena_done(&arena);
    return st;
}

ex_status ex_runtime_check_event(const ex_runtime *rt, ex_slice stream, const ex_new_event *event,
                                 ex_error *err)
{
    return event_check_run(rt->event_check, stream, event, err);
}
