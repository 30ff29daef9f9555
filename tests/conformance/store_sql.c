/* store_sql.c: the database itself: what it refuses, the view for people, audits, plans.
 * R-ES-01, R-ES-07, R-ES-17, R-08-11. SQLite only. */
#include "conformance/store_suite.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/sqlite/statements.h"

static sqlite3 *open_raw(suite *s)
{
    if (suite_skips_files(s))
        skip();
    char path[256];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof(path), "%s/events.db", s->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    return db;
}

static void run_raw(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

/* The first row's columns, joined with '|'. */
static void assert_row(sqlite3 *db, const char *sql, const char *want)
{
    sqlite3_stmt *st = NULL;
    char have[1024] = "";
    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL))
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    if (sqlite3_step(st) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(st); i++) {
            const unsigned char *text = sqlite3_column_text(st, i);
            size_t len = strlen(have);
            (void)snprintf(have + len, sizeof(have) - len, "%s%s", i ? "|" : "",
                           text ? (const char *)text : "NULL");
        }
    (void)sqlite3_finalize(st);
    assert_string_equal(have, want);
}

/* R-ES-01: the database itself refuses to change what happened */
static void test_sql_refuses_to_change_the_log(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    static const ex_slice tag[] = {EX_S_INIT("k:v")};
    suite_put(s, "a", &EVENT("T", "{\"n\":1}", .tags = tag, .tag_count = 1));
    static const char *const statements[] = {
        "UPDATE events SET data = x'00'",
        "UPDATE events SET position = 9",
        "DELETE FROM events",
        "DELETE FROM events WHERE position = 1",
        "UPDATE streams SET name = 'b'",
        "DELETE FROM streams",
        "UPDATE types SET name = 'U'",
        "DELETE FROM types",
        "UPDATE tags SET name = 'k:w'",
        "DELETE FROM tags",
        "UPDATE event_tags SET position = 9",
        "DELETE FROM event_tags",
        "DELETE FROM stream_heads",
        "UPDATE stream_heads SET stream_id = 9",
    };
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        char *message = NULL;
        int rc = sqlite3_exec(db, statements[i], NULL, NULL, &message);
        if (rc != SQLITE_CONSTRAINT || !message || !strstr(message, "append-only"))
            fail_msg("%s: %d %s", statements[i], rc, message ? message : "");
        sqlite3_free(message);
    }
    assert_row(db, "SELECT count(*), max(position), max(CAST(data AS TEXT)) FROM events",
               "1|1|{\"n\":1}");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_sql_view_shows_events_to_people(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    static const ex_slice tags[] = {EX_S_INIT("customer:7"), EX_S_INIT("k:\xc3\xa4"),
                                    EX_S_INIT("k:v")};
    ex_id id;
    assert_int_equal(ex_id_parse(EX_S("01890a5d-ac96-774b-bcce-b302099a8057"), &id, NULL), EX_OK);
    suite_put(s, "order-1-x",
              &EVENT("Placed", "{\"n\":1}", .id = id, .tags = tags, .tag_count = 3,
                     .schema_version = 2, .metadata = EX_S("{\"m\":1}"),
                     .correlation_id = EX_S("c")));
    suite_put(s, "plain", &EVENT("Seen", "[]"));
    assert_row(db,
               "SELECT position, stream, category, version, type, id, schema_version, "
               "content_type, data, metadata, tags, correlation_id, causation_id FROM log",
               "1|order-1-x|order|1|Placed|01890a5dac96774bbcceb302099a8057|2|application/json|"
               "{\"n\":1}|{\"m\":1}|[\"customer:7\",\"k:\xc3\xa4\",\"k:v\"]|c|NULL");
    assert_row(db, "SELECT category, schema_version, metadata, tags FROM log WHERE position = 2",
               "plain|1|{}|[]");
    assert_row(db,
               "SELECT recorded_at GLOB '20[2-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
               "[0-5][0-9].[0-9][0-9][0-9][0-9][0-9][0-9]Z' FROM log WHERE position = 1",
               "1");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* No table of the log is read whole. Returns how often an event is looked up by its position. */
static int assert_no_scan(sqlite3 *db, const char *sql)
{
    char explain[256];
    sqlite3_stmt *st = NULL;
    int searches = 0;
    (void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(st, 3);
        /* by their alias in the views: streams, events, heads, types and event_tags, log, tags */
        static const char *const tables[] = {"SCAN s", "SCAN e", "SCAN h",
                                             "SCAN t", "SCAN l", "SCAN g"};
        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
            if (strncmp(detail, tables[i], 6) == 0 && (detail[6] == ' ' || detail[6] == '\0'))
                fail_msg("a scan: %s", detail);
        searches += strncmp(detail, "SEARCH e USING INTEGER PRIMARY KEY", 34) == 0;
    }
    (void)sqlite3_finalize(st);
    return searches;
}

/* A stream by hand: only its own events are touched, whatever else the log holds. */
static void test_sql_view_of_one_stream(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    for (int i = 0; i < 20; i++) {
        suite_fill(s, "a", 1);
        suite_fill(s, "b", 2);
    }
    assert_row(db,
               "SELECT count(*), min(version), max(version), min(position), max(position) "
               "FROM stream_log WHERE stream = 'b'",
               "40|1|40|2|60");
    assert_row(db,
               "SELECT group_concat(version || ':' || position) FROM (SELECT * FROM stream_log "
               "WHERE stream = 'a' AND version <= 3 ORDER BY version)",
               "1:1,2:4,3:7");
    assert_row(db, "SELECT count(*) FROM stream_log", "60");
    assert_row(db,
               "SELECT count(*) FROM (SELECT * FROM log EXCEPT SELECT position, stream, category, "
               "version, type, id, schema_version, content_type, data, metadata, tags, "
               "correlation_id, causation_id, recorded_at FROM stream_log)",
               "0");
    /* an event is searched once for its link, once for the row */
    assert_int_equal(assert_no_scan(db, "SELECT * FROM stream_log WHERE stream = 'a' "
                                        "ORDER BY version"),
                     2);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* G-062: a tag by hand: only its own events are touched. */
static void test_sql_view_of_one_tag(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    static const ex_slice tags[] = {EX_S_INIT("customer:7"), EX_S_INIT("region:eu")};
    suite_fill(s, "a", 20);
    suite_put(s, "b", &EVENT("T", "{}", .tags = tags, .tag_count = 2));
    suite_put(s, "a", &EVENT("U", "{}", .tags = tags, .tag_count = 1));
    assert_row(db,
               "SELECT group_concat(tag || ' ' || stream || ' ' || version || ' ' || position) "
               "FROM (SELECT * FROM tag_log WHERE tag = 'customer:7' ORDER BY position)",
               "customer:7 b 1 21,customer:7 a 21 22");
    assert_row(db, "SELECT count(*) FROM tag_log WHERE tag = 'region:us'", "0");
    assert_row(db, "SELECT count(*) FROM tag_log", "3");
    assert_row(db,
               "SELECT count(*) FROM (SELECT * FROM log WHERE tags <> '[]' EXCEPT SELECT position, "
               "stream, category, version, type, id, schema_version, content_type, data, metadata, "
               "tags, correlation_id, causation_id, recorded_at FROM tag_log)",
               "0");
    assert_no_scan(db, "SELECT * FROM tag_log WHERE tag = 'customer:7' ORDER BY position");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* R-ES-17: (stream, version) stays unique even when somebody gets past the lock: the append that
 * does not know is refused whole by the database, and one after a whole append goes on behind it.
 */
static void test_sql_refuses_a_version_that_is_taken(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    ex_error err = {0};
    ex_new_event event = EVENT("T", "{}");
    suite_fill(s, "a", 2);
    run_raw(db, "INSERT INTO events (position, stream_id, version, prev, type_id, recorded_at, id, "
                "data) SELECT 3, stream_id, 3, 1, type_id, recorded_at, x'00112233445566778899aabb"
                "ccddeeff', data FROM events WHERE position = 2;"
                "UPDATE stream_heads SET version = 3, position = 3");
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, &err), EX_OK);
    assert_row(db,
               "SELECT count(*), count(DISTINCT version), max(version), max(position) "
               "FROM stream_log WHERE stream = 'a'",
               "4|4|4|4");

    run_raw(db, "UPDATE stream_heads SET version = 5, position = 5");
    assert_int_equal(suite_append(s, "a", EX_ANY, &event, 1, NULL, &err), EX_ESTORAGE);
    assert_non_null(strstr(err.message, "no longer at version 4"));
    assert_row(db, "SELECT count(*), max(version) FROM events", "4|4");
    assert_int_equal(
        sqlite3_exec(db, "INSERT INTO stream_heads VALUES (1, 5, 5)", NULL, NULL, NULL),
        SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- Streams whose chain is damaged ---- */

#define STREAM_A "(SELECT id FROM streams WHERE name = 'a')"

static ex_status read_all(suite *s, bool by_filter, ex_direction direction, ex_error *err)
{
    static const ex_slice streams[] = {EX_S_INIT("a")};
    ex_filter filter = {.streams = streams, .stream_count = 1};
    ex_read_stream stream = {.stream = streams[0], .direction = direction};
    ex_read_log log = {.filter = &filter};
    ex_cursor *c = NULL;
    ex_event e;
    ex_status st = by_filter ? ex_store_read_log(s->store, &log, &c, err)
                             : ex_store_read_stream(s->store, &stream, &c, err);
    for (int count = 0; st == EX_OK; count++) {
        assert_true(count <= 30); /* it ends, damaged or not */
        st = ex_cursor_next(c, &e, err);
        if (st == EX_OK)
            assert_true(ex_slice_eq(e.stream, streams[0]));
    }
    ex_cursor_close(c);
    return st;
}

static void test_sql_damaged_chains_are_told(void **state)
{
    suite *s = *state;
    static const struct {
        const char *name, *sql, *text;
    } cases[] = {
        {"the head leads behind the log",
         "UPDATE stream_heads SET position = 900 WHERE stream_id = " STREAM_A,
         "should be event 900, which does not exist"},
        {"the head leads to another stream",
         "UPDATE stream_heads SET position = 60 WHERE stream_id = " STREAM_A,
         "should be event 60, which is version 30 of stream 2"},
        {"the head has a lower version",
         "UPDATE stream_heads SET version = 29 WHERE stream_id = " STREAM_A,
         "version 29 of stream 1 should be event 59, which is version 30 of stream 1"},
        {"the head has an absurd version",
         "UPDATE stream_heads SET version = 9000000000000000000 WHERE stream_id = " STREAM_A,
         "version 9000000000000000000 of stream 1 should be"},
        {"there is no head", "DELETE FROM stream_heads WHERE stream_id = " STREAM_A,
         "stream 1 has a name but no events"},
        {"an event leads nowhere", "UPDATE events SET prev = NULL WHERE position = 41",
         "event 41 does not tell where"},
        {"an event leads to itself", "UPDATE events SET prev = 0 WHERE position = 41",
         "event 41 does not tell where"},
        {"an event leads forward", "UPDATE events SET prev = -2 WHERE position = 41",
         "event 41 does not tell where"},
        {"an event leads before the log", "UPDATE events SET prev = 41 WHERE position = 41",
         "event 41 does not tell where"},
        {"an event leads to another stream", "UPDATE events SET prev = 1 WHERE position = 41",
         "version 20 of stream 1 should be event 40, which is version 20 of stream 2"},
        {"an event leads too far", "UPDATE events SET prev = 4 WHERE position = 57",
         "version 28 of stream 1 should be event 53, which is version 27 of stream 1"},
        {"the first event leads on", "UPDATE events SET prev = 1 WHERE position = 1",
         "event 1 does not tell where"},
        {"an event says that it is another's",
         "UPDATE events SET stream_id = 2 WHERE position = 41",
         "version 21 of stream 1 should be event 41, which is version 21 of stream 2"},
        {"a jump of one that has none", "UPDATE events SET jump = 4 WHERE position = 53",
         "event 53 does not tell where"},
        {"an event is gone", "DELETE FROM events WHERE position = 41",
         "version 21 of stream 1 should be event 41, which does not exist"},
    };
    sqlite3 *db = open_raw(s); /* skips where there is no file */
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    for (int i = 0; i < 30; i++) {
        suite_fill(s, "a", 1);
        suite_fill(s, "b", 1);
    }
    db = open_raw(s);
    run_raw(db, "DROP TRIGGER events_no_UPDATE; DROP TRIGGER events_no_DELETE;"
                "DROP TRIGGER stream_heads_no_DELETE;"
                "CREATE TABLE sound_events AS SELECT * FROM events;"
                "CREATE TABLE sound_heads AS SELECT * FROM stream_heads");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run_raw(db, cases[i].sql);
        for (int way = 0; way < 3; way++) {
            ex_error err = {0};
            ex_status st = read_all(s, way == 2, way == 1 ? EX_BACKWARD : EX_FORWARD, &err);
            if (st != EX_ECORRUPT || !strstr(err.message, cases[i].text))
                fail_msg("%s, %d: %s %s", cases[i].name, way, ex_status_code(st), err.message);
        }
        run_raw(db, "DELETE FROM events; INSERT INTO events SELECT * FROM sound_events;"
                    "DELETE FROM stream_heads; INSERT INTO stream_heads SELECT * FROM sound_heads");
        for (int way = 0; way < 3; way++)
            assert_int_equal(read_all(s, way == 2, way == 1 ? EX_BACKWARD : EX_FORWARD, NULL),
                             EX_EEND);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* R-ES-07: the audit stays although the append is refused; a repetition is counted */
static void test_sql_audit_of_an_id_with_other_content(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    suite_put(s, "a", &EVENT("T", "{\"n\":1}", .id = suite_id(1)));
    ex_new_event other =
        EVENT("T", "{\"n\":2}", .id = suite_id(1), .metadata = EX_S("{\"$actor\":\"mallory\"}"));
    ex_error err = {0};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, &err), EX_EIDEMPOTENCY);
        assert_int_equal(err.audit_id, 1); /* R-ES-04: a repetition tells the same row */
    }
    other.data = EX_S("{ \"n\": 2}"); /* the same canonical content */
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, NULL), EX_EIDEMPOTENCY);
    assert_row(db, "SELECT count(*), max(times) FROM idempotency_audit", "1|3");
    assert_row(db,
               "SELECT stored_position, stored_fingerprint <> given_fingerprint, stream, type, "
               "CAST(data AS TEXT), actor, first_at <= last_at FROM idempotency_audit",
               "1|1|a|T|{\"n\":2}|mallory|1");
    other.data = EX_S("{\"n\":3}");
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, &err), EX_EIDEMPOTENCY);
    char sql[128];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT CAST(data AS TEXT) FROM idempotency_audit WHERE id = %d",
                   (int)err.audit_id);
    assert_row(db, sql, "{\"n\":3}");
    assert_row(db, "SELECT count(*) FROM idempotency_audit", "2");
    assert_int_equal(ex_store_head(s->store), 1);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Ever other content, large and with a large actor: what is kept of a refusal is bounded, and so is
 * how many are kept. issue 8, item 16; G-209 */
