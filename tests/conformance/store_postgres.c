/* store_postgres.c: the database itself: what it refuses, the view for people, audits, plans,
 * formats. The same as store_sql.c for the other engine. R-ES-01, R-ES-07, R-ES-17. PostgreSQL
 * only. */
#include "conformance/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sql/postgres/pg_conn.h"
#include "store/postgres/postgres_driver.h"
#include "support/postgres.h"

#define SKIP_WITHOUT_POSTGRES(s)                                                                   \
    if ((s)->driver != SUITE_POSTGRES)                                                             \
    skip()

static ex_pg *open_raw(suite *s)
{
    ex_pg *pg = NULL;
    ex_error err = {0};
    if (ex_pg_open(&(ex_pg_options){.url = s->dir}, &pg, &err))
        fail_msg("%s", err.message);
    return pg;
}

static void exec(ex_pg *pg, const char *sql)
{
    ex_error err = {0};
    if (ex_pg_script(pg, sql, &err))
        fail_msg("%s: %s", sql, err.message);
}

/* The one text that a statement gives; NULL reads as "NULL". */
static void assert_text(ex_pg *pg, const char *sql, const char *want)
{
    ex_pg_result r = {0};
    ex_error err = {0};
    char full[2048], have[1024] = "no row";
    (void)snprintf(full, sizeof(full), "SELECT coalesce((%s)::text, 'NULL')", sql);
    if (ex_pg_run(pg, ex_str(full), NULL, &r, &err))
        fail_msg("%s: %s", sql, err.message);
    if (r.rows) {
        ex_slice text = ex_pg_get_slice(&r, 0, 0);
        (void)snprintf(have, sizeof(have), "%.*s", EX_ARG(text));
    }
    ex_pg_result_free(&r);
    if (strcmp(have, want) != 0)
        fail_msg("%s: have %s, want %s", sql, have, want);
}

/* R-ES-01: the database itself refuses to change what happened */
static void test_postgres_refuses_to_change_the_log(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const ex_slice tag[] = {EX_S_INIT("k:v")};
    suite_put(s, "a", &EVENT("T", "{\"n\":1}", .tags = tag, .tag_count = 1));
    static const char *const tables[] = {"events", "streams", "tags", "event_tags"};
    static const char *const verbs[] = {"DELETE FROM", "TRUNCATE"};
    ex_pg *pg = open_raw(s);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            char sql[128];
            (void)snprintf(sql, sizeof(sql), "%s %s", verbs[j], tables[i]);
            assert_int_not_equal(ex_pg_script(pg, sql, NULL), EX_OK);
            assert_string_equal(ex_pg_sqlstate(pg), "23001"); /* restrict_violation: our trigger */
        }
    }
    assert_int_not_equal(ex_pg_script(pg, "UPDATE events SET data = 'x'", NULL), EX_OK);
    assert_string_equal(ex_pg_sqlstate(pg), "23001");
    assert_text(pg, "SELECT count(*) FROM events", "1");
    ex_pg_close(pg);
}

static void test_postgres_view_shows_events_to_people(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const ex_slice tags[] = {EX_S_INIT("customer:7"), EX_S_INIT("k:\xc3\xa4")};
    ex_id id;
    assert_int_equal(ex_id_parse(EX_S("01890a5d-ac96-774b-bcce-b302099a8057"), &id, NULL), EX_OK);
    suite_put(s, "order-1-x",
              &EVENT("Placed", "{\"n\":1}", .id = id, .tags = tags, .tag_count = 2,
                     .schema_version = 2, .metadata = EX_S("{\"m\": 1}"),
                     .correlation_id = EX_S("c")));
    suite_put(s, "plain", &EVENT("Seen", "[]"));
    ex_pg *pg = open_raw(s);
    assert_text(
        pg,
        "SELECT concat_ws('|', position, stream, category, version, type, id, "
        "schema_version, content_type, data, data_bytes, metadata, tags, correlation_id, "
        "coalesce(causation_id, '-')) FROM log WHERE position = 1",
        "1|order-1-x|order|1|Placed|01890a5d-ac96-774b-bcce-b302099a8057|2|"
        "application/json|{\"n\": 1}|\\x7b226e223a317d|{\"m\": 1}|{customer:7,k:\xc3\xa4}|c|-");
    assert_text(pg, "SELECT concat_ws('|', category, metadata, tags) FROM log WHERE position = 2",
                "plain|{}|{}");
    assert_text(pg,
                "SELECT recorded_at > now() - interval '1 minute' AND recorded_at <= now() + "
                "interval '1 second' FROM log WHERE position = 1",
                "true");
    ex_pg_close(pg);
}

