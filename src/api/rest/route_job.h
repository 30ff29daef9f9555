/* route_job.h: a request that is answered after work on another thread.
 *
 *   loop             route_job_new, in the exchange's arena; the route reads the request into it
 *   loop             route_job_run, or route_job_enter and a hand-over of the route's own
 *   another thread   the work, then one route_job_post (a pool's work is posted by itself)
 *   loop             `answer`, or the problem when the work failed
 *
 * Long work is done in slices: it sets `goes_on` and returns, and is called again when others have
 * had their turn.
 *
 * From entering to the answer the job is inside the api's gate, so api_stop waits for it. Whether
 * the client is still there is not asked: answering one that has gone does nothing. Private to
 * api/rest. */
#ifndef EXCORE_API_REST_ROUTE_JOB_H
#define EXCORE_API_REST_ROUTE_JOB_H

#include "api/rest/context.h"

/** Put the answer into `out`, or take what the work put there, and respond: that gives the exchange
 *  back, and the job with it. Not EX_OK: it has not responded, and `err` says why. Loop thread. */
typedef ex_status route_job_answer(void *job, ex_buf *out, ex_error *err);
/** Work that may block. A failure of `out` is looked at by the caller. Worker thread. */
typedef ex_status route_job_work(void *job, ex_buf *out, ex_error *err);

/** What the work returns when it has handed the job to somebody who queues it again or posts it:
 *  whoever called the work touches it no more. */
#define ROUTE_JOB_PARKED EX_EEND

/** The first member of a route's own struct, which is what the functions get as `job`. */
typedef struct route_job {
    /* loop thread, then read only */
    api *api;
    http_exchange *x;
    route_job_answer *answer;
    route_job_work *work;
    http_problem_fn *problem; /* of a failure, with the job; NULL: the error says it all */
    ex_post post;
    ex_cancel *cancel; /* NULL: it runs to its end */
    http_link link;    /* of those that can be cancelled: in api.jobs, under its lock */
    ex_workers *pool;
    /* written by the thread that works, read after the post */
    bool goes_on; /* set by work that is not done: call it again */
    ex_status status;
    ex_error err;
    ex_buf out;
    ex_slice log; /* that the answer's positions are of, as text of the api */
} route_job;

/** A zeroed job of `size` bytes. NULL: there was no memory, which has been answered. */
void *route_job_new(http_exchange *x, api *a, size_t size, route_job_answer *answer);
/** Enter, and queue for a pool.
 *  @return EX_OK, EX_ECLOSED, EX_EOVERLOADED */
EX_NODISCARD ex_status route_job_run(route_job *j, ex_workers *pool, route_job_work *work,
                                     size_t limit_bytes, ex_error *err);

/* ---- The steps, for a hand-over of the route's own ---- */

/** @return EX_OK, EX_ECLOSED */
EX_NODISCARD ex_status route_job_enter(route_job *j, ex_error *err);
/** The same for work that looks at *ret: it is to end when the client has gone or the server stops,
 *  then with EX_ECANCELLED (R-02-10).
 *  @param ret the job's
 *  @return EX_OK, EX_ECLOSED, EX_ENOMEM */
EX_NODISCARD ex_status route_job_enter_cancellable(route_job *j, ex_cancel **ret, ex_error *err);
/** The hand-over failed: nobody will post. */
void route_job_leave(route_job *j);
/** Have a pool's thread do the work, with an `out` of at most limit_bytes, and post. Thread: any.
 *  @return EX_OK, EX_ECLOSED, EX_EOVERLOADED */
EX_NODISCARD ex_status route_job_queue(route_job *j, ex_workers *pool, route_job_work *work,
                                       size_t limit_bytes, ex_error *err);
/** Remember which log the positions of the answer are of. On the thread that works: before it reads
 *  any, or, on the sequencer's thread, in `done`, when they are written. */
void route_job_note_log(route_job *j);
/** Say so in the answer's headers. Loop thread. */
void route_job_add_log(route_job *j);
/** The work is done; a failure's `err` is copied. Thread: any. */
void route_job_post(route_job *j, ex_status status, const ex_error *err);

/** End the cancellable work under way, and what comes later. Thread: any. */
void route_jobs_cancel(api *a);

#endif
