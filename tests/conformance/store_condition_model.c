/* store_condition_model.c: random conditions of concurrent writers, on PostgreSQL on several nodes
 * and with connections that end, against a model. issue 8, item 10. G-500, G-503.
 *
 * Nobody needs to know in which order things happened: the log tells it. An append
 * that was stored must have no match between its `after` and its own place, whoever
 * wrote there, and when; one that was refused names an event, which must match and
 * be the lowest that does. */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sql/postgres/pg_conn.h"

enum { WRITERS = 6, APPENDS = 120, NODES_MAX = 3, TYPES = 5, TAGS = 8, ITEMS_MAX = 3, OLD = 400 };

/* Type and tags as numbers; tags[n] is bit n. */
typedef struct model_event {
    uint8_t type, tags;
} model_event;

typedef struct model_item {
    uint8_t types; /* bits; 0: any */
    uint8_t tags;
} model_item;

typedef struct attempt {
    model_item items[ITEMS_MAX];
    uint32_t item_count;
    uint64_t after;
    ex_status status;
    uint64_t first; /* of the stored events, or the match */
    char field[EX_ERROR_FIELD_SIZE];
} attempt;

static const ex_slice types[TYPES] = {EX_S_INIT("T0"), EX_S_INIT("T1"), EX_S_INIT("T2"),
                                      EX_S_INIT("T3"), EX_S_INIT("T4")};
static const ex_slice tags[TAGS] = {EX_S_INIT("t:0"), EX_S_INIT("t:1"), EX_S_INIT("t:2"),
                                    EX_S_INIT("t:3"), EX_S_INIT("t:4"), EX_S_INIT("t:5"),
                                    EX_S_INIT("t:6"), EX_S_INIT("t:7")};

typedef struct writer {
    ex_store *store;
    uint64_t random;
    uint32_t number;
    bool may_fail; /* connections end */
    atomic_uint *other;
    attempt attempts[APPENDS];
    uint32_t searched; /* attempts that looked far back */
} writer;

static uint64_t below(writer *w, uint64_t n)
{
    w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (w->random >> 33) % n;
}

/* Number 0 is in half of the events, each further one in half as many. */
static uint8_t draw_tags(writer *w)
{
    uint8_t drawn = 0;
    for (unsigned n = 0; n < TAGS; n++)
        drawn |= (uint8_t)((below(w, UINT64_C(2) << n) == 0) << n);
    return drawn;
}

static uint8_t draw_type(writer *w)
{
    return (uint8_t)(below(w, 3) ? 0 : below(w, TYPES));
}

static uint32_t list_names(const ex_slice *names, uint8_t bits, ex_slice *out)
{
    uint32_t count = 0;
    for (unsigned n = 0; n < 8; n++)
        if (bits >> n & 1)
            out[count++] = names[n];
    return count;
}

/* ---- Writing ---- */

static void draw_query(writer *w, attempt *a)
{
    a->item_count = (uint32_t)below(w, 10) ? 1 + (uint32_t)below(w, ITEMS_MAX) : 0;
    for (uint32_t i = 0; i < a->item_count; i++) {
        model_item *item = &a->items[i];
        for (uint64_t n = below(w, 3); n > 0; n--)
            item->types |= (uint8_t)(1u << below(w, TYPES));
        for (uint64_t n = below(w, 3) + (item->types == 0); n > 0; n--)
            item->tags |= (uint8_t)(1u << below(w, TAGS));
        if (below(w, 50) == 0)
            *item = (model_item){0};
    }
    uint64_t head = ex_store_head(w->store), back = below(w, 4);
    if (back == 0)
        a->after = head;
    else if (back == 1)
        a->after = head - below(w, head < 20 ? head + 1 : 20);
    else
        a->after = below(w, head + 1);
    w->searched += a->after + 100 < head;
}

