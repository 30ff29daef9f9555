/* test_view_ahead.c: the rows of a view on a server are read and written in sets (issue 9, item 3;
 * G-808), and what comes out is what one event after the other gives. The views lie beyond a network
 * on which each round trip costs 20 ms. */
#include <excore/runtime.h>

#include "support/postgres.h"
#include "support/tcp_proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sql/postgres/pg_conn.h"
#include "support/assert_ok.h"

#define ACCOUNTS 400

/* ---- The application ---- */

typedef struct moved {
    ex_slice from, to;
    int64_t cents;
    ex_opt_text note;
} moved;
EX_TYPE(moved, "Moved", EX_FIELD(moved, from), EX_FIELD(moved, to), EX_FIELD(moved, cents),
        EX_FIELD(moved, note));

typedef struct closed {
    ex_slice id;
} closed;
EX_TYPE(closed, "Closed", EX_FIELD(closed, id));

typedef struct account_row {
    ex_slice id;
    int64_t cents;
    int64_t moves;
    ex_opt_text last_to;
    ex_opt_text note;
} account_row;
EX_TYPE(account_row, "AccountRow", EX_KEY(account_row, id), EX_FIELD(account_row, cents),
        EX_FIELD(account_row, moves), EX_FIELD(account_row, last_to), EX_FIELD(account_row, note));

/* How often an account was the one paid before: found by the row of the payer. */
typedef struct again_row {
    ex_slice id;
    int64_t times;
} again_row;
EX_TYPE(again_row, "AgainRow", EX_KEY(again_row, id), EX_FIELD(again_row, times));

static ex_status change(ex_view_tx *tx, ex_slice id, int64_t cents, const moved *e,
                        ex_opt_text *ret_last)
{
    account_row fresh = {.id = id}, *row = &fresh;
    ex_status st = ex_row_load(tx, account_row, id, &row);
    if (st && st != EX_ENOTFOUND)
        return st;
    *ret_last = row->last_to;
    row->cents += cents;
    row->moves++;
    if (cents < 0)
        row->last_to = (ex_opt_text){true, e->to};
    if (e->note.is_set)
        row->note = e->note;
    return ex_row_store(tx, account_row, row);
}

static ex_status when_moved(ex_view_tx *tx, const moved *e, const ex_event *event)
{
    ex_opt_text last, unused;
    again_row fresh = {0}, *row = &fresh;
    (void)event;
    ex_status st = change(tx, e->from, -e->cents, e, &last);
    st = st ? st : change(tx, e->to, e->cents, e, &unused);
    if (st || !last.is_set)
        return st;
    fresh.id = last.value;
    st = ex_row_load(tx, again_row, last.value, &row);
    if (st && st != EX_ENOTFOUND)
        return st;
    row->times++;
    return ex_row_store(tx, again_row, row);
}

static ex_status when_closed(ex_view_tx *tx, const closed *e, const ex_event *event)
{
    (void)event;
    return ex_row_delete(tx, account_row, e->id);
}

static ex_status when_moved_any(ex_view_tx *tx, const void *data, const ex_event *event)
{
    return when_moved(tx, data, event);
}

static ex_status when_closed_any(ex_view_tx *tx, const void *data, const ex_event *event)
{
    return when_closed(tx, data, event);
}

static const ex_table_def tables[] = {{.row = &account_row_type}, {.row = &again_row_type}};
static const ex_when_def whens[] = {{&moved_type, when_moved_any}, {&closed_type, when_closed_any}};
static const ex_view_def book_view = {.name = "book",
                                      .version = 1,
                                      .tables = tables,
                                      .table_count = 2,
                                      .events = whens,
                                      .event_count = 2};
static const ex_context context = {.name = "book", EX_VIEWS(&book_view)};
static const ex_context *const contexts[] = {&context};
static const ex_app app = {EX_APP_ABI, "book", contexts, 1};

/* ---- What must come out ---- */

typedef struct model {
    struct {
        bool is_there;
        int64_t cents, moves;
        int last_to; /* -1: none */
    } accounts[ACCOUNTS];
    int64_t again[ACCOUNTS];
} model;

static void model_change(model *m, int id, int64_t cents, int to)
{
    if (!m->accounts[id].is_there)
        m->accounts[id].last_to = -1;
    m->accounts[id].is_there = true;
    m->accounts[id].cents += cents;
    m->accounts[id].moves++;
    if (cents < 0)
        m->accounts[id].last_to = to;
}

static void model_move(model *m, int from, int to, int64_t cents)
{
    int last = m->accounts[from].is_there ? m->accounts[from].last_to : -1;
    model_change(m, from, -cents, to);
    model_change(m, to, cents, to);
    if (last >= 0)
        m->again[last]++;
}

static void model_close(model *m, int id)
{
    memset(&m->accounts[id], 0, sizeof(m->accounts[id]));
}

/* ---- The log and the view ---- */

static ex_error err;
static tcp_proxy *proxy;
static char direct[POSTGRES_URL_SIZE], proxied[POSTGRES_URL_SIZE];
static ex_store *store;
static ex_pg *pg;

static void set_up(const char *name)
{
    proxy = tcp_proxy_start();
    postgres_schema_url(postgres_tcp_url(), name, direct);
    tcp_proxy_url(proxy, name, proxied);
    assert_ok(ex_store_open(direct, NULL, &store, &err));
    assert_ok(ex_pg_open(&(ex_pg_options){.url = direct}, &pg, &err));
}

