/* test_overdue.c: those who wait behind a batch that fails, on an engine that does not answer, get
 * its failure when their own time is over; also those whose condition was searched meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "support/shared_model.h"

#define ANSWER_MS 1000

static const ex_slice type_a = EX_S_INIT("A"), type_b = EX_S_INIT("B"), tag_t = EX_S_INIT("t:1");

static ex_store *store;

static ex_status put(ex_slice type, const ex_slice *tag)
{
    const ex_new_event event = {
        .type = type, .data = EX_S("{}"), .tags = tag, .tag_count = tag != NULL};
    const ex_stream_write write = {EX_S("s"), EX_ANY, &event, 1};
    return ex_store_append(store, &(ex_append){.writes = &write, .write_count = 1}, NULL, NULL);
}

/* Of type A and of tag t in turn, never both: too many to look at in a batch. */
static void put_common(void)
{
    for (int i = 0; i < 1100; i++)
        assert_int_equal(put(i % 2 ? type_a : type_b, i % 2 ? NULL : &tag_t), EX_OK);
}

/* An append whose condition is searched, on a thread of its own. */
static void *put_if_none_matches(void *ret)
{
    const ex_new_event event = {.type = type_b, .data = EX_S("{}")};
    const ex_stream_write write = {EX_S("c"), EX_ANY, &event, 1};
    const ex_query_item item = {&type_a, 1, &tag_t, 1};
    const ex_query query = {&item, 1};
    const ex_append append = {.writes = &write, .write_count = 1, .fail_if_match = &query};
    *(ex_status *)ret = ex_store_append(store, &append, NULL, NULL);
    return NULL;
}

static void wait_for_searches(unsigned count)
{
    while (atomic_load(&shared_model.searching) < count)
        (void)usleep(1000);
}

/* The searches end, and the time of those that were searched. */
static void take_all_their_time(void)
{
    atomic_store(&shared_model.holds_searches, false);
    (void)usleep(ANSWER_MS * 1000);
}

/* What a search keeps was not given back, and the store waited for it when it was closed: for ever.
 * G-803; issue 8, items 10 and 14 */
static void test_overdue_after_its_search_lets_the_store_close(void **state)
{
    enum { SEARCHED = 2 };
    (void)state;
    const ex_store_options options = {
        .in_memory = true, .batch_limit = 1, .answer_timeout_ms = ANSWER_MS};
    assert_int_equal(shared_model_open_with(&options, &store, NULL), EX_OK);
    put_common();
    shared_model_reset();
    atomic_store(&shared_model.holds_searches, true);
    pthread_t threads[SEARCHED];
    ex_status ended[SEARCHED];
    for (unsigned i = 0; i < SEARCHED; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, put_if_none_matches, &ended[i]), 0);
        wait_for_searches(i + 1); /* it has left its batch, or is about to */
    }
    assert_int_equal(put(type_a, NULL), EX_OK); /* now it has */
    atomic_store(&shared_model.on_failing, take_all_their_time);
    atomic_store(&shared_model.begin_fails, EX_ESTORAGE);
    assert_int_equal(put(type_a, NULL), EX_ESTORAGE);
    for (unsigned i = 0; i < SEARCHED; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(ended[i], EX_ESTORAGE);
    }
    (void)alarm(20);
    ex_store_close(store);
    (void)alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overdue_after_its_search_lets_the_store_close),
    };
    return cmocka_run_group_tests_name("overdue", tests, NULL, NULL);
}
