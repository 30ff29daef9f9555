/* pg_yardstick.c: bare PostgreSQL over a store's tables. */
#include "support/pg_yardstick.h"

#include <excore/clock.h>
#include <excore/id.h>

#include <stdlib.h>

#include "sql/postgres/pg_conn.h"
#include "support/report.h"
#include "support/yardstick.h"

static ex_status open_log(const char *url, ex_pg **ret, ex_error *err)
{
    ex_pg_options options = {.url = url, .setup_sql = "SET synchronous_commit = on"};
    return ex_pg_open(&options, ret, err);
}

/* ---- Inserting ---- */

#define NAME_SIZE (6 + EX_ID_TEXT_SIZE)

typedef struct stream_name {
    char text[NAME_SIZE];
    size_t len;
} stream_name;

typedef struct inserter {
    ex_pg *pg;
    ex_pg_args args;
    int64_t position, last_id;
    uint32_t rows;
    stream_name *names; /* of the transaction */
} inserter;

static ex_status prepare(inserter *in, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(in->pg, EX_S("SELECT position, last_id FROM log_head"), NULL, &r, err);
    if (st)
        return st;
    in->position = ex_pg_get_i64(&r, 0, 0);
    in->last_id = ex_pg_get_i64(&r, 0, 1);
    ex_pg_result_free(&r);
    return EX_OK;
}

static ex_status send(inserter *in, const char *sql, ex_error *err)
{
    ex_status st = ex_pg_send(in->pg, ex_str(sql), &in->args, err);
    ex_pg_args_reset(&in->args);
    return st;
}

static void put_numbers(inserter *in, int64_t first)
{
    ex_pg_array_begin(&in->args, EX_PG_INT8);
    for (uint32_t i = 0; i < in->rows; i++)
        ex_pg_put_i64(&in->args, first + i);
    ex_pg_array_end(&in->args);
}

static ex_status name_streams(inserter *in, ex_error *err)
{
    for (uint32_t i = 0; i < in->rows; i++) {
        stream_name *n = &in->names[i];
        ex_id id;
        ex_status st = ex_id_new(&id, err);
        if (st)
            return st;
        memcpy(n->text, "order-", 6);
        n->len = 6 + ex_id_text(&id, n->text + 6).len;
    }
    return EX_OK;
}

static void put_names(inserter *in)
{
    ex_pg_array_begin(&in->args, EX_PG_TEXT);
    for (uint32_t i = 0; i < in->rows; i++)
        ex_pg_put_text(&in->args, ex_slice_of(in->names[i].text, in->names[i].len));
    ex_pg_array_end(&in->args);
}

static ex_status send_streams(inserter *in, ex_error *err)
{
    put_numbers(in, in->last_id + 1);
    put_names(in);
    return send(in, "INSERT INTO streams (id, name) SELECT * FROM unnest($1::bigint[], $2::text[])",
                err);
}

static ex_status send_events(inserter *in, ex_error *err)
{
    put_numbers(in, in->position + 1);
    put_numbers(in, in->last_id + 1);
    ex_pg_put_text(&in->args, EX_S("OrderPlaced"));
    ex_pg_put_i64(&in->args, ex_now_us(ex_clock_system()));
    ex_pg_array_begin(&in->args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < in->rows; i++) {
        ex_id id;
        ex_status st = ex_id_new(&id, err);
        if (st)
            return st;
        ex_pg_put_bytea(&in->args, ex_slice_of((const char *)id.bytes, sizeof(id.bytes)));
    }
    ex_pg_array_end(&in->args);
    ex_pg_array_begin(&in->args, EX_PG_BYTEA);
    for (uint32_t i = 0; i < in->rows; i++)
        ex_pg_put_bytea(&in->args, ex_slice_of(bench_data, BENCH_DATA_SIZE));
    ex_pg_array_end(&in->args);
    put_names(in);
    return send(in,
                "INSERT INTO events (position, stream_id, version, type, recorded_at, id, "
                "data, stream) "
                "SELECT p, s, 1, $3, $4, i, d, n FROM "
                "unnest($1::bigint[], $2::bigint[], $5::bytea[], $6::bytea[], $7::text[]) "
                "u (p, s, i, d, n)",
                err);
}

