/* pg_wait.c: waiting for the server with a deadline, cancelling on the way. */
#include "sql/postgres/pg_int.h"

#include <errno.h>
#include <excore/clock.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CANCEL_GRACE_MS 500 /* for the server to report what it cancelled */
#define CANCEL_TRIES    4

uint64_t pg_now_ns(void)
{
    return ex_monotonic_ns(ex_clock_system()); /* real time, also under a test's clock */
}

uint64_t pg_deadline(uint32_t ms)
{
    return ms == EX_PG_NO_TIMEOUT ? UINT64_MAX : pg_now_ns() + (uint64_t)ms * 1000000;
}

uint64_t pg_statement_deadline(const ex_pg *pg)
{
    uint32_t ms = pg->statement_timeout_ms;
    return ms == EX_PG_NO_TIMEOUT ? UINT64_MAX : pg_deadline(ms + PG_GRACE_MS);
}

/* Milliseconds for poll, rounded up; -1 for ever. */
static int poll_ms(uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return -1;
    uint64_t now = pg_now_ns();
    if (now >= deadline_ns)
        return 0;
    uint64_t ms = (deadline_ns - now + 999999) / 1000000;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

bool pg_poll(int fd, short events, int wake_fd, uint64_t deadline_ns)
{
    struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = wake_fd, .events = POLLIN}};
    for (;;) {
        int ms = poll_ms(deadline_ns);
        int n = poll(fds, 2, ms); /* a negative descriptor is passed over */
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 && ms == 0)
            return false;
        if (n == 0)
            continue; /* woken a moment early: look at the clock again */
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

/* Cancelled: ask the server to end what it does, and again when it has not answered in the time
 * left: a request that comes before the statement does has no effect. */
static bool cancel_again(ex_pg *pg, unsigned *tries, uint64_t *deadline_ns)
{
    if (*tries == CANCEL_TRIES)
        return false;
    ++*tries;
    pg_cancel_on_server(pg);
    *deadline_ns = pg_deadline(CANCEL_GRACE_MS);
    return true;
}

ex_status pg_wait_result(ex_pg *pg, uint64_t deadline_ns, ex_error *err)
{
    unsigned cancels = 0;
    for (;;) {
        int unsent = PQflush(pg->conn);
        if (!PQisBusy(pg->conn))
            return EX_OK;
        if (PQstatus(pg->conn) == CONNECTION_BAD)
            return EX_OK; /* PQgetResult tells why */
        if (cancels == 0 && atomic_load(&pg->is_cancelled))
            (void)cancel_again(pg, &cancels, &deadline_ns);
        short events = unsent == 1 ? POLLIN | POLLOUT : POLLIN;
        int wake_fd = cancels > 0 ? -1 : pg->wake_fd;
        if (!pg_poll(PQsocket(pg->conn), events, wake_fd, deadline_ns)) {
            if (cancels == 0 || !cancel_again(pg, &cancels, &deadline_ns))
                return give_up(pg, cancels > 0, err);
            continue;
        }
        (void)PQconsumeInput(pg->conn); /* a failure shows as CONNECTION_BAD or an error result */
    }
}

ex_status ex_pg_flush(ex_pg *pg, ex_error *err)
{
    uint64_t deadline_ns = pg_statement_deadline(pg);
    if (!pg->conn)
        return pg_raise_broken(pg, err);
    while (PQflush(pg->conn) == 1) {
        if (!pg_poll(PQsocket(pg->conn), POLLIN | POLLOUT, -1, deadline_ns))
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
    uint64_t deadline_ns = pg_deadline(timeout_ms);
    for (;;) {
        ex_status st = ex_pg_check(pg, err);
        if (st)
            return st;
        if (hand_over(pg, fn, ctx) > 0 || atomic_exchange(&pg->is_woken, false))
            return EX_OK;
        if (!pg_poll(PQsocket(pg->conn), POLLIN, pg->wake_fd, deadline_ns))
            return EX_OK;
    }
}
