/* test_filter.c: the rule of filters, in a table, and prepared filters against the plain rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "store/filter.h"

#define MOST 4

/* A filter as text: NULL ends a list. */
typedef struct text_item {
    const char *types[MOST];
    const char *tags[MOST];
} text_item;

typedef struct text_filter {
    const char *streams[MOST];
    uint32_t item_count;
    text_item items[MOST];
} text_filter;

typedef struct built_filter {
    ex_slice names[MOST + 2 * MOST * MOST];
    ex_query_item items[MOST];
    ex_filter filter;
} built_filter;

static uint32_t add_names(ex_slice **at, const char *const *names, const ex_slice **ret)
{
    uint32_t n = 0;
    *ret = *at;
    for (; n < MOST && names[n] != NULL; n++)
        *(*at)++ = ex_str(names[n]);
    return n;
}

static void build(const text_filter *text, built_filter *b)
{
    ex_slice *at = b->names;
    memset(b, 0, sizeof *b);
    b->filter.stream_count = add_names(&at, text->streams, &b->filter.streams);
    b->filter.query.items = b->items;
    b->filter.query.item_count = text->item_count;
    for (uint32_t i = 0; i < text->item_count; i++) {
        ex_query_item *item = &b->items[i];
        item->type_count = add_names(&at, text->items[i].types, &item->types);
        item->tag_count = add_names(&at, text->items[i].tags, &item->tags);
    }
}

/* An event with the tags packed into `room`. */
static ex_event make_event(const char *stream, const char *type, const char *const *tags,
                           char room[256])
{
    size_t len = 0;
    for (size_t i = 0; i < MOST && tags[i] != NULL; i++) {
        size_t n = strlen(tags[i]);
        room[len++] = (char)n;
        memcpy(room + len, tags[i], n);
        len += n;
    }
    return (ex_event){.position = 1,
                      .version = 1,
                      .stream = ex_str(stream),
                      .type = ex_str(type),
                      .content_type = EX_S("application/json"),
                      .correlation_id = EX_S("x"),
                      .causation_id = EX_S("yy"),
                      .metadata = EX_S("{}"),
                      .data = EX_S("[]"),
                      .tags = {ex_slice_of(room, len)}};
}

static bool prepared_matches(const ex_filter *source, const ex_event *event)
{
    filter *f = NULL;
    assert_int_equal(filter_new(source, &f, NULL), EX_OK);
    event_block *b = event_block_new(event, 1);
    assert_non_null(b);
    bool matches = filter_matches(f, event_block_packed(b, 0), event_block_data(b, 0));
    ex_event again;
    event_block_event(b, 0, &again);
    assert_int_equal(ex_filter_matches(filter_plain(f), &again), matches);
    event_block_unref(b);
    filter_free(f);
    return matches;
}

/* Every row is asked about one event: stream "order-1", type "Placed", tags "c:7" and "p:9". */
static const struct {
    const char *name;
    text_filter filter;
    bool want;
} cases[] = {
    {"nothing asked for", {{NULL}, 0, {{{NULL}, {NULL}}}}, true},
    {"an empty item", {{NULL}, 1, {{{NULL}, {NULL}}}}, true},
    {"the type", {{NULL}, 1, {{{"Placed"}, {NULL}}}}, true},
    {"another type", {{NULL}, 1, {{{"Paid"}, {NULL}}}}, false},
    {"one of the types", {{NULL}, 1, {{{"Paid", "Placed"}, {NULL}}}}, true},
    {"a prefix of the type", {{NULL}, 1, {{{"Place"}, {NULL}}}}, false},
    {"the type in another case", {{NULL}, 1, {{{"placed"}, {NULL}}}}, false},
    {"one tag", {{NULL}, 1, {{{NULL}, {"p:9"}}}}, true},
    {"both tags", {{NULL}, 1, {{{NULL}, {"p:9", "c:7"}}}}, true},
    {"a tag that it has not", {{NULL}, 1, {{{NULL}, {"p:9", "c:8"}}}}, false},
    {"a prefix of a tag", {{NULL}, 1, {{{NULL}, {"p:"}}}}, false},
    {"type and tag", {{NULL}, 1, {{{"Placed"}, {"c:7"}}}}, true},
    {"type, but not the tag", {{NULL}, 1, {{{"Placed"}, {"c:1"}}}}, false},
    {"tag, but not the type", {{NULL}, 1, {{{"Paid"}, {"c:7"}}}}, false},
    {"second item", {{NULL}, 2, {{{"Paid"}, {NULL}}, {{NULL}, {"c:7"}}}}, true},
    {"no item", {{NULL}, 2, {{{"Paid"}, {NULL}}, {{"Placed"}, {"c:1"}}}}, false},
    {"the stream", {{"order-1"}, 0, {{{NULL}, {NULL}}}}, true},
    {"one of the streams", {{"order-2", "order-1"}, 0, {{{NULL}, {NULL}}}}, true},
    {"other streams", {{"order-2", "order-11"}, 0, {{{NULL}, {NULL}}}}, false},
    {"stream and item", {{"order-1"}, 1, {{{"Placed"}, {"p:9"}}}}, true},
    {"stream, but not the item", {{"order-1"}, 1, {{{"Paid"}, {NULL}}}}, false},
    {"item, but not the stream", {{"order-2"}, 1, {{{"Placed"}, {NULL}}}}, false},
};

