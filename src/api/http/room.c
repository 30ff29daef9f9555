/* room.c: see room.h. */
#include "api/http/room.h"

#include <assert.h>

#define COUNT_UNIT_BYTES ((size_t)4096) /* a busy small exchange is charged once */
#define LOOK_MS          20 /* those who wait are looked at so often in any case, while the loop runs */
#define ARENA_LEAST      4 /* times the body: what its parsed form may take in any case */

/* ---- Counting ---- */

void exchange_count(http_exchange *x)
{
    size_t body = x->body.cap > x->claim_bytes ? x->body.cap : x->claim_bytes;
    size_t n =
        sizeof(*x) + x->head.cap + body + x->arena.total_bytes + x->out.bytes + x->expected_bytes;
    budget_set(x->account, &x->counted_bytes,
               (n + COUNT_UNIT_BYTES - 1) / COUNT_UNIT_BYTES * COUNT_UNIT_BYTES);
}

void conn_count(http_conn *c)
{
    size_t n = c->state < CONN_CLOSED ? conn_unsent(c) : 0;
    if (c->state == CONN_OPEN && c->protocol == &http1_protocol && !http1_is_waiting(c))
        n += c->as.h1.pending.cap;
    if (c->account)
        budget_set(c->account, &c->counted_bytes, n);
}

/* ---- Asking ---- */

ex_status exchange_raise_full(const http_exchange *x, budget_level level, ex_error *err)
{
    static const char *const who[BUDGET_LEVELS] = {"", "this connection", "this client address",
                                                   "the server"};
    ex_counter_add(x->core->shared->metrics.memory_refused[level], 1);
    return ex_raise(err, EX_EOVERLOADED, "%s holds as many bytes of requests and answers as it may",
                    who[level]);
}

static budget_level check_body(const http_exchange *x, size_t more)
{
    const budget_account *a = x->account;
    size_t others = budget_used(a) - x->counted_bytes;
    if (budget_is_alone(a, x->counted_bytes))
        return BUDGET_FREE;
    if (others > 0 && budget_used(a) + more > a->budget->connection_limit)
        return BUDGET_CONNECTION;
    return budget_check(a, BUDGET_LARGE, more);
}

/* A large body is charged twice its length beforehand: its parsed form comes to that, usually.
 * Small ones are charged as they arrive. */
budget_level exchange_claim_body(http_exchange *x, size_t bytes)
{
    budget_level level = BUDGET_FREE;
    if (bytes <= x->body_room)
        return BUDGET_FREE;
    size_t limit = x->core->limits.body_bytes, doubled = 2 * x->body_room;
    if (bytes < doubled)
        bytes = doubled < limit ? doubled : limit;
    if (bytes <= BUDGET_SMALL_BYTES)
        level = budget_check(x->account, BUDGET_SMALL, 0);
    else
        level = check_body(x, 2 * bytes - x->claim_bytes);
    if (level)
        return level;
    x->body_room = bytes;
    x->claim_bytes = bytes > BUDGET_SMALL_BYTES ? 2 * bytes : 0;
    exchange_count(x);
    return BUDGET_FREE;
}

void exchange_limit_arena(http_exchange *x)
{
    size_t limit = exchange_arena_limit(x->core);
    x->claim_bytes = 0; /* still charged, until the next count */
    if (x->body.len > BUDGET_SMALL_BYTES && !budget_is_alone(x->account, x->counted_bytes)) {
        size_t room = budget_room(x->account, BUDGET_LARGE), least = ARENA_LEAST * x->body.len;
        room = room > least ? room : least;
        limit = room < limit ? room : limit;
    }
    x->arena.limit_bytes = limit;
}

bool exchange_was_cut_short(const http_exchange *x)
{
    return x->arena.has_failed && x->arena.limit_bytes < exchange_arena_limit(x->core);
}

