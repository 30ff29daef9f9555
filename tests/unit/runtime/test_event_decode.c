/* test_event_decode.c: what the application cannot read is refused by name, on every way to a state
 * and to a view, in files and in PostgreSQL. issue 8, item 7 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "runtime/event_decode.h"
#include "support/store_place.h"

#define LONG 1200 /* more than a batch reads */

typedef struct book {
    ex_slice reader;
    int64_t times;
} book;
typedef struct lend_book {
    ex_slice book_id, reader;
} lend_book;
typedef struct mislay_book {
    ex_slice book_id, emitted;
} mislay_book;
typedef struct book_lent {
    ex_slice book_id, reader;
} book_lent;
/* clang-format off */
EX_TYPE(book, "Book", EX_FIELD(book, reader), EX_FIELD(book, times));
EX_TYPE(lend_book, "LendBook", EX_KEY(lend_book, book_id), EX_FIELD(lend_book, reader));
EX_TYPE(mislay_book, "MislayBook", EX_KEY(mislay_book, book_id), EX_FIELD(mislay_book, emitted));
EX_TYPE_V(book_lent, "BookLent", 2, EX_KEY(book_lent, book_id), EX_FIELD(book_lent, reader));
/* clang-format on */

static ex_status decide_lend(const book *b, const lend_book *c, ex_decision *d)
{
    (void)b;
    return ex_emit(d, book_lent, .book_id = c->book_id, .reader = c->reader);
}

/* A mistake of the domain code: an event about another book. */
static ex_status decide_mislay(const book *b, const mislay_book *c, ex_decision *d)
{
    (void)b;
    return ex_emit(d, book_lent, .book_id = c->emitted, .reader = EX_S("x"));
}

static void on_lent(book *b, const book_lent *e, ex_arena *memory)
{
    (void)memory;
    b->reader = e->reader;
    b->times++;
}

#define BOOK_COMMANDS(COMMAND)                                                                     \
    COMMAND(book, lend_book, "lend", decide_lend)                                                  \
    COMMAND(book, mislay_book, "mislay", decide_mislay)
#define BOOK_EVENTS(EVENT) EVENT(book, book_lent, on_lent)
extern const ex_aggregate book_aggregate;
EX_AGGREGATE(book, "book", BOOK_COMMANDS, BOOK_EVENTS, EX_IGNORES("BookSeen", "BookDusted"));

typedef struct shelf {
    ex_slice book_id, reader;
} shelf;
EX_TYPE(shelf, "Shelf", EX_KEY(shelf, book_id), EX_FIELD(shelf, reader));

static ex_status when_lent(ex_view_tx *tx, const book_lent *e, const ex_event *event)
{
    (void)event;
    return ex_row_put(tx, shelf, .book_id = e->book_id, .reader = e->reader);
}

#define SHELF_EVENTS(WHEN) WHEN(book_lent, when_lent)
extern const ex_view_def shelf_view;
EX_VIEW(shelf, "shelf", 1, SHELF_EVENTS);

static const ex_context library = {
    .name = "library", EX_AGGREGATES(&book_aggregate), EX_VIEWS(&shelf_view)};
static const ex_context *const contexts[] = {&library};
static const ex_app app = {EX_APP_ABI, "library", contexts, 1};

typedef struct fixture {
    store_place place;
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_error err;
} fixture;

static void start(fixture *f)
{
    ex_runtime_options options = {.dir = f->place.text, .view_retry_ms = 1};
    if (ex_store_open(f->place.text, NULL, &f->store, &f->err) ||
        ex_runtime_start(f->store, &app, &options, &f->rt, &f->err))
        fail_msg("%s", f->err.message);
}

static void stop(fixture *f)
{
    ex_runtime_stop(f->rt);
    ex_store_close(f->store);
}

static void set_up(fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->place = store_place_make();
    ex_arena_init(&f->arena, 0);
    start(f);
}

static void tear_down(fixture *f)
{
    stop(f);
    ex_arena_done(&f->arena);
    store_place_remove(&f->place);
}

typedef struct raw {
    const char *type, *data;
    uint32_t version;
} raw;

/* Past the application, as an older program or `excore append` would. */
static uint64_t put(fixture *f, ex_store *store, const char *stream, raw r, uint32_t times)
{
    ex_new_event events[100];
    ex_appended done = {0};
    for (uint32_t i = 0; i < 100; i++)
        events[i] = (ex_new_event){
            .type = ex_str(r.type), .data = ex_str(r.data), .schema_version = r.version};
    for (; times > 0; times -= times < 100 ? times : 100) {
        ex_stream_write write = {ex_str(stream), EX_ANY, events, times < 100 ? times : 100};
        ex_append append = {.writes = &write, .write_count = 1};
        if (ex_store_append(store, &append, &done, &f->err))
            fail_msg("%s", f->err.message);
    }
    return done.position;
}

