/* test_gather.c: who is waited for, how long, and when not any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/gather.h"

#define MS 1000000u

/* Naps of a batch of which nobody but the first comes. */
static uint32_t count_naps(gather *g, uint32_t staged)
{
    uint32_t naps = 0;
    gather_begin(g);
    while (gather_nap(g, staged))
        naps++;
    return naps;
}

static void test_gather_gives_a_quarter_of_a_commit(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t last_batch, waiting, staged;
        uint64_t commit_ns;
        uint32_t naps;
    } cases[] = {
        {"alone", 1, 0, 1, 8 * MS, 0},
        {"fast commits", 64, 0, 1, MS / 4, 0},
        {"slow commits", 64, 0, 1, 4 * MS, 10},
        {"very slow commits", 64, 0, 1, 500 * MS, 20},
        {"all came", 64, 0, 64, 4 * MS, 0},
        {"those who waited came, the others do not", 32, 32, 32, 4 * MS, 10},
        {"more than expected", 2, 0, 5, 4 * MS, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gather g = {0};
        print_message("%s\n", cases[i].name);
        gather_begin(&g);
        gather_end(&g, cases[i].last_batch, cases[i].waiting, cases[i].commit_ns);
        assert_int_equal(count_naps(&g, cases[i].staged), cases[i].naps);
    }
}

static void test_gather_doubts_after_waiting_in_vain(void **state)
{
    (void)state;
    gather g = {.commit_ns = 4 * MS, .expected = 64};
    static const uint32_t passes[] = {1, 3, 7, 15, 31, 63, 63};
    for (size_t i = 0; i < sizeof(passes) / sizeof(passes[0]); i++) {
        assert_int_equal(count_naps(&g, 1), 10);
        gather_end(&g, 1, 63, 4 * MS); /* the next batch expects 64 again */
        for (uint32_t k = 0; k < passes[i]; k++) {
            assert_int_equal(count_naps(&g, 1), 0);
            gather_end(&g, 1, 63, 4 * MS);
        }
    }
}

static void test_gather_trusts_again_when_most_came(void **state)
{
    (void)state;
    gather g = {.commit_ns = 4 * MS, .expected = 64, .doubt = 7};
    gather_begin(&g);
    assert_true(gather_nap(&g, 1));
    gather_end(&g, 60, 0, 4 * MS);
    assert_int_equal(g.doubt, 0);
    assert_int_equal(count_naps(&g, 1), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather_gives_a_quarter_of_a_commit),
        cmocka_unit_test(test_gather_doubts_after_waiting_in_vain),
        cmocka_unit_test(test_gather_trusts_again_when_most_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
