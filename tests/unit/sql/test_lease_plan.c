/* test_lease_plan.c: how leases are shared out: single decisions, and whole clusters that act on
 * what they see until nothing moves any more. */
#include "sql/lease_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TTL 1000
#define MAX 12

/* ---- One decision ---- */

/* The cluster as seen by node 0 ('a'). A lease is a letter: its holder, '-' for free, '=' for free
 * since the lease time. wants: for each node the leases it wants, "*" for all. */
static const struct {
    const char *name;
    const char *leases;
    const char *wants[4];
    const char *take; /* indexes */
    uint32_t limit;
    const char *give;
} cases[] = {
    {"alone, all free", "---", {"*"}, "012", 3, ""},
    {"alone, holds all", "aaa", {"*"}, "", 0, ""},
    {"two start together", "----", {"*", "*"}, "0123", 2, ""},
    {"three start together, the odd one", "----", {"*", "*", "*"}, "0123", 2, ""},
    {"the other holds its share", "b-", {"*", "*"}, "1", 1, ""},
    {"the other is to give back", "bb", {"*", "*"}, "", 1, ""},
    {"a node joins", "aaaa", {"*", "*"}, "", 0, "01"},
    {"a node joins, one is to move", "aaa", {"*", "*"}, "", 0, "0"},
    {"balanced as well as can be", "aab", {"*", "*"}, "", 0, ""},
    {"the larger share stays with who has it", "abb", {"*", "*"}, "", 0, ""},
    {"nobody else wants the surplus", "aaa", {"*", ""}, "", 0, ""},
    {"of the surplus only what the other wants", "aaaa", {"*", "2"}, "", 0, "2"},
    {"beyond the share only what is left over", "a-=", {"*", "*"}, "12", 1, ""},
    {"left over by one that cannot", "aa=", {"*", "01"}, "2", 1, ""},
    {"not wanted by us", "--", {"0", "*"}, "0", 1, ""},
};

static void draw(const char *leases, const char *const wants[4], lease_cluster *c, lease_row *rows,
                 lease_member *nodes, bool *grid)
{
    *c = (lease_cluster){.leases = rows, .nodes = nodes, .wants = grid};
    c->lease_count = (uint32_t)strlen(leases);
    for (uint32_t n = 0; n < 4 && wants[n]; n++) {
        if (wants[n][0] == '\0') /* lives, wants nothing: has no row */
            continue;
        nodes[c->node_count] = (lease_member){.is_me = n == 0};
        for (uint32_t l = 0; l < c->lease_count; l++) {
            nodes[c->node_count].held += leases[l] == (char)('a' + n);
            grid[c->node_count * c->lease_count + l] =
                wants[n][0] == '*' || strchr(wants[n], (char)('0' + l));
        }
        c->node_count++;
    }
    for (uint32_t l = 0; l < c->lease_count; l++)
        rows[l] = (lease_row){.is_mine = leases[l] == 'a',
                              .is_free = leases[l] == '-' || leases[l] == '=',
                              .left_ms = leases[l] == '='   ? -TTL
                                         : leases[l] == '-' ? -1
                                                            : TTL};
}

static void check_list(const char *what, const uint32_t *got, uint32_t count, const char *want)
{
    char text[MAX + 1] = "";
    for (uint32_t i = 0; i < count; i++)
        text[i] = (char)('0' + got[i]);
    if (strcmp(text, want) != 0)
        fail_msg("%s: '%s' instead of '%s'", what, text, want);
}

static void test_lease_plan_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lease_cluster c;
        lease_row rows[MAX];
        lease_member nodes[4];
        bool grid[4 * MAX];
        lease_plan p;
        ex_arena arena;
        ex_arena_init(&arena, 0);
        print_message("%s\n", cases[i].name);
        draw(cases[i].leases, cases[i].wants, &c, rows, nodes, grid);
        assert_int_equal(lease_plan_make(&c, TTL, &arena, &p, NULL), EX_OK);
        check_list("take", p.take, p.take_count, cases[i].take);
        check_list("give", p.give, p.give_count, cases[i].give);
        assert_int_equal(p.take_limit, cases[i].limit);
        ex_arena_done(&arena);
    }
}

/* ---- Whole clusters ---- */

typedef struct world {
    uint32_t nodes, leases;
    bool wants[MAX][MAX];
    int holder[MAX]; /* -1: free */
    int free_since[MAX];
    int now; /* in lease times */
} world;

static uint32_t held(const world *w, uint32_t node)
{
    uint32_t n = 0;
    for (uint32_t l = 0; l < w->leases; l++)
        n += w->holder[l] == (int)node;
    return n;
}

