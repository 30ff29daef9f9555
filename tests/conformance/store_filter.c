/* store_filter.c: the log through filters on streams, types, tags and correlation id. R-ES-15,
 * R-ES-16, R-ES-17, R-DB-10.
 *
 * A table of hand-made cases, then random logs and filters against
 * ex_filter_matches, which knows nothing of indexes. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ex_slice tags[] = {EX_S_INIT("k:0"), EX_S_INIT("k:1"), EX_S_INIT("k:2"),
                                EX_S_INIT("k:3")};
static const ex_slice types[] = {EX_S_INIT("T0"), EX_S_INIT("T1"), EX_S_INIT("T2"),
                                 EX_S_INIT("T3")};
static const ex_slice streams[] = {EX_S_INIT("s-0"), EX_S_INIT("s-1"), EX_S_INIT("s-2"),
                                   EX_S_INIT("s-3")};

static const ex_slice correlations[] = {EX_S_INIT("flow-0"), EX_S_INIT("flow-1"),
                                        EX_S_INIT("flow-2"), EX_S_INIT("")};

static void test_filter_cases(void **state)
{
    suite *s = *state;
    /* 1: s-0 T0 k:0   2: s-1 T1 k:0 k:1   3: s-0 T1   4: s-2 T2 k:1   5: s-1 T0 k:0 k:1 k:2
     * 2 and 4 belong to flow-0, 5 to flow-1 */
    suite_put(s, "s-0",
              &(ex_new_event){.type = types[0], .data = EX_S("1"), .tags = tags, .tag_count = 1});
    suite_put(s, "s-1",
              &(ex_new_event){.type = types[1],
                              .data = EX_S("1"),
                              .tags = tags,
                              .tag_count = 2,
                              .correlation_id = correlations[0]});
    suite_put(s, "s-0", &(ex_new_event){.type = types[1], .data = EX_S("1")});
    suite_put(s, "s-2",
              &(ex_new_event){.type = types[2],
                              .data = EX_S("1"),
                              .tags = tags + 1,
                              .tag_count = 1,
                              .metadata = EX_S("{\"$correlation_id\":\"flow-0\"}")});
    suite_put(s, "s-1",
              &(ex_new_event){.type = types[0],
                              .data = EX_S("1"),
                              .tags = tags,
                              .tag_count = 3,
                              .correlation_id = correlations[1]});
    const ex_slice twice[] = {types[1], types[1]};
    const ex_query_item two_types = {types, 2, NULL, 0}, tag = {NULL, 0, tags, 1},
                        two_tags = {NULL, 0, tags, 2}, type_and_tag = {types, 1, tags + 1, 1},
                        same_type_twice = {twice, 2, NULL, 0},
                        unknown_type = {types + 3, 1, NULL, 0},
                        unknown_tag = {NULL, 0, tags + 3, 1}, anything = {0};
    const ex_query_item overlapping[] = {two_types, tag}, with_anything[] = {tag, anything},
                        with_unknown[] = {unknown_type, type_and_tag};
    const struct {
        const char *name;
        ex_filter filter;
        uint64_t after;
        uint64_t want[5];
        uint32_t want_count;
    } cases[] = {
        {"nothing asked", {{0}, NULL, 0}, 0, {1, 2, 3, 4, 5}, 5},
        {"two types", {{&two_types, 1}, NULL, 0}, 0, {1, 2, 3, 5}, 4},
        {"two types, after 2", {{&two_types, 1}, NULL, 0}, 2, {3, 5}, 2},
        {"one tag", {{&tag, 1}, NULL, 0}, 0, {1, 2, 5}, 3},
        {"two tags", {{&two_tags, 1}, NULL, 0}, 0, {2, 5}, 2},
        {"type and tag", {{&type_and_tag, 1}, NULL, 0}, 0, {5}, 1},
        {"the same type twice", {{&same_type_twice, 1}, NULL, 0}, 0, {2, 3}, 2},
        {"overlapping items give no duplicates", {{overlapping, 2}, NULL, 0}, 0, {1, 2, 3, 5}, 4},
        {"an empty item lets all pass", {{with_anything, 2}, NULL, 0}, 3, {4, 5}, 2},
        {"unknown type", {{&unknown_type, 1}, NULL, 0}, 0, {0}, 0},
        {"unknown tag", {{&unknown_tag, 1}, NULL, 0}, 0, {0}, 0},
        {"unknown or known", {{with_unknown, 2}, NULL, 0}, 0, {5}, 1},
        {"one stream", {{0}, streams, 1}, 0, {1, 3}, 2},
        {"one stream, after 1", {{0}, streams, 1}, 1, {3}, 1},
        {"two streams", {{0}, streams, 2}, 0, {1, 2, 3, 5}, 4},
        {"stream and tag", {{&tag, 1}, streams + 1, 1}, 0, {2, 5}, 2},
        {"stream and type that never meet", {{&unknown_type, 1}, streams, 4}, 0, {0}, 0},
        {"unknown stream", {{0}, streams + 3, 1}, 0, {0}, 0},
        {"correlation id", {.correlation_id = correlations[0]}, 0, {2, 4}, 2},
        {"correlation id, after 2", {.correlation_id = correlations[0]}, 2, {4}, 1},
        {"correlation id and type", {{&two_types, 1}, NULL, 0, correlations[0]}, 0, {2}, 1},
        {"correlation id and tag", {{&tag, 1}, NULL, 0, correlations[1]}, 0, {5}, 1},
        {"correlation id and stream", {{0}, streams + 2, 1, correlations[0]}, 0, {4}, 1},
        {"correlation id, stream and tag", {{&tag, 1}, streams + 1, 1, correlations[0]}, 0, {2}, 1},
        {"correlation id that meets no stream", {{0}, streams, 1, correlations[0]}, 0, {0}, 0},
        {"unknown correlation id", {.correlation_id = correlations[2]}, 0, {0}, 0},
        {"prefix of a correlation id", {.correlation_id = EX_S("flow-")}, 0, {0}, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t have[8];
        uint32_t count = suite_read_log(s, cases[i].after, &cases[i].filter, have, 8);
        suite_assert_numbers(cases[i].name, have, count, cases[i].want, cases[i].want_count);
    }
}

