/* sql.h: the SQL port: one connection to SQLite or PostgreSQL, the same calls on both.
 *
 * SQL text names its parameters $1, $2, … or :name (not both in one statement); the port translates
 * for the engine. Values are always bound. The engines' own words that differ (types, table
 * options) come from ex_sql_type_name and ex_sql_table_suffix.
 *
 * Within a transaction the rule of the stricter engine holds on both: after a failed statement only
 * ending the transaction (or the savepoint in which it failed) is possible.
 *
 *     ex_sql_tx tx;
 *     ex_status st = ex_sql_begin(db, EX_SQL_WRITE, &tx, err);
 *     if (st)
 *         return st;
 *     st = work(db, err);
 *     return ex_sql_end(&tx, st, err);     commits, or rolls back and keeps the failure
 *
 * Statuses that every call here may return: EX_EAGAIN (connection lost, lock not free in time, met
 * another transaction: try again), EX_ETIMEOUT, EX_ECANCELLED, EX_EEXISTS (a unique value is
 * taken), EX_EINVAL (the engine refuses a value), EX_ESTORAGE (disk full, I/O), EX_ECORRUPT,
 * EX_EREADONLY, EX_EDATABASE, EX_ENOMEM.
 *
 * Thread: one at a time, except ex_sql_cancel. Blocking: disk or network, at most the time-out. */
#ifndef EXCORE_SQL_SQL_H
#define EXCORE_SQL_SQL_H

#include <stdatomic.h>

#include <excore/arena.h>
#include <excore/error.h>

typedef struct ex_sql ex_sql;
typedef struct ex_sql_stmt ex_sql_stmt;

typedef enum ex_sql_engine { EX_SQL_SQLITE, EX_SQL_POSTGRES } ex_sql_engine;

typedef enum ex_sql_type {
    EX_SQL_I64,  /* INTEGER    BIGINT */
    EX_SQL_F64,  /* REAL       DOUBLE PRECISION; no NaN (SQLite cannot store it) */
    EX_SQL_BOOL, /* INTEGER    BOOLEAN */
    EX_SQL_TEXT, /* TEXT       TEXT COLLATE "C": UTF-8 in the order of its bytes;
                     PostgreSQL refuses a NUL byte */
    EX_SQL_BLOB  /* BLOB       BYTEA */
} ex_sql_type;

typedef struct ex_sql_list ex_sql_list;

typedef struct ex_sql_value {
    ex_sql_type type;
    bool is_null;
    bool is_list; /* only to be bound, and only on PostgreSQL: an array of that type */
    union {
        int64_t i64;
        double f64;
        bool boolean;
        ex_slice bytes; /* TEXT, BLOB */
        const ex_sql_list *list;
    } as;
} ex_sql_value;

/** One column of several rows: what unnest() and = ANY() take. */
struct ex_sql_list {
    const ex_sql_value *const *rows;
    uint32_t column;
    uint32_t count;
};

typedef struct ex_sql_options {
    const char *place;  /* a path or postgres://…; NULL: a private SQLite in memory */
    bool is_read_only;  /* SQLite: opens nothing that is not there */
    const char *schema; /* PostgreSQL: [the URL's] */
    const char
        *schema_suffix; /* PostgreSQL: behind the schema's name, "_views" say; static [none] */
    uint32_t connect_timeout_ms; /* [the URL's, else 5 s] */
    uint32_t query_timeout_ms;   /* [30 s] of one statement, also its wait for locks */
    uint32_t cache_bytes;        /* SQLite: [2 MiB] */
    bool is_durable;             /* SQLite: fsync at each commit; PostgreSQL always does */
    /* R-02-12: called for each statement that took slow_ms or more; the text, never values. */
    void (*on_slow)(void *ctx, ex_slice sql, uint32_t elapsed_ms);
    void *slow_ctx;
    uint32_t slow_ms;               /* [200] */
    const _Atomic uint64_t *end_ns; /* PostgreSQL: as in ex_pg_options. Nullable */
} ex_sql_options;

