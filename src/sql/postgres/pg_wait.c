/* pg_wait.c: waiting for the server with a deadline, cancelling on the way. */
#include "sql/postgres/pg_int.h"

#include <errno.h>
#include <excore/clock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NS_PER_MS       UINT64_C(1000000)
#define SLICE_MS        200 /* the end may come nearer meanwhile */
#define CANCEL_GRACE_MS 500 /* for the server to report what it cancelled */
#define CANCEL_TRIES    4

/* Silence, until the server is asked whether it means to say anything; doubled each time. What was
 * sent may be slow on its way: so many bytes a millisecond at least (100 kB/s). */
#define SILENCE_MS     1000
#define SILENCE_MAX_MS 8000
#define SLOWEST        100

uint64_t pg_now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system()); /* real time, also under a test's clock */
}

uint64_t pg_deadline(uint32_t ms)
{
    return ms == EX_PG_NO_TIMEOUT ? UINT64_MAX : pg_now_ns() + (uint64_t)ms * NS_PER_MS;
}

pg_limit pg_limit_of(const ex_pg *pg, uint32_t ms)
{
    return pg_limit_within((pg_limit){pg->deadline_ns, pg->end_ns}, ms);
}

pg_limit pg_limit_within(pg_limit limit, uint32_t ms)
{
    uint64_t deadline_ns = pg_deadline(ms);
    if (deadline_ns < limit.deadline_ns)
        limit.deadline_ns = deadline_ns;
    return limit;
}

pg_limit pg_statement_limit(const ex_pg *pg)
{
    uint32_t ms = pg->statement_timeout_ms;
    return pg_limit_of(pg, ms == EX_PG_NO_TIMEOUT ? ms : ms + PG_GRACE_MS);
}

void ex_pg_set_deadline(ex_pg *pg, uint64_t deadline_ns)
{
    pg->deadline_ns = deadline_ns;
}

void ex_pg_allow(ex_pg *pg, uint32_t ms)
{
    pg->deadline_ns = pg_deadline(ms);
}

bool ex_pg_is_late(const ex_pg *pg)
{
    return pg_is_over((pg_limit){pg->deadline_ns, pg->end_ns});
}

static uint64_t over_at(pg_limit limit)
{
    uint64_t end_ns = limit.end_ns ? atomic_load(limit.end_ns) : UINT64_MAX;
    return end_ns < limit.deadline_ns ? end_ns : limit.deadline_ns;
}

bool pg_is_over(pg_limit limit)
{
    return pg_now_ns() >= over_at(limit);
}

/* Milliseconds for poll, rounded up; -1 for ever. */
static int poll_ms(pg_limit limit)
{
    uint64_t until = over_at(limit), now = pg_now_ns();
    if (until == UINT64_MAX)
        return limit.end_ns ? SLICE_MS : -1;
    if (now >= until)
        return 0;
    uint64_t ms = (until - now + NS_PER_MS - 1) / NS_PER_MS,
             most = limit.end_ns ? SLICE_MS : INT32_MAX;
    return (int)(ms < most ? ms : most);
}

bool pg_poll(int fd, short events, int wake_fd, pg_limit limit)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = wake_fd, .events = POLLIN}};
    for (;;) {
        int ms = poll_ms(limit);
        int n = poll(fds, 2, ms); /* a negative descriptor is passed over */
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && ms == 0)
            return false;
        if (n == 0)
            continue; /* a slice, or woken a moment early: look at the clock again */
        if (n > 0 && fds[1].revents) {
            uint64_t count;
            (void)!read(wake_fd, &count, sizeof(count)); /* not blocking; only empties it */
        }
        return true; /* a failing poll lets libpq find out what is wrong */
    }
}

static ex_status give_up(ex_pg *pg, bool is_cancel, ex_error *err)
{
    (void)pg_break(pg, EX_OK);
    if (is_cancel)
        return ex_raise(err, EX_ECANCELLED, "a statement was cancelled");
    return ex_raise(err, EX_ETIMEOUT, "PostgreSQL at %s did not answer in time", pg->target.label);
}

static ex_status give_up_dead(ex_pg *pg, ex_error *err)
{
    (void)pg_break(pg, EX_OK);
    return ex_raise(
        err, EX_EAGAIN,
        "the connection to PostgreSQL at %s is dead, although the server answers others",
        pg->target.label);
}

/* Cancelled: ask the server to end what it does, and again when it has not answered in the time
 * left: a request that comes before the statement does has no effect. */
static bool cancel_again(ex_pg *pg, unsigned *tries, pg_limit *limit)
{
    if (*tries == CANCEL_TRIES || pg_is_over(pg_limit_of(pg, EX_PG_NO_TIMEOUT)))
        return false;
    ++*tries;
    pg_cancel_on_server(pg);
    *limit = pg_limit_of(pg, CANCEL_GRACE_MS);
    return true;
}

/* Since when nothing moves, in either direction. */
typedef struct silence {
    uint64_t since_ns;
    uint32_t wait_ms;   /* until the server is asked */
    bool is_suspicious; /* it was, and said that it waits for us as well */
} silence;

static silence silence_begin(const ex_pg *pg)
{
    uint64_t slow_ms = pg->unanswered / SLOWEST;
    return (silence){pg_now_ns(), SILENCE_MS + (uint32_t)(slow_ms < 600000 ? slow_ms : 600000),
                     false};
}

