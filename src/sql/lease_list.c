/* lease_list.c: see lease_list.h. */
#include "sql/lease_list.h"

#include "sql/postgres/pg_conn.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TIMEOUT_MS 5000

struct ex_lease_lister {
    char *url;
    ex_pg_options options;
    _Atomic uint64_t end_ns; /* nothing is waited for past it */
    pthread_mutex_t mu;
    ex_pg *pg; /* guarded by mu; NULL: never connected */
};

static const char sql_are_there[] =
    "SELECT to_regclass('nodes') IS NOT NULL AND to_regclass('leases') IS NOT NULL";
/* One that said goodbye wants no work any more. */
static const char sql_nodes[] =
    "SELECT id::text, host, address, version, pid,"
    " (extract(epoch FROM started_at) * 1000000)::bigint,"
    " (extract(epoch FROM now() - seen_at) * 1000)::bigint,"
    " (SELECT count(*) FROM leases WHERE holder = nodes.id AND expires_at > now()),"
    " expires_at > now()"
    " FROM nodes WHERE expires_at > now()"
    " OR (work <> '{}' AND expires_at > now() - interval '5 minutes')"
    " ORDER BY started_at, id";
static const char sql_leases[] =
    "SELECT name, CASE WHEN expires_at > now() THEN holder::text END, token,"
    " (extract(epoch FROM expires_at - now()) * 1000)::bigint FROM leases ORDER BY name";

static ex_status read_nodes(ex_pg *pg, const ex_lease_list *list, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg, ex_str(sql_nodes), NULL, &r, err);
    for (int i = 0; !st && i < r.rows; i++) {
        const ex_node_info info = {.id = ex_pg_get_slice(&r, i, 0),
                                   .host = ex_pg_get_slice(&r, i, 1),
                                   .address = ex_pg_get_slice(&r, i, 2),
                                   .version = ex_pg_get_slice(&r, i, 3),
                                   .pid = ex_pg_get_i64(&r, i, 4),
                                   .started_at_us = ex_pg_get_i64(&r, i, 5),
                                   .seen_ms_ago = ex_pg_get_i64(&r, i, 6),
                                   .leases = (uint64_t)ex_pg_get_i64(&r, i, 7),
                                   .is_live = ex_pg_get_bool(&r, i, 8)};
        list->node(list->ctx, &info);
    }
    ex_pg_result_free(&r);
    return st;
}

static ex_status read_leases(ex_pg *pg, const ex_lease_list *list, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg, ex_str(sql_leases), NULL, &r, err);
    for (int i = 0; !st && i < r.rows; i++) {
        const ex_lease_info info = {.name = ex_pg_get_slice(&r, i, 0),
                                    .node = ex_pg_get_slice(&r, i, 1),
                                    .token = (uint64_t)ex_pg_get_i64(&r, i, 2),
                                    .left_ms = ex_pg_get_i64(&r, i, 3)};
        list->lease(list->ctx, &info);
    }
    ex_pg_result_free(&r);
    return st;
}

static ex_status has_tables(ex_pg *pg, bool *ret, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg, ex_str(sql_are_there), NULL, &r, err);
    *ret = !st && ex_pg_get_bool(&r, 0, 0);
    ex_pg_result_free(&r);
    return st;
}

static ex_status connect_if_needed(ex_lease_lister *l, ex_error *err)
{
    if (l->pg && ex_pg_check(l->pg, NULL) == EX_OK)
        return EX_OK;
    if (!l->pg)
        return ex_pg_open(&l->options, &l->pg, err);
    ex_pg_allow(l->pg, TIMEOUT_MS);
    return ex_pg_reopen(l->pg, err);
}

static ex_status read_lists(ex_pg *pg, const ex_lease_list *list, ex_error *err)
{
    bool is_there = false;
    ex_pg_allow(pg, TIMEOUT_MS);
    ex_status st = has_tables(pg, &is_there, err);
    if (!st && is_there)
        st = read_nodes(pg, list, err);
    if (!st && list->begin_leases)
        list->begin_leases(list->ctx);
    return st || !is_there ? st : read_leases(pg, list, err);
}

ex_status ex_lease_lister_new(const char *url, ex_lease_lister **ret, ex_error *err)
{
    ex_lease_lister *l = calloc(1, sizeof(*l));
    if (l)
        l->url = strdup(url);
    if (!l || !l->url) {
        free(l);
        return ex_raise(err, EX_ENOMEM, "no memory to list nodes");
    }
    (void)pthread_mutex_init(&l->mu, NULL); /* cannot fail with default attributes on Linux */
    atomic_init(&l->end_ns, UINT64_MAX);
    l->options = (ex_pg_options){.url = l->url,
                                 .connect_timeout_ms = TIMEOUT_MS,
                                 .statement_timeout_ms = TIMEOUT_MS,
                                 .end_ns = &l->end_ns};
    *ret = l;
    return EX_OK;
}

void ex_lease_lister_free(ex_lease_lister *l)
{
    if (!l)
        return;
    ex_pg_close(l->pg);
    (void)pthread_mutex_destroy(&l->mu);
    explicit_bzero(l->url, strlen(l->url)); /* may hold a password */
    free(l->url);
    free(l);
}

void ex_lease_lister_end_by(ex_lease_lister *l, uint64_t deadline_ns)
{
    atomic_store(&l->end_ns, deadline_ns);
}

ex_status ex_lease_lister_read(ex_lease_lister *l, const ex_lease_list *list, ex_error *err)
{
    (void)pthread_mutex_lock(&l->mu);
    ex_status st = connect_if_needed(l, err);
    st = st ? st : read_lists(l->pg, list, err);
    (void)pthread_mutex_unlock(&l->mu);
    return st;
}