/* What jsonb cannot hold is NULL in the view, and does not break it; the bytes are all there. */
static void test_postgres_bytes_are_exact_and_the_view_survives_them(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const struct {
        const char *content_type;
        ex_slice data;
        const char *view;
    } rows[] = {
        {"application/json", EX_S_INIT("{ \"b\":2,\"a\" : 1.0}"), "{\"a\": 1.0, \"b\": 2}"},
        {"application/json; charset=utf-8", EX_S_INIT("\"\xc3\xa4\""), "\"\xc3\xa4\""},
        {"application/x+json", EX_S_INIT("1e3"), "1000"},
        {"application/json", EX_S_INIT("\"\\u0000\""), "NULL"},
        {"application/octet-stream", EX_S_INIT("\0\xff\x80\n\0"), "NULL"},
        {"text/plain", EX_S_INIT("{}"), "NULL"},
        {"text/plain", EX_S_INIT(""), "NULL"},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    for (size_t i = 0; i < ROWS; i++)
        suite_put(s, "a",
                  &(ex_new_event){.type = EX_S("T"),
                                  .data = rows[i].data,
                                  .metadata = EX_S(" {\"z\" : 1 , \"a\":\"\\u0000\"}"),
                                  .content_type = ex_str(rows[i].content_type)});
    ex_cursor *c = NULL;
    ex_event e;
    assert_int_equal(ex_store_read_log(s->store, &(ex_read_log){0}, &c, NULL), EX_OK);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(ex_cursor_next(c, &e, NULL), EX_OK);
        assert_true(ex_slice_eq(e.data, rows[i].data));
        assert_true(ex_slice_is(e.metadata, " {\"z\" : 1 , \"a\":\"\\u0000\"}"));
    }
    ex_cursor_close(c);
    ex_pg *pg = open_raw(s);
    for (size_t i = 0; i < ROWS; i++) {
        char sql[64];
        (void)snprintf(sql, sizeof(sql), "SELECT data FROM log WHERE position = %zu", i + 1);
        assert_text(pg, sql, rows[i].view);
    }
    /* docs/postgresql.md: the index on request, and the view uses it */
    exec(pg, "CREATE INDEX events_data ON events USING gin (event_json(content_type, data) "
             "jsonb_path_ops); SET enable_seqscan = off");
    assert_text(pg, "SELECT count(*) FROM log WHERE data @> '{\"a\": 1}'", "1");
    ex_pg_result r = {0};
    assert_int_equal(
        ex_pg_run(pg, EX_S("EXPLAIN SELECT * FROM log WHERE data @> '{\"a\": 1}'"), NULL, &r, NULL),
        EX_OK);
    bool is_used = false;
    for (int i = 0; i < r.rows; i++)
        is_used |= strstr(ex_pg_get_slice(&r, i, 0).ptr, "events_data") != NULL;
    ex_pg_result_free(&r);
    assert_true(is_used);
    ex_pg_close(pg);
}

/* R-ES-07: the audit stays although the append is refused; a repetition is counted */
static void test_postgres_audit_of_an_id_with_other_content(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    suite_put(s, "a", &EVENT("T", "{\"n\":1}", .id = suite_id(1)));
    ex_new_event other =
        EVENT("T", "{\"n\":2}", .id = suite_id(1), .metadata = EX_S("{\"$actor\":\"mallory\"}"));
    ex_error first = {0}, second = {0};
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, &first), EX_EIDEMPOTENCY);
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, &second), EX_EIDEMPOTENCY);
    assert_int_not_equal(first.audit_id, 0);
    assert_int_equal(first.audit_id, second.audit_id);
    ex_pg *pg = open_raw(s);
    assert_text(pg,
                "SELECT concat_ws('|', stored_position, stream, type, encode(data, 'escape'), "
                "encode(actor, 'escape'), times, stored_fingerprint <> given_fingerprint) "
                "FROM idempotency_audit",
                "1|a|T|{\"n\":2}|mallory|2|t");
    ex_pg_close(pg);
    assert_int_equal(ex_store_head(s->store), 1);
}

