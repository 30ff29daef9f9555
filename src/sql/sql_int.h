/* sql_int.h: what an engine implements, and what sql.c, sql_tx.c and the engines share. */
#ifndef EXCORE_SQL_SQL_INT_H
#define EXCORE_SQL_SQL_INT_H

#include "kernel/map.h"
#include "sql/sql.h"
#include "sql/sql_text.h"

#include <stdatomic.h>

#define SQL_DEPTH_MAX 8

/* Methods run on the connection's thread, may block, and get what the dispatcher has checked: a
 * statement has all values bound, columns exist, nesting is right. Required unless optional is
 * written. */
typedef struct sql_ops {
    ex_sql_engine engine;
    char prefix; /* of a parameter's number */
    /* Fill *ret_conn. */
    ex_status (*open)(const ex_sql_options *options, void **ret_conn, ex_error *err);
    void (*close)(void *conn);
    bool (*is_broken)(const void *conn);
    ex_status (*check)(void *conn, ex_error *err); /* never blocks */
    ex_status (*ping)(void *conn, uint32_t timeout_ms, ex_error *err);
    /* End what runs, and what is begun until uncancel. Thread: any */
    void (*cancel)(void *conn);
    void (*uncancel)(void *conn);
    /* Prepare st->text; st->impl is the engine's. */
    ex_status (*prepare)(ex_sql_stmt *st, ex_error *err);
    void (*finalize)(ex_sql_stmt *st);
    /* Execute with st->values, as far as the first row; step gives it. */
    ex_status (*start)(ex_sql_stmt *st, ex_error *err);
    /* As ex_sql_step; never called after a failure or EX_EEND. */
    ex_status (*step)(ex_sql_stmt *st, ex_error *err);
    /* Optional, both or none: without them a queued statement is run. */
    ex_status (*queue)(ex_sql_stmt *st, ex_error *err);
    ex_status (*flush)(void *conn, ex_error *err);
    void (*reset)(ex_sql_stmt *st);
    ex_sql_value (*column)(const ex_sql_stmt *st, uint32_t column);
    /* Of a statement that was started: the column, without a row. */
    ex_sql_column_info (*describe)(const ex_sql_stmt *st, uint32_t column);
    /* Several statements without parameters. */
    ex_status (*script)(void *conn, const char *sql, ex_error *err);
    /* False: no transaction is open (any more), whatever the port believes. */
    bool (*has_tx)(const void *conn);
} sql_ops;

extern const sql_ops sql_sqlite_ops, sql_postgres_ops;

struct ex_sql {
    const sql_ops *ops;
    void *conn;
    ex_map statements; /* the caller's text -> ex_sql_stmt */
    uint32_t active;   /* statements that have rows left */
    uint32_t depth;
    bool has_failed;          /* a statement failed at this depth */
    atomic_bool is_cancelled; /* any thread */
    bool has_queued;          /* of the caller's, a statement whose failure may still come */
    uint64_t next_serial;
    uint64_t serials[SQL_DEPTH_MAX]; /* of the open ones, outermost first */
    void (*on_slow)(void *ctx, ex_slice sql, uint32_t elapsed_ms); /* NULL: the engine sees to it */
    void *slow_ctx;
    uint32_t slow_ms;
};

struct ex_sql_stmt {
    ex_sql *db;
    sql_text text;
    ex_sql_value *values; /* text.count */
    bool is_active;       /* started and not reset */
    uint64_t spent_ns;    /* in the engine, since the start */
    /* the engine's */
    void *impl;
    uint32_t columns;
    uint64_t affected;
};

/* sql.c: the port over an engine's connection, which ex_sql_close closes. */
EX_NODISCARD ex_status sql_wrap(const sql_ops *ops, void *conn, ex_sql **ret, ex_error *err);
/* sql.c: a file's path as every connection to it is opened; *ret is to be freed. */
EX_NODISCARD ex_status sql_path_resolve(const char *place, char **ret, ex_error *err);
/* sql.c: refuse what a failed transaction, a broken connection cannot do. */
EX_NODISCARD ex_status sql_check_usable(ex_sql *db, ex_error *err);
/* Note that a statement failed: the transaction takes no more. Returns st. */
ex_status sql_note_failure(ex_sql *db, ex_status st);

#endif
