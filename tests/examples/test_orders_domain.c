/* test_orders_domain.c: decide and evolve of the orders example, without a store (section Y1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <excore/scenario.h>

#include "orders.h"

#define ID .order_id = EX_S("o-1")

static const order_item apple = {EX_S_INIT("p-1"), EX_S_INIT("Apple"), 2, 150};

typedef enum { NONE, EMPTY, DRAFT, SUBMITTED, CONFIRMED, CANCELLED } stage;

static ex_scenario *order_at(stage at)
{
    ex_scenario *s = ex_scenario_new(&order_aggregate, "o-1");
    assert_non_null(s);
    if (at >= EMPTY)
        assert_int_equal(ex_given(s, order_created, ID, .customer_id = EX_S("c-1")), EX_OK);
    if (at >= DRAFT)
        assert_int_equal(ex_given(s, order_item_added, ID, .item = apple, .new_total_cents = 300),
                         EX_OK);
    if (at >= SUBMITTED)
        assert_int_equal(ex_given(s, order_submitted, ID, .customer_id = EX_S("c-1"),
                                  .items = {(order_item[]){apple}, 1, 1}, .total_cents = 300),
                         EX_OK);
    if (at >= CONFIRMED)
        assert_int_equal(
            ex_given(s, order_confirmed, ID, .customer_id = EX_S("c-1"), .total_cents = 300),
            EX_OK);
    if (at >= CANCELLED)
        assert_int_equal(
            ex_given(s, order_cancelled, ID, .customer_id = EX_S("c-1"), .reason = EX_S("x")),
            EX_OK);
    return s;
}

typedef enum { CREATE, ADD, REMOVE, SUBMIT, CONFIRM, CANCEL } verb;

static void run(ex_scenario *s, verb v)
{
    switch (v) {
    case CREATE:
        (void)ex_when(s, create_order, ID, .customer_id = EX_S("c-1"));
        return;
    case ADD:
        (void)ex_when(s, add_order_item, ID, .product_id = EX_S("p-2"),
                      .product_name = EX_S("Pear"), .quantity = 1, .unit_price_cents = 50);
        return;
    case REMOVE:
        (void)ex_when(s, remove_order_item, ID, .product_id = EX_S("p-1"));
        return;
    case SUBMIT:
        (void)ex_when(s, submit_order, ID);
        return;
    case CONFIRM:
        (void)ex_when(s, confirm_order, ID);
        return;
    case CANCEL:
        (void)ex_when(s, cancel_order, ID, .reason = EX_S("changed my mind"));
        return;
    }
}

/* Every command in every state: the code, or "" when it takes effect. */
static const struct {
    stage at;
    const char *codes[6]; /* create, add, remove, submit, confirm, cancel */
} table[] = {
    {NONE,
     {"", "ORDER_NOT_FOUND", "ORDER_NOT_FOUND", "ORDER_NOT_FOUND", "ORDER_NOT_FOUND",
      "ORDER_NOT_FOUND"}},
    {EMPTY,
     {"ORDER_ALREADY_EXISTS", "", "ITEM_NOT_FOUND", "ORDER_HAS_NO_ITEMS", "ORDER_NOT_SUBMITTED",
      ""}},
    {DRAFT, {"ORDER_ALREADY_EXISTS", "", "", "", "ORDER_NOT_SUBMITTED", ""}},
    {SUBMITTED,
     {"ORDER_ALREADY_EXISTS", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT", "",
      ""}},
    {CONFIRMED,
     {"ORDER_ALREADY_EXISTS", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT",
      "ORDER_NOT_SUBMITTED", ""}},
    {CANCELLED,
     {"ORDER_ALREADY_EXISTS", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT", "ORDER_NOT_IN_DRAFT",
      "ORDER_NOT_SUBMITTED", "ORDER_ALREADY_CANCELLED"}},
};

static void test_order_table_of_moves(void **ctx)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (int v = CREATE; v <= CANCEL; v++) {
            ex_scenario *s = order_at(table[i].at);
            run(s, (verb)v);
            if (strcmp(ex_scenario_code(s), table[i].codes[v]) != 0)
                fail_msg("state %zu, command %d: got '%s', want '%s'", i, v, ex_scenario_code(s),
                         table[i].codes[v]);
            bool takes_effect = table[i].codes[v][0] == '\0';
            assert_int_equal(ex_scenario_status(s), takes_effect ? EX_OK : EX_EREJECTED);
            assert_int_equal(ex_scenario_event_count(s), takes_effect ? 1 : 0);
            ex_scenario_free(s);
        }
    }
}

/* A false one says what differs, field by field. */
static void expect(const ex_scenario *s, bool is_as_expected)
{
    if (!is_as_expected)
        fail_msg("%s", ex_scenario_difference(s));
}

