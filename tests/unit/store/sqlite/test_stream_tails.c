/* test_stream_tails.c: chains as they are written to a database and walked in it again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "store/sqlite/chain_walk.h"
#include "store/sqlite/lists.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/stream_tails.h"

enum {
    STREAMS = 4,
    EVENTS = 3000,
    SLOTS = 32768 /* of stream_tails.c: ids that far apart share one */
};

/* 1 and 1 + SLOTS push each other out all the time. */
static const uint64_t ids[STREAMS] = {1, 1 + SLOTS, 2, 1 + 2 * SLOTS};

typedef struct world {
    sqlite_conn conn;
    stream_tails tails;
    uint64_t head;
    uint64_t versions[STREAMS];
    uint64_t positions[STREAMS][EVENTS + 1]; /* by version */
} world;

static int set_up(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    sqlite_conn_options options = {":memory:", NULL, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                   64 << 10};
    assert_int_equal(sqlite_conn_open(&w->conn, &options, NULL), EX_OK);
    assert_int_equal(sqlite_schema_migrate(&w->conn, ":memory:", NULL), EX_OK);
    assert_int_equal(stream_tails_init(&w->tails, NULL), EX_OK);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    stream_tails_done(&w->tails);
    sqlite_conn_close(&w->conn);
    free(w);
    return 0;
}

static void bind_links(sqlite3_stmt *st, chain_back back)
{
    if (back.prev)
        (void)bind_u64(st, 4, back.prev);
    if (back.jump)
        (void)bind_u64(st, 5, back.jump);
}

static void insert(world *w, uint64_t id, chain_place place, chain_back back)
{
    uint64_t event_id[2] = {place.position, 0};
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite_conn_statement(&w->conn, STATEMENT_EVENT_INSERT, &st, NULL), EX_OK);
    (void)sqlite3_clear_bindings(st);
    (void)bind_u64(st, 1, place.position);
    (void)bind_u64(st, 2, id);
    (void)bind_u64(st, 3, place.version);
    bind_links(st, back);
    (void)bind_u64(st, 6, 1);
    (void)bind_u64(st, 7, 0);
    (void)sqlite3_bind_blob(st, 8, event_id, sizeof(event_id), SQLITE_STATIC);
    (void)bind_blob(st, 15, EX_S("1"));
    assert_int_equal(sqlite_conn_run(&w->conn, st, NULL), EX_OK);
}

static void add_event(world *w, int stream)
{
    chain_place place = {++w->versions[stream], ++w->head};
    chain_back back = {0};
    ex_error err = {0};
    if (stream_tails_link(&w->tails, &w->conn, ids[stream], place, &back, &err))
        fail_msg("%s", err.message);
    insert(w, ids[stream], place, back);
    w->positions[stream][place.version] = place.position;
}

static void store_heads(world *w)
{
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(stream_tails_store(&w->tails, &w->conn, ids[i], NULL), EX_OK);
}

/* Batches of some events to random streams, some in a row; now and then all is forgotten. */
static void fill(world *w)
{
    srand(1);
    assert_int_equal(sqlite_conn_exec(&w->conn, "BEGIN", NULL), EX_OK);
    while (w->head < EVENTS) {
        int stream = rand() % STREAMS;
        for (int n = rand() % 10 == 0 ? 60 : 1; n > 0 && w->head < EVENTS; n--)
            add_event(w, stream);
        if (rand() % 8 == 0)
            store_heads(w);
        if (rand() % 100 == 0) {
            store_heads(w);
            stream_tails_clear(&w->tails);
        }
    }
    store_heads(w);
    assert_int_equal(sqlite_conn_exec(&w->conn, "COMMIT", NULL), EX_OK);
}

static void test_stream_tails_store_every_head(void **state)
{
    world *w = *state;
    fill(w);
    for (int i = 0; i < STREAMS; i++) {
        chain_place head = {0};
        assert_int_equal(chain_walk_head(&w->conn, ids[i], &head, NULL), EX_OK);
        assert_int_equal(head.version, w->versions[i]);
        assert_int_equal(head.position, w->positions[i][head.version]);
    }
}

