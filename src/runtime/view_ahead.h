/* view_ahead.h: the events of a view's next transaction, and a look at which rows they need.
 *
 * On a server, where a row costs a round trip. The events are taken from the subscription first.
 * Then their handlers run without effect: what they store does not count, and one that loads a row
 * which is not known yet is told EX_EAGAIN and ends there. All these rows are read at once, and the
 * handlers that were stopped run again, for those that load another row then. What is still not
 * known when the events are applied is read one by one. */
#ifndef EXCORE_RUNTIME_VIEW_AHEAD_H
#define EXCORE_RUNTIME_VIEW_AHEAD_H

#include "store/chunk.h"

#include <excore/view.h>

struct view_runner;

typedef struct view_ahead_item {
    const ex_when_def *when; /* NULL: the view does not handle it */
    void *data;              /* the event as its type; NULL: not read, or it cannot be */
    bool is_blocked;
} view_ahead_item;

typedef struct view_window {
    chunk events; /* copied: the subscription lends them until its next call only */
    view_ahead_item *items;
    size_t taken;
    ex_arena arena;    /* of items and their data */
    bool is_drained;   /* nothing more was in memory: then the subscription has passed over … */
    uint64_t position; /* … everything up to here */
    ex_id id;
} view_window;

void view_window_init(view_window *w);
void view_window_done(view_window *w);
/** `first` and what follows it in memory, up to a transaction's worth. @return EX_OK, EX_ENOMEM */
EX_NODISCARD ex_status view_window_fill(struct view_runner *r, const ex_event *first,
                                        ex_error *err);
/** Read the rows that its events need, in the transaction. Failures are the transaction's. */
EX_NODISCARD ex_status view_window_look(struct view_runner *r, ex_view_tx *tx);
/** The next one, NULL at the end. *ret_item may have its data. */
const ex_event *view_window_next(view_window *w, const view_ahead_item **ret_item);

#endif
