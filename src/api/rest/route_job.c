/* route_job.c: see route_job.h. */
#include "api/rest/route_job.h"

#include "api/rest/json_fields.h"

/* ---- Those that can be cancelled ---- */

/* @return whether the server is stopping */
static bool unlist(route_job *j)
{
    api *a = j->api;
    if (!j->cancel)
        return false;
    (void)pthread_mutex_lock(&a->jobs_mu);
    link_remove(&j->link);
    bool is_stopping = a->is_stopping;
    (void)pthread_mutex_unlock(&a->jobs_mu);
    ex_cancel_free(j->cancel);
    j->cancel = NULL;
    return is_stopping;
}

/* What nobody waits for is not worked out to its end, by the database either. */
static void on_gone(void *arg)
{
    route_job *j = arg;
    ex_cancel_request(j->cancel);
}

ex_status route_job_enter_cancellable(route_job *j, ex_cancel **ret, ex_error *err)
{
    api *a = j->api;
    ex_status st = route_job_enter(j, err);
    if (st)
        return st;
    st = ex_cancel_new(&j->cancel, err);
    if (st) {
        route_job_leave(j);
        return st;
    }
    (void)pthread_mutex_lock(&a->jobs_mu);
    link_push(&a->jobs, &j->link);
    if (a->is_stopping)
        ex_cancel_request(j->cancel);
    (void)pthread_mutex_unlock(&a->jobs_mu);
    http_on_gone(j->x, on_gone, j);
    *ret = j->cancel;
    return EX_OK;
}

void route_jobs_cancel(api *a)
{
    (void)pthread_mutex_lock(&a->jobs_mu);
    a->is_stopping = true;
    for (http_link *l = a->jobs.next; l != &a->jobs; l = l->next)
        ex_cancel_request(LINK_OWNER(l, route_job, link)->cancel);
    (void)pthread_mutex_unlock(&a->jobs_mu);
}

/* ---- The way of a job ---- */

/* In development who asks is who has to know. Elsewhere it is in the log only (problem.c). */
static void put_cause(void *ctx, const ex_error *err, ex_json_writer *w)
{
    route_job *j = ctx;
    if (j->problem)
        j->problem(j, err, w);
    int http_status = err->http_status ? err->http_status : ex_status_http(err->status);
    bool is_shown = err->status == EX_EAGAIN || err->status == EX_EOVERLOADED ||
                    err->status == EX_ECLOSED || err->status == EX_ETIMEOUT;
    if (j->api->options.shows_causes && http_status >= 500 && !is_shown && err->message[0])
        ex_json_string_member(w, EX_S("cause"), ex_str(err->message));
}

static void on_posted(void *arg)
{
    route_job *j = arg;
    gate *g = &j->api->gate; /* the job goes with the exchange */
    ex_buf out = j->out;
    ex_status st = j->status;
    bool is_stopping = unlist(j);
    http_count_memory(j->x, 0);
    if (st == EX_ECANCELLED && is_stopping)
        st = ex_raise(&j->err, EX_ECLOSED, "the server is stopping");
    if (!st)
        st = j->answer(j, &out, &j->err);
    if (st)
        http_respond_problem(j->x, &j->err, put_cause, j);
    ex_buf_done(&out);
    gate_leave(g);
}

void *route_job_new(http_exchange *x, api *a, size_t size, route_job_answer *answer)
{
    route_job *j = ex_arena_zalloc(http_arena(x), size);
    if (!j) {
        ex_error err = {0};
        if (field_no_memory(&err)) /* always */
            http_respond_error(x, &err);
        return NULL;
    }
    j->api = a;
    j->x = x;
    j->answer = answer;
    j->post = (ex_post){.fn = on_posted, .arg = j};
    ex_buf_init(&j->out, 0);
    return j;
}

ex_status route_job_enter(route_job *j, ex_error *err)
{
    http_count_memory(j->x, 0);
    return gate_enter(&j->api->gate, err);
}

void route_job_leave(route_job *j)
{
    if (j->cancel)
        http_on_gone(j->x, NULL, NULL);
    (void)unlist(j); /* the refusal says whether it stops */
    gate_leave(&j->api->gate);
}

void route_job_note_log(route_job *j)
{
    j->log = log_token_cached(&j->api->log_texts, j->api->options.store);
}

void route_job_add_log(route_job *j)
{
    if (j->log.len)
        http_add_header(j->x, LOG_TOKEN_HEADER, j->log);
}

void route_job_post(route_job *j, ex_status status, const ex_error *err)
{
    j->status = status;
    if (status && err != &j->err)
        j->err = *err;
    ex_loop_post(http_loop(j->x), &j->post);
}

/* On a pool's thread. */
static void work(void *arg)
{
    route_job *j = arg;
    j->goes_on = false;
    ex_status st = j->work(j, &j->out, &j->err);
    if (st == ROUTE_JOB_PARKED)
        return;
    if (st == EX_OK && j->goes_on) {
        ex_workers_submit_again(j->pool, work, j);
        return;
    }
    if (!st && ex_buf_status(&j->out))
        st = ex_raise(&j->err, ex_buf_status(&j->out), "no memory for the answer");
    http_settle_room(j->x, j->out.cap);
    route_job_post(j, st, &j->err);
}

ex_status route_job_queue(route_job *j, ex_workers *pool, route_job_work *fn, size_t limit_bytes,
                          ex_error *err)
{
    j->work = fn;
    j->pool = pool;
    ex_buf_init(&j->out, limit_bytes);
    return ex_workers_submit(pool, work, j, err);
}

ex_status route_job_run(route_job *j, ex_workers *pool, route_job_work *fn, size_t limit_bytes,
                        ex_error *err)
{
    ex_status st = route_job_enter(j, err);
    if (st)
        return st;
    st = route_job_queue(j, pool, fn, limit_bytes, err);
    if (st)
        route_job_leave(j);
    return st;
}
