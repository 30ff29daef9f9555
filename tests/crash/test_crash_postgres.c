/* test_crash_postgres.c: the database server is killed under load and started again.
 *
 * A server of its own, two stores in this process as two nodes. What was
 * acknowledged is there once, in order, and positions are contiguous; what was
 * refused can be repeated with the same event ids. (G-051) */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <excore/clock.h>
#include <excore/store.h>

#include "sql/postgres/pg_conn.h"
#include "support/postgres.h"
#include "support/temp_dir.h"

enum { NODES = 2, WRITERS = 6, CRASHES = 3, EVENTS_BETWEEN = 200 };

/* ---- The server ---- */

static void run_script(const char *verb, const char *dir, char *out, size_t size)
{
    assert_true(postgres_run(verb, dir, out, size));
}

/* ---- Writers ---- */

typedef struct writer {
    ex_store *store;
    int number;
    atomic_bool *is_over;
    atomic_uint *stored_by_all;
    uint32_t stored;
    uint32_t refused;
    atomic_bool is_failed;
    ex_error err;
} writer;

static ex_id id_of(int number, uint32_t n)
{
    ex_id id = {.form = EX_ID_UUID};
    memset(id.bytes, 0x22, sizeof(id.bytes));
    id.bytes[0] = (uint8_t)number;
    memcpy(id.bytes + 1, &n, sizeof(n));
    return id;
}

static ex_status append_one(writer *w, const char *stream)
{
    ex_new_event event = {.type = EX_S("T"), .data = EX_S("{}"), .id = id_of(w->number, w->stored)};
    ex_stream_write write = {ex_str(stream), EX_EXACT(w->stored), &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(w->store, &append, NULL, &w->err);
}

static void *write_for_sure(void *arg)
{
    writer *w = arg;
    char stream[16];
    (void)snprintf(stream, sizeof(stream), "s-%d", w->number);
    while (!atomic_load(w->is_over) && !atomic_load(&w->is_failed)) {
        ex_status st;
        while ((st = append_one(w, stream)) == EX_ESTORAGE || st == EX_EOUTCOME) {
            w->refused++;
            sched_yield();
        }
        atomic_store(&w->is_failed, st != EX_OK);
        w->stored++;
        atomic_fetch_add(w->stored_by_all, 1);
    }
    return NULL;
}

static bool wait_for_more(writer *writers, atomic_uint *stored_by_all)
{
    unsigned goal = atomic_load(stored_by_all) + EVENTS_BETWEEN;
    bool is_failed = false;
    while (atomic_load(stored_by_all) < goal && !is_failed) {
        for (int i = 0; i < WRITERS; i++)
            is_failed |= atomic_load(&writers[i].is_failed);
        sched_yield();
    }
    return !is_failed;
}

/* ---- The test ---- */

static void assert_log(ex_store *store, const writer *writers)
{
    uint64_t position = 0, total = 0;
    uint32_t seen[WRITERS] = {0};
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(store, &(ex_read_log){0}, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK) {
        int number = e.stream.ptr[2] - '0';
        ex_id want = id_of(number, seen[number]++);
        assert_int_equal(e.position, ++position);
        assert_int_equal(e.version, seen[number]);
        assert_true(ex_id_eq(&e.id, &want));
    }
    ex_cursor_close(c);
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(seen[i], writers[i].stored);
        total += seen[i];
    }
    assert_int_equal(position, total);
}

