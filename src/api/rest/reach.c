/* reach.c: see reach.h. */
#include "api/rest/reach.h"

#include "api/rest/request.h"
#include "store/head_known.h"

#define NS_PER_MS UINT64_C(1000000)
#define AGAIN_MS  20 /* what was heard was not so: not at once */

/* ---- Parameters ---- */

static ex_status read_consistency(const http_exchange *x, reach *r, ex_error *err)
{
    bool is_given = false;
    ex_slice text = http_query(x, "consistency", &is_given);
    r->is_current = ex_slice_is(text, "current");
    if (!is_given || r->is_current || ex_slice_is(text, "node"))
        return EX_OK;
    ex_status st =
        ex_raise(err, EX_EINVAL, "query parameter \"consistency\" must be node or current");
    ex_error_set_field(err, EX_S("consistency"));
    return st;
}

ex_status reach_read_params(const http_exchange *x, reach *r, ex_error *err)
{
    ex_status st = request_u64(x, "min_position", &r->min_position, err);
    return st ? st : read_consistency(x, r, err);
}

bool reach_is_asked(const reach *r)
{
    return r->min_position || r->is_current;
}

/* ---- Waiting ---- */

static void on_waited(view_wait *w)
{
    reach *r = (reach *)(void *)((char *)w - offsetof(reach, wait));
    ex_error err = {0};
    ex_status st = route_job_queue(r->job, r->pool, r->work, r->limit_bytes, &err);
    if (st) /* else the job is the working thread's now */
        route_job_post(r->job, st, &err);
}

static uint64_t now_ns(const reach *r)
{
    return ex_monotonic_ns(r->job->api->options.clock);
}

static ex_status park(reach *r, uint32_t what, uint64_t position, uint64_t head, ex_error *err)
{
    if (ex_cancel_is_requested(r->job->cancel))
        return ex_raise(err, EX_ECANCELLED, "nobody waits for the log any more");
    if (now_ns(r) >= r->deadline_ns)
        return ex_raise(err, EX_ETIMEOUT, "the log is at position %llu, not yet at %llu",
                        (unsigned long long)head, (unsigned long long)position);
    bool is_again = r->wait.done != NULL;
    r->wait = (view_wait){.view = what,
                          .min_position = position,
                          .earliest_ns = is_again ? now_ns(r) + AGAIN_MS * NS_PER_MS : 0,
                          .deadline_ns = r->deadline_ns,
                          .cancel = r->job->cancel,
                          .done = on_waited};
    ex_status st = view_waits_add(r->job->api->view_waits, &r->wait, err);
    return st ? st : ROUTE_JOB_PARKED;
}

/* ---- Work ---- */

void reach_prepare(reach *r, route_job *j, ex_workers *pool, route_job_work *work,
                   size_t limit_bytes)
{
    r->job = j;
    r->pool = pool;
    r->work = work;
    r->limit_bytes = limit_bytes;
    r->deadline_ns = now_ns(r) + j->api->options.min_position_timeout_ms * NS_PER_MS;
}

ex_status reach_run(reach *r, route_job *j, ex_workers *pool, route_job_work *work,
                    size_t limit_bytes, ex_error *err)
{
    ex_cancel *cancel = NULL;
    if (!reach_is_asked(r))
        return route_job_run(j, pool, work, limit_bytes, err);
    ex_status st = route_job_enter_cancellable(j, &cancel, err);
    if (st)
        return st;
    reach_prepare(r, j, pool, work, limit_bytes);
    st = route_job_queue(j, pool, work, limit_bytes, err);
    if (st)
        route_job_leave(j);
    return st;
}

static ex_status ask(reach *r, ex_error *err)
{
    ex_status st = ex_store_current_head(r->job->api->options.store, &r->bound, err);
    r->has_asked |= st == EX_OK;
    return st;
}

ex_status reach_look(reach *r, bool is_published, ex_error *err)
{
    if (!reach_is_asked(r))
        return EX_OK;
    ex_store *store = r->job->api->options.store;
    uint64_t known = ex_store_head(store);
    ex_status st = EX_OK;
    if (r->is_current && !r->has_asked)
        st = ask(r, err);
    if (st == EX_OK && r->bound < r->min_position) {
        if (known < r->min_position)
            st = ask(r, err);
        else
            r->bound = r->min_position;
    }
    if (st)
        return st;
    if (r->bound < r->min_position)
        return park(r, VIEW_WAIT_LOG, r->min_position, r->bound, err);
    if (!is_published || known >= r->bound)
        return EX_OK;
    ex_store_look(store);
    return park(r, VIEW_WAIT_PUBLISHED, r->bound, known, err);
}
