/* test_rest_slices.c: reads of pages that find nothing do not starve others, end with their
 * clients, and end in time; on both engines. Issue 8, item 12; G-605, G-606, G-607.
 *
 * The server's clock makes reading slow: each look at it on a reader's thread takes a part of a
 * millisecond and shows a time that is later by more than a slice. */
#include "support/api_server.h"
#include "support/h2_client.h"
#include "support/postgres.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define EVENTS  1000
#define GONE    58 /* as in the issue: eight that are read and fifty that wait */
#define PATIENT 20
/* With a stream: PostgreSQL searches for tags alone in one statement. */
#define SEARCH "/v1/events?streams=a&tags=n:odd,n:even&limit=1"

/* ---- A server whose reads are slow ---- */

typedef struct world {
    api_server server;
    char url[POSTGRES_URL_SIZE]; /* "": SQLite */
    ex_clock clock;
    _Atomic uint64_t ns;
    atomic_bool is_shut; /* reads stand still */
} world;

static int64_t real_us(void *ctx)
{
    (void)ctx;
    return ex_now_us(ex_clock_system());
}

static uint64_t slow_ns(void *ctx)
{
    world *w = ctx;
    char name[16] = "";
    (void)pthread_getname_np(pthread_self(), name, sizeof(name));
    if (strncmp(name, "reader", 6) != 0)
        return atomic_load(&w->ns);
    const struct timespec some = {.tv_nsec = 200000};
    do
        (void)nanosleep(&some, NULL);
    while (atomic_load(&w->is_shut));
    return atomic_fetch_add(&w->ns, UINT64_C(25000000)) + UINT64_C(25000000);
}

static ex_status real_random(void *ctx, void *out, size_t n)
{
    (void)ctx;
    return ex_clock_system()->random(NULL, out, n);
}

static void fill(ex_store *store)
{
    static const ex_slice odd = EX_S_INIT("n:odd"), even = EX_S_INIT("n:even");
    static ex_new_event events[100];
    for (int i = 0; i < 100; i++)
        events[i] = (ex_new_event){
            .type = EX_S("T"), .data = EX_S("{}"), .tags = i % 2 ? &even : &odd, .tag_count = 1};
    const ex_stream_write write = {EX_S("a"), EX_ANY, events, 100};
    for (int i = 0; i < EVENTS / 100; i++)
        assert_int_equal(
            ex_store_append(store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL),
            EX_OK);
}

static world *start(bool is_postgres, uint32_t page_timeout_ms)
{
    static world w;
    memset(&w, 0, sizeof(w));
    w.clock = (ex_clock){real_us, slow_ns, real_random, &w};
    api_server_options o = {
        .store = {.clock = &w.clock},
        .api = {.clock = &w.clock, .reader_threads = 2, .page_timeout_ms = page_timeout_ms},
        .drain_ms = 50};
    if (is_postgres)
        o.place = postgres_schema_url(postgres_url(), "slices", w.url);
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

/* Reads that wait for a thread. */
static long count_waiting(const world *w)
{
    static const char name[] = "api_jobs_waiting{pool=\"reader\"} ";
    api_answer a = api_call(&w->server, "GET", "/metrics", NULL, NULL);
    const char *at = memmem(a.reply.body.ptr, a.reply.body.len, name, strlen(name));
    assert_non_null(at);
    long count = strtol(at + strlen(name), NULL, 10);
    api_answer_done(&a);
    return count;
}

static void wait_for_waiting(const world *w, long at_least, long at_most)
{
    for (;;) {
        long count = count_waiting(w);
        if (count >= at_least && count <= at_most)
            return;
    }
}

static void read_one_event(const world *w)
{
    api_answer a = api_call(&w->server, "GET", "/v1/events?after=10&limit=1", NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "events")), 1);
    api_answer_done(&a);
}

/* ---- Tests ---- */

