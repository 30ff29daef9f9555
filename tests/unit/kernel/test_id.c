/* Identifiers: order and uniqueness of generated ids, parsing and text (R-FN-03, R-08-07, R-08-08,
 * R-01-19). */
#include <excore/id.h>

#include "kernel/id_sequence.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A clock that the test sets; its random bytes count up, or fail. */
typedef struct fake {
    int64_t us;
    bool is_random_broken;
    uint8_t next;
} fake;

static int64_t fake_now(void *ctx)
{
    return ((fake *)ctx)->us;
}

static uint64_t fake_monotonic(void *ctx)
{
    (void)ctx;
    return 0;
}

static ex_status fake_random(void *ctx, void *out, size_t n)
{
    fake *f = ctx;
    if (f->is_random_broken)
        return EX_EINTERNAL;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = f->next++;
    return EX_OK;
}

static void id_to_text_of(ex_id_form form, id_sequence *s, fake *f, char out[EX_ID_TEXT_SIZE])
{
    ex_clock clock = {fake_now, fake_monotonic, fake_random, f};
    ex_id id;
    assert_int_equal(id_sequence_next(s, &clock, form, &id, NULL), EX_OK);
    ex_id_text(&id, out);
}

/* R-FN-03, R-08-08: strictly rising text inside a millisecond and when the clock steps back. */
static void assert_rising(ex_id_form form)
{
    static const int64_t times_us[] = {
        1700000000000000, 1700000000000999, 1700000000001000, 1699999999000000, 0, -5,
        1700000000002000};
    id_sequence sequence = {0};
    fake f = {0};
    char last[EX_ID_TEXT_SIZE] = "", text[EX_ID_TEXT_SIZE];
    for (size_t i = 0; i < sizeof(times_us) / sizeof(times_us[0]); i++) {
        f.us = times_us[i];
        for (int k = 0; k < 1000; k++) {
            id_to_text_of(form, &sequence, &f, text);
            assert_true(strcmp(last, text) < 0);
            memcpy(last, text, sizeof(last));
        }
    }
}

static void test_id_rises_when_the_clock_stands_or_steps_back(void **state)
{
    (void)state;
    assert_rising(EX_ID_UUID);
    assert_rising(EX_ID_ULID);
}

/* More ids in a millisecond than the counter holds: they run into the next one, still rising. */
static void test_id_counter_overflow_runs_into_the_next_millisecond(void **state)
{
    (void)state;
    id_sequence sequence = {0};
    atomic_store(&sequence.last, UINT64_C(1700000000000) << 20 | 0xFFFFE);
    fake f = {.us = 1700000000000000};
    ex_clock clock = {fake_now, fake_monotonic, fake_random, &f};
    ex_id a, b;
    assert_int_equal(id_sequence_next(&sequence, &clock, EX_ID_UUID, &a, NULL), EX_OK);
    assert_int_equal(id_sequence_next(&sequence, &clock, EX_ID_UUID, &b, NULL), EX_OK);
    assert_int_equal(ex_id_time_ms(&a), 1700000000000);
    assert_int_equal(ex_id_time_ms(&b), 1700000000001);
    assert_true(memcmp(a.bytes, b.bytes, 16) < 0);
}

static void test_id_new_has_version_variant_and_time(void **state)
{
    (void)state;
    id_sequence sequence = {0};
    fake f = {.us = 1763717400123456};
    ex_clock clock = {fake_now, fake_monotonic, fake_random, &f};
    for (int i = 0; i < 1000; i++) {
        ex_id id;
        assert_int_equal(id_sequence_next(&sequence, &clock, EX_ID_UUID, &id, NULL), EX_OK);
        assert_int_equal(id.bytes[6] >> 4, 7);
        assert_int_equal(id.bytes[8] >> 6, 2);
        assert_int_equal(ex_id_time_ms(&id), 1763717400123);
    }
}

/* R-01-19: no weak fallback when the random source fails. */
static void test_id_random_failure_is_an_error(void **state)
{
    (void)state;
    id_sequence sequence = {0};
    fake f = {.us = 1, .is_random_broken = true};
    ex_clock clock = {fake_now, fake_monotonic, fake_random, &f};
    ex_id id = {{0}, 0};
    ex_error err;
    assert_int_equal(id_sequence_next(&sequence, &clock, EX_ID_UUID, &id, &err), EX_EINTERNAL);
    assert_int_equal(err.status, EX_EINTERNAL);
    assert_true(ex_id_is_nil(&id));
}

#define THREADS    8
#define PER_THREAD 125000
static ex_id made[THREADS][PER_THREAD];

static void *make_ids(void *arg)
{
    ex_id *ids = arg;
    for (int i = 0; i < PER_THREAD; i++)
        if (ex_id_new(&ids[i], NULL))
            return NULL;
    return ids;
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(((const ex_id *)a)->bytes, ((const ex_id *)b)->bytes, 16);
}

/* R-08-08: 1,000,000 ids over 8 threads hold no duplicate; each thread saw them rise. */
static void test_id_million_over_eight_threads_are_distinct_and_rise(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, make_ids, made[t]), 0);
    for (int t = 0; t < THREADS; t++) {
        void *result;
        assert_int_equal(pthread_join(threads[t], &result), 0);
        assert_non_null(result);
        for (int i = 1; i < PER_THREAD; i++)
            assert_true(by_bytes(&made[t][i - 1], &made[t][i]) < 0);
    }
    ex_id *all = made[0];
    size_t count = (size_t)THREADS * PER_THREAD;
    qsort(all, count, sizeof(*all), by_bytes);
    for (size_t i = 1; i < count; i++)
        assert_true(by_bytes(&all[i - 1], &all[i]) < 0);
}

