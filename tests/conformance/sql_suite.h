/* sql_suite.h: the conformance suite of the SQL port (R-02-16): helpers, and the groups of tests.
 *
 * Every test has a database of its own on the engine that the program was started with: a file, or
 * a schema in the PostgreSQL of the build folder. */
#ifndef EXCORE_TESTS_CONFORMANCE_SQL_SUITE_H
#define EXCORE_TESTS_CONFORMANCE_SQL_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sql/sql.h"
#include "support/temp_dir.h"

typedef struct suite {
    bool is_postgres;
    uint32_t number; /* of the running test */
    temp_dir dir;
    char place[1024]; /* for ex_sql_options */
    ex_sql *db;
} suite;

extern ex_error suite_err; /* the last failure */

int suite_set_up(void **state);
int suite_tear_down(void **state);
/** Another connection to the same database. */
ex_sql *suite_open(suite *s);
/** As the last argument of a failing call: &suite_err. Fails the test unless `st` is EX_OK. */
void suite_must(ex_status st, const char *what);
/** The number in the first column of the first row. */
int64_t suite_ask(ex_sql *db, const char *sql);
/** No transaction is open: one that begins is the outermost. */
void suite_no_tx(ex_sql *db);
/** Begin a statement that takes very long; returns its text. */
const char *suite_endless(const suite *s);
/** CREATE TABLE t (n BIGINT PRIMARY KEY, s TEXT). */
void suite_table(suite *s);

#define must(call) suite_must((call), #call)
#define SQL_TEST(function)                                                                         \
    cmocka_unit_test_prestate_setup_teardown(function, suite_set_up, suite_tear_down, s)

int sql_value_tests(suite *s);
int sql_tx_tests(suite *s);
int sql_pool_tests(suite *s);
int sql_migrate_tests(suite *s);

#endif
