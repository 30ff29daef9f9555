/* test_writer.c: rows are the same however many go into one statement; the WAL stays bounded under
 * constant load, with readers coming and going. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <excore/id.h>
#include <excore/store.h>

#include "store/driver.h"
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
    assert_true(file_size(dir.path, "events.db") > 40 << 20);
    assert_in_range(largest, 1 << 20, 96 << 20);
    ex_store_close(s);
    assert_int_equal(file_size(dir.path, "events.db-wal"), 0);
    free(data);
    temp_dir_remove(&dir);
}

/* ---- Rows ---- */

enum { STREAMS = 3, LARGEST = 40 };

static const char *const stream_names[STREAMS] = {"a", "b", "c"};

/* Optional columns in all combinations, by the event's number in the log. */
static ex_new_event make_event(uint64_t number, char data[32], ex_slice *tag)
{
    ex_new_event e = {.type = number % 2 ? EX_S("Odd") : EX_S("Even")};
    (void)snprintf(data, 32, "{\"n\":%llu}", (unsigned long long)number);
    e.data = ex_str(data);
    e.schema_version = number % 3 ? 1 : 7;
    if (number % 5 == 0)
        e.metadata = EX_S("{\"k\":1}");
    if (number % 7 == 0)
        e.content_type = EX_S("text/plain");
    if (number % 4 == 0) {
        *tag = EX_S("four:yes");
        e.tags = tag;
        e.tag_count = 1;
    }
    if (number % 11 == 0)
        e.correlation_id = EX_S("eleven");
    if (number % 6 == 0) {
        assert_int_equal(ex_id_parse(EX_S("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &e.id, NULL), EX_OK);
        e.id.bytes[14] = (uint8_t)(number >> 8);
        e.id.bytes[15] = (uint8_t)number;
    }
    return e;
}

static void check_event(const ex_event *e, uint64_t version)
{
    char data[32];
    ex_slice tag;
    ex_new_event want = make_event(e->position, data, &tag);
    assert_int_equal(e->version, version);
    assert_true(ex_slice_eq(e->type, want.type));
    assert_true(ex_slice_eq(e->data, want.data));
    assert_int_equal(e->schema_version, want.schema_version);
    assert_true(ex_slice_eq(e->metadata, want.metadata.len ? want.metadata : EX_S("{}")));
    assert_true(ex_slice_eq(e->content_type,
                            want.content_type.len ? want.content_type : EX_S("application/json")));
    assert_true(ex_slice_eq(e->correlation_id, want.correlation_id));
    assert_int_equal(e->tags.packed.len, want.tag_count ? 1 + tag.len : 0);
    if (!ex_id_is_nil(&want.id))
        assert_true(ex_id_eq(&e->id, &want.id));
}

/* One append: `count` events, dealt out to the streams in turn of sizes. */
static void append_many(ex_store *s, uint64_t *number, uint32_t count)
{
    ex_new_event events[LARGEST];
    char data[LARGEST][32];
    ex_slice tags[LARGEST];
    ex_stream_write writes[STREAMS];
    uint32_t at = 0, used = 0;
    for (uint32_t i = 0; i < count; i++)
        events[i] = make_event(++*number, data[i], &tags[i]);
    for (uint32_t i = 0; i < STREAMS && at < count; i++) {
        uint32_t part = i + 1 == STREAMS ? count - at : (count + STREAMS - 1 - i) / STREAMS;
        part = part < count - at ? part : count - at;
        writes[used++] = (ex_stream_write){ex_str(stream_names[(i + count) % STREAMS]), EX_ANY,
                                           events + at, part};
        at += part;
    }
    ex_append append = {.writes = writes, .write_count = used};
    ex_error err;
    if (ex_store_append(s, &append, NULL, &err))
        fail_msg("%u events: %s", count, err.message);
}

static uint64_t check_stream(ex_store *s, const char *name)
{
    ex_cursor *c = NULL;
    ex_event e;
    uint64_t version = 0;
    ex_read_stream read = {.stream = ex_str(name)};
    assert_int_equal(ex_store_read_stream(s, &read, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK)
        check_event(&e, ++version);
    ex_cursor_close(c);
    return version;
}

/* Every size around that of a statement for many rows, by a writer that knows the streams and by
 * one that has to read how they hang together, also from rows of the same call. */
static void test_writer_stores_appends_of_any_size(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    ex_store_options options = {.durability = EX_DURABILITY_NORMAL};
    uint64_t number = 0;
    for (uint32_t count = 1; count <= LARGEST; count++) {
        ex_store *s = NULL;
        assert_int_equal(ex_store_open(dir.path, &options, &s, NULL), EX_OK);
        append_many(s, &number, count);
        append_many(s, &number, count);
        uint64_t total = 0;
        for (int i = 0; i < STREAMS; i++)
            total += check_stream(s, stream_names[i]);
        assert_int_equal(total, number);
        ex_store_close(s);
    }
    temp_dir_remove(&dir);
}

/* Two streams that share a place among the ends of streams: the one that comes back is linked to an
 * event of the same call. */
static void test_writer_links_to_rows_of_the_same_call(void **state)
{
    (void)state;
    temp_dir dir = temp_dir_make();
    const store_driver_ops *ops = &store_sqlite_driver;
    log_identity identity;
    log_identity_init(&identity);
    store_driver_options options = {
        .dir = dir.path, .durability = EX_DURABILITY_NORMAL, .identity = &identity};
    void *impl = NULL;
    store_head head;
    ex_error err;
    assert_int_equal(ops->open(&options, &impl, &err), EX_OK);
    assert_int_equal(ops->begin(impl, &head, &err), EX_OK);
    store_stream a = {.name = EX_S("a"), .id = 1}, b = {.name = EX_S("b"), .id = 1 + (1 << 15)};
    store_stream *const streams[] = {&a, &a, &a, &a, &a, &b, &a};
    const uint64_t versions[] = {1, 2, 3, 4, 5, 1, 6}; /* 6 jumps to 3, as 5 and 4 tell */
    enum { COUNT = sizeof(versions) / sizeof(versions[0]) };
    ex_event events[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        events[i] = (ex_event){.position = i + 1,
                               .version = versions[i],
                               .stream = streams[i]->name,
                               .type = EX_S("T"),
                               .schema_version = 1,
                               .content_type = EX_S("application/json"),
                               .metadata = EX_S("{}"),
                               .data = EX_S("1")};
        assert_int_equal(ex_id_new(&events[i].id, &err), EX_OK);
    }
    store_write w = {.events = events, .streams = streams, .event_count = COUNT};
    if (ops->write(impl, &w, &err))
        fail_msg("%s", err.message);
    assert_int_equal(ops->commit(impl, &err), EX_OK);
    ops->close(impl);
    log_identity_done(&identity);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writer_stores_appends_of_any_size),
        cmocka_unit_test(test_writer_links_to_rows_of_the_same_call),
        cmocka_unit_test(test_writer_keeps_the_wal_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