/* What is kept of a refusal is bounded, and so is how many are kept. issue 8, item 16; G-209 */
static void test_postgres_audits_are_bounded(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    ex_pg *pg = open_raw(s);
    suite_put(s, "a", &EVENT("T", "{}", .id = suite_id(1)));
    char *data = malloc(100001);
    assert_non_null(data);
    memset(data, ' ', 100000);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(data + 100000 - 20, 21, "%20d", i);
        ex_new_event other = {.type = EX_S("T"), .id = suite_id(1), .data = ex_str(data)};
        assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, NULL), EX_EIDEMPOTENCY);
    }
    free(data);
    assert_text(pg, "SELECT concat_ws('|', count(*), max(length(data))) FROM idempotency_audit",
                "5|4096");
    /* as if thousands had been before: their ids are lower */
    ex_pg_result r = {0};
    assert_int_equal(ex_pg_run(pg,
                               EX_S("INSERT INTO idempotency_audit SELECT -i, i, i, i, 'a', '', "
                                    "'T', 1, 'c', '', NULL, 0, 0, 1 FROM generate_series(100, "
                                    "6000) AS g (i)"),
                               NULL, &r, NULL),
                     EX_OK);
    ex_pg_result_free(&r);
    ex_new_event other = EVENT("T", "[]", .id = suite_id(1));
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, NULL), EX_EIDEMPOTENCY);
    assert_text(pg,
                "SELECT concat_ws('|', count(*), count(*) FILTER (WHERE id > 0)) FROM "
                "idempotency_audit",
                "4096|6");
    ex_pg_close(pg);
}

/* Reopen the store with sessions that can be told from those of other tests. */
static const char *name_sessions(suite *s)
{
    static char name[32];
    (void)snprintf(name, sizeof(name), "excore_test_%d", (int)getpid()); /* fits */
    size_t room = strlen(s->dir) + sizeof(name) + sizeof("&application_name=");
    char *url = malloc(room);
    assert_non_null(url);
    (void)snprintf(url, room, "%s&application_name=%s", s->dir, name);
    free(s->dir);
    s->dir = url;
    suite_reopen(s, NULL);
    return name;
}

/* Somebody takes the end of the log away without a trace, and other nodes append past it: what this
 * one knows is not true any more, and must not be written. When it did not look before they
 * appended nobody can say since when, and the epoch begins with the log (issue 8, item 14). */
static void test_postgres_goes_on_in_a_log_that_lost_its_end(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    suite_put(s, "kept", &EVENT("Kept", "{}"));
    ex_pg *pg = open_raw(s);
    char sql[256];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> "
                   "pg_backend_pid() AND application_name = '%s'",
                   name_sessions(s));
    exec(pg, "CREATE TEMP TABLE before AS SELECT * FROM log_head");
    suite_put(s, "lost", &EVENT("Lost", "{}"));
    suite_put(s, "lost", &EVENT("Lost", "{}"));
    ex_id before = ex_store_epoch(s->store).id;
    exec(pg, "SET session_replication_role = replica; " /* without our triggers */
             "DELETE FROM events WHERE position > (SELECT position FROM before); "
             "DELETE FROM streams WHERE id > (SELECT last_id FROM before); "
             "UPDATE log_head SET (position, recorded_at, last_id) = "
             "(SELECT position, recorded_at, last_id FROM before); "
             "SET session_replication_role = origin");
    exec(pg, sql);
    ex_store *other = NULL;
    ex_error err = {0};
    assert_int_equal(ex_store_open(s->dir, NULL, &other, &err), EX_OK);
    ex_new_event events[3] = {EVENT("New", "{}"), EVENT("Newer", "{}"), EVENT("Newest", "{}")};
    ex_stream_write write = {EX_S("new"), EX_ANY, events, 3};
    ex_append append = {.writes = &write, .write_count = 1};
    assert_int_equal(ex_store_append(other, &append, NULL, &err), EX_OK);
    ex_store_close(other);
    ex_new_event again = EVENT("Lost", "{}");
    ex_status status = suite_append(s, "lost", EX_ANY, &again, 1, NULL, &err);
    if (status)
        print_error("%s\n", err.message);
    assert_int_equal(status, EX_OK);
    assert_text(
        pg, "SELECT concat_ws('|', position, stream, version, type) FROM log WHERE stream = 'lost'",
        "5|lost|1|Lost");
    assert_text(pg,
                "SELECT concat_ws('|', e.number, e.first <= 2, e.reason, h.epoch) FROM log_epochs "
                "e, log_head h ORDER BY e.number DESC LIMIT 1",
                "2|t|lost_end|2");
    assert_int_equal(ex_store_head(s->store), 5);
    assert_int_equal(ex_store_check_position(s->store, &before, 2, NULL), EX_ELOGCHANGED);
    suite_reopen(s, NULL);
    suite_put(s, "lost", &again);
    assert_int_equal(ex_store_epochs(s->store, NULL, 0), 2);
    ex_pg_close(pg);
}