/* What node `me` sees; nodes and leases that nobody wants are not seen. */
static void look(const world *w, uint32_t me, lease_cluster *c, uint32_t at[MAX])
{
    c->node_count = c->lease_count = 0;
    for (uint32_t l = 0; l < w->leases; l++) {
        bool is_wanted = false;
        for (uint32_t n = 0; n < w->nodes; n++)
            is_wanted |= w->wants[n][l];
        if (!is_wanted)
            continue;
        at[c->lease_count] = l;
        c->leases[c->lease_count++] =
            (lease_row){.is_mine = w->holder[l] == (int)me,
                        .is_free = w->holder[l] < 0,
                        .left_ms = w->holder[l] < 0 ? (w->free_since[l] - w->now) * TTL - 1 : TTL};
    }
    for (uint32_t n = 0; n < w->nodes; n++) {
        bool *row = c->wants + c->node_count * c->lease_count, is_any = false;
        for (uint32_t l = 0; l < c->lease_count; l++)
            is_any |= row[l] = w->wants[n][at[l]];
        if (is_any)
            c->nodes[c->node_count++] = (lease_member){.is_me = n == me, .held = held(w, n)};
    }
}

/* True: something moved. */
static bool act(world *w, uint32_t me)
{
    lease_row rows[MAX];
    lease_member nodes[MAX];
    bool grid[MAX * MAX];
    uint32_t at[MAX];
    lease_cluster c = {.leases = rows, .nodes = nodes, .wants = grid};
    lease_plan p;
    ex_arena arena;
    ex_arena_init(&arena, 0);
    look(w, me, &c, at);
    assert_int_equal(lease_plan_make(&c, TTL, &arena, &p, NULL), EX_OK);
    for (uint32_t i = 0; i < p.take_count && i < p.take_limit; i++)
        w->holder[at[p.take[i]]] = (int)me;
    for (uint32_t i = 0; i < p.give_count; i++) {
        w->holder[at[p.give[i]]] = -1;
        w->free_since[at[p.give[i]]] = w->now;
    }
    bool moved = p.give_count > 0 || (p.take_count > 0 && p.take_limit > 0);
    ex_arena_done(&arena);
    return moved;
}

/* Let the nodes act one by one in a random order until none moves for three lease times. */
static void settle(world *w, unsigned seed)
{
    int quiet = 0;
    for (int start = w->now; quiet < 3; w->now++) {
        bool moved = false;
        for (uint32_t i = 0; i < 2 * w->nodes; i++)
            moved |= act(w, (uint32_t)rand() % w->nodes);
        for (uint32_t i = 0; i < w->nodes; i++)
            moved |= act(w, i);
        quiet = moved ? 0 : quiet + 1;
        if (w->now - start > 50)
            fail_msg("seed %u: leases keep moving", seed);
    }
}

static void check_all_held(const world *w, unsigned seed)
{
    for (uint32_t l = 0; l < w->leases; l++) {
        bool is_wanted = false;
        for (uint32_t n = 0; n < w->nodes; n++)
            is_wanted |= w->wants[n][l];
        if (is_wanted && (w->holder[l] < 0 || !w->wants[w->holder[l]][l]))
            fail_msg("seed %u: lease %u is wanted and not held", seed, l);
    }
}

static void check_balanced(const world *w, unsigned seed)
{
    uint32_t least = MAX, most = 0;
    for (uint32_t n = 0; n < w->nodes; n++) {
        uint32_t h = held(w, n);
        least = h < least ? h : least;
        most = h > most ? h : most;
    }
    if (most - least > 1)
        fail_msg("seed %u: between %u and %u leases a node", seed, least, most);
}

/* Whoever wants what, all that is wanted is held in the end and stays; where all want all, evenly.
 */
static void run_world(unsigned seed, bool is_even)
{
    world w = {0};
    srand(seed); /* NOLINT: a reproducible sequence is wanted */
    w.nodes = 1 + (uint32_t)rand() % 6;
    w.leases = 1 + (uint32_t)rand() % (MAX - 1);
    for (uint32_t n = 0; n < w.nodes; n++)
        for (uint32_t l = 0; l < w.leases; l++)
            w.wants[n][l] = is_even || rand() % 3;
    for (uint32_t l = 0; l < w.leases; l++) {
        int to = rand() % (int)(w.nodes + 1) - 1;
        w.holder[l] = to >= 0 && w.wants[to][l] ? to : -1;
    }
    settle(&w, seed);
    check_all_held(&w, seed);
    if (is_even)
        check_balanced(&w, seed);
}

static void test_lease_plan_comes_to_rest(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 2000; seed++)
        run_world(seed, seed % 2 == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_plan_decides),
        cmocka_unit_test(test_lease_plan_comes_to_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
