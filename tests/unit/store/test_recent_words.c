/* test_recent_words.c: what memory says about words, beside a model that keeps every event.
 * issue 8, item 10. G-500. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/recent_words.h"

enum { EVENTS_MAX = 1 << 18, TAGS = 3 };

/* Names are drawn with falling frequency: 0 is in nearly every event, the last ones are rare. */
static char names[4096][16];
static ex_slice tag_names[4096], type_names[4096];

typedef struct model_event {
    uint16_t type, tags[TAGS];
    uint8_t tag_count;
} model_event;

static model_event *model;
static uint64_t head; /* model[1..head] */
static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (random_state >> 33) % n;
}

static uint16_t draw_name(void)
{
    uint64_t scale = UINT64_C(1) << random_below(13);
    return (uint16_t)random_below(scale);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4096; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "tag:%zu", i); /* fits */
        tag_names[i] = ex_str(names[i]);
        type_names[i] = ex_str(names[i]); /* the same spelling on purpose */
    }
    model = calloc(EVENTS_MAX, sizeof(*model));
    head = 0;
    random_state = 8;
    return model ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(model);
    return 0;
}

static void put_event(recent_words *w)
{
    char packed[TAGS * 17];
    size_t len = 0;
    model_event *e = &model[++head];
    assert_true(head < EVENTS_MAX);
    *e = (model_event){.type = draw_name()};
    for (uint64_t i = 0, n = random_below(TAGS + 1); i < n; i++) {
        uint16_t tag = draw_name();
        ex_slice name = tag_names[tag];
        bool is_there = false;
        for (uint8_t j = 0; j < e->tag_count; j++)
            is_there |= e->tags[j] == tag;
        if (is_there)
            continue;
        e->tags[e->tag_count++] = tag;
        packed[len++] = (char)name.len;
        memcpy(packed + len, name.ptr, name.len);
        len += name.len;
    }
    recent_words_put(w, head, type_names[e->type], (ex_tags){ex_slice_of(packed, len)});
}

typedef struct wanted {
    uint16_t tags[TAGS], types[2];
    uint32_t tag_count, type_count;
} wanted;

static bool matches(const model_event *e, const wanted *q)
{
    bool has_type = q->type_count == 0;
    for (uint32_t i = 0; i < q->type_count; i++)
        has_type |= e->type == q->types[i];
    for (uint32_t i = 0; i < q->tag_count; i++) {
        bool has_tag = false;
        for (uint8_t j = 0; j < e->tag_count; j++)
            has_tag |= e->tags[j] == q->tags[i];
        if (!has_tag)
            return false;
    }
    return has_type;
}

typedef struct met {
    const wanted *q;
    uint64_t last;
    uint32_t count, wrong;
} met;

static bool meet(void *ctx, uint64_t position)
{
    met *m = ctx;
    assert_true(position < m->last && position <= head);
    m->last = position;
    m->count++;
    m->wrong += !matches(&model[position], m->q);
    return true;
}

/* @return whether memory had an answer; when it has one it is exact but for collisions of 64 bits
 */
static bool ask(const recent_words *w, uint64_t after, uint32_t steps)
{
    wanted q = {.tag_count = (uint32_t)random_below(TAGS), .type_count = (uint32_t)random_below(3)};
    ex_slice tags[TAGS], types[2];
    if (q.tag_count + q.type_count == 0)
        q.tag_count = 1;
    for (uint32_t i = 0; i < q.tag_count; i++)
        tags[i] = tag_names[q.tags[i] = draw_name()];
    for (uint32_t i = 0; i < q.type_count; i++)
        types[i] = type_names[q.types[i] = draw_name()];
    const ex_query_item item = {types, q.type_count, tags, q.tag_count};
    met m = {.q = &q, .last = UINT64_MAX};
    if (!recent_words_walk(w, &item, after, steps, meet, &m))
        return false;
    uint32_t want = 0;
    for (uint64_t p = after + 1; p <= head; p++)
        want += matches(&model[p], &q);
    assert_int_equal(m.wrong, 0);
    assert_int_equal(m.count, want);
    return true;
}