static ex_status run(fixture *f, const char *id, const char *command, const char *payload)
{
    ex_command_call call = {.context = EX_S("library"),
                            .aggregate = EX_S("book"),
                            .id = ex_str(id),
                            .command = ex_str(command),
                            .payload = ex_str(payload)};
    f->err = (ex_error){0};
    return ex_command_run(f->rt, &call, &f->arena, &f->err);
}

static ex_status lend(fixture *f, const char *id)
{
    return run(f, id, "lend", "{\"reader\":\"ann\"}");
}

/* ---- States ---- */

static const raw good = {"BookLent", "{\"book_id\":\"b\",\"reader\":\"bob\"}", 2};

static const struct {
    const char *name;
    raw event;
    const char *want[2]; /* in the message; NULL: it is folded */
} stored[] = {
    {"renamed", {"BookGiven", "{\"book_id\":\"b\"}", 2}, {"BookGiven", "neither handles"}},
    {"newer",
     {"BookLent", "{\"book_id\":\"b\",\"reader\":\"x\"}", 3},
     {"BookLent", "schema version 3"}},
    {"older",
     {"BookLent", "{\"book_id\":\"b\",\"reader\":\"x\"}", 1},
     {"version 2 of BookLent", "schema version 1"}},
    {"does not fit", {"BookLent", "{\"book_id\":\"b\"}", 2}, {"BookLent", "reader: is missing"}},
    /* item 8; G-706 */
    {"NUL in a text",
     {"BookLent", "{\"book_id\":\"b\",\"reader\":\"a\\u0000b\"}", 2},
     {"BookLent", "reader: "}},
    {"ignored", {"BookSeen", "{\"by\":7}", 9}, {NULL, NULL}},
    {"ignored, too", {"BookDusted", "[]", 1}, {NULL, NULL}},
    {"known", {"BookLent", "{\"book_id\":\"b\",\"reader\":\"x\",\"more\":1}", 2}, {NULL, NULL}},
};
#define STORED (sizeof(stored) / sizeof(stored[0]))

static void check(fixture *f, ex_status st, size_t i, uint64_t version, uint64_t position,
                  const char *way)
{
    char where[80];
    (void)snprintf(where, sizeof(where), "version %llu of stream 'book-%zu', position %llu",
                   (unsigned long long)version, i, (unsigned long long)position);
    bool is_refused = stored[i].want[0] != NULL;
    if (!is_refused && st)
        fail_msg("%s, %s: %s", stored[i].name, way, f->err.message);
    if (is_refused &&
        (st != EX_ECORRUPT || strcmp(f->err.code, "STREAM_UNREADABLE") != 0 ||
         f->err.http_status != 409 || f->err.position != position || f->err.field[0] ||
         !strstr(f->err.message, where) || !strstr(f->err.message, stored[i].want[0]) ||
         !strstr(f->err.message, stored[i].want[1])))
        fail_msg("%s, %s: %s %s '%s'", stored[i].name, way, ex_status_code(st), f->err.code,
                 f->err.message);
}

/* How the state is at the event when the command comes: not there, in the cache, too far behind for
 * a batch. And with the event written by another node. G-701, G-702 */
typedef enum way { FRESH, CACHED, BESIDE, NEWS, WAYS } way;

static void try_way(fixture *f, way w, ex_store *writer)
{
    static const char *const names[] = {"fresh", "cached", "beside", "news"};
    char stream[24], id[16];
    for (size_t i = 0; i < STORED; i++) {
        (void)snprintf(id, sizeof(id), "%zu", i);
        (void)snprintf(stream, sizeof(stream), "book-%s", id);
        uint64_t version = 2;
        (void)put(f, f->store, stream, good, 1);
        if (w == CACHED || w == NEWS) {
            assert_int_equal(lend(f, id), EX_OK);
            version++;
        }
        if (w == BESIDE) {
            (void)put(f, f->store, stream, good, LONG);
            version += LONG;
        }
        uint64_t position = put(f, writer, stream, stored[i].event, 1);
        (void)put(f, writer, stream, good, 1); /* it is not the last one */
        check(f, lend(f, id), i, version, position, names[w]);
        check(f, lend(f, id), i, version, position, names[w]); /* nothing of it was kept */
    }
    assert_int_equal(lend(f, "another"), EX_OK);
}

static void test_decode_refuses_by_name_on_every_way_to_a_state(void **ctx)
{
    (void)ctx;
    for (way w = FRESH; w < NEWS; w++) {
        fixture f;
        set_up(&f);
        try_way(&f, w, f.store);
        tear_down(&f);
    }
}

static void test_decode_refuses_what_another_node_wrote(void **ctx)
{
    (void)ctx;
    if (!store_place_is_server())
        skip();
    fixture f;
    ex_store *other = NULL;
    set_up(&f);
    assert_int_equal(ex_store_open(f.place.text, NULL, &other, &f.err), EX_OK);
    try_way(&f, NEWS, other);
    ex_store_close(other);
    tear_down(&f);
}

