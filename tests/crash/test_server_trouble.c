/* test_server_trouble.c: days on which the real server is in trouble and has to go on.
 *
 *   disk     writes fail (RLIMIT_FSIZE set from outside stands for a full disk): writers get a
 *            503 that says retry, readers are served, nothing acknowledged is lost, nothing
 *            refused is stored; when there is room again, the server works without a restart
 *   decide   a decision that takes long or never ends: the watchdog says so in the log while
 *            it runs, everything that needs no decision is answered, two SIGTERM end it
 *
 * Ends by signals under load are in server_crash.c, by single requests in e2e. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "crash/server_log.h"
#include "crash/server_process.h"
#include "crash/server_run.h"
#include "support/temp_dir.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PATIENCE_MS 20000

typedef struct fixture {
    temp_dir dir;
    char data[96], log_path[96];
    server_options options;
    server_process server;
    server_orders *orders;
    server_log *log;
    uint64_t attempts;
} fixture;

static void start(fixture *f)
{
    assert_true(server_spawn(&f->server, &f->options));
    assert_true(server_wait_ready(&f->server));
}

static int make_fixture(void **state, const char *app)
{
    fixture *f = calloc(1, sizeof *f);
    run_need(f != NULL);
    f->dir = temp_dir_make();
    snprintf(f->data, sizeof f->data, "%s/data", f->dir.path);
    snprintf(f->log_path, sizeof f->log_path, "%s/server.log", f->dir.path);
    f->options = (server_options){.data = f->data, .log = f->log_path, .app = app};
    f->orders = server_orders_new();
    f->log = server_log_new(f->orders);
    *state = f;
    return 0;
}

static int setup_orders(void **state)
{
    return make_fixture(state, ORDERS_APP);
}

static int setup_bank(void **state)
{
    return make_fixture(state, BANK_APP);
}

static int teardown(void **state)
{
    fixture *f = *state;
    if (f->server.pid) {
        (void)server_signal(&f->server, SIGKILL);
        (void)server_wait_end(&f->server);
    }
    server_log_free(f->log);
    server_orders_free(f->orders);
    temp_dir_remove(&f->dir);
    free(f);
    return 0;
}

static int get_status(const fixture *f, const char *path)
{
    http_reply r;
    int status = http_call(f->server.port, "GET", path, NULL, EX_S(""), &r) ? r.status : 0;
    http_reply_done(&r);
    return status;
}

/* ---- A full disk ---- */

/* What is above this offset of any file cannot be written. */
static void limit_files(const fixture *f, uint64_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};
    assert_int_equal(prlimit(f->server.pid, RLIMIT_FSIZE, &limit, NULL), 0);
}

static void make_room(const fixture *f)
{
    limit_files(f, RLIM_INFINITY);
}

static uint64_t wal_bytes(const fixture *f)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/events.db-wal", f->data);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static attempt *new_append(fixture *f)
{
    static const char *const streams[] = {"disk-1", "disk-2", "disk-3"};
    return attempt_new_append(++f->attempts, streams, 3, ATTEMPT_EVENTS_MAX, -1);
}

static attempt *new_order(fixture *f)
{
    char order[32];
    snprintf(order, sizeof order, "o-%" PRIu64, ++f->attempts);
    return attempt_new_command(f->attempts, order, "create", "{\"customer_id\":\"c-1\"}", true);
}

static void must_be_done(fixture *f, http_client *client, attempt *a)
{
    if (!attempt_send(a, client) || a->state != ATTEMPT_DONE || a->answer.is_duplicate)
        fail_msg("%s: %d %s", attempt_text(a), a->answer.status, a->answer.code);
    server_log_read(f->log, f->server.port);
    server_log_check(f->log, a);
}

