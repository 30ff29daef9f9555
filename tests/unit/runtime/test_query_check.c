/* test_query_check.c: queries are tried when the application starts, on both engines; what only
 * rows show is told when it is asked. issue 9, item 5 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <excore/runtime.h>

#include "runtime/app_check.h"
#include "support/postgres.h"
#include "support/temp_dir.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

typedef enum state { OPEN, SHIPPED } state;
typedef struct parcel {
    ex_slice parcel_id;
    ex_slice customer_id;
    state state;
    int64_t grams;
    double price;
    bool is_express;
    ex_opt_text note;
    ex_time sent_at;
    ex_raw_json extra;
} parcel;
typedef struct sender {
    ex_slice sender_id;
    int64_t parcels;
} sender;
typedef struct other_row {
    ex_slice other_id;
} other_row;
/* clang-format off */
EX_ENUM_TYPE(state, "open", "shipped");
EX_TYPE(parcel, "Parcel", EX_KEY(parcel, parcel_id), EX_FIELD(parcel, customer_id), EX_ENUM(parcel, state, state),
    EX_FIELD(parcel, grams), EX_FIELD(parcel, price), EX_FIELD(parcel, is_express), EX_FIELD(parcel, note),
    EX_FIELD(parcel, sent_at), EX_FIELD(parcel, extra));
EX_TYPE(sender, "Sender", EX_KEY(sender, sender_id), EX_FIELD(sender, parcels));
EX_TYPE(other_row, "OtherRow", EX_KEY(other_row, other_id));
/* clang-format on */

/* Rows of queries. */
typedef struct weight {
    ex_slice customer_id;
    int64_t grams;
} weight;
typedef struct flagged {
    ex_slice parcel_id;
    bool is_express;
} flagged;
typedef struct priced {
    ex_slice parcel_id;
    double price;
} priced;
typedef struct extra_of {
    ex_slice parcel_id;
    ex_raw_json extra;
} extra_of;
typedef struct asked {
    ex_opt_text customer_id;
} asked;
EX_TYPE(weight, "Weight", EX_FIELD(weight, customer_id), EX_FIELD(weight, grams));
EX_TYPE(flagged, "Flagged", EX_FIELD(flagged, parcel_id), EX_FIELD(flagged, is_express));
EX_TYPE(priced, "Priced", EX_FIELD(priced, parcel_id), EX_FIELD(priced, price));
EX_TYPE(extra_of, "ExtraOf", EX_FIELD(extra_of, parcel_id), EX_FIELD(extra_of, extra));
EX_TYPE(asked, "Asked", EX_FIELD(asked, customer_id));

static ex_status when_sent(ex_view_tx *tx, const parcel *e, const ex_event *event)
{
    (void)event;
    return ex_row_store(tx, parcel, e);
}

static const ex_table_def tables[] = {{.row = &parcel_type}, {.row = &sender_type}};
static const ex_table_def other_tables[] = {{.row = &other_row_type}};
static ex_status when_sent_any(ex_view_tx *tx, const void *data, const ex_event *event)
{
    return when_sent(tx, data, event);
}
static const ex_when_def when_list[] = {{&parcel_type, when_sent_any}};
static const ex_view_def parcel_view = {"parcels", 1, tables, 2, when_list, 1};
static const ex_view_def other_view = {"others", 1, other_tables, 1, NULL, 0};

static const ex_view_def *const views[] = {&parcel_view, &other_view};
static ex_query_def query;
static const ex_query_def *const queries[] = {&query};
static ex_context context = {"post", NULL, 0, views, 2, queries, 1};
static const ex_context *const contexts[] = {&context};
static const ex_app app = {EX_APP_ABI, "post", contexts, 1};

