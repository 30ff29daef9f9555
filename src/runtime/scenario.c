/* scenario.c: given, when, then: an aggregate run by hand.
 *
 * Every check is the server's own: of the tables (registry.h), of the command (command_input.h), of
 * what is emitted (decision.h), of the append (store/append_check.h). What was emitted is folded as
 * the log would give it back, so a member that its type forgets is missing here as well. */
#include "runtime/command_input.h"
#include "runtime/decision.h"
#include "runtime/event_decode.h"
#include "runtime/registry.h"
#include "runtime/scenario_diff.h"
#include "runtime/state_cache.h"
#include "store/append_check.h"

#include <excore/scenario.h>

#include <stdlib.h>

#define YEAR_2026_US      INT64_C(1767225600000000)
#define STATE_LIMIT_BYTES (4u << 20)
#define EVENT_LIMIT_BYTES (1u << 20)
#define EVENTS_PER_APPEND 10000u

struct ex_scenario {
    const ex_aggregate *aggregate;
    state_cache *cache; /* of one state */
    ex_arena arena;     /* of the last call */
    ex_buf json;
    ex_buf difference; /* of the last then, with a NUL; empty: there was none */
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
    ex_buf_init(&s->difference, 0);
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
    ex_buf_done(&s->difference);
    free(s);
}

void ex_scenario_set_time(ex_scenario *s, ex_time now)
{
    s->now_us = now.us;
}

