/* test_lease.c: leases on a real PostgreSQL: racing, sharing out, ending, proving; and a process
 * that is stopped for longer than its lease and woken. Lease times are short; a test waits for what
 * must come, and where something must not come it checks in the same transaction. */
#include "sql/lease.h"
#include "sql/postgres/pg_lease.h"
#include "support/assert_ok.h"
#include "support/postgres.h"

#include "kernel/deadline.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS  60000 /* a lease time that no test waits for */
#define SHORT_MS 500
#define WAIT_MS  20000

static ex_error err;

/* ---- A schema for each test ---- */

typedef struct place {
    char url[POSTGRES_URL_SIZE];
    ex_pg *pg;  /* for looking, and for acting as somebody else */
    ex_sql *db; /* for work under a lease */
    ex_sql_tx tx;
} place;

static int place_open(void **state)
{
    static int count;
    char name[32], sql[256];
    place *p = calloc(1, sizeof(*p));
    (void)snprintf(name, sizeof(name), "lease_%d", ++count);
    (void)postgres_schema_url(postgres_url(), name, p->url);
    assert_ok(ex_pg_open(&(ex_pg_options){.url = p->url}, &p->pg, &err));
    const char *schema = ex_pg_target_of(p->pg)->schema;
    (void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", schema);
    assert_ok(ex_pg_script(p->pg, sql, &err));
    assert_ok(ex_pg_script(p->pg, pg_lease_schema, &err));
    assert_ok(ex_sql_open(&(ex_sql_options){.place = p->url}, &p->db, &err));
    *state = p;
    return 0;
}

static int place_close(void **state)
{
    place *p = *state;
    char sql[256];
    (void)snprintf(sql, sizeof(sql), "SET client_min_messages = error; DROP SCHEMA %s CASCADE",
                   ex_pg_target_of(p->pg)->schema);
    assert_ok(ex_pg_script(p->pg, sql, &err));
    ex_sql_close(p->db);
    ex_pg_close(p->pg);
    free(p);
    return 0;
}

static int64_t ask(place *p, const char *sql)
{
    ex_pg_result r = {0};
    assert_ok(ex_pg_run(p->pg, ex_str(sql), NULL, &r, &err));
    assert_int_equal(r.rows, 1);
    int64_t value = ex_pg_get_i64(&r, 0, 0);
    ex_pg_result_free(&r);
    return value;
}

static void do_sql(place *p, const char *sql)
{
    assert_ok(ex_pg_script(p->pg, sql, &err));
}

/* ---- A node with what it wants ---- */

typedef struct worker {
    ex_leases *node;
    ex_lease *leases[8];
    uint32_t count;
    atomic_uint wakes;
} worker;

static void on_wake(void *ctx)
{
    atomic_fetch_add(&((worker *)ctx)->wakes, 1);
}

static void join(worker *w, place *p, uint32_t ttl_ms, const char *names)
{
    *w = (worker){0};
    assert_ok(ex_leases_start(
        &(ex_leases_options){.url = p ? p->url : NULL, .version = "1", .ttl_ms = ttl_ms}, &w->node,
        &err));
    for (; names[w->count]; w->count++) {
        char name[2] = {names[w->count], '\0'};
        assert_ok(ex_lease_want(w->node, name, on_wake, w, &w->leases[w->count], &err));
    }
}

static void leave(worker *w)
{
    for (uint32_t i = 0; i < w->count; i++)
        ex_lease_drop(w->leases[i]);
    ex_leases_stop(w->node);
    w->node = NULL;
}

static uint32_t held(worker *w)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->count; i++)
        n += ex_lease_is_held(w->leases[i], NULL);
    return n;
}

static void nap(void)
{
    struct timespec t = {.tv_nsec = 2000000};
    (void)nanosleep(&t, NULL);
}

