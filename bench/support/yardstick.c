/* yardstick.c: bare SQLite over a store's tables. */
#include "support/yardstick.h"

#include <excore/clock.h>
#include <excore/id.h>

#include <sqlite3.h>
#include <stdio.h>

#include "support/latencies.h"

const char bench_data[BENCH_DATA_SIZE + 1] =
    "{\"order_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"customer\":\"customer-000042\","
    "\"currency\":\"EUR\",\"total_cents\":12345,\"items\":[{\"sku\":\"A-100\",\"quantity\":2,"
    "\"price_cents\":5000},{\"sku\":\"B-200\",\"quantity\":1,\"price_cents\":2345}],"
    "\"note\":\"abcdefghijklmnopqrstuvw\"}";

static ex_status fail(sqlite3 *db, ex_error *err)
{
    return ex_raise(err, EX_EDATABASE, "yardstick: %s", sqlite3_errmsg(db));
}

static ex_status open_log(const char *dir, sqlite3 **ret, ex_error *err)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/events.db", dir); /* a temporary directory: short */
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ||
        sqlite3_exec(db,
                     "PRAGMA synchronous = FULL; PRAGMA cache_size = -8192;"
                     "PRAGMA wal_autocheckpoint = 4000; PRAGMA secure_delete = OFF;"
                     "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;",
                     NULL, NULL, NULL)) {
        ex_status st = fail(db, err);
        (void)sqlite3_close(db);
        return st;
    }
    *ret = db;
    return EX_OK;
}

/* ---- Inserting ---- */

typedef struct inserter {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *stream, *event, *head;
    sqlite3_int64 position;
    sqlite3_int64 type_id;
} inserter;

static int prepare(inserter *in)
{
    const struct {
        const char *sql;
        sqlite3_stmt **ret;
    } all[] = {
        {"BEGIN IMMEDIATE", &in->begin},
        {"COMMIT", &in->commit},
        {"INSERT INTO streams (name) VALUES (?1)", &in->stream},
        {"INSERT INTO events (position, stream_id, version, type_id, recorded_at, id, data) "
         "VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6)",
         &in->event},
        {"INSERT INTO stream_heads (stream_id, version, position) VALUES (?1, 1, ?2)", &in->head},
    };
    int rc = sqlite3_exec(in->db, "INSERT OR IGNORE INTO types (name) VALUES ('OrderPlaced')", NULL,
                          NULL, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(all) / sizeof(all[0]); i++)
        rc =
            sqlite3_prepare_v3(in->db, all[i].sql, -1, SQLITE_PREPARE_PERSISTENT, all[i].ret, NULL);
    sqlite3_stmt *st = NULL;
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(in->db,
                                "SELECT (SELECT id FROM types WHERE name = 'OrderPlaced'), "
                                "ifnull(max(position), 0) FROM events",
                                -1, &st, NULL);
    if (rc == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW) {
        in->type_id = sqlite3_column_int64(st, 0);
        in->position = sqlite3_column_int64(st, 1);
    }
    (void)sqlite3_finalize(st);
    return rc;
}

static int run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);
    (void)sqlite3_reset(st); /* repeats rc */
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int insert_row(inserter *in, int64_t now_us)
{
    ex_id id;
    char name[6 + EX_ID_TEXT_SIZE] = "order-";
    if (ex_id_new(&id, NULL))
        return SQLITE_ERROR;
    ex_slice text = ex_id_text(&id, name + 6);
    (void)sqlite3_bind_text(in->stream, 1, name, 6 + (int)text.len, SQLITE_STATIC);
    int rc = run(in->stream);
    if (rc)
        return rc;
    (void)sqlite3_bind_int64(in->event, 1, ++in->position);
    (void)sqlite3_bind_int64(in->head, 1, sqlite3_last_insert_rowid(in->db));
    (void)sqlite3_bind_int64(in->head, 2, in->position);
    (void)sqlite3_bind_int64(in->event, 2, sqlite3_last_insert_rowid(in->db));
    (void)sqlite3_bind_int64(in->event, 3, in->type_id);
    (void)sqlite3_bind_int64(in->event, 4, now_us);
    (void)sqlite3_bind_blob(in->event, 5, id.bytes, sizeof(id.bytes), SQLITE_STATIC);
    (void)sqlite3_bind_blob(in->event, 6, bench_data, BENCH_DATA_SIZE, SQLITE_STATIC);
    rc = run(in->event);
    return rc ? rc : run(in->head);
}