static void test_server_full_disk_refuses_writers_and_serves_readers(void **state)
{
    fixture *f = *state;
    http_client client;
    start(f);
    assert_true(http_client_open(&client, f->server.port));
    attempt *before = new_order(f), *append = new_append(f), *order = new_order(f);
    must_be_done(f, &client, before);

    limit_files(f, 1);
    for (int i = 0; i < 5; i++) {
        assert_true(attempt_send(append, &client));
        assert_int_equal(append->answer.status, 503);
        assert_string_equal(append->answer.code, "STORAGE_UNAVAILABLE");
        assert_true(attempt_send(order, &client));
        assert_int_equal(order->answer.status, 503);
    }
    http_reply r;
    assert_true(http_client_call(&client, "POST", append->path, append->headers,
                                 ex_buf_slice(&append->body), &r));
    assert_true(ex_slice_is(http_reply_header(&r, "retry-after"), "1"));
    http_reply_done(&r);

    assert_int_equal(get_status(f, "/health/live"), 200);
    assert_int_equal(get_status(f, "/metrics"), 200);
    assert_int_equal(get_status(f, "/v1/streams/order-o-1"), 200);
    assert_int_equal(get_status(f, "/v1/orders/order-by-id?order_id=o-1"), 200);
    server_log_read(f->log, f->server.port);
    server_log_check(f->log, append); /* refused: not there */
    server_log_check(f->log, order);

    make_room(f);
    must_be_done(f, &client, append);
    must_be_done(f, &client, order);
    (void)server_orders_check(f->orders, f->server.port, server_log_head(f->log));
    attempt_answer again;
    assert_true(attempt_send_again(before, &client, &again));
    attempt_check_same(before, &again);
    attempt_free(before);
    attempt_free(append);
    attempt_free(order);
    http_client_close(&client);
}

/* Sends until one is refused; false when `most` were not enough. */
static bool send_until_refused(fixture *f, http_client *client, attempt **sent, size_t most,
                               size_t *count)
{
    for (size_t i = 0; i < most; i++) {
        attempt *a = sent[(*count)++] = i % 3 == 2 ? new_order(f) : new_append(f);
        assert_true(attempt_send(a, client));
        if (a->state == ATTEMPT_REFUSED)
            return true;
        assert_int_equal(a->state, ATTEMPT_DONE);
    }
    return false;
}

/* The disk fills up in the middle of a commit, at many places; then the power goes. */
static void test_server_disk_that_fills_up_loses_nothing(void **state)
{
    enum { TIMES = 24, MOST = 16 };
    static attempt *sent[TIMES * MOST];
    fixture *f = *state;
    http_client client;
    size_t count = 0;
    unsigned refused = 0;
    start(f);
    assert_true(http_client_open(&client, f->server.port));
    for (unsigned i = 0; i < TIMES; i++) {
        limit_files(f, wal_bytes(f) + 500 + i * 1700);
        if (send_until_refused(f, &client, sent, MOST, &count)) {
            refused++;
            make_room(f);
            must_be_done(f, &client, sent[count - 1]); /* the same ids again */
        }
        make_room(f);
    }
    assert_true(refused > TIMES / 2);
    server_log_read(f->log, f->server.port);
    http_client_close(&client);
    (void)server_signal(&f->server, SIGKILL);
    (void)server_wait_end(&f->server);
    start(f);
    server_log_read_again(f->log, f->server.port);
    (void)server_orders_check(f->orders, f->server.port, server_log_head(f->log));
    while (count > 0) {
        server_log_check(f->log, sent[--count]);
        attempt_free(sent[count]);
    }
}

/* Also the log file takes no more: an orderly end it is all the same. */
static void test_server_ends_in_order_on_a_full_disk(void **state)
{
    fixture *f = *state;
    http_client client;
    start(f);
    assert_true(http_client_open(&client, f->server.port));
    attempt *before = new_append(f), *refused = new_append(f);
    must_be_done(f, &client, before);
    limit_files(f, 1);
    assert_true(attempt_send(refused, &client));
    assert_int_equal(refused->state, ATTEMPT_REFUSED);
    assert_true(server_signal(&f->server, SIGTERM));
    assert_int_equal(server_wait_end(&f->server), 0);
    http_client_close(&client);

    start(f);
    server_log_read_again(f->log, f->server.port);
    server_log_check(f->log, before);
    attempt_free(before);
    attempt_free(refused);
}

/* ---- A decision that does not end ---- */