/* ---- Plans ---- */

enum { FIND, WRITE };

static const struct {
    const char *name;
    int kind;
    const char *sql;
} plans[] = {
#define PLAN_ROW(name, kind, sql) {#name, kind, sql},
    PG_STATEMENT_MAP(PLAN_ROW)
#undef PLAN_ROW
};

/* The statement's plan for any parameters, as the sessions plan it. */
static void explain(ex_pg *pg, const char *sql, ex_pg_result *ret)
{
    char text[8192], call[256] = "EXPLAIN EXECUTE plan";
    int parameters = 0;
    for (const char *p = sql; *p; p++)
        if (*p == '$' && (int)strtol(p + 1, NULL, 10) > parameters)
            parameters = (int)strtol(p + 1, NULL, 10);
    for (int i = 0; i < parameters; i++)
        (void)snprintf(call + strlen(call), sizeof(call) - strlen(call), "%sNULL%s",
                       i ? ", " : " (", i + 1 == parameters ? ")" : "");
    (void)snprintf(text, sizeof(text), "PREPARE plan AS %s", sql);
    exec(pg, text);
    ex_error err = {0};
    if (ex_pg_run(pg, ex_str(call), NULL, ret, &err))
        fail_msg("%s: %s", sql, err.message);
    exec(pg, "DEALLOCATE plan");
}

/* R-ES-17: each read uses an index; and each index of the log has a reader. */
static void test_postgres_every_find_uses_an_index(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const char *const indexes[] = {"events_pkey",
                                          "events_stream",
                                          "events_id",
                                          "events_type",
                                          "events_correlation",
                                          "events_large",
                                          "event_tags_pkey",
                                          "tags_pkey",
                                          "streams_pkey",
                                          "commands_pkey",
                                          "commands_command_id_key"};
    enum { INDEXES = sizeof(indexes) / sizeof(indexes[0]) };
    bool is_read[INDEXES] = {false};
    int looked_at = 0;
    ex_pg *pg = open_raw(s);
    exec(pg, PG_SESSION_SQL);
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (plans[i].kind != FIND)
            continue;
        ex_pg_result r = {0};
        explain(pg, plans[i].sql, &r);
        for (int row = 0; row < r.rows; row++) {
            const char *step = ex_pg_get_slice(&r, row, 0).ptr;
            if (strstr(step, "Seq Scan") || strstr(step, "Hash Join") || strstr(step, "Merge Join"))
                fail_msg("%s: %s", plans[i].name, step);
            for (size_t j = 0; j < INDEXES; j++)
                is_read[j] |= strstr(step, indexes[j]) != NULL;
        }
        looked_at++;
        ex_pg_result_free(&r);
    }
    assert_true(looked_at >= 20);
    for (size_t j = 0; j < INDEXES; j++)
        if (!is_read[j])
            fail_msg("nobody reads through %s", indexes[j]);
    assert_text(pg,
                "SELECT count(*) FROM pg_indexes WHERE schemaname = current_schema() AND tablename "
                "IN ('events', 'event_tags', 'tags', 'streams', 'commands')",
                "11");
    assert_int_equal(INDEXES, 11);
    ex_pg_close(pg);
}