static void try_append(writer *w, attempt *a)
{
    ex_slice names[ITEMS_MAX][2][8], event_tags[3][8];
    ex_query_item items[ITEMS_MAX];
    char streams[2][16];
    ex_new_event events[3];
    draw_query(w, a);
    for (uint32_t i = 0; i < a->item_count; i++) {
        uint32_t type_count = list_names(types, a->items[i].types, names[i][0]);
        uint32_t tag_count = list_names(tags, a->items[i].tags, names[i][1]);
        items[i] = (ex_query_item){names[i][0], type_count, names[i][1], tag_count};
    }
    uint32_t count = 1 + (uint32_t)below(w, 3);
    for (uint32_t i = 0; i < count; i++)
        events[i] = (ex_new_event){.type = types[draw_type(w)],
                                   .data = EX_S("{}"),
                                   .tags = event_tags[i],
                                   .tag_count = list_names(tags, draw_tags(w), event_tags[i])};
    (void)snprintf(streams[0], sizeof(streams[0]), "a-%u", (unsigned)below(w, 20)); /* fits */
    (void)snprintf(streams[1], sizeof(streams[1]), "b-%u", (unsigned)below(w, 20)); /* fits */
    const ex_stream_write writes[] = {{ex_str(streams[0]), EX_ANY, events, 1},
                                      {ex_str(streams[1]), EX_ANY, events + 1, count - 1}};
    const ex_query query = {items, a->item_count};
    const ex_append append = {writes, count > 1 ? 2 : 1, &query, a->after};
    ex_appended appended = {0};
    ex_error err = {0};
    a->status = ex_store_append(w->store, &append, &appended, &err);
    a->first = a->status ? err.position : appended.position - count + 1;
    (void)snprintf(a->field, sizeof(a->field), "%s", err.field);
    if (a->status && a->status != EX_ECONDITION && !w->may_fail) {
        print_message("%s\n", err.message);
        atomic_fetch_add(w->other, 1);
    }
}

static void *write_many(void *arg)
{
    writer *w = arg;
    for (uint32_t i = 0; i < APPENDS; i++)
        try_append(w, &w->attempts[i]);
    return NULL;
}

/* ---- The model ---- */

static model_event *read_model(ex_store *store, uint64_t *ret_head)
{
    uint64_t head = 0, room = 0;
    model_event *log = NULL;
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(store, &(ex_read_log){.is_current = true}, &c, NULL), EX_OK);
    while (ex_cursor_next(c, &e, NULL) == EX_OK) {
        assert_int_equal(e.position, ++head);
        if (head >= room) {
            room = 2 * head;
            log = realloc(log, room * sizeof(*log));
            assert_non_null(log);
        }
        log[head] = (model_event){.type = (uint8_t)(e.type.ptr[1] - '0')};
        size_t at = 0;
        ex_slice tag;
        while (ex_tags_next(e.tags, &at, &tag))
            log[head].tags |= (uint8_t)(1u << (tag.ptr[2] - '0'));
    }
    ex_cursor_close(c);
    *ret_head = head;
    return log;
}

static bool item_matches(const model_item *item, const model_event *e)
{
    return (item->types == 0 || (item->types >> e->type & 1)) &&
           (e->tags & item->tags) == item->tags;
}

static bool matches(const attempt *a, const model_event *e)
{
    for (uint32_t i = 0; i < a->item_count; i++)
        if (item_matches(&a->items[i], e))
            return true;
    return a->item_count == 0;
}

static uint64_t first_match(const attempt *a, const model_event *log, uint64_t upto)
{
    for (uint64_t p = a->after + 1; p <= upto; p++)
        if (matches(a, &log[p]))
            return p;
    return 0;
}

/* G-503: the item that the refusal names is one that matches. */
static bool names_item(const attempt *a, const model_event *e)
{
    unsigned item = 0;
    if (a->item_count == 0)
        return strcmp(a->field, "condition.fail_if_match") == 0;
    return sscanf(a->field, "condition.fail_if_match.items[%u]", &item) == 1 &&
           item < a->item_count && item_matches(&a->items[item], e);
}

