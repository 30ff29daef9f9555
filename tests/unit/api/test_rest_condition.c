/* test_rest_condition.c: conditions that have to be searched, as clients over HTTP meet them: they
 * end with who asked, are refused by name when they are too wide, and hold up nobody; on both
 * engines. Issue 8, item 10; G-840, G-841, G-842.
 *
 * The server's clock stands in the way of searches: a look at it from their threads waits as long as
 * the test wants, and shows a time that is later by as much as the test wants. */
#include "sql/postgres/pg_conn.h"
#include "support/api_server.h"
#include "support/h2_client.h"
#include "support/postgres.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define EVENTS 1000
#define GONE   20
#define WIDE                                                                                       \
    "{\"events\":[{\"type\":\"W\",\"data\":{}}],\"condition\":{\"fail_if_match\":{\"items\":["     \
    "{\"tags\":[\"n:none\"]},{\"tags\":[\"n:odd\",\"n:even\"]}]},\"after\":0}}"
#define ANY "{\"events\":[{\"type\":\"W\",\"data\":{}}]}"

/* ---- A server whose searches stand still ---- */

typedef struct world {
    api_server server;
    char url[POSTGRES_URL_SIZE]; /* "": SQLite */
    ex_clock clock;
    _Atomic uint64_t ns;
    _Atomic uint64_t step_ns; /* of a look by a search */
    atomic_bool is_shut;
} world;

static int64_t real_us(void *ctx)
{
    (void)ctx;
    return ex_now_us(ex_clock_system());
}

static uint64_t held_ns(void *ctx)
{
    world *w = ctx;
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    if (strcmp(name, "ex-condition") != 0)
        return atomic_load(&w->ns);
    while (atomic_load(&w->is_shut))
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    uint64_t step_ns = atomic_load(&w->step_ns);
    return atomic_fetch_add(&w->ns, step_ns) + step_ns;
}

static ex_status real_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return ex_clock_system()->random(NULL, out, n);
}

/* Two tags that come in turn and never together. */
static void fill(ex_store *store)
{
    static const ex_slice odd = EX_S_INIT("n:odd"), even = EX_S_INIT("n:even");
    static ex_new_event events[EVENTS];
    for (int i = 0; i < EVENTS; i++)
        events[i] = (ex_new_event){
            .type = EX_S("T"), .data = EX_S("{}"), .tags = i % 2 ? &even : &odd, .tag_count = 1};
    const ex_stream_write write = {EX_S("a"), EX_ANY, events, EVENTS};
    assert_int_equal(
        ex_store_append(store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL),
        EX_OK);
}

static world *start(bool is_postgres)
{
    static world w;
    memset(&w, 0, sizeof(w));
    w.ns = 1;
    w.clock = (ex_clock){real_us, held_ns, real_random, &w};
    api_server_options o = {
        .store = {.clock = &w.clock}, .api = {.clock = &w.clock}, .drain_ms = 50};
    if (is_postgres)
        o.place = postgres_schema_url(postgres_url(), "condition", w.url);
    api_server_start(&w.server, &o);
    fill(w.server.store);
    return &w;
}

static void stop(world *w)
{
    api_server_stop(&w->server);
    if (w->url[0])
        postgres_drop_schema(w->url);
}

static void wait_for_number(const world *w, const char *name, long want)
{
    for (long number = want + 1; number != want;) {
        api_answer a = api_call(&w->server, "GET", "/metrics", NULL, NULL);
        const char *at = memmem(a.reply.body.ptr, a.reply.body.len, name, strlen(name));
        assert_non_null(at);
        number = strtol(at + strlen(name), NULL, 10);
        api_answer_done(&a);
    }
}

static void wait_for_searches(const world *w, long count)
{
    wait_for_number(w, "\nexcore_store_condition_searches ", count);
}

static void ask(const world *w, http_client *c)
{
    assert_true(http_client_open(c, w->server.port));
    assert_true(http_client_request(c, "POST", "/v1/streams/w",
                                    "content-type: application/json\r\n", EX_S(WIDE)));
}

