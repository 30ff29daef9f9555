/* event.h: events as they are appended and as they are read, and queries over them. */
#ifndef EXCORE_EVENT_H
#define EXCORE_EVENT_H

#include <excore/cancel.h>
#include <excore/id.h>

EX_BEGIN_DECLS

#define EX_STREAM_NAME_MAX 255 /* bytes */
#define EX_TYPE_NAME_MAX   255
#define EX_TAG_MAX         255
#define EX_TAGS_MAX        32 /* tags of one event */
#define EX_CORRELATION_MAX 255

/* ---- Tags ---- */

/** The tags of one event, packed: for each tag one length byte (1 to 255) and its bytes. */
typedef struct ex_tags {
    ex_slice packed;
} ex_tags;

/** Walk the tags: start with *offset = 0; false at the end (or at a cut record). */
static inline bool ex_tags_next(ex_tags tags, size_t *offset, ex_slice *ret)
{
    size_t at = *offset;
    if (at >= tags.packed.len)
        return false;
    size_t len = (unsigned char)tags.packed.ptr[at];
    if (len == 0 || len > tags.packed.len - at - 1)
        return false;
    ret->ptr = tags.packed.ptr + at + 1;
    ret->len = len;
    *offset = at + 1 + len;
    return true;
}

/* ---- Reading ---- */

/** A stored event. All slices are borrowed from the reader that gave it (see there until when). */
typedef struct ex_event {
    uint64_t position; /* in the log, from 1, contiguous, in commit order */
    uint64_t version;  /* in the stream, from 1 */
    ex_slice stream;
    ex_slice type;
    ex_id id;
    uint32_t schema_version;
    ex_slice content_type; /* "application/json" unless given */
    ex_slice data;         /* exactly the bytes that were appended */
    ex_slice metadata;     /* a JSON object, "{}" when none was given */
    ex_tags tags;
    ex_slice correlation_id; /* empty when none */
    ex_slice causation_id;   /* empty when none */
    int64_t recorded_at_us;  /* microseconds since 1970, UTC */
} ex_event;

/** One alternative of a query: (any of the types, all when none) AND (all of the tags). */
typedef struct ex_query_item {
    const ex_slice *types;
    uint32_t type_count;
    const ex_slice *tags;
    uint32_t tag_count;
} ex_query_item;

/** Alternatives, OR-ed. No item at all matches every event. */
typedef struct ex_query {
    const ex_query_item *items;
    uint32_t item_count;
} ex_query;

/** What a reader of the log wants to see: a query, and any of the streams (all when none), and
 *  what belongs to one correlation id (all when it is empty). */
typedef struct ex_filter {
    ex_query query;
    const ex_slice *streams;
    uint32_t stream_count;
    ex_slice correlation_id;
} ex_filter;

/** True when the event passes. Thread: any. Blocking: no. */
EX_API bool ex_filter_matches(const ex_filter *filter, const ex_event *event);

/* ---- Appending ---- */

/** An event to append. Zero-initialised fields take the default in brackets. */
typedef struct ex_new_event {
    ex_slice type;           /* 1 to 255 bytes of UTF-8, no control characters */
    ex_slice data;           /* JSON when content_type says so; stored byte for byte */
    ex_slice content_type;   /* ["application/json"] */
    ex_id id;                /* [a fresh UUIDv7]; a given one makes the append idempotent */
    uint32_t schema_version; /* [1] */
    ex_slice metadata;       /* [{}] a JSON object */
    const ex_slice *tags;    /* "key:value" */
    uint32_t tag_count;
    ex_slice correlation_id; /* [metadata's "$correlation_id", else none] */
    ex_slice causation_id;   /* [metadata's "$causation_id", else none] */
} ex_new_event;

/** The version that a stream must have. Zero-initialised: any. */
typedef struct ex_expected {
    uint64_t
        raw; /* 0 any, 1 exists, n + 2 exactly version n; the highest: a version none can have */
} ex_expected;

static inline ex_expected ex_expect_any(void)
{
    ex_expected e = {0};
    return e;
}
static inline ex_expected ex_expect_exists(void)
{
    ex_expected e = {1};
    return e;
}
static inline ex_expected ex_expect_version(uint64_t version)
{
    ex_expected e = {version < UINT64_MAX - 2 ? version + 2 : UINT64_MAX};
    return e;
}
static inline ex_expected ex_expect_no_stream(void)
{
    return ex_expect_version(0);
}

#define EX_ANY            ex_expect_any()
#define EX_EXISTS         ex_expect_exists()
#define EX_NO_STREAM      ex_expect_no_stream()
#define EX_EXACT(version) ex_expect_version(version)

/** Events for one stream, or only a condition on its version (event_count 0). */
typedef struct ex_stream_write {
    ex_slice stream; /* 1 to 255 bytes of UTF-8, no control characters */
    ex_expected expected;
    const ex_new_event *events;
    uint32_t event_count;
} ex_stream_write;

/** All or none: every stream's expected version holds and no event matches the query. */
typedef struct ex_append {
    const ex_stream_write *writes;
    uint32_t write_count;
    const ex_query *fail_if_match; /* NULL: no such condition */
    uint64_t after;                /* the query looks at events after this position */
    const ex_id *epoch;            /* in which `after` was read (log_id.h); NULL: not known */
    bool is_retry_only; /* EX_ENOTFOUND when it would write something: only what is stored already
                           is answered, with its first outcome */
    /** Ends a search for its condition (ex_store_append): then EX_ECANCELLED, and nothing is stored.
     *  Of this append alone, until it is answered. NULL: none. */
    ex_cancel *cancel;
} ex_append;

typedef struct ex_event_ref {
    ex_id id;
    uint64_t position;
    uint64_t version;
} ex_event_ref;

typedef struct ex_appended {
    uint64_t position;    /* of the last event */
    uint64_t version;     /* of the last event, in its stream */
    bool is_duplicate;    /* all of it was stored before: these are the first outcome's numbers */
    ex_event_ref *events; /* set by the caller to room for `event_room` entries, or NULL */
    uint32_t event_room;
    uint32_t event_count; /* events of the append; at most event_room were written */
} ex_appended;

EX_END_DECLS

#endif
