/* store_postgres_search.c: pages of the log by types and tags come from one statement each, which
 * intersects on the server. issue 9, item 2. G-970, G-971. PostgreSQL only.
 *
 * The log is made with SQL, so that it is long enough for many rounds of a search: its tags have
 * lists of all kinds, and what belongs to a page is told by arithmetic. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <string.h>

#include "sql/postgres/pg_conn.h"
#include "store/postgres/postgres_driver.h"
#include "store/postgres/search.h"
#include "support/pg_proxy.h"

#define EVENTS 20000

static void exec(ex_pg *pg, const char *sql)
{
    ex_error err = {0};
    if (ex_pg_script(pg, sql, &err))
        fail_msg("%s: %s", sql, err.message);
}

static ex_pg *open_raw(const suite *s)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = s->dir, .setup_sql = PG_SESSION_SQL}, &pg, &err))
        fail_msg("%s", err.message);
    return pg;
}

/* Which positions have a tag, by number. */
static const struct {
    const char *name, *condition;
} tags[] = {
    {"k:all", "true"},        {"k:half", "p % 2 = 0"},   {"k:other-half", "p % 2 = 1"},
    {"k:third", "p % 3 = 0"}, {"k:tenth", "p % 10 = 0"}, {"k:rare", "p % 997 = 0"},
    {"k:early", "p <= 9000"}, {"k:late", "p > 9000"},    {"k:bursts", "p / 500 % 4 = 0"},
    {"k:once", "p = 12345"},  {"k:last", "p = 20000"},
};
enum { TAGS = sizeof(tags) / sizeof(tags[0]) };

/* Types: Rare at each 499th, else T0 to T3. */
static void fill(ex_pg *pg)
{
    char sql[512];
    exec(pg, "INSERT INTO streams (id, name) VALUES (1, 's')");
    exec(pg, "INSERT INTO events (position, stream_id, version, recorded_at, id, type, stream, "
             "data) SELECT p, 1, p, p, decode(lpad(to_hex(p), 32, '0'), 'hex'), CASE WHEN p % 499 "
             "= 0 THEN 'Rare' ELSE 'T' || p % 4 END, 's', '{}' FROM generate_series(1, 20000) p");
    for (int i = 0; i < TAGS; i++) {
        (void)snprintf(sql, sizeof(sql),
                       "INSERT INTO tags (id, name) VALUES (%d, '%s'); INSERT INTO event_tags "
                       "SELECT %d, p FROM generate_series(1, 20000) p WHERE %s",
                       i + 2, tags[i].name, i + 2, tags[i].condition); /* fits */
        exec(pg, sql);
    }
    exec(pg, "UPDATE log_head SET position = 20000, recorded_at = 20000, last_id = 100");
}

/* ---- What is found ---- */

#define ITEM(types, type_count, tags, tag_count)                                                   \
    {                                                                                              \
        types, type_count, tags, tag_count                                                         \
    }
#define NAMES(...)                                                                                 \
    (const ex_slice[])                                                                             \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define N(name) EX_S_INIT(name)

static const ex_query_item
    half_third[] = {ITEM(NULL, 0, NAMES(N("k:half"), N("k:third")), 2)},
    halves[] = {ITEM(NULL, 0, NAMES(N("k:half"), N("k:other-half")), 2)},
    all_rare[] = {ITEM(NULL, 0, NAMES(N("k:all"), N("k:rare")), 2)},
    three[] = {ITEM(NULL, 0, NAMES(N("k:all"), N("k:half"), N("k:third")), 3)},
    four[] = {ITEM(NULL, 0, NAMES(N("k:tenth"), N("k:bursts"), N("k:third"), N("k:late")), 4)},
    apart[] = {ITEM(NULL, 0, NAMES(N("k:early"), N("k:late")), 2)},
    twice[] = {ITEM(NULL, 0, NAMES(N("k:third"), N("k:half"), N("k:third")), 3)},
    unknown[] = {ITEM(NULL, 0, NAMES(N("k:all"), N("k:nobody")), 2)},
    one_tag[] = {ITEM(NULL, 0, NAMES(N("k:bursts")), 1)},
    one_type[] = {ITEM(NAMES(N("T1")), 1, NULL, 0)},
    types[] = {ITEM(NAMES(N("T1"), N("Rare"), N("T3")), 3, NULL, 0)},
    type_tags[] = {ITEM(NAMES(N("T2"), N("Rare")), 2, NAMES(N("k:bursts"), N("k:half")), 2)},
    rare_type[] = {ITEM(NAMES(N("Rare")), 1, NAMES(N("k:all"), N("k:half")), 2)},
    rare_tag[] = {ITEM(NAMES(N("T1"), N("T2")), 2, NAMES(N("k:rare")), 1)},
    either[] = {ITEM(NULL, 0, NAMES(N("k:all"), N("k:tenth")), 2),
                ITEM(NAMES(N("Rare")), 1, NULL, 0),
                ITEM(NAMES(N("T0")), 1, NAMES(N("k:rare"), N("k:half")), 2),
                ITEM(NULL, 0, NAMES(N("k:tenth"), N("k:third")), 2),
                ITEM(NULL, 0, NAMES(N("k:once"), N("k:all")), 2),
                ITEM(NULL, 0, NAMES(N("k:last")), 1)};