/* clang-format off */
#define PAGE  EX_QUERY_PAGE
#define LIST  EX_QUERY_LIST
#define ONE   EX_QUERY_SINGLE
#define HOW   EX_QUERY_COUNT
static const struct {
    ex_query_kind kind;
    const char *sql;
    const ex_type *params, *row;
    const char *fault; /* in the message; NULL: it is taken */
    const char *order_by;
} cases[] = {
    {PAGE, "SELECT * FROM parcel WHERE :customer_id IS NULL OR customer_id = :customer_id", &asked_type, &parcel_type, NULL, "grams"},
    {LIST, "SELECT customer_id, CAST(sum(grams) AS BIGINT) AS grams FROM parcel GROUP BY customer_id", NULL, &weight_type, NULL, "customer_id"},
    {LIST, "SELECT customer_id, sum(grams) AS grams FROM parcel GROUP BY customer_id", NULL, &weight_type, NULL, "customer_id"},
    {ONE, "SELECT parcel_id, grams AS price FROM parcel", NULL, &priced_type, NULL, NULL},
    {ONE, "SELECT parcel_id, grams > 7 AS is_express FROM parcel", NULL, &flagged_type, NULL, NULL},
    {ONE, "SELECT parcel_id, extra FROM (SELECT * FROM parcel) AS p", NULL, &extra_of_type, NULL, NULL},
    {HOW, "SELECT count(*) FROM parcel", NULL, NULL, NULL, NULL},
    {HOW, "SELECT coalesce(sum(grams), 0) FROM parcel", NULL, NULL, NULL, NULL},
    {HOW, "SELECT count(*) FROM (WITH RECURSIVE endless(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM endless) SELECT n FROM endless) AS e", NULL, NULL, NULL, NULL},

    {ONE, "SELECT * FROM parcel WHERE customer_id = :custmer_id", &asked_type, &parcel_type,
     "the parameter :custmer_id is not declared in Asked; did you mean ':customer_id'?", NULL},
    {ONE, "SELECT * FROM parcel WHERE customer_id = :x", NULL, &parcel_type, "the parameter :x is not declared", NULL},
    {ONE, "SELECT * FROM parcel", &asked_type, &parcel_type, "the parameter customer_id of Asked is not in the SQL", NULL},
    {ONE, "SELECT * FROM parcel WHERE custmer_id = 'a'", NULL, &parcel_type,
     "there is no column 'custmer_id'; did you mean 'customer_id'?", NULL},
    {ONE, "SELECT * FROM parcel p WHERE p.custmer_id = 'a'", NULL, &parcel_type,
     "there is no column 'custmer_id'; did you mean 'customer_id'?", NULL},
    {ONE, "SELECT parcel_id, \"express\" AS is_express FROM parcel", NULL, &flagged_type, "there is no column 'express'", NULL},
    {ONE, "SELECT * FROM parcels", NULL, &parcel_type, "there is no table 'parcels'; did you mean 'parcel'?", NULL},
    {ONE, "SELECT other_id FROM other_row", NULL, &other_row_type,
     "table 'other_row' is of view others; a query reads the tables of its own view", NULL},
    {LIST, "SELECT customer_id FROM parcel", NULL, &weight_type, "the SELECT gives no column grams, which Weight has", "customer_id"},
    {LIST, "SELECT customer_id, grams AS gram FROM parcel", NULL, &weight_type,
     "the SELECT gives no column grams, which Weight has; did you mean 'gram'?", "customer_id"},
    {ONE, "SELECT a.*, b.price FROM parcel a JOIN parcel b ON a.parcel_id = b.customer_id", NULL, &priced_type,
     "the SELECT gives 2 columns price", NULL},
    {LIST, "SELECT customer_id, price AS grams FROM parcel", NULL, &weight_type,
     "column grams is a double, and Weight says a whole number", "customer_id"},
    {LIST, "SELECT customer_id, note AS grams FROM parcel", NULL, &weight_type,
     "column grams is a text, and Weight says a whole number", "customer_id"},
    {ONE, "SELECT grams AS parcel_id, price FROM parcel", NULL, &priced_type,
     "column parcel_id is a whole number, and Priced says a text", NULL},
    {ONE, "SELECT parcel_id, grams AS is_express FROM parcel", NULL, &flagged_type,
     "column is_express is a whole number, and Flagged says a boolean", NULL},
    {ONE, "SELECT parcel_id, note AS extra FROM parcel", NULL, &extra_of_type, "column extra is a text, and ExtraOf says JSON", NULL},
    {HOW, "SELECT customer_id FROM parcel", NULL, NULL, "a count is a whole number; column customer_id is a text", NULL},
    {HOW, "SELECT grams FROM parcel", NULL, NULL, "a count is one row", NULL},
    {HOW, "SELECT count(*) FROM parcel GROUP BY customer_id", NULL, NULL, "a count is one row", NULL},
    {HOW, "SELECT sum(grams) FROM parcel", NULL, NULL, "over no rows it is NULL", NULL},
    {HOW, "SELECT count(*), sum(grams) FROM parcel", NULL, NULL, "a count gives one column, not 2", NULL},
};
/* clang-format on */

