/* test_subscription_stress.c: many writers, followers of every kind, a ring that is always too
 * small.
 *
 * The followers run beside the writers. At the end each must have seen exactly
 * what a cursor over the finished log shows through the same filter, in order.
 * Seeded: the seed is printed when it fails; give it as the only argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/live.h"
#include "store/tail.h"
#include "support/temp_dir.h"

#define WRITERS            4
#define APPENDS_PER_WRITER 300
#define EVENTS_MAX         8
#define STREAMS            5
#define TYPES              4
#define RING_BYTES         6000
#define CAPACITY           (WRITERS * APPENDS_PER_WRITER * EVENTS_MAX + 1)

static uint64_t seed = 20261121;

static uint32_t below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33) % n;
}

static ex_slice name_of(char room[16], const char *prefix, uint32_t n)
{
    return ex_slice_of(room, (size_t)snprintf(room, 16, "%s%u", prefix, n));
}

/* ---- Writers ---- */

typedef struct writer {
    ex_store *store;
    uint64_t random;
} writer;

static void append_or_fail(ex_store *s, const ex_stream_write *write)
{
    ex_append append = {.writes = write, .write_count = 1};
    ex_error err = {0};
    if (ex_store_append(s, &append, NULL, &err) != EX_OK) {
        fprintf(stderr, "seed %llu: append: %s\n", (unsigned long long)seed, err.message);
        abort();
    }
}

static void append_some(writer *w)
{
    static const ex_slice tags[3] = {EX_S_INIT("k:0"), EX_S_INIT("k:1"), EX_S_INIT("k:2")};
    static const char data[600] = {[0 ... 599] = '7'};
    char types[EVENTS_MAX][16];
    char stream[16];
    ex_new_event events[EVENTS_MAX];
    uint32_t count = 1 + below(&w->random, EVENTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        events[i] = (ex_new_event){
            .type = name_of(types[i], "T", below(&w->random, TYPES)),
            .content_type = EX_S("text/plain"),
            .data = ex_slice_of(data, 1 + below(&w->random, sizeof data - 1)),
            .tags = &tags[below(&w->random, 3)],
            .tag_count = below(&w->random, 2),
        };
    }
    append_or_fail(w->store,
                   &(ex_stream_write){.stream = name_of(stream, "s-", below(&w->random, STREAMS)),
                                      .events = events,
                                      .event_count = count});
}

static void *write_all(void *arg)
{
    for (int i = 0; i < APPENDS_PER_WRITER; i++)
        append_some(arg);
    return NULL;
}

/* The last event of each stream, so that every follower knows when it has seen all. */
static void append_ends(ex_store *s)
{
    for (uint32_t i = 0; i < STREAMS; i++) {
        char stream[16];
        ex_new_event end = {.type = EX_S("End"), .data = EX_S("{}")};
        append_or_fail(s, &(ex_stream_write){.stream = name_of(stream, "s-", i),
                                             .events = &end,
                                             .event_count = 1});
    }
}

/* ---- Followers ---- */

typedef struct seen {
    uint64_t position;
    uint64_t version;
    size_t data_len;
} seen;

typedef struct follower {
    const char *name;
    ex_subscribe request;
    uint32_t ends;   /* how many End events it will see */
    uint32_t pause;  /* yields of the processor after each event */
    bool by_polling; /* poll, fill and a time-out instead of waiting */
    bool reconnects; /* closes now and then and goes on after the last event it saw */
    ex_store *store;
    uint64_t random;
    seen *log;
    size_t count;
    ex_status status;
} follower;

static ex_status poll_once(ex_subscription *sub, ex_event *ret)
{
    ex_status status;
    while ((status = ex_subscription_poll(sub, ret, NULL)) != EX_OK) {
        if (status == EX_EAGAIN)
            status = ex_subscription_fill(sub, NULL);
        else if (status == EX_ETIMEOUT)
            status = sched_yield() == 0 ? EX_OK : EX_EINTERNAL;
        if (status != EX_OK)
            break;
    }
    return status;
}

static ex_status take_one(follower *f, ex_subscription *sub, ex_event *ret)
{
    return f->by_polling ? poll_once(sub, ret) : ex_subscription_next(sub, -1, ret, NULL);
}

/* Follow until the end or, when it reconnects, for some events. */
static ex_status follow_once(follower *f, uint32_t *ends)
{
    ex_subscription *sub = NULL;
    ex_status status = ex_store_subscribe(f->store, &f->request, &sub, NULL);
    uint32_t left = f->reconnects ? 1 + below(&f->random, 60) : UINT32_MAX;
    while (status == EX_OK && *ends < f->ends && left-- != 0 && f->count < CAPACITY) {
        ex_event e;
        status = take_one(f, sub, &e);
        if (status != EX_OK)
            break;
        f->log[f->count++] = (seen){e.position, e.version, e.data.len};
        f->request.after = f->request.stream.len != 0 ? e.version : e.position;
        *ends += ex_slice_is(e.type, "End");
        for (uint32_t i = 0; i < f->pause; i++)
            sched_yield();
    }
    ex_subscription_close(sub);
    return status;
}

static void *follow(void *arg)
{
    follower *f = arg;
    uint32_t ends = 0;
    while (f->status == EX_OK && ends < f->ends && f->count < CAPACITY)
        f->status = follow_once(f, &ends);
    return NULL;
}

/* ---- The truth: the finished log through a cursor ---- */

