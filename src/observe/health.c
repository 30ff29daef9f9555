/* health.c: one round of checks at a time, on threads that may be left behind.
 *
 * Happy path: the first caller of ex_health_run leads a round: it starts one
 * thread for each check, waits for all of them, writes the answer once and
 * keeps it. Callers that come meanwhile wait for that answer.
 * Possible failures: a check that has not ended in wait_ms keeps the outcome that
 * is known of it, and one that outlives the limit is "error: timeout". Its thread
 * goes on by itself with a reference to the check; no further run of it starts until
 * it has returned, and the next round waits for that one. What comes between two
 * rounds is known to the next.
 * Ending: whoever removes a check joins its thread, however long that takes:
 * what the check uses is freed next. Only a check that owns its context
 * (free_ctx) is left behind after the limit, with references to itself and `h`. */
#include "observe/health.h"

#include <excore/clock.h>
#include <excore/json.h>

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/deadline.h"
#include "kernel/log.h"
#include "kernel/thread.h"

#define DEFAULT_LIMIT_MS 5000
#define DEFAULT_WAIT_MS  500
#define DEFAULT_KEEP_MS  1000
#define OUTCOME_SIZE     (EX_ERROR_MESSAGE_SIZE + 8) /* "error: " before a message */

static const char draining_answer[] =
    "{\"status\":\"unhealthy\",\"checks\":{\"server\":\"error: shutting down\"}}";

/* All fields are guarded by the mutex of the registry, but the first five, which do not change. */
typedef struct check {
    char name[EX_HEALTH_NAME_MAX + 1];
    ex_health_fn *run;
    void *ctx;
    void (*free_ctx)(void *ctx);
    bool is_minor;

    uint32_t refs;              /* the registry, the round, the thread */
    pthread_t thread;           /* of the last run */
    bool has_thread;            /* to be joined */
    bool is_running;            /* it is inside `run`, maybe since an earlier round */
    bool is_left;               /* nobody joins it: it has a reference to `h` */
    bool is_awaited;            /* and the current round waits for it */
    char outcome[OUTCOME_SIZE]; /* "ok" or "error: …" of the last round; "" before the first */
    char late[OUTCOME_SIZE];    /* of a run that ended between two rounds; "": none */
    uint64_t started_ns;        /* the last run */
    bool has_changed;           /* the outcome differs from the round before */
} check;

struct ex_health {
    uint64_t limit_ns, wait_ns, keep_ns; /* immutable */

    pthread_mutex_t mu;
    pthread_cond_t changed; /* a run or a round ended, or draining began */
    uint32_t refs;          /* the owner and each thread that is left behind */
    check *checks[EX_HEALTH_CHECKS_MAX];
    size_t count;
    size_t awaited; /* runs that the current round waits for */
    bool has_round;
    bool is_draining;
    uint64_t rounds; /* finished ones */
    ex_buf answer;   /* of the last finished round */
    bool is_healthy;
    bool has_answer; /* cleared when checks come and go */
    uint64_t answered_ns;
};

/* A started run: what its thread owns. */
typedef struct health_run {
    ex_health *h;
    check *c;
} health_run;

static uint64_t now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system());
}

/* ---- References ---- */

/* With h->mu held; the caller frees the result (nullable) when the lock is gone. */
EX_NODISCARD static check *drop_check(check *c)
{
    assert(c->refs > 0);
    return --c->refs == 0 ? c : NULL;
}

/* Without the lock: free_ctx belongs to somebody else. */
static void free_check(check *c)
{
    if (!c)
        return;
    if (c->free_ctx)
        c->free_ctx(c->ctx);
    free(c);
}

static void free_health(ex_health *h)
{
    ex_buf_done(&h->answer);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mu);
    free(h);
}

/* Its thread has left `run`, or is about to: it takes no lock any more. With h->mu held. */
static void join(check *c)
{
    assert(!c->is_running);
    if (c->has_thread)
        (void)pthread_join(c->thread, NULL); /* our own thread, joined once */
    c->has_thread = false;
}

/* Wait for a change; false when `deadline_ns` has passed. With h->mu held. */
static bool wait_until(ex_health *h, uint64_t deadline_ns)
{
    struct timespec at = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                          .tv_nsec = (long)(deadline_ns % 1000000000u)};
    return pthread_cond_timedwait(&h->changed, &h->mu, &at) == 0 || now_ns() < deadline_ns;
}

