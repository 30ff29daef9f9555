/* remote.h: calls to a server over HTTP, on one connection that is kept.
 *
 * A failure of the server comes back as the ex_error that its problem+json
 * describes; a failure to reach it as EX_EUPSTREAM with the reason. */
#ifndef EXCORE_CLI_REMOTE_H
#define EXCORE_CLI_REMOTE_H

#include <excore/buf.h>
#include <excore/error.h>

typedef struct remote remote;

typedef struct remote_call {
    const char *path; /* after the base URL, with its query, encoded */
    ex_slice body;    /* ptr set: a POST of JSON */
    /** Set: bytes are handed over as they come, and the answer is an event stream without a time
     *  limit. NULL bytes: nothing came for a second. False ends the call (EX_OK). */
    bool (*on_bytes)(void *ctx, ex_slice bytes);
    void *ctx;
} remote_call;

/** `url` is borrowed. @return EX_OK, EX_ENOTFOUND (no libcurl), EX_ENOMEM */
EX_NODISCARD ex_status remote_open(const char *url, remote **ret, ex_error *err);
/** NULL is accepted. */
void remote_close(remote *r);
/** @param answer reset, then the body of a call without on_bytes; borrowed until the next call
 *  @return EX_OK (2xx, or ended by on_bytes), EX_ECANCELLED (stopped), EX_EUPSTREAM, the server's
 */
EX_NODISCARD ex_status remote_send(remote *r, const remote_call *call, ex_slice *ret_answer,
                                   ex_error *err);
/** Make the call in progress, and every later one, return EX_ECANCELLED. Thread: any. */
void remote_stop(remote *r);
bool remote_is_stopped(const remote *r);
/** Wait, but not when stopped. */
void remote_wait(remote *r, int milliseconds);

/** Append percent-encoded, fit for a path segment or a query value. */
void remote_put_encoded(ex_buf *out, ex_slice text);

#endif
