/* test_writers.c: whether a store is written, seen from outside. With "postgres" on PostgreSQL. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <excore/store.h>

#include "sql/lease.h"
#include "store/writers.h"
#include "support/store_place.h"

static bool ask(ex_writers *w)
{
    bool is_written = false;
    ex_error err;
    if (ex_writers_ask(w, &is_written, &err))
        fail_msg("%s", err.message);
    return is_written;
}

/* A session ends on the server a moment after its client has gone. */
static void wait_until_nobody(ex_writers *w)
{
    while (ask(w)) {
    }
}

static ex_store *open_store(const store_place *p, bool is_read_only)
{
    ex_store *s = NULL;
    ex_error err;
    const ex_store_options options = {.read_only = is_read_only};
    if (ex_store_open(p->text, &options, &s, &err))
        fail_msg("%s", err.message);
    return s;
}

static void test_writers_are_those_who_may_append(void **state)
{
    (void)state;
    store_place p = store_place_make();
    ex_writers *w = NULL;
    ex_store *s = open_store(&p, false);
    assert_int_equal(ex_writers_new(p.text, &w, NULL), EX_OK);
    for (int round = 0; round < 2; round++) {
        assert_true(ask(w));
        ex_store *reader = open_store(&p, true);
        ex_store_close(s);
        wait_until_nobody(w); /* nor is the reader one */
        ex_store_close(reader);
        s = open_store(&p, false);
    }
    if (store_place_is_server()) { /* two, and each of them counts */
        ex_store *other = open_store(&p, false);
        ex_store_close(s);
        assert_true(ask(w));
        s = other;
    }
    ex_store_close(s);
    wait_until_nobody(w);
    ex_writers_free(w);
    store_place_remove(&p);
}

/* A node whose connection for writing is lost is still there until its time is over. */
static void test_writers_are_nodes_whose_time_is_not_over(void **state)
{
    (void)state;
    if (!store_place_is_server())
        skip();
    store_place p = store_place_make();
    ex_writers *w = NULL;
    ex_leases *node = NULL;
    ex_error err;
    ex_store_close(open_store(&p, false)); /* makes the tables */
    assert_int_equal(ex_writers_new(p.text, &w, NULL), EX_OK);
    wait_until_nobody(w);
    if (ex_leases_start(&(ex_leases_options){.url = p.text}, &node, &err))
        fail_msg("%s", err.message);
    assert_true(ex_leases_wait(node, 10000));
    assert_true(ask(w));
    ex_leases_stop(node);
    assert_false(ask(w));
    ex_writers_free(w);
    store_place_remove(&p);
}

static void test_writers_that_cannot_be_seen_are_not_denied(void **state)
{
    (void)state;
    bool is_written = false;
    ex_writers *w = NULL;
    ex_error err = {0};
    const char *place = store_place_is_server()
                            ? "postgres://nobody@127.0.0.1:1/none?connect_timeout=2"
                            : "/proc/self/mem"; /* no directory */
    assert_int_equal(ex_writers_new(place, &w, NULL), EX_OK);
    assert_int_not_equal(ex_writers_ask(w, &is_written, &err), EX_OK);
    assert_int_not_equal(err.message[0], '\0');
    ex_writers_free(w);
}

int main(int argc, char **argv)
{
    store_place_use(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers_are_those_who_may_append),
        cmocka_unit_test(test_writers_are_nodes_whose_time_is_not_over),
        cmocka_unit_test(test_writers_that_cannot_be_seen_are_not_denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