/* ---- Random filters ---- */

typedef struct random_filter {
    ex_filter filter;
    ex_query_item items[3];
    ex_slice words[16];
} random_filter;

static uint64_t seed_of_run(void)
{
    const char *text = getenv("EX_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20261121;
}

static uint32_t roll(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*seed >> 33) % below;
}

static void draw(uint64_t *seed, random_filter *f)
{
    memset(f, 0, sizeof(*f));
    ex_slice *free_word = f->words;
    f->filter.query.items = f->items;
    f->filter.query.item_count = roll(seed, 4);
    for (uint32_t i = 0; i < f->filter.query.item_count; i++) {
        ex_query_item *item = &f->items[i];
        item->types = free_word;
        item->type_count = roll(seed, 3);
        for (uint32_t j = 0; j < item->type_count; j++)
            *free_word++ = types[roll(seed, 4)];
        item->tags = free_word;
        item->tag_count = roll(seed, 3);
        for (uint32_t j = 0; j < item->tag_count; j++)
            *free_word++ = tags[roll(seed, 4)];
    }
    f->filter.streams = free_word;
    f->filter.stream_count = roll(seed, 3);
    for (uint32_t j = 0; j < f->filter.stream_count; j++)
        *free_word++ = streams[roll(seed, 4)];
    f->filter.correlation_id = correlations[roll(seed, 8) < 3 ? roll(seed, 3) : 3];
}

static uint32_t matching(suite *s, const ex_filter *filter, uint64_t after, uint64_t *out)
{
    ex_read_log read = {.after = after};
    ex_cursor *c = NULL;
    ex_event e;
    uint32_t count = 0;
    assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK)
        if (ex_filter_matches(filter, &e))
            out[count++] = e.position;
    ex_cursor_close(c);
    return count;
}

static void test_filter_random_against_the_rule(void **state)
{
    suite *s = *state;
    enum { EVENTS = 600 };
    uint64_t seed = seed_of_run(), first_seed = seed;
    for (int i = 0; i < EVENTS; i++) {
        uint32_t tag = roll(&seed, 4);
        ex_new_event event = {.type = types[roll(&seed, 10) ? roll(&seed, 2) : 2],
                              .data = EX_S("{}"),
                              .tags = tags + tag,
                              .tag_count = roll(&seed, 5 - tag),
                              .correlation_id = correlations[roll(&seed, 4)]};
        char name[8];
        (void)snprintf(name, sizeof(name), "s-%u", roll(&seed, 3));
        suite_put(s, name, &event);
    }
    for (int i = 0; i < 300; i++) {
        random_filter f;
        draw(&seed, &f);
        uint64_t have[EVENTS], want[EVENTS], after = roll(&seed, EVENTS);
        uint32_t have_count = suite_read_log(s, after, &f.filter, have, EVENTS);
        uint32_t want_count = matching(s, &f.filter, after, want);
        char name[64];
        (void)snprintf(name, sizeof(name), "EX_TEST_SEED=%llu, filter %d",
                       (unsigned long long)first_seed, i);
        suite_assert_numbers(name, have, have_count, want, want_count);
        /* the condition of an append is the same rule: it names the first of them */
        ex_error err = {0};
        ex_append append = {.fail_if_match = &f.filter.query, .after = after};
        if (f.filter.stream_count == 0 && f.filter.correlation_id.len == 0) {
            ex_status st = ex_store_append(s->store, &append, NULL, &err);
            assert_int_equal(st, want_count ? EX_ECONDITION : EX_OK);
            assert_int_equal(err.position, want_count ? want[0] : 0);
        }
    }
}

static void test_filter_that_is_malformed_is_refused(void **state)
{
    suite *s = *state;
    const ex_slice bad_tag = EX_S("nocolon"), bad_name = EX_S("a\nb");
    const ex_query_item items[] = {{NULL, 0, &bad_tag, 1}, {&bad_name, 1, NULL, 0}};
    const ex_filter filters[] = {{.query = {&items[0], 1}},
                                 {.query = {&items[1], 1}},
                                 {.streams = &bad_name, .stream_count = 1},
                                 {.correlation_id = bad_name}};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        ex_cursor *c = NULL;
        ex_read_log read = {.filter = &filters[i]};
        assert_int_equal(ex_store_read_log(s->store, &read, &c, NULL), EX_EINVAL);
        assert_null(c);
    }
}

int store_filter_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_filter_cases),
        STORE_TEST(test_filter_random_against_the_rule),
        STORE_TEST(test_filter_that_is_malformed_is_refused),
    };
    return cmocka_run_group_tests_name("store filter", tests, NULL, NULL);
}
