/* test_rest_query_end.c: a query that nobody waits for any more, that takes too long, or that
 * stands in the way of stopping is ended in the database too (R-02-10, R-02-14), on both engines.
 */
#include "runtime/runtime_internal.h"
#include "sql/postgres/pg_conn.h"
#include "support/api_server.h"
#include "support/postgres.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- An application whose one query has no end ---- */

typedef struct tick {
    ex_slice id;
} tick;
EX_TYPE(tick, "Tick", EX_KEY(tick, id));

static ex_status when_tick(ex_view_tx *tx, const tick *e, const ex_event *event)
{
    (void)event;
    return ex_row_put(tx, tick, .id = e->id);
}

#define TICK_EVENTS(WHEN) WHEN(tick, when_tick)
extern const ex_view_def tick_view;
EX_VIEW(tick, "ticks", 1, TICK_EVENTS);

static const ex_query_def endless_query = {
    .name = "endless",
    .view = &tick_view,
    .kind = EX_QUERY_COUNT,
    .sql = "WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n % 2 + 1 FROM endless) "
           "SELECT count(*) FROM endless"};
static const ex_query_def count_query = {.name = "tick-count",
                                         .view = &tick_view,
                                         .kind = EX_QUERY_COUNT,
                                         .sql = "SELECT count(*) FROM tick"};
static const ex_query_def *const queries[] = {&endless_query, &count_query};
static const ex_view_def *const views[] = {&tick_view};
static const ex_context clockwork = {"clockwork", NULL, 0, views, 1, queries, 2};
static const ex_context *const contexts[] = {&clockwork};
static const ex_app app = {EX_APP_ABI, "clockwork", contexts, 1};

/* ---- A server, and how to see what its database does ---- */

typedef struct world {
    api_server server;
    char url[POSTGRES_URL_SIZE];
    ex_pg *pg; /* NULL: SQLite */
} world;

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

/* A query of a view that never ran has no table to read. */
static void wait_for_view(const world *w)
{
    uint64_t until = now_ms() + 10000;
    for (int status = 0; status != 200;) {
        http_reply r;
        assert_true(now_ms() < until);
        assert_true(
            http_call(w->server.port, "GET", "/v1/clockwork/tick-count", NULL, EX_S(""), &r));
        status = r.status;
        http_reply_done(&r);
    }
}

static world *start(bool is_postgres, uint32_t query_timeout_ms)
{
    static world w;
    ex_error err = {0};
    memset(&w, 0, sizeof(w));
    api_server_options o = {
        .app = &app, .runtime = {.query_timeout_ms = query_timeout_ms}, .drain_ms = 50};
    if (is_postgres) {
        char named[POSTGRES_URL_SIZE];
        const char *url = postgres_url();
        (void)snprintf(named, sizeof(named), "%s%capplication_name=query_end_%d", url,
                       strchr(url, '?') ? '&' : '?', (int)getpid());
        o.place = postgres_schema_url(named, "query_end", w.url);
        assert_int_equal(ex_pg_open(&(ex_pg_options){.url = postgres_url()}, &w.pg, &err), EX_OK);
    }
    api_server_start(&w.server, &o);
    wait_for_view(&w);
    return &w;
}

static void stop(world *w)
{
    char views_url[POSTGRES_URL_SIZE];
    api_server_stop(&w->server);
    if (!w->pg)
        return;
    postgres_drop_schema(postgres_schema_url(postgres_url(), "query_end_views", views_url));
    postgres_drop_schema(w->url);
    ex_pg_close(w->pg);
}

/* Queries that ended with an outcome so far, as /metrics tells. */
static bool has_ended(const world *w, const char *outcome)
{
    char line[128];
    http_reply r;
    (void)snprintf(line, sizeof(line),
                   "query_duration_seconds_count{name=\"endless\",outcome=\"%s\"} 1", outcome);
    assert_true(http_call(w->server.port, "GET", "/metrics", NULL, EX_S(""), &r));
    bool found = memmem(r.body.ptr, r.body.len, line, strlen(line)) != NULL;
    http_reply_done(&r);
    return found;
}

/* Does the database work on the endless query? SQLite does so in this process, where the threads'
 * queue tells it: with one thread, a query that waits. */
static bool is_working(const world *w)
{
    ex_pg_result r = {0};
    ex_error err = {0};
    if (!w->pg)
        return true;
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE "
                   "'%%RECURSIVE endless%%' AND application_name = 'query_end_%d'",
                   (int)getpid());
    ex_status st = ex_pg_run(w->pg, ex_str(sql), NULL, &r, &err);
    assert_int_equal(st, EX_OK);
    bool is_active = ex_pg_get_i64(&r, 0, 0) > 0;
    ex_pg_result_free(&r);
    return is_active;
}

static void wait_until_working(const world *w)
{
    uint64_t until = now_ms() + 10000;
    while (!is_working(w))
        assert_true(now_ms() < until);
}

/* @return how long it took */
static uint64_t wait_until_ended(const world *w, const char *outcome)
{
    uint64_t begun = now_ms();
    while (!has_ended(w, outcome) || (w->pg && is_working(w)))
        assert_true(now_ms() < begun + 10000);
    return now_ms() - begun;
}

static void ask(const world *w, http_client *c)
{
    assert_true(http_client_open(c, w->server.port));
    assert_true(http_client_request(c, "GET", "/v1/clockwork/endless", NULL, EX_S("")));
    wait_until_working(w);
}

/* ---- Tests: each runs on SQLite and on PostgreSQL ---- */

