/* views.c: start and stop of the read models, and the pool of read connections. */
#include "runtime/views.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/deadline.h"

#define READ_WAIT_MS 10000

static char *join_path(const char *dir, const char *name)
{
    size_t a = strlen(dir), b = strlen(name);
    char *path = malloc(a + b + 2);
    if (path)
        (void)snprintf(path, a + b + 2, "%s/%s", dir, name); /* fits: just measured */
    return path;
}

static ex_status open_writer(views *v, ex_error *err)
{
    const char *dir = v->rt->options.dir;
    if (dir) {
        v->path = join_path(dir, "views.db");
        if (!v->path)
            return ex_raise(err, EX_ENOMEM, "no memory for a path");
    }
    ex_db_options options = {.path = v->path, .cache_bytes = 8u << 20};
    ex_status st = ex_db_open(&v->writer, &options, err);
    st = st ? st
            : ex_db_exec(&v->writer,
                         "CREATE TABLE IF NOT EXISTS excore_views (view TEXT PRIMARY KEY,"
                         " version INTEGER NOT NULL, fingerprint INTEGER NOT NULL,"
                         " position INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
                         "CREATE TABLE IF NOT EXISTS excore_parked (view TEXT NOT NULL,"
                         " position INTEGER NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL,"
                         " reason TEXT NOT NULL, attempts INTEGER NOT NULL,"
                         " parked_at INTEGER NOT NULL, PRIMARY KEY (view, position))"
                         " STRICT, WITHOUT ROWID",
                         err);
    return st ? ex_error_context(err, st, "views.db") : EX_OK;
}

static ex_status open_readers(views *v, ex_error *err)
{
    if (!v->path)
        return EX_OK;
    uint32_t count = v->rt->options.query_readers;
    v->readers = calloc(count, sizeof(*v->readers));
    v->is_taken = calloc(count, sizeof(*v->is_taken));
    if (!v->readers || !v->is_taken)
        return ex_raise(err, EX_ENOMEM, "no memory for read connections");
    ex_db_options options = {.path = v->path, .read_only = true};
    for (; v->reader_count < count; v->reader_count++) {
        ex_status st = ex_db_open(&v->readers[v->reader_count], &options, err);
        if (st)
            return ex_error_context(err, st, "views.db");
    }
    return EX_OK;
}

static uint32_t count_views(const ex_app *app)
{
    uint32_t count = 0;
    for (uint32_t c = 0; c < app->context_count; c++)
        count += app->contexts[c]->view_count;
    return count;
}

static ex_status start_runners(views *v, ex_error *err)
{
    const ex_app *app = v->rt->app;
    uint32_t count = count_views(app);
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
            ex_status st = view_runner_start(r, err);
            if (st)
                return st;
            v->runner_count++;
        }
    }
    return EX_OK;
}

static void collect(void *ctx)
{
    views *v = ctx;
    ex_view_status status;
    for (uint32_t i = 0; ex_runtime_view_status(v->rt, i, &status); i++)
        ex_gauge_set(v->runners[i].lag_gauge, (int64_t)status.lag);
}

ex_status views_start(ex_runtime *rt, views **ret, ex_error *err)
{
    views *v = calloc(1, sizeof(*v));
    if (!v)
        return ex_raise(err, EX_ENOMEM, "no memory for views");
    v->rt = rt;
    pthread_mutex_init(&v->write_mu, NULL);
    pthread_mutex_init(&v->pool_mu, NULL);
    ex_cond_init(&v->pool_free);
    ex_status st = open_writer(v, err);
    st = st ? st : open_readers(v, err);
    st = st ? st : start_runners(v, err);
    if (!st && rt->options.metrics)
        st = ex_metrics_on_collect(rt->options.metrics, collect, v)
                 ? ex_raise(err, EX_ENOMEM, "no memory for metrics")
                 : EX_OK;
    if (st)
        views_stop(v);
    else
        *ret = v;
    return st;
}

void views_stop(views *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; i < v->runner_count; i++)
        view_runner_stop(&v->runners[i]);
    for (uint32_t i = 0; i < v->reader_count; i++)
        ex_db_close(&v->readers[i]);
    ex_db_close(&v->writer);
    pthread_cond_destroy(&v->pool_free);
    pthread_mutex_destroy(&v->pool_mu);
    pthread_mutex_destroy(&v->write_mu);
    free(v->runners);
    free(v->readers);
    free(v->is_taken);
    free(v->path);
    free(v);
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

/* ---- Read connections ---- */

static ex_db *take_free(views *v)
{
    for (uint32_t i = 0; i < v->reader_count; i++) {
        if (!v->is_taken[i]) {
            v->is_taken[i] = true;
            return &v->readers[i];
        }
    }
    return NULL;
}

ex_status views_lock_reader(views *v, ex_db **ret, ex_error *err)
{
    if (!v->path) {
        pthread_mutex_lock(&v->write_mu);
        *ret = &v->writer;
        return EX_OK;
    }
    struct timespec until = ex_deadline(READ_WAIT_MS);
    int rc = 0;
    pthread_mutex_lock(&v->pool_mu);
    ex_db *db = take_free(v);
    while (!db && rc == 0) {
        rc = pthread_cond_timedwait(&v->pool_free, &v->pool_mu, &until);
        db = take_free(v);
    }
    pthread_mutex_unlock(&v->pool_mu);
    if (!db)
        return ex_raise(err, EX_ETIMEOUT, "no read connection became free in %d ms", READ_WAIT_MS);
    *ret = db;
    return EX_OK;
}

void views_unlock_reader(views *v, ex_db *db)
{
    if (db == &v->writer) {
        pthread_mutex_unlock(&v->write_mu);
        return;
    }
    pthread_mutex_lock(&v->pool_mu);
    v->is_taken[db - v->readers] = false;
    pthread_cond_signal(&v->pool_free);
    pthread_mutex_unlock(&v->pool_mu);
}
