/* views.c: start and stop of the read models. */
#include "runtime/views.h"

#include "runtime/app_check.h"
#include "runtime/query_sql.h"

#include "runtime/view_damage.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS        10000 /* for a free connection */
#define LEASES_WAIT_MS 2000
#define STOP_MS        1000 /* for queries under way, before they are cancelled */
#define CACHE_BYTES    (8u << 20)

/* A statement that an operator should look at. */
static void report_slow(void *ctx, ex_slice sql, uint32_t elapsed_ms)
{
    char text[2048];
    ex_error err;
    (void)snprintf(text, sizeof(text), "%.*s", EX_ARG(sql)); /* cut is fine: for people */
    (void)ex_raise(&err, EX_ETIMEOUT, "it took %u ms", elapsed_ms);
    runtime_report(ctx, "slow statement", text, &err);
}

static ex_status migrate(views *v, ex_error *err)
{
    ex_sql *db = NULL;
    ex_status st = ex_sql_pool_take(v->pool, EX_SQL_WRITE, &db, err);
    if (st)
        return st;
    v->engine = ex_sql_engine_of(db);
    st = view_store_migrate(db, v->rt->clock, err);
    ex_sql_pool_give(v->pool, db);
    return st;
}

static ex_status open_pool(views *v, const ex_sql_pool_options *options, ex_error *err)
{
    ex_status st = ex_sql_pool_open(options, &v->pool, err);
    return st ? st : migrate(v, err);
}

/* A damaged file is set aside: the log has all that was in it. */
static ex_status open_whole(views *v, const ex_sql_pool_options *options, ex_error *err)
{
    const char *dir = v->rt->options.dir;
    ex_error why = {0};
    ex_status st = EX_ECORRUPT;
    if (view_damage_is_noted(dir)) {
        (void)ex_raise(&why, st, "it was found damaged while it was last in use");
    } else {
        st = open_pool(v, options, &why);
        if (st != EX_ECORRUPT || !dir || ex_sql_is_server(dir)) {
            if (st && err)
                *err = why;
            return st;
        }
        ex_sql_pool_free(v->pool);
        v->pool = NULL;
    }
    st = view_damage_set_aside(dir, err);
    if (st)
        return st;
    v->was_damaged = true;
    runtime_report(v->rt,
                   "views are built anew from the log: views.db was damaged and is set aside",
                   VIEW_DAMAGE_ASIDE, &why);
    return open_pool(v, options, err);
}

static ex_status open_database(views *v, uint32_t view_count, ex_error *err)
{
    char path[PATH_MAX];
    const char *dir = v->rt->options.dir;
    bool is_server = dir && ex_sql_is_server(dir);
    uint32_t readers = v->rt->options.query_readers;
    ex_sql_pool_options options = {.conn = {.cache_bytes = CACHE_BYTES,
                                            .query_timeout_ms = v->rt->options.query_timeout_ms,
                                            .on_slow = report_slow,
                                            .slow_ctx = v->rt,
                                            .slow_ms = v->rt->options.slow_statement_ms,
                                            .end_ns = &v->rt->end_ns},
                                   .min_conns = 1,
                                   /* on a server each view writes on a connection of its own */
                                   .max_conns = readers + (is_server ? view_count : 0),
                                   .wait_ms = WAIT_MS,
                                   .clock = v->rt->clock};
    ex_status st = view_store_place(dir, path, &options.conn, err);
    st = st ? st : open_whole(v, &options, err);
    return st ? ex_error_context(err, st, is_server ? "the schema of the views" : "views.db")
              : EX_OK;
}

static uint32_t count_views(const ex_app *app)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < app->context_count; c++)
        count += app->contexts[c]->view_count;
    return count;
}

/* A query that is written for one engine must be written for this one. */
static ex_status check_engine(const views *v, ex_error *err)
{
    const ex_app *app = v->rt->app;
    for (uint32_t c = 0; c < app->context_count; c++) {
        for (uint32_t i = 0; i < app->contexts[c]->query_count; i++) {
            const ex_query_def *q = app->contexts[c]->queries[i];
            bool is_sqlite = v->engine == EX_SQL_SQLITE;
            if (!query_sql_own(q, v->engine))
                return ex_raise(err, EX_EINVAL, "query %s of view %s has no SQL for %s: write %s",
                                q->name, q->view->name, is_sqlite ? "SQLite" : "PostgreSQL",
                                is_sqlite ? "on_sqlite" : "on_postgres");
        }
    }
    return EX_OK;
}

typedef struct faults {
    uint32_t count;
    ex_error first;
} faults;

static void count_fault(void *ctx, const ex_error *fault)
{
    faults *f = ctx;
    if (f->count++ == 0)
        f->first = *fault;
}

