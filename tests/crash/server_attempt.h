/* server_attempt.h: one request that writes, and what its client was told.
 *
 * Every attempt has a number, and every event it leads to carries the mark
 * "append/NUMBER/COUNT" (or with dots) as its correlation id, so that whoever reads
 * the log knows which attempt an event comes from, whether all of its events are
 * there, and whether it took effect twice. */
#ifndef EXCORE_TESTS_SERVER_ATTEMPT_H
#define EXCORE_TESTS_SERVER_ATTEMPT_H

#include <excore/id.h>

#include "support/http_client.h"

#define ATTEMPT_EVENTS_MAX 6

typedef enum attempt_state {
    ATTEMPT_OPEN,     /* sent, perhaps; no answer came */
    ATTEMPT_DONE,     /* acknowledged: its events are there */
    ATTEMPT_REJECTED, /* 422: nothing was written */
    ATTEMPT_REFUSED,  /* 503: nothing was written, it may be tried again */
    ATTEMPT_UNKNOWN /* OUTCOME_UNKNOWN: only one that can be repeated exactly may be tried again */
} attempt_state;

typedef struct attempt_answer {
    int status;
    char code[64]; /* of a problem */
    bool is_duplicate;
    uint64_t position, version;
    uint32_t event_count;
    struct {
        char id[EX_ID_TEXT_SIZE];
        uint64_t position, version;
    } events[ATTEMPT_EVENTS_MAX];
} attempt_answer;

typedef struct attempt {
    uint64_t number;
    uint32_t event_count;
    bool is_repeatable; /* has an Idempotency-Key, or ids for all of its events */
    bool must_succeed;  /* nobody else writes there */
    char path[96];
    char headers[192];
    ex_buf body;
    struct {
        char stream[40];
        char id[EX_ID_TEXT_SIZE]; /* "" when the server makes it */
    } events[ATTEMPT_EVENTS_MAX];
    attempt_state state;
    attempt_answer answer;
} attempt;

/** Both return a new attempt; free it with attempt_free (NULL is accepted). */
attempt *attempt_new_command(uint64_t number, const char *order, const char *command,
                             const char *payload, bool has_key);
/** Some events for each of `stream_count` streams, in one append. With one stream `expected` may be
 *  its version; -1: any. */
attempt *attempt_new_append(uint64_t number, const char *const *streams, uint32_t stream_count,
                            uint32_t event_count, int64_t expected);
void attempt_free(attempt *a);

/** Send it and note the answer; false when no answer came: it stays open. */
bool attempt_send(attempt *a, http_client *client);
/** Send it again. The first answer stays as it is. */
bool attempt_send_again(const attempt *a, http_client *client, attempt_answer *ret);
/** Fails the run unless a repeated attempt was answered as the first time. */
void attempt_check_same(const attempt *a, const attempt_answer *again);
/** Send one that was answered again, and fail the run unless the answer is the same. */
void attempt_repeat(const attempt *a, http_client *client);

attempt_state attempt_state_of(const attempt_answer *answer);
/** What to say about it in a message. Holds until the thread calls it again. */
const char *attempt_text(const attempt *a);

#endif
