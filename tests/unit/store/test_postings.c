/* test_postings.c: merging and leapfrogging over lists that count how they are read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/postings.h"

/* List n holds the multiples of n up to `last`: names are "2", "t:2" and so on. */
typedef struct multiples {
    uint64_t last;
    uint32_t fills;
    ex_status failure; /* of fill */
} multiples;

static ex_status resolve(void *ctx, postings_kind kind, ex_slice name, uint64_t *ret_key,
                         ex_error *err)
{
    (void)ctx;
    (void)kind;
    (void)err;
    *ret_key = 0;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] >= '0' && name.ptr[i] <= '9')
            *ret_key = *ret_key * 10 + (uint64_t)(name.ptr[i] - '0');
    return EX_OK;
}

static ex_status fill(void *ctx, const postings_list *list, uint64_t from, uint64_t *out,
                      uint32_t room, uint32_t *ret_count, ex_error *err)
{
    uint64_t key = list->key;
    multiples *m = ctx;
    m->fills++;
    if (m->failure)
        return ex_raise(err, m->failure, "no");
    uint32_t count = 0;
    for (uint64_t n = (from + key - 1) / key * key; n <= m->last && count < room; n += key)
        out[count++] = n;
    *ret_count = count;
    return EX_OK;
}

static const ex_slice two[] = {EX_S_INIT("2")},
                      six_and_four[] = {EX_S_INIT("t:6"), EX_S_INIT("t:4")},
                      three_or_five[] = {EX_S_INIT("3"), EX_S_INIT("5")},
                      unknown[] = {EX_S_INIT("unknown")}, rare[] = {EX_S_INIT("t:100000")};

static bool always(void *ctx)
{
    (void)ctx;
    return true;
}

static const store_pause at_once = {always, NULL};

typedef enum pausing { NEVER, SAME_WALK, NEW_WALKS } pausing;

static uint64_t count_paused(multiples *m, const ex_filter *filter, pausing how, uint64_t *ret_sum)
{
    ex_arena arena;
    ex_arena_init(&arena, 0);
    postings_source source = {m, resolve, fill, how == NEVER ? NULL : &at_once};
    postings *p = NULL;
    assert_int_equal(postings_new(filter, &source, &arena, &p, NULL), EX_OK);
    uint64_t at = 1, count = 0;
    *ret_sum = 0;
    for (;;) {
        uint64_t position = 0;
        ex_status st = postings_seek(p, at, &position, NULL);
        if (st == EX_EAGAIN && how != NEVER) {
            assert_true(position > at); /* each slice brings it on */
            at = position;
            if (how == NEW_WALKS)
                assert_int_equal(postings_new(filter, &source, &arena, &p, NULL), EX_OK);
            continue;
        }
        assert_int_equal(st, EX_OK);
        if (position == POSTINGS_END)
            break;
        assert_true(position >= at);
        count++;
        *ret_sum += position;
        at = position + 1;
    }
    ex_arena_done(&arena);
    return count;
}

static uint64_t count_matches(multiples *m, const ex_filter *filter, uint64_t *ret_sum)
{
    return count_paused(m, filter, NEVER, ret_sum);
}

