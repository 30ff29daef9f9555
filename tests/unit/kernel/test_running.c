/* test_running.c: what a thread is doing, for the line of a crash. issue 9, item 8; G-964 */
#include "kernel/running.h"

#include "kernel/sanitizer.h"
#include "kernel/thread.h"

#include <excore/arena.h>

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

static void says(const char *want)
{
    char line[256];
    size_t len = ex_running_write(line, sizeof(line) - 1);
    line[len] = '\0';
    assert_string_equal(line, want);
}

static void test_running_names_the_innermost_place_first(void **state)
{
    (void)state;
    ex_running command = {.what = "command",
                          .context = EX_S("orders"),
                          .owner = "order",
                          .name = "confirm",
                          .stream = EX_S("order-1\n\x1b[2J")};
    ex_running event = {.what = "evolve function of",
                        .owner = "order",
                        .name = "OrderCreated",
                        .version = 7,
                        .position = UINT64_MAX};
    says("");
    ex_running_enter(&command);
    says("command orders/order/confirm, stream order-1??[2J");
    ex_running_enter(&event);
    says("evolve function of order/OrderCreated, version 7, position 18446744073709551615; in "
         "command orders/order/confirm, stream order-1??[2J");
    ex_running_leave(&event);
    ex_running_leave(&command);
    says("");
}

static void test_running_is_cut_to_its_room(void **state)
{
    (void)state;
    char line[8] = "1234567";
    ex_running place = {.what = "query", .owner = "open-orders"};
    ex_running_enter(&place);
    assert_int_equal(ex_running_write(line, 5), 5);
    assert_string_equal(line, "query67");
    ex_running_leave(&place);
}

static void *look(void *arg)
{
    says(""); /* another thread's places are its own */
    (void)sigaltstack(NULL, arg);
    return NULL;
}

/* The handler of an overflow needs a stack that is left. */
static void test_running_threads_have_a_stack_for_signals(void **state)
{
    (void)state;
    ex_running place = {.what = "query", .owner = "open-orders"};
    stack_t main_thread = {0}, other = {0};
    pthread_t thread;
    ex_thread_watch_stacks();
    ex_running_enter(&place);
    assert_int_equal(ex_thread_start(&thread, "test", look, &other, NULL), EX_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    ex_running_leave(&place);
    assert_int_equal(sigaltstack(NULL, &main_thread), 0);
    assert_int_equal(main_thread.ss_flags & SS_DISABLE, 0);
    assert_int_equal(other.ss_flags & SS_DISABLE, 0);
    assert_true(other.ss_size >= 16384);
    assert_ptr_not_equal(other.ss_sp, main_thread.ss_sp);
}

#if EX_HAS_ASAN
/* G-965 */
static void test_running_arena_is_poisoned_beyond_what_it_gave(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    char *first = ex_arena_alloc(&a, 5), *second = ex_arena_alloc(&a, 16);
    assert_false(__asan_address_is_poisoned(first + 4));
    assert_true(__asan_address_is_poisoned(first + 5));
    assert_false(__asan_address_is_poisoned(second + 15));
    assert_true(__asan_address_is_poisoned(second + 16));
    ex_arena_mark mark = ex_arena_save(&a);
    char *third = ex_arena_alloc(&a, 1);
    ex_arena_restore(&a, mark);
    assert_true(__asan_address_is_poisoned(third));
    assert_false(__asan_address_is_poisoned(second));
    ex_arena_reset(&a);
    assert_true(__asan_address_is_poisoned(second));
    ex_arena_done(&a);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_running_names_the_innermost_place_first),
        cmocka_unit_test(test_running_is_cut_to_its_room),
        cmocka_unit_test(test_running_threads_have_a_stack_for_signals),
#if EX_HAS_ASAN
        cmocka_unit_test(test_running_arena_is_poisoned_beyond_what_it_gave),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
