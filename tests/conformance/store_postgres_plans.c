/* store_postgres_plans.c: each statement that finds something has one plan, whatever the statistics
 * of the tables say. issue 8, item 11. G-505. PostgreSQL only.
 *
 * A plan is written down as the indexes that it goes through, in order, each with
 * the columns by which it finds its place in it. */
#include "conformance/store_suite.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sql/postgres/pg_conn.h"
#include "store/postgres/postgres_driver.h"

#define PLAN_SIZE 1024

enum { FIND, WRITE };

/* ---- The plans ---- */

static const struct {
    const char *statement;
    const char *plan;
} golden[] = {
    {"HEAD", "log_head_pkey(one)"},
    {"HEAD_LOCK", "log_head_pkey(one)"},
    {"HEAD_CHECK", "log_head_pkey(one)"},
    {"EPOCH_PROOF", "log_head_pkey(one) log_witness_pkey(one) log_witness_pkey(one) "
                    "log_epochs_pkey(number)"},
    {"EPOCH_LAST", "log_epochs_pkey"},
    {"EPOCHS", "log_epochs_pkey"},
    {"LOG_ID_IS", "log_head_pkey(one)"},
    {"FEATURES", "features_pkey"},
    {"STREAMS_FIND", "streams_pkey(name) events_stream(stream_id)"},
    {"TAGS_FIND", "tags_pkey(name)"},
    {"EVENT_TAG_NAMES", "tags_pkey(name)"},
    {"EVENTS_FIND", "events_id(id,stream_id)"},
    {"EVENTS_LOOK_UP", "streams_pkey(name) events_id(id,stream_id)"},
    {"EVENTS_ARE", "events_pkey(position)"},
    {"LOG_CHUNK", "events_large(position) events_pkey(position) events_pkey(position)"},
    {"LOG_BRIEF", "events_pkey(position)"},
    {"STREAM_FORWARD", "streams_pkey(name) events_stream(stream_id,version)"},
    {"STREAM_BACKWARD", "streams_pkey(name) events_stream(stream_id,version)"},
    {"POSITIONS_CHUNK", "events_pkey(position)"},
    {"SEARCH", "tags_pkey(name) event_tags_pkey(tag_id,position) events_type(type,position) "
               "event_tags_pkey(tag_id,position) event_tags_pkey(tag_id,position) "
               "events_pkey(position) event_tags_pkey(tag_id,position) "
               "event_tags_pkey(tag_id,position) events_type(type,position) events_pkey(position)"},
    {"STREAM_VERSION", "streams_pkey(name) events_stream(stream_id)"},
    {"LIST_TYPE", "events_type(type,position)"},
    {"LIST_TAG", "tags_pkey(name) event_tags_pkey(tag_id,position)"},
    {"LIST_CORRELATION", "events_correlation(position,correlation_id)"},
    {"LIST_STREAM", "streams_pkey(name) events_stream(stream_id) events_stream(stream_id,version) "
                    "events_stream(stream_id,version)"},
    {"MATCH", "tags_pkey(name) event_tags_pkey(tag_id,position) events_type(type,position)"},
    {"COMMANDS_FIND", "commands_command_id_key(command_id)"},
    {"COMMANDS_ARE", "commands_command_id_key(command_id)"},
    {"COMMANDS_EXPIRE", "commands_pkey commands_pkey(seq)"},
    {"COMMANDS_OLDEST", "commands_pkey"},
    {"COMMANDS_AFTER", "commands_pkey(seq)"},
};

static const struct {
    const char *name;
    int kind;
    const char *sql;
} statements[] = {
#define STATEMENT_ROW(name, kind, sql) {#name, kind, sql},
    PG_STATEMENT_MAP(STATEMENT_ROW)
#undef STATEMENT_ROW
};
enum { STATEMENTS = sizeof(statements) / sizeof(statements[0]) };

/* These do not only write. */
static bool is_looked_at(size_t number)
{
    static const char *const finding[] = {"EVENT_TAG_NAMES", "COMMANDS_EXPIRE", "HEAD_CHECK",
                                          "HEAD_LOCK"};
    for (size_t i = 0; i < sizeof(finding) / sizeof(finding[0]); i++)
        if (strcmp(statements[number].name, finding[i]) == 0)
            return true;
    return statements[number].kind == FIND;
}

