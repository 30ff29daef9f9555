/* core.c: what the connections of one loop share: time-outs, pools, the flush.
 *
 * A turn of the loop: the transport feeds input, handlers answer into
 * connections, which mark themselves dirty; before the loop sleeps,
 * http_core_flush sends all of it and runs the on_close calls that are due.
 * One pass handles what was dirty when it began, so that a fast client cannot
 * keep the loop here. */
#include "api/http/room.h"

#include <excore/clock.h>

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#define LINGER_MS  5000
#define GONE_MS    400
#define DISCARD_MS 400

void http_options_default(http_options *o)
{
    static const http_options defaults = {
        .host = "127.0.0.1",
        .loops = 1,
        .header_limit_bytes = 64u << 10,
        .header_count_limit = 100,
        .body_limit_bytes = 4u << 20,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 30000,
        .idle_timeout_ms = 60000,
        .write_timeout_ms = 30000,
        .connection_limit = 10000,
        .inflight_limit = 4096,
        .output_limit_bytes = 1u << 20,
        .memory_limit_bytes = 64u << 20,
        .address_percent = 75,
        .connection_memory_bytes = 16u << 20,
        .h2_streams_limit = 128,
    };
#define DEFAULT(field) o->field = o->field ? o->field : defaults.field
    DEFAULT(host);
    DEFAULT(loops);
    DEFAULT(header_limit_bytes);
    DEFAULT(header_count_limit);
    DEFAULT(body_limit_bytes);
    DEFAULT(header_timeout_ms);
    DEFAULT(body_timeout_ms);
    DEFAULT(idle_timeout_ms);
    DEFAULT(write_timeout_ms);
    DEFAULT(connection_limit);
    DEFAULT(inflight_limit);
    DEFAULT(output_limit_bytes);
    DEFAULT(memory_limit_bytes);
    DEFAULT(address_percent);
    DEFAULT(connection_memory_bytes);
    DEFAULT(h2_streams_limit);
#undef DEFAULT
}

/* One body that is allowed fits at every level, with its parsed form and while there is little
 * else.
 */
static void init_budget(http_shared *s)
{
    http_options *o = &s->options;
    uint64_t least = 4 * (uint64_t)o->body_limit_bytes;
    if (o->memory_limit_bytes < least)
        o->memory_limit_bytes = least;
    if (o->connection_memory_bytes < least)
        o->connection_memory_bytes = least;
    while (o->address_percent < 100 && o->memory_limit_bytes / 100 * o->address_percent < least)
        o->address_percent++;
    budget_init(&s->budget, o->memory_limit_bytes, o->address_percent, o->connection_memory_bytes);
}

static void measure_memory(void *ctx)
{
    http_shared *s = ctx;
    ex_gauge_set(s->metrics.memory, (int64_t)atomic_load(&s->budget.used));
    ex_gauge_set(s->metrics.memory_limit, (int64_t)s->options.memory_limit_bytes);
}

ex_status http_shared_init(http_shared *s, const http_options *options, const http_route *routes,
                           size_t route_count, ex_error *err)
{
    memset(s, 0, sizeof(*s));
    s->options = *options;
    http_options_default(&s->options);
    init_budget(s);
    ex_status status = access_register(options->metrics, &s->metrics, err);
    if (!status && options->metrics && ex_metrics_on_collect(options->metrics, measure_memory, s))
        status = ex_raise(err, EX_ENOMEM, "no memory for the metrics of the HTTP server");
    if (!status)
        status = guard_init(&s->guard, &s->options, err);
    return status ? status : router_new(routes, route_count, &s->router, err);
}

void http_shared_done(http_shared *s)
{
    ex_metrics_off_collect(s->options.metrics, measure_memory, s);
    router_free(s->router);
    s->router = NULL;
    guard_done(&s->guard);
    budget_done(&s->budget);
}

/* ---- Time-outs ---- */

#define CONN_TIMEOUT(function, kind)                                                               \
    static void function(http_timer *t)                                                            \
    {                                                                                              \
        conn_timed_out(t, kind);                                                                   \
    }
CONN_TIMEOUT(idle_timed_out, TIMEOUT_IDLE)
CONN_TIMEOUT(header_timed_out, TIMEOUT_HEADER)
CONN_TIMEOUT(body_timed_out, TIMEOUT_BODY)
CONN_TIMEOUT(linger_timed_out, TIMEOUT_LINGER)
CONN_TIMEOUT(gone_timed_out, TIMEOUT_GONE)
CONN_TIMEOUT(room_timed_out, TIMEOUT_ROOM)
#undef CONN_TIMEOUT