static size_t read_truth(ex_store *s, const ex_subscribe *request, seen *log)
{
    ex_read_log read = {0};
    ex_cursor *cursor = NULL;
    ex_event e;
    size_t count = 0;
    uint64_t position = 0;
    assert_int_equal(ex_store_read_log(s, &read, &cursor, NULL), EX_OK);
    while (ex_cursor_next(cursor, &e, NULL) == EX_OK) {
        assert_int_equal(e.position, ++position);
        bool wanted = request->stream.len != 0
                          ? ex_slice_eq(e.stream, request->stream)
                          : request->filter == NULL || ex_filter_matches(request->filter, &e);
        if (wanted)
            log[count++] = (seen){e.position, e.version, e.data.len};
    }
    ex_cursor_close(cursor);
    return count;
}

static void check_follower(const follower *f, seen *truth)
{
    ex_subscribe request = f->request;
    size_t count = read_truth(f->store, &request, truth);
    if (f->status != EX_OK || f->count != count)
        fail_msg("seed %llu: %s: %s after %zu events of %zu", (unsigned long long)seed, f->name,
                 ex_status_text(f->status), f->count, count);
    for (size_t i = 0; i < count; i++) {
        if (f->log[i].position != truth[i].position || f->log[i].version != truth[i].version ||
            f->log[i].data_len != truth[i].data_len)
            fail_msg("seed %llu: %s: event %zu is %llu, not %llu", (unsigned long long)seed,
                     f->name, i, (unsigned long long)f->log[i].position,
                     (unsigned long long)truth[i].position);
    }
}

/* ---- The run ---- */

static ex_slice types_wanted[] = {EX_S_INIT("T1"), EX_S_INIT("End")};
static ex_slice tag_wanted = EX_S_INIT("k:2");
static ex_slice end_type = EX_S_INIT("End");
static ex_slice streams_wanted[] = {EX_S_INIT("s-1"), EX_S_INIT("s-3"), EX_S_INIT("s-9")};
static const ex_query_item by_type = {.types = types_wanted, .type_count = 2};
static const ex_query_item by_tag[] = {{.tags = &tag_wanted, .tag_count = 1},
                                       {.types = &end_type, .type_count = 1}};
static const ex_query_item only_end = {.types = &end_type, .type_count = 1};
static const ex_filter type_filter = {.query = {&by_type, 1}};
static const ex_filter tag_filter = {.query = {by_tag, 2}};
static const ex_filter rare_filter = {.query = {&only_end, 1}};
static const ex_filter stream_filter = {.streams = streams_wanted, .stream_count = 3};

static const follower kinds[] = {
    {.name = "fast", .ends = STREAMS},
    {.name = "polling", .ends = STREAMS, .by_polling = true},
    {.name = "slow", .ends = STREAMS, .pause = 20},
    {.name = "reconnecting", .ends = STREAMS, .reconnects = true},
    {.name = "by type", .ends = STREAMS, .request.filter = &type_filter},
    {.name = "by tag, slow", .ends = STREAMS, .request.filter = &tag_filter, .pause = 10},
    {.name = "by streams", .ends = 2, .request.filter = &stream_filter, .reconnects = true},
    {.name = "nearly nothing", .ends = STREAMS, .request.filter = &rare_filter},
    {.name = "one stream", .ends = 1, .request.stream = EX_S_INIT("s-2")},
    {.name = "one stream, slow", .ends = 1, .request.stream = EX_S_INIT("s-4"), .pause = 20},
    {.name = "one stream, reconnecting",
     .ends = 1,
     .request.stream = EX_S_INIT("s-0"),
     .reconnects = true,
     .by_polling = true},
};
#define FOLLOWERS (sizeof kinds / sizeof *kinds)

static ex_store *open_store(bool in_memory, const temp_dir *dir, ex_metrics *metrics)
{
    ex_store_options options = {.in_memory = in_memory,
                                .durability = EX_DURABILITY_NORMAL,
                                .ring_limit_bytes = RING_BYTES,
                                .reader_limit = 4,
                                .metrics = metrics};
    ex_store *s = NULL;
    ex_error err = {0};
    if (ex_store_open(in_memory ? NULL : dir->path, &options, &s, &err) != EX_OK)
        fail_msg("open: %s", err.message);
    return s;
}

static void run(bool in_memory)
{
    temp_dir dir = temp_dir_make();
    ex_metrics *metrics = NULL;
    assert_int_equal(ex_metrics_new("excore", &metrics, NULL), EX_OK);
    ex_store *s = open_store(in_memory, &dir, metrics);
    writer writers[WRITERS];
    follower followers[FOLLOWERS];
    pthread_t threads[WRITERS + FOLLOWERS];
    for (size_t i = 0; i < FOLLOWERS; i++) {
        followers[i] = kinds[i];
        followers[i].store = s;
        followers[i].random = seed + i;
        followers[i].log = malloc(CAPACITY * sizeof(seen));
        assert_non_null(followers[i].log);
        assert_int_equal(pthread_create(&threads[WRITERS + i], NULL, follow, &followers[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.store = s, .random = seed * 31 + i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_all, &writers[i]), 0);
    }
    for (size_t i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    append_ends(s);
    seen *truth = malloc(CAPACITY * sizeof(seen));
    assert_non_null(truth);
    for (size_t i = 0; i < FOLLOWERS; i++) {
        pthread_join(threads[WRITERS + i], NULL);
        check_follower(&followers[i], truth);
        free(followers[i].log);
    }
    /* The ring was too small for them: they went to the log and back many times. */
    assert_true(ex_counter_value(store_live_of(s)->metrics.fills) > 50);
    free(truth);
    ex_store_close(s);
    ex_metrics_free(metrics);
    temp_dir_remove(&dir);
}

static void test_subscription_delivers_all_once_in_order_in_memory(void **state)
{
    (void)state;
    run(true);
}

static void test_subscription_delivers_all_once_in_order_on_disk(void **state)
{
    (void)state;
    run(false);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_subscription_delivers_all_once_in_order_in_memory),
        cmocka_unit_test(test_subscription_delivers_all_once_in_order_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
