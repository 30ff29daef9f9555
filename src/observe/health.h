/* health.h: named checks behind readiness: run in parallel, limited in time, remembered for a
 * second. A check that takes its time is answered for by its last outcome, until its own time is
 * over: whoever asks has a time-out, too.
 *
 * Each run of a check has a thread of its own, so that one that hangs holds up
 * nothing else; a check never has two runs at a time. From ex_health_drain on
 * readiness is unhealthy at once. */
#ifndef EXCORE_OBSERVE_HEALTH_H
#define EXCORE_OBSERVE_HEALTH_H

#include <excore/buf.h>
#include <excore/error.h>

#define EX_HEALTH_CHECKS_MAX 32
#define EX_HEALTH_NAME_MAX   63 /* bytes */

typedef struct ex_health ex_health;

/** A check: EX_OK, or a failure whose message becomes part of the answer. May block. */
typedef ex_status ex_health_fn(void *ctx, ex_error *err);

typedef struct ex_health_check {
    const char *name; /* copied */
    bool is_minor;    /* its failure degrades the service, which can serve all the same */
    ex_health_fn *run;
    void *ctx;
    /** Called once, when the check is gone and no run uses ctx. NULL: ctx is the caller's, and
     *  removing the check waits for the end of its run. */
    void (*free_ctx)(void *ctx);
} ex_health_check;

typedef struct ex_health_options {
    uint32_t limit_ms; /* a check that takes longer fails [5000] */
    uint32_t keep_ms;  /* how long results are used again [1000] */
    uint32_t wait_ms;  /* an answer waits so long for checks whose last outcome is known [500] */
} ex_health_options;

/** @param options NULL for the defaults; 0 in a field takes its default. @return EX_OK, EX_ENOMEM
 */
EX_NODISCARD ex_status ex_health_new(const ex_health_options *options, ex_health **ret,
                                     ex_error *err);
/** Free. NULL is accepted. No other thread may use `h` any more. Waits for runs under way, at most
 * limit_ms for those that own their context (see free_ctx): one that hangs longer keeps it until it
 * returns. */
void ex_health_free(ex_health *h);

/** Add a check, or replace the one of that name. On failure `free_ctx` is not called.
 *  @return EX_OK, EX_EINVAL (name), EX_ETOOLARGE (too many checks), EX_ENOMEM
 *  Thread: any. Blocking: while the replaced check runs; at most limit_ms when it has a free_ctx.
 */
EX_NODISCARD ex_status ex_health_add(ex_health *h, const ex_health_check *check, ex_error *err);
/** Remove a check; false when there is none of that name. Thread and blocking as above. */
bool ex_health_remove(ex_health *h, const char *name);

/** Shutdown has begun: unhealthy from now on, without running checks. Thread: any, not signal
 * handlers. */
void ex_health_drain(ex_health *h);

/** Append {"status":"healthy","checks":{"database":"ok","cache":"error: …"}} and tell whether the
 * service can serve (no checks: it can). The status is "unhealthy" when a check fails, "degraded"
 * when only minor ones do; degraded is able to serve. Callers at the same time share one run of
 * each check. Check ex_buf_status(out) as well. Thread: any. Blocking: until the checks end, at
 * most wait_ms, or limit_ms while one has no outcome yet. */
bool ex_health_run(ex_health *h, ex_buf *out);
/** The same from what is known now (draining, no checks, results younger than keep_ms), for threads
 *  that must not block. @return false when checks would have to run; then nothing is appended */
bool ex_health_peek(ex_health *h, ex_buf *out, bool *ret_is_healthy);

#endif
