/* Hash map: against a plain model under random operations, limits, walks, and the spread of the
 * hash. */
#include "kernel/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define KEYS 500

static ex_slice key_of(unsigned n, char out[32])
{
    int len = snprintf(out, 32, "%.*s%u", (int)(n % 13), "stream-name-x", n);
    return ex_slice_of(out, (size_t)len);
}

static void test_map_equals_a_model_under_random_operations(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    static char values[KEYS];
    void *model[KEYS] = {NULL};
    size_t count = 0;
    ex_map m;
    ex_map_init(&m, 0);
    for (int i = 0; i < 50000; i++) {
        unsigned n = (unsigned)rand_r(&seed) % KEYS;
        char text[32];
        ex_slice key = key_of(n, text);
        void *value = &values[rand_r(&seed) % KEYS];
        switch (rand_r(&seed) % 3) {
        case 0: {
            void *old = &m;
            assert_int_equal(ex_map_put(&m, key, value, &old), EX_OK);
            assert_ptr_equal(old, model[n]);
            count += model[n] == NULL;
            model[n] = value;
            break;
        }
        case 1:
            assert_ptr_equal(ex_map_remove(&m, key), model[n]);
            count -= model[n] != NULL;
            model[n] = NULL;
            break;
        default:
            assert_ptr_equal(ex_map_get(&m, key), model[n]);
        }
        assert_int_equal(m.count, count);
    }
    assert_true(m.capacity <= 2048); /* holes do not make it grow for ever */
    ex_map_done(&m, NULL);
    assert_int_equal(m.count, 0);
}

static void test_map_keys_are_copied_and_may_hold_any_byte(void **state)
{
    (void)state;
    ex_map m;
    ex_map_init(&m, 0);
    char key[3] = {'a', '\0', 'b'};
    assert_int_equal(ex_map_put(&m, ex_slice_of(key, 3), (char[]){"one"}, NULL), EX_OK);
    assert_int_equal(ex_map_put(&m, ex_slice_of(NULL, 0), (char[]){"empty"}, NULL), EX_OK);
    memset(key, 'x', 3);
    assert_string_equal(ex_map_get(&m, ex_slice_of("a\0b", 3)), "one");
    assert_string_equal(ex_map_get(&m, ex_str("")), "empty");
    assert_null(ex_map_get(&m, ex_str("a")));
    ex_map_done(&m, NULL);
}

static void test_map_limit_refuses_new_keys_only(void **state)
{
    (void)state;
    ex_map m;
    ex_map_init(&m, 2);
    assert_int_equal(ex_map_put(&m, EX_S("a"), (char[]){"1"}, NULL), EX_OK);
    assert_int_equal(ex_map_put(&m, EX_S("b"), (char[]){"2"}, NULL), EX_OK);
    assert_int_equal(ex_map_put(&m, EX_S("c"), (char[]){"3"}, NULL), EX_ETOOLARGE);
    void *old;
    assert_int_equal(ex_map_put(&m, EX_S("a"), (char[]){"4"}, &old), EX_OK);
    assert_string_equal(old, "1");
    assert_string_equal(ex_map_remove(&m, EX_S("b")), "2");
    assert_int_equal(ex_map_put(&m, EX_S("c"), (char[]){"3"}, NULL), EX_OK);
    ex_map_done(&m, NULL);
}

static void test_map_walk_sees_each_once_and_may_remove_it(void **state)
{
    (void)state;
    ex_map m;
    ex_map_init(&m, 0);
    bool seen[KEYS] = {false};
    for (unsigned n = 0; n < KEYS; n++) {
        char text[32];
        assert_int_equal(ex_map_put(&m, key_of(n, text), &seen[n], NULL), EX_OK);
    }
    size_t at = 0, walked = 0;
    ex_slice key;
    void *value;
    while (ex_map_next(&m, &at, &key, &value)) {
        bool *mark = value;
        assert_false(*mark);
        *mark = true;
        walked++;
        if (walked % 2)
            assert_ptr_equal(ex_map_remove(&m, key), value);
    }
    assert_int_equal(walked, KEYS);
    assert_int_equal(m.count, KEYS / 2);
    ex_map_done(&m, NULL);
}

static void test_map_done_frees_values(void **state)
{
    (void)state;
    ex_map m;
    ex_map_init(&m, 0);
    for (unsigned n = 0; n < 40; n++) {
        char text[32];
        void *value = malloc(8); /* a leak would be reported by the sanitizer */
        assert_non_null(value);
        assert_int_equal(ex_map_put(&m, key_of(n, text), value, NULL), EX_OK);
    }
    ex_map_done(&m, free);
    ex_map_done(NULL, free);
}

/* Every single bit of the key moves about half of the hash; no two of many near keys collide. */
static void test_hash_spreads(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        char key[40] = {0};
        uint64_t base = ex_hash(ex_slice_of(key, len));
        assert_true(base == ex_hash(ex_slice_of(key, len)));
        for (size_t bit = 0; bit < len * 8; bit++) {
            key[bit / 8] ^= (char)(1 << bit % 8);
            int moved = __builtin_popcountll(base ^ ex_hash(ex_slice_of(key, len)));
            key[bit / 8] ^= (char)(1 << bit % 8);
            assert_in_range(moved, 8, 56);
        }
        assert_true(base != ex_hash(ex_slice_of(key, len - 1)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_equals_a_model_under_random_operations),
        cmocka_unit_test(test_map_keys_are_copied_and_may_hold_any_byte),
        cmocka_unit_test(test_map_limit_refuses_new_keys_only),
        cmocka_unit_test(test_map_walk_sees_each_once_and_may_remove_it),
        cmocka_unit_test(test_map_done_frees_values),
        cmocka_unit_test(test_hash_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