/* What a query's SQL means is the same on both engines, so it is tried on SQLite in either case. */
static ex_status check_queries(const views *v, ex_error *err)
{
    faults f = {0};
    ex_error why = {0};
    ex_status st = check_engine(v, err);
    st = st ? st : app_check_queries(v->rt->app, v->rt->options.dir, count_fault, &f, &why);
    if (st == EX_EFORBIDDEN) {
        runtime_report(v->rt, "queries are tried on SQLite only", v->rt->app->name, &why);
        st = EX_OK;
    } else if (st && why.status && err) {
        *err = why;
    }
    if (st || f.count == 0)
        return st;
    if (err)
        *err = f.first;
    return f.count == 1
               ? f.first.status
               : ex_error_context(err, f.first.status,
                                  "the first of %u faults, which 'check --app' lists", f.count);
}

static ex_status start_runners(views *v, uint32_t count, ex_error *err)
{
    const ex_app *app = v->rt->app;
    v->runners = calloc(count ? count : 1, sizeof(*v->runners));
    if (!v->runners)
        return ex_raise(err, EX_ENOMEM, "no memory for views");
    for (uint32_t c = 0; c < app->context_count; c++) {
        for (uint32_t i = 0; i < app->contexts[c]->view_count; i++) {
            view_runner *r = &v->runners[v->runner_count];
            r->rt = v->rt;
            r->views = v;
            r->context = app->contexts[c];
            r->def = app->contexts[c]->views[i];
            v->runner_count++;
            ex_status st = view_runner_init(r, err);
            if (st)
                return st;
        }
    }
    /* what is free is ours before anybody asks; a database that is slow to tell is waited for no
     * longer than this */
    (void)ex_leases_wait(v->rt->leases, LEASES_WAIT_MS);
    ex_status st = EX_OK;
    for (uint32_t i = 0; !st && i < v->runner_count; i++)
        st = view_runner_start(&v->runners[i], err);
    return st;
}

static void collect(void *ctx)
{
    views *v = ctx;
    ex_view_status status;
    for (uint32_t i = 0; ex_runtime_view_status(v->rt, i, &status); i++)
        ex_gauge_set(v->runners[i].lag_gauge, (int64_t)status.lag);
    ex_sql_pool_stats stats = ex_sql_pool_stats_of(v->pool);
    const ex_slice states[] = {EX_S("in_use"), EX_S("idle"), EX_S("waited_for")};
    const uint32_t counts[] = {
        stats.in_use, stats.open > stats.in_use ? stats.open - stats.in_use : 0, stats.waiting};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        ex_gauge_set(ex_gauge_with(v->rt->metrics.view_connections, &states[i]), counts[i]);
}

ex_status views_start(ex_runtime *rt, views **ret, ex_error *err)
{
    views *v = calloc(1, sizeof(*v));
    if (!v)
        return ex_raise(err, EX_ENOMEM, "no memory for views");
    v->rt = rt;
    uint32_t count = count_views(rt->app);
    ex_status st = open_database(v, count, err);
    st = st ? st : check_queries(v, err);
    st = st ? st : start_runners(v, count, err);
    if (!st && rt->options.metrics)
        st = ex_metrics_on_collect(rt->options.metrics, collect, v)
                 ? ex_raise(err, EX_ENOMEM, "no memory for metrics")
                 : EX_OK;
    if (st) {
        views_stop(v);
        views_free(v);
    } else {
        *ret = v;
    }
    return st;
}

void views_stop(views *v)
{
    if (!v)
        return;
    ex_metrics_off_collect(v->rt->options.metrics, collect, v);
    for (uint32_t i = 0; i < v->runner_count; i++)
        view_runner_stop(&v->runners[i]);
    if (v->pool && ex_sql_pool_close(v->pool, STOP_MS, NULL))
        return; /* a query that did not even end when it was cancelled: it is waited for */
}

void views_free(views *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; i < v->runner_count; i++)
        view_runner_done(&v->runners[i]);
    ex_sql_pool_free(v->pool);
    free(v->runners);
    free(v);
}

ex_status views_check(ex_runtime *rt, ex_error *err)
{
    return ex_sql_pool_health(rt->views->pool, err);
}

view_runner *views_find(views *v, const ex_view_def *def)
{
    for (uint32_t i = 0; i < v->runner_count; i++)
        if (v->runners[i].def == def)
            return &v->runners[i];
    return NULL;
}

ex_status views_find_name(views *v, const char *view, view_runner **ret, ex_error *err)
{
    for (uint32_t i = 0; i < v->runner_count; i++) {
        if (strcmp(v->runners[i].def->name, view) == 0) {
            *ret = &v->runners[i];
            return EX_OK;
        }
    }
    return ex_raise(err, EX_ENOTFOUND, "there is no view '%s'", view);
}