#define QUERY(items)                                                                               \
    {                                                                                              \
        items, sizeof(items) / sizeof((items)[0])                                                  \
    }

static const struct {
    const char *name;
    ex_query query;
    const char *condition;
} cases[] = {
    {"two dense tags", QUERY(half_third), "p % 6 = 0"},
    {"tags that alternate", QUERY(halves), "false"},
    {"a rare one and all", QUERY(all_rare), "p % 997 = 0"},
    {"three dense tags", QUERY(three), "p % 6 = 0"},
    {"four tags", QUERY(four), "p % 30 = 0 AND p / 500 % 4 = 0 AND p > 9000"},
    {"tags that never meet", QUERY(apart), "false"},
    {"the same tag twice", QUERY(twice), "p % 6 = 0"},
    {"a tag that is not stored", QUERY(unknown), "false"},
    {"one tag", QUERY(one_tag), "p / 500 % 4 = 0"},
    {"one type", QUERY(one_type), "p % 499 > 0 AND p % 4 = 1"},
    {"types", QUERY(types), "p % 499 = 0 OR p % 2 = 1"},
    {"types and tags", QUERY(type_tags),
     "p / 500 % 4 = 0 AND p % 2 = 0 AND (p % 499 = 0 OR p % 4 = 2)"},
    {"a rare type and tags", QUERY(rare_type), "p % 998 = 0"},
    {"types and a rare tag", QUERY(rare_tag), "p % 997 = 0 AND p % 4 IN (1, 2)"},
    {"items", QUERY(either),
     "p % 10 = 0 OR p % 499 = 0 OR (p % 1994 = 0 AND p % 4 = 0) OR p = 12345 OR p = 20000"},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static void ask_sql(ex_pg *pg, const char *condition, uint64_t after, uint64_t limit,
                    uint64_t want[2])
{
    char sql[512];
    ex_pg_result r = {0};
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(*), coalesce(sum(p), 0)::bigint FROM (SELECT p::bigint FROM "
                   "generate_series(1, 20000) p WHERE p > %llu AND (%s) ORDER BY p LIMIT %llu) x",
                   (unsigned long long)after, condition, (unsigned long long)limit); /* fits */
    assert_int_equal(ex_pg_run(pg, ex_str(sql), NULL, &r, NULL), EX_OK);
    want[0] = (uint64_t)ex_pg_get_i64(&r, 0, 0);
    want[1] = (uint64_t)ex_pg_get_i64(&r, 0, 1);
    ex_pg_result_free(&r);
}

/* Rising, each once. @return how many, and their sum in got[1] */
static void read_page(ex_store *store, const ex_query *query, uint64_t after, uint64_t limit,
                      uint64_t got[2])
{
    const ex_filter filter = {.query = *query};
    const ex_read_log read = {.filter = &filter, .after = after, .limit = limit};
    ex_cursor *c = NULL;
    ex_event e;
    ex_error err = {0};
    ex_status st;
    uint64_t last = after;
    got[0] = got[1] = 0;
    if (ex_store_read_log(store, &read, &c, &err))
        fail_msg("%s", err.message);
    while ((st = ex_cursor_next(c, &e, &err)) == EX_OK) {
        assert_true(e.position > last);
        last = e.position;
        got[0]++;
        got[1] += e.position;
    }
    if (st != EX_EEND)
        fail_msg("%s", err.message);
    ex_cursor_close(c);
}

static void check_page(ex_store *store, ex_pg *pg, int at, uint64_t after, uint64_t limit)
{
    uint64_t want[2], got[2];
    ask_sql(pg, cases[at].condition, after, limit, want);
    read_page(store, &cases[at].query, after, limit == EVENTS ? 0 : limit, got);
    if (got[0] != want[0] || got[1] != want[1])
        fail_msg("%s, %d behind %d: %d events, want %d", cases[at].name, (int)limit, (int)after,
                 (int)got[0], (int)want[0]);
}

/* Through however many windows of however dense lists: what both have, all of it, in order. */
static void test_postgres_search_finds_what_matches(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    ex_store *store = NULL;
    ex_pg *pg = open_raw(s);
    fill(pg);
    assert_int_equal(ex_store_open(s->dir, &(ex_store_options){.read_only = true}, &store, NULL),
                     EX_OK);
    for (int i = 0; i < CASES; i++) {
        check_page(store, pg, i, 0, EVENTS);
        check_page(store, pg, i, 0, 7);
        check_page(store, pg, i, 12344, 100);
        check_page(store, pg, i, 19999, 1);
    }
    ex_store_close(store);
    ex_pg_close(pg);
}

/* ---- Round trips ---- */

/* G-970 */
static void test_postgres_search_is_one_round_trip_a_page(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    enum { PAGE = 300, HEAD = 1 };
    ex_store *store = NULL;
    uint64_t got[2];
    ex_pg *pg = open_raw(s);
    fill(pg);
    pg_proxy *proxy = pg_proxy_new(s->dir);
    assert_int_equal(
        ex_store_open(pg_proxy_url(proxy), &(ex_store_options){.read_only = true}, &store, NULL),
        EX_OK);
    read_page(store, &cases[0].query, 0, PAGE, got); /* connects */
    for (int i = 0; i < CASES; i++) {
        unsigned before = pg_proxy_groups(proxy);
        read_page(store, &cases[i].query, 15000, PAGE, got);
        unsigned groups = pg_proxy_groups(proxy) - before;
        if (groups > 1 + HEAD)
            fail_msg("%s: %u round trips", cases[i].name, groups);
    }
    ex_store_close(store);
    pg_proxy_free(proxy);
    ex_pg_close(pg);
}

/* ---- Slices ---- */

static pg_search_end search(ex_pg *pg, const ex_query *query, uint64_t from, uint64_t upto)
{
    ex_pg_args args;
    ex_pg_result r = {0};
    pg_search_end end = {0};
    ex_error err = {0};
    ex_pg_args_init(&args);
    pg_put_search(&args, &(pg_search){query, from, upto, 100, 1 << 20});
    if (ex_pg_run(pg, pg_sql(PG_SEARCH), &args, &r, &err) || pg_search_read_end(&r, &end, &err))
        fail_msg("%s", err.message);
    ex_pg_result_free(&r);
    ex_pg_args_done(&args);
    return end;
}

/* G-971: a search that finds nothing in a long log ends early, says how far it came, and goes on
 * from there. */
static void test_postgres_search_ends_with_its_slice(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    enum { LONG = 600000 };
    ex_pg *pg = open_raw(s);
    exec(pg, "INSERT INTO tags (id, name) VALUES (2, 'k:half'), (3, 'k:other-half'); INSERT INTO "
             "event_tags SELECT 2 + p % 2, p FROM generate_series(1, 600000) p");
    uint64_t next = 1, slices = 0;
    for (; next <= LONG; slices++) {
        pg_search_end end = search(pg, &cases[1].query, next, LONG);
        assert_int_equal(end.rows, 0);
        assert_true(end.next > next);
        next = end.next;
    }
    assert_int_equal(next, LONG + 1);
    assert_true(slices > 1);
    ex_pg_close(pg);
}

int store_postgres_search_tests(suite *s)
{
    const struct CMUnitTest tests_[] = {
        STORE_TEST(test_postgres_search_finds_what_matches),
        STORE_TEST(test_postgres_search_is_one_round_trip_a_page),
        STORE_TEST(test_postgres_search_ends_with_its_slice),
    };
    return cmocka_run_group_tests_name("store postgres search", tests_, NULL, NULL);
}