static int insert_batch(inserter *in, uint32_t rows, int64_t now_us)
{
    int rc = run(in->begin);
    for (uint32_t i = 0; rc == SQLITE_OK && i < rows; i++)
        rc = insert_row(in, now_us);
    return rc == SQLITE_OK ? run(in->commit) : rc;
}

/* @param took nullable: how long each transaction took */
static int insert_for(inserter *in, uint32_t rows, double seconds, double *ret_rate,
                      latencies *took)
{
    const ex_clock *clock = ex_clock_system();
    uint64_t start = ex_monotonic_ns(clock), end = start, count = 0;
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && (double)(end - start) < seconds * 1e9) {
        uint64_t before = end;
        rc = insert_batch(in, rows, ex_now_us(clock));
        count += rows;
        end = ex_monotonic_ns(clock);
        if (took)
            latencies_add(took, (double)(end - before) / 1e6);
    }
    *ret_rate = (double)count * 1e9 / (double)(end - start);
    return rc;
}

static ex_status insert(const char *dir, const char *pragma, uint32_t rows, double seconds,
                        double *ret_rate, latencies *took, ex_error *err)
{
    inserter in = {0};
    ex_status st = open_log(dir, &in.db, err);
    if (st)
        return st;
    if (sqlite3_exec(in.db, pragma, NULL, NULL, NULL) || prepare(&in) ||
        insert_for(&in, rows, seconds, ret_rate, took))
        st = fail(in.db, err);
    (void)sqlite3_finalize(in.begin); /* these repeat failures known already */
    (void)sqlite3_finalize(in.commit);
    (void)sqlite3_finalize(in.stream);
    (void)sqlite3_finalize(in.event);
    (void)sqlite3_finalize(in.head);
    (void)sqlite3_close(in.db);
    return st;
}

ex_status yardstick_insert(const char *dir, uint32_t rows, double seconds, double *ret_rate,
                           ex_error *err)
{
    return insert(dir, "", rows, seconds, ret_rate, NULL, err);
}

ex_status yardstick_commit(const char *dir, uint32_t rows, double seconds, double *ret_p99_ms,
                           ex_error *err)
{
    latencies took = {0};
    double rate = 0;
    ex_status st = insert(dir, "PRAGMA wal_autocheckpoint = 0", rows, seconds, &rate, &took, err);
    if (st == EX_OK)
        *ret_p99_ms = latencies_at(&took, 0.99);
    latencies_done(&took);
    return st;
}

/* ---- Scanning ---- */

static uint64_t touch_row(sqlite3_stmt *st, int columns)
{
    uint64_t sum = (uint64_t)sqlite3_column_int64(st, 0);
    for (int i = 1; i < 4; i++)
        sum += (uint64_t)sqlite3_column_int64(st, i);
    for (int i = 4; i < columns; i++)
        if (sqlite3_column_type(st, i) != SQLITE_NULL) {
            const unsigned char *bytes = sqlite3_column_blob(st, i);
            sum += (uint64_t)sqlite3_column_bytes(st, i) + (bytes ? bytes[0] : 0);
        }
    return sum;
}

ex_status yardstick_scan(const char *dir, bool with_stream, double *ret_rate, ex_error *err)
{
#define COLUMNS                                                                                    \
    "e.position, e.version, e.type_id, e.recorded_at, e.id, e.schema_version, e.content_type, "    \
    "e.correlation_id, e.causation_id, e.tags, e.metadata, e.data"
    sqlite3 *db = NULL;
    sqlite3_stmt *st = NULL;
    ex_status status = open_log(dir, &db, err);
    if (status)
        return status;
    const char *sql = with_stream ? "SELECT " COLUMNS ", s.name FROM events e CROSS JOIN streams s "
                                    "ON s.id = e.stream_id ORDER BY e.position"
                                  : "SELECT " COLUMNS " FROM events e ORDER BY e.position";
    const ex_clock *clock = ex_clock_system();
    uint64_t start = ex_monotonic_ns(clock), count = 0;
    volatile uint64_t sum = 0; /* keeps the reads */
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW)
            break;
        sum = sum + touch_row(st, with_stream ? 13 : 12);
        count++;
    }
    if (rc == SQLITE_DONE)
        *ret_rate = (double)count * 1e9 / (double)(ex_monotonic_ns(clock) - start);
    else
        status = fail(db, err);
    (void)sqlite3_finalize(st); /* repeats rc */
    (void)sqlite3_close(db);
    return status;
}
