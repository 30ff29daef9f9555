/* store_import.c: records of another store, written exactly as they are, and whole logs carried. */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/import.h"
#include "store/log_copy.h"

/* ---- Importing, and waiting for it ---- */

typedef struct waiting {
    ex_import import; /* first */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_done;
    ex_status status;
    ex_error err;
} waiting;

static void on_done(ex_import *import, ex_status status, const ex_error *err)
{
    waiting *w = (waiting *)import;
    (void)pthread_mutex_lock(&w->mu);
    w->status = status;
    if (err)
        w->err = *err;
    w->is_done = true;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->mu);
}

static ex_status import_into(ex_store *store, const ex_event *events, uint32_t event_count,
                             const ex_command_record *commands, uint32_t command_count,
                             ex_error *err)
{
    waiting w = {.import = {.events = events,
                            .event_count = event_count,
                            .commands = commands,
                            .command_count = command_count,
                            .done = on_done}};
    (void)pthread_mutex_init(&w.mu, NULL);
    (void)pthread_cond_init(&w.changed, NULL);
    ex_status st = ex_store_import(store, &w.import, err);
    if (st)
        return st;
    (void)pthread_mutex_lock(&w.mu);
    while (!w.is_done)
        (void)pthread_cond_wait(&w.changed, &w.mu);
    (void)pthread_mutex_unlock(&w.mu);
    if (w.status)
        *err = w.err;
    return w.status;
}

static ex_event event(uint64_t position, const char *stream, uint64_t version)
{
    return (ex_event){.position = position,
                      .version = version,
                      .stream = ex_str(stream),
                      .type = EX_S("T"),
                      .id = suite_id((uint8_t)position),
                      .schema_version = 1,
                      .content_type = EX_S("application/json"),
                      .data = EX_S("{}"),
                      .metadata = EX_S("{}"),
                      .recorded_at_us = 1000000 * (int64_t)position};
}

/* ---- Events ---- */

static void assert_slice(ex_slice have, ex_slice want)
{
    assert_int_equal(have.len, want.len);
    if (want.len)
        assert_memory_equal(have.ptr, want.ptr, want.len);
}

static void assert_event(const ex_event *have, const ex_event *want)
{
    assert_int_equal(have->position, want->position);
    assert_int_equal(have->version, want->version);
    assert_int_equal(have->recorded_at_us, want->recorded_at_us);
    assert_int_equal(have->schema_version, want->schema_version);
    assert_int_equal(have->id.form, want->id.form);
    assert_true(ex_id_eq(&have->id, &want->id));
    assert_slice(have->stream, want->stream);
    assert_slice(have->type, want->type);
    assert_slice(have->content_type, want->content_type);
    assert_slice(have->data, want->data);
    assert_slice(have->metadata, want->metadata);
    assert_slice(have->tags.packed, want->tags.packed);
    assert_slice(have->correlation_id, want->correlation_id);
    assert_slice(have->causation_id, want->causation_id);
}

static void assert_log(suite *s, const ex_event *want, uint32_t count)
{
    ex_cursor *cursor = NULL;
    ex_event have;
    const ex_read_log read = {0};
    assert_int_equal(ex_store_read_log(s->store, &read, &cursor, NULL), EX_OK);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ex_cursor_next(cursor, &have, NULL), EX_OK);
        assert_event(&have, &want[i]);
    }
    assert_int_equal(ex_cursor_next(cursor, &have, NULL), EX_EEND);
    ex_cursor_close(cursor);
}

/* G-060 */
static void test_import_keeps_every_field(void **state)
{
    suite *s = *state;
    static const char bytes[] = "\0\x01\xff bin\n";
    ex_event events[] = {event(1, "$users", 1), event(2, "a", 1), event(3, "a", 2)};
    events[0].id.form = EX_ID_ULID;
    events[0].recorded_at_us = 1;
    events[1].schema_version = 7;
    events[1].content_type = EX_S("application/octet-stream");
    events[1].data = ex_slice_of(bytes, sizeof(bytes) - 1);
    events[1].metadata = EX_S(" {\"b\" : 1.0, \"a\":\"\\u00e9\"}");
    events[1].tags.packed = EX_S("\x03k:v\x04k:v2");
    events[2].correlation_id = EX_S("cor");
    events[2].causation_id = EX_S("cau");
    events[2].data = EX_S("  [1e2]\n");
    ex_error err = {0};
    assert_int_equal(import_into(s->store, events, 3, NULL, 0, &err), EX_OK);
    assert_int_equal(ex_store_head(s->store), 3);
    assert_log(s, events, 3);
    if (s->dir) {
        suite_reopen(s, NULL);
        assert_log(s, events, 3);
    }
    /* found by tag and by type, and the stream goes on */
    const ex_slice tag = EX_S("k:v2");
    const ex_query_item item = {.tags = &tag, .tag_count = 1};
    const ex_filter filter = {.query = {&item, 1}};
    uint64_t positions[4];
    assert_int_equal(suite_read_log(s, 0, &filter, positions, 4), 1);
    assert_int_equal(positions[0], 2);
    suite_fill(s, "a", 1);
    assert_int_equal(suite_version(s, "a"), 3);
}

