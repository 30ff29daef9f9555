/* event_block.h: several events packed into one allocation, immutable and counted.
 *
 *   event_block | packed_event [count] | bytes of event 0 | bytes of event 1 | ...
 *
 * The bytes of one event are, in this order and without separators: stream,
 * type, content type, correlation id, causation id, tags (packed), metadata,
 * data. Names are hashed once when they are packed, so that matching one event
 * against the filters of many followers compares integers. */
#ifndef EXCORE_STORE_EVENT_BLOCK_H
#define EXCORE_STORE_EVENT_BLOCK_H

#include <excore/event.h>

typedef struct packed_event {
    uint64_t position;
    uint64_t version;
    int64_t recorded_at_us;
    size_t offset; /* of its bytes in the block */
    ex_id id;
    uint32_t schema_version;
    uint32_t stream_hash;
    uint32_t type_hash;
    uint32_t stream_len;
    uint32_t type_len;
    uint32_t content_type_len;
    uint32_t correlation_len;
    uint32_t causation_len;
    uint32_t tags_len;
    uint32_t metadata_len;
    uint32_t data_len;
} packed_event;

typedef struct event_block event_block;

/** Pack events into a new block with one reference; NULL when out of memory. count is not 0. */
event_block *event_block_new(const ex_event *events, size_t count);
event_block *event_block_ref(event_block *b);
/** NULL is accepted. */
void event_block_unref(event_block *b);

/** What a block of these events would take from the heap. */
size_t event_block_measure(const ex_event *events, size_t count);
size_t event_block_bytes(const event_block *b);
size_t event_block_count(const event_block *b);
uint64_t event_block_first(const event_block *b); /* position of its first event */
uint64_t event_block_last(const event_block *b);

/** The packed form, for matching; `index` below the count. */
const packed_event *event_block_packed(const event_block *b, size_t index);
/** The event; its slices live as long as the block. */
void event_block_event(const event_block *b, size_t index, ex_event *ret);

/** Where the bytes of the event begin. */
const char *event_block_data(const event_block *b, size_t index);

/* ---- One packed event, for other containers of them (the chunk of a subscription) ---- */

/** Bytes that pack_event writes. */
size_t packed_size(const ex_event *event);
/** Copy the event's bytes to `out` and describe them; `offset` is left to the caller. */
void pack_event(const ex_event *event, char *out, packed_event *ret);
/** The other way round; the slices point into `bytes`, the start of this event's bytes. */
void unpack_event(const packed_event *p, const char *bytes, ex_event *ret);

static inline ex_slice packed_stream(const packed_event *p, const char *bytes)
{
    return ex_slice_of(bytes, p->stream_len);
}
static inline ex_slice packed_type(const packed_event *p, const char *bytes)
{
    return ex_slice_of(bytes + p->stream_len, p->type_len);
}
static inline ex_slice packed_correlation(const packed_event *p, const char *bytes)
{
    size_t at = (size_t)p->stream_len + p->type_len + p->content_type_len;
    return ex_slice_of(bytes + at, p->correlation_len);
}
static inline ex_tags packed_tags(const packed_event *p, const char *bytes)
{
    size_t at = (size_t)p->stream_len + p->type_len + p->content_type_len + p->correlation_len +
                p->causation_len;
    return (ex_tags){ex_slice_of(bytes + at, p->tags_len)};
}

/** Of a stream or type name. Not seeded: a collision costs one more comparison, nothing else. */
uint32_t name_hash(ex_slice name);

#endif