static void test_sql_audits_are_bounded(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    suite_put(s, "a", &EVENT("T", "{}", .id = suite_id(1)));
    char *data = malloc(100001), *metadata = malloc(2000);
    assert_non_null(data);
    assert_non_null(metadata);
    memset(data, ' ', 100000);
    memset(metadata, 'x', 1999);
    memcpy(metadata, "{\"$actor\":\"", 11);
    memcpy(metadata + 300, "\"}", 3); /* cut in the middle of a character */
    for (int i = 11; i < 299; i += 2)
        memcpy(metadata + i, "\xc3\xa9", 2);
    metadata[299] = 'x';
    for (int i = 0; i < 20; i++) {
        (void)snprintf(data + 100000 - 20, 21, "%20d", i);
        ex_new_event other = {.type = EX_S("T"),
                              .id = suite_id(1),
                              .data = ex_str(data),
                              .metadata = ex_str(metadata)};
        assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, NULL), EX_EIDEMPOTENCY);
    }
    assert_row(db,
               "SELECT count(*), max(length(data)), max(length(CAST(actor AS BLOB))) FROM "
               "idempotency_audit",
               "20|4096|256");
    /* as if thousands had been before */
    assert_int_equal(sqlite3_exec(db,
                                  "WITH RECURSIVE n (i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM "
                                  "n WHERE i < 6000) INSERT INTO idempotency_audit SELECT i, i, i, "
                                  "i, 'a', x'00', 'T', 1, 'c', x'00', NULL, 0, 0, 1 FROM n",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    ex_new_event other = EVENT("T", "[]", .id = suite_id(1));
    assert_int_equal(suite_append(s, "a", EX_ANY, &other, 1, NULL, NULL), EX_EIDEMPOTENCY);
    assert_row(db, "SELECT count(*), max(id) FROM idempotency_audit", "4096|6001");
    free(data);
    free(metadata);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* ---- Query plans ---- */

enum { FIND, WRITE };

static const struct {
    const char *name;
    int kind;
    const char *sql;
} plans[] = {
#define PLAN_ROW(name, kind, sql) {#name, kind, sql},
    STATEMENT_MAP(PLAN_ROW)
#undef PLAN_ROW
};

/* A full scan or a sort is only right where a LIMIT 1 walks the row ids from one end. */
static bool is_bad_step(const char *detail, const char *sql)
{
    if (strstr(detail, "TEMP B-TREE"))
        return true;
    return strncmp(detail, "SCAN", 4) == 0 && !strstr(sql, "ORDER BY position DESC LIMIT 1") &&
           !strstr(sql, "ORDER BY seq LIMIT 1");
}

/* R-ES-17: each read uses an index */
static void test_sql_every_find_uses_an_index(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    suite_fill(s, "a", 1);
    int looked_at = 0;
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        if (plans[i].kind != FIND)
            continue;
        char sql[1024];
        sqlite3_stmt *st = NULL;
        (void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", plans[i].sql);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
        while (sqlite3_step(st) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(st, 3);
            if (is_bad_step(detail, plans[i].sql))
                fail_msg("%s: %s", plans[i].name, detail);
            looked_at++;
        }
        (void)sqlite3_finalize(st);
    }
    assert_true(looked_at >= 15);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* R-ES-17 the other way round: each index of the log has a statement that reads through it. */
static void test_sql_every_index_has_a_reader(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    static const char *const indexes[] = {"events_id",
                                          "events_type",
                                          "events_correlation",
                                          "sqlite_autoindex_streams_1",
                                          "sqlite_autoindex_types_1",
                                          "sqlite_autoindex_tags_1",
                                          "sqlite_autoindex_commands_1"};
    assert_row(db,
               "SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND "
               "tbl_name <> 'idempotency_audit' AND tbl_name <> 'event_tags'",
               "7");
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        bool is_used = false;
        for (size_t j = 0; j < sizeof(plans) / sizeof(plans[0]); j++) {
            char sql[1024];
            sqlite3_stmt *st = NULL;
            (void)snprintf(sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", plans[j].sql);
            assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
            while (sqlite3_step(st) == SQLITE_ROW)
                if (strstr((const char *)sqlite3_column_text(st, 3), indexes[i]))
                    is_used = true;
            (void)sqlite3_finalize(st);
        }
        if (!is_used)
            fail_msg("nobody reads through %s", indexes[i]);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* R-ES-17: (correlation, position) is read through its index, and who has none is not in it */
static void test_sql_correlation_index_holds_only_events_that_have_one(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    suite_fill(s, "a", 100);
    for (int i = 0; i < 3; i++)
        suite_put(s, "b", &EVENT("T", "{}", .correlation_id = EX_S("flow")));
    assert_row(db,
               "SELECT count(*) FROM events INDEXED BY events_correlation "
               "WHERE correlation_id IS NOT NULL",
               "3");
    assert_row(db,
               "SELECT count(*), min(position) FROM events INDEXED BY events_correlation "
               "WHERE correlation_id = 'flow' AND position >= 102",
               "2|102");
    char explain[256];
    (void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s",
                   plans[STATEMENT_LIST_CORRELATION].sql);
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal(sqlite3_column_text(st, 3),
                        "SEARCH events USING COVERING INDEX events_correlation "
                        "(correlation_id=? AND rowid>?)");
    assert_int_equal(sqlite3_step(st), SQLITE_DONE);
    (void)sqlite3_finalize(st);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_sql_file_is_sound(void **state)
{
    suite *s = *state;
    sqlite3 *db = open_raw(s);
    suite_fill(s, "a", 50);
    assert_row(db, "PRAGMA integrity_check", "ok");
    assert_row(db, "PRAGMA journal_mode", "wal");
    assert_row(db, "PRAGMA application_id", "1163412303");
    assert_row(db, "PRAGMA user_version", "4");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

int store_sql_tests(suite *s)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(test_sql_refuses_to_change_the_log),
        STORE_TEST(test_sql_view_shows_events_to_people),
        STORE_TEST(test_sql_view_of_one_stream),
        STORE_TEST(test_sql_view_of_one_tag),
        STORE_TEST(test_sql_refuses_a_version_that_is_taken),
        STORE_TEST(test_sql_damaged_chains_are_told),
        STORE_TEST(test_sql_audit_of_an_id_with_other_content),
        STORE_TEST(test_sql_audits_are_bounded),
        STORE_TEST(test_sql_every_find_uses_an_index),
        STORE_TEST(test_sql_every_index_has_a_reader),
        STORE_TEST(test_sql_correlation_index_holds_only_events_that_have_one),
        STORE_TEST(test_sql_file_is_sound),
    };
    return cmocka_run_group_tests_name("store sql", tests, NULL, NULL);
}