static void reset(http_client *c)
{
    const struct linger at_once = {.l_onoff = 1};
    assert_int_equal(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    http_client_close(c);
}

/* ---- Tests: each runs on SQLite and on PostgreSQL ---- */

static void check_clients_gone(bool is_postgres)
{
    world *w = start(is_postgres);
    http_client gone[GONE], stays;
    http_reply r;
    atomic_store(&w->is_shut, true);
    for (int i = 0; i < GONE; i++)
        ask(w, &gone[i]);
    ask(w, &stays);
    wait_for_searches(w, GONE + 1);
    for (int i = 0; i < GONE; i++)
        reset(&gone[i]);
    wait_for_number(w, "\nexcore_http_connections ", 2); /* `stays`, and the one that asks */
    atomic_store(&w->is_shut, false);
    assert_true(http_client_read(&stays, &r));
    assert_int_equal(r.status, 201);
    http_reply_done(&r);
    http_client_close(&stays);
    wait_for_searches(w, 0);
    assert_int_equal(ex_store_head(w->server.store), EVENTS + 1); /* only its own */
    stop(w);
}

/* G-840 */
static void test_condition_search_ends_with_its_client(void **state)
{
    (void)state;
    check_clients_gone(false);
    check_clients_gone(true);
}

/* G-840, HTTP/2: streams that were reset, on a connection that goes on. */
static void check_streams_reset(bool is_postgres)
{
    world *w = start(is_postgres);
    h2_client c;
    h2_open(&c, w->server.port, false);
    atomic_store(&w->is_shut, true);
    h2_answer *wide[GONE + 1];
    for (int i = 0; i <= GONE; i++)
        wide[i] = h2_request(&c, "POST", "/v1/streams/w", EX_S(WIDE));
    assert_true(h2_turn(&c));
    wait_for_searches(w, GONE + 1);
    for (int i = 0; i < GONE; i++)
        assert_int_equal(
            nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, 2 * i + 1, NGHTTP2_CANCEL), 0);
    assert_int_equal(h2_call(&c, "GET", "/health/live", EX_S(""))->status, 200); /* after them */
    atomic_store(&w->is_shut, false);
    h2_await(&c, wide[GONE]);
    assert_int_equal(wide[GONE]->status, 201);
    wait_for_searches(w, 0);
    assert_int_equal(ex_store_head(w->server.store), EVENTS + 1);
    h2_close(&c);
    stop(w);
}

static void test_condition_search_ends_with_its_stream(void **state)
{
    (void)state;
    check_streams_reset(false);
    check_streams_reset(true);
}

static void run(ex_pg *pg, const char *sql)
{
    ex_pg_result r = {0};
    ex_error err = {0};
    if (ex_pg_run(pg, ex_str(sql), NULL, &r, &err))
        fail_msg("%s", err.message);
    ex_pg_result_free(&r);
}

/* G-840: a statement that waits in the database does not keep its thread either. */
static void test_condition_search_ends_in_the_database(void **state)
{
    (void)state;
    world *w = start(true);
    ex_pg *pg = NULL;
    http_client c;
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = w->url}, &pg, NULL), EX_OK);
    char sql[256];
    const char *schema = strstr(w->url, "schema=") + strlen("schema=");
    (void)snprintf(sql, sizeof(sql), "LOCK TABLE %s.event_tags IN ACCESS EXCLUSIVE MODE", schema);
    run(pg, "BEGIN");
    run(pg, sql);
    ask(w, &c);
    wait_for_searches(w, 1);
    reset(&c);
    wait_for_searches(w, 0);
    run(pg, "ROLLBACK");
    ex_pg_close(pg);
    assert_int_equal(ex_store_head(w->server.store), EVENTS);
    ask(w, &c); /* the connection of the search is in order */
    http_reply r;
    assert_true(http_client_read(&c, &r));
    assert_int_equal(r.status, 201);
    http_reply_done(&r);
    http_client_close(&c);
    stop(w);
}

static void check_too_wide(bool is_postgres)
{
    enum { OTHERS = 50 };
    world *w = start(is_postgres);
    http_client c;
    atomic_store(&w->step_ns, UINT64_C(1100000000)); /* the first item takes all the time */
    atomic_store(&w->is_shut, true);
    ask(w, &c);
    wait_for_searches(w, 1);
    for (int i = 0; i < OTHERS; i++)
        api_expect(&w->server, "POST", "/v1/streams/b", NULL, ANY, 201);
    wait_for_searches(w, 1); /* it is still there */
    atomic_store(&w->is_shut, false);
    api_answer a = {0};
    assert_true(http_client_read(&c, &a.reply));
    a.status = a.reply.status;
    a.json = json_loadb(a.reply.body.ptr, a.reply.body.len, 0, NULL);
    api_check_problem(&a, "wide", 422, "CONDITION_TOO_WIDE", "condition.fail_if_match.items[1]");
    api_answer_done(&a);
    http_client_close(&c);
    assert_int_equal(ex_store_head(w->server.store), EVENTS + OTHERS);
    stop(w);
}

/* G-841, G-842 */
static void test_condition_that_is_too_wide_names_its_item_and_holds_up_nobody(void **state)
{
    (void)state;
    check_too_wide(false);
    check_too_wide(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_condition_search_ends_with_its_client),
        cmocka_unit_test(test_condition_search_ends_with_its_stream),
        cmocka_unit_test(test_condition_search_ends_in_the_database),
        cmocka_unit_test(test_condition_that_is_too_wide_names_its_item_and_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