#define wait_until(condition)                                                                      \
    do {                                                                                           \
        struct timespec until = ex_deadline(WAIT_MS), now;                                         \
        while (!(condition)) {                                                                     \
            now = ex_deadline(0);                                                                  \
            if (now.tv_sec > until.tv_sec)                                                         \
                fail_msg("never: %s", #condition);                                                 \
            nap();                                                                                 \
        }                                                                                          \
    } while (0)

/* Begin a transaction with a proof. */
static ex_status begin(place *p, ex_lease *l, uint64_t token)
{
    assert_ok(ex_sql_begin(p->db, EX_SQL_WRITE, &p->tx, &err));
    return ex_lease_prove(l, token, p->db, &err);
}

static void roll_back(place *p)
{
    assert_ok(ex_sql_rollback(&p->tx, &err));
}

/* ---- Tests ---- */

static void test_lease_is_always_held_by_the_only_process(void **state)
{
    (void)state;
    worker w;
    uint64_t token = 99;
    join(&w, NULL, 0, "a");
    assert_true(ex_lease_is_held(w.leases[0], &token));
    assert_int_equal(token, 0);
    assert_ok(ex_lease_prove(w.leases[0], token, NULL, &err));
    leave(&w);
}

static void test_lease_names_are_checked(void **state)
{
    (void)state;
    worker w;
    ex_lease *l = NULL;
    char name[EX_LEASE_NAME_MAX + 2];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    join(&w, NULL, 0, "");
    assert_int_equal(ex_lease_want(w.node, "", NULL, NULL, &l, &err), EX_EINVAL);
    assert_int_equal(ex_lease_want(w.node, name, NULL, NULL, &l, &err), EX_EINVAL);
    assert_ok(ex_lease_want(w.node, name + 1, NULL, NULL, &l, &err));
    ex_lease_drop(l);
    leave(&w);
}

static void test_lease_start_names_missing_tables(void **state)
{
    place *p = *state;
    ex_leases *n = NULL;
    do_sql(p, "ALTER TABLE leases RENAME TO gone");
    assert_int_equal(ex_leases_start(&(ex_leases_options){.url = p->url}, &n, &err), EX_EDATABASE);
    assert_null(n);
}

static void test_lease_one_node_takes_all_and_gives_all_back(void **state)
{
    place *p = *state;
    worker w;
    join(&w, p, LONG_MS, "abc");
    wait_until(held(&w) == 3);
    wait_until(atomic_load(&w.wakes) == 3);
    assert_int_equal(ask(p, "SELECT count(*) FROM leases WHERE holder IS NOT NULL AND token = 1"),
                     3);
    leave(&w);
    assert_int_equal(ask(p, "SELECT count(*) FROM leases WHERE holder IS NULL"), 3);
    assert_int_equal(ask(p, "SELECT count(*) FROM nodes WHERE expires_at > now()"), 0);
}

/* Two start at the same moment, again and again: never two holders, and both get their share. */
static void test_lease_two_race(void **state)
{
    place *p = *state;
    for (int round = 0; round < 10; round++) {
        worker a, b;
        join(&a, p, LONG_MS, "ab");
        join(&b, p, LONG_MS, "ab");
        for (int i = 0; i < 50; i++)
            for (int l = 0; l < 2; l++) {
                uint64_t in_a = 0, in_b = 0;
                bool is_a = ex_lease_is_held(a.leases[l], &in_a);
                bool is_b = ex_lease_is_held(b.leases[l], &in_b);
                /* what was asked first may have been given back since: then it has a lower token */
                assert_true(!is_a || !is_b || in_a != in_b);
            }
        wait_until(held(&a) == 1 && held(&b) == 1);
        assert_int_equal(ask(p, "SELECT count(DISTINCT holder) FROM leases"), 2);
        leave(&a);
        leave(&b);
    }
    /* each change of holder counted */
    assert_true(ask(p, "SELECT min(token) FROM leases") >= 10);
}

/* No lease time passes here: who joins and who leaves is told. */
static void test_lease_three_share_and_hand_over_at_once(void **state)
{
    place *p = *state;
    worker a, b, c;
    join(&a, p, LONG_MS, "abcdefg");
    wait_until(held(&a) == 7);
    join(&b, p, LONG_MS, "abcdefg");
    wait_until(held(&a) == 4 && held(&b) == 3);
    join(&c, p, LONG_MS, "abcdefg");
    wait_until(held(&a) + held(&b) + held(&c) == 7 && held(&a) <= 3 && held(&b) <= 3 &&
               held(&c) <= 3);
    wait_until(ask(p, "SELECT count(DISTINCT holder) FROM leases") == 3);
    leave(&a);
    wait_until(held(&b) + held(&c) == 7 && held(&b) >= 3 && held(&c) >= 3);
    leave(&c);
    wait_until(held(&b) == 7);
    leave(&b);
}

static void test_lease_goes_to_the_node_that_wants_it(void **state)
{
    place *p = *state;
    worker a, b, c;
    join(&a, p, SHORT_MS, "");
    join(&b, p, SHORT_MS, "abcd"); /* the quota is two for each of b and c */
    join(&c, p, SHORT_MS, "a");
    wait_until(held(&b) == 3 && held(&c) == 1);
    leave(&c);
    wait_until(held(&b) == 4);
    leave(&b);
    leave(&a);
}

/* As a node that takes the lease, whatever the others think. */
static void usurp(place *p, const char *name, const char *time)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "UPDATE leases SET holder = gen_random_uuid(), token = token + 1, expires_at = "
                   "now() + interval '%s' WHERE name = '%s'",
                   time, name);
    do_sql(p, sql);
}