static ex_status send_head(inserter *in, ex_error *err)
{
    ex_pg_put_i64(&in->args, in->rows);
    ex_pg_put_i64(&in->args, ex_now_us(ex_clock_system()));
    return send(in,
                "UPDATE log_head SET position = position + $1, recorded_at = $2, "
                "last_id = last_id + $1",
                err);
}

static ex_status insert_rows(inserter *in, ex_error *err)
{
    ex_status st = name_streams(in, err);
    if (st == EX_OK)
        st = send(in, "BEGIN", err);
    if (st == EX_OK)
        st = send_streams(in, err);
    if (st == EX_OK)
        st = send_events(in, err);
    if (st == EX_OK)
        st = send_head(in, err);
    if (st == EX_OK)
        st = send(in, "COMMIT", err);
    if (st == EX_OK)
        st = ex_pg_sync(in->pg, err);
    if (st == EX_OK)
        st = ex_pg_recv_all(in->pg, err);
    in->position += in->rows;
    in->last_id += in->rows;
    return st;
}

ex_status pg_yardstick_insert(const char *url, uint32_t rows, double seconds, double *ret_rate,
                              ex_error *err)
{
    inserter in = {.rows = rows};
    uint64_t count = 0;
    ex_status st = open_log(url, &in.pg, err);
    if (st)
        return st;
    ex_pg_args_init(&in.args);
    in.names = calloc(rows, sizeof(*in.names));
    if (!in.names)
        abort();
    st = prepare(&in, err);
    if (st == EX_OK)
        st = insert_rows(&in, err); /* prepares the statements */
    double start = bench_seconds(), took = 0;
    for (; st == EX_OK && took < seconds; count += rows, took = bench_seconds() - start)
        st = insert_rows(&in, err);
    ex_pg_args_done(&in.args);
    free(in.names);
    ex_pg_close(in.pg);
    if (st)
        return st;
    *ret_rate = (double)count / took;
    return EX_OK;
}

/* ---- Reading ---- */

#define COLUMNS                                                                                    \
    "e.position, e.version, e.type, e.recorded_at, e.id, e.schema_version, e.content_type, "       \
    "e.correlation_id, e.causation_id, e.tags, e.metadata, e.data, e.stream"

static uint64_t touch(const ex_pg_result *r)
{
    uint64_t sum = 0;
    for (int row = 0; row < r->rows; row++)
        for (int column = 0; column < r->columns; column++)
            sum += ex_pg_get_slice(r, row, column).len;
    return sum;
}

static ex_status fetch_all(ex_pg *pg, uint64_t *ret_count, ex_error *err)
{
    volatile uint64_t sum = 0; /* keeps the reads */
    int rows;
    *ret_count = 0;
    do {
        ex_pg_result r = {0};
        ex_status st = ex_pg_run(pg, EX_S("FETCH 1000 FROM scan"), NULL, &r, err);
        if (st)
            return st;
        sum = sum + touch(&r);
        rows = r.rows;
        *ret_count += (uint64_t)rows;
        ex_pg_result_free(&r);
    } while (rows);
    return EX_OK;
}

ex_status pg_yardstick_scan(const char *url, double *ret_rate, ex_error *err)
{
    ex_pg *pg = NULL;
    uint64_t count = 0;
    ex_status st = open_log(url, &pg, err);
    if (st)
        return st;
    double start = bench_seconds();
    st = ex_pg_run(pg, EX_S("BEGIN"), NULL, NULL, err);
    if (st == EX_OK)
        st = ex_pg_run(pg,
                       EX_S("DECLARE scan NO SCROLL CURSOR FOR SELECT " COLUMNS
                            " FROM events e ORDER BY e.position"),
                       NULL, NULL, err);
    if (st == EX_OK)
        st = fetch_all(pg, &count, err);
    double took = bench_seconds() - start;
    ex_pg_close(pg);
    if (st)
        return st;
    *ret_rate = (double)count / took;
    return EX_OK;
}
