/* view.h: read models: tables, a handler for each event, named queries.
 *
 * A view's tables are described by ex_types (the field marked EX_KEY is the
 * primary key) and created by the runtime. Its handlers run on the view's
 * thread, in log order, inside one transaction with the view's checkpoint, so
 * every event counts once. A view can be deleted and is rebuilt from the log;
 * raising its version rebuilds it. A handler may be called more often than that,
 * without effect: again after a failure, and on PostgreSQL first of all to see
 * which rows it loads (then a load may give EX_EAGAIN, and is to be returned like
 * any failure). So it acts through `tx` alone.
 *
 *     static ex_status when_confirmed(ex_view_tx *tx, const order_confirmed *e, const ex_event
 * *event)
 *     {
 *         order_summary *row = NULL;
 *         ex_status st = ex_row_load(tx, order_summary, e->order_id, &row);
 *         if (st)
 *             return st;
 *         row->status = ORDER_CONFIRMED;
 *         return ex_row_store(tx, order_summary, row);
 *     }
 *
 *     #define ORDER_SUMMARY_EVENTS(WHEN)  WHEN(order_confirmed, when_confirmed)
 *     EX_VIEW(order_summary, "order_summary", 1, ORDER_SUMMARY_EVENTS);
 *
 * A function may stand in several rows, as in aggregate.h; `event->type` says
 * which event it is.
 *
 * The macro defines `const ex_view_def order_summary_view`, with a table order_summary. The
 * columns of its indexes may follow. A view of several tables, each with indexes
 * of its own, names them:
 *
 *     EX_VIEW_OF(orders, "orders", 1, ORDERS_EVENTS,
 *                EX_TABLE(order_summary, "customer_id, order_id", "status, order_id"),
 *                EX_TABLE(order_line, "product_id"),
 *                EX_TABLE(customer_total));
 *
 * Its handlers and its queries work with all of them. */
#ifndef EXCORE_VIEW_H
#define EXCORE_VIEW_H

#include <excore/event.h>
#include <excore/type.h>

EX_BEGIN_DECLS

/** The transaction in which a handler runs. */
typedef struct ex_view_tx ex_view_tx;

/** Load a row by key into the transaction's arena. @return EX_OK, EX_ENOTFOUND, or a failure to
 * return */