static void check_attempt(const attempt *a, const model_event *log, uint64_t head)
{
    uint64_t want;
    switch ((int)a->status) {
    case EX_OK:
        if (a->first == 0 || a->first > head)
            fail_msg("stored at %llu, the log ends at %llu", (unsigned long long)a->first,
                     (unsigned long long)head);
        want = first_match(a, log, a->first - 1);
        if (want)
            fail_msg("stored at %llu although event %llu matches, after %llu",
                     (unsigned long long)a->first, (unsigned long long)want,
                     (unsigned long long)a->after);
        break;
    case EX_ECONDITION:
        assert_true(a->first <= head);
        want = first_match(a, log, a->first);
        if (want != a->first)
            fail_msg("refused for event %llu, the first match after %llu is %llu",
                     (unsigned long long)a->first, (unsigned long long)a->after,
                     (unsigned long long)want);
        assert_true(names_item(a, &log[a->first]));
        break;
    default:
        break;
    }
}

/* ---- The runs ---- */

typedef struct killer {
    const char *url;
    const char *name; /* of the sessions */
    atomic_bool is_over;
    uint32_t killed;
} killer;

static void *kill_sessions(void *arg)
{
    killer *k = arg;
    ex_pg *pg = NULL;
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name "
                   "= '%s' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1",
                   k->name); /* fits */
    if (ex_pg_open(&(ex_pg_options){.url = k->url}, &pg, NULL))
        return NULL;
    while (!atomic_load(&k->is_over)) {
        k->killed += ex_pg_script(pg, sql, NULL) == EX_OK;
        (void)usleep(20000);
    }
    ex_pg_close(pg);
    return NULL;
}

static void put_old(suite *s, writer *w)
{
    enum { SOME = 100 };
    ex_slice event_tags[SOME][8];
    ex_new_event events[SOME];
    for (int i = 0; i < OLD; i++) {
        events[i % SOME] =
            (ex_new_event){.type = types[draw_type(w)],
                           .data = EX_S("{}"),
                           .tags = event_tags[i % SOME],
                           .tag_count = list_names(tags, draw_tags(w), event_tags[i % SOME])};
        if (i % SOME == SOME - 1)
            assert_int_equal(suite_append(s, "old", EX_ANY, events, SOME, NULL, NULL), EX_OK);
    }
}

/* The suite's store and, where several may write, two more. Memory knows nothing of old events. */
static int open_nodes(suite *s, ex_store *nodes[NODES_MAX])
{
    if (s->driver != SUITE_MEMORY)
        suite_reopen(s, NULL);
    nodes[0] = s->store;
    for (int i = 1; s->driver == SUITE_POSTGRES && i < NODES_MAX; i++)
        assert_int_equal(ex_store_open(s->dir, NULL, &nodes[i], NULL), EX_OK);
    return s->driver == SUITE_POSTGRES ? NODES_MAX : 1;
}

static void close_nodes(ex_store *nodes[NODES_MAX], int count)
{
    for (int i = 1; i < count; i++)
        ex_store_close(nodes[i]);
}

static void run_writers(suite *s, killer *k)
{
    static writer writers[WRITERS];
    ex_store *nodes[NODES_MAX];
    pthread_t threads[WRITERS], killing;
    atomic_uint other = 0;
    uint32_t searched = 0, stored = 0, refused = 0;
    memset(writers, 0, sizeof(writers));
    writers[0].random = 20;
    put_old(s, &writers[0]);
    int node_count = open_nodes(s, nodes);
    if (k)
        assert_int_equal(pthread_create(&killing, NULL, kill_sessions, k), 0);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i].store = nodes[i % (uint32_t)node_count];
        writers[i].random = 77 + i;
        writers[i].number = i;
        writers[i].may_fail = k != NULL;
        writers[i].other = &other;
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    if (k) {
        atomic_store(&k->is_over, true);
        assert_int_equal(pthread_join(killing, NULL), 0);
    }
    close_nodes(nodes, node_count);
    assert_int_equal(other, 0);
    if (k) /* its own session may be gone, too */
        suite_reopen(s, NULL);
    uint64_t head = 0;
    model_event *log = read_model(s->store, &head);
    for (int i = 0; i < WRITERS; i++) {
        for (int j = 0; j < APPENDS; j++) {
            const attempt *a = &writers[i].attempts[j];
            check_attempt(a, log, head);
            stored += a->status == EX_OK;
            refused += a->status == EX_ECONDITION;
        }
        searched += writers[i].searched;
    }
    free(log);
    assert_true(searched > WRITERS * APPENDS / 4);
    assert_true(stored > WRITERS * APPENDS / 20);
    assert_true(refused > WRITERS * APPENDS / 20);
}

