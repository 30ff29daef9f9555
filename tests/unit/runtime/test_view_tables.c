/* test_view_tables.c: a view of several tables, each with indexes of its own, on both engines.
 * issue 9, item 8; G-962 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <excore/app.h>
#include <excore/runtime.h>

#include "support/store_place.h"

typedef struct sold {
    ex_slice id, customer, product;
    int64_t cents;
} sold;
typedef struct sale {
    ex_slice id, customer;
    int64_t cents;
} sale;
typedef struct sale_line {
    ex_slice id, product, sale_id;
} sale_line;
typedef struct sale_total {
    ex_slice customer;
    int64_t cents;
} sale_total;
/* clang-format off */
EX_TYPE(sold, "Sold", EX_KEY(sold, id), EX_FIELD(sold, customer), EX_FIELD(sold, product), EX_FIELD(sold, cents));
EX_TYPE(sale, "Sale", EX_KEY(sale, id), EX_FIELD(sale, customer), EX_FIELD(sale, cents));
EX_TYPE(sale_line, "SaleLine", EX_KEY(sale_line, id), EX_FIELD(sale_line, product), EX_FIELD(sale_line, sale_id));
EX_TYPE(sale_total, "SaleTotal", EX_KEY(sale_total, customer), EX_FIELD(sale_total, cents));
/* clang-format on */

static ex_status when_sold(ex_view_tx *tx, const sold *e, const ex_event *event)
{
    sale_total *total = NULL;
    (void)event;
    ex_status st = ex_row_load(tx, sale_total, e->customer, &total);
    if (st && st != EX_ENOTFOUND)
        return st;
    int64_t cents = e->cents + (st ? 0 : total->cents);
    st = ex_row_put(tx, sale_total, .customer = e->customer, .cents = cents);
    st = st ? st : ex_row_put(tx, sale, .id = e->id, .customer = e->customer, .cents = e->cents);
    return st ? st
              : ex_row_put(tx, sale_line, .id = e->id, .product = e->product, .sale_id = e->id);
}

#define SALES_EVENTS(WHEN) WHEN(sold, when_sold)
extern const ex_view_def sales_view, wrong_view;
EX_VIEW_OF(sales, "sales", 1, SALES_EVENTS, EX_TABLE(sale, "customer, cents DESC", "cents"),
           EX_TABLE(sale_line, "product", "sale_id, product"), EX_TABLE(sale_total));

static ex_status when_nothing(ex_view_tx *tx, const sold *e, const ex_event *event)
{
    (void)tx, (void)e, (void)event;
    return EX_OK;
}

#define WRONG_EVENTS(WHEN) WHEN(sold, when_nothing)
EX_VIEW_OF(wrong, "wrong", 1, WRONG_EVENTS, EX_TABLE(sale, "customer"),
           EX_TABLE(sale_line, "product", "customer, product"));

static const ex_context good = {"shop", NULL, 0, EX_VIEWS(&sales_view), NULL, 0};
static const ex_context bad = {"shop", NULL, 0, EX_VIEWS(&wrong_view), NULL, 0};
static const ex_context *const good_contexts[] = {&good};
static const ex_context *const bad_contexts[] = {&bad};

static void put(ex_store *store, const char *json)
{
    ex_error err = {0};
    ex_new_event event = {.type = EX_S("Sold"), .data = ex_str(json)};
    ex_stream_write write = {EX_S("sale-1"), EX_ANY, &event, 1};
    ex_append append = {.writes = &write, .write_count = 1};
    ex_appended done = {0};
    if (ex_store_append(store, &append, &done, &err))
        fail_msg("%s", err.message);
}

static ex_view_status wait_for(ex_runtime *rt, uint64_t position)
{
    struct timespec pause = {0, 1000000};
    ex_view_status status = {0};
    do {
        nanosleep(&pause, NULL);
        assert_true(ex_runtime_view_status(rt, 0, &status));
    } while (status.position < position);
    return status;
}

static int64_t has_index(const store_place *place, const char *name)
{
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   store_place_is_server()
                       ? "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() AND "
                         "indexname = '%s'"
                       : "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = '%s'",
                   name);
    return store_place_views_number(place, sql);
}

static void test_view_tables_have_their_own_indexes(void **state)
{
    (void)state;
    store_place place = store_place_make();
    const ex_app app = {EX_APP_ABI, "shop", good_contexts, 1};
    const ex_runtime_options options = {.dir = place.text, .view_attempts = 1};
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    ex_error err = {0};
    if (ex_store_open(place.text, NULL, &store, &err) ||
        ex_runtime_start(store, &app, &options, &rt, &err))
        fail_msg("%s", err.message);
    put(store, "{\"id\":\"1\",\"customer\":\"ann\",\"product\":\"tea\",\"cents\":5}");
    put(store, "{\"id\":\"2\",\"customer\":\"ann\",\"product\":\"cup\",\"cents\":7}");
    char longest[3200], product[3001] = "";
    memset(product, 'x',
           sizeof(product) - 1); /* more than an index takes, and of the second table */
    (void)snprintf(longest, sizeof(longest),
                   "{\"id\":\"3\",\"customer\":\"ann\",\"product\":\"%s\",\"cents\":1}", product);
    put(store, longest);
    ex_view_status status = wait_for(rt, 3);
    assert_int_equal(status.parked, 1);
    ex_runtime_stop(rt);
    ex_store_close(store);
    assert_int_equal(store_place_views_number(&place, "SELECT cents FROM sale_total"), 12);
    assert_int_equal(store_place_views_number(&place,
                                              "SELECT cents FROM sale_line l JOIN sale s ON s.id = "
                                              "l.sale_id WHERE l.product = 'cup'"),
                     7);
    static const char *const names[] = {"sale.1", "sale.2", "sale_line.1", "sale_line.2"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(has_index(&place, names[i]), 1);
    assert_int_equal(has_index(&place, "sale_total.1"), 0);
    store_place_remove(&place);
}

/* It used to be tried for ever. */
static void test_view_tables_refuse_an_index_on_nothing(void **state)
{
    (void)state;
    store_place place = store_place_make();
    const ex_app app = {EX_APP_ABI, "shop", bad_contexts, 1};
    const ex_runtime_options options = {.dir = place.text};
    ex_store *store = NULL;
    ex_runtime *rt = NULL;
    ex_error err = {0};
    if (ex_store_open(place.text, NULL, &store, &err))
        fail_msg("%s", err.message);
    assert_int_equal(ex_runtime_start(store, &app, &options, &rt, &err), EX_EINVAL);
    if (!strstr(err.message, "view wrong: 'customer' of index 'customer, product' is no column of "
                             "SaleLine"))
        fail_msg("%s", err.message);
    ex_store_close(store);
    store_place_remove(&place);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_tables_have_their_own_indexes),
        cmocka_unit_test(test_view_tables_refuse_an_index_on_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