/* ---- Reading a plan ---- */

static void put(char plan[PLAN_SIZE], const char *before, const char *text)
{
    size_t len = strlen(plan);
    (void)snprintf(plan + len, PLAN_SIZE - len, "%s%s", before, text);
}

/* Is `word` a word of the text? */
static bool has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        char before = at == text ? ' ' : at[-1], after = at[len];
        bool is_qualified = before == '.'; /* of another table */
        if (!is_qualified && !isalnum((unsigned char)before) && before != '_' &&
            !isalnum((unsigned char)after) && after != '_' && after != '.')
            return true;
    }
    return false;
}

static void put_columns(char plan[PLAN_SIZE], const char *condition)
{
    static const char *const columns[] = {"one",       "name",     "id",     "tag_id",
                                          "stream_id", "type",     "seq",    "command_id",
                                          "version",   "position", "number", "correlation_id"};
    const char *separator = "(";
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        if (!has_word(condition, columns[i]))
            continue;
        put(plan, separator, columns[i]);
        separator = ",";
    }
    put(plan, ")", "");
}

/* The index of a scan's line, NULL when it is none. */
static const char *index_of(const char *line, char out[64])
{
    const char *using = strstr(line, " using "), *on = strstr(line, " on ");
    if (!strstr(line, "Index") || !using || !on || on < using)
        return NULL;
    (void)snprintf(out, 64, "%.*s", (int)(on - using - 7), using + 7); /* cut: names are short */
    return out;
}

static void read_plan(const ex_pg_result *r, char plan[PLAN_SIZE])
{
    static const char *const bad[] = {"Seq Scan", "Bitmap", "Hash Join", "Merge Join", "Sort Key"};
    bool is_merging = false; /* it keeps the window of a list, to go back in it. A window has at
                              * most 1,024 entries: it may be hashed instead */
    plan[0] = '\0';
    for (int row = 0; row < r->rows; row++) {
        char line[2048], name[64];
        (void)snprintf(line, sizeof(line), "%.*s", EX_ARG(ex_pg_get_slice(r, row, 0)));
        if (index_of(line, name))
            put(plan, plan[0] ? " " : "", name);
        if (strstr(line, "Index Cond: "))
            put_columns(plan, strstr(line, "Index Cond: ") + 12);
        is_merging |= strstr(line, "Merge Full Join") != NULL;
        if (strstr(line, "Materialize") && !is_merging)
            put(plan, " !", "Materialize");
        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
            if (strstr(line, bad[i]))
                put(plan, " !", bad[i]);
    }
}

static void explain(ex_pg *pg, size_t number, char plan[PLAN_SIZE])
{
    char text[8192], call[256] = "EXPLAIN (COSTS OFF) EXECUTE plan";
    int parameters = 0;
    ex_pg_result r = {0};
    ex_error err = {0};
    for (const char *p = statements[number].sql; *p; p++)
        if (*p == '$' && (int)strtol(p + 1, NULL, 10) > parameters)
            parameters = (int)strtol(p + 1, NULL, 10);
    for (int i = 0; i < parameters; i++)
        (void)snprintf(call + strlen(call), sizeof(call) - strlen(call), "%sNULL%s",
                       i ? ", " : " (", i + 1 == parameters ? ")" : "");
    (void)snprintf(text, sizeof(text), "PREPARE plan AS %s", statements[number].sql);
    if (ex_pg_script(pg, text, &err) || ex_pg_run(pg, ex_str(call), NULL, &r, &err) ||
        ex_pg_script(pg, "DEALLOCATE plan", &err))
        fail_msg("%s: %s", statements[number].name, err.message);
    read_plan(&r, plan);
    ex_pg_result_free(&r);
}

static const char *golden_plan(const char *statement)
{
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++)
        if (strcmp(golden[i].statement, statement) == 0)
            return golden[i].plan;
    return "(there is no row for it)";
}

static void check_plans(ex_pg *pg, const char *statistics)
{
    int wrong = 0;
    for (size_t i = 0; i < STATEMENTS; i++) {
        char plan[PLAN_SIZE];
        if (!is_looked_at(i))
            continue;
        explain(pg, i, plan);
        const char *want = golden_plan(statements[i].name);
        if (strcmp(plan, want) == 0)
            continue;
        print_error("%s: {\"%s\", \"%s\"}, want %s\n", statistics, statements[i].name, plan, want);
        wrong++;
    }
    if (wrong)
        fail_msg("%d plans are wrong with %s statistics", wrong, statistics);
}

