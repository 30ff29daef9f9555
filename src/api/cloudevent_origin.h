/* cloudevent_origin.h: what an event keeps of the CloudEvent as which it came.
 *
 * The id of an event is a UUID or ULID, that of a CloudEvent any text, unique together with its
 * source. Another text becomes a UUID of version 5 (RFC 9562 5.5): the SHA-1 of a namespace of our
 * own, the source, a zero byte and the text. The same CloudEvent is thus the same event however
 * often it comes. Source, text and what else has no field of its own lie in the metadata:
 *
 *   "cloudevent":{"id":"A1","source":"/shop",…,"no_data":true}
 *
 * Attribute names have no underscore, so "no_data" is none; it says that there was no data. */
#ifndef EXCORE_API_CLOUDEVENT_ORIGIN_H
#define EXCORE_API_CLOUDEVENT_ORIGIN_H

#include <excore/arena.h>
#include <excore/event.h>

#define CLOUDEVENT_KEY     EX_S("cloudevent")
#define CLOUDEVENT_NO_DATA EX_S("no_data")

typedef struct cloudevent_origin {
    ex_slice id, source; /* JSON texts with their quotes; both or neither */
    bool has_no_data;
} cloudevent_origin;

/** The id that an event has whose CloudEvent has this source and id.
 *  @return EX_OK, EX_EINTERNAL (no SHA-1) */
EX_NODISCARD ex_status cloudevent_id(ex_slice source, ex_slice id, ex_id *ret, ex_error *err);
/** What the metadata keep. Id and source are only those that give the event its id.
 *  @param arena holds what is returned */
cloudevent_origin cloudevent_origin_of(const ex_event *event, ex_arena *arena);

#endif