static void begin(ex_scenario *s)
{
    s->error = (ex_error){0};
    ex_arena_reset(&s->arena);
    s->status = registry_check_aggregate(s->aggregate, &s->error);
    s->status = s->status ? s->status : command_check_id(s->id, &s->error);
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

/* As the store would do before it takes them. */
static ex_status check_append(ex_scenario *s, const ex_new_event *events, uint32_t count)
{
    static const append_limits limits = {EVENTS_PER_APPEND, EVENT_LIMIT_BYTES, true};
    ex_slice stream = decision_join(&s->arena, ex_str(s->aggregate->name), '-', s->id);
    ex_stream_write write = {.stream = stream, .events = events, .event_count = count};
    ex_append append = {.writes = &write, .write_count = 1};
    prepared_append prepared;
    size_t bytes = append_measure(&append, &limits);
    void *memory = ex_arena_alloc(&s->arena, bytes ? bytes : 1);
    return stream.ptr && memory
               ? append_prepare(&append, &limits, memory, &s->arena, &prepared, &s->error)
               : ex_raise(&s->error, EX_ENOMEM, "no memory for the scenario's events");
}

static ex_status fold(ex_scenario *s, state_entry *entry, ex_slice type, uint32_t schema_version,
                      ex_slice json)
{
    ex_event event = {.position = entry->version + 1,
                      .version = entry->version + 1,
                      .type = type,
                      .schema_version = schema_version,
                      .data = json};
    ex_status st = state_entry_apply(state_cache_scratch(s->cache), entry, &event, &s->error);
    if (st)
        state_cache_drop(s->cache, s->id);
    return st;
}

static ex_status check_given(ex_scenario *s, const ex_type *type, const void *event)
{
    const ex_event_def *def = NULL;
    ex_status st = event_decode_find(s->aggregate, ex_str(type->name), &def, &s->error);
    if (st)
        return ex_error_context(&s->error, st, "%s", type->name);
    st = ex_type_validate(type, event, &s->error);
    st = st || !def ? st : event_check_key(type, event, s->id, &s->error);
    ex_new_event given = {.type = ex_str(type->name), .data = write_json(s, type, event)};
    return st ? st : check_append(s, &given, 1);
}

ex_status ex_scenario_given(ex_scenario *s, const ex_type *type, const void *event)
{
    begin(s);
    s->status = s->status ? s->status : check_given(s, type, event);
    state_entry *entry = entry_of(s);
    if (!s->status)
        s->status =
            fold(s, entry, ex_str(type->name), type->schema_version, write_json(s, type, event));
    return s->status;
}

static const ex_command_def *find_command(const ex_aggregate *a, const ex_type *type)
{
    for (uint32_t i = 0; i < a->command_count; i++)
        if (a->commands[i].type == type)
            return &a->commands[i];
    return NULL;
}

/* Back from JSON, as it comes to the server; a key that is not set is the scenario's id. */
static ex_status read_command(ex_scenario *s, const ex_type *type, const void *command,
                              const void **ret)
{
    ex_json json;
    void *filled = ex_arena_alloc(&s->arena, type->size);
    if (!filled)
        return ex_raise(&s->error, EX_ENOMEM, "no memory for the command");
    memcpy(filled, command, type->size);
    for (uint32_t i = 0; i < type->field_count; i++) {
        ex_slice *key = (ex_slice *)((char *)filled + type->fields[i].offset);
        if (type->fields[i].is_key && !key->ptr)
            *key = s->id;
    }
    ex_status st = ex_type_validate(type, filled, &s->error);
    if (st)
        return st;
    ex_slice text = ex_arena_copy(&s->arena, write_json(s, type, filled));
    st = text.ptr ? ex_json_parse(text, &s->arena, NULL, &json, &s->error)
                  : ex_raise(&s->error, EX_ENOMEM, "no memory for the command");
    return st ? st : command_read(type, &json, s->id, &s->arena, ret, &s->error);
}

static ex_status check_decision(ex_scenario *s)
{
    const ex_decision *d = &s->decision;
    static const decision_origin origin = {.correlation_id = EX_S_INIT("scenario"),
                                           .causation_id = EX_S_INIT("scenario")};
    ex_new_event *events = NULL;
    if (d->event_count == 0)
        return EX_OK;
    ex_status st = decision_events(d, &origin, &events, &s->error);
    return st ? st : check_append(s, events, d->event_count);
}

static void run(ex_scenario *s, const ex_command_def *def, const void *command, state_entry *entry)
{
    ex_decision *d = &s->decision;
    memset(d, 0, sizeof(*d));
    d->aggregate = s->aggregate;
    d->id = s->id;
    d->command_id = EX_S("scenario");
    d->now_us = s->now_us;
    d->arena = &s->arena;
    d->json = &s->json;
    s->next_then = 0;
    s->status = decision_run(d, def, entry->version ? entry->state : NULL, command);
    if (s->status)
        s->error = d->error;
    else
        s->status = check_decision(s);
    for (uint32_t i = 0; !s->status && i < d->event_count; i++) {
        const decision_event *e = &d->events[i];
        s->status = fold(s, entry, ex_str(e->type->name), e->type->schema_version, e->json);
    }
    if (!s->status)
        state_cache_settle(s->cache, entry);
}

ex_status ex_scenario_when(ex_scenario *s, const ex_type *type, const void *command)
{
    begin(s);
    s->decision.event_count = 0;
    const ex_command_def *def = find_command(s->aggregate, type);
    if (!def && !s->status)
        s->status =
            ex_raise(&s->error, EX_EINVAL, "%s has no command %s", s->aggregate->name, type->name);
    const void *value = NULL;
    s->status = s->status ? s->status : read_command(s, type, command, &value);
    state_entry *entry = entry_of(s);
    if (!s->status)
        run(s, def, value, entry);
    return s->status;
}

/* ---- Then ---- */

/* False, for the caller to return. What does not fit into memory is cut. */
static bool end_difference(ex_scenario *s)
{
    ex_buf_put_char(&s->difference, '\0');
    return false;
}

/* Was the command executed? */
static bool check_executed(ex_scenario *s, const char *wanted)
{
    ex_buf_reset(&s->difference);
    if (!s->status)
        return true;
    ex_buf_printf(&s->difference, "expected %s, and the command was %s: %s: %s", wanted,
                  s->status == EX_EREJECTED ? "rejected" : "not executed", s->error.code,
                  s->error.message);
    return end_difference(s);
}

static bool tell_missing(ex_scenario *s, const ex_type *type)
{
    uint32_t count = s->decision.event_count;
    ex_buf_printf(&s->difference, "event %u: expected %s, got nothing: the command has %u event%s",
                  s->next_then + 1, type->name, count, count == 1 ? "" : "s");
    return end_difference(s);
}

static void put_got(ex_scenario *s, const char *expected, const decision_event *got)
{
    ex_buf_printf(&s->difference, "event %u: expected %s, got %s ", s->next_then, expected,
                  got->type->name);
    ex_buf_put(&s->difference, got->json);
}

/* An expected event that is none has no JSON to compare: it says what is wrong with it. */
static bool tell_fields(ex_scenario *s, const ex_type *type, const void *event, ex_slice got)
{
    ex_json trees[2];
    ex_error err = {0};
    ex_status st = ex_type_validate(type, event, &err);
    st = st ? st : ex_json_parse(write_json(s, type, event), &s->arena, NULL, &trees[0], &err);
    st = st ? st : ex_json_parse(got, &s->arena, NULL, &trees[1], &err);
    ex_buf_printf(&s->difference, "event %u, %s:", s->next_then, type->name);
    size_t len = s->difference.len;
    if (st)
        ex_buf_printf(&s->difference, " what is expected is not valid: %s", err.message);
    else
        scenario_diff(&trees[0], &trees[1], &s->difference);
    if (s->difference.len == len)
        ex_buf_put_str(&s->difference, " the same members in another order");
    return end_difference(s);
}

bool ex_scenario_then(ex_scenario *s, const ex_type *type, const void *event)
{
    if (!check_executed(s, type->name))
        return false;
    if (s->next_then >= s->decision.event_count)
        return tell_missing(s, type);
    const decision_event *got = &s->decision.events[s->next_then++];
    if (got->type != type) {
        put_got(s, type->name, got);
        return end_difference(s);
    }
    return ex_slice_eq(got->json, write_json(s, type, event)) ||
           tell_fields(s, type, event, got->json);
}

bool ex_then_no_more(ex_scenario *s)
{
    if (!check_executed(s, "no more events"))
        return false;
    while (s->next_then < s->decision.event_count) {
        ex_buf_put_str(&s->difference, s->difference.len ? "\n" : "");
        const decision_event *got = &s->decision.events[s->next_then++];
        put_got(s, "no more", got);
    }
    return s->difference.len == 0 || end_difference(s);
}

const char *ex_scenario_difference(const ex_scenario *s)
{
    if (ex_buf_status(&s->difference))
        return "there is no memory to say what differs";
    return s->difference.len ? s->difference.ptr : "";
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
