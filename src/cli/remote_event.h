/* remote_event.h: the server's JSON forms read back, and server-sent events taken apart. */
#ifndef EXCORE_CLI_REMOTE_EVENT_H
#define EXCORE_CLI_REMOTE_EVENT_H

#include <excore/clock.h>
#include <excore/event.h>
#include <excore/json.h>

/** Read an event as the server writes it (tags, correlation and causation are left out: the JSON
 *  itself has them). Slices are borrowed from the JSON text and `arena`.
 *  @return EX_OK, EX_EMALFORMED (not such an event), EX_ENOMEM */
EX_NODISCARD ex_status remote_event_read(const ex_json *json, ex_arena *arena, ex_event *ret,
                                         ex_error *err);

/** A member that is a whole number; `fallback` when it is absent or none. */
uint64_t remote_number(const ex_json *object, const char *key, uint64_t fallback);
/** A member that is a text; empty when it is absent or none. */
ex_slice remote_text(const ex_json *object, const char *key);

/** Takes a text/event-stream apart. Zero-initialise, set the first part, sse_reader_init. */
typedef struct sse_reader {
    /** A whole frame; `has_id` tells events from notes such as "caught-up". False: stop. */
    bool (*on_frame)(void *ctx, ex_slice data, bool has_id);
    void *ctx;
    ex_buf line, data;
    bool has_id, has_data;
} sse_reader;

void sse_reader_init(sse_reader *r, size_t limit_bytes);
void sse_reader_done(sse_reader *r);
/** Forget a frame that was cut off. */
void sse_reader_reset(sse_reader *r);
/** @return EX_OK, EX_ECANCELLED (on_frame said stop), EX_ETOOLARGE, EX_ENOMEM */
EX_NODISCARD ex_status sse_reader_feed(sse_reader *r, ex_slice bytes);

#endif
