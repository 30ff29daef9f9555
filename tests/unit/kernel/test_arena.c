/* Arena: alignment, limits, marks, reuse. */
#include <excore/arena.h>

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_arena_blocks_are_aligned_and_distinct(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    char *last = NULL;
    size_t last_size = 0;
    for (size_t size = 0; size < 3000; size += 37) {
        char *p = ex_arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        memset(p, (int)size, size); /* the sanitizer sees an overrun of the block */
        for (size_t i = 0; i < last_size; i++)
            assert_int_equal((unsigned char)last[i], (unsigned char)(size - 37));
        last = p;
        last_size = size;
    }
    ex_arena_done(&a);
}

static void test_arena_limit_is_hard(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 1000);
    assert_null(ex_arena_alloc(&a, 1001));
    assert_null(ex_arena_alloc(&a, SIZE_MAX));
    assert_null(ex_arena_array(&a, SIZE_MAX / 2, 4));
    assert_non_null(ex_arena_alloc(&a, 600));
    assert_null(ex_arena_alloc(&a, 600));
    assert_non_null(ex_arena_alloc(&a, 300));
    assert_null(ex_arena_copy(&a, ex_slice_of("x", SIZE_MAX)).ptr);
    assert_true(a.used_bytes <= 1000);
    ex_arena_reset(&a);
    assert_non_null(ex_arena_alloc(&a, 900)); /* the limit is on what is in use */
    ex_arena_done(&a);
}

static void test_arena_cleared_memory_is_clear_after_reuse(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    memset(ex_arena_alloc(&a, 2000), 0xAA, 2000);
    ex_arena_reset(&a);
    const char *p = ex_arena_zalloc(&a, 1000);
    const char *q = ex_arena_array(&a, 10, 50);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(q[i], 0);
    ex_arena_done(&a);
}

static void test_arena_copy_and_printf_end_in_nul(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    ex_slice copy = ex_arena_copy(&a, EX_S("text"));
    assert_string_equal(copy.ptr, "text");
    assert_int_equal(copy.len, 4);
    ex_slice empty = ex_arena_copy(&a, (ex_slice){NULL, 0});
    assert_non_null(empty.ptr);
    assert_string_equal(empty.ptr, "");
    ex_slice text = ex_arena_printf(&a, "%s-%05d", "order", 42);
    assert_string_equal(text.ptr, "order-00042");
    assert_int_equal(text.len, 11);
    ex_arena_done(&a);
}

static void test_arena_restore_gives_back_what_came_after(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    ex_arena_mark empty = ex_arena_save(&a);
    char *kept = ex_arena_alloc(&a, 100);
    memset(kept, 'k', 100);
    ex_arena_mark mark = ex_arena_save(&a);
    size_t used = a.used_bytes, total = a.total_bytes;
    for (int round = 0; round < 3; round++) {
        char *first = ex_arena_alloc(&a, 10);
        for (int i = 0; i < 100; i++)
            assert_non_null(ex_arena_alloc(&a, 3000)); /* several blocks */
        ex_arena_restore(&a, mark);
        assert_int_equal(a.used_bytes, used);
        assert_int_equal(a.total_bytes, total);
        assert_ptr_equal(ex_arena_alloc(&a, 10), first);
        ex_arena_restore(&a, mark);
    }
    assert_int_equal(kept[0] + kept[99], 2 * 'k');
    ex_arena_restore(&a, empty);
    assert_int_equal(a.used_bytes, 0);
    assert_int_equal(a.total_bytes, 0);
    ex_arena_done(&a);
}

static void test_arena_reset_keeps_one_block(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    for (int i = 0; i < 50; i++)
        assert_non_null(ex_arena_alloc(&a, 5000));
    size_t grown = a.total_bytes;
    ex_arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_true(a.total_bytes > 0 && a.total_bytes < grown);
    size_t kept = a.total_bytes;
    for (int i = 0; i < 100; i++) { /* a request after the other: no more malloc */
        assert_non_null(ex_arena_alloc(&a, 4000));
        ex_arena_reset(&a);
        assert_int_equal(a.total_bytes, kept);
    }
    ex_arena_done(&a);
}

static void test_arena_done_accepts_null_and_empty(void **state)
{
    (void)state;
    ex_arena a;
    ex_arena_init(&a, 0);
    ex_arena_done(NULL);
    ex_arena_done(&a);
    ex_arena_done(&(ex_arena){0});
    ex_arena_reset(&a);
    assert_non_null(ex_arena_alloc(&a, 1)); /* usable after done */
    ex_arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_blocks_are_aligned_and_distinct),
        cmocka_unit_test(test_arena_limit_is_hard),
        cmocka_unit_test(test_arena_cleared_memory_is_clear_after_reuse),
        cmocka_unit_test(test_arena_copy_and_printf_end_in_nul),
        cmocka_unit_test(test_arena_restore_gives_back_what_came_after),
        cmocka_unit_test(test_arena_reset_keeps_one_block),
        cmocka_unit_test(test_arena_done_accepts_null_and_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
