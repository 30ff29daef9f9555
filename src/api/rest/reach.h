/* reach.h: reads that must see something: min_position=N and consistency=current.
 *
 * Several nodes may share the log; what one has appended another hears a moment
 * later. A read with min_position goes up to that position at least, whatever this
 * node has heard so far: when it does not know it the database is asked, and when
 * the database does not have it yet the read waits, without holding a thread, for
 * min_position_timeout_ms: then it is 504 TIMEOUT. consistency=current asks the
 * database where the log ends and then reads up to there. */
#ifndef EXCORE_API_REST_REACH_H
#define EXCORE_API_REST_REACH_H

#include "api/rest/route_job.h"

typedef struct reach {
    /* of the request */
    uint64_t min_position;
    bool is_current;
    /* set by reach_prepare */
    route_job *job;
    ex_workers *pool;
    route_job_work *work;
    size_t limit_bytes;
    uint64_t deadline_ns;
    /* the thread's that works */
    uint64_t bound; /* the log is there: reads go up to it at least */
    bool has_asked; /* is_current: `bound` is the database's word */
    view_wait wait;
} reach;

#define REACH_PARAMS                                                                               \
    {"min_position", false},                                                                       \
    {                                                                                              \
        "consistency", false                                                                       \
    }

/** Read the two parameters. @return EX_OK, EX_EINVAL (field) */
EX_NODISCARD ex_status reach_read_params(const http_exchange *x, reach *r, ex_error *err);
bool reach_is_asked(const reach *r);

/** Before the job, which can be cancelled, is queued: how the work is queued again. */
void reach_prepare(reach *r, route_job *j, ex_workers *pool, route_job_work *work,
                   size_t limit_bytes);
/** As route_job_run, for work that calls reach_look; the work ends with its client when it waits.
 *  @return EX_OK, EX_ECLOSED, EX_EOVERLOADED, EX_ENOMEM */
EX_NODISCARD ex_status reach_run(reach *r, route_job *j, ex_workers *pool, route_job_work *work,
                                 size_t limit_bytes, ex_error *err);
/** Inside the work, before anything is written: is the log there? Sets `bound`.
 *  @param is_published this node must have published it as well, for those who follow
 *  @return EX_OK; ROUTE_JOB_PARKED (return it at once and touch nothing: the work comes again);
 *          EX_ETIMEOUT (it did not come in time); as ex_store_current_head. Blocking: a query */
EX_NODISCARD ex_status reach_look(reach *r, bool is_published, ex_error *err);

#endif