/** Open. On SQLite in WAL mode with foreign keys on. Returns as ex_pg_open does, or EX_ESTORAGE,
 *  EX_ECORRUPT for a file. @param options borrowed for the call */
EX_NODISCARD ex_status ex_sql_open(const ex_sql_options *options, ex_sql **ret, ex_error *err);
/** Close; an open transaction is rolled back, statements are gone. NULL is accepted. */
void ex_sql_close(ex_sql *db);
ex_sql_engine ex_sql_engine_of(const ex_sql *db);
/** Has the connection to the server ended? SQLite's never has. Then only close is left. */
bool ex_sql_is_broken(const ex_sql *db);
/** Is the place a server's URL (postgres://…) and not a file? Thread: any. */
bool ex_sql_is_server(const char *place);
/** Has the server closed the connection meanwhile? Only when idle. @return EX_OK, EX_EAGAIN
 * (broken) Blocking: never. */
EX_NODISCARD ex_status ex_sql_check(ex_sql *db, ex_error *err);
/** Reset all statements, roll back whatever is open, forget a cancel: for the next user of a
 *  connection. */
EX_NODISCARD ex_status ex_sql_abandon(ex_sql *db);
/** R-02-15: SELECT 1, expects 1, within 5 s. */
EX_NODISCARD ex_status ex_sql_ping(ex_sql *db, ex_error *err);
/** End the statement that runs, on the server too, and refuse all that would follow, with
 *  EX_ECANCELLED, until ex_sql_abandon. Rolling back is possible.
 *  Thread: any, as long as it is not closed. Blocking: no. */
void ex_sql_cancel(ex_sql *db);

/* ---- Statements ---- */

/** The statement for a text, prepared once, reset and with nothing bound. It stays the
 * connection's, valid until 512 other texts were prepared. @param text borrowed for the call */
EX_NODISCARD ex_status ex_sql_prepare(ex_sql *db, ex_slice text, ex_sql_stmt **ret, ex_error *err);
/** The place of a :name parameter, 0 when the text has none of that name. */
uint32_t ex_sql_param(const ex_sql_stmt *st, ex_slice name);
/** The name of the parameter at that place, from 1; {NULL, 0} behind the last and for $1. */
ex_slice ex_sql_param_name(const ex_sql_stmt *st, uint32_t at);

/** A column of what a statement gives, as far as the engine can tell without a row. */
typedef struct ex_sql_column_info {
    const char *name;
    bool is_known; /* else the rows decide: an expression on SQLite, a NUMERIC on PostgreSQL */
    ex_sql_type type;
    const char *declared; /* SQLite: the type in CREATE TABLE, NULL for an expression */
} ex_sql_column_info;

/** Borrowed for the call. Must not use the connection. */
typedef void ex_sql_column_fn(void *ctx, const ex_sql_column_info *column);
/** Call fn for each column of the result, in order. On PostgreSQL the statement is run for it, with
 *  what is bound: let it end with LIMIT 0. */
EX_NODISCARD ex_status ex_sql_describe(ex_sql_stmt *st, ex_sql_column_fn *fn, void *ctx,
                                       ex_error *err);

/* Bind parameter `at` (from 1; one out of range is our bug). Bytes are borrowed until the statement
 * is reset or, when queued, until ex_sql_queue returns. What is not bound is null. */
void ex_sql_bind(ex_sql_stmt *st, uint32_t at, ex_sql_value value);
void ex_sql_bind_i64(ex_sql_stmt *st, uint32_t at, int64_t value);
void ex_sql_bind_text(ex_sql_stmt *st, uint32_t at, ex_slice value);
/** PostgreSQL. The elements are of `type` or null; the list itself is borrowed, too. */
void ex_sql_bind_list(ex_sql_stmt *st, uint32_t at, ex_sql_type type, const ex_sql_list *list);

/** The next row: EX_OK, or EX_EEND after the last (and reset), or a failure (and reset). */
EX_NODISCARD ex_status ex_sql_step(ex_sql_stmt *st, ex_error *err);
/** Run to the end, throw rows away, reset. */
EX_NODISCARD ex_status ex_sql_run(ex_sql_stmt *st, ex_error *err);
/** Run within a transaction without waiting: on PostgreSQL it is sent with the next statement that
 *  waits, whose call then may report its failure; so may ex_sql_flush, ex_sql_commit and the begin
 *  of a savepoint. */