/* A child must not draw the random bytes that its parent has in store. */
static void test_id_fork_does_not_repeat_random_bytes(void **state)
{
    (void)state;
    ex_id first, mine, childs;
    int fds[2];
    assert_int_equal(ex_id_new(&first, NULL), EX_OK); /* fills the pool */
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        ex_id id;
        bool is_sent =
            ex_id_new(&id, NULL) == EX_OK && write(fds[1], &id, sizeof(id)) == sizeof(id);
        _exit(is_sent ? 0 : 1);
    }
    assert_int_equal(ex_id_new(&mine, NULL), EX_OK);
    assert_int_equal(read(fds[0], &childs, sizeof(childs)), sizeof(childs));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_memory_not_equal(mine.bytes + 10, childs.bytes + 10, 6);
    close(fds[0]);
    close(fds[1]);
}

static const struct {
    const char *name, *text, *canonical; /* canonical NULL: refused */
    uint64_t time_ms;
} texts[] = {
    /* clang-format off */
    {"uuid v7", "0193fae0-6400-7abc-8def-0123456789ab", "0193fae0-6400-7abc-8def-0123456789ab", 0x0193fae06400},
    {"uuid v4 has no time", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "f47ac10b-58cc-4372-a567-0e02b2c3d479", 0},
    {"uuid upper case", "F47AC10B-58CC-4372-A567-0E02B2C3D479", "f47ac10b-58cc-4372-a567-0e02b2c3d479", 0},
    {"uuid nil", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", 0},
    {"uuid without dashes", "f47ac10b58cc4372a5670e02b2c3d479", NULL, 0},
    {"uuid in braces", "{f47ac10b-58cc-4372-a567-0e02b2c3d4}", NULL, 0},
    {"uuid dash misplaced", "f47ac10-b58cc-4372-a567-0e02b2c3d479", NULL, 0},
    {"uuid bad digit", "g47ac10b-58cc-4372-a567-0e02b2c3d479", NULL, 0},
    {"uuid short", "f47ac10b-58cc-4372-a567-0e02b2c3d47", NULL, 0},
    {"uuid long", "f47ac10b-58cc-4372-a567-0e02b2c3d4790", NULL, 0},
    {"uuid with NUL", "f47ac10b-58cc-4372-a567-0e02b2c3d4\0", NULL, 0},
    {"ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259},
    {"ulid lower case", "01arz3ndektsv4rrffq69g5fav", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259},
    {"ulid smallest", "00000000000000000000000000", "00000000000000000000000000", 0},
    {"ulid largest", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", 0xFFFFFFFFFFFF},
    {"ulid first above 7", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", NULL, 0},
    {"ulid first a letter", "A1ARZ3NDEKTSV4RRFFQ69G5FAV", NULL, 0},
    {"ulid I", "01ARZ3NDEKTSV4RRFFQ69G5FAI", NULL, 0},
    {"ulid l", "01ARZ3NDEKTSV4RRFFQ69G5FAl", NULL, 0},
    {"ulid O", "01ARZ3NDEKTSV4RRFFQ69G5FAO", NULL, 0},
    {"ulid u", "01ARZ3NDEKTSV4RRFFQ69G5FAu", NULL, 0},
    {"ulid dash", "01ARZ3NDEKTSV4RRFFQ69G5FA-", NULL, 0},
    {"ulid short", "01ARZ3NDEKTSV4RRFFQ69G5FA", NULL, 0},
    {"ulid long", "01ARZ3NDEKTSV4RRFFQ69G5FAVV", NULL, 0},
    {"empty", "", NULL, 0},
    /* clang-format on */
};

static void test_id_parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ex_id id;
        ex_error err = {0};
        char out[EX_ID_TEXT_SIZE];
        ex_status st = ex_id_parse(ex_str(texts[i].text), &id, &err);
        if (st != (texts[i].canonical ? EX_OK : EX_EINVAL))
            fail_msg("%s: %s", texts[i].name, ex_status_code(st));
        if (st) {
            assert_string_equal(err.code, "INVALID_ID");
            continue;
        }
        assert_string_equal(ex_id_text(&id, out).ptr, texts[i].canonical);
        assert_true(ex_id_time_ms(&id) == texts[i].time_ms);
    }
}

static void test_id_text_and_parse_are_inverse(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        ex_id id, back;
        char text[EX_ID_TEXT_SIZE];
        assert_int_equal(i % 2 ? ex_id_new(&id, NULL) : ex_id_new_ulid(&id, NULL), EX_OK);
        assert_int_equal(ex_id_parse(ex_id_text(&id, text), &back, NULL), EX_OK);
        assert_true(ex_id_eq(&id, &back));
        assert_int_equal(id.form, back.form);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_rises_when_the_clock_stands_or_steps_back),
        cmocka_unit_test(test_id_counter_overflow_runs_into_the_next_millisecond),
        cmocka_unit_test(test_id_new_has_version_variant_and_time),
        cmocka_unit_test(test_id_random_failure_is_an_error),
        cmocka_unit_test(test_id_million_over_eight_threads_are_distinct_and_rise),
        cmocka_unit_test(test_id_fork_does_not_repeat_random_bytes),
        cmocka_unit_test(test_id_parse_table),
        cmocka_unit_test(test_id_text_and_parse_are_inverse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