static void set_case(size_t i)
{
    query = (ex_query_def){.name = "asked-for",
                           .view = &parcel_view,
                           .kind = cases[i].kind,
                           .params = cases[i].params,
                           .row = cases[i].row,
                           .sql = cases[i].sql,
                           .order_by = {cases[i].order_by}};
}

typedef struct found {
    uint32_t count;
    ex_error last;
} found;

static void see(void *ctx, const ex_error *fault)
{
    found *f = ctx;
    f->count++;
    f->last = *fault;
}

/* Of the one query that there is. */
static void check_case(size_t i)
{
    found f = {0};
    ex_error err = {0};
    ex_status st = app_check(&app, NULL, see, &f, &err);
    if (st)
        fail_msg("%s\n  %s", cases[i].sql, err.message);
    if (!cases[i].fault && f.count)
        fail_msg("%s\n  %s", cases[i].sql, f.last.message);
    if (!cases[i].fault)
        return;
    if (f.count == 0 || !strstr(f.last.message, cases[i].fault) ||
        !strstr(f.last.message, "context post: query asked-for of view parcels"))
        fail_msg("%s\n  %s", cases[i].sql, f.count ? f.last.message : "was taken");
    assert_int_equal(f.count, 1);
}

/* G-712 */
static void test_query_check_tells_faults_before_anybody_asks(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_case(i);
        check_case(i);
    }
}

static char all_faults[COUNT(cases) * EX_ERROR_MESSAGE_SIZE];

static void add_fault(void *ctx, const ex_error *fault)
{
    size_t *at = ctx;
    *at += (size_t)snprintf(all_faults + *at, sizeof(all_faults) - *at, "%s\n", fault->message);
}

/* Each query as one that is written for PostgreSQL only, so that no other engine tells; all of them
 * in one application. */
static void test_query_check_postgres_tells_the_same(void **ctx)
{
    (void)ctx;
    static ex_query_def own[COUNT(cases)];
    static const ex_query_def *list[COUNT(cases)];
    static char names[COUNT(cases)][16];
    uint32_t count = 0;
    size_t at = 0;
    ex_error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        set_case(i);
        query.sql = NULL;
        query.on_postgres = cases[i].sql;
        (void)snprintf(names[i], sizeof(names[i]), "q%zu", i);
        query.name = names[i];
        own[i] = query;
        if (!cases[i].fault || !strstr(cases[i].fault, "JSON")) /* both are a TEXT there */
            list[count++] = &own[i];
    }
    context.queries = list;
    context.query_count = count;
    ex_status st = app_check(&app, postgres_url(), add_fault, &at, &err);
    context.queries = queries;
    context.query_count = 1;
    if (st)
        fail_msg("%s", err.message);
    for (uint32_t i = 0; i < count; i++) {
        size_t row = (size_t)(list[i] - own);
        char line[300];
        (void)snprintf(line, sizeof(line),
                       "context post: query %s of view parcels on PostgreSQL: ", list[i]->name);
        const char *told = strstr(all_faults, line);
        const char *fault = cases[row].fault;
        if ((told != NULL) != (fault != NULL) ||
            (told && strncmp(told + strlen(line), fault, strlen(fault)) != 0))
            fail_msg("%s\n  %s", cases[row].sql, told ? told : "was taken");
    }
}

static ex_status try_start(const char *place, ex_error *err)
{
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    const ex_runtime_options options = {.dir = place};
    if (ex_store_open(place, NULL, &store, err))
        fail_msg("%s", err->message);
    ex_status st = ex_runtime_start(store, &app, &options, &rt, err);
    ex_runtime_stop(rt);
    ex_store_close(store);
    return st;
}

static void assert_start_is_refused(const char *place)
{
    ex_error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!cases[i].fault || strstr(cases[i].sql, "custmer") == NULL)
            continue;
        set_case(i);
        assert_int_equal(try_start(place, &err), EX_EINVAL);
        assert_non_null(strstr(err.message, cases[i].fault));
    }
    set_case(0);
    if (try_start(place, &err))
        fail_msg("%s", err.message);
}

/* G-712 */
static void test_query_check_refuses_the_start(void **ctx)
{
    (void)ctx;
    char url[POSTGRES_URL_SIZE];
    temp_dir dir = temp_dir_make();
    assert_start_is_refused(dir.path);
    temp_dir_remove(&dir);
    assert_start_is_refused(postgres_schema_url(postgres_url(), "query_check", url));
    postgres_drop_schema(url);
}

