/* store_suite.h: the conformance suite of the store port: helpers, and the groups of tests.
 *
 * Every test opens a store of its own on the driver that the program was
 * started with. Helpers fail the test themselves when they cannot do their job. */
#ifndef EXCORE_TESTS_CONFORMANCE_STORE_SUITE_H
#define EXCORE_TESTS_CONFORMANCE_STORE_SUITE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <excore/store.h>

typedef enum suite_driver { SUITE_MEMORY, SUITE_SQLITE, SUITE_POSTGRES } suite_driver;

typedef struct suite {
    suite_driver driver;
    char *dir; /* or URL with a schema, of the running test; NULL in memory */
    ex_store *store;
} suite;

/** Group set-up and tear-down of one test: an empty store with the default options. */
int suite_set_up(void **state);
int suite_tear_down(void **state);
/** Close and open again; `options` NULL: the defaults (dir and driver are filled in). */
void suite_reopen(suite *s, const ex_store_options *options);
/** True when the driver has no files: such a test is skipped. */
bool suite_skips_files(suite *s);
/** True when nothing is left after a close: such a test is skipped. */
bool suite_forgets(suite *s);

/** A test of the suite: opened before, closed after. Needs `suite *s` in scope. */
#define STORE_TEST(function)                                                                       \
    cmocka_unit_test_prestate_setup_teardown(function, suite_set_up, suite_tear_down, s)

/** Build events on the stack: EVENT("Type", "{}"), with further designated fields. */
#define EVENT(type_text, data_text, ...)                                                           \
    ((ex_new_event){.type = EX_S_INIT(type_text), .data = EX_S_INIT(data_text), __VA_ARGS__})

/** Append one stream's events. Returns the status; *err is filled on failure. */
ex_status suite_append(suite *s, const char *stream, ex_expected expected,
                       const ex_new_event *events, uint32_t count, ex_appended *ret, ex_error *err);
/** Append `count` events of type "Added" with data {"n":i}; fails the test unless it works. */
void suite_fill(suite *s, const char *stream, uint32_t count);
/** One event that must be stored. */
void suite_put(suite *s, const char *stream, const ex_new_event *event);
/** A fixed id: all bytes `n`, as a UUID. */
ex_id suite_id(uint8_t n);

uint64_t suite_version(suite *s, const char *stream);
/** Read positions (log) or versions (stream) into `out`; fails the test when there are more than
 * room. */
uint32_t suite_read_log(suite *s, uint64_t after, const ex_filter *filter, uint64_t *out,
                        uint32_t room);
uint32_t suite_read_stream(suite *s, const ex_read_stream *read, uint64_t *out, uint32_t room);

/** Fails the test with both lists when they differ. */
void suite_assert_numbers(const char *name, const uint64_t *have, uint32_t have_count,
                          const uint64_t *want, uint32_t want_count);

/** The groups; each runs its tests and returns the number of failures. */
int store_append_tests(suite *s);
int store_condition_tests(suite *s);
int store_condition_model_tests(suite *s);
int store_idempotency_tests(suite *s);
int store_read_tests(suite *s);
int store_filter_tests(suite *s);
int store_cursor_tests(suite *s);
int store_names_tests(suite *s);
int store_limits_tests(suite *s);
int store_submission_tests(suite *s);
int store_import_tests(suite *s);
int store_describe_tests(suite *s);
int store_concurrency_tests(suite *s);
int store_reopen_tests(suite *s);
int store_sql_tests(suite *s);
int store_postgres_tests(suite *s);
int store_postgres_plans_tests(suite *s);
int store_postgres_search_tests(suite *s);
int store_nodes_tests(suite *s);
int store_blind_tests(suite *s);
int store_fate_tests(suite *s);
int store_epoch_tests(suite *s);
int store_damage_tests(suite *s);

#endif
