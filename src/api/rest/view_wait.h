/* view_wait.h: queries that wait until their view has seen a position, and reads that wait until
 * the log has reached one, without holding a thread each.
 *
 * One thread looks at the views that somebody waits for, and at the log, every few
 * milliseconds. Nothing waits in the log's hot path, and a slow view cannot use up
 * the threads that answer others. */
#ifndef EXCORE_API_REST_VIEW_WAIT_H
#define EXCORE_API_REST_VIEW_WAIT_H

#include <excore/runtime.h>

typedef struct view_waits view_waits;
typedef struct view_wait view_wait;

#define VIEW_WAIT_LOG       UINT32_MAX /* the log may be there, as far as this node has heard */
#define VIEW_WAIT_PUBLISHED (UINT32_MAX - 1) /* ex_store_head is there */

/** One that waits; embedded in the caller's object. */
struct view_wait {
    /* set by the caller */
    uint32_t view; /* index for ex_runtime_view_status, or one of the above */
    uint64_t min_position;
    uint64_t earliest_ns;    /* not over before, but for the deadline and the end; 0: at once */
    uint64_t deadline_ns;    /* ex_monotonic_ns */
    const ex_cancel *cancel; /* ends the wait early; nullable */
    /** On the waiting thread, without a lock held; must not block. */
    void (*done)(view_wait *w);
    /* private */
    view_wait *next;
};

/** @param rt nullable: only the log is waited for
 *  @param limit most that wait at a time */
EX_NODISCARD ex_status view_waits_start(ex_runtime *rt, ex_store *store, const ex_clock *clock,
                                        uint32_t limit, view_waits **ret, ex_error *err);
/** Nobody waits any more. NULL is accepted. */
void view_waits_stop(view_waits *v);
/** `done` is called when the view is there or the time is up or the end is asked for; all ways it
 * asks the query itself.
 *  @return EX_OK, EX_EOVERLOADED. Thread: any. */
EX_NODISCARD ex_status view_waits_add(view_waits *v, view_wait *w, ex_error *err);

/** The index of the view that a query reads; false when there is no such query. */
bool view_of_query(ex_runtime *rt, ex_slice context, ex_slice query, uint32_t *ret);
/** True when the view has seen the position. */
bool view_has_seen(ex_runtime *rt, uint32_t view, uint64_t position);

#endif
