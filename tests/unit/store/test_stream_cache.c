/* test_stream_cache.c: what is put is found, what is replaced is gone, and it stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "store/stream_cache.h"

static bool get(stream_cache *c, uint64_t hash, const char *name, uint64_t *version)
{
    uint64_t id;
    return stream_cache_get(c, hash, ex_str(name), &id, version);
}

static void test_stream_cache_finds_by_name_not_by_hash(void **state)
{
    (void)state;
    stream_cache c;
    uint64_t version = 0;
    assert_int_equal(stream_cache_init(&c, NULL), EX_OK);
    assert_false(get(&c, 1, "a", &version));
    stream_cache_put(&c, 1, EX_S("a"), 10, 100);
    stream_cache_put(&c, 1, EX_S("b"), 20, 200); /* the same hash */
    assert_true(get(&c, 1, "a", &version));
    assert_int_equal(version, 100);
    assert_true(get(&c, 1, "b", &version));
    assert_int_equal(version, 200);
    assert_false(get(&c, 1, "ab", &version));
    assert_false(get(&c, 2, "a", &version));
    stream_cache_put(&c, 1, EX_S("a"), 10, 101);
    assert_true(get(&c, 1, "a", &version));
    assert_int_equal(version, 101);
    stream_cache_clear(&c);
    assert_false(get(&c, 1, "a", &version));
    stream_cache_done(&c);
}

static void test_stream_cache_keeps_what_is_used(void **state)
{
    (void)state;
    stream_cache c;
    uint64_t version = 0;
    assert_int_equal(stream_cache_init(&c, NULL), EX_OK);
    stream_cache_put(&c, 5, EX_S("hot"), 1, 1);
    for (uint64_t i = 2; i < 200; i++) { /* all in one set */
        char name[32];
        (void)snprintf(name, sizeof(name), "cold-%llu", (unsigned long long)i);
        assert_true(get(&c, 5, "hot", &version));
        stream_cache_put(&c, 5, ex_str(name), i, i);
    }
    assert_false(get(&c, 5, "cold-2", &version));
    stream_cache_done(&c);
}

static void test_stream_cache_reuses_room_for_longer_names(void **state)
{
    (void)state;
    stream_cache c;
    uint64_t version = 0;
    assert_int_equal(stream_cache_init(&c, NULL), EX_OK);
    for (uint64_t i = 1; i <= 255; i++) {
        char name[256];
        memset(name, 'x', sizeof(name));
        stream_cache_put(&c, 9, ex_slice_of(name, i), i, i);
        uint64_t id = 0;
        assert_true(stream_cache_get(&c, 9, ex_slice_of(name, i), &id, &version));
        assert_int_equal(id, i);
    }
    stream_cache_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream_cache_finds_by_name_not_by_hash),
        cmocka_unit_test(test_stream_cache_keeps_what_is_used),
        cmocka_unit_test(test_stream_cache_reuses_room_for_longer_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
