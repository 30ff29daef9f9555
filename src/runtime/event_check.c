/* event_check.c: the types under which an application reads each event, by event type. */
#include "runtime/event_check.h"

#include <stdlib.h>

#include "kernel/map.h"
#include "runtime/runtime_internal.h"

/* Who reads events of one type. */
typedef struct reader {
    const ex_type *type;
    const char *aggregate; /* reads streams of this category only; NULL: a view, reads all */
    const char *view;
    struct reader *next; /* of the same event type */
} reader;

struct event_check {
    ex_map by_type; /* event type -> its first reader */
    reader *readers;
    size_t count;
};

/* ---- Building ---- */

static size_t count_readers(const ex_app *app)
{
    size_t count = 0;
    for (uint32_t c = 0; c < app->context_count; c++) {
        const ex_context *context = app->contexts[c];
        for (uint32_t i = 0; i < context->aggregate_count; i++)
            count += context->aggregates[i]->event_count;
        for (uint32_t i = 0; i < context->view_count; i++)
            count += context->views[i]->event_count;
    }
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
    for (uint32_t i = 0; i < context->aggregate_count; i++) {
        const ex_aggregate *a = context->aggregates[i];
        for (uint32_t k = 0; !st && k < a->event_count; k++)
            st = add(check, (reader){.type = a->events[k].type, .aggregate = a->name});
    }
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

/* The category of a stream: its name up to the first dash. */
static bool is_of(ex_slice stream, const char *category)
{
    size_t len = strlen(category);
    return stream.len > len && stream.ptr[len] == '-' && memcmp(stream.ptr, category, len) == 0;
}

/* The same type was looked at for a reader before it: aggregates and views mostly share them. */
static bool is_done(const reader *first, const reader *r, ex_slice stream)
{
    for (; first != r; first = first->next)
        if (first->type == r->type && (!first->aggregate || is_of(stream, first->aggregate)))
            return true;
    return false;
}

static ex_status refuse(const reader *r, ex_status status, ex_error *err)
{
    if (ex_status_is_retryable(status))
        return status;
    (void)ex_error_context(err, status, "%s does not fit its type in %s '%s'", r->type->name,
                           r->aggregate ? "aggregate" : "view",
                           r->aggregate ? r->aggregate : r->view);
    if (err) {
        err->status = EX_EINVAL;
        err->http_status = 422;
    }
    ex_error_set_code(err, "EVENT_DOES_NOT_FIT");
    return EX_EINVAL;
}

static ex_status try_to_read(const reader *r, const ex_json *tree, ex_arena *arena, ex_error *err)
{
    static const ex_read_options options = {.ignore_unknown = true}; /* as the readers do */
    ex_arena_mark mark = ex_arena_save(arena);
    void *value = ex_arena_alloc(arena, r->type->size);
    ex_status st = value ? ex_type_read_json(r->type, tree, arena, &options, value, err)
                         : ex_raise(err, EX_ENOMEM, "no memory to check an event");
    ex_arena_restore(arena, mark);
    return st ? refuse(r, st, err) : EX_OK;
}

ex_status event_check_run(const event_check *c, ex_slice stream, ex_slice type, ex_slice data,
                          ex_error *err)
{
    const reader *first = ex_map_get(&c->by_type, type);
    ex_arena arena;
    ex_json tree;
    bool is_parsed = false;
    ex_status st = EX_OK;
    ex_arena_init(&arena, 0);
    for (const reader *r = first; r && !st; r = r->next) {
        if ((r->aggregate && !is_of(stream, r->aggregate)) || is_done(first, r, stream))
            continue;
        if (!is_parsed && (st = ex_json_parse(data, &arena, NULL, &tree, err)))
            st = refuse(r, st, err);
        is_parsed = true;
        if (!st)
            st = try_to_read(r, &tree, &arena, err);
    }
    ex_arena_done(&arena);
    return st;
}

ex_status ex_runtime_check_event(const ex_runtime *rt, ex_slice stream, const ex_new_event *event,
                                 ex_error *err)
{
    return event_check_run(rt->event_check, stream, event->type, event->data, err);
}