#define ex_row_load(tx, row_type, key, ret)                                                        \
    ex_view_load((tx), &row_type##_type, (key), (void **)(1 ? (ret) : (row_type **)0))
/** Insert or replace a row. */
#define ex_row_store(tx, row_type, row)                                                            \
    ex_view_store((tx), &row_type##_type, (const void *)(1 ? (row) : (const row_type *)0))
/** `ex_row_put(tx, order_summary, .order_id = …)`: the same with the fields in place. */
#define ex_row_put(tx, row_type, ...)                                                              \
    ex_view_store((tx), &row_type##_type, &(row_type){__VA_ARGS__})
/** Delete a row; one that is not there is fine. */
#define ex_row_delete(tx, row_type, key) ex_view_delete((tx), &row_type##_type, (key))

EX_API EX_NODISCARD ex_status ex_view_load(ex_view_tx *tx, const ex_type *row, ex_slice key,
                                           void **ret);
EX_API EX_NODISCARD ex_status ex_view_store(ex_view_tx *tx, const ex_type *row, const void *value);
EX_API EX_NODISCARD ex_status ex_view_delete(ex_view_tx *tx, const ex_type *row, ex_slice key);
/** Memory until the handler returns. */
EX_API ex_arena *ex_view_arena(ex_view_tx *tx);
/** A handler's own failure: what it did is undone and tried again later, the view's status shows
 * the text. With a retryable status it is tried until it works; with another one the event is
 * parked when it is out of attempts, and the view goes on without it. */
EX_API ex_status ex_view_error(ex_view_tx *tx, ex_status status, const char *fmt, ...)
    EX_PRINTF(3, 4);

typedef ex_status ex_when_fn(ex_view_tx *tx, const void *data, const ex_event *event);

typedef struct ex_when_def {
    const ex_type *type; /* the event's type */
    ex_when_fn *when;
} ex_when_def;

typedef struct ex_table_def {
    const ex_type *row;         /* the table is named as it in snake case; no other table is */
    const char *const *indexes; /* "customer_id, status DESC": columns of this table */
    uint32_t index_count;
} ex_table_def;

typedef struct ex_view_def {
    const char *name; /* [a-z][a-z0-9_]* */
    uint32_t version; /* from 1; raising it rebuilds the view */
    const ex_table_def *tables;
    uint32_t table_count;
    const ex_when_def *events;
    uint32_t event_count;
} ex_view_def;

/* ---- Queries ---- */

typedef enum ex_query_kind {
    EX_QUERY_PAGE,
    EX_QUERY_LIST,
    EX_QUERY_SINGLE,
    EX_QUERY_COUNT
} ex_query_kind;

/** A named query: a SELECT over the view's tables with :name parameters.
 *
 *  It is tried at start, on empty tables: parameters, columns and their kinds, tables
 * (docs/views.md, `excore check`). `sql` is for SQLite and PostgreSQL alike. What they read alike
 * and answer differently is refused at start, on both, with the words at fault: docs/views.md in
 * the source has the list. A query that needs more is written once for each engine that is used,
 * and then may hold anything:
 *
 *      .on_sqlite = "SELECT …, json_extract(notes, '$[0]') AS first_note FROM …",
 *      .on_postgres = "SELECT …, notes::json ->> 0 AS first_note FROM …", */
typedef struct ex_query_def {
    const char *name; /* in the route: "open-orders" */
    const ex_view_def *view;
    ex_query_kind kind;
    const ex_type *params; /* NULL: none. Optional members bind NULL when absent */
    const ex_type *row;    /* result columns by name; COUNT: NULL */
    const char *sql;       /* without ORDER BY and LIMIT; NULL when both of the next are there */
    const char *on_sqlite; /* used instead of sql on that engine */
    const char *on_postgres;
    /* PAGE, LIST: result columns that order rows, none optional; between equal rows the key
     * decides, the row type's EX_KEY field or one named as a table's key */
    const char *order_by[4];
    bool is_descending; /* all of order_by */
    const char *doc;
} ex_query_def;

/* clang-format off */
#ifndef __cplusplus
/* Named by the event too, so that a function may stand in several rows. */
#define EX_WHEN_WRAPPER_(event_type, function)                                                     \
    static ex_status event_type##_##function(ex_view_tx *tx, const void *data,                     \
                                             const ex_event *event)                                \
    {                                                                                              \
        return function(tx, (const event_type *)data, event);                                      \
    }
#define EX_WHEN_ROW_(event_type, function) {&event_type##_type, event_type##_##function},

/** A table of a view: its row type, then the columns of each index: EX_TABLE(line, "order_id, line_no DESC"). */
#define EX_TABLE(row_type, ...)                                                                    \
    {&row_type##_type, (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL},                     \
     sizeof((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}) / sizeof(char *) - 1}

/** Define `const ex_view_def NAME_view` with the tables that follow, each an EX_TABLE. */
#define EX_VIEW_OF(name, view_name, view_version, EVENTS, ...)                                     \
    EVENTS(EX_WHEN_WRAPPER_)                                                                       \
    static const ex_when_def name##_events[] = {EVENTS(EX_WHEN_ROW_)};                             \
    static const ex_table_def name##_tables[] = {__VA_ARGS__};                                     \
    const ex_view_def name##_view = {                                                              \
        (view_name), (view_version),                                                               \
        name##_tables, sizeof(name##_tables) / sizeof(name##_tables[0]),                           \
        name##_events, sizeof(name##_events) / sizeof(name##_events[0])}
/** The same with one table: further arguments are the columns of its indexes. */
#define EX_VIEW(row_type, view_name, view_version, EVENTS, ...)                                    \
    EX_VIEW_OF(row_type, view_name, view_version, EVENTS,                                          \
               EX_TABLE(row_type __VA_OPT__(, ) __VA_ARGS__))
#endif
/* clang-format on */

EX_END_DECLS

#endif
