/* store_nodes.c: several stores on one log, as several nodes have it. R-ES-12. PostgreSQL only.
 *
 * Each store has a sequencer, caches and connections of its own; what they share is the database.
 */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "sql/postgres/pg_conn.h"
#include "store/import.h"
#include "store/submission.h"
#include "support/postgres.h"

enum { NODES = 3 };

#define SKIP_WITHOUT_POSTGRES(s)                                                                   \
    if ((s)->driver != SUITE_POSTGRES)                                                             \
    skip()

/* The suite's store and two more. */
static void open_nodes(suite *s, ex_store *nodes[NODES])
{
    nodes[0] = s->store;
    for (int i = 1; i < NODES; i++) {
        ex_error err = {0};
        if (ex_store_open(s->dir, NULL, &nodes[i], &err))
            fail_msg("%s", err.message);
    }
}

static void close_nodes(ex_store *nodes[NODES])
{
    for (int i = 1; i < NODES; i++)
        ex_store_close(nodes[i]);
}

static ex_status append_to(ex_store *store, const char *stream, ex_expected expected,
                           const ex_new_event *event, ex_error *err)
{
    ex_stream_write write = {ex_str(stream), expected, event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    return ex_store_append(store, &append, NULL, err);
}

/* Positions are contiguous, versions too, in each of the streams "s-N" and "hot". */
static uint64_t assert_log_is_whole(ex_store *store)
{
    uint64_t position = 0, versions[64] = {0};
    ex_cursor *c = NULL;
    ex_event e;
    ex_error err = {0};
    ex_status st = ex_store_read_log(store, &(ex_read_log){0}, &c, &err);
    assert_int_equal(st, EX_OK);
    while ((st = ex_cursor_next(c, &e, &err)) == EX_OK) {
        int stream = ex_slice_is(e.stream, "hot") ? 63 : 0;
        if (!stream)
            for (size_t i = 2; i < e.stream.len; i++)
                stream = 10 * stream + (e.stream.ptr[i] - '0');
        assert_int_equal(e.position, ++position);
        assert_int_equal(e.version, ++versions[stream]);
    }
    assert_int_equal(st, EX_EEND);
    ex_cursor_close(c);
    return position;
}

/* A node hears of what another one committed a moment later. */
static void wait_for_head(ex_store *store, uint64_t head)
{
    while (ex_store_head(store) < head)
        sched_yield();
}

/* ---- Races ---- */

enum { ROUNDS = 25, RACERS = 2 * NODES };

typedef struct race {
    pthread_barrier_t start;
    bool is_unique; /* race for a uniqueness rule, else for a version */
    atomic_uint wins[ROUNDS];
    atomic_uint losses[ROUNDS];
    atomic_uint other;
} race;

typedef struct racer {
    race *r;
    ex_store *store;
    int number;
} racer;

static ex_status take_name(const racer *me, uint32_t round)
{
    char name[32], stream[32];
    (void)snprintf(name, sizeof(name), "email:%u", round);
    (void)snprintf(stream, sizeof(stream), "s-%d", me->number);
    ex_slice tag = ex_str(name);
    ex_query_item item = {.tags = &tag, .tag_count = 1};
    ex_query query = {&item, 1};
    ex_new_event event = EVENT("Taken", "{}", .tags = &tag, .tag_count = 1);
    ex_stream_write write = {ex_str(stream), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1, .fail_if_match = &query};
    return ex_store_append(me->store, &append, NULL, NULL);
}

static void *run_race(void *arg)
{
    const racer *me = arg;
    race *r = me->r;
    ex_new_event event = EVENT("T", "{}");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        (void)pthread_barrier_wait(&r->start);
        ex_status st = r->is_unique ? take_name(me, round)
                                    : append_to(me->store, "hot", EX_EXACT(round), &event, NULL);
        if (st == EX_OK)
            atomic_fetch_add(&r->wins[round], 1);
        else if (st == (r->is_unique ? EX_ECONDITION : EX_ECONFLICT))
            atomic_fetch_add(&r->losses[round], 1);
        else
            atomic_fetch_add(&r->other, 1);
        (void)pthread_barrier_wait(&r->start);
    }
    return NULL;
}