static void test_query_check_view_that_nobody_lists(void **ctx)
{
    (void)ctx;
    found f = {0};
    ex_error err = {0};
    set_case(0);
    context.view_count = 0;
    assert_int_equal(app_check(&app, NULL, see, &f, &err), EX_OK);
    context.view_count = 2;
    assert_int_equal(f.count, 1);
    assert_non_null(strstr(f.last.message,
                           "context post: query asked-for reads view parcels, which no "
                           "context lists in its EX_VIEWS"));
}

/* ---- What rows show ---- */

typedef struct side {
    temp_dir dir;
    char place[POSTGRES_URL_SIZE];
    ex_store *store;
    ex_runtime *rt;
    ex_arena arena;
    ex_buf out;
    ex_error err;
} side;

static void open_side(side *s, bool is_server)
{
    memset(s, 0, sizeof(*s));
    if (is_server) {
        (void)postgres_schema_url(postgres_url(), "query_rows", s->place);
    } else {
        s->dir = temp_dir_make();
        (void)snprintf(s->place, sizeof(s->place), "%s", s->dir.path);
    }
    ex_arena_init(&s->arena, 0);
    ex_buf_init(&s->out, 0);
    const ex_runtime_options options = {.dir = s->place};
    if (ex_store_open(s->place, NULL, &s->store, &s->err) ||
        ex_runtime_start(s->store, &app, &options, &s->rt, &s->err))
        fail_msg("%s", s->err.message);
}

static void close_side(side *s)
{
    ex_runtime_stop(s->rt);
    ex_store_close(s->store);
    ex_buf_done(&s->out);
    ex_arena_done(&s->arena);
    if (s->dir.path[0])
        temp_dir_remove(&s->dir);
    else
        postgres_drop_schema(s->place);
}

/* Parcels p01, p02, … all of one weight. */
static uint64_t send(side *s, int first, int last)
{
    ex_appended done = {0};
    for (int i = first; i <= last; i++) {
        char data[300];
        (void)snprintf(data, sizeof(data),
                       "{\"parcel_id\":\"p%02d\",\"customer_id\":\"c\",\"state\":\"open\","
                       "\"grams\":5,\"price\":0.5,\"is_express\":true,\"sent_at\":"
                       "\"2026-01-01T00:00:00Z\",\"extra\":null}",
                       i);
        ex_new_event event = {.type = EX_S("Parcel"), .data = ex_str(data)};
        ex_stream_write write = {EX_S("parcels-1"), EX_ANY, &event, 1};
        ex_append append = {.writes = &write, .write_count = 1};
        if (ex_store_append(s->store, &append, &done, &s->err))
            fail_msg("%s", s->err.message);
    }
    return done.position;
}

static ex_status ask(side *s, uint64_t position, ex_slice cursor, uint32_t limit)
{
    ex_query_call call = {.context = EX_S("post"),
                          .query = EX_S("asked-for"),
                          .cursor = cursor,
                          .limit = limit,
                          .min_position = position,
                          .timeout_ms = 20000};
    ex_buf_reset(&s->out);
    ex_status st = ex_query_run(s->rt, &call, &s->arena, &s->out, &s->err);
    ex_buf_put_char(&s->out, '\0');
    return st;
}

/* All pages; the ids in the order in which they came. */
static void collect(side *s, uint64_t position, uint32_t limit, char *ids, size_t size)
{
    size_t at = 0;
    ex_slice cursor = {NULL, 0};
    ids[0] = '\0';
    for (int page = 0; page < 20; page++) {
        ex_json answer;
        if (ask(s, position, cursor, limit))
            fail_msg("%s", s->err.message);
        ex_slice text = ex_arena_copy(&s->arena, ex_slice_of(s->out.ptr, s->out.len - 1));
        assert_int_equal(ex_json_parse(text, &s->arena, NULL, &answer, &s->err), EX_OK);
        const ex_json *items = ex_json_get(&answer, EX_S("items"));
        for (uint32_t i = 0; i < items->count; i++) {
            const ex_json *id = ex_json_get(&items->as.items[i], EX_S("parcel_id"));
            at += (size_t)snprintf(ids + at, size - at, "%.*s ", EX_ARG(id->as.text));
        }
        const ex_json *next = ex_json_get(&answer, EX_S("continue_cursor"));
        if (next->kind != EX_JSON_STRING)
            return;
        cursor = next->as.text;
    }
    fail_msg("it has no end: %s", ids);
}

