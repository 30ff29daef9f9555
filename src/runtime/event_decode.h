/* event_decode.h: a stored event in, a typed value or a named refusal out.
 *
 * The one place where bytes of the log become what domain code reads. Aggregates, views, the check
 * of events that come from outside and the scenario kit all come here, so what one of them takes
 * the others take too. Events of older schema versions will be raised to the program's version
 * here, and sealed fields opened; today an event of another version than the type's is refused. */
#ifndef EXCORE_RUNTIME_EVENT_DECODE_H
#define EXCORE_RUNTIME_EVENT_DECODE_H

#include <excore/aggregate.h>

/** One event on its way to a struct. Its JSON is parsed once, however many types read it. */
typedef struct event_decoder {
    /* the caller's */
    ex_slice data;
    uint32_t schema_version;
    ex_arena *scratch; /* for the JSON tree */
    /* private */
    bool is_parsed;
    ex_json tree;
} event_decoder;

/** Borrows `data` and `scratch` while it is used. */
static inline event_decoder event_decoder_of(ex_slice data, uint32_t schema_version,
                                             ex_arena *scratch)
{
    return (event_decoder){.data = data, .schema_version = schema_version, .scratch = scratch};
}

/** Fill the struct at `ret` (of type->size bytes); what it points to lies in `memory`, which may
 *  be the scratch arena. Members that the type does not have are passed over.
 *  @return EX_OK; EX_EINVAL: this type cannot read the event, now or later; err->field is the path
 *          in the event: "schema_version", "data" or "data.items[2].quantity"; EX_ENOMEM and
 *          EX_ETOOLARGE when an arena is full. Thread: any. Blocking: no. */
EX_NODISCARD ex_status event_decode(event_decoder *d, const ex_type *type, ex_arena *memory,
                                    void *ret, ex_error *err);

/** What an aggregate does with a type of event.
 *  @param ret its row of the aggregate's table; NULL: the aggregate declares that it ignores it
 *  @return EX_OK, EX_EINVAL (field "type"): neither. Thread: any. Blocking: no. */
EX_NODISCARD ex_status event_decode_find(const ex_aggregate *aggregate, ex_slice type,
                                         const ex_event_def **ret, ex_error *err);

/** Check that an event is about the aggregate in whose stream it is to be stored: its EX_KEY
 *  field, when the type has one, is the stream's id. For events that are not stored yet.
 *  @return EX_OK, EX_EINVAL (field "data.NAME"). Thread: any. Blocking: no. */
EX_NODISCARD ex_status event_check_key(const ex_type *type, const void *value, ex_slice id,
                                       ex_error *err);

#endif