/* ---- One run ---- */

static void write_outcome(char out[OUTCOME_SIZE], ex_status status, const char *detail)
{
    (void)snprintf(out, OUTCOME_SIZE, "%s%s", status ? "error: " : "ok", status ? detail : "");
}

/* With h->mu held. */
static void take_outcome(check *c, const char text[OUTCOME_SIZE])
{
    c->has_changed = strcmp(text, c->outcome) != 0;
    memcpy(c->outcome, text, OUTCOME_SIZE);
    c->late[0] = '\0';
}

static void set_outcome(check *c, ex_status status, const char *detail)
{
    char text[OUTCOME_SIZE] = "";
    write_outcome(text, status, detail);
    take_outcome(c, text);
}

static bool is_over(const ex_health *h, const check *c)
{
    return now_ns() - c->started_ns >= h->limit_ns;
}

static void *run_main(void *arg)
{
    health_run r = *(health_run *)arg;
    free(arg);
    ex_error err = {0};
    ex_status status = r.c->run(r.c->ctx, &err);
    pthread_mutex_lock(&r.h->mu);
    r.c->is_running = false;
    const char *detail = err.message[0] ? err.message : ex_status_text(status);
    if (r.c->is_awaited) {
        r.c->is_awaited = false;
        r.h->awaited--;
        set_outcome(r.c, status, detail);
    } else {
        write_outcome(r.c->late, status, detail);
    }
    bool is_left = r.c->is_left;
    check *dead = drop_check(r.c);
    assert(is_left || !dead); /* whoever joins this thread has a reference, too */
    pthread_cond_broadcast(&r.h->changed);
    pthread_mutex_unlock(&r.h->mu);
    if (!is_left)
        return NULL;
    free_check(dead);
    /* only now: ex_health_free must not return before the context is free */
    pthread_mutex_lock(&r.h->mu);
    bool is_last = --r.h->refs == 0;
    pthread_cond_broadcast(&r.h->changed);
    pthread_mutex_unlock(&r.h->mu);
    if (is_last)
        free_health(r.h);
    return NULL;
}

/* With h->mu held. */
static void start_run(ex_health *h, check *c)
{
    if (c->is_running && is_over(h, c)) { /* still hangs from an earlier round */
        set_outcome(c, EX_ETIMEOUT, "timeout");
        return;
    }
    if (c->is_running) {
        c->is_awaited = true;
        h->awaited++;
        return;
    }
    join(c);
    health_run *r = malloc(sizeof(*r));
    if (r)
        *r = (health_run){h, c};
    if (!r || ex_thread_start(&c->thread, "ex-health", run_main, r, NULL)) {
        free(r);
        set_outcome(c, EX_EAGAIN, "cannot start a thread");
        return;
    }
    /* the thread takes the lock before it touches any of this */
    c->refs++;
    c->started_ns = now_ns();
    c->has_thread = c->is_running = c->is_awaited = true;
    h->awaited++;
}

/* ---- A round ---- */

static void log_change(const check *c)
{
    if (strcmp(c->outcome, "ok") == 0)
        EX_LOG(EX_LOG_INFO, "health check passes", ex_f_cstr("check", c->name));
    else
        EX_LOG(EX_LOG_WARN, "health check fails", ex_f_cstr("check", c->name),
               ex_f_cstr("error", c->outcome + strlen("error: ")));
}

/* The outcomes do not change any more: only this round's leader may set has_round to false. */
static void log_changes(check *const *round, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (round[i]->has_changed)
            log_change(round[i]);
    }
}

static void write_answer(ex_health *h, check *const *round, size_t count)
{
    bool is_degraded = false;
    h->is_healthy = true;
    for (size_t i = 0; i < count; i++) {
        bool is_ok = strcmp(round[i]->outcome, "ok") == 0;
        h->is_healthy &= is_ok || round[i]->is_minor;
        is_degraded |= !is_ok;
    }
    ex_buf_reset(&h->answer);
    ex_buf_put_str(&h->answer, "{\"status\":\"");
    ex_buf_put_str(&h->answer, !h->is_healthy ? "unhealthy" : is_degraded ? "degraded" : "healthy");
    ex_buf_put_str(&h->answer, "\",\"checks\":{");
    for (size_t i = 0; i < count; i++) {
        ex_buf_put_str(&h->answer, i ? "," : "");
        ex_json_put_string(&h->answer, ex_str(round[i]->name));
        ex_buf_put_char(&h->answer, ':');
        ex_json_put_string(&h->answer, ex_str(round[i]->outcome));
    }
    ex_buf_put_str(&h->answer, "}}");
}