static void test_crash_postgres_loses_and_doubles_nothing(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    char url[POSTGRES_URL_SIZE] = "";
    run_script("start", dir.path, url, sizeof(url));
    ex_store *nodes[NODES];
    for (int i = 0; i < NODES; i++) {
        ex_error err = {0};
        if (ex_store_open(url, NULL, &nodes[i], &err))
            fail_msg("%s", err.message);
    }
    atomic_bool is_over = false;
    atomic_uint stored_by_all = 0;
    writer writers[WRITERS];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.store = nodes[i % NODES],
                              .number = i,
                              .is_over = &is_over,
                              .stored_by_all = &stored_by_all};
        assert_int_equal(pthread_create(&threads[i], NULL, write_for_sure, &writers[i]), 0);
    }
    for (int i = 0; i < CRASHES && wait_for_more(writers, &stored_by_all); i++) {
        run_script("kill", dir.path, NULL, 0);
        run_script("start", dir.path, NULL, 0);
    }
    (void)wait_for_more(writers, &stored_by_all);
    atomic_store(&is_over, true);
    uint32_t refused = 0;
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (writers[i].is_failed)
            fail_msg("%s: %s", writers[i].err.code, writers[i].err.message);
        refused += writers[i].refused;
    }
    assert_true(refused > 0);
    for (int i = 0; i < NODES; i++) /* a node hears of what another one committed a moment later */
        while (ex_store_head(nodes[i]) < stored_by_all)
            sched_yield();
    for (int i = 0; i < NODES; i++)
        assert_log(nodes[i], writers);
    for (int i = 0; i < NODES; i++)
        ex_store_close(nodes[i]);
    run_script("stop", dir.path, NULL, 0);
    temp_dir_remove(&dir);
}

/* ---- A server that takes no connections ---- */

static ex_pg *open_raw(const char *url)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = url}, &pg, &err))
        fail_msg("%s", err.message);
    return pg;
}

/* The first value of a statement; 0: no row, or the statement fails. */
static int64_t number_of(ex_pg *pg, const char *sql)
{
    ex_pg_result r = {0};
    bool is_there = ex_pg_run(pg, ex_str(sql), NULL, &r, NULL) == EX_OK && r.rows;
    int64_t number = is_there ? ex_pg_get_i64(&r, 0, 0) : 0;
    ex_pg_result_free(&r);
    return number;
}

static void *write_one(void *arg)
{
    writer *w = arg;
    atomic_store(&w->is_failed, append_one(w, "s-0") == EX_EOUTCOME);
    return NULL;
}

/* The connection ends with the commit under way, and the server, which still listens, answers
 * nobody: the question of what became of it is given up within seconds, whatever a single attempt
 * to connect may take. */
static void test_crash_postgres_unknown_fate_is_told_in_time(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    char url[POSTGRES_URL_SIZE] = "", impatient[POSTGRES_URL_SIZE + 32];
    run_script("start", dir.path, url, sizeof(url));
    (void)snprintf(impatient, sizeof(impatient), "%s&connect_timeout=1", url);
    writer w = {0};
    ex_error err = {0};
    if (ex_store_open(impatient, NULL, &w.store, &err))
        fail_msg("%s", err.message);
    assert_int_equal(append_one(&w, "s-0"), EX_OK); /* its names are known from here on */
    w.stored++;
    ex_pg *pg = open_raw(url);
    assert_int_equal(ex_pg_script(pg, "BEGIN; LOCK TABLE events IN SHARE MODE", NULL), EX_OK);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, write_one, &w), 0);
    static const char stuck[] = "SELECT pid FROM pg_locks WHERE relation = 'events'::regclass AND "
                                "NOT granted";
    int64_t pid;
    while ((pid = number_of(pg, stuck)) == 0)
        sched_yield();
    int64_t server =
        number_of(pg, "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::bigint");
    assert_true(pid > 0 && server > 1);
    assert_int_equal(kill((pid_t)server, SIGSTOP), 0);
    uint64_t begun_ns = ex_monotonic_ns(ex_clock_system());
    assert_int_equal(kill((pid_t)pid, SIGTERM), 0);
    int joined = pthread_join(thread, NULL);
    uint64_t took_ns = ex_monotonic_ns(ex_clock_system()) - begun_ns;
    assert_int_equal(kill((pid_t)server, SIGCONT), 0);
    assert_int_equal(joined, 0);
    assert_true(w.is_failed);
    assert_non_null(strstr(w.err.message, "it is not known whether it was stored"));
    assert_true(took_ns < 30 * UINT64_C(1000000000));
    assert_int_equal(ex_pg_script(pg, "ROLLBACK", NULL), EX_OK);
    ex_pg_close(pg);
    assert_int_equal(append_one(&w, "s-0"), EX_OK);
    ex_store_close(w.store);
    run_script("stop", dir.path, NULL, 0);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crash_postgres_loses_and_doubles_nothing),
        cmocka_unit_test(test_crash_postgres_unknown_fate_is_told_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