static void tear_down(void)
{
    char sql[160];
    ex_store_close(store);
    (void)snprintf(sql, sizeof(sql),
                   "SET client_min_messages = warning; DROP SCHEMA IF EXISTS \"%s_views\" CASCADE",
                   ex_pg_target_of(pg)->schema);
    assert_ok(ex_pg_script(pg, sql, &err));
    ex_pg_close(pg);
    postgres_drop_schema(direct);
    tcp_proxy_stop(proxy);
}

static void append(const char *type, const char *data)
{
    const ex_new_event event = {.type = ex_str(type), .data = ex_str(data)};
    const ex_stream_write write = {EX_S("book"), EX_ANY, &event, 1};
    ex_appended ret = {0};
    assert_ok(ex_store_append(store, &(ex_append){.writes = &write, .write_count = 1}, &ret, &err));
}

/* Random moves, and now and then an account that is closed and comes again. */
static void fill(model *m, int events, unsigned seed, size_t note_bytes)
{
    size_t room = 128 + note_bytes;
    char *data = malloc(room), *note = malloc(note_bytes + 1);
    assert_true(data && note);
    memset(note, 'n', note_bytes);
    note[note_bytes] = '\0';
    for (int i = 0; i < events; i++) {
        int from = (int)(seed = seed * 1103515245 + 12345) >> 8 & 0xffff;
        int to = (int)(seed = seed * 1103515245 + 12345) >> 8 & 0xffff;
        from %= ACCOUNTS;
        to = (from + 1 + to % (ACCOUNTS - 1)) % ACCOUNTS;
        if (i % 9 == 8) {
            (void)snprintf(data, room, "{\"id\":\"a%d\"}", from); /* fits */
            append("Closed", data);
            model_close(m, from);
            continue;
        }
        (void)snprintf(data, room, "{\"from\":\"a%d\",\"to\":\"a%d\",\"cents\":%d,\"note\":\"%s\"}",
                       from, to, i + 1, note); /* fits */
        append("Moved", data);
        model_move(m, from, to, i + 1);
    }
    free(note);
    free(data);
}

static void run_view(uint32_t batch_events)
{
    ex_runtime *rt = NULL;
    ex_view_status status = {0};
    const ex_runtime_options options = {.dir = proxied, .view_batch_events = batch_events};
    assert_ok(ex_runtime_start(store, &app, &options, &rt, &err));
    for (int i = 0; i < 6000 && status.position < ex_store_head(store); i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        assert_true(ex_runtime_view_status(rt, 0, &status));
    }
    if (status.position < ex_store_head(store) || status.parked)
        fail_msg("at %llu, %llu parked: %s", (unsigned long long)status.position,
                 (unsigned long long)status.parked, status.error);
    ex_runtime_stop(rt);
}

static int64_t number(const char *format, int id)
{
    char sql[256];
    ex_pg_result r = {0};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(sql, sizeof(sql), format, ex_pg_target_of(pg)->schema, id); /* fits */
#pragma GCC diagnostic pop
    assert_ok(ex_pg_run(pg, ex_str(sql), NULL, &r, &err));
    int64_t n = r.rows ? ex_pg_get_i64(&r, 0, 0) : INT64_MIN;
    ex_pg_result_free(&r);
    return n;
}

static void assert_rows(const model *m)
{
    for (int i = 0; i < ACCOUNTS; i++) {
        bool is_there = m->accounts[i].is_there;
        int64_t cents = number("SELECT cents FROM \"%s_views\".account_row WHERE id = 'a%d'", i);
        int64_t moves = number("SELECT moves FROM \"%s_views\".account_row WHERE id = 'a%d'", i);
        int64_t times = number("SELECT times FROM \"%s_views\".again_row WHERE id = 'a%d'", i);
        assert_int_equal(cents, is_there ? m->accounts[i].cents : INT64_MIN);
        assert_int_equal(moves, is_there ? m->accounts[i].moves : INT64_MIN);
        assert_int_equal(times, m->again[i] ? m->again[i] : INT64_MIN);
    }
}

/* ---- Tests ---- */

/* Row by row the first load of each of the 800 rows would be a round trip. */
static void test_ahead_a_slow_network_costs_round_trips_for_a_transaction_only(void **state)
{
    (void)state;
    model m = {0};
    set_up("ahead_slow");
    fill(&m, 800, 1, 1);
    tcp_proxy_delay(proxy, 10000);
    uint64_t before = tcp_proxy_turns(proxy);
    run_view(1000);
    assert_in_range(tcp_proxy_turns(proxy) - before, 1, 700); /* about 320, most to start */
    assert_rows(&m);
    tear_down();
}

/* Transactions of every small size, each begins with what the one before has stored. */
static void test_ahead_gives_what_one_event_after_the_other_gives(void **state)
{
    (void)state;
    for (uint32_t batch = 1; batch <= 7; batch += 2) {
        model m = {0};
        set_up("ahead_model");
        fill(&m, 150, batch, 1);
        run_view(batch);
        assert_rows(&m);
        tear_down();
    }
}

/* More than a transaction keeps in memory (16 MiB): it writes and forgets on the way. */
static void test_ahead_rows_beyond_what_is_kept(void **state)
{
    (void)state;
    model m = {0};
    set_up("ahead_large");
    fill(&m, 300, 3, 60000);
    run_view(1000);
    assert_rows(&m);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead_a_slow_network_costs_round_trips_for_a_transaction_only),
        cmocka_unit_test(test_ahead_gives_what_one_event_after_the_other_gives),
        cmocka_unit_test(test_ahead_rows_beyond_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