/* R-DB: items OR-ed; inside an item types OR-ed and tags AND-ed. */
static void test_filter_matches_by_the_canonical_rule(void **state)
{
    (void)state;
    char room[256];
    static const char *const tags[MOST] = {"c:7", "p:9"};
    ex_event event = make_event("order-1", "Placed", tags, room);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        built_filter b;
        build(&cases[i].filter, &b);
        if (ex_filter_matches(&b.filter, &event) != cases[i].want ||
            prepared_matches(&b.filter, &event) != cases[i].want)
            fail_msg("%s: want %d", cases[i].name, cases[i].want);
    }
}

static void test_filter_without_tags_asks_nothing_of_them(void **state)
{
    (void)state;
    char room[256];
    static const char *const none[MOST] = {NULL};
    ex_event event = make_event("order-1", "Placed", none, room);
    static const text_filter wants_type = {{NULL}, 1, {{{"Placed"}, {NULL}}}};
    static const text_filter wants_tag = {{NULL}, 1, {{{NULL}, {"c:7"}}}};
    built_filter b;
    build(&wants_type, &b);
    assert_true(prepared_matches(&b.filter, &event));
    build(&wants_tag, &b);
    assert_false(prepared_matches(&b.filter, &event));
}

/* R-ES-16: what belongs to one correlation id, AND-ed with the rest. */
static void test_filter_by_correlation_id(void **state)
{
    (void)state;
    char room[256];
    static const char *const none[MOST] = {NULL};
    ex_event with = make_event("order-1", "Placed", none, room), without = with;
    without.correlation_id = EX_S("");
    const ex_slice stream = EX_S("order-2"), type = EX_S("Placed");
    const ex_query_item item = {.types = &type, .type_count = 1};
    const struct {
        const char *name;
        ex_filter filter;
        bool want_with;
    } rows[] = {
        {"the id", {.correlation_id = EX_S("x")}, true},
        {"a continuation", {.correlation_id = EX_S("xy")}, false},
        {"another case", {.correlation_id = EX_S("X")}, false},
        {"with the type", {.query = {&item, 1}, .correlation_id = EX_S("x")}, true},
        {"with another stream",
         {.streams = &stream, .stream_count = 1, .correlation_id = EX_S("x")},
         false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (ex_filter_matches(&rows[i].filter, &with) != rows[i].want_with ||
            prepared_matches(&rows[i].filter, &with) != rows[i].want_with ||
            prepared_matches(&rows[i].filter, &without))
            fail_msg("%s: want %d", rows[i].name, rows[i].want_with);
    }
}

static void test_filter_null_lets_all_pass(void **state)
{
    (void)state;
    char room[256];
    static const char *const none[MOST] = {NULL};
    ex_event event = make_event("s", "T", none, room);
    event_block *b = event_block_new(&event, 1);
    assert_non_null(b);
    assert_true(filter_matches(NULL, event_block_packed(b, 0), event_block_data(b, 0)));
    assert_null(filter_plain(NULL));
    event_block_unref(b);
}

static void test_filter_is_a_copy(void **state)
{
    (void)state;
    char name[] = "order-1";
    ex_slice stream = ex_str(name);
    ex_filter source = {.streams = &stream, .stream_count = 1};
    filter *f = NULL;
    assert_int_equal(filter_new(&source, &f, NULL), EX_OK);
    memset(name, 'x', sizeof name - 1);
    stream = EX_S("gone");
    assert_int_equal(filter_plain(f)->stream_count, 1);
    assert_true(ex_slice_is(filter_plain(f)->streams[0], "order-1"));
    filter_free(f);
}

static void test_filter_refuses_names_that_no_event_can_have(void **state)
{
    (void)state;
    static char longest[256];
    memset(longest, 'a', sizeof longest);
    static const struct {
        const char *name;
        size_t len;
        ex_status want;
    } rows[] = {{"empty", 0, EX_EINVAL}, {"longest", 255, EX_OK}, {"too long", 256, EX_EINVAL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ex_slice name = ex_slice_of(longest, rows[i].len);
        ex_query_item by_type = {.types = &name, .type_count = 1};
        ex_query_item by_tag = {.tags = &name, .tag_count = 1};
        const ex_filter sources[] = {{.streams = &name, .stream_count = 1},
                                     {.query = {&by_type, 1}},
                                     {.query = {&by_tag, 1}}};
        for (size_t k = 0; k < sizeof sources / sizeof *sources; k++) {
            filter *f = NULL;
            ex_error err = {0};
            if (filter_new(&sources[k], &f, &err) != rows[i].want)
                fail_msg("%s name, filter %zu: %s", rows[i].name, k, err.message);
            filter_free(f);
        }
    }
}

/* Many streams, so that the search in the set is a search. */
static void test_filter_finds_one_of_a_thousand_streams(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static char text[COUNT][16];
    static ex_slice names[COUNT];
    for (int i = 0; i < COUNT; i++)
        names[i] = ex_slice_of(text[i], (size_t)snprintf(text[i], sizeof text[i], "s-%d", i * 2));
    ex_filter source = {.streams = names, .stream_count = COUNT};
    filter *f = NULL;
    assert_int_equal(filter_new(&source, &f, NULL), EX_OK);
    for (int i = 0; i < COUNT * 2; i++) {
        char stream[16];
        char room[256];
        static const char *const none[MOST] = {NULL};
        snprintf(stream, sizeof stream, "s-%d", i);
        ex_event event = make_event(stream, "T", none, room);
        event_block *b = event_block_new(&event, 1);
        assert_non_null(b);
        assert_int_equal(filter_matches(f, event_block_packed(b, 0), event_block_data(b, 0)),
                         i % 2 == 0);
        event_block_unref(b);
    }
    filter_free(f);
}

/* ---- Seeded: prepared and plain give the same answer as a third, naive reading of the rule ----
 */

static const char *const words[] = {"a", "b", "ab", "ba", "abcdefgh", "abcdefghi", "abcdefgi"};
#define WORDS (sizeof words / sizeof *words)

static uint64_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % n;
}

static void random_names(const char **names)
{
    uint32_t n = below(MOST);
    for (uint32_t i = 0; i < MOST; i++)
        names[i] = i < n ? words[below(WORDS)] : NULL;
}

static bool list_has(const char *const *list, const char *name)
{
    for (size_t i = 0; i < MOST && list[i] != NULL; i++) {
        if (strcmp(list[i], name) == 0)
            return true;
    }
    return false;
}

static bool naive(const text_filter *f, const char *stream, const char *type,
                  const char *const *tags)
{
    bool any_item = f->item_count == 0;
    for (uint32_t i = 0; i < f->item_count; i++) {
        const text_item *item = &f->items[i];
        bool ok = item->types[0] == NULL || list_has(item->types, type);
        for (size_t k = 0; k < MOST && item->tags[k] != NULL; k++)
            ok = ok && list_has(tags, item->tags[k]);
        any_item = any_item || ok;
    }
    return any_item && (f->streams[0] == NULL || list_has(f->streams, stream));
}

static void test_filter_prepared_equals_plain_on_random_input(void **state)
{
    (void)state;
    size_t matched = 0;
    const size_t rounds = 20000;
    seed = 20261121;
    for (size_t round = 0; round < rounds; round++) {
        uint64_t at = seed;
        text_filter text = {.item_count = below(MOST)};
        const char *tags[MOST];
        char room[256];
        random_names(text.streams);
        for (uint32_t i = 0; i < text.item_count; i++) {
            random_names(text.items[i].types);
            random_names(text.items[i].tags);
        }
        random_names(tags);
        const char *stream = words[below(WORDS)];
        const char *type = words[below(WORDS)];
        ex_event event = make_event(stream, type, tags, room);
        built_filter b;
        build(&text, &b);
        bool want = naive(&text, stream, type, tags);
        if (ex_filter_matches(&b.filter, &event) != want ||
            prepared_matches(&b.filter, &event) != want)
            fail_msg("seed %llu: want %d", (unsigned long long)at, want);
        matched += want;
    }
    assert_in_range(matched, rounds / 20, rounds - rounds / 20); /* both answers were tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_matches_by_the_canonical_rule),
        cmocka_unit_test(test_filter_without_tags_asks_nothing_of_them),
        cmocka_unit_test(test_filter_by_correlation_id),
        cmocka_unit_test(test_filter_null_lets_all_pass),
        cmocka_unit_test(test_filter_is_a_copy),
        cmocka_unit_test(test_filter_refuses_names_that_no_event_can_have),
        cmocka_unit_test(test_filter_finds_one_of_a_thousand_streams),
        cmocka_unit_test(test_filter_prepared_equals_plain_on_random_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