static void test_lease_ended_is_taken(void **state)
{
    place *p = *state;
    worker w;
    do_sql(p, "INSERT INTO leases (name) VALUES ('a')");
    usurp(p, "a", "300 ms");
    join(&w, p, LONG_MS, "a");
    assert_false(ex_lease_is_held(w.leases[0], NULL));
    wait_until(held(&w) == 1);
    uint64_t token = 0;
    assert_true(ex_lease_is_held(w.leases[0], &token));
    assert_int_equal(token, 2);
    assert_int_equal(
        ask(p, "SELECT count(*) FROM leases WHERE taken_at >= now() - interval '1 minute'"), 1);
    leave(&w);
}

static void test_lease_lost_is_noticed_and_comes_again(void **state)
{
    place *p = *state;
    worker w;
    uint64_t token = 0;
    join(&w, p, SHORT_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &token));
    usurp(p, "a", "1 s");
    wait_until(held(&w) == 0);
    uint64_t again = 0;
    wait_until(ex_lease_is_held(w.leases[0], &again));
    assert_int_equal(again, token + 2);
    wait_until(atomic_load(&w.wakes) == 3); /* came, went, came */
    leave(&w);
}

/* Issue 8, item 14: a renewal that this node had given up arrives all the same, when a database
 * that stood still goes on. The lease is the node's own there, for an hour here, and not in its
 * memory. */
static void test_lease_ours_in_the_database_only_is_taken_anew(void **state)
{
    place *p = *state;
    worker w;
    uint64_t token = 0, again = 0;
    join(&w, p, SHORT_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &token));
    do_sql(p, "UPDATE leases SET token = token + 1, expires_at = now() + interval '1 hour'");
    wait_until(ex_lease_is_held(w.leases[0], &again) && again != token);
    assert_int_equal(again, token + 2);
    leave(&w);
}

/* Fencing: who worked under an old token is refused, however late, and learns it by that. */
static void test_lease_proof_with_an_old_token_is_refused(void **state)
{
    place *p = *state;
    worker w;
    uint64_t token = 0;
    join(&w, p, LONG_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &token));
    assert_ok(begin(p, w.leases[0], token));
    assert_ok(ex_sql_commit(&p->tx, &err));
    assert_int_equal(begin(p, w.leases[0], token + 1), EX_EPRECONDITION);
    roll_back(p);
    assert_true(ex_lease_is_held(w.leases[0], NULL)); /* the other token was none of ours */

    usurp(p, "a", "1 hour");
    assert_int_equal(begin(p, w.leases[0], token), EX_EPRECONDITION);
    roll_back(p);
    assert_false(ex_lease_is_held(w.leases[0], NULL));
    leave(&w);
}