EX_NODISCARD ex_status ex_sql_queue(ex_sql_stmt *st, ex_error *err);
EX_NODISCARD ex_status ex_sql_flush(ex_sql *db, ex_error *err);
/** Give up the rows that are left. Bindings are forgotten at the next prepare. */
void ex_sql_reset(ex_sql_stmt *st);
/** Rows that the last ex_sql_run inserted, updated or deleted. */
uint64_t ex_sql_affected(const ex_sql_stmt *st);

/* Columns of the current row, from 0; bytes are borrowed until the next step or reset. */
/** As the engine gives it: a BOOL is an I64 on SQLite, a sum() of BIGINT may be an F64 when it does
 *  not fit an I64. */
ex_sql_value ex_sql_column(const ex_sql_stmt *st, uint32_t column);
bool ex_sql_is_null(const ex_sql_stmt *st, uint32_t column);
/** 0 for a null or a text; a REAL is cut. */
int64_t ex_sql_i64(const ex_sql_stmt *st, uint32_t column);
double ex_sql_f64(const ex_sql_stmt *st, uint32_t column);
bool ex_sql_bool(const ex_sql_stmt *st, uint32_t column);
/** TEXT and BLOB; {NULL, 0} for a null and for numbers. */
ex_slice ex_sql_bytes(const ex_sql_stmt *st, uint32_t column);

/** Run one or more statements without parameters and results. */
EX_NODISCARD ex_status ex_sql_script(ex_sql *db, const char *sql, ex_error *err);

/* ---- Transactions ---- */

typedef enum ex_sql_mode {
    EX_SQL_READ, /* one snapshot for all of it; writing fails */
    EX_SQL_WRITE /* SQLite: takes the write lock at once */
} ex_sql_mode;

/** On the caller's stack. Inside of another one it is a savepoint. */
typedef struct ex_sql_tx {
    ex_sql *db;
    uint32_t level; /* 1: the transaction, above: a savepoint */
    uint64_t serial;
} ex_sql_tx;

/** Begin, at most 8 deep. The mode counts for the outermost only. */
EX_NODISCARD ex_status ex_sql_begin(ex_sql *db, ex_sql_mode mode, ex_sql_tx *ret, ex_error *err);
/** Commit. When a statement failed in it, or committing fails, it is rolled back and that is
 *  returned. The handle is used up either way; one that was used up, or inside of which another is
 *  open, gives EX_ESTATE with code TX_CLOSED or TX_NESTED (R-02-08). */
EX_NODISCARD ex_status ex_sql_commit(ex_sql_tx *tx, ex_error *err);
/** Undo, with all that is open inside. On a lost connection the server has done it. */
EX_NODISCARD ex_status ex_sql_rollback(ex_sql_tx *tx, ex_error *err);
/** Commit when `st` is EX_OK; else roll back and return `st`, with a failure of the rollback added
 *  to the message in err (R-02-05, R-02-07). */
EX_NODISCARD ex_status ex_sql_end(ex_sql_tx *tx, ex_status st, ex_error *err);

typedef ex_status ex_sql_work_fn(ex_sql *db, void *ctx, ex_error *err);
/** A unit of work: begin, run, end. */
EX_NODISCARD ex_status ex_sql_transact(ex_sql *db, ex_sql_mode mode, ex_sql_work_fn *work,
                                       void *ctx, ex_error *err);

/* ---- Dialect ---- */

/** Is there a table (or view) of that name in the database, on PostgreSQL in the schema? */
EX_NODISCARD ex_status ex_sql_has_table(ex_sql *db, const char *name, bool *ret, ex_error *err);

/** For CREATE TABLE. Static. */
const char *ex_sql_type_name(ex_sql_engine engine, ex_sql_type type);
/** What follows the closing bracket of CREATE TABLE, for a table read by its primary key. */
const char *ex_sql_table_suffix(ex_sql_engine engine);

#endif
