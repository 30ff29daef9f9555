/* pg_int.h: what the files of sql/postgres share: the connection, its statements, its queue. */
#ifndef EXCORE_SQL_POSTGRES_PG_INT_H
#define EXCORE_SQL_POSTGRES_PG_INT_H

#include "kernel/map.h"
#include "sql/postgres/pg_conn.h"
#include "sql/postgres/pg_error.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdatomic.h>

#define PG_GRACE_MS 1000 /* past the server's own time-out, until the connection is given up */

/* How long to wait for the network. */
typedef struct pg_limit {
    uint64_t deadline_ns;
    const _Atomic uint64_t *end_ns; /* nullable; may come nearer while one waits */
} pg_limit;

struct ex_pg_arg {
    uint32_t type;
    int32_t len; /* -1: null */
    size_t offset;
};

typedef enum pg_prepared {
    PG_UNPREPARED,
    PG_PREPARING, /* its Parse is under way */
    PG_PREPARED
} pg_prepared;

/* A statement by text and argument types. Kept in the map, or, when the map is full, owned by the
 * queue's entry and prepared under no name. */
typedef struct pg_statement {
    pg_prepared state;
    bool is_kept;
    unsigned refs; /* the map and the entries of the queue */
    char name[24]; /* "" when not kept */
    size_t sql_len;
    char sql[];
} pg_statement;

typedef enum pg_entry_kind { PG_PREPARE, PG_QUERY, PG_SYNC } pg_entry_kind;

typedef struct pg_entry {
    pg_entry_kind kind;
    pg_statement *statement; /* NULL: SYNC */
} pg_entry;

struct ex_pg {
    /* set at open */
    ex_pg_target target;
    char *setup_sql;
    uint32_t connect_timeout_ms;
    const _Atomic uint64_t *end_ns; /* nullable */
    uint32_t slow_ms;
    void (*on_slow)(void *ctx, ex_slice sql, uint32_t elapsed_ms);
    void *slow_ctx;
    ex_status (*on_connected)(void *ctx, ex_pg *pg, ex_error *err); /* nullable */
    void *connected_ctx;
    int wake_fd; /* eventfd: cancel and wake */

    /* the owner's */
    PGconn *conn;          /* NULL: broken */
    int pid;               /* of the session on the server, whatever stands in between */
    uint64_t connected_ns; /* since when */
    uint64_t deadline_ns;  /* ex_pg_set_deadline */
    uint64_t unanswered;   /* bytes of arguments that were sent since the last result */
    uint32_t statement_timeout_ms;
    ex_map statements; /* types and text -> pg_statement */
    uint64_t names;    /* of statements, ever */
    pg_entry *queue;   /* a ring */
    size_t queue_at, queue_count, queue_capacity;
    size_t pending;     /* queries in the queue that were synced */
    size_t unsynced;    /* queries after the last sync */
    uint64_t waited_ns; /* since when the server works on the next result; 0: unknown */
    ex_pg_tx tx;
    char sqlstate[PG_SQLSTATE_SIZE];

    /* any thread */
    atomic_bool is_cancelled;
    atomic_bool is_woken;
};

/* pg_value.c */
EX_NODISCARD ex_status pg_args_status(const ex_pg_args *a, ex_error *err);

/* pg_connect.c: a connection of libpq's, within the limit; errors as ex_pg_open's. */
EX_NODISCARD ex_status pg_connect(const ex_pg_target *target, pg_limit limit,
                                  char ret_sqlstate[PG_SQLSTATE_SIZE], PGconn **ret, ex_error *err);

/* pg_beside.c: over a short connection of its own to the same server */
/* Ask the server to cancel what this connection does. */
void pg_cancel_on_server(ex_pg *pg);
/* Nothing was heard for `silent_ms`: does the server say that nothing will come any more? With
 * `may_end` it then has ended the session, so that its locks are free. Never so through a socket of
 * this machine. Blocking: two seconds at most. */
bool pg_is_flow_dead(ex_pg *pg, uint64_t silent_ms, bool may_end, pg_limit limit);
/* pg_connect.c, for it: the server that this connection is with, whichever of the list that is. */
EX_NODISCARD ex_status pg_connect_same(const ex_pg *pg, pg_limit limit, PGconn **ret);

/* pg_wait.c */
uint64_t pg_now_ns(void);
/* `ms` from now; UINT64_MAX for EX_PG_NO_TIMEOUT. */
uint64_t pg_deadline(uint32_t ms);
/* The same as a limit, and no longer than all of the connection's work may take. */
pg_limit pg_limit_of(const ex_pg *pg, uint32_t ms);
/* The earlier one. */
pg_limit pg_limit_within(pg_limit limit, uint32_t ms);
bool pg_is_over(pg_limit limit);
/** When a statement that begins now is given up: the server gives it up a moment before. */
pg_limit pg_statement_limit(const ex_pg *pg);
/* Poll one descriptor and (when >= 0) wake_fd. True: something happened. */
bool pg_poll(int fd, short events, int wake_fd, pg_limit limit);
/* Wait until libpq has a result or the connection is lost; sends what is left meanwhile.
 * EX_OK, EX_EAGAIN, EX_ETIMEOUT, EX_ECANCELLED: all but EX_OK have broken the connection. */
EX_NODISCARD ex_status pg_wait_result(ex_pg *pg, pg_limit limit, ex_error *err);

/* pg_statement.c */
/* The statement for text and types, one reference taken. NULL: no memory. */
pg_statement *pg_statement_get(ex_pg *pg, ex_slice sql, const ex_pg_args *args);
void pg_statement_unref(pg_statement *s);
/* Its name is of no use any more: prepare under another at the next use. */
void pg_statement_forget(ex_pg *pg, pg_statement *s);
/* A new connection knows none of the old one's. */
void pg_statements_reset(ex_pg *pg);

/* pg_conn.c */
/* End the connection, forget the queue. Returns `st`. */
ex_status pg_break(ex_pg *pg, ex_status st);
/* Raise the failure that a result holds (NULL: the connection's); notes its SQLSTATE. */
ex_status pg_raise_result(ex_pg *pg, const PGresult *result, ex_error *err);
ex_status pg_raise_broken(ex_pg *pg, ex_error *err);
/* Does this status of a result begin a COPY? Then libpq gives the same result for ever. */
bool pg_is_copy(ExecStatusType kind);
/* The end of the connection for it. */
ex_status pg_refuse_copy(ex_pg *pg, ex_error *err);
/* Take over what libpq knows of the transaction. */
void pg_note_tx(ex_pg *pg);

#endif