static void test_lease_proof_holds_takers_off_but_no_renewals(void **state)
{
    place *p = *state;
    worker w, other;
    uint64_t token = 0;
    join(&w, p, SHORT_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &token));
    assert_ok(begin(p, w.leases[0], token));
    /* renewed four times meanwhile: a held-up renewal would have lost it */
    assert_ok(ex_sql_script(p->db, "SELECT pg_sleep(1.5)", &err));
    assert_true(ex_lease_is_held(w.leases[0], NULL));

    /* given back with the transaction still open: nobody gets it before its end */
    join(&other, p, SHORT_MS, "a");
    leave(&w);
    assert_ok(ex_sql_script(p->db, "SELECT pg_sleep(0.5)", &err));
    assert_false(ex_lease_is_held(other.leases[0], NULL));
    assert_ok(ex_sql_commit(&p->tx, &err));
    wait_until(held(&other) == 1);
    leave(&other);
}

/* A transaction that stands idle for the lease time is ended by the server, its writes are undone.
 */
static void test_lease_proof_of_an_idle_transaction_ends(void **state)
{
    place *p = *state;
    worker w, other;
    uint64_t token = 0;
    do_sql(p, "CREATE TABLE rows (n bigint)");
    join(&w, p, SHORT_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &token));
    assert_ok(begin(p, w.leases[0], token));
    assert_ok(ex_sql_script(p->db, "INSERT INTO rows VALUES (1)", &err));
    leave(&w);
    join(&other, p, SHORT_MS, "a");
    wait_until(held(&other) == 1);
    assert_int_equal(ex_sql_commit(&p->tx, &err), EX_EAGAIN);
    assert_int_equal(ask(p, "SELECT count(*) FROM rows"), 0);
    leave(&other);
}

static void test_lease_ends_by_our_clock_when_it_cannot_be_renewed(void **state)
{
    place *p = *state;
    worker w;
    join(&w, p, SHORT_MS, "a");
    wait_until(held(&w) == 1);
    do_sql(p, "ALTER TABLE leases RENAME TO hidden");
    /* whenever the database lets others take it, it has ended here */
    for (bool is_held = true; is_held; nap()) {
        bool is_over = ask(p, "SELECT count(*) FROM hidden WHERE expires_at <= clock_timestamp()");
        is_held = ex_lease_is_held(w.leases[0], NULL);
        assert_false(is_over && is_held);
    }
    do_sql(p, "ALTER TABLE hidden RENAME TO leases");
    wait_until(held(&w) == 1);
    leave(&w);
}

/* When the node was seen last; and a proof that must succeed. */
static int64_t seen_while_proving(place *p, ex_lease *l, uint64_t token)
{
    assert_ok(begin(p, l, token));
    roll_back(p);
    return ask(p, "SELECT (extract(epoch FROM seen_at) * 1000000)::bigint FROM nodes");
}

/* As a role of its own, by which its connection is known among those of other tests. Who proves
 * meanwhile, on a connection that was not lost, does not notice. */
static void test_lease_survives_a_lost_connection(void **state)
{
    place *p = *state;
    place as_role = {0};
    worker w;
    uint64_t before = 0, after = 0;
    char sql[256];
    const char *role = ex_pg_target_of(p->pg)->schema;
    (void)snprintf(sql, sizeof(sql), "CREATE ROLE %s LOGIN SUPERUSER", role);
    do_sql(p, sql);
    (void)snprintf(as_role.url, sizeof(as_role.url), "postgres://%s%s", role, strchr(p->url, '@'));
    join(&w, &as_role, LONG_MS, "a");
    wait_until(ex_lease_is_held(w.leases[0], &before));
    int64_t seen = ask(p, "SELECT (extract(epoch FROM seen_at) * 1000000)::bigint FROM nodes");
    (void)snprintf(sql, sizeof(sql),
                   "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                   " WHERE usename = '%s'",
                   role);
    assert_int_equal(ask(p, sql), 1);
    wait_until(seen_while_proving(p, w.leases[0], before) > seen);
    assert_true(ex_lease_is_held(w.leases[0], &after));
    assert_int_equal(before, after);
    leave(&w);
    (void)snprintf(sql, sizeof(sql), "DROP ROLE %s", role);
    do_sql(p, sql);
}

