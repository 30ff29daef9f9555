/* Every allocation of the kernel fails in turn: EX_ENOMEM, nothing lost, nothing broken. */
#include "support/alloc_fault.h"

#include <excore/json.h>

#include "kernel/map.h"
#include "kernel/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static ex_status fill_arena(void *ctx)
{
    (void)ctx;
    ex_arena a;
    ex_status st = EX_OK;
    ex_arena_init(&a, 0);
    for (int i = 0; i < 50 && !st; i++) {
        ex_slice text = ex_arena_printf(&a, "%0*d", 1000, i);
        if (!text.ptr || !ex_arena_copy(&a, text).ptr || !ex_arena_array(&a, 10, 30))
            st = EX_ENOMEM;
    }
    ex_arena_done(&a);
    return st;
}

static ex_status fill_buffer(void *ctx)
{
    (void)ctx;
    ex_buf b;
    ex_buf_init(&b, 0);
    for (int i = 0; i < 1000; i++) {
        ex_buf_put_str(&b, "text");
        ex_buf_put_i64(&b, -i);
        ex_buf_printf(&b, "%d", i);
    }
    ex_status st = ex_buf_status(&b);
    ex_buf_done(&b);
    return st;
}

static ex_status fill_map(void *ctx)
{
    (void)ctx;
    ex_map m;
    ex_status st = EX_OK;
    int stored = 0;
    ex_map_init(&m, 0);
    for (int i = 0; i < 60 && !st; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "key-%d", i);
        st = ex_map_put(&m, ex_slice_of(key, (size_t)len), &stored, NULL);
        stored += !st;
    }
    assert_int_equal(m.count, stored); /* a failed put left the map as it was */
    for (int i = 0; i < stored; i++) {
        char key[16];
        int len = snprintf(key, sizeof(key), "key-%d", i);
        assert_ptr_equal(ex_map_get(&m, ex_slice_of(key, (size_t)len)), &stored);
    }
    ex_map_done(&m, NULL);
    return st;
}

/* Wide, deep, with escapes and a large object: every way the reader takes memory. */
static void put_document(ex_buf *b)
{
    ex_buf_put_str(b, "{\"esc\\n\":\"a\\u00e9\",\"deep\":[[[{\"x\":[1.5]}]]],\"many\":{");
    for (int i = 0; i < 300; i++)
        ex_buf_printf(b, "%s\"k%d\":[%d,\"\\t\"]", i ? "," : "", i, i);
    ex_buf_put_str(b, "}}");
}

static ex_status read_json(void *ctx)
{
    ex_arena a;
    ex_json v;
    ex_error err = {0};
    ex_arena_init(&a, 0);
    ex_status st = ex_json_parse(*(ex_slice *)ctx, &a, NULL, &v, &err);
    assert_int_equal(err.status, st);
    ex_arena_done(&a);
    return st;
}

static ex_status check_json(void *ctx)
{
    ex_arena a;
    ex_error err = {0};
    ex_arena_init(&a, 0);
    ex_status st = ex_json_validate(*(ex_slice *)ctx, &a, NULL, &err);
    assert_int_equal(err.status, st);
    ex_arena_done(&a);
    return st;
}

static ex_status write_canonical(void *ctx)
{
    ex_arena a;
    ex_buf b;
    ex_arena_init(&a, 0);
    ex_buf_init(&b, 0);
    ex_status st = ex_json_canonical(ctx, &a, &b);
    ex_buf_done(&b);
    ex_arena_done(&a);
    return st;
}

static ex_status start_workers(void *ctx)
{
    (void)ctx;
    ex_workers *w = NULL;
    ex_status st = ex_workers_start("test", 2, 16, &w, NULL);
    assert_true(!st == !!w);
    ex_workers_stop(w);
    return st;
}

static void test_alloc_arena_and_buffer(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("arena", fill_arena, NULL) >= 5);
    assert_true(alloc_fault_torture("buffer", fill_buffer, NULL) >= 4);
}

static void test_alloc_map(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("map", fill_map, NULL) >= 63); /* keys and tables */
}

static void test_alloc_json(void **state)
{
    (void)state;
    ex_buf b;
    ex_arena a;
    ex_json v;
    ex_buf_init(&b, 0);
    ex_arena_init(&a, 0);
    put_document(&b);
    ex_slice text = ex_buf_slice(&b);
    assert_int_equal(ex_buf_status(&b), EX_OK);
    assert_int_equal(ex_json_parse(text, &a, NULL, &v, NULL), EX_OK);
    assert_true(alloc_fault_torture("parse", read_json, &text) >= 5);
    assert_true(alloc_fault_torture("validate", check_json, &text) >= 3);
    assert_true(alloc_fault_torture("canonical", write_canonical, &v) >= 3);
    ex_arena_done(&a);
    ex_buf_done(&b);
}

static void test_alloc_workers(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("workers", start_workers, NULL) >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_arena_and_buffer),
        cmocka_unit_test(test_alloc_map),
        cmocka_unit_test(test_alloc_json),
        cmocka_unit_test(test_alloc_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