static pg_limit silence_limit(const silence *s, pg_limit limit)
{
    uint64_t look_ns = s->since_ns + s->wait_ms * NS_PER_MS;
    if (look_ns < limit.deadline_ns)
        limit.deadline_ns = look_ns;
    return limit;
}

/* It has lasted. True: the connection is dead. A server that got no processor for a moment looks
 * like one that hears nothing: it must say so twice, and only the second time its session is ended.
 */
static bool silence_ask(ex_pg *pg, silence *s, pg_limit limit)
{
    uint64_t silent_ms = (pg_now_ns() - s->since_ns) / NS_PER_MS;
    bool is_dead = pg_is_flow_dead(pg, silent_ms, s->is_suspicious, limit);
    bool was_suspicious = s->is_suspicious;
    s->is_suspicious = is_dead;
    s->wait_ms =
        (uint32_t)silent_ms + (silent_ms < SILENCE_MAX_MS ? (uint32_t)silent_ms : SILENCE_MAX_MS);
    return is_dead && was_suspicious;
}

ex_status pg_wait_result(ex_pg *pg, pg_limit limit, ex_error *err)
{
    unsigned cancels = 0;
    silence s = silence_begin(pg);
    for (;;) {
        int unsent = PQflush(pg->conn);
        if (!PQisBusy(pg->conn))
            return EX_OK;
        if (PQstatus(pg->conn) == CONNECTION_BAD)
            return EX_OK; /* PQgetResult tells why */
        if (cancels == 0 && atomic_load(&pg->is_cancelled))
            (void)cancel_again(pg, &cancels, &limit);
        short events = unsent == 1 ? POLLIN | POLLOUT : POLLIN;
        int wake_fd = cancels > 0 ? -1 : pg->wake_fd;
        pg_limit until = cancels > 0 ? limit : silence_limit(&s, limit);
        if (pg_poll(PQsocket(pg->conn), events, wake_fd, until)) {
            (void)PQconsumeInput(pg->conn); /* a failure shows as CONNECTION_BAD or an error */
            s = silence_begin(pg);
        } else if (!pg_is_over(limit)) {
            if (silence_ask(pg, &s, limit))
                return give_up_dead(pg, err);
        } else if (cancels == 0 || !cancel_again(pg, &cancels, &limit)) {
            return give_up(pg, cancels > 0, err);
        }
    }
}

ex_status ex_pg_flush(ex_pg *pg, ex_error *err)
{
    pg_limit limit = pg_statement_limit(pg);
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    while (PQflush(pg->conn) == 1) {
        if (!pg_poll(PQsocket(pg->conn), POLLIN | POLLOUT, -1, limit))
            return give_up(pg, false, err);
        (void)PQconsumeInput(pg->conn); /* the server may have to get rid of answers first */
    }
    return PQstatus(pg->conn) == CONNECTION_BAD ? pg_break(pg, pg_raise_broken(pg, err)) : EX_OK;
}

static void signal_owner(ex_pg *pg)
{
    uint64_t one = 1;
    (void)!write(pg->wake_fd, &one, sizeof(one)); /* full means that it is signalled already */
}

void ex_pg_cancel(ex_pg *pg)
{
    atomic_store(&pg->is_cancelled, true);
    signal_owner(pg);
}

void ex_pg_uncancel(ex_pg *pg)
{
    atomic_store(&pg->is_cancelled, false);
}

void ex_pg_wake(ex_pg *pg)
{
    atomic_store(&pg->is_woken, true);
    signal_owner(pg);
}

/* ---- notifications ---- */

ex_status ex_pg_listen(ex_pg *pg, const char *channel, ex_error *err)
{
    ex_buf sql;
    ex_buf_init(&sql, 0);
    ex_buf_printf(&sql, "LISTEN \"%s\"", channel);
    ex_status st = ex_buf_status(&sql);
    if (st)
        (void)ex_raise(err, st, "no memory for a statement");
    else
        st = ex_pg_run(pg, ex_buf_slice(&sql), NULL, NULL, err);
    ex_buf_done(&sql);
    return st;
}

static size_t hand_over(ex_pg *pg, ex_pg_notify_fn *fn, void *ctx)
{
    size_t count = 0;
    PGnotify *notify;
    while ((notify = PQnotifies(pg->conn)) != NULL) {
        if (fn)
            fn(ctx, notify->relname, ex_str(notify->extra));
        PQfreemem(notify);
        count++;
    }
    return count;
}

ex_status ex_pg_wait_notify(ex_pg *pg, uint32_t timeout_ms, ex_pg_notify_fn *fn, void *ctx,
                            ex_error *err)
{
    pg_limit limit = pg_limit_within((pg_limit){UINT64_MAX, pg->end_ns}, timeout_ms);
    for (;;) {
        ex_status st = ex_pg_check(pg, err);
        if (st)
            return st;
        if (hand_over(pg, fn, ctx) > 0 || atomic_exchange(&pg->is_woken, false))
            return EX_OK;
        if (!pg_poll(PQsocket(pg->conn), POLLIN, pg->wake_fd, limit))
            return EX_OK;
    }
}