static void test_lease_shows_the_node_to_people(void **state)
{
    place *p = *state;
    worker w;
    join(&w, p, LONG_MS, "a");
    ex_leases_set_address(w.node, "http://127.0.0.1:8080");
    wait_until(ask(p, "SELECT count(*) FROM nodes WHERE address = 'http://127.0.0.1:8080' AND "
                      "version = '1' AND work = '{a}'") == 1);
    char text[EX_ID_TEXT_SIZE], sql[128];
    ex_id id = ex_leases_id(w.node);
    (void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM nodes WHERE id = '%s'",
                   ex_id_text(&id, text).ptr);
    assert_int_equal(ask(p, sql), 1);
    leave(&w);
}

/* ---- SIGSTOP for longer than the lease ---- */

/* In a process of its own: hold the lease, write a row with a proof, tell; wait to be told to go
 * on; write again. Exits with 0 when the second proof was refused. */
static void run_sleeper(const char *url, int tell, int listen)
{
    place p = {0};
    worker w;
    uint64_t token = 0;
    char byte = 'x';
    (void)snprintf(p.url, sizeof(p.url), "%s", url);
    if (ex_sql_open(&(ex_sql_options){.place = url}, &p.db, &err))
        _exit(2);
    join(&w, &p, SHORT_MS, "a");
    while (!ex_lease_is_held(w.leases[0], &token))
        nap();
    if (begin(&p, w.leases[0], token) || ex_sql_script(p.db, "INSERT INTO rows VALUES (1)", &err) ||
        ex_sql_commit(&p.tx, &err))
        _exit(3);
    if (write(tell, &byte, 1) != 1 || read(listen, &byte, 1) != 1)
        _exit(4);
    _exit(begin(&p, w.leases[0], token) == EX_EPRECONDITION ? 0 : 6);
}

/* G-052 */
static void test_lease_woken_sleeper_is_refused(void **state)
{
    place *p = *state;
    worker w;
    int up[2], down[2], status = 0;
    char byte = 'x';
    do_sql(p, "CREATE TABLE rows (n bigint)");
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    if (pid == 0)
        run_sleeper(p->url, up[1], down[0]);
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    join(&w, p, SHORT_MS, "a");
    wait_until(held(&w) == 1); /* the sleeper's lease ended */
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(write(down[1], &byte, 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(ask(p, "SELECT count(*) FROM rows"), 1);
    assert_int_equal(held(&w), 1);
    leave(&w);
    for (int i = 0; i < 2; i++) {
        close(up[i]);
        close(down[i]);
    }
}

#define with_place(test) cmocka_unit_test_setup_teardown(test, place_open, place_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lease_is_always_held_by_the_only_process),
        cmocka_unit_test(test_lease_names_are_checked),
        with_place(test_lease_start_names_missing_tables),
        with_place(test_lease_one_node_takes_all_and_gives_all_back),
        with_place(test_lease_two_race),
        with_place(test_lease_three_share_and_hand_over_at_once),
        with_place(test_lease_goes_to_the_node_that_wants_it),
        with_place(test_lease_ended_is_taken),
        with_place(test_lease_lost_is_noticed_and_comes_again),
        with_place(test_lease_ours_in_the_database_only_is_taken_anew),
        with_place(test_lease_proof_with_an_old_token_is_refused),
        with_place(test_lease_proof_holds_takers_off_but_no_renewals),
        with_place(test_lease_proof_of_an_idle_transaction_ends),
        with_place(test_lease_ends_by_our_clock_when_it_cannot_be_renewed),
        with_place(test_lease_survives_a_lost_connection),
        with_place(test_lease_shows_the_node_to_people),
        with_place(test_lease_woken_sleeper_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
