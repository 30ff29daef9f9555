/* store_suite.c: the helpers of the conformance suite. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/postgres.h"
#include "support/temp_dir.h"

static void fail_with(const char *doing, const ex_error *err)
{
    fail_msg("%s: %s: %s", doing, err->code, err->message);
}

static void open_store(suite *s, const ex_store_options *given)
{
    ex_store_options options = given ? *given : (ex_store_options){0};
    options.in_memory = s->driver == SUITE_MEMORY;
    ex_error err = {0};
    if (ex_store_open(s->dir, &options, &s->store, &err))
        fail_with("open", &err);
}

int suite_set_up(void **state)
{
    suite *s = *state;
    s->dir = NULL;
    s->store = NULL;
    if (s->driver == SUITE_SQLITE) {
        temp_dir dir = temp_dir_make();
        s->dir = strdup(dir.path);
        assert_non_null(s->dir);
    } else if (s->driver == SUITE_POSTGRES) {
        static int number;
        char name[16], url[POSTGRES_URL_SIZE];
        (void)snprintf(name, sizeof(name), "%d", number++);
        s->dir = strdup(postgres_schema_url(postgres_url(), name, url));
        assert_non_null(s->dir);
    }
    open_store(s, NULL);
    return 0;
}

int suite_tear_down(void **state)
{
    suite *s = *state;
    ex_store_close(s->store);
    s->store = NULL;
    if (s->driver == SUITE_POSTGRES && s->dir) {
        postgres_drop_schema(s->dir);
    } else if (s->dir) {
        temp_dir dir;
        (void)snprintf(dir.path, sizeof(dir.path), "%s", s->dir);
        temp_dir_remove(&dir);
    }
    free(s->dir);
    s->dir = NULL;
    return 0;
}

void suite_reopen(suite *s, const ex_store_options *options)
{
    ex_store_close(s->store);
    s->store = NULL;
    open_store(s, options);
}

bool suite_skips_files(suite *s)
{
    return s->driver != SUITE_SQLITE;
}

bool suite_forgets(suite *s)
{
    return s->driver == SUITE_MEMORY;
}

ex_status suite_append(suite *s, const char *stream, ex_expected expected,
                       const ex_new_event *events, uint32_t count, ex_appended *ret, ex_error *err)
{
    ex_stream_write write = {ex_str(stream), expected, events, count};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(s->store, &append, ret, err);
}

void suite_put(suite *s, const char *stream, const ex_new_event *event)
{
    ex_error err = {0};
    if (suite_append(s, stream, EX_ANY, event, 1, NULL, &err))
        fail_with("append", &err);
}

void suite_fill(suite *s, const char *stream, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char data[32];
        (void)snprintf(data, sizeof(data), "{\"n\":%u}", i);
        ex_new_event event = {.type = EX_S("Added"), .data = ex_str(data)};
        suite_put(s, stream, &event);
    }
}

ex_id suite_id(uint8_t n)
{
    ex_id id = {.form = EX_ID_UUID};
    memset(id.bytes, n, sizeof(id.bytes));
    return id;
}

uint64_t suite_version(suite *s, const char *stream)
{
    uint64_t version = 0;
    ex_error err = {0};
    if (ex_store_stream_version(s->store, ex_str(stream), &version, &err))
        fail_with("version", &err);
    return version;
}

/* ---- Reading ---- */

static uint32_t drain(ex_cursor *c, bool is_stream, uint64_t *out, uint32_t room)
{
    uint32_t count = 0;
    ex_event event;
    ex_error err = {0};
    ex_status st;
    while ((st = ex_cursor_next(c, &event, &err)) == EX_OK) {
        assert_true(count < room);
        out[count++] = is_stream ? event.version : event.position;
    }
    if (st != EX_EEND)
        fail_with("read", &err);
    assert_int_equal(ex_cursor_next(c, &event, NULL), EX_EEND); /* it stays at the end */
    ex_cursor_close(c);
    return count;
}

uint32_t suite_read_log(suite *s, uint64_t after, const ex_filter *filter, uint64_t *out,
                        uint32_t room)
{
    ex_read_log read = {.after = after, .filter = filter};
    ex_cursor *c = NULL;
    ex_error err = {0};
    if (ex_store_read_log(s->store, &read, &c, &err))
        fail_with("read", &err);
    return drain(c, false, out, room);
}

uint32_t suite_read_stream(suite *s, const ex_read_stream *read, uint64_t *out, uint32_t room)
{
    ex_cursor *c = NULL;
    ex_error err = {0};
    if (ex_store_read_stream(s->store, read, &c, &err))
        fail_with("read", &err);
    return drain(c, true, out, room);
}

static void print_numbers(const char *label, const uint64_t *numbers, uint32_t count)
{
    print_error("%s:", label);
    for (uint32_t i = 0; i < count; i++)
        print_error(" %llu", (unsigned long long)numbers[i]);
    print_error("\n");
}

void suite_assert_numbers(const char *name, const uint64_t *have, uint32_t have_count,
                          const uint64_t *want, uint32_t want_count)
{
    if (have_count == want_count && memcmp(have, want, want_count * sizeof(*want)) == 0)
        return;
    print_numbers("have", have, have_count);
    print_numbers("want", want, want_count);
    fail_msg("%s: other numbers", name);
}