static void test_import_refuses_what_does_not_follow(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 2);
    const struct {
        const char *name;
        ex_event events[2];
        ex_status want;
        const char *message;
    } cases[] = {
        {"a position that is taken",
         {event(2, "b", 1), event(3, "b", 2)},
         EX_EPRECONDITION,
         "event 2 cannot be written to a log that ends at 2"},
        {"a hole in the log",
         {event(4, "b", 1), event(5, "b", 2)},
         EX_EPRECONDITION,
         "event 4 cannot be written to a log that ends at 2"},
        {"a hole inside the import",
         {event(3, "b", 1), event(5, "b", 2)},
         EX_EPRECONDITION,
         "event 5 cannot be written to a log that ends at 3"},
        {"a version that is taken",
         {event(3, "a", 2), event(4, "a", 3)},
         EX_EPRECONDITION,
         "event 3 is version 2 of stream 'a', which is at version 2"},
        {"a hole in the stream",
         {event(3, "b", 1), event(4, "b", 3)},
         EX_EPRECONDITION,
         "event 4 is version 3 of stream 'b', which is at version 1"},
        {"a stream without a name", {event(3, "b", 1), event(4, "", 1)}, EX_ECORRUPT, "event 4: "},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err = {0};
        ex_status st = import_into(s->store, cases[i].events, 2, NULL, 0, &err);
        if (st != cases[i].want || !strstr(err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_int_equal(err.status, st);
        assert_int_equal(ex_store_head(s->store), 2);
        assert_int_equal(suite_version(s, "b"), 0);
    }
    ex_event cut = event(3, "b", 1);
    cut.tags.packed = EX_S("\x09k:v");
    assert_int_equal(import_into(s->store, &cut, 1, NULL, 0, &(ex_error){0}), EX_ECORRUPT);
}

/* An id that was imported is known: a retry of that append gets the first outcome. */
static void test_import_ids_are_idempotent(void **state)
{
    suite *s = *state;
    ex_event stored = event(1, "a", 1);
    assert_int_equal(import_into(s->store, &stored, 1, NULL, 0, &(ex_error){0}), EX_OK);
    ex_new_event again = EVENT("T", "{}", .id = suite_id(1));
    ex_appended out = {0};
    assert_int_equal(suite_append(s, "a", EX_NO_STREAM, &again, 1, &out, NULL), EX_OK);
    assert_true(out.is_duplicate);
    assert_int_equal(out.position, 1);
}

/* Time does not step back behind events from a clock that was ahead. */
static void test_import_keeps_time_rising(void **state)
{
    suite *s = *state;
    ex_event ahead = event(1, "a", 1);
    ahead.recorded_at_us = ex_now_us(ex_clock_system()) + INT64_C(3600000000);
    assert_int_equal(import_into(s->store, &ahead, 1, NULL, 0, &(ex_error){0}), EX_OK);
    suite_fill(s, "a", 1);
    ex_cursor *cursor = NULL;
    ex_event have;
    const ex_read_log read = {.after = 1};
    assert_int_equal(ex_store_read_log(s->store, &read, &cursor, NULL), EX_OK);
    assert_int_equal(ex_cursor_next(cursor, &have, NULL), EX_OK);
    assert_true(have.recorded_at_us >= ahead.recorded_at_us);
    ex_cursor_close(cursor);
}

/* ---- Command records ---- */

typedef struct seen_commands {
    uint64_t numbers[8];
    uint64_t fingerprints[8];
    int64_t times[8];
    char text[256]; /* "id=outcome;" each */
    uint32_t count;
} seen_commands;

static ex_status see(void *ctx, uint64_t number, const ex_command_record *r, ex_error *err)
{
    (void)err;
    seen_commands *seen = ctx;
    assert_true(seen->count < 8);
    seen->numbers[seen->count] = number;
    seen->fingerprints[seen->count] = r->fingerprint;
    seen->times[seen->count++] = r->recorded_at_us;
    size_t len = strlen(seen->text);
    (void)snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s=%.*s;", EX_ARG(r->command_id),
                   EX_ARG(r->outcome));
    return EX_OK;
}

