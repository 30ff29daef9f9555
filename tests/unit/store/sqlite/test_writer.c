/* test_writer.c: the WAL stays bounded under constant load, with readers coming and going. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <excore/store.h>

#include "support/temp_dir.h"

enum { APPENDS = 1200, EVENTS = 20, EVENT_BYTES = 4000 };

static uint64_t file_size(const char *dir, const char *name)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void read_some(ex_store *s)
{
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s, &(ex_read_log){.limit = 50}, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK)
        assert_int_equal(e.data.len, EVENT_BYTES);
    ex_cursor_close(c);
}

static void test_writer_keeps_the_wal_bounded(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    ex_store *s = NULL;
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    assert_int_equal(ex_store_open(dir.path, &options, &s, NULL), EX_OK);
    char *data = malloc(EVENT_BYTES);
    assert_non_null(data);
    memset(data, '1', EVENT_BYTES);
    data[0] = data[EVENT_BYTES - 1] = '"';
    ex_new_event events[EVENTS];
    for (int i = 0; i < EVENTS; i++)
        events[i] = (ex_new_event){.type = EX_S("T"), .data = ex_slice_of(data, EVENT_BYTES)};
    ex_stream_write write = {EX_S("a"), EX_ANY, events, EVENTS};
    ex_append append = {.writes = &write, .write_count = 1};
    uint64_t largest = 0;
    for (int i = 0; i < APPENDS; i++) {
        assert_int_equal(ex_store_append(s, &append, NULL, NULL), EX_OK);
        if (i % 10 == 0)
            read_some(s);
        uint64_t wal = file_size(dir.path, "events.db-wal");
        if (wal > largest)
            largest = wal;
    }
    /* about 100 MB went through it */
    assert_true(file_size(dir.path, "events.db") > 80 << 20);
    assert_in_range(largest, 1 << 20, 24 << 20);
    ex_store_close(s);
    assert_int_equal(file_size(dir.path, "events.db-wal"), 0);
    free(data);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_writer_keeps_the_wal_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