static void refresh_date(http_core *core)
{
    int64_t now_s = ex_now_us(ex_clock_system()) / 1000000;
    if (now_s == core->date_s)
        return;
    core->date_s = now_s;
    time_t t = (time_t)now_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        (void)strftime(core->date, sizeof(core->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

ex_status http_core_init(http_core *core, http_shared *shared, ex_loop *loop, ex_error *err)
{
    const http_options *o = &shared->options;
    memset(core, 0, sizeof(*core));
    core->shared = shared;
    core->loop = loop;
    core->limits = (http1_limits){.head_bytes = o->header_limit_bytes,
                                  .header_count = o->header_count_limit,
                                  .body_bytes = o->body_limit_bytes};
    link_init_head(&core->conns);
    link_init_head(&core->dirty);
    link_init_head(&core->closing);
    link_init_head(&core->waiting);
    timer_list *lists = core->timeouts;
    timer_list_init(&lists[TIMEOUT_IDLE], o->idle_timeout_ms, idle_timed_out);
    timer_list_init(&lists[TIMEOUT_HEADER], o->header_timeout_ms, header_timed_out);
    timer_list_init(&lists[TIMEOUT_BODY], o->body_timeout_ms, body_timed_out);
    timer_list_init(&lists[TIMEOUT_WRITE], (o->write_timeout_ms + 1) / 2, conn_write_timed_out);
    timer_list_init(&lists[TIMEOUT_LINGER], LINGER_MS, linger_timed_out);
    timer_list_init(&lists[TIMEOUT_GONE], GONE_MS, gone_timed_out);
    timer_list_init(&lists[TIMEOUT_DISCARD], DISCARD_MS, conn_discard_timed_out);
    timer_list_init(&lists[TIMEOUT_ROOM],
                    o->body_timeout_ms < ROOM_MS ? o->body_timeout_ms : ROOM_MS, room_timed_out);
    timer_list_init(&lists[TIMEOUT_STREAM_HEADER], o->header_timeout_ms, http2_exchange_timed_out);
    timer_list_init(&lists[TIMEOUT_STREAM_BODY], o->body_timeout_ms, http2_exchange_timed_out);
    timer_list_init(&lists[TIMEOUT_STREAM_WRITE], o->write_timeout_ms, http2_exchange_timed_out);
    refresh_date(core);
    return access_cache_init(&core->access, &shared->metrics, router_count(shared->router), err);
}

void http_core_done(http_core *core)
{
    assert(core->conn_count == 0 && core->exchange_count == 0);
    while (core->free_exchanges) {
        http_exchange *x = core->free_exchanges;
        core->free_exchanges = x->next_free;
        ex_arena_done(&x->arena);
        ex_buf_done(&x->head);
        ex_buf_done(&x->body);
        free(x);
    }
    output_pool_done(&core->blocks);
    access_cache_done(&core->access);
}

void http_core_tick(http_core *core, uint64_t now_ms)
{
    core->now_ms = now_ms;
    refresh_date(core);
    for (int kind = 0; kind < TIMEOUT_KINDS; kind++)
        timer_list_tick(&core->timeouts[kind], now_ms);
    budget_tick(&core->shared->budget, now_ms);
}

uint64_t http_core_tick_ms(const http_core *core)
{
    uint64_t shortest = 1000;
    for (int kind = 0; kind < TIMEOUT_KINDS; kind++)
        if (core->timeouts[kind].duration_ms < shortest)
            shortest = core->timeouts[kind].duration_ms;
    return shortest < 40 ? 10 : shortest / 4;
}

/* ---- Flushing ---- */

bool http_core_flush(http_core *core)
{
    http_link batch;
    room_resume(core);
    link_take(&core->dirty, &batch);
    while (!link_is_empty(&batch)) {
        http_conn *c = LINK_OWNER(batch.next, http_conn, dirty);
        link_remove(&c->dirty);
        conn_flush(c);
    }
    link_take(&core->closing, &batch);
    while (!link_is_empty(&batch)) {
        http_exchange *x = LINK_OWNER(batch.next, http_exchange, closing);
        link_remove(&x->closing);
        exchange_closed(x);
    }
    return !link_is_empty(&core->dirty) || !link_is_empty(&core->closing);
}

/* Call fn for every connection; fn may close the one it gets. */
static void each_conn(http_core *core, void (*fn)(http_conn *c))
{
    http_link all;
    link_take(&core->conns, &all);
    while (!link_is_empty(&all)) {
        http_conn *c = LINK_OWNER(all.next, http_conn, link);
        link_remove(&c->link);
        link_push(&core->conns, &c->link);
        fn(c);
    }
}

static void drain_conn(http_conn *c)
{
    if (c->protocol)
        c->protocol->drain(c);
    else
        conn_close_after_output(c);
}

void http_core_drain(http_core *core)
{
    core->is_draining = true;
    each_conn(core, drain_conn);
}

void http_core_close_all(http_core *core)
{
    core->is_draining = true;
    each_conn(core, conn_lost);
}