static void check_client_gone(bool is_postgres, bool is_reset)
{
    world *w = start(is_postgres, 0);
    http_client c;
    ask(w, &c);
    if (is_reset) {
        const struct linger at_once = {.l_onoff = 1};
        assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    }
    http_client_close(&c);
    assert_in_range(wait_until_ended(w, "cancelled"), 0, 1000);
    api_expect(&w->server, "GET", "/v1/clockwork/tick-count", NULL, NULL, 200);
    stop(w);
}

/* G-035 */
static void test_query_end_client_closes(void **state)
{
    (void)state;
    check_client_gone(false, false);
    check_client_gone(true, false);
}

static void test_query_end_client_resets(void **state)
{
    (void)state;
    check_client_gone(false, true);
    check_client_gone(true, true);
}

/* HTTP/2: the client gives up after a while, and with it go all its streams. */
static void test_query_end_http2_client_gives_up(void **state)
{
    (void)state;
    world *w = start(true, 0);
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u/v1/clockwork/endless", w->server.port);
    CURL *curl = curl_easy_init();
    assert_non_null(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 300L);
    assert_int_equal(curl_easy_perform(curl), CURLE_OPERATION_TIMEDOUT);
    curl_easy_cleanup(curl);
    assert_in_range(wait_until_ended(w, "cancelled"), 0, 1000);
    stop(w);
}

static void check_too_long(bool is_postgres)
{
    world *w = start(is_postgres, 100);
    http_reply r;
    uint64_t begun = now_ms();
    assert_true(http_call(w->server.port, "GET", "/v1/clockwork/endless", NULL, EX_S(""), &r));
    assert_int_equal(r.status, 504);
    assert_true(now_ms() - begun < 5000);
    http_reply_done(&r);
    (void)wait_until_ended(w, "error");
    stop(w);
}

/* G-035 */
static void test_query_end_takes_too_long(void **state)
{
    (void)state;
    check_too_long(false);
    check_too_long(true);
}

static void check_stop(bool is_postgres)
{
    world *w = start(is_postgres, 0);
    http_client c;
    http_reply r;
    ask(w, &c);
    uint64_t begun = now_ms();
    api_server_stop_serving(&w->server); /* drains for 50 ms, then ends the query */
    assert_true(now_ms() - begun < 5000);
    assert_false(w->pg && is_working(w));
    if (http_client_read(&c, &r)) { /* unless the connection was closed first */
        assert_int_equal(r.status, 503);
        http_reply_done(&r);
    }
    http_client_close(&c);
    stop(w);
}

static void test_query_end_server_stops(void **state)
{
    (void)state;
    check_stop(false);
    check_stop(true);
}

/* A client may end its sending and still listen: a query that is quick is answered. */
static void test_query_end_half_closed_is_answered(void **state)
{
    (void)state;
    world *w = start(false, 0);
    http_client c;
    http_reply r;
    assert_true(http_client_open(&c, w->server.port));
    assert_true(http_client_request(&c, "GET", "/v1/clockwork/tick-count", NULL, EX_S("")));
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_true(http_client_read(&c, &r));
    assert_int_equal(r.status, 200);
    http_reply_done(&r);
    http_client_close(&c);
    stop(w);
}

/* One that waits for its view leaves the line when its client goes: the log never gets there. */
static void test_query_end_waiting_client_closes(void **state)
{
    (void)state;
    world *w = start(false, 0);
    http_client c;
    assert_true(http_client_open(&c, w->server.port));
    assert_true(
        http_client_request(&c, "GET", "/v1/clockwork/endless?min_position=99", NULL, EX_S("")));
    http_client_close(&c);
    assert_in_range(wait_until_ended(w, "cancelled"), 0, 2000);
    stop(w);
}

/* ---- A program without a server ---- */

typedef struct caller {
    ex_runtime *rt;
    ex_status status;
} caller;

static void *call_endless(void *arg)
{
    caller *c = arg;
    const ex_query_call call = {.context = EX_S("clockwork"), .query = EX_S("endless")};
    ex_arena scratch;
    ex_buf out;
    ex_arena_init(&scratch, 0);
    ex_buf_init(&out, 0);
    c->status = ex_query_run(c->rt, &call, &scratch, &out, NULL);
    ex_buf_done(&out);
    ex_arena_done(&scratch);
    return NULL;
}

static void check_runtime_stops(bool is_postgres)
{
    world *w = start(is_postgres, 0);
    caller c = {w->server.runtime, EX_OK};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, call_endless, &c), 0);
    while (atomic_load(&w->server.runtime->in_flight) < 2) /* the runtime itself is one */
        (void)sched_yield();
    wait_until_working(w);
    uint64_t begun = now_ms();
    ex_runtime_stop(w->server.runtime);
    w->server.runtime = NULL;
    assert_true(now_ms() - begun < 8000);
    assert_false(w->pg && is_working(w));
    pthread_join(thread, NULL);
    assert_true(c.status == EX_ECANCELLED || c.status == EX_ECLOSED);
    stop(w);
}

/* R-02-14: stopping ends a query under way, and what it works with is there until it has ended. */
static void test_query_end_runtime_stops(void **state)
{
    (void)state;
    check_runtime_stops(false);
    check_runtime_stops(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_end_client_closes),
        cmocka_unit_test(test_query_end_client_resets),
        cmocka_unit_test(test_query_end_http2_client_gives_up),
        cmocka_unit_test(test_query_end_takes_too_long),
        cmocka_unit_test(test_query_end_server_stops),
        cmocka_unit_test(test_query_end_half_closed_is_answered),
        cmocka_unit_test(test_query_end_waiting_client_closes),
        cmocka_unit_test(test_query_end_runtime_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
