/* event_decode.c: see event_decode.h. */
#include "runtime/event_decode.h"

#include "runtime/registry.h"

#include <stdio.h>

/* The path of a fault inside the data becomes one inside the event. */
static void name_below_data(ex_error *err)
{
    char path[EX_ERROR_FIELD_SIZE + 8];
    if (!err)
        return;
    (void)snprintf(path, sizeof(path), "data%s%s", /* fits */
                   err->field[0] && err->field[0] != '[' ? "." : "", err->field);
    ex_error_set_field(err, ex_str(path)); /* cut is fine: for people */
}

static bool is_of_memory(ex_status st)
{
    return st == EX_ENOMEM || st == EX_ETOOLARGE;
}

static ex_status refuse_version(const event_decoder *d, const ex_type *type, ex_error *err)
{
    (void)ex_raise(err, EX_EINVAL, "it has schema version %u, and version %u of %s is known",
                   d->schema_version, type->schema_version, type->name);
    ex_error_set_field(err, EX_S("schema_version"));
    return EX_EINVAL;
}

/* Also what is no JSON: it is a stored event, nobody's request. */
static ex_status refuse_data(ex_error *err)
{
    name_below_data(err);
    if (err)
        err->status = EX_EINVAL;
    return EX_EINVAL;
}

static ex_status parse(event_decoder *d, ex_error *err)
{
    if (d->is_parsed)
        return EX_OK;
    ex_status st = ex_json_parse(d->data, d->scratch, NULL, &d->tree, err);
    d->is_parsed = st == EX_OK;
    return st;
}

ex_status event_decode(event_decoder *d, const ex_type *type, ex_arena *memory, void *ret,
                       ex_error *err)
{
    static const ex_read_options options = {.ignore_unknown = true};
    if (d->schema_version != type->schema_version)
        return refuse_version(d, type, err);
    ex_status st = parse(d, err);
    st = st ? st : ex_type_read_json(type, &d->tree, memory, &options, ret, err);
    return !st || is_of_memory(st) ? st : refuse_data(err);
}

ex_status event_decode_find(const ex_aggregate *aggregate, ex_slice type, const ex_event_def **ret,
                            ex_error *err)
{
    *ret = registry_find_event(aggregate, type);
    if (*ret || registry_ignores(aggregate, type))
        return EX_OK;
    (void)ex_raise(err, EX_EINVAL, "aggregate '%s' neither handles nor ignores this type",
                   aggregate->name);
    ex_error_set_field(err, EX_S("type"));
    return EX_EINVAL;
}

ex_status event_check_key(const ex_type *type, const void *value, ex_slice id, ex_error *err)
{
    const ex_field *key = NULL;
    for (uint32_t i = 0; i < type->field_count && !key; i++)
        key = type->fields[i].is_key ? &type->fields[i] : NULL;
    if (!key)
        return EX_OK;
    const ex_slice *given = (const ex_slice *)((const char *)value + key->offset);
    if (ex_slice_eq(*given, id))
        return EX_OK;
    (void)ex_raise(err, EX_EINVAL, "%s: '%.*s' is not the id of its stream, '%.*s'", key->name,
                   EX_ARG(*given), EX_ARG(id));
    ex_error_set_field(err, ex_str(key->name));
    name_below_data(err);
    return EX_EINVAL;
}