ex_status exchange_check_room(http_exchange *x, ex_error *err)
{
    static const budget_use uses[] = {[HTTP_ORDINARY] = BUDGET_SMALL,
                                      [HTTP_LONG_ANSWER] = BUDGET_SMALL,
                                      [HTTP_OPERATOR] = BUDGET_OPERATOR};
    if (x->route->trait == HTTP_LIVENESS)
        return EX_OK;
    budget_level level = budget_check(x->account, uses[x->route->trait], 0);
    return level ? exchange_raise_full(x, level, err) : EX_OK;
}

bool conn_has_share(const http_conn *c, size_t count)
{
    return budget_used(c->account) + count * c->typical_bytes <= budget_share(c->account);
}

void conn_note_long(http_conn *c, size_t bytes)
{
    size_t fading = c->typical_bytes - c->typical_bytes / 8;
    c->typical_bytes = bytes > fading ? bytes : fading ? fading : 1;
}

/* ---- Answers that are built elsewhere ---- */

size_t http_take_room(http_exchange *x, size_t want)
{
    budget_release(x->account, x->taken_bytes);
    x->taken_bytes = 0;
    if (budget_is_alone(x->account, x->counted_bytes)) {
        x->taken_bytes = want;
        budget_charge(x->account, want);
    } else {
        x->taken_bytes = budget_take(x->account, want);
    }
    return x->taken_bytes;
}

void http_settle_room(http_exchange *x, size_t bytes)
{
    budget_set(x->account, &x->taken_bytes, bytes);
}

void http_count_memory(http_exchange *x, size_t expected_bytes)
{
    x->expected_bytes = expected_bytes;
    exchange_count(x);
}

/* ---- Waiting ---- */

void room_wait(http_exchange *x)
{
    if (link_is_listed(&x->waiting))
        return;
    link_push(&x->core->waiting, &x->waiting);
    x->core->waiting_bodies += x->state == EXCHANGE_READING;
    ex_gauge_add(x->core->shared->metrics.memory_waiting, 1);
    ex_counter_add(x->core->shared->metrics.memory_waits, 1);
}

void room_stop_waiting(http_exchange *x)
{
    if (!link_is_listed(&x->waiting))
        return;
    link_remove(&x->waiting);
    x->core->waiting_bodies -= x->state == EXCHANGE_READING;
    ex_gauge_add(x->core->shared->metrics.memory_waiting, -1);
}

bool http_stream_has_room(http_exchange *x)
{
    if (!x->conn || budget_check(x->account, BUDGET_LARGE, 0) == BUDGET_FREE)
        return true;
    x->wants_drain = true;
    room_wait(x);
    return false;
}

static void resume_stream(http_exchange *x)
{
    size_t unsent = x->stream_id ? x->out.bytes : conn_unsent(x->conn);
    if (budget_check(x->account, BUDGET_LARGE, 0))
        return;
    room_stop_waiting(x);
    if (unsent <= stream_low_bytes(x->core)) /* else it goes on when that has been sent */
        exchange_drained(x);
}

/* Whether it is worth looking: less is held than before, or (an address may hold less while others
 * hold more) some time has passed. */
static bool has_been_freed(http_core *core)
{
    size_t used = atomic_load_explicit(&core->shared->budget.used, memory_order_relaxed);
    bool is_due = used < core->waiting_used || core->now_ms - core->waiting_looked_ms >= LOOK_MS;
    core->waiting_used = used;
    core->waiting_looked_ms = is_due ? core->now_ms : core->waiting_looked_ms;
    return is_due;
}

void room_resume(http_core *core)
{
    http_link all;
    if (link_is_empty(&core->waiting) || !has_been_freed(core))
        return;
    link_take(&core->waiting, &all);
    while (!link_is_empty(&all)) {
        http_exchange *x = LINK_OWNER(all.next, http_exchange, waiting);
        link_remove(&x->waiting);
        link_push(&core->waiting, &x->waiting); /* it keeps its place among those left */
        if (x->state == EXCHANGE_READING)
            http1_resume_body(x);
        else
            resume_stream(x);
    }
}
