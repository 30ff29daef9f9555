/* store_damage.c: a stream whose stored data is damaged, among others in one batch. Engines that
 * keep something after a close. */
#include "conformance/store_suite.h"

#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "sql/postgres/pg_conn.h"
#include "store/submission.h"

/* ---- Damage ---- */

static void damage_sqlite(suite *s, const char *sql)
{
    char path[256];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/events.db", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, "DROP TRIGGER events_no_UPDATE", NULL, NULL, NULL) ||
        sqlite3_exec(db, sql, NULL, NULL, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void damage_postgres(suite *s, const char *sql)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, &err) ||
        ex_pg_script(pg, "SET session_replication_role = replica", &err) ||
        ex_pg_script(pg, sql, &err))
        fail_msg("%s: %s", sql, err.message);
    ex_pg_close(pg);
}

/* ---- Many appends in one batch ---- */

/* The sixth event of a stream jumps to the third, so storing it follows links (chain.h). */
enum { NEIGHBOURS = 60, STORED = 5 };

typedef struct neighbour {
    ex_new_event event; /* its id: none, or that of a stored one */
    ex_stream_write write;
    ex_append append;
    char stream[16];
    ex_status status;
    bool names_it; /* the error, the damaged stream */
    sem_t *left;
} neighbour;

typedef struct holdup {
    ex_submission submission; /* first */
    sem_t entered, go, done;
    bool was_staged;
} holdup;

static ex_status holdup_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    holdup *h = (holdup *)s;
    (void)b, (void)err;
    if (h->was_staged)
        return EX_OK;
    h->was_staged = true;
    sem_post(&h->entered);
    while (sem_wait(&h->go)) {
    } /* interrupted by a signal: wait on */
    return EX_OK;
}

static void holdup_retract(ex_submission *s)
{
    (void)s;
}

static void holdup_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)status, (void)err;
    sem_post(&((holdup *)s)->done);
}

static void on_neighbour(void *ctx, ex_status status, const ex_appended *appended,
                         const ex_error *err)
{
    neighbour *n = ctx;
    (void)appended;
    n->status = status;
    n->names_it = err && strstr(err->message, "stream 'a'");
    sem_post(n->left);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem)) {
    } /* interrupted by a signal: wait on */
}

static bool hits_damage(int i)
{
    return i % 20 == 7;
}

/* @param id of the events to the damaged stream; NULL: none */
static void append_all(suite *s, neighbour *all, const ex_id *id)
{
    sem_t left;
    holdup h = {
        .submission = {.stage = holdup_stage, .done = holdup_done, .retract = holdup_retract}};
    sem_init(&left, 0, 0);
    sem_init(&h.entered, 0, 0);
    sem_init(&h.go, 0, 0);
    sem_init(&h.done, 0, 0);
    assert_int_equal(ex_store_submit(s->store, &h.submission, NULL), EX_OK);
    wait_for(&h.entered);
    for (int i = 0; i < NEIGHBOURS; i++) {
        neighbour *n = &all[i];
        (void)snprintf(n->stream, sizeof(n->stream), hits_damage(i) ? "a" : "s-%d", i);
        n->event = EVENT("T", "{}");
        if (hits_damage(i) && id)
            n->event.id = *id;
        n->write = (ex_stream_write){ex_str(n->stream), EX_ANY, &n->event, 1};
        n->append = (ex_append){.writes = &n->write, .write_count = 1};
        n->left = &left;
        assert_int_equal(ex_store_append_async(s->store, &n->append, NULL, on_neighbour, n, NULL),
                         EX_OK);
    }
    sem_post(&h.go);
    for (int i = 0; i < NEIGHBOURS; i++)
        wait_for(&left);
    wait_for(&h.done);
    sem_destroy(&left);
    sem_destroy(&h.entered);
    sem_destroy(&h.go);
    sem_destroy(&h.done);
}

/* ---- The tests ---- */

/* The message names the stream and, where there is one, the event. */
static void check_read(suite *s, const char *position)
{
    ex_read_stream read = {.stream = EX_S("a")};
    ex_cursor *c = NULL;
    ex_event e;
    ex_error err = {0};
    ex_status st = ex_store_read_stream(s->store, &read, &c, &err);
    for (int count = 0; st == EX_OK && count < 10; count++)
        st = ex_cursor_next(c, &e, &err);
    ex_cursor_close(c);
    if (st != EX_ECORRUPT || !strstr(err.message, "stream 'a'") || !strstr(err.message, position))
        fail_msg("read: %s, %s", ex_status_code(st), err.message);
}

static void check_damage(suite *s, const char *sql, const ex_id *id, const char *position)
{
    static neighbour all[NEIGHBOURS];
    memset(all, 0, sizeof(all));
    for (int i = 0; i < STORED; i++)
        suite_put(s, "a", &EVENT("T", "{}", .id = suite_id((uint8_t)(i + 1))));
    suite_fill(s, "b", 1);
    if (s->driver == SUITE_SQLITE)
        damage_sqlite(s, sql);
    else
        damage_postgres(s, sql);
    suite_reopen(s, NULL);
    append_all(s, all, id);
    for (int i = 0; i < NEIGHBOURS; i++)
        if (all[i].status != (hits_damage(i) ? EX_ECORRUPT : EX_OK) ||
            all[i].names_it != hits_damage(i))
            fail_msg("append %d to %s: %s, the stream is %snamed", i, all[i].stream,
                     ex_status_code(all[i].status), all[i].names_it ? "" : "not ");
    assert_false(ex_status_is_retryable(EX_ECORRUPT));
    assert_int_equal(ex_store_check_writes(s->store, NULL), EX_OK);
    check_read(s, position);
    suite_fill(s, "b", 1);
}

/* G-304 (issue 8, item 15): appends to a damaged stream fail for good, those to other streams in
 * the same batch do not notice. Here the damage is met by the look-up of the stream. */
static void test_damage_of_a_head_hurts_no_other(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_SQLITE)
        skip();
    check_damage(s,
                 "UPDATE stream_heads SET position = 0 "
                 "WHERE stream_id = (SELECT id FROM streams WHERE name = 'a')",
                 NULL, "stream 'a'");
}

/* G-304 (issue 8, item 15): and here by the write, which links the new event to the older ones */
static void test_damage_of_a_chain_hurts_no_other(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_SQLITE)
        skip();
    check_damage(s,
                 "UPDATE events SET prev = NULL, jump = NULL WHERE position <= 5 AND version > 1",
                 NULL, "event 5");
}

/* G-304 (issue 8, item 15): PostgreSQL meets it in the look-up that a whole batch shares */
static void test_damage_of_a_row_hurts_no_other(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    const ex_id id = suite_id(3);
    check_damage(s, "UPDATE events SET type = '' WHERE position = 3", &id, "event 3");
}

int store_damage_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_damage_of_a_head_hurts_no_other),
        STORE_TEST(test_damage_of_a_chain_hurts_no_other),
        STORE_TEST(test_damage_of_a_row_hurts_no_other),
    };
    return cmocka_run_group_tests_name("store damage", tests, NULL, NULL);
}
