/* target.h: where a verb works: a store's directory, or a server.
 *
 * A target is {ops, impl} as the drivers of the store are. Both kinds give the
 * same events in the same order and fail with the same statuses. */
#ifndef EXCORE_CLI_TARGET_H
#define EXCORE_CLI_TARGET_H

#include "cli/args.h"

#include <excore/store.h>

typedef struct target target;

/** An event, borrowed for the call; NULL says that nothing more is there for now (flush).
 *  @param json the event as the server sent it; empty: not encoded yet
 *  @return false to end the reading */
typedef bool target_event_fn(void *ctx, const ex_event *event, ex_slice json);

/** What an append needs from the store. */
typedef enum target_use { TARGET_READ, TARGET_WRITE } target_use;

/** All methods are required, may block, and are called on one thread, `stop` excepted (any). */
typedef struct target_ops {
    /** One event to one stream. `ret->events` has room for one. */
    ex_status (*append)(void *impl, const ex_stream_write *write, ex_appended *ret, ex_error *err);
    ex_status (*read_stream)(void *impl, const ex_read_stream *read, target_event_fn *fn, void *ctx,
                             ex_error *err);
    ex_status (*read_log)(void *impl, const ex_read_log *read, target_event_fn *fn, void *ctx,
                          ex_error *err);
    /** Catch up, then follow until `fn` answers false or the target is stopped (EX_OK). */
    ex_status (*follow)(void *impl, uint64_t after, const ex_filter *filter, target_event_fn *fn,
                        void *ctx, ex_error *err);
    ex_status (*head)(void *impl, uint64_t *ret, ex_error *err);
    /** All that is read from now on sees the log up to min_position (0: no matter), and, when
     *  is_current, all that any process has committed before. @return also EX_ETIMEOUT */
    ex_status (*reach)(void *impl, uint64_t min_position, bool is_current, ex_error *err);
    /** Make the call in progress return, and every later one do nothing. */
    void (*stop)(void *impl);
    void (*close)(void *impl);
} target_ops;

struct target {
    const target_ops *ops;
    void *impl;
};

/** The options --data and --url, for a verb's table. */
#define TARGET_OPTIONS                                                                             \
    {                                                                                              \
        'd',                                                                                       \
        "data",                                                                                    \
        ARG_TEXT,                                                                                  \
        "PLACE",                                                                                   \
        "a directory or a postgres:// URL [EXCORE_STORE_DATA, ./data]",                            \
        NULL},                                                                                     \
    {                                                                                              \
        'u', "url", ARG_TEXT, "URL", "work on a running server instead [EXCORE_URL]", NULL         \
    }

/** The options --min-position and --current, for a verb's table. */
#define TARGET_REACH_OPTIONS                                                                       \
    {0, "min-position", ARG_NUMBER, "N", "wait until this position is there (5 s)", NULL},         \
    {                                                                                              \
        0, "current", ARG_FLAG, NULL, "see all that any node acknowledged before", NULL            \
    }

/** Check the options without opening anything. @return EX_OK, EX_EINVAL (misuse) */
EX_NODISCARD ex_status target_check(const args *a, ex_error *err);

/** The server that the options or the environment name, or NULL: then it is a directory. */
const char *target_url(const args *a);
/** That directory; *ret_is_given is false when it is only the default. */
const char *target_data(const args *a, bool *ret_is_given);

/** A directory that is no store is made one for TARGET_WRITE, unless it is only the default.
 *  @return EX_OK, or why it did not open. Blocking: yes. */
EX_NODISCARD ex_status target_open(const args *a, target_use use, target *ret, ex_error *err);
/** What those options ask for. @return as target_ops.reach. Blocking: up to 5 s on a directory. */
EX_NODISCARD ex_status target_reach(const args *a, target *t, ex_error *err);
/** A zeroed one is accepted. */
void target_close(target *t);

/* target_local.c */
EX_NODISCARD ex_status target_local_open(const char *dir, target_use use, bool may_create,
                                         target *ret, ex_error *err);
/* target_remote.c */
EX_NODISCARD ex_status target_remote_open(const char *url, target *ret, ex_error *err);

#endif