static void test_condition_is_exact_beside_other_writers(void **state)
{
    run_writers(*state, NULL);
}

static void test_condition_is_exact_while_connections_end(void **state)
{
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    char name[40], *url;
    (void)snprintf(name, sizeof(name), "excore_condition_%d", (int)getpid()); /* fits */
    size_t room = strlen(s->dir) + sizeof(name) + sizeof("&application_name=");
    url = malloc(room);
    assert_non_null(url);
    (void)snprintf(url, room, "%s&application_name=%s", s->dir, name);
    killer k = {.url = s->dir, .name = name};
    char *plain = s->dir;
    s->dir = url;
    suite_reopen(s, NULL);
    run_writers(s, &k);
    assert_true(k.killed > 3);
    free(plain);
}

/* ---- One wins ---- */

enum { ROUNDS = 20, RACERS = 9 };

typedef struct race {
    pthread_barrier_t start;
    ex_store *nodes[NODES_MAX];
    int node_count;
    uint64_t head; /* before the round */
    atomic_uint wins, losses, other;
} race;

typedef struct racer {
    race *r;
    int number;
} racer;

/* The common tag stands first; some ask for what is after the head, others for all there is. */
static void take_seat(race *r, int number, int round)
{
    char seat[16], stream[16];
    (void)snprintf(seat, sizeof(seat), "seat:%d", round);       /* fits */
    (void)snprintf(stream, sizeof(stream), "racer-%d", number); /* fits */
    const ex_slice both[] = {tags[0], ex_str(seat)};
    const ex_query_item item = {&types[0], 1, both, 2};
    const ex_query query = {&item, 1};
    const ex_new_event event = {.type = types[0], .data = EX_S("{}"), .tags = both, .tag_count = 2};
    const ex_stream_write write = {ex_str(stream), EX_ANY, &event, 1};
    const ex_append append = {&write, 1, &query, number % 2 ? r->head : 0};
    ex_error err = {0};
    ex_status st = ex_store_append(r->nodes[number % r->node_count], &append, NULL, &err);
    atomic_fetch_add(st == EX_OK ? &r->wins : st == EX_ECONDITION ? &r->losses : &r->other, 1);
    if (st && st != EX_ECONDITION)
        print_message("%s\n", err.message);
}

static void *run_race(void *arg)
{
    const racer *me = arg;
    for (int round = 0; round < ROUNDS; round++) {
        if (me->number == 0)
            me->r->head = ex_store_head(me->r->nodes[0]);
        (void)pthread_barrier_wait(&me->r->start);
        take_seat(me->r, me->number, round);
        (void)pthread_barrier_wait(&me->r->start);
    }
    return NULL;
}

/* G-006 */
static void test_condition_lets_one_of_many_win(void **state)
{
    suite *s = *state;
    writer old = {.random = 3};
    race r = {.head = 0};
    racer racers[RACERS];
    pthread_t threads[RACERS];
    put_old(s, &old);
    r.node_count = open_nodes(s, r.nodes);
    assert_int_equal(pthread_barrier_init(&r.start, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (racer){&r, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(r.other, 0);
    assert_int_equal(r.wins, ROUNDS);
    assert_int_equal(r.losses, ROUNDS * (RACERS - 1));
    uint64_t positions[ROUNDS + 1];
    for (int round = 0; round < ROUNDS; round++) { /* each seat once */
        char seat[16];
        (void)snprintf(seat, sizeof(seat), "seat:%d", round); /* fits */
        const ex_slice tag = ex_str(seat);
        const ex_query_item item = {NULL, 0, &tag, 1};
        const ex_filter filter = {.query = {&item, 1}};
        assert_int_equal(suite_read_log(s, 0, &filter, positions, ROUNDS), 1);
    }
    (void)pthread_barrier_destroy(&r.start);
    close_nodes(r.nodes, r.node_count);
}

int store_condition_model_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_condition_is_exact_beside_other_writers),
        STORE_TEST(test_condition_is_exact_while_connections_end),
        STORE_TEST(test_condition_lets_one_of_many_win),
    };
    return cmocka_run_group_tests_name("store condition model", tests, NULL, NULL);
}