static void await_runs(ex_health *h, check *const *round, size_t count)
{
    bool is_known = true;
    for (size_t i = 0; i < count; i++)
        is_known &= !round[i]->is_awaited || round[i]->outcome[0] || round[i]->late[0];
    uint64_t deadline = now_ns() + (is_known ? h->wait_ns : h->limit_ns);
    while (h->awaited > 0 && !h->is_draining) {
        if (!wait_until(h, deadline))
            break;
    }
    for (size_t i = 0; i < count; i++) {
        check *c = round[i];
        if (c->is_awaited && c->late[0])
            take_outcome(c, c->late);
        if (c->is_awaited && (is_over(h, c) || !c->outcome[0]))
            set_outcome(c, EX_ETIMEOUT, "timeout");
        c->is_awaited = false;
    }
    h->awaited = 0;
}

/* With h->mu held, which is let go while the checks run. */
static void lead_round(ex_health *h)
{
    check *round[EX_HEALTH_CHECKS_MAX];
    check *dead[EX_HEALTH_CHECKS_MAX];
    size_t count = h->count;
    h->has_round = h->has_answer = true; /* has_answer is cleared when checks change meanwhile */
    for (size_t i = 0; i < count; i++) {
        round[i] = h->checks[i];
        round[i]->refs++;
        round[i]->has_changed = false;
        start_run(h, round[i]);
    }
    await_runs(h, round, count);
    if (!h->is_draining) {
        pthread_mutex_unlock(&h->mu);
        log_changes(round, count);
        pthread_mutex_lock(&h->mu);
    }
    write_answer(h, round, count);
    h->answered_ns = now_ns();
    h->has_round = false;
    h->rounds++;
    for (size_t i = 0; i < count; i++) {
        if (!round[i]->is_running)
            join(round[i]);
        dead[i] = drop_check(round[i]);
    }
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mu);
    for (size_t i = 0; i < count; i++)
        free_check(dead[i]);
    pthread_mutex_lock(&h->mu);
}

/* ---- Answers ---- */

static bool put_answer(const ex_health *h, ex_buf *out)
{
    if (h->is_draining) {
        ex_buf_put_str(out, draining_answer);
        return false;
    }
    if (ex_buf_status(&h->answer)) { /* no memory for the text: say less, but say it */
        ex_buf_put_str(out, h->is_healthy ? "{\"status\":\"healthy\",\"checks\":{}}"
                                          : "{\"status\":\"unhealthy\",\"checks\":{}}");
        return h->is_healthy;
    }
    ex_buf_put(out, ex_buf_slice(&h->answer));
    return h->is_healthy;
}

static bool is_fresh(const ex_health *h)
{
    return h->is_draining ||
           (!h->has_round && h->has_answer && now_ns() - h->answered_ns < h->keep_ns);
}

bool ex_health_run(ex_health *h, ex_buf *out)
{
    pthread_mutex_lock(&h->mu);
    if (!is_fresh(h)) {
        uint64_t before = h->rounds;
        if (!h->has_round)
            lead_round(h);
        while (h->rounds == before && !h->is_draining)
            pthread_cond_wait(&h->changed, &h->mu);
    }
    bool is_healthy = put_answer(h, out);
    pthread_mutex_unlock(&h->mu);
    return is_healthy;
}

bool ex_health_peek(ex_health *h, ex_buf *out, bool *ret_is_healthy)
{
    pthread_mutex_lock(&h->mu);
    if (h->count == 0 && !h->has_round && !is_fresh(h))
        lead_round(h); /* nothing to run, so nothing to wait for */
    bool is_known = is_fresh(h);
    if (is_known)
        *ret_is_healthy = put_answer(h, out);
    pthread_mutex_unlock(&h->mu);
    return is_known;
}

void ex_health_drain(ex_health *h)
{
    pthread_mutex_lock(&h->mu);
    h->is_draining = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mu);
}

/* ---- Adding and removing ---- */

static size_t find_check(const ex_health *h, const char *name)
{
    size_t i = 0;
    while (i < h->count && strcmp(h->checks[i]->name, name) != 0)
        i++;
    return i;
}

/* Wait for the run under way; one that owns its context is left behind when it takes too long. With
 * h->mu held. */
