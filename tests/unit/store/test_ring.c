/* test_ring.c: the ring of recent events: contents, limit, late readers, readers beside a writer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/ring.h"

#define TEXT_SIZE 32

static void make_events(ex_event *events, char (*data)[TEXT_SIZE], uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(data[i], TEXT_SIZE, "{\"n\":%llu}", (unsigned long long)(first + i));
        events[i] = (ex_event){
            .position = first + i,
            .version = (first + i) * 2,
            .stream = EX_S("order-1"),
            .type = EX_S("OrderPlaced"),
            .id = {.bytes = {1, 2, (uint8_t)(first + i)}, .form = EX_ID_ULID},
            .schema_version = 3,
            .content_type = EX_S("application/json"),
            .data = ex_slice_of(data[i], (size_t)n),
            .metadata = EX_S("{}"),
            .tags = {EX_S("\x03"
                          "a:b"
                          "\x03"
                          "c:d")},
            .correlation_id = EX_S("corr"),
            .causation_id = EX_S("cause"),
            .recorded_at_us = (int64_t)(first + i) * 1000,
        };
    }
}

static void publish(ring *r, uint64_t first, size_t count)
{
    ex_event *events = calloc(count, sizeof *events);
    char(*data)[TEXT_SIZE] = calloc(count, sizeof *data);
    assert_non_null(events);
    assert_non_null(data);
    make_events(events, data, first, count);
    ring_publish(r, events, count);
    free(events);
    free(data);
}

static void check_event(const event_block *b, uint64_t position)
{
    ex_event got;
    ex_event want;
    char data[1][TEXT_SIZE];
    make_events(&want, data, position, 1);
    event_block_event(b, (size_t)(position - event_block_first(b)), &got);
    assert_int_equal(got.position, want.position);
    assert_int_equal(got.version, want.version);
    assert_int_equal(got.recorded_at_us, want.recorded_at_us);
    assert_int_equal(got.schema_version, want.schema_version);
    assert_memory_equal(got.id.bytes, want.id.bytes, sizeof want.id.bytes);
    assert_int_equal(got.id.form, want.id.form);
    assert_true(ex_slice_eq(got.stream, want.stream));
    assert_true(ex_slice_eq(got.type, want.type));
    assert_true(ex_slice_eq(got.content_type, want.content_type));
    assert_true(ex_slice_eq(got.data, want.data));
    assert_true(ex_slice_eq(got.metadata, want.metadata));
    assert_true(ex_slice_eq(got.tags.packed, want.tags.packed));
    assert_true(ex_slice_eq(got.correlation_id, want.correlation_id));
    assert_true(ex_slice_eq(got.causation_id, want.causation_id));
}

static void check_found(ring *r, uint64_t position)
{
    event_block *b = NULL;
    assert_int_equal(ring_find(r, position, &b), RING_FOUND);
    check_event(b, position);
    event_block_unref(b);
}

static ring *new_ring(size_t limit_bytes, uint64_t head)
{
    ring *r = NULL;
    assert_int_equal(ring_new(limit_bytes, head, &r, NULL), EX_OK);
    return r;
}

static void test_ring_starts_behind_its_head(void **state)
{
    (void)state;
    ring *r = new_ring(1 << 20, 41);
    event_block *b = NULL;
    assert_int_equal(ring_head(r), 41);
    assert_int_equal(ring_find(r, 42, &b), RING_AT_END);
    assert_int_equal(ring_find(r, 41, &b), RING_BEHIND);
    publish(r, 42, 3);
    assert_int_equal(ring_head(r), 44);
    for (uint64_t p = 42; p <= 44; p++)
        check_found(r, p);
    assert_int_equal(ring_find(r, 41, &b), RING_BEHIND);
    assert_int_equal(ring_find(r, 45, &b), RING_AT_END);
    assert_null(b);
    ring_free(r);
}

static void test_ring_finds_every_event_of_batches_of_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 7, 1, 3000, 2, 500, 1};
    ring *r = new_ring(64 << 20, 0);
    uint64_t next = 1;
    for (int round = 0; round < 40; round++) {
        size_t n = sizes[(size_t)round % (sizeof sizes / sizeof *sizes)];
        publish(r, next, n);
        next += n;
    }
    for (uint64_t p = 1; p < next; p++)
        check_found(r, p);
    ring_usage usage = ring_measure(r);
    assert_int_equal(usage.events, next - 1);
    assert_true(usage.blocks > 40); /* the large batches were cut */
    ring_free(r);
}

static void test_ring_stays_within_its_limit_and_keeps_the_newest(void **state)
{
    (void)state;
    const size_t limit = 32 * 1024;
    ring *r = new_ring(limit, 0);
    for (uint64_t p = 1; p <= 5000; p++) {
        publish(r, p, 1);
        assert_true(ring_measure(r).bytes <= limit);
        check_found(r, p);
    }
    ring_usage usage = ring_measure(r);
    assert_true(usage.events > 20);
    uint64_t oldest = 5000 - usage.events + 1;
    event_block *b = NULL;
    check_found(r, oldest);
    assert_int_equal(ring_find(r, oldest - 1, &b), RING_BEHIND);
    ring_free(r);
}

