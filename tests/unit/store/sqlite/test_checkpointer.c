/* test_checkpointer.c: the WAL stays small beside our own readers, however busy or slow they are;
 * who pins it from outside is told of, and what it cost goes away with him. Issue 8, item 13;
 * G-608, G-609. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "observe/metrics.h"
#include "store/store_internal.h"
#include "support/temp_dir.h"

#define PAGES       500 /* from so many on there is work: 2 MB */
#define PAGE_BYTES  4096
#define EVENT_BYTES 4000
#define BATCH       20

typedef struct world {
    temp_dir dir;
    ex_store *store;
    char data[EVENT_BYTES];
    atomic_bool is_over;
} world;

static const ex_slice odd = EX_S_INIT("n:odd"), even = EX_S_INIT("n:even");

static world *start(uint32_t pages)
{
    static world w;
    memset(&w, 0, sizeof(w));
    w.dir = temp_dir_make();
    const ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    const store_internals internals = {.checkpoint_pages = pages};
    assert_int_equal(store_open_with(w.dir.path, &options, &internals, &w.store, NULL), EX_OK);
    memset(w.data, '1', EVENT_BYTES);
    w.data[0] = w.data[EVENT_BYTES - 1] = '"';
    return &w;
}

static void stop(world *w)
{
    ex_store_close(w->store);
    temp_dir_remove(&w->dir);
}

static void append(world *w, int batches)
{
    ex_new_event events[BATCH];
    for (int i = 0; i < BATCH; i++)
        events[i] = (ex_new_event){.type = EX_S("T"),
                                   .data = ex_slice_of(w->data, EVENT_BYTES),
                                   .tags = i % 2 ? &odd : &even,
                                   .tag_count = 1};
    const ex_stream_write write = {EX_S("a"), EX_ANY, events, BATCH};
    for (int i = 0; i < batches; i++)
        assert_int_equal(
            ex_store_append(w->store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL),
            EX_OK);
}

static store_wal measure(const world *w)
{
    store_wal wal;
    w->store->driver.ops->measure_wal(w->store->driver.impl, &wal);
    return wal;
}

/* Batches are written until the WAL has started anew so many times. @return its largest size */
static uint64_t write_through(world *w, int times)
{
    uint64_t largest = 0, before = measure(w).bytes;
    for (int i = 0; times > 0; i++) {
        append(w, 1);
        uint64_t bytes = measure(w).bytes;
        times -= bytes < before;
        before = bytes;
        largest = bytes > largest ? bytes : largest;
        assert_true(i < 20000);
    }
    return largest;
}

/* G-608: cursors that stand still, and followers, hold nothing; nor does a store that is open for
 * reading only, as the command line has it in a process of its own. */
static void test_checkpointer_beside_readers_that_stand_still(void **state)
{
    (void)state;
    world *w = start(PAGES);
    ex_cursor *log = NULL, *stream = NULL;
    ex_subscription *sub = NULL, *other_sub = NULL;
    ex_store *other = NULL;
    ex_cursor *other_log = NULL;
    ex_event e;
    append(w, 50);
    assert_int_equal(
        ex_store_open(w->dir.path, &(ex_store_options){.read_only = true}, &other, NULL), EX_OK);
    assert_int_equal(ex_store_read_log(other, &(ex_read_log){0}, &other_log, NULL), EX_OK);
    assert_int_equal(ex_store_subscribe(other, &(ex_subscribe){0}, &other_sub, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(other_log, &e, NULL), EX_OK);
    assert_int_equal(ex_subscription_next(other_sub, -1, &e, NULL), EX_OK);
    const ex_read_stream read = {.stream = EX_S("a")};
    assert_int_equal(ex_store_read_log(w->store, &(ex_read_log){0}, &log, NULL), EX_OK);
    assert_int_equal(ex_store_read_stream(w->store, &read, &stream, NULL), EX_OK);
    assert_int_equal(ex_store_subscribe(w->store, &(ex_subscribe){0}, &sub, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(log, &e, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(stream, &e, NULL), EX_OK);
    assert_int_equal(ex_subscription_next(sub, -1, &e, NULL), EX_OK);
    assert_true(write_through(w, 4) <= 3 * PAGES * PAGE_BYTES);
    assert_true(measure(w).checkpoints >= 4);
    for (uint64_t i = 2; i <= 1000; i++) { /* what they see is what they would have seen */
        assert_int_equal(ex_cursor_next(log, &e, NULL), EX_OK);
        assert_int_equal(e.position, i);
    }
    assert_int_equal(ex_cursor_next(log, &e, NULL), EX_EEND);
    assert_int_equal(ex_cursor_next(other_log, &e, NULL), EX_OK);
    assert_int_equal(e.position, 2);
    ex_cursor_close(log);
    ex_cursor_close(stream);
    ex_cursor_close(other_log);
    ex_subscription_close(sub);
    ex_subscription_close(other_sub);
    ex_store_close(other);
    stop(w);
}

static void *read_on_and_on(void *arg)
{
    world *w = arg;
    const ex_slice both[] = {odd, even};
    const ex_query_item item = {NULL, 0, both, 2};
    const ex_filter nothing = {.query = {&item, 1}};
    while (!atomic_load(&w->is_over)) {
        ex_cursor *c = NULL;
        ex_event e;
        assert_int_equal(ex_store_read_log(w->store, &(ex_read_log){.filter = &nothing}, &c, NULL),
                         EX_OK);
        assert_int_equal(ex_cursor_next(c, &e, NULL), EX_EEND);
        ex_cursor_close(c);
    }
    return NULL;
}

/* G-608: readers of which there is always one inside are asked to wait for a moment. */
static void test_checkpointer_beside_readers_that_never_rest(void **state)
{
    (void)state;
    world *w = start(PAGES);
    pthread_t readers[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on_and_on, w), 0);
    assert_true(write_through(w, 3) <= 8 * PAGES * PAGE_BYTES);
    atomic_store(&w->is_over, true);
    for (int i = 0; i < 3; i++)
        (void)pthread_join(readers[i], NULL);
    stop(w);
}

/* G-609: another process with a transaction: a bare connection. */
static void test_checkpointer_beside_a_foreign_snapshot(void **state)
{
    (void)state;
    world *w = start(PAGES);
    sqlite3 *db = NULL;
    char path[600];
    append(w, 10);
    (void)snprintf(path, sizeof(path), "%s/events.db", w->dir.path);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM events", NULL, NULL, NULL),
                     SQLITE_OK);
    while (measure(w).bytes <= EX_WAL_LIMIT_BYTES) {
        assert_int_equal(ex_store_check_wal(w->store, NULL), EX_OK);
        append(w, 20);
    }
    ex_error err = {0};
    assert_int_equal(ex_store_check_wal(w->store, &err), EX_EOVERLOADED);
    assert_non_null(strstr(err.message, "128 MiB"));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    (void)write_through(w, 1);
    assert_int_equal(ex_store_check_wal(w->store, NULL), EX_OK);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    FILE *wal;
    (void)snprintf(path, sizeof(path), "%s/events.db-wal", w->dir.path);
    assert_non_null(wal = fopen(path, "rb"));
    assert_int_equal(fseek(wal, 0, SEEK_END), 0);
    assert_true(ftell(wal) <= 80 << 20); /* it was cut */
    (void)fclose(wal);
    stop(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpointer_beside_readers_that_stand_still),
        cmocka_unit_test(test_checkpointer_beside_readers_that_never_rest),
        cmocka_unit_test(test_checkpointer_beside_a_foreign_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