static void end_run(ex_health *h, check *c)
{
    uint64_t deadline = now_ns() + h->limit_ns;
    bool is_late = false;
    while (c->is_running && !is_late) {
        if (c->free_ctx)
            is_late = !wait_until(h, deadline);
        else
            pthread_cond_wait(&h->changed, &h->mu);
    }
    if (!c->is_running) {
        join(c);
        return;
    }
    (void)pthread_detach(c->thread); /* our own thread, which nobody joins from here on */
    c->has_thread = false;
    c->is_left = true;
    h->refs++;
}

/* Let a check go that is out of the list. With h->mu held, returns without. */
static void retire(ex_health *h, check *c)
{
    end_run(h, c);
    check *dead = drop_check(c);
    pthread_mutex_unlock(&h->mu);
    free_check(dead);
}

ex_status ex_health_add(ex_health *h, const ex_health_check *spec, ex_error *err)
{
    size_t length = strlen(spec->name);
    if (length == 0 || length > EX_HEALTH_NAME_MAX)
        return ex_raise(err, EX_EINVAL, "a health check's name has 1 to %d bytes",
                        EX_HEALTH_NAME_MAX);
    check *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for health check \"%s\"", spec->name);
    memcpy(c->name, spec->name, length + 1);
    c->run = spec->run;
    c->ctx = spec->ctx;
    c->free_ctx = spec->free_ctx;
    c->is_minor = spec->is_minor;
    c->refs = 1;
    pthread_mutex_lock(&h->mu);
    size_t at = find_check(h, spec->name);
    if (at == EX_HEALTH_CHECKS_MAX) {
        pthread_mutex_unlock(&h->mu);
        free(c);
        return ex_raise(err, EX_ETOOLARGE, "more than %d health checks", EX_HEALTH_CHECKS_MAX);
    }
    check *old = at < h->count ? h->checks[at] : NULL;
    h->checks[at] = c;
    h->count += !old;
    h->has_answer = false;
    if (old)
        retire(h, old);
    else
        pthread_mutex_unlock(&h->mu);
    return EX_OK;
}

bool ex_health_remove(ex_health *h, const char *name)
{
    pthread_mutex_lock(&h->mu);
    size_t at = find_check(h, name);
    if (at == h->count) {
        pthread_mutex_unlock(&h->mu);
        return false;
    }
    check *c = h->checks[at];
    h->count--;
    memmove(&h->checks[at], &h->checks[at + 1], (h->count - at) * sizeof(h->checks[0]));
    h->has_answer = false;
    retire(h, c);
    return true;
}

/* ---- Life ---- */

ex_status ex_health_new(const ex_health_options *options, ex_health **ret, ex_error *err)
{
    ex_health_options o = options ? *options : (ex_health_options){0};
    ex_health *h = calloc(1, sizeof(*h));
    if (!h)
        return ex_raise(err, EX_ENOMEM, "no memory for the health checks");
    h->limit_ns = (uint64_t)(o.limit_ms ? o.limit_ms : DEFAULT_LIMIT_MS) * 1000000u;
    h->wait_ns = (uint64_t)(o.wait_ms ? o.wait_ms : DEFAULT_WAIT_MS) * 1000000u;
    if (h->wait_ns > h->limit_ns)
        h->wait_ns = h->limit_ns;
    h->keep_ns = (uint64_t)(o.keep_ms ? o.keep_ms : DEFAULT_KEEP_MS) * 1000000u;
    h->refs = 1;
    ex_buf_init(&h->answer, 0);
    pthread_mutex_init(&h->mu, NULL);
    ex_cond_init(&h->changed);
    *ret = h;
    return EX_OK;
}

void ex_health_free(ex_health *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->mu);
    assert(!h->has_round); /* nobody else uses it */
    uint64_t deadline = now_ns() + h->limit_ns;
    check *dead[EX_HEALTH_CHECKS_MAX];
    size_t count = h->count;
    for (size_t i = 0; i < count; i++) {
        end_run(h, h->checks[i]);
        dead[i] = drop_check(h->checks[i]);
    }
    while (h->refs > 1 && wait_until(h, deadline))
        continue;
    h->count = 0;
    bool is_last = --h->refs == 0;
    pthread_mutex_unlock(&h->mu);
    for (size_t i = 0; i < count; i++)
        free_check(dead[i]);
    if (is_last)
        free_health(h);
}
