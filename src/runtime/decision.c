/* decision.c: emit, reject, fail, tag: the calls that domain code makes. */
#include "runtime/decision.h"

#include "runtime/event_decode.h"
#include "runtime/registry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static ex_status fault(ex_decision *d, ex_status status, const char *code, const char *what,
                       const char *name)
{
    if (d->status)
        return d->status;
    d->status = ex_raise(&d->error, status, "%s %s", what, name);
    if (code)
        ex_error_set_code(&d->error, code);
    return d->status;
}

/* An event that breaks its own type, or is about another aggregate than that of its stream, is a
 * mistake of the domain code, not of the caller. */
static ex_status invalid_event(ex_decision *d, const ex_type *type, const ex_error *why)
{
    d->status = ex_raise(&d->error, EX_EINTERNAL, "the decision emitted an invalid %s: %s",
                         type->name, why->message);
    ex_error_set_code(&d->error, "INVALID_EVENT");
    return d->status;
}

ex_status ex_decision_emit(ex_decision *d, const ex_type *type, const void *event)
{
    if (d->status)
        return d->status;
    const ex_event_def *def = registry_find_event(d->aggregate, ex_str(type->name));
    if (!def || def->type != type)
        return fault(d, EX_EINTERNAL, "UNKNOWN_EVENT", "the aggregate has no event", type->name);
    if (d->event_count == DECISION_EVENTS_MAX)
        return fault(d, EX_EINTERNAL, "TOO_MANY_EVENTS",
                     "too many events in one decision:", type->name);
    ex_error why;
    if (ex_type_validate(type, event, &why) || event_check_key(type, event, d->id, &why))
        return invalid_event(d, type, &why);
    void *copy = ex_arena_alloc(d->arena, type->size);
    ex_buf_reset(d->json);
    ex_type_write(type, event, d->json);
    ex_slice json = ex_arena_copy(d->arena, ex_buf_slice(d->json));
    if (!copy || ex_buf_status(d->json) || !json.ptr ||
        ex_type_copy(type, event, d->arena, copy, NULL))
        return fault(d, EX_ENOMEM, NULL, "no memory for", type->name);
    d->events[d->event_count++] = (decision_event){type, copy, json};
    return EX_OK;
}

#define FORMAT_REASON(text, fmt)                                                                   \
    do {                                                                                           \
        va_list args;                                                                              \
        va_start(args, fmt);                                                                       \
        (void)vsnprintf(text, sizeof(text), fmt, args); /* cut is fine: for people */              \
        va_end(args);                                                                              \
    } while (0)

/* Clients branch on it, and it stands in metrics and paths: no text of whatever kind. */
static bool is_code(const char *code)
{
    size_t len = strspn(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    return code[len] == '\0' && len <= EX_CODE_MAX && code[0] >= 'A' && code[0] <= 'Z';
}

/* It may hold what users sent, so it goes to the log with its length bounded, and to no client. */
static ex_status invalid_code(ex_decision *d, const char *code)
{
    d->status = ex_raise(&d->error, EX_EINTERNAL,
                         "it rejected with the code '%.*s', which is not like ORDER_NOT_FOUND: "
                         "a capital letter, then A-Z, 0-9 and _, at most %d bytes",
                         2 * EX_CODE_MAX, code ? code : "", EX_CODE_MAX);
    ex_error_set_code(&d->error, "INVALID_REJECTION");
    return d->status;
}

ex_status(ex_reject)(ex_decision *d, const char *code, const char *fmt, ...)
{
    char text[EX_ERROR_MESSAGE_SIZE];
    if (d->status)
        return d->status;
    if (!code || !is_code(code))
        return invalid_code(d, code);
    FORMAT_REASON(text, fmt);
    d->status = ex_raise(&d->error, EX_EREJECTED, "%s", text);
    ex_error_set_code(&d->error, code);
    return d->status;
}

ex_status ex_fail(ex_decision *d, const char *fmt, ...)
{
    char text[EX_ERROR_MESSAGE_SIZE];
    if (d->status)
        return d->status;
    FORMAT_REASON(text, fmt);
    if (text[0] == '\0' || d->event_count == 0)
        return fault(d, EX_EINTERNAL, "INVALID_FAILURE",
                     "a business failure needs a reason and an event", "");
    d->is_failed = true;
    d->reason = ex_arena_copy(d->arena, ex_str(text));
    return d->reason.ptr ? EX_OK : fault(d, EX_ENOMEM, NULL, "no memory for the", "reason");
}

ex_slice decision_join(ex_arena *arena, ex_slice left, char between, ex_slice right)
{
    size_t len = left.len + 1 + right.len;
    char *text = ex_arena_alloc(arena, len);
    if (!text)
        return (ex_slice){NULL, 0};
    memcpy(text, left.ptr, left.len);
    text[left.len] = between;
    if (right.len)
        memcpy(text + left.len + 1, right.ptr, right.len);
    return ex_slice_of(text, len);
}

ex_status ex_tag(ex_decision *d, const char *key, ex_slice value)
{
    if (d->status)
        return d->status;
    if (d->tag_count == EX_TAGS_MAX)
        return fault(d, EX_EINTERNAL, "TOO_MANY_TAGS", "too many tags, the last one is", key);
    ex_slice tag = decision_join(d->arena, ex_str(key), ':', value);
    if (!tag.ptr)
        return fault(d, EX_ENOMEM, NULL, "no memory for the tag", key);
    if (tag.len > EX_TAG_MAX || value.len == 0)
        return fault(d, EX_EINVAL, "INVALID_TAG", "the value does not fit a tag:", key);
    d->tags[d->tag_count++] = tag;
    return EX_OK;
}

ex_time ex_now(const ex_decision *d)
{
    return (ex_time){d->now_us};
}

ex_slice ex_aggregate_id(const ex_decision *d)
{
    return d->id;
}

ex_slice ex_command_id(const ex_decision *d)
{
    return d->command_id;
}

ex_arena *ex_decision_arena(ex_decision *d)
{
    return d->arena;
}

ex_status decision_run(ex_decision *d, const ex_command_def *def, const void *state,
                       const void *command)
{
    ex_status st = def->decide(state, command, d);
    if (!d->status && st) /* of its own making: no rejection, so the domain code is at fault */
        d->status = ex_raise(&d->error, EX_EINTERNAL, "the decision returned %s without a reason",
                             ex_status_code(st));
    if (d->status == EX_EINTERNAL)
        (void)ex_error_context(&d->error, EX_EINTERNAL, "command '%s' of %s", def->name,
                               d->aggregate->name); /* the status stays */
    return d->status;
}

ex_status decision_events(const ex_decision *d, const decision_origin *origin, ex_new_event **ret,
                          ex_error *err)
{
    ex_new_event *events = ex_arena_array(d->arena, d->event_count, sizeof(*events));
    ex_slice *tags = ex_arena_array(d->arena, d->tag_count ? d->tag_count : 1, sizeof(*tags));
    if (!events || !tags)
        return ex_raise(err, EX_ENOMEM, "no memory for the command's events");
    memcpy(tags, d->tags, d->tag_count * sizeof(*tags));
    for (uint32_t i = 0; i < d->event_count; i++)
        events[i] = (ex_new_event){.type = ex_str(d->events[i].type->name),
                                   .data = d->events[i].json,
                                   .schema_version = d->events[i].type->schema_version,
                                   .metadata = origin->metadata,
                                   .tags = tags,
                                   .tag_count = d->tag_count,
                                   .correlation_id = origin->correlation_id,
                                   .causation_id = origin->causation_id};
    *ret = events;
    return EX_OK;
}
