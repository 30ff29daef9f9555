/* event_input.h: the bodies of an append, read into an ex_append.
 *
 *   {"events":[{"type","data"|"data_base64","content_type"?,"id"?,"metadata"?,"tags"?,"schema_version"?}],
 *    "expected"?: "any" | "no_stream" | "exists" | N,
 *    "condition"?: {"fail_if_match":{"items":[{"types"?,"tags"?}]},"after"?:N,"log"?}}
 *
 *   {"writes":[{"stream","expected"?,"events"?}],"condition"?}       several streams
 *
 * or one CloudEvent, or an array of them (cloudevent_input.c). data keeps the
 * exact bytes of its JSON text. Unknown fields are refused. What the store checks
 * itself (lengths, UTF-8 of names, tags, sizes) is left to it. */
#ifndef EXCORE_API_REST_EVENT_INPUT_H
#define EXCORE_API_REST_EVENT_INPUT_H

#include "api/http/http.h"
#include "api/log_token.h"
#include "api/rest/expected_input.h"

typedef enum append_body {
    APPEND_JSON,
    APPEND_CLOUDEVENT,
    APPEND_CLOUDEVENT_BATCH,
    APPEND_CLOUDEVENT_BINARY /* read by append_input_binary */
} append_body;

typedef struct append_input {
    ex_append append;     /* borrows from the body and the arena */
    uint32_t event_count; /* of all writes */
    ex_query query;       /* what append.fail_if_match points to */
    bool has_log;
    log_token log; /* that the condition's `after` is of; append.epoch points into it */
} append_input;

/** Read the body of an append to one stream. `header` comes from expected_from_headers.
 *  `ret` must not move afterwards (append points into it).
 *  @return EX_OK, EX_EMALFORMED, EX_EINVAL (field named), EX_ETOOLARGE, EX_ENOMEM */
EX_NODISCARD ex_status append_input_stream(ex_slice stream, append_body kind, ex_slice body,
                                           expected_input header, ex_arena *arena,
                                           append_input *ret, ex_error *err);
/** The same for one CloudEvent in binary mode: attributes from the headers ce-…, data from the body.
 */
EX_NODISCARD ex_status append_input_binary(const http_exchange *x, ex_slice stream,
                                           expected_input header, ex_arena *arena,
                                           append_input *ret, ex_error *err);
/** The same for several streams. */
EX_NODISCARD ex_status append_input_streams(ex_slice body, ex_arena *arena, append_input *ret,
                                            ex_error *err);

/** Give every event that names no correlation in its metadata this one; and the causation likewise.
 */
void append_input_correlate(append_input *in, ex_slice correlation_id);

/* ---- Shared with cloudevent_input.c ---- */

/** Fill correlation and causation from metadata's platform keys; they must be texts. */
EX_NODISCARD ex_status event_input_platform_keys(const ex_json *metadata, ex_new_event *e,
                                                 ex_error *err);
/** Decode base64 (RFC 4648, padded) into the arena. */
EX_NODISCARD ex_status event_input_base64(ex_slice text, ex_arena *arena, ex_slice *ret,
                                          ex_error *err);
/** An id that is given must be one: UUID or ULID, not nil. */
EX_NODISCARD ex_status event_input_id(const ex_json *value, ex_id *ret, ex_error *err);
/** A CloudEvent in binary mode: its attributes (an object of texts; no data, no content type) beside
 * the body. A body without bytes is no data. */
EX_NODISCARD ex_status cloudevent_read_binary(const ex_json *attributes, ex_slice content_type,
                                              ex_slice body, ex_arena *arena, void *into,
                                              ex_error *err);
/** One CloudEvent into an ex_new_event; a field_read_fn. */
EX_NODISCARD ex_status cloudevent_read(const ex_json *value, ex_arena *arena, void *into,
                                       ex_error *err);

#endif