/* ---- Chunks ---- */

static int chunk_rows(ex_pg *pg, const char *arguments)
{
    ex_pg_result r = {0};
    char sql[128];
    (void)snprintf(sql, sizeof(sql), "EXECUTE chunk (%s)", arguments); /* fits */
    assert_int_equal(ex_pg_run(pg, ex_str(sql), NULL, &r, NULL), EX_OK);
    int rows = r.rows;
    ex_pg_result_free(&r);
    return rows;
}

/* What a reader holds of the log is bounded, and it never stands still. */
static void test_postgres_chunk_of_the_log_is_bounded_in_bytes(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static char data[40000];
    memset(data, '1', sizeof(data));
    static const size_t sizes[] = {100, 2000, 10000, 40000}; /* of ten events each */
    for (uint32_t i = 0; i < 40; i++) {
        ex_new_event event = EVENT("T", "", .content_type = EX_S("text/plain"));
        event.data = ex_slice_of(data, sizes[i / 10]);
        suite_put(s, "a", &event);
    }
    static const struct {
        const char *arguments; /* first, last, limit, bytes */
        int want;
    } cases[] = {{"1, 40, 7, 1000000", 7},     {"1, 40, 1000, 1000000", 40},
                 {"1, 20, 1000, 1000000", 20}, {"35, 40, 1000, 1", 1},
                 {"31, 40, 1000, 100000", 3},  {"11, 40, 1000, 40000", 12},
                 {"21, 40, 1000, 100001", 11}, {"21, 22, 1000, 1000000", 2}};
    char text[4096] = "no such statement";
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
        if (strcmp(plans[i].name, "LOG_CHUNK") == 0)
            (void)snprintf(text, sizeof(text), "PREPARE chunk AS %s", plans[i].sql);
    ex_pg *pg = open_raw(s);
    exec(pg, text);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int rows = chunk_rows(pg, cases[i].arguments);
        if (rows != cases[i].want)
            fail_msg("(%s): %d events, not %d", cases[i].arguments, rows, cases[i].want);
    }
    ex_pg_close(pg);
}

/* ---- Formats ---- */

static void assert_open_fails(suite *s, ex_status want, const char *part)
{
    ex_store *store = NULL;
    ex_error err = {0};
    ex_store_options options = {.read_only = true};
    assert_int_equal(ex_store_open(s->dir, NULL, &store, &err), want);
    if (!strstr(err.message, part))
        fail_msg("'%s' is not in: %s", part, err.message);
    assert_int_equal(ex_store_open(s->dir, &options, &store, NULL), want);
    assert_null(store);
}

static void test_postgres_schemas_that_do_not_fit_are_refused(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    suite_fill(s, "a", 1);
    ex_store_close(s->store);
    s->store = NULL;
    ex_pg *pg = open_raw(s);
    exec(pg, "INSERT INTO excore_migrations "
             "SELECT max(version) + 1, 'next', '1', 0 FROM excore_migrations");
    assert_open_fails(s, EX_EFORMAT, "newer version of excore");
    exec(pg, "DELETE FROM excore_migrations WHERE name = 'next'");
    exec(pg, "UPDATE excore_migrations SET checksum = reverse(checksum)");
    assert_open_fails(s, EX_EFORMAT, "is not the one that the database was changed by");
    exec(pg, "UPDATE excore_migrations SET checksum = reverse(checksum)");
    exec(pg,
         "DROP TABLE nodes, leases, features, log_epochs, log_witness; DROP FUNCTION log_place; "
         "ALTER TABLE log_head DROP log_id, DROP epoch, DROP seen_at; "
         "DROP VIEW stream_log, tag_log; "
         "DELETE FROM excore_migrations WHERE version > 1");
    assert_open_fails(s, EX_EFORMAT, "must be migrated");
    suite_reopen(s, &(ex_store_options){.migrate = true});
    assert_int_equal(ex_store_head(s->store), 1);
    suite_reopen(s, NULL);
    assert_int_equal(ex_store_head(s->store), 1);
    ex_store_close(s->store);
    s->store = NULL;
    exec(pg, "DELETE FROM excore_migrations");
    assert_open_fails(s, EX_EFORMAT, "must be migrated");
    exec(pg, "DROP TABLE excore_migrations");
    assert_open_fails(s, EX_EFORMAT, "not an event store");
    ex_pg_close(pg);
    postgres_drop_schema(s->dir);
    ex_store_options options = {.must_exist = true};
    ex_error err = {0};
    assert_int_equal(ex_store_open(s->dir, &options, &s->store, &err), EX_ENOTFOUND);
    assert_non_null(strstr(err.message, "there is no store in schema"));
}