static void test_words_are_never_forgotten_by_mistake(void **state)
{
    (void)state;
    recent_words w;
    uint32_t answered = 0, asked = 0;
    assert_int_equal(recent_words_init(&w, 0, NULL), EX_OK);
    for (int round = 0; round < 400; round++) {
        uint64_t before = head, count = random_below(round % 20 ? 300 : 3000);
        for (uint64_t i = 0; i < count; i++)
            put_event(&w);
        if (random_below(3) == 0) { /* a submission or a batch that fails */
            head = before + random_below(count + 1);
            recent_words_take_back(&w, head);
        }
        for (int i = 0; i < 10; i++) {
            uint64_t span = random_below(2) ? 1000 : head + 1;
            uint64_t back = random_below(span < head + 1 ? span : head + 1);
            answered += ask(&w, head - back, RECENT_WORDS);
            asked++;
        }
    }
    assert_true(head > RECENT_WORDS / 2); /* the ring was filled several times */
    assert_true(answered > asked / 2);
    recent_words_done(&w);
}

/* More is taken back than the ring holds: then it knows less, never something wrong. */
static void test_words_of_a_huge_batch_are_taken_back(void **state)
{
    (void)state;
    recent_words w;
    assert_int_equal(recent_words_init(&w, 0, NULL), EX_OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2000; i++)
            put_event(&w);
        uint64_t before = head;
        for (uint32_t i = 0; i < RECENT_WORDS - (uint32_t)round * 20000; i++)
            put_event(&w);
        head = before;
        recent_words_take_back(&w, head);
        for (int i = 0; i < 300; i++)
            (void)ask(&w, head - random_below(head), RECENT_WORDS);
        for (int i = 0; i < 300; i++) {
            put_event(&w);
            (void)ask(&w, head - random_below(head), RECENT_WORDS);
        }
    }
    recent_words_done(&w);
}

static bool refuse_to_meet(void *ctx, uint64_t position)
{
    (void)ctx;
    fail_msg("met %d", (int)position);
    return true;
}

static void test_words_of_events_that_nobody_told_of_are_unknown(void **state)
{
    (void)state;
    recent_words w;
    const ex_query_item item = {type_names, 1, NULL, 0};
    assert_int_equal(recent_words_init(&w, 10, NULL), EX_OK);
    assert_false(recent_words_walk(&w, &item, 9, RECENT_WORDS, refuse_to_meet, NULL));
    assert_true(recent_words_walk(&w, &item, 10, RECENT_WORDS, refuse_to_meet, NULL));
    recent_words_raise(&w, 20);
    assert_false(recent_words_walk(&w, &item, 19, RECENT_WORDS, refuse_to_meet, NULL));
    assert_true(recent_words_walk(&w, &item, 20, RECENT_WORDS, refuse_to_meet, NULL));
    recent_words_raise(&w, 15); /* it never sinks */
    assert_false(recent_words_walk(&w, &item, 19, RECENT_WORDS, refuse_to_meet, NULL));
    recent_words_done(&w);
}

/* Two words that all events have, never together: only so many entries are looked at. */
static void test_words_walk_is_bounded(void **state)
{
    (void)state;
    recent_words w;
    const ex_query_item both = {type_names, 2, tag_names + 1, 1};
    static const char packed[] = "\5tag:1";
    assert_int_equal(recent_words_init(&w, 0, NULL), EX_OK);
    for (uint64_t i = 1; i < 10000; i++)
        recent_words_put(&w, i, type_names[i % 2 ? 0 : 2],
                         (ex_tags){i % 2 ? EX_S("") : ex_slice_of(packed, 6)});
    assert_false(recent_words_walk(&w, &both, 0, 1000, refuse_to_meet, NULL));
    assert_true(recent_words_walk(&w, &both, 9900, 1000, refuse_to_meet, NULL));
    assert_true(recent_words_walk(&w, &both, 0, RECENT_WORDS, refuse_to_meet, NULL));
    recent_words_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_words_are_never_forgotten_by_mistake, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_words_of_a_huge_batch_are_taken_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_words_of_events_that_nobody_told_of_are_unknown,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_words_walk_is_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
