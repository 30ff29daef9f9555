/* store_main.c: runs the conformance suite of the store port for one driver. */
#include "conformance/store_suite.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static const char *const drivers[] = {"memory", "sqlite", "postgres"};
    suite s = {0};
    while (argc >= 2 && s.driver < 3 && strcmp(argv[1], drivers[s.driver]) != 0)
        s.driver++;
    if (argc < 2 || argc > 3 || s.driver == 3) {
        fprintf(stderr, "usage: %s memory|sqlite|postgres [TEST*]\n", argv[0]);
        return 2;
    }
    if (argc == 3)
        cmocka_set_test_filter(argv[2]);
    static int (*const groups[])(suite *) = {
        store_append_tests,
        store_condition_tests,
        store_idempotency_tests,
        store_read_tests,
        store_filter_tests,
        store_names_tests,
        store_limits_tests,
        store_submission_tests,
        store_concurrency_tests,
        store_reopen_tests,
        store_sql_tests,
        store_import_tests,
        store_describe_tests,
        store_postgres_tests,
        store_postgres_plans_tests,
        store_nodes_tests,
        store_blind_tests,
        store_condition_model_tests,
        store_cursor_tests,
        store_fate_tests,
        store_damage_tests,
        store_epoch_tests,
        store_postgres_search_tests,
    };
    int failures = 0;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        failures += groups[i](&s);
    return failures == 0 ? 0 : 1;
}