static ex_status stop(void *ctx, uint64_t number, const ex_command_record *r, ex_error *err)
{
    (void)ctx;
    (void)number;
    return ex_raise(err, EX_EREJECTED, "stopped at %.*s", EX_ARG(r->command_id));
}

static void put_commands(suite *s)
{
    int64_t now = ex_now_us(ex_clock_system());
    const ex_command_record records[] = {{EX_S("c-1"), UINT64_MAX, now - 5, EX_S("one")},
                                         {EX_S("c-2"), 2, now - 4, EX_S("")},
                                         {EX_S("c-3"), 3, now - 4, EX_S("{\"a\":1}")}};
    assert_int_equal(import_into(s->store, NULL, 0, records, 2, &(ex_error){0}), EX_OK);
    assert_int_equal(import_into(s->store, NULL, 0, records + 2, 1, &(ex_error){0}), EX_OK);
}

static void test_import_commands_are_read_in_order(void **state)
{
    suite *s = *state;
    seen_commands none = {0}, all = {0}, rest = {0}, first = {0};
    assert_int_equal(ex_store_read_commands(s->store, 0, 10, see, &none, NULL), EX_OK);
    assert_int_equal(none.count, 0);
    put_commands(s);
    assert_int_equal(ex_store_read_commands(s->store, 0, 10, see, &all, NULL), EX_OK);
    assert_string_equal(all.text, "c-1=one;c-2=;c-3={\"a\":1};");
    assert_true(all.fingerprints[0] == UINT64_MAX);
    assert_int_equal(all.times[1] - all.times[0], 1);
    assert_true(all.numbers[0] < all.numbers[1] && all.numbers[1] < all.numbers[2]);
    assert_int_equal(ex_store_read_commands(s->store, all.numbers[0], 10, see, &rest, NULL), EX_OK);
    assert_string_equal(rest.text, "c-2=;c-3={\"a\":1};");
    assert_int_equal(ex_store_read_commands(s->store, 0, 1, see, &first, NULL), EX_OK);
    assert_string_equal(first.text, "c-1=one;");
    ex_error err = {0};
    assert_int_equal(ex_store_read_commands(s->store, 0, 10, stop, NULL, &err), EX_EREJECTED);
    assert_string_equal(err.message, "stopped at c-1");
    assert_int_equal(ex_store_read_commands(s->store, 0, 1, see, &none, NULL), EX_OK);
}

/* ---- Whole logs ---- */

/* Many streams, tags, sizes: more than one import of either kind. */
static void fill_source(suite *s, uint32_t count)
{
    static char large[200000];
    memset(large, '1', sizeof(large));
    large[0] = large[sizeof(large) - 1] = '"';
    for (uint32_t i = 0; i < count; i++) {
        char stream[32], tag_text[32];
        (void)snprintf(stream, sizeof(stream), "s-%u", i % 7);
        (void)snprintf(tag_text, sizeof(tag_text), "n:%u", i % 5);
        const ex_slice tag = ex_str(tag_text);
        ex_new_event e = EVENT("Added", "{}", .tags = &tag, .tag_count = i % 2);
        if (i % 100 == 99)
            e.data = ex_slice_of(large, sizeof(large));
        suite_put(s, stream, &e);
    }
    put_commands(s);
}

static ex_store *open_memory(void)
{
    ex_store *store = NULL;
    const ex_store_options options = {.in_memory = true};
    assert_int_equal(ex_store_open(NULL, &options, &store, NULL), EX_OK);
    return store;
}

static ex_log_copy *copy_log(ex_store *from, ex_store *to)
{
    ex_log_copy *copy = NULL;
    ex_error err = {0};
    if (ex_log_copy_new(from, to, NULL, NULL, &copy, &err) || ex_log_copy_check(copy, &err) ||
        ex_log_copy_catch_up(copy, &err))
        fail_msg("%s", err.message);
    return copy;
}

