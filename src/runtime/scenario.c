/* scenario.c: given, when, then: an aggregate run by hand. */
#include "runtime/decision.h"
#include "runtime/registry.h"
#include "runtime/state_cache.h"

#include <excore/scenario.h>

#include <stdlib.h>

#define YEAR_2026_US      INT64_C(1767225600000000)
#define STATE_LIMIT_BYTES (4u << 20)

struct ex_scenario {
    const ex_aggregate *aggregate;
    state_cache *cache; /* of one state */
    ex_arena arena;     /* of the last command */
    ex_buf json;
    ex_slice id;
    ex_decision decision;
    uint32_t next_then;
    int64_t now_us;
    ex_status status;
    ex_error error;
    char id_text[256];
};

ex_scenario *ex_scenario_new(const ex_aggregate *aggregate, const char *id)
{
    ex_scenario *s = calloc(1, sizeof(*s));
    size_t len = strlen(id);
    if (!s || len >= sizeof(s->id_text)) {
        free(s);
        return NULL;
    }
    state_cache_options options = {1, UINT64_MAX, STATE_LIMIT_BYTES, NULL, NULL, NULL, NULL, NULL};
    memcpy(s->id_text, id, len + 1);
    s->id = ex_slice_of(s->id_text, len);
    s->aggregate = aggregate;
    s->now_us = YEAR_2026_US;
    ex_arena_init(&s->arena, 0);
    ex_buf_init(&s->json, 0);
    if (state_cache_new(&options, &s->cache, NULL)) {
        free(s);
        return NULL;
    }
    return s;
}

void ex_scenario_free(ex_scenario *s)
{
    if (!s)
        return;
    state_cache_free(s->cache);
    ex_arena_done(&s->arena);
    ex_buf_done(&s->json);
    free(s);
}

void ex_scenario_set_time(ex_scenario *s, ex_time now)
{
    s->now_us = now.us;
}

static void begin(ex_scenario *s)
{
    s->status = EX_OK;
    s->error = (ex_error){0};
}

static state_entry *entry_of(ex_scenario *s)
{
    state_entry *entry = NULL;
    s->status =
        s->status ? s->status : state_cache_get(s->cache, s->aggregate, s->id, &entry, &s->error);
    return entry;
}

static ex_slice write_json(ex_scenario *s, const ex_type *type, const void *value)
{
    ex_buf_reset(&s->json);
    ex_type_write(type, value, &s->json);
    return ex_buf_slice(&s->json);
}

ex_status ex_scenario_given(ex_scenario *s, const ex_type *type, const void *event)
{
    begin(s);
    if (!registry_find_event(s->aggregate, ex_str(type->name)))
        s->status =
            ex_raise(&s->error, EX_EINVAL, "%s has no event %s", s->aggregate->name, type->name);
    s->status = s->status ? s->status : ex_type_validate(type, event, &s->error);
    state_entry *entry = entry_of(s);
    if (!s->status)
        s->status =
            state_entry_apply(state_cache_scratch(s->cache), entry, ex_str(type->name),
                              write_json(s, type, event), NULL, entry->version + 1, &s->error);
    return s->status;
}

static const ex_command_def *find_command(const ex_aggregate *a, const ex_type *type)
{
    for (uint32_t i = 0; i < a->command_count; i++)
        if (a->commands[i].type == type)
            return &a->commands[i];
    return NULL;
}

static void run(ex_scenario *s, const ex_command_def *def, const void *command, state_entry *entry)
{
    ex_decision *d = &s->decision;
    ex_arena_reset(&s->arena);
    memset(d, 0, sizeof(*d));
    d->aggregate = s->aggregate;
    d->id = s->id;
    d->command_id = EX_S("scenario");
    d->now_us = s->now_us;
    d->arena = &s->arena;
    d->json = &s->json;
    s->next_then = 0;
    s->status = decision_run(d, def->decide, entry->version ? entry->state : NULL, command);
    if (s->status)
        s->error = d->error;
    for (uint32_t i = 0; !s->status && i < d->event_count; i++)
        s->status = state_entry_apply(state_cache_scratch(s->cache), entry,
                                      ex_str(d->events[i].type->name), (ex_slice){NULL, 0},
                                      d->events[i].value, entry->version + 1, &s->error);
    state_cache_settle(s->cache, entry);
}

ex_status ex_scenario_when(ex_scenario *s, const ex_type *type, const void *command)
{
    begin(s);
    s->decision.event_count = 0;
    const ex_command_def *def = find_command(s->aggregate, type);
    if (!def)
        s->status =
            ex_raise(&s->error, EX_EINVAL, "%s has no command %s", s->aggregate->name, type->name);
    s->status = s->status ? s->status : ex_type_validate(type, command, &s->error);
    state_entry *entry = entry_of(s);
    if (!s->status)
        run(s, def, command, entry);
    return s->status;
}

bool ex_scenario_then(ex_scenario *s, const ex_type *type, const void *event)
{
    if (s->status || s->next_then >= s->decision.event_count)
        return false;
    const decision_event *got = &s->decision.events[s->next_then++];
    return got->type == type && ex_slice_eq(got->json, write_json(s, type, event));
}

ex_status ex_scenario_status(const ex_scenario *s)
{
    return s->status;
}

const char *ex_scenario_code(const ex_scenario *s)
{
    return s->status ? s->error.code : "";
}

const char *ex_scenario_message(const ex_scenario *s)
{
    return s->status ? s->error.message : "";
}

bool ex_scenario_has_failed(const ex_scenario *s)
{
    return !s->status && s->decision.is_failed;
}

uint32_t ex_scenario_event_count(const ex_scenario *s)
{
    return s->status ? 0 : s->decision.event_count;
}

const void *ex_scenario_state(const ex_scenario *s)
{
    state_entry *entry = NULL;
    return state_cache_get(s->cache, s->aggregate, s->id, &entry, NULL) || !entry->version
               ? NULL
               : entry->state;
}