/* What a decision emits carries the version of its type, so it can be read after a restart. */
static void test_decode_reads_what_was_emitted(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(lend(&f, "b"), EX_OK);
    stop(&f);
    start(&f);
    assert_int_equal(lend(&f, "b"), EX_OK);
    tear_down(&f);
}

/* An event about another aggregate than that of its stream is not stored. G-703 */
static void test_decode_keys_of_emitted_events_are_checked(void **ctx)
{
    (void)ctx;
    fixture f;
    set_up(&f);
    assert_int_equal(run(&f, "b", "mislay", "{\"emitted\":\"c\"}"), EX_EINTERNAL);
    assert_string_equal(f.err.code, "INVALID_EVENT");
    assert_non_null(strstr(f.err.message, "book_id: 'c' is not the id of its stream, 'b'"));
    assert_int_equal(run(&f, "b", "mislay", "{\"emitted\":\"\"}"), EX_EINTERNAL);
    assert_int_equal(ex_store_head(f.store), 0);
    assert_int_equal(run(&f, "b", "mislay", "{\"emitted\":\"b\"}"), EX_OK);
    tear_down(&f);
}

/* ---- Views ---- */

typedef struct seen {
    uint32_t count;
    char reasons[STORED][256];
    uint64_t positions[STORED];
} seen;

static void see(void *ctx, const ex_parked_event *e)
{
    seen *s = ctx;
    assert_true(s->count < STORED);
    s->positions[s->count] = e->position;
    (void)snprintf(s->reasons[s->count++], sizeof(s->reasons[0]), "%.*s", EX_ARG(e->reason));
}

/* The view goes on; what it cannot read is parked at once, and says why. G-705 */
static void test_decode_parks_what_a_view_cannot_read(void **ctx)
{
    (void)ctx;
    fixture f;
    seen s = {0};
    uint64_t positions[STORED], last = 0;
    set_up(&f);
    for (size_t i = 0; i < STORED; i++)
        positions[i] = put(&f, f.store, "somewhere-1", stored[i].event, 1);
    last = put(&f, f.store, "somewhere-1", good, 1);
    ex_view_status status = {0};
    for (int i = 0; i < 10000 && status.position < last; i++) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        assert_true(ex_runtime_view_status(f.rt, 0, &status));
    }
    assert_int_equal(status.position, last);
    assert_int_equal(ex_runtime_view_parked(f.rt, "shelf", 0, STORED, see, &s, &f.err), EX_OK);
    uint32_t at = 0;
    for (size_t i = 0; i < STORED; i++) {
        if (strcmp(stored[i].event.type, "BookLent") != 0 || !stored[i].want[0])
            continue;
        if (at >= s.count || s.positions[at] != positions[i] ||
            !strstr(s.reasons[at], stored[i].want[0]) || !strstr(s.reasons[at], stored[i].want[1]))
            fail_msg("%s: %s", stored[i].name, at < s.count ? s.reasons[at] : "not parked");
        at++;
    }
    assert_int_equal(s.count, at);
    tear_down(&f);
}

/* ---- The decoder itself ---- */

static void test_decode_fields_are_paths_in_the_event(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *data, *field;
        uint32_t version;
    } cases[] = {
        {"{\"book_id\":\"b\",\"reader\":\"x\"}", NULL, 2},
        {"{\"book_id\":\"b\",\"reader\":\"x\"}", "schema_version", 7},
        {"{\"book_id\":\"b\",\"reader\":7}", "data.reader", 2},
        {"[]", "data", 2},
        {"{", "data", 2},
        {"", "data", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_arena arena;
        ex_error err = {0};
        book_lent value;
        ex_arena_init(&arena, 0);
        event_decoder d = event_decoder_of(ex_str(cases[i].data), cases[i].version, &arena);
        for (int again = 0; again < 2; again++) {
            ex_status st = event_decode(&d, &book_lent_type, &arena, &value, &err);
            assert_int_equal(st, cases[i].field ? EX_EINVAL : EX_OK);
            assert_int_equal(event_decode(&d, &book_lent_type, &arena, &value, NULL), st);
            if (cases[i].field)
                assert_string_equal(err.field, cases[i].field);
        }
        ex_arena_done(&arena);
    }
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_refuses_by_name_on_every_way_to_a_state),
        cmocka_unit_test(test_decode_refuses_what_another_node_wrote),
        cmocka_unit_test(test_decode_reads_what_was_emitted),
        cmocka_unit_test(test_decode_keys_of_emitted_events_are_checked),
        cmocka_unit_test(test_decode_parks_what_a_view_cannot_read),
        cmocka_unit_test(test_decode_fields_are_paths_in_the_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