static void test_order_events_carry_their_facts(void **ctx)
{
    (void)ctx;
    ex_scenario *s = order_at(DRAFT);
    (void)ex_when(s, add_order_item, ID, .product_id = EX_S("p-2"), .product_name = EX_S("Pear"),
                  .quantity = 3, .unit_price_cents = 50);
    order_item pear = {EX_S("p-2"), EX_S("Pear"), 3, 50};
    expect(s, ex_then(s, order_item_added, ID, .item = pear, .new_total_cents = 450));

    ex_scenario_set_time(s, (ex_time){1800000000000000});
    (void)ex_when(s, submit_order, ID);
    order_item both[] = {apple, pear};
    expect(s, ex_then(s, order_submitted, ID, .customer_id = EX_S("c-1"), .items = {both, 2, 2},
                      .total_cents = 450, .submitted_at = {1800000000000000}));
    (void)ex_when(s, confirm_order, ID);
    expect(s, ex_then(s, order_confirmed, ID, .customer_id = EX_S("c-1"), .total_cents = 450,
                      .confirmed_at = {1800000000000000}));
    expect(s, ex_then_no_more(s));
    ex_scenario_free(s);
}

static void test_order_same_product_same_price_is_one_line(void **ctx)
{
    (void)ctx;
    ex_scenario *s = order_at(DRAFT);
    (void)ex_when(s, add_order_item, ID, .product_id = EX_S("p-1"), .product_name = EX_S("Apple"),
                  .quantity = 5, .unit_price_cents = 150);
    const order *o = ex_scenario_state(s);
    assert_int_equal(o->items.count, 1);
    assert_int_equal(o->items.items[0].quantity, 7);
    (void)ex_when(s, add_order_item, ID, .product_id = EX_S("p-1"), .product_name = EX_S("Apple"),
                  .quantity = 1, .unit_price_cents = 200);
    o = ex_scenario_state(s);
    assert_int_equal(o->items.count, 2);
    assert_int_equal(o->total_cents, 7 * 150 + 200);

    (void)ex_when(s, remove_order_item, ID, .product_id = EX_S("p-1"));
    expect(s, ex_then(s, order_item_removed, ID, .product_id = EX_S("p-1"), .new_total_cents = 0,
                      .removed_quantity = 8));
    o = ex_scenario_state(s);
    assert_int_equal(o->items.count, 0);
    ex_scenario_free(s);
}

static void test_order_refuses_bad_items(void **ctx)
{
    (void)ctx;
    static const struct {
        const char *name;
        const char *product;
        int64_t quantity, price;
        const char *detail;
    } cases[] = {
        {"no quantity", "p", 0, 1, "INVALID_QUANTITY"},
        {"negative quantity", "p", -1, 1, "INVALID_QUANTITY"},
        {"no price", "p", 1, 0, "INVALID_PRICE"},
        {"no product", "", 1, 1, "INVALID_ITEM_DATA"},
        {"total over the limit", "p", INT64_MAX, INT64_MAX, "INVALID_QUANTITY"},
        {"total just over the limit", "p", 2, ORDER_TOTAL_MAX_CENTS / 2, "INVALID_QUANTITY"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_scenario *s = order_at(DRAFT);
        (void)ex_when(s, add_order_item, ID, .product_id = ex_str(cases[i].product),
                      .product_name = EX_S("n"), .quantity = cases[i].quantity,
                      .unit_price_cents = cases[i].price);
        assert_string_equal(ex_scenario_code(s), "INVALID_ORDER_ITEM");
        if (!strstr(ex_scenario_message(s), cases[i].detail))
            fail_msg("%s: %s", cases[i].name, ex_scenario_message(s));
        ex_scenario_free(s);
    }
}

static void test_order_has_at_most_100_lines(void **ctx)
{
    (void)ctx;
    ex_scenario *s = order_at(EMPTY);
    for (int i = 0; i < ORDER_ITEMS_MAX; i++) {
        char product[16];
        (void)snprintf(product, sizeof(product), "p-%d", i);
        assert_int_equal(ex_when(s, add_order_item, ID, .product_id = ex_str(product),
                                 .product_name = EX_S("n"), .quantity = 1, .unit_price_cents = 1),
                         EX_OK);
    }
    run(s, ADD);
    assert_string_equal(ex_scenario_code(s), "MAX_ITEMS_EXCEEDED");
    run(s, SUBMIT);
    assert_int_equal(ex_scenario_status(s), EX_OK);
    ex_scenario_free(s);
}

/* R-DE-02: the same input gives the same outcome, and a refused command changes nothing. */
static void test_order_decisions_are_pure(void **ctx)
{
    (void)ctx;
    ex_scenario *s = order_at(DRAFT);
    for (int i = 0; i < 1000; i++) {
        run(s, CONFIRM);
        assert_string_equal(ex_scenario_code(s), "ORDER_NOT_SUBMITTED");
    }
    const order *o = ex_scenario_state(s);
    assert_int_equal(o->status, ORDER_DRAFT);
    assert_int_equal(o->total_cents, 300);
    ex_scenario_free(s);
}

static void test_scenario_tells_its_own_mistakes(void **ctx)
{
    (void)ctx;
    ex_scenario *s = order_at(NONE);
    assert_int_equal(ex_scenario_given(s, &order_item_type, &apple), EX_EINVAL);
    assert_int_equal(ex_scenario_when(s, &order_item_type, &apple), EX_EINVAL);
    assert_null(ex_scenario_state(s));
    ex_scenario_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_table_of_moves),
        cmocka_unit_test(test_order_events_carry_their_facts),
        cmocka_unit_test(test_order_same_product_same_price_is_one_line),
        cmocka_unit_test(test_order_refuses_bad_items),
        cmocka_unit_test(test_order_has_at_most_100_lines),
        cmocka_unit_test(test_order_decisions_are_pure),
        cmocka_unit_test(test_scenario_tells_its_own_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