static void test_chain_walk_finds_every_version_and_position(void **state)
{
    world *w = *state;
    fill(w);
    for (int i = 0; i < STREAMS; i++) {
        chain_place head = {0}, place;
        assert_int_equal(chain_walk_head(&w->conn, ids[i], &head, NULL), EX_OK);
        for (uint64_t v = 1; v <= head.version; v++) {
            place = head;
            assert_int_equal(chain_walk_to_version(&w->conn, ids[i], v, &place, NULL), EX_OK);
            assert_int_equal(place.version, v);
            assert_int_equal(place.position, w->positions[i][v]);
        }
        for (uint64_t upto = 0, v = 0; upto <= EVENTS; upto += 7) {
            while (v < head.version && w->positions[i][v + 1] <= upto)
                v++;
            uint64_t have = 0;
            assert_int_equal(sqlite_lists_stream_version(&w->conn, ids[i], upto, &have, NULL),
                             EX_OK);
            assert_int_equal(have, v);
        }
    }
}

static void assert_collected(world *w, int stream, uint64_t from, uint32_t room, chain_check check)
{
    chain_place head = {0};
    uint64_t out[300];
    uint32_t count = 0;
    assert_int_equal(chain_walk_head(&w->conn, ids[stream], &head, NULL), EX_OK);
    uint64_t left = from <= head.version ? head.version - from + 1 : 0;
    assert_int_equal(
        chain_walk_collect(&w->conn, ids[stream], head, from, check, out, room, &count, NULL),
        EX_OK);
    assert_int_equal(count, left < room ? left : room);
    assert_memory_equal(out, w->positions[stream] + from, count * sizeof(out[0]));
}

static void test_chain_walk_collects_runs(void **state)
{
    world *w = *state;
    fill(w);
    for (int i = 0; i < 2000; i++) {
        int stream = rand() % STREAMS;
        uint64_t from = 1 + (uint64_t)rand() % (w->versions[stream] + 3);
        assert_collected(w, stream, from, (uint32_t)rand() % 300,
                         i % 2 ? CHAIN_CHECK_ALL : CHAIN_CHECK_LATER);
    }
}

static void test_stream_tails_refuse_what_the_database_has_not(void **state)
{
    world *w = *state;
    chain_back back;
    ex_error err = {0};
    add_event(w, 0);
    store_heads(w);
    static const struct {
        const char *name;
        chain_place place;
    } cases[] = {
        {"a version that is taken", {1, 2}},
        {"a gap", {3, 2}},
        {"a position that is taken", {2, 1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (int is_known = 1; is_known >= 0; is_known--) {
            if (!is_known)
                stream_tails_clear(&w->tails);
            ex_status st =
                stream_tails_link(&w->tails, &w->conn, ids[0], cases[i].place, &back, &err);
            /* a first event asks nobody; its head is refused when it is stored */
            if (st == EX_OK)
                st = stream_tails_store(&w->tails, &w->conn, ids[0], &err);
            if (st != EX_ESTORAGE && st != EX_EDATABASE)
                fail_msg("%s: %s", cases[i].name, ex_status_code(st));
            stream_tails_clear(&w->tails);
            stream_tails_learn(&w->tails, ids[0], (chain_place){1, 1});
        }
    add_event(w, 0);
    assert_int_equal(
        sqlite_conn_exec(&w->conn, "UPDATE stream_heads SET version = 5, position = 9", NULL),
        EX_OK);
    assert_int_equal(stream_tails_store(&w->tails, &w->conn, ids[0], &err), EX_ESTORAGE);
    assert_non_null(strstr(err.message, "no longer at version 1"));
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(test_stream_tails_store_every_head),
        WITH_WORLD(test_chain_walk_finds_every_version_and_position),
        WITH_WORLD(test_chain_walk_collects_runs),
        WITH_WORLD(test_stream_tails_refuse_what_the_database_has_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
