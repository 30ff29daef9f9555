/* test_chain.c: jumps by version, and tails that know the next one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "store/sqlite/chain.h"

enum { VERSIONS = 5000 };

/* Myers: when the last two jumps are of the same length, one jump skips both. */
static uint64_t jump_by_the_book(uint64_t version, uint64_t (*jump)(uint64_t))
{
    uint64_t parent = version - 1;
    if (parent == 0)
        return 0;
    uint64_t first = jump(parent);
    uint64_t second = first ? jump(first) : 0;
    return first && parent - first == first - second ? second : parent;
}

static uint64_t random_number(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void test_chain_jumps_as_the_header_says(void **state)
{
    (void)state;
    static const uint64_t want[] = {0, 1, 0, 3, 4, 3, 0, 7, 8, 7, 10, 11, 10, 7, 0, 15};
    for (uint64_t v = 1; v <= sizeof(want) / sizeof(want[0]); v++)
        assert_int_equal(chain_jump_version(v), want[v - 1]);
}

static void test_chain_jumps_join_blocks(void **state)
{
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (uint64_t v = 1; v <= VERSIONS; v++)
        if (chain_jump_version(v) != jump_by_the_book(v, chain_jump_version))
            fail_msg("version %llu", (unsigned long long)v);
    for (int i = 0; i < VERSIONS; i++) {
        uint64_t v = (random_number(&seed) >> (1 + i % 60)) + 2;
        if (chain_jump_version(v) != jump_by_the_book(v, chain_jump_version))
            fail_msg("version %llu", (unsigned long long)v);
    }
    assert_int_equal(chain_jump_version(INT64_MAX), 0); /* a full block */
}

/* The way chain_walk.c goes. */
static uint32_t steps_between(uint64_t from, uint64_t to)
{
    uint32_t steps = 0;
    for (; from > to; steps++) {
        uint64_t jump = chain_jump_version(from);
        from = jump >= to ? jump : from - 1;
    }
    return steps;
}

static uint32_t bits_of(uint64_t n)
{
    uint32_t bits = 0;
    for (; n; n >>= 1)
        bits++;
    return bits;
}

static void test_chain_any_version_is_near(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (uint64_t head = 1; head <= 600; head++)
        for (uint64_t v = 1; v <= head; v++)
            assert_in_range(steps_between(head, v), 0, 3 * bits_of(head));
    for (int i = 0; i < 20000; i++) {
        uint64_t head = (random_number(&seed) >> (2 + i % 60)) + 1;
        uint64_t v = random_number(&seed) % head + 1;
        assert_in_range(steps_between(head, v), 0, 3 * bits_of(head));
    }
}

/* ---- Tails ---- */

static uint64_t positions[VERSIONS + 1]; /* of each version; [0] is 0 */

static void lay_out_stream(void)
{
    uint64_t seed = 7;
    for (uint64_t v = 1; v <= VERSIONS; v++)
        positions[v] = positions[v - 1] + 1 + random_number(&seed) % 50;
}

static void assert_links(uint64_t version, chain_back back)
{
    uint64_t jump = chain_jump_version(version);
    uint64_t want_prev = version > 1 ? positions[version] - positions[version - 1] : 0;
    uint64_t want_jump = jump && jump != version - 1 ? positions[version] - positions[jump] : 0;
    if (back.prev != want_prev || back.jump != want_jump)
        fail_msg("version %llu", (unsigned long long)version);
}

/* Find what the tail lacks, as a driver does. */
static uint32_t complete(chain_tail *t)
{
    uint32_t count = 0;
    for (; chain_tail_lacks(t); count++) {
        uint64_t oldest = chain_tail_oldest(t);
        assert_int_equal(t->position[t->known - 1], positions[oldest]);
        t->position[t->known++] = positions[chain_jump_version(oldest)];
    }
    return count;
}

static void test_chain_tail_links_a_stream_from_its_start(void **state)
{
    (void)state;
    lay_out_stream();
    chain_tail t = {0};
    uint32_t reads = 0;
    for (uint64_t v = 1; v <= VERSIONS; v++) {
        reads += complete(&t);
        assert_links(v, chain_tail_push(&t, positions[v]));
        assert_int_equal(t.version, v);
        assert_int_equal(t.position[0], positions[v]);
        assert_in_range(t.known, 1, CHAIN_KEPT);
    }
    assert_int_equal(t.pushed, VERSIONS);
    assert_in_range(reads, 1, VERSIONS / 16); /* one that is kept is nearly free */
}

/* Only the head is known: two reads at most, and none for the first five events. */
static void test_chain_tail_links_from_a_head_alone(void **state)
{
    (void)state;
    lay_out_stream();
    for (uint64_t v = 1; v < VERSIONS; v++) {
        chain_tail t = {.version = v, .position = {positions[v]}, .known = 1};
        assert_in_range(complete(&t), 0, v < 5 ? 0 : 2);
        assert_links(v + 1, chain_tail_push(&t, positions[v + 1]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_jumps_as_the_header_says),
        cmocka_unit_test(test_chain_jumps_join_blocks),
        cmocka_unit_test(test_chain_any_version_is_near),
        cmocka_unit_test(test_chain_tail_links_a_stream_from_its_start),
        cmocka_unit_test(test_chain_tail_links_from_a_head_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