/* ---- Statistics ---- */

static void exec(ex_pg *pg, const char *sql)
{
    ex_error err = {0};
    if (ex_pg_script(pg, sql, &err))
        fail_msg("%s: %s", sql, err.message);
}

/* A log in which one type, one tag and one stream dominate. */
static void fill(suite *s)
{
    static const ex_slice tags[2] = {EX_S_INIT("common:1"), EX_S_INIT("rare:1")};
    enum { SOME = 100, ROUNDS = 30 };
    ex_new_event events[SOME];
    for (int round = 0; round < ROUNDS; round++) {
        char stream[16];
        (void)snprintf(stream, sizeof(stream), "s-%d", round % 10 ? 0 : round); /* fits */
        for (int i = 0; i < SOME; i++) {
            bool is_rare = round == ROUNDS / 2 && i == 0;
            events[i] = (ex_new_event){.type = is_rare ? EX_S("Rare") : EX_S("Common"),
                                       .data = EX_S("{}"),
                                       .tags = tags + is_rare,
                                       .tag_count = 1,
                                       .correlation_id = i % 10 ? EX_S("") : EX_S("c")};
        }
        assert_int_equal(suite_append(s, stream, EX_ANY, events, SOME, NULL, NULL), EX_OK);
    }
}

/* As the planner has it of tables and indexes: rows and pages; it multiplies their ratio with the
 * pages that there are. */
#define PG_CLASS(rows, pages)                                                                      \
    "UPDATE pg_class SET reltuples = " rows ", relpages = " pages ", relallvisible = " pages       \
    " WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')"
#define PG_STATISTIC(set)                                                                          \
    "UPDATE pg_statistic SET " set " WHERE starelid IN (SELECT oid FROM pg_class WHERE "           \
    "relnamespace = current_schema()::regnamespace)"
#define NO_SLOTS "stakind1 = 0, stakind2 = 0, stakind3 = 0, stakind4 = 0, stakind5 = 0"

static void test_postgres_plans_do_not_depend_on_statistics(void **state)
{
    static const struct {
        const char *name, *sql;
    } cases[] = {
        {"stale (of an empty log)", NULL},
        {"fresh", "ANALYZE"},
        {"huge", PG_CLASS("1e9", "1")},
        {"tiny", PG_CLASS("1", "1000000")},
        {"no", PG_CLASS("0", "0")},
        {"unknown", PG_CLASS("-1", "0")},
        {"one value each", PG_STATISTIC("stadistinct = 1, " NO_SLOTS)},
        {"huge, one value each", PG_CLASS("1e9", "1")},
        {"all values unique", PG_STATISTIC("stadistinct = -1, " NO_SLOTS)},
        {"tiny, all unique", PG_CLASS("1", "1000000")},
        {"NULL everywhere", PG_STATISTIC("stanullfrac = 1")},
        {"huge, NULL everywhere", PG_CLASS("1e9", "1")},
        {"none", PG_STATISTIC("stadistinct = 0, stanullfrac = 0")},
    };
    suite *s = *state;
    if (s->driver != SUITE_POSTGRES)
        skip();
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, &err))
        fail_msg("%s", err.message);
    exec(pg, PG_SESSION_SQL);
    check_plans(pg, "empty");
    exec(pg, "ANALYZE events; ANALYZE event_tags; ANALYZE streams; ANALYZE tags; ANALYZE commands");
    fill(s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (cases[i].sql && strcmp(cases[i].sql, "ANALYZE") == 0)
            exec(pg, "ANALYZE events; ANALYZE event_tags; ANALYZE streams; ANALYZE tags");
        else if (cases[i].sql)
            exec(pg, cases[i].sql);
        check_plans(pg, cases[i].name);
    }
    ex_pg_close(pg);
}

int store_postgres_plans_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_postgres_plans_do_not_depend_on_statistics),
    };
    return cmocka_run_group_tests_name("store postgres plans", tests, NULL, NULL);
}
