/* outcome.c: the stored outcome of a command id, as JSON. */
#include "runtime/outcome.h"

void outcome_put_events(ex_json_writer *w, const ex_command_result *result)
{
    ex_json_key(w, EX_S("events"));
    ex_json_begin_array(w);
    for (uint32_t i = 0; i < result->event_count; i++) {
        const ex_command_event *e = &result->events[i];
        char id[EX_ID_TEXT_SIZE];
        ex_json_begin_object(w);
        ex_json_string_member(w, EX_S("type"), e->type);
        ex_json_string_member(w, EX_S("id"), ex_id_text(&e->id, id));
        ex_json_u64_member(w, EX_S("position"), e->position);
        ex_json_u64_member(w, EX_S("version"), e->version);
        ex_json_end_object(w);
    }
    ex_json_end_array(w);
}

void outcome_write(const ex_command_result *result, const ex_error *rejection, ex_buf *out)
{
    ex_json_writer w;
    ex_json_writer_init(&w, out);
    ex_json_begin_object(&w);
    if (rejection) {
        ex_json_string_member(&w, EX_S("outcome"), EX_S("rejected"));
        ex_json_string_member(&w, EX_S("code"), ex_str(rejection->code));
        ex_json_string_member(&w, EX_S("reason"), ex_str(rejection->message));
    } else {
        bool is_failed = result->outcome == EX_FAILED;
        ex_json_string_member(&w, EX_S("outcome"), is_failed ? EX_S("failed") : EX_S("executed"));
        if (is_failed)
            ex_json_string_member(&w, EX_S("reason"), result->reason);
        ex_json_u64_member(&w, EX_S("position"), result->position);
        ex_json_u64_member(&w, EX_S("version"), result->version);
        outcome_put_events(&w, result);
    }
    ex_json_end_object(&w);
}

/* ---- Reading ---- */

static bool get_text(const ex_json *object, ex_slice key, ex_slice *ret)
{
    const ex_json *v = ex_json_get(object, key);
    if (!v || v->kind != EX_JSON_STRING)
        return false;
    *ret = v->as.text;
    return true;
}

static bool get_number(const ex_json *object, ex_slice key, uint64_t *ret)
{
    const ex_json *v = ex_json_get(object, key);
    if (!v || v->kind != EX_JSON_INT || v->as.i64 < 0)
        return false;
    *ret = (uint64_t)v->as.i64;
    return true;
}

static bool read_event(const ex_json *json, ex_command_event *ret)
{
    ex_slice id;
    return get_text(json, EX_S("type"), &ret->type) && get_text(json, EX_S("id"), &id) &&
           ex_id_parse(id, &ret->id, NULL) == EX_OK &&
           get_number(json, EX_S("position"), &ret->position) &&
           get_number(json, EX_S("version"), &ret->version);
}

static ex_status corrupt(ex_error *err)
{
    return ex_raise(err, EX_ECORRUPT, "the stored outcome of a command cannot be read");
}

static ex_status read_rejection(const ex_json *json, ex_error *err)
{
    ex_slice code, reason;
    if (!get_text(json, EX_S("code"), &code) || !get_text(json, EX_S("reason"), &reason))
        return corrupt(err);
    ex_status st = ex_raise(err, EX_EREJECTED, "%.*s", EX_ARG(reason));
    char text[EX_ERROR_CODE_SIZE];
    size_t n = code.len < sizeof(text) - 1 ? code.len : sizeof(text) - 1;
    memcpy(text, code.ptr, n);
    text[n] = '\0';
    ex_error_set_code(err, text);
    return st;
}

static ex_status read_effect(const ex_json *json, ex_arena *arena, ex_command_result *ret,
                             ex_error *err)
{
    const ex_json *events = ex_json_get(json, EX_S("events"));
    if (!events || events->kind != EX_JSON_ARRAY ||
        !get_number(json, EX_S("position"), &ret->position) ||
        !get_number(json, EX_S("version"), &ret->version))
        return corrupt(err);
    ret->events = ex_arena_array(arena, events->count ? events->count : 1, sizeof(*ret->events));
    if (!ret->events)
        return ex_raise(err, EX_ENOMEM, "no memory for a stored outcome");
    for (uint32_t i = 0; i < events->count; i++)
        if (!read_event(&events->as.items[i], &ret->events[i]))
            return corrupt(err);
    ret->event_count = events->count;
    ret->is_duplicate = true;
    return EX_OK;
}

ex_status outcome_read(ex_slice text, ex_arena *arena, ex_command_result *ret, ex_error *err)
{
    ex_slice copy = ex_arena_copy(arena, text); /* slices of the result point into it */
    if (!copy.ptr)
        return ex_raise(err, EX_ENOMEM, "no memory for a stored outcome");
    ex_json json;
    ex_slice outcome = {NULL, 0};
    if (ex_json_parse(copy, arena, NULL, &json, NULL) ||
        !get_text(&json, EX_S("outcome"), &outcome))
        return corrupt(err);
    if (ex_slice_is(outcome, "rejected"))
        return read_rejection(&json, err);
    ex_command_result result = {.outcome = EX_EXECUTED};
    if (ex_slice_is(outcome, "failed")) {
        result.outcome = EX_FAILED;
        if (!get_text(&json, EX_S("reason"), &result.reason))
            return corrupt(err);
    } else if (!ex_slice_is(outcome, "executed")) {
        return corrupt(err);
    }
    ex_status st = read_effect(&json, arena, &result, err);
    if (!st)
        *ret = result;
    return st;
}