static bool log_has(const fixture *f, const char *text)
{
    char line[2048];
    bool has = false;
    FILE *file = fopen(f->log_path, "r");
    while (file && !has && fgets(line, sizeof line, file))
        has = strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return has;
}

static void wait_for_log(const fixture *f, const char *text)
{
    uint64_t end = run_now_ms() + PATIENCE_MS;
    while (!log_has(f, text)) {
        if (run_now_ms() > end)
            fail_msg("the log has no \"%s\"", text);
        run_sleep_ms(5);
    }
}

static void begin_post(http_client *client, uint16_t port, const char *path, const char *body)
{
    assert_true(http_client_open(client, port));
    assert_true(http_client_request(client, "POST", path, "Content-Type: application/json\r\n",
                                    ex_str(body)));
}

static void open_account(const fixture *f)
{
    http_reply r;
    assert_true(http_call(f->server.port, "POST", "/v1/bank/account/a-1/open",
                          "Content-Type: application/json\r\n", EX_S("{\"owner\":\"o\"}"), &r));
    assert_int_equal(r.status, 201);
    http_reply_done(&r);
}

static void start_bank(fixture *f, const char *spin_ms)
{
    assert_int_equal(setenv("BANK_SPIN_MS", spin_ms, 1), 0);
    f->options.settings[0] = "runtime.decide_warning=50ms";
    f->options.settings[1] = "server.shutdown_timeout=100ms";
    f->options.settings[2] = "log.format=json";
    start(f);
}

/* Reading, querying and watching need no decision. */
static void check_others_are_served(const fixture *f)
{
    assert_int_equal(get_status(f, "/health/live"), 200);
    assert_int_equal(get_status(f, "/metrics"), 200);
    assert_int_equal(get_status(f, "/v1/streams/account-a-1"), 200);
    assert_int_equal(get_status(f, "/v1/events"), 200);
    assert_int_equal(get_status(f, "/v1/bank/balance?account_id=a-1"), 200);
}

static void test_server_slow_decide_is_reported_and_answered(void **state)
{
    fixture *f = *state;
    http_client slow;
    http_reply r;
    start_bank(f, "700");
    open_account(f);
    begin_post(&slow, f->server.port, "/v1/bank/account/a-1/spin", "");
    wait_for_log(f, "is running for");
    assert_true(log_has(f, "\"message\":\"slow decide\""));
    check_others_are_served(f);
    assert_true(http_client_read(&slow, &r));
    assert_int_equal(r.status, 201);
    http_reply_done(&r);
    http_client_close(&slow);
    assert_true(server_signal(&f->server, SIGTERM));
    assert_int_equal(server_wait_end(&f->server), 0);
}

static void test_server_decide_that_loops_blocks_only_writers(void **state)
{
    fixture *f = *state;
    http_client looping, writer;
    start_bank(f, "3600000");
    open_account(f);
    begin_post(&looping, f->server.port, "/v1/bank/account/a-1/spin", "");
    wait_for_log(f, "is running for");
    begin_post(&writer, f->server.port, "/v1/streams/s-1",
               "{\"events\":[{\"type\":\"T\",\"data\":1}]}");
    check_others_are_served(f);

    assert_true(server_signal(&f->server, SIGTERM));
    wait_for_log(f, "shutting down");
    assert_true(server_signal(&f->server, SIGTERM));
    int status = server_wait_end(&f->server);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    http_client_close(&looping);
    http_client_close(&writer);

    start(f);
    assert_int_equal(get_status(f, "/v1/streams/account-a-1"), 200);
    assert_int_equal(get_status(f, "/v1/streams/s-1"), 404); /* it waited behind the loop */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_server_full_disk_refuses_writers_and_serves_readers,
                                        setup_orders, teardown),
        cmocka_unit_test_setup_teardown(test_server_disk_that_fills_up_loses_nothing, setup_orders,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_server_ends_in_order_on_a_full_disk, setup_orders,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_server_slow_decide_is_reported_and_answered,
                                        setup_bank, teardown),
        cmocka_unit_test_setup_teardown(test_server_decide_that_loops_blocks_only_writers,
                                        setup_bank, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