static void test_import_carries_a_log_there_and_back(void **state)
{
    suite *s = *state;
    fill_source(s, 1200);
    ex_store *other = open_memory();
    ex_log_copy *there = copy_log(s->store, other);
    assert_int_equal(ex_log_copy_events(there), 1200);
    assert_int_equal(ex_log_copy_commands(there), 3);
    assert_int_equal(ex_log_copy_written(there), 1200);

    /* what comes later, too, and nothing twice */
    suite_fill(s, "later", 3);
    assert_int_equal(ex_log_copy_catch_up(there, NULL), EX_OK);
    assert_int_equal(ex_store_head(other), 1203);
    assert_int_equal(ex_log_copy_commands(there), 3);

    ex_log_copy *again = copy_log(s->store, other);
    assert_int_equal(ex_log_copy_events(again), 0);
    assert_int_equal(ex_log_copy_commands(again), 0);
    assert_true(ex_log_digest_eq(ex_log_copy_digest(there), ex_log_copy_digest(again)));
    ex_log_copy_free(again);

    /* into the driver under test: a fresh store, the same digest */
    suite second = {.driver = s->driver};
    void *second_state = &second;
    assert_int_equal(suite_set_up(&second_state), 0);
    ex_log_copy *back = copy_log(other, second.store);
    assert_true(ex_log_digest_eq(ex_log_copy_digest(there), ex_log_copy_digest(back)));
    seen_commands seen = {0};
    assert_int_equal(ex_store_read_commands(second.store, 0, 10, see, &seen, NULL), EX_OK);
    assert_string_equal(seen.text, "c-1=one;c-2=;c-3={\"a\":1};");
    ex_log_copy_free(back);
    suite_tear_down(&second_state);
    ex_log_copy_free(there);
    ex_store_close(other);
}

static void test_import_refuses_a_target_with_another_log(void **state)
{
    suite *s = *state;
    suite_fill(s, "a", 20);
    ex_store *other = open_memory();
    ex_log_copy_free(copy_log(s->store, other));
    suite_fill(s, "a", 5);
    /* the same stream and data, but another id and time */
    const ex_new_event added = EVENT("Added", "{\"n\":0}");
    const ex_stream_write write = {EX_S("a"), EX_ANY, &added, 1};
    assert_int_equal(ex_store_append(other, &(ex_append){&write, 1, NULL, 0}, NULL, NULL), EX_OK);

    ex_log_copy *copy = NULL;
    ex_error err = {0};
    assert_int_equal(ex_log_copy_new(s->store, other, NULL, NULL, &copy, NULL), EX_OK);
    assert_int_equal(ex_log_copy_check(copy, &err), EX_EPRECONDITION);
    assert_int_equal(err.position, 21);
    assert_non_null(strstr(err.message, "event 21 differs"));
    ex_log_copy_free(copy);

    /* the other way round: longer than its source */
    memset(&err, 0, sizeof(err));
    ex_store *empty = open_memory();
    assert_int_equal(ex_log_copy_new(empty, s->store, NULL, NULL, &copy, NULL), EX_OK);
    assert_int_equal(ex_log_copy_check(copy, &err), EX_EPRECONDITION);
    assert_int_equal(err.position, 1);
    ex_log_copy_free(copy);
    assert_int_equal(ex_store_head(s->store), 25);
    ex_store_close(empty);
    ex_store_close(other);
}

static bool stop_after(void *ctx, ex_log_copy_phase phase, uint64_t done, uint64_t total)
{
    (void)total;
    return phase != EX_COPY_COPYING || done < *(uint64_t *)ctx;
}

static void test_import_goes_on_after_a_stop(void **state)
{
    suite *s = *state;
    fill_source(s, 2500);
    ex_store *other = open_memory();
    ex_log_copy *copy = NULL;
    uint64_t stop_at = 1500;
    assert_int_equal(ex_log_copy_new(s->store, other, stop_after, &stop_at, &copy, NULL), EX_OK);
    assert_int_equal(ex_log_copy_catch_up(copy, NULL), EX_ECANCELLED);
    uint64_t written = ex_log_copy_written(copy);
    assert_true(written > 0 && written < 2500);
    assert_int_equal(written, ex_store_head(other));
    ex_log_copy_free(copy);
    copy = copy_log(s->store, other);
    assert_int_equal(ex_log_copy_events(copy), 2500 - written);
    ex_log_copy_free(copy);
    ex_store_close(other);
}

int store_import_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_import_keeps_every_field),
        STORE_TEST(test_import_refuses_what_does_not_follow),
        STORE_TEST(test_import_ids_are_idempotent),
        STORE_TEST(test_import_keeps_time_rising),
        STORE_TEST(test_import_commands_are_read_in_order),
        STORE_TEST(test_import_carries_a_log_there_and_back),
        STORE_TEST(test_import_refuses_a_target_with_another_log),
        STORE_TEST(test_import_goes_on_after_a_stop),
    };
    return cmocka_run_group_tests_name("store import", tests, NULL, NULL);
}