#define ALL_UP "p01 p02 p03 p04 p05 p06 p07 "

/* Rows that are equal in order_by are on one page each: the key decides between them. G-713 */
static void test_query_pages_lose_no_row_to_an_order_that_is_not_unique(void **ctx)
{
    (void)ctx;
    char ids[256];
    for (int k = 0; k < 2; k++) {
        side s;
        set_case(0);
        query.params = NULL;
        query.sql = "SELECT * FROM parcel";
        open_side(&s, k);
        uint64_t position = send(&s, 1, 7);
        collect(&s, position, 2, ids, sizeof(ids));
        assert_string_equal(ids, ALL_UP);
        query.is_descending = true;
        collect(&s, position, 3, ids, sizeof(ids));
        assert_string_equal(ids, "p07 p06 p05 p04 p03 p02 p01 ");
        query.is_descending = false;
        query.row = &priced_type; /* no EX_KEY in it, and the name of the table's */
        query.order_by[0] = "price";
        collect(&s, position, 2, ids, sizeof(ids));
        assert_string_equal(ids, ALL_UP);
        close_side(&s);
    }
}

/* Without a key in the rows the page says so instead of losing some. G-713 */
static void test_query_pages_tell_an_order_that_cannot_be_kept(void **ctx)
{
    (void)ctx;
    for (int k = 0; k < 2; k++) {
        side s;
        query = (ex_query_def){.name = "asked-for",
                               .view = &parcel_view,
                               .kind = EX_QUERY_PAGE,
                               .row = &weight_type,
                               .sql = "SELECT customer_id, grams FROM parcel",
                               .order_by = {"customer_id"}};
        open_side(&s, k);
        uint64_t position = send(&s, 1, 3);
        assert_int_equal(ask(&s, position, (ex_slice){NULL, 0}, 2), EX_EINTERNAL);
        assert_non_null(strstr(s.err.message, "query post/asked-for of view parcels: rows are "
                                              "equal in all that they are ordered by"));
        assert_int_equal(ask(&s, position, (ex_slice){NULL, 0}, 3), EX_OK);
        close_side(&s);
    }
}

static const struct {
    const char *name;
    ex_query_kind kind;
    const char *sql;
    const ex_type *row;
    const char *fault;
} told[] = {
    {"two rows of one", EX_QUERY_SINGLE, "SELECT parcel_id, price FROM parcel", &priced_type,
     "gave more than one row"},
    {"null in what is required", EX_QUERY_SINGLE,
     "SELECT parcel_id, nullif(price, price) AS price FROM parcel LIMIT 1", &priced_type,
     "column price is null in a row, and not optional in Priced"},
    {"a text instead of a number, as only rows of SQLite tell", EX_QUERY_SINGLE,
     "SELECT parcel_id, CASE WHEN price > 0 THEN customer_id END AS price FROM parcel LIMIT 1",
     &priced_type, "column price is"},
};

static void test_query_tells_what_only_rows_show(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < COUNT(told); i++) {
        side s;
        query = (ex_query_def){.name = "asked-for",
                               .view = &parcel_view,
                               .kind = told[i].kind,
                               .row = told[i].row,
                               .sql = told[i].sql};
        open_side(&s, false);
        uint64_t position = send(&s, 1, 2);
        ex_status st = ask(&s, position, (ex_slice){NULL, 0}, 2);
        if (st != EX_EINTERNAL || !strstr(s.err.message, told[i].fault) ||
            !strstr(s.err.message, "query post/asked-for of view parcels"))
            fail_msg("%s: %s", told[i].name, st ? s.err.message : s.out.ptr);
        close_side(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_check_tells_faults_before_anybody_asks),
        cmocka_unit_test(test_query_check_postgres_tells_the_same),
        cmocka_unit_test(test_query_check_refuses_the_start),
        cmocka_unit_test(test_query_check_view_that_nobody_lists),
        cmocka_unit_test(test_query_pages_lose_no_row_to_an_order_that_is_not_unique),
        cmocka_unit_test(test_query_pages_tell_an_order_that_cannot_be_kept),
        cmocka_unit_test(test_query_tells_what_only_rows_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