static void test_postings_combine_lists(void **state)
{
    (void)state;
    const ex_query_item evens = {two, 1, NULL, 0}, twelves = {NULL, 0, six_and_four, 2},
                        threes_fives = {three_or_five, 2, NULL, 0},
                        sixty = {three_or_five, 2, six_and_four, 2},
                        nothing = {unknown, 1, NULL, 0};
    const ex_query_item both[] = {twelves, threes_fives}, half[] = {nothing, evens};
    const struct {
        const char *name;
        ex_filter filter;
        uint64_t count, sum; /* of the multiples up to 1000 */
    } cases[] = {
        {"one type", {{&evens, 1}, NULL, 0}, 500, 250500},
        {"tags meet at their common multiples", {{&twelves, 1}, NULL, 0}, 83, 41832},
        {"types are united", {{&threes_fives, 1}, NULL, 0}, 467, 234168},
        {"types and tags", {{&sixty, 1}, NULL, 0}, 83, 41832},
        {"items are united once", {{both, 2}, NULL, 0}, 467, 234168},
        {"an unknown name is an empty list", {{half, 2}, NULL, 0}, 500, 250500},
        {"nothing at all", {{&nothing, 1}, NULL, 0}, 0, 0},
        {"streams are united", {{0}, three_or_five, 2}, 467, 234168},
        {"streams and items", {{&evens, 1}, three_or_five, 2}, 233, 116836},
        {"a correlation id", {.correlation_id = EX_S("10")}, 100, 50500},
        {"a correlation id and the rest", {{&threes_fives, 1}, two, 1, EX_S("4")}, 117, 59172},
        {"an unknown correlation id", {.correlation_id = EX_S("unknown")}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        multiples m = {.last = 1000};
        for (pausing how = NEVER; how <= NEW_WALKS; how++) { /* issue 8, item 12 */
            uint64_t sum = 0, count = count_paused(&m, &cases[i].filter, how, &sum);
            if (count != cases[i].count || sum != cases[i].sum)
                fail_msg("%s, pausing %d: %llu, %llu", cases[i].name, how,
                         (unsigned long long)count, (unsigned long long)sum);
        }
    }
}

/* Issue 8, item 12; G-603: a walk over two frequent tags can be left between two fills. */
static void test_postings_pause_a_walk_that_finds_nothing(void **state)
{
    (void)state;
    static const ex_slice tags[] = {EX_S_INIT("t:2"), EX_S_INIT("t:3"), EX_S_INIT("unknown")};
    const ex_query_item item = {NULL, 0, tags, 2}, other = {NULL, 0, tags + 1, 2};
    const ex_query_item items[] = {other, item};
    const ex_filter filter = {.query = {items, 2}};
    multiples m = {.last = 1000000};
    ex_arena arena;
    ex_arena_init(&arena, 0);
    postings_source source = {&m, resolve, fill, &at_once};
    postings *p = NULL;
    assert_int_equal(postings_new(&filter, &source, &arena, &p, NULL), EX_OK);
    uint64_t position = 0;
    assert_int_equal(postings_seek(p, 1, &position, NULL), EX_OK);
    assert_int_equal(position, 6);
    for (uint64_t at = 7; at < 6000; at = position + 1) {
        uint32_t before = m.fills;
        ex_status st = postings_seek(p, at, &position, NULL);
        assert_true(st == EX_OK || (st == EX_EAGAIN && position > at));
        assert_true(m.fills <= before + 3); /* each list at most once */
    }
    ex_arena_done(&arena);
}

/* A rare tag leads; the list of a frequent type is entered beside its few positions only. */
static void test_postings_leap_over_what_cannot_match(void **state)
{
    (void)state;
    const ex_query_item item = {two, 1, rare, 1};
    const ex_filter filter = {.query = {&item, 1}};
    multiples m = {.last = 1000000};
    uint64_t sum = 0;
    assert_int_equal(count_matches(&m, &filter, &sum), 10);
    assert_true(m.fills < 40);
}

static void test_postings_pass_failures_on(void **state)
{
    (void)state;
    const ex_query_item item = {two, 1, NULL, 0};
    const ex_filter filter = {.query = {&item, 1}};
    multiples m = {.last = 10, .failure = EX_ESTORAGE};
    ex_arena arena;
    ex_arena_init(&arena, 0);
    postings_source source = {&m, resolve, fill, NULL};
    postings *p = NULL;
    uint64_t position = 77;
    assert_int_equal(postings_new(&filter, &source, &arena, &p, NULL), EX_OK);
    assert_int_equal(postings_seek(p, 1, &position, NULL), EX_ESTORAGE);
    assert_int_equal(position, 77);
    ex_arena_done(&arena);
    ex_arena_init(&arena, 64);
    assert_int_equal(postings_new(&filter, &source, &arena, &p, NULL), EX_ENOMEM);
    ex_arena_done(&arena);
}

static void test_postings_know_when_there_is_nothing_to_filter(void **state)
{
    (void)state;
    const ex_query_item items[] = {{two, 1, NULL, 0}, {0}};
    assert_true(postings_is_all(NULL));
    assert_true(postings_is_all(&(ex_filter){0}));
    assert_true(postings_is_all(&(ex_filter){.query = {items, 2}}));
    assert_false(postings_is_all(&(ex_filter){.query = {items, 1}}));
    assert_false(postings_is_all(&(ex_filter){.streams = two, .stream_count = 1}));
}

/* issue 8, item 10: lists that are read one after the other are read in large pieces. */
static void test_postings_read_more_at_a_time(void **state)
{
    (void)state;
    const ex_query_item twelves = {NULL, 0, six_and_four, 2};
    const ex_filter filter = {.query = {&twelves, 1}};
    multiples m = {.last = 1000000};
    uint64_t sum = 0;
    assert_int_equal(count_matches(&m, &filter, &sum), 83333);
    assert_true(m.fills < 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_postings_combine_lists),
        cmocka_unit_test(test_postings_pause_a_walk_that_finds_nothing),
        cmocka_unit_test(test_postings_leap_over_what_cannot_match),
        cmocka_unit_test(test_postings_pass_failures_on),
        cmocka_unit_test(test_postings_read_more_at_a_time),
        cmocka_unit_test(test_postings_know_when_there_is_nothing_to_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