static void check_starving(bool is_postgres, bool are_gone)
{
    world *w = start(is_postgres, 3600000);
    const int count = are_gone ? GONE : PATIENT;
    http_client clients[GONE];
    atomic_store(&w->is_shut, true);
    for (int i = 0; i < count; i++) {
        assert_true(http_client_open(&clients[i], w->server.port));
        assert_true(http_client_request(&clients[i], "GET", SEARCH, NULL, EX_S("")));
    }
    wait_for_waiting(w, count - 2, count);
    atomic_store(&w->is_shut, false);
    for (int i = 0; are_gone && i < count; i++)
        http_client_close(&clients[i]);
    read_one_event(w); /* passes them by */
    assert_true(count_waiting(w) > count / 2);
    for (int i = 0; !are_gone && i < count; i++) { /* who waits for one gets it, whole */
        http_reply r;
        assert_true(http_client_read(&clients[i], &r));
        assert_int_equal(r.status, 200);
        ex_slice body = ex_buf_slice(&r.body);
        static const char want[] = "{\"events\":[],\"next\":1000,\"has_more\":false,\"head\":1000}";
        assert_true(ex_slice_is(body, want));
        http_reply_done(&r);
        http_client_close(&clients[i]);
    }
    wait_for_waiting(w, 0, 0);
    stop(w);
}

/* G-605 */
static void test_slices_waiting_searches_do_not_starve_others(void **state)
{
    (void)state;
    check_starving(false, false);
    check_starving(true, false);
}

/* G-606 */
static void test_slices_end_with_their_clients(void **state)
{
    (void)state;
    check_starving(false, true);
    check_starving(true, true);
}

/* G-606, HTTP/2: a stream that was reset, on a connection that goes on. */
static void test_slices_end_with_their_stream(void **state)
{
    (void)state;
    world *w = start(false, 3600000);
    h2_client c;
    h2_open(&c, w->server.port, false);
    h2_answer *searches[20];
    for (int i = 0; i < 20; i++)
        searches[i] = h2_request(&c, "GET", SEARCH, EX_S(""));
    assert_true(h2_turn(&c));
    for (int i = 0; i < 20; i++)
        assert_int_equal(
            nghttp2_submit_rst_stream(c.session, NGHTTP2_FLAG_NONE, 2 * i + 1, NGHTTP2_CANCEL), 0);
    h2_answer *live = h2_call(&c, "GET", "/v1/events?after=10&limit=1", EX_S(""));
    assert_int_equal(live->status, 200);
    assert_true(searches[0]->is_closed);
    wait_for_waiting(w, 0, 0);
    h2_close(&c);
    stop(w);
}

/* G-607: a page whose time is over is short, and leads on to the rest. */
static void check_short_pages(bool is_postgres)
{
    world *w = start(is_postgres, 500);
    uint64_t after = 0, pages = 0, found = 0;
    ex_new_event both = {.type = EX_S("T"), .data = EX_S("{}")};
    static const ex_slice tags[] = {EX_S_INIT("n:odd"), EX_S_INIT("n:even")};
    both.tags = tags;
    both.tag_count = 2;
    const ex_stream_write write = {EX_S("a"), EX_ANY, &both, 1};
    assert_int_equal(ex_store_append(w->server.store,
                                     &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL),
                     EX_OK);
    for (bool has_more = true; has_more; pages++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/v1/events?streams=a&tags=n:odd,n:even&after=%llu",
                       (unsigned long long)after);
        api_answer a = api_call(&w->server, "GET", path, NULL, NULL);
        assert_int_equal(a.status, 200);
        uint64_t next = (uint64_t)api_int(a.json, "next");
        has_more = json_is_true(json_object_get(a.json, "has_more"));
        assert_true(next > after);
        found += json_array_size(json_object_get(a.json, "events"));
        after = next;
        api_answer_done(&a);
    }
    assert_int_equal(after, EVENTS + 1);
    assert_int_equal(found, 1);
    assert_true(pages > 2);
    stop(w);
}

static void test_slices_a_late_page_is_short(void **state)
{
    (void)state;
    check_short_pages(false);
    check_short_pages(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_waiting_searches_do_not_starve_others),
        cmocka_unit_test(test_slices_end_with_their_clients),
        cmocka_unit_test(test_slices_end_with_their_stream),
        cmocka_unit_test(test_slices_a_late_page_is_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
