/* view_settle.h: what is to be done with the parked events of a view: asked for by anybody who can
 * write the database of the views, done by the node that applies the view's events.
 *
 *     state     how it came to be              what follows
 *     --------  -----------------------------  -------------------------------------------------
 *     parked    the view left the event out    somebody asks for a retry, or skips it
 *     retry     somebody asked                 within a second the runner applies it: the row goes,
 *                                              or is parked again (view_retry.c)
 *     skipped   somebody said why              nothing, also after a rebuild; it may be retried
 *
 * A retry that is asked for while nothing runs is done by the next start. */
#ifndef EXCORE_RUNTIME_VIEW_SETTLE_H
#define EXCORE_RUNTIME_VIEW_SETTLE_H

#include "sql/sql.h"

#include <excore/clock.h>
#include <excore/runtime.h>

#define VIEW_SETTLE_BY_MAX   200
#define VIEW_SETTLE_NOTE_MAX 1000

/** Ask for one event, or for all that are parked (position 0).
 *  @param ret_asked how many @param ret_stamp for view_settle_look
 *  @return EX_OK, EX_ENOTFOUND (that event is not parked), EX_EINVAL (`by`) */
EX_NODISCARD ex_status view_settle_retry(ex_sql *db, const ex_clock *clock, const char *view,
                                         uint64_t position, ex_slice by, uint64_t *ret_asked,
                                         int64_t *ret_stamp, ex_error *err);
/** What has become of those that were asked for. */
EX_NODISCARD ex_status view_settle_look(ex_sql *db, const char *view, int64_t stamp, uint64_t asked,
                                        ex_view_retried *ret, ex_error *err);
/** @return EX_OK, EX_ENOTFOUND (it is not parked), EX_EINVAL (no reason, or too long) */
EX_NODISCARD ex_status view_settle_skip(ex_sql *db, const ex_clock *clock, const char *view,
                                        uint64_t position, ex_slice by, ex_slice reason,
                                        ex_error *err);
/** Parked and skipped ones after a position, in order. */
EX_NODISCARD ex_status view_settle_list(ex_sql *db, const char *view, uint64_t after,
                                        uint32_t limit, ex_parked_fn *fn, void *ctx, ex_error *err);
/** "parked", "retry", "skipped" */
const char *view_settle_state_name(ex_parked_state state);

/* ---- For the runner ---- */

/** The first event that somebody wants to be retried; 0: none. */
EX_NODISCARD ex_status view_settle_next(ex_sql *db, const char *view, uint64_t *ret, ex_error *err);
EX_NODISCARD ex_status view_settle_applied(ex_sql *db, const char *view, uint64_t position,
                                           ex_error *err);
EX_NODISCARD ex_status view_settle_failed(ex_sql *db, const ex_clock *clock, const char *view,
                                          uint64_t position, const char *reason, ex_error *err);

#endif