static void test_ring_passes_over_a_block_larger_than_its_limit(void **state)
{
    (void)state;
    ring *r = new_ring(4096, 0);
    publish(r, 1, 2);
    publish(r, 3, 400);
    event_block *b = NULL;
    assert_int_equal(ring_head(r), 402);
    assert_int_equal(ring_find(r, 402, &b), RING_BEHIND);
    assert_int_equal(ring_measure(r).events, 0);
    publish(r, 403, 1);
    check_found(r, 403);
    ring_free(r);
}

static void test_ring_skips_what_it_was_not_given(void **state)
{
    (void)state;
    ring *r = new_ring(1 << 20, 0);
    publish(r, 1, 5);
    ring_skip(r, 9);
    event_block *b = NULL;
    assert_int_equal(ring_head(r), 9);
    for (uint64_t p = 1; p <= 9; p++)
        assert_int_equal(ring_find(r, p, &b), RING_BEHIND);
    assert_int_equal(ring_find(r, 10, &b), RING_AT_END);
    publish(r, 10, 2);
    check_found(r, 10);
    check_found(r, 11);
    ring_free(r);
}

static void test_ring_block_outlives_its_removal_and_the_ring(void **state)
{
    (void)state;
    ring *r = new_ring(8192, 0);
    publish(r, 1, 4);
    event_block *held = NULL;
    assert_int_equal(ring_find(r, 2, &held), RING_FOUND);
    publish(r, 5, 200);
    event_block *b = NULL;
    assert_int_equal(ring_find(r, 2, &b), RING_BEHIND);
    ring_free(r);
    for (uint64_t p = 1; p <= 4; p++)
        check_event(held, p);
    event_block_unref(held);
}

static void test_ring_carries_empty_and_binary_slices(void **state)
{
    (void)state;
    ring *r = new_ring(1 << 20, 0);
    ex_event e = {.position = 1,
                  .version = 1,
                  .stream = EX_S("s"),
                  .type = EX_S("T"),
                  .data = EX_S("\0\xff\0")};
    ring_publish(r, &e, 1);
    event_block *b = NULL;
    assert_int_equal(ring_find(r, 1, &b), RING_FOUND);
    ex_event got;
    event_block_event(b, 0, &got);
    assert_int_equal(got.data.len, 3);
    assert_memory_equal(got.data.ptr, "\0\xff\0", 3);
    assert_int_equal(got.metadata.len, 0);
    assert_int_equal(got.tags.packed.len, 0);
    event_block_unref(b);
    ring_free(r);
}

/* ---- One writer, several readers: each sees what it finds whole and in order ---- */

typedef struct reader {
    ring *ring;
    uint64_t last;
    uint64_t seen;
    uint64_t skipped;
    bool is_wrong;
} reader;

static void read_block(reader *r, const event_block *b, uint64_t from)
{
    for (uint64_t p = from; p <= event_block_last(b); p++) {
        ex_event e;
        char want[TEXT_SIZE];
        event_block_event(b, (size_t)(p - event_block_first(b)), &e);
        snprintf(want, sizeof want, "{\"n\":%llu}", (unsigned long long)p);
        r->is_wrong |= e.position != p || !ex_slice_is(e.data, want);
        r->seen++;
    }
}

static void *read_all(void *arg)
{
    reader *r = arg;
    uint64_t position = 1;
    while (position <= r->last) {
        event_block *b = NULL;
        switch (ring_find(r->ring, position, &b)) {
        case RING_FOUND:
            read_block(r, b, position);
            position = event_block_last(b) + 1;
            event_block_unref(b);
            break;
        case RING_BEHIND: { /* what a subscription would read from the log */
            uint64_t head = ring_head(r->ring);
            r->skipped += head - position + 1;
            position = head + 1;
            break;
        }
        case RING_AT_END:
            sched_yield();
            break;
        }
    }
    return NULL;
}

static void test_ring_serves_readers_beside_the_writer(void **state)
{
    (void)state;
    enum { READERS = 3, LAST = 20000 };
    ring *r = new_ring(16 * 1024, 0);
    reader readers[READERS];
    pthread_t threads[READERS];
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader){.ring = r, .last = LAST};
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    }
    uint64_t next = 1;
    for (size_t size = 1; next <= LAST; size = size % 37 + 1) {
        size_t n = size < LAST - next + 1 ? size : LAST - next + 1;
        publish(r, next, n);
        next += n;
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(readers[i].is_wrong);
        assert_int_equal(readers[i].seen + readers[i].skipped, LAST);
    }
    ring_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ring_starts_behind_its_head),
        cmocka_unit_test(test_ring_finds_every_event_of_batches_of_any_size),
        cmocka_unit_test(test_ring_stays_within_its_limit_and_keeps_the_newest),
        cmocka_unit_test(test_ring_passes_over_a_block_larger_than_its_limit),
        cmocka_unit_test(test_ring_skips_what_it_was_not_given),
        cmocka_unit_test(test_ring_block_outlives_its_removal_and_the_ring),
        cmocka_unit_test(test_ring_carries_empty_and_binary_slices),
        cmocka_unit_test(test_ring_serves_readers_beside_the_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