static void race_nodes(suite *s, bool is_unique)
{
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    race r = {.is_unique = is_unique};
    racer racers[RACERS];
    pthread_t threads[RACERS];
    assert_int_equal(pthread_barrier_init(&r.start, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (racer){&r, nodes[i % NODES], i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(r.other, 0);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(r.wins[i], 1);
        assert_int_equal(r.losses[i], RACERS - 1);
    }
    assert_int_equal(assert_log_is_whole(s->store), ROUNDS);
    pthread_barrier_destroy(&r.start);
    close_nodes(nodes);
}

/* G-005 */
static void test_nodes_one_wins_a_version(void **state)
{
    SKIP_WITHOUT_POSTGRES((suite *)*state);
    race_nodes(*state, false);
}

/* G-006 */
static void test_nodes_one_wins_a_uniqueness_rule(void **state)
{
    SKIP_WITHOUT_POSTGRES((suite *)*state);
    race_nodes(*state, true);
}

/* ---- Many writers, and followers on every node ---- */

enum { WRITERS = 6, APPENDS = 120 };

typedef struct worker {
    ex_store *store;
    int number;
    uint64_t upto;
    atomic_uint *other;
} worker;

static void *write_many(void *arg)
{
    const worker *w = arg;
    char stream[32];
    for (uint32_t i = 0; i < APPENDS; i++) {
        ex_new_event event = EVENT("T", "{}");
        (void)snprintf(stream, sizeof(stream), "s-%d", w->number);
        if (append_to(w->store, i % 3 ? stream : "hot", EX_ANY, &event, NULL))
            atomic_fetch_add(w->other, 1);
    }
    return NULL;
}

/* Live, from the start: every position, in order, until the last one. */
static void *follow(void *arg)
{
    const worker *w = arg;
    ex_subscription *sub = NULL;
    ex_event e;
    if (ex_store_subscribe(w->store, &(ex_subscribe){0}, &sub, NULL)) {
        atomic_fetch_add(w->other, 1);
        return NULL;
    }
    for (uint64_t seen = 0; seen < w->upto; seen++) {
        if (ex_subscription_next(sub, 60000, &e, NULL) != EX_OK || e.position != seen + 1) {
            atomic_fetch_add(w->other, 1);
            break;
        }
    }
    ex_subscription_close(sub);
    return NULL;
}

/* R-ES-12. The last node writes nothing: it only hears of the others. */
static void test_nodes_followers_never_skip(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    atomic_uint other = 0;
    worker workers[WRITERS], followers[NODES];
    pthread_t threads[WRITERS + NODES];
    for (int i = 0; i < NODES; i++) {
        followers[i] = (worker){nodes[i], i, WRITERS * APPENDS, &other};
        assert_int_equal(pthread_create(&threads[i], NULL, follow, &followers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        workers[i] = (worker){nodes[i % (NODES - 1)], i, 0, &other};
        assert_int_equal(pthread_create(&threads[NODES + i], NULL, write_many, &workers[i]), 0);
    }
    for (int i = 0; i < WRITERS + NODES; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(other, 0);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(assert_log_is_whole(nodes[i]), WRITERS * APPENDS);
    close_nodes(nodes);
}

/* A node that nobody follows is told only briefly what others append; then somebody comes. */
static void test_nodes_follower_who_comes_late_sees_all(void **state)
{
    enum { TURN = 50, TURNS = 4 };
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    atomic_uint other = 0;
    pthread_t thread;
    ex_new_event event = EVENT("T", "{}");
    for (uint64_t turn = 1; turn <= TURNS; turn++) {
        for (int i = 0; i < TURN; i++)
            assert_int_equal(append_to(nodes[0], "hot", EX_ANY, &event, NULL), EX_OK);
        wait_for_head(nodes[1], (2 * turn - 1) * TURN); /* told while nobody follows */
        worker follower = {nodes[1], 0, 2 * turn * TURN, &other};
        assert_int_equal(pthread_create(&thread, NULL, follow, &follower), 0);
        for (int i = 0; i < TURN; i++)
            assert_int_equal(append_to(nodes[0], "hot", EX_ANY, &event, NULL), EX_OK);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    assert_int_equal(other, 0);
    close_nodes(nodes);
}

/* ---- What a batch knows of others ---- */

typedef struct look {
    ex_submission submission;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    bool is_done;
    uint64_t version;
    uint64_t seen; /* versions came 1, 2, 3 … up to here */
    ex_status status;
} look;

static ex_status see(void *ctx, const ex_event *e, ex_error *err)
{
    look *l = ctx;
    if (e->version != l->seen + 1)
        return ex_raise(err, EX_EINTERNAL, "version %llu", (unsigned long long)e->version);
    l->seen++;
    return EX_OK;
}

static ex_status look_stage(ex_submission *s, ex_batch *b, ex_error *err)
{
    look *l = (look *)s;
    l->seen = 0;
    ex_status st = ex_batch_stream_version(b, EX_S("hot"), &l->version, err);
    return st ? st : ex_batch_read_stream(b, EX_S("hot"), 1, see, l, err);
}

static void look_done(ex_submission *s, ex_status status, const ex_error *err)
{
    (void)err;
    look *l = (look *)s;
    (void)pthread_mutex_lock(&l->mu);
    l->status = status;
    l->is_done = true;
    (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->mu);
}

static void assert_sees(ex_store *store, uint64_t version)
{
    look l = {.submission = {.stage = look_stage, .done = look_done}};
    (void)pthread_mutex_init(&l.mu, NULL);
    (void)pthread_cond_init(&l.changed, NULL);
    assert_int_equal(ex_store_submit(store, &l.submission, NULL), EX_OK);
    (void)pthread_mutex_lock(&l.mu);
    while (!l.is_done)
        (void)pthread_cond_wait(&l.changed, &l.mu);
    (void)pthread_mutex_unlock(&l.mu);
    assert_int_equal(l.status, EX_OK);
    assert_int_equal(l.version, version);
    assert_int_equal(l.seen, version);
}

/* A batch on one node sees at once what another one has committed: few events, which it is told,
 * and more than it is told. */
static void test_nodes_a_batch_sees_what_others_committed(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    static ex_new_event events[100];
    for (int i = 0; i < 100; i++)
        events[i] = EVENT("T", "{}");
    uint64_t version = 0;
    for (int round = 0; round < 10; round++) {
        uint32_t count = round == 5 ? 100 : 1 + (uint32_t)round;
        for (int i = 0; i < (round == 5 ? 15 : 1); i++) { /* 1,500 at once */
            ex_stream_write write = {EX_S("hot"), EX_EXACT(version), events, count};
            ex_append append = {.writes = &write, .write_count = 1};
            ex_error err = {0};
            if (ex_store_append(nodes[round % 2], &append, NULL, &err))
                fail_msg("%s", err.message);
            version += count;
        }
        for (int i = 0; i < NODES; i++)
            assert_sees(nodes[(round + 1 + i) % NODES], version);
    }
    assert_int_equal(assert_log_is_whole(nodes[2]), version);
    close_nodes(nodes);
}

/* An id is stored once, whichever node it is given to. */
static void test_nodes_retry_elsewhere_is_a_duplicate(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    for (uint8_t n = 1; n <= 9; n++) {
        ex_new_event event = EVENT("T", "{\"a\":1,\"b\":2}", .id = suite_id(n));
        ex_new_event again = EVENT("T", "{\"b\":2,\"a\":1}", .id = suite_id(n));
        ex_new_event changed = EVENT("T", "{\"a\":2}", .id = suite_id(n));
        ex_error err = {0};
        assert_int_equal(append_to(nodes[n % 3], "s-1", EX_ANY, &event, NULL), EX_OK);
        assert_int_equal(append_to(nodes[(n + 1) % 3], "s-1", EX_EXACT(0), &again, NULL), EX_OK);
        assert_int_equal(append_to(nodes[(n + 2) % 3], "s-1", EX_ANY, &changed, &err),
                         EX_EIDEMPOTENCY);
        assert_int_equal(err.position, n);
        assert_int_equal(err.current, n);
    }
    assert_int_equal(assert_log_is_whole(nodes[0]), 9);
    close_nodes(nodes);
}

/* What a node has not heard of yet uses nothing of a limit up: the last event that it knows is
 * given, not none. */
static void test_nodes_last_event_of_a_stream_is_always_found(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    ex_new_event event = EVENT("T", "{}");
    assert_int_equal(append_to(nodes[0], "s-1", EX_ANY, &event, NULL), EX_OK);
    wait_for_head(nodes[1], 1);
    for (uint64_t version = 2; version <= 100; version++) {
        assert_int_equal(append_to(nodes[0], "s-1", EX_ANY, &event, NULL), EX_OK);
        ex_read_stream read = {.stream = EX_S("s-1"), .limit = 1, .direction = EX_BACKWARD};
        ex_cursor *c = NULL;
        ex_event e;
        assert_int_equal(ex_store_read_stream(nodes[1], &read, &c, NULL), EX_OK);
        assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
        assert_true(e.version <= version);
        assert_int_equal(ex_cursor_next(c, &e, NULL), EX_EEND);
        ex_cursor_close(c);
    }
    close_nodes(nodes);
}

/* ---- Lost connections ---- */

enum { KILLS = 40 };

typedef struct retrier {
    ex_store *store;
    int number;
    atomic_bool *is_over;
    uint32_t stored;
    uint32_t retried;
    atomic_bool is_failed;
    ex_error err;
} retrier;

static ex_id id_of(int worker_number, uint32_t n)
{
    ex_id id = {.form = EX_ID_UUID};
    memset(id.bytes, 0x11, sizeof(id.bytes));
    id.bytes[0] = (uint8_t)worker_number;
    memcpy(id.bytes + 1, &n, sizeof(n));
    return id;
}

/* Until told to stop: append, and the same again until it is acknowledged. */
static void *append_for_sure(void *arg)
{
    retrier *r = arg;
    char stream[32];
    (void)snprintf(stream, sizeof(stream), "s-%d", r->number);
    while (!atomic_load(r->is_over) && !atomic_load(&r->is_failed)) {
        ex_new_event event = EVENT("T", "{}", .id = id_of(r->number, r->stored));
        ex_status st;
        while ((st = append_to(r->store, stream, EX_EXACT(r->stored), &event, &r->err)) ==
                   EX_ESTORAGE ||
               st == EX_EOUTCOME)
            r->retried++;
        atomic_store(&r->is_failed, st != EX_OK);
        r->stored++;
    }
    return NULL;
}

/* End the sessions that hold a lock on the head, whatever they are doing just now; how many. */
static uint32_t kill_writers(ex_pg *pg, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st =
        ex_pg_run(pg,
                  EX_S("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE relation = "
                       "'log_head'::regclass AND mode IN ('RowShareLock', 'RowExclusiveLock')"),
                  NULL, &r, err);
    uint32_t count = st == EX_OK ? (uint32_t)ex_pg_get_i64(&r, 0, 0) : 0;
    ex_pg_result_free(&r);
    return count;
}

/* Work between the kills, or nothing would ever be committed. Asserts nothing: the others run. */
static void kill_now_and_then(ex_pg *pg, ex_store *store, retrier *retriers, ex_error *err)
{
    uint64_t head = 0;
    for (uint32_t kills = 0; kills < KILLS && err->status == EX_OK;) {
        bool is_failed = false;
        while (ex_store_head(store) < head + 5 && !is_failed) {
            for (int i = 0; i < WRITERS; i++)
                is_failed |= atomic_load(&retriers[i].is_failed);
            sched_yield();
        }
        if (is_failed)
            return;
        head = ex_store_head(store);
        kills += kill_writers(pg, err);
    }
}

static void assert_stored_once(ex_store *store, const retrier *r)
{
    char stream[32];
    (void)snprintf(stream, sizeof(stream), "s-%d", r->number);
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(
        ex_store_read_stream(store, &(ex_read_stream){.stream = ex_str(stream)}, &c, NULL), EX_OK);
    uint32_t n = 0;
    for (; ex_cursor_next(c, &e, NULL) == EX_OK; n++) {
        ex_id want = id_of(r->number, n);
        assert_true(ex_id_eq(&e.id, &want));
    }
    ex_cursor_close(c);
    assert_int_equal(n, r->stored);
}

/* Sessions end in the middle of batches: what is acknowledged is there once, in order. */
static void test_nodes_lost_connections_lose_and_double_nothing(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_store *nodes[NODES];
    open_nodes(s, nodes);
    atomic_bool is_over = false;
    retrier retriers[WRITERS];
    pthread_t threads[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        retriers[i] = (retrier){.store = nodes[i % NODES], .number = i, .is_over = &is_over};
        assert_int_equal(pthread_create(&threads[i], NULL, append_for_sure, &retriers[i]), 0);
    }
    ex_pg *pg = NULL;
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, NULL), EX_OK);
    ex_error err = {0};
    kill_now_and_then(pg, s->store, retriers, &err);
    ex_pg_close(pg);
    atomic_store(&is_over, true);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (err.status)
        fail_msg("%s", err.message);
    uint64_t stored = 0;
    uint32_t retried = 0;
    for (int i = 0; i < WRITERS; i++) {
        if (retriers[i].is_failed)
            fail_msg("%s: %s", retriers[i].err.code, retriers[i].err.message);
        retried += retriers[i].retried;
        stored += retriers[i].stored;
    }
    uint64_t head = 0;
    assert_int_equal(ex_store_read_head(s->store, &head, NULL), EX_OK);
    assert_int_equal(head, stored);
    for (int i = 0; i < NODES; i++)
        wait_for_head(nodes[i], stored);
    for (int i = 0; i < WRITERS; i++)
        assert_stored_once(nodes[(i + 1) % NODES], &retriers[i]);
    assert_int_equal(assert_log_is_whole(s->store), stored);
    assert_true(retried > 0);
    close_nodes(nodes);
}

/* A node that stands still before it has read an answer larger than the socket's buffers keeps the
 * head's lock, and the server waits for it: the others wait once, then go on. */
static void test_nodes_one_that_does_not_read_stops_the_others_once(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_pg *pg = NULL;
    assert_int_equal(ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, NULL), EX_OK);
    assert_int_equal(ex_pg_send(pg, EX_S("BEGIN"), NULL, NULL), EX_OK);
    assert_int_equal(ex_pg_send(pg, EX_S("SELECT FROM log_head FOR UPDATE"), NULL, NULL), EX_OK);
    assert_int_equal(
        ex_pg_send(pg, EX_S("SELECT repeat('x', 1000000) FROM generate_series(1, 20)"), NULL, NULL),
        EX_OK);
    assert_int_equal(ex_pg_sync(pg, NULL), EX_OK);
    ex_pg_result begun = {0};
    assert_int_equal(ex_pg_recv(pg, &begun, NULL), EX_OK);
    ex_pg_result_free(&begun);
    assert_int_equal(ex_pg_recv(pg, NULL, NULL), EX_OK); /* it has the lock, and reads no more */
    ex_new_event event = EVENT("T", "{}");
    ex_error err = {0};
    assert_int_equal(append_to(s->store, "s-1", EX_ANY, &event, &err), EX_ESTORAGE);
    assert_non_null(strstr(err.message, "a lock in PostgreSQL was not free in time"));
    assert_int_equal(append_to(s->store, "s-1", EX_ANY, &event, &err), EX_OK);
    assert_int_equal(assert_log_is_whole(s->store), 1);
    ex_pg_close(pg);
}

int store_nodes_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_nodes_one_wins_a_version),
        STORE_TEST(test_nodes_one_wins_a_uniqueness_rule),
        STORE_TEST(test_nodes_followers_never_skip),
        STORE_TEST(test_nodes_follower_who_comes_late_sees_all),
        STORE_TEST(test_nodes_a_batch_sees_what_others_committed),
        STORE_TEST(test_nodes_retry_elsewhere_is_a_duplicate),
        STORE_TEST(test_nodes_last_event_of_a_stream_is_always_found),
        STORE_TEST(test_nodes_lost_connections_lose_and_double_nothing),
        STORE_TEST(test_nodes_one_that_does_not_read_stops_the_others_once),
    };
    return cmocka_run_group_tests_name("store nodes", tests, NULL, NULL);
}
