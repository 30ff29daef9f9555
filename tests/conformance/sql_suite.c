/* sql_suite.c: the helpers of the SQL suite, and the program that runs it for one engine. */
#include "conformance/sql_suite.h"

#include <stdio.h>

#include "support/postgres.h"

ex_error suite_err;

void suite_must(ex_status st, const char *what)
{
    if (st)
        fail_msg("%s: %s: %s", what, ex_status_code(st), suite_err.message);
}

static void schema(suite *s, const char *format)
{
    ex_sql *db = NULL;
    char sql[256];
    must(ex_sql_open(&(ex_sql_options){.place = postgres_url()}, &db, &suite_err));
    const char *name = strstr(s->place, "schema=") + 7;
    (void)snprintf(sql, sizeof(sql), "%s SCHEMA %s%s", format, name,
                   strcmp(format, "DROP") == 0 ? " CASCADE" : "");
    must(ex_sql_script(db, sql, &suite_err));
    ex_sql_close(db);
}

int suite_set_up(void **state)
{
    suite *s = *state;
    s->number++;
    if (s->is_postgres) {
        char name[32];
        (void)snprintf(name, sizeof(name), "sql_%u", s->number);
        postgres_schema_url(postgres_url(), name, s->place);
        schema(s, "CREATE");
    } else {
        s->dir = temp_dir_make();
        (void)snprintf(s->place, sizeof(s->place), "%s/test.db", s->dir.path);
    }
    s->db = suite_open(s);
    return 0;
}

int suite_tear_down(void **state)
{
    suite *s = *state;
    ex_sql_close(s->db);
    s->db = NULL;
    if (s->is_postgres)
        schema(s, "DROP");
    else
        temp_dir_remove(&s->dir);
    return 0;
}

ex_sql *suite_open(suite *s)
{
    ex_sql *db = NULL;
    must(ex_sql_open(&(ex_sql_options){.place = s->place}, &db, &suite_err));
    return db;
}

int64_t suite_ask(ex_sql *db, const char *sql)
{
    ex_sql_stmt *st = NULL;
    must(ex_sql_prepare(db, ex_str(sql), &st, &suite_err));
    must(ex_sql_step(st, &suite_err));
    int64_t value = ex_sql_i64(st, 0);
    ex_sql_reset(st);
    return value;
}

void suite_no_tx(ex_sql *db)
{
    ex_sql_tx tx;
    must(ex_sql_begin(db, EX_SQL_READ, &tx, &suite_err));
    assert_int_equal(tx.level, 1);
    must(ex_sql_rollback(&tx, &suite_err));
}

const char *suite_endless(const suite *s)
{
    return s->is_postgres ? "SELECT pg_sleep(600)"
                          : "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r)"
                            " SELECT count(*) FROM r";
}

void suite_table(suite *s)
{
    char sql[256];
    ex_sql_engine e = ex_sql_engine_of(s->db);
    (void)snprintf(sql, sizeof(sql), "CREATE TABLE t (n %s PRIMARY KEY, s %s)%s",
                   ex_sql_type_name(e, EX_SQL_I64), ex_sql_type_name(e, EX_SQL_TEXT),
                   ex_sql_table_suffix(e));
    must(ex_sql_script(s->db, sql, &suite_err));
}

int main(int argc, char **argv)
{
    suite s = {.is_postgres = argc == 2 && strcmp(argv[1], "postgres") == 0};
    if (argc != 2 || (!s.is_postgres && strcmp(argv[1], "sqlite") != 0)) {
        fprintf(stderr, "usage: %s sqlite|postgres\n", argv[0]);
        return 2;
    }
    static int (*const groups[])(suite *) = {sql_value_tests, sql_tx_tests, sql_pool_tests,
                                             sql_migrate_tests};
    int failures = 0;
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        failures += groups[i](&s);
    return failures == 0 ? 0 : 1;
}
