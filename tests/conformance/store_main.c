/* store_main.c: runs the conformance suite of the store port for one driver: memory or sqlite. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    suite s = {.is_sqlite = argc == 2 && strcmp(argv[1], "sqlite") == 0};
    if (argc != 2 || (!s.is_sqlite && strcmp(argv[1], "memory") != 0)) {
        fprintf(stderr, "usage: %s memory|sqlite\n", argv[0]);
        return 2;
    }
    static int (*const groups[])(suite *) = {
        store_append_tests, store_condition_tests,  store_idempotency_tests,
        store_read_tests,   store_filter_tests,     store_names_tests,
        store_limits_tests, store_submission_tests, store_concurrency_tests,
        store_reopen_tests, store_sql_tests,        store_import_tests,
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        failures += groups[i](&s);
    return failures == 0 ? 0 : 1;
}