/* What cannot be opened is said in one sentence, without the password. */
static void test_postgres_open_failures_are_clear(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    static const struct {
        const char *url;
        ex_status want;
    } cases[] = {
        {"postgres://excore:secret@127.0.0.1:1/excore?connect_timeout=3", EX_EAGAIN},
        {"postgres://excore:secret@/excore?host=/nowhere", EX_EAGAIN},
        {"postgres://excore:secret@/excore?schema=Bad-Name", EX_EINVAL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_store *store = NULL;
        ex_error err = {0};
        ex_status st = ex_store_open(cases[i].url, NULL, &store, &err);
        if (st != cases[i].want)
            fail_msg("%s: %s: %s", cases[i].url, err.code, err.message);
        assert_null(strstr(err.message, "secret"));
        assert_null(store);
    }
}

enum { OPENERS = 4 };

typedef struct opener {
    const char *url;
    pthread_barrier_t *start;
    ex_error err;
} opener;

static void *open_one(void *arg)
{
    opener *o = arg;
    ex_store *store = NULL;
    (void)pthread_barrier_wait(o->start);
    if (ex_store_open(o->url, NULL, &store, &o->err) == EX_OK)
        ex_store_close(store);
    return NULL;
}

/* Nodes that start at the same moment on an empty database: one makes the tables, the others wait
 * and find them, whatever the database's default for transactions is. */
static void test_postgres_is_made_once_by_those_who_start_together(void **state)
{
    suite *s = *state;
    SKIP_WITHOUT_POSTGRES(s);
    char url[POSTGRES_URL_SIZE], strict[POSTGRES_URL_SIZE + 64];
    (void)postgres_schema_url(postgres_url(), "together", url);
    (void)snprintf(strict, sizeof(strict),
                   "%s&options=-c%%20default_transaction_isolation%%3Dserializable", url);
    for (int round = 0; round < 3; round++) {
        pthread_barrier_t start;
        pthread_t threads[OPENERS];
        opener openers[OPENERS];
        assert_int_equal(pthread_barrier_init(&start, NULL, OPENERS), 0);
        for (int i = 0; i < OPENERS; i++) {
            openers[i] = (opener){.url = strict, .start = &start};
            assert_int_equal(pthread_create(&threads[i], NULL, open_one, &openers[i]), 0);
        }
        for (int i = 0; i < OPENERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        (void)pthread_barrier_destroy(&start);
        for (int i = 0; i < OPENERS; i++)
            if (openers[i].err.status)
                fail_msg("%s", openers[i].err.message);
        postgres_drop_schema(url);
    }
}

int store_postgres_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_postgres_refuses_to_change_the_log),
        STORE_TEST(test_postgres_view_shows_events_to_people),
        STORE_TEST(test_postgres_bytes_are_exact_and_the_view_survives_them),
        STORE_TEST(test_postgres_audit_of_an_id_with_other_content),
        STORE_TEST(test_postgres_audits_are_bounded),
        STORE_TEST(test_postgres_goes_on_in_a_log_that_lost_its_end),
        STORE_TEST(test_postgres_every_find_uses_an_index),
        STORE_TEST(test_postgres_chunk_of_the_log_is_bounded_in_bytes),
        STORE_TEST(test_postgres_is_made_once_by_those_who_start_together),
        STORE_TEST(test_postgres_schemas_that_do_not_fit_are_refused),
        STORE_TEST(test_postgres_open_failures_are_clear),
    };
    return cmocka_run_group_tests_name("store postgres", tests, NULL, NULL);
}
