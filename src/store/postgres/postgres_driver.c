/* postgres_driver.c: a store in a schema of a PostgreSQL database, 14 or later.
 *
 * One connection writes, on the sequencer's thread; each reader has one; one
 * listens. Several processes, and several stores in one process, may write the
 * same schema: writer.c says how they keep the order. */
#include "store/postgres/postgres_driver.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/deadline.h"
#include "store/postgres/presence.h"
#include "store/postgres/schema.h"

/* A node that stands still with the head locked loses its session before those who wait give up,
 * and those before their own batch is given up. */
#define IDLE_SHARE(answer_ms) ((answer_ms) / 2)
#define LOCK_SHARE(answer_ms) ((answer_ms) / 4 * 3)

#define WRITER_SQL                                                                                 \
    PG_SESSION_SQL PG_PRESENCE_SQL                                                                 \
        "SET lock_timeout = %u; SET idle_in_transaction_session_timeout = %u; %s"

/* Full: what the server was told to do beyond "on" is kept. */
#define FULL_SQL                                                                                   \
    "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') "          \
    "WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false);"
#define NORMAL_SQL "SET synchronous_commit = off;"

static ex_pg_options session_options(const postgres_driver *d, const char *setup_sql,
                                     const _Atomic uint64_t *end_ns)
{
    /* Whoever writes also reads on the primary: a reader that went to a standby, because the
     * primary was just starting again, would not see what this node has said to be there. */
    return (ex_pg_options){.url = d->url,
                           .setup_sql = setup_sql,
                           .is_primary = !d->is_read_only,
                           .statement_timeout_ms = d->answer_ms,
                           .end_ns = end_ns,
                           .on_slow = d->on_slow,
                           .slow_ctx = d->slow_ctx,
                           .slow_ms = d->slow_ms};
}

ex_status pg_open_session(const postgres_driver *d, const char *setup_sql,
                          const _Atomic uint64_t *end_ns, ex_pg **ret, ex_error *err)
{
    const ex_pg_options options = session_options(d, setup_sql, end_ns);
    return ex_pg_open(&options, ret, err);
}

ex_status pg_open_reader(postgres_driver *d, ex_pg **ret, ex_error *err)
{
    ex_pg_options options =
        session_options(d, PG_SESSION_SQL "SET default_transaction_read_only = on;", &d->end_ns);
    if (!d->is_read_only) { /* else the store looks after each reading */
        options.on_connected = pg_epoch_check;
        options.connected_ctx = d;
    }
    return ex_pg_open(&options, ret, err);
}

/* ---- Close ---- */

static void driver_close(void *impl)
{
    postgres_driver *d = impl;
    if (!d)
        return;
    pg_unfollow(d);
    ex_pg_result_free(&d->news.rows);
    free(d->news.events);
    free(d->news.stream_ids);
    ex_pg_close(d->writer);
    ex_pg_args_done(&d->args);
    ex_map_done(&d->tags, NULL);
    pg_written_done(&d->written);
    free(d->asked_tags);
    (void)pthread_cond_destroy(&d->listener.stopping); /* nobody waits */
    (void)pthread_mutex_destroy(&d->listener.mu);
    free(d->url);
    free(d);
}

/* ---- Open ---- */

static void init(postgres_driver *d, const store_driver_options *options)
{
    d->durability = options->durability;
    d->is_read_only = options->read_only;
    d->on_slow = options->on_slow;
    d->slow_ctx = options->slow_ctx;
    d->slow_ms = options->slow_ms;
    d->answer_ms = options->answer_timeout_ms;
    d->identity = options->identity;
    atomic_init(&d->end_ns, UINT64_MAX);
    atomic_init(&d->listener.end_ns, UINT64_MAX);
    d->outcome_wait_ms = options->outcome_wait_ms;
    d->tags_at = d->oldest_at = d->seen_at = SIZE_MAX;
    ex_pg_args_init(&d->args);
    ex_pg_args_init(&d->written.commands);
    ex_map_init(&d->tags, PG_TAG_NAMES_LIMIT);
    d->oldest_command_us = INT64_MIN;
    (void)pthread_mutex_init(&d->listener.mu, NULL); /* cannot fail on Linux */
    ex_cond_init(&d->listener.stopping);
}

static ex_status read_url(postgres_driver *d, const char *url, ex_error *err)
{
    ex_pg_target target;
    ex_status st = ex_pg_target_init(&target, url, err);
    if (st)
        return st;
    memcpy(d->schema, target.schema, sizeof(d->schema));
    memcpy(d->label, target.label, sizeof(d->label));
    (void)snprintf(d->channel, sizeof(d->channel), "excore_%.48s", target.schema);
    ex_pg_target_done(&target);
    d->url = strdup(url);
    return d->url ? EX_OK : ex_raise(err, EX_ENOMEM, "no memory to open %s", d->label);
}

/* What the promises of the store rest on. */
static ex_status check_server(const postgres_driver *d, ex_pg *pg, ex_error *err)
{
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg,
                             EX_S("SELECT current_setting('server_encoding') = 'UTF8', "
                                  "current_setting('fsync')::bool"),
                             NULL, &r, err);
    if (st)
        return st;
    if (!ex_pg_get_bool(&r, 0, 0))
        st = ex_raise(err, EX_EFORMAT, "the database %s has another encoding than UTF8", d->label);
    else if (d->durability == EX_DURABILITY_FULL && !ex_pg_get_bool(&r, 0, 1))
        st = ex_raise(err, EX_EINVAL,
                      "the server of %s runs with fsync = off and cannot keep what it "
                      "acknowledges; ask for durability normal if that is meant",
                      d->label);
    ex_pg_result_free(&r);
    return st;
}

/* Known before the first append: the role may read and write what it will have to. */
static ex_status check_grants(const postgres_driver *d, ex_pg *pg, ex_error *err)
{
    static const char sql[] =
        "SELECT current_user::text, p, t FROM (VALUES"
        " ('SELECT', '{log_head,events,streams,tags,event_tags,commands,idempotency_audit,"
        "log_epochs,log_witness,features}'), ('UPDATE', '{log_head}'),"
        " ('INSERT', '{events,streams,tags,event_tags,commands,idempotency_audit,log_epochs,"
        "log_witness}'),"
        " ('UPDATE', '{idempotency_audit,log_witness}'), ('DELETE', '{commands,"
        "idempotency_audit}')) AS needed (p, tables),"
        " unnest(tables::text[]) AS t WHERE NOT has_table_privilege(to_regclass(t), p) LIMIT 1";
    ex_pg_result r = {0};
    ex_status st = ex_pg_run(pg, EX_S(sql), NULL, &r, err);
    if (st == EX_OK && r.rows) {
        ex_slice role = ex_pg_get_slice(&r, 0, 0), privilege = ex_pg_get_slice(&r, 0, 1),
                 table = ex_pg_get_slice(&r, 0, 2);
        st = ex_raise(err, EX_EDATABASE,
                      "role \"%.*s\" lacks the grant of %.*s on table %.*s of PostgreSQL at %s",
                      EX_ARG(role), EX_ARG(privilege), EX_ARG(table), d->label);
    }
    ex_pg_result_free(&r);
    return st;
}

static ex_status open_writer(postgres_driver *d, const store_driver_options *options, ex_error *err)
{
    bool is_full = options->durability == EX_DURABILITY_FULL;
    char setup[sizeof(WRITER_SQL FULL_SQL) + 32];
    pg_schema_wish wish = options->migrate      ? PG_SCHEMA_MIGRATE
                          : options->must_exist ? PG_SCHEMA_MUST_EXIST
                                                : PG_SCHEMA_CREATE;
    (void)snprintf(setup, sizeof(setup), WRITER_SQL, LOCK_SHARE(d->answer_ms),
                   IDLE_SHARE(d->answer_ms), is_full ? FULL_SQL : NORMAL_SQL); /* fits */
    store_features features = {0};
    ex_status st = pg_open_session(d, setup, &d->end_ns, &d->writer, err);
    if (st == EX_OK)
        st = check_server(d, d->writer, err);
    if (st == EX_OK)
        st = pg_schema_open(d->writer, wish, true, &features, err);
    d->has_seen_time = store_features_has(&features, STORE_FEATURE_SEEN_TIME);
    d->has_server_start = store_features_has(&features, STORE_FEATURE_SERVER_START);
    if (st == EX_OK)
        st = check_grants(d, d->writer, err);
    if (st == EX_OK)
        st = pg_epoch_prove(d, err);
    return st ? st
              : log_identity_set(d->identity, &d->epochs.log_id, d->epochs.list, d->epochs.count,
                                 err);
}

static ex_status read_identity(const postgres_driver *d, ex_pg *pg, ex_error *err)
{
    ex_arena arena;
    store_epochs e;
    ex_arena_init(&arena, 0);
    ex_status st = pg_epochs_ask(pg, &arena, &e, err);
    if (st == EX_OK)
        st = log_identity_set(d->identity, &e.log_id, e.epochs, e.count, err);
    ex_arena_done(&arena);
    return st;
}

static ex_status check_readable(const postgres_driver *d, ex_error *err)
{
    ex_pg *pg = NULL;
    store_features features;
    ex_status st = pg_open_session(d, PG_SESSION_SQL, &d->end_ns, &pg, err);
    if (st == EX_OK)
        st = pg_schema_open(pg, PG_SCHEMA_MUST_EXIST, false, &features, err);
    if (st == EX_OK)
        st = read_identity(d, pg, err);
    ex_pg_close(pg);
    return st;
}

static ex_status driver_inspect(const store_driver_options *options, store_format *ret,
                                ex_error *err)
{
    const ex_pg_options session = {.url = options->dir};
    ex_pg *pg = NULL;
    ex_status st = ex_pg_open(&session, &pg, err);
    if (st)
        return st;
    ret->known = PG_SCHEMA_VERSION;
    st = pg_schema_version(pg, &ret->found, &ret->features, err);
    ex_pg_close(pg);
    return st;
}

static ex_status driver_open(const store_driver_options *options, void **ret_impl, ex_error *err)
{
    postgres_driver *d = calloc(1, sizeof(*d));
    if (!d)
        return ex_raise(err, EX_ENOMEM, "no memory for a store");
    init(d, options);
    ex_status st = read_url(d, options->dir, err);
    if (st == EX_OK)
        st = options->read_only ? check_readable(d, err) : open_writer(d, options, err);
    if (st)
        driver_close(d);
    else
        *ret_impl = d;
    return st;
}

static void driver_end_by(void *impl, uint64_t deadline_ns)
{
    postgres_driver *d = impl;
    atomic_store(&d->end_ns, deadline_ns);
    atomic_store(&d->listener.end_ns, deadline_ns);
}

static const store_shared_ops shared_ops = {
    .limit = pg_writer_limit,
    .end_by = driver_end_by,
    .expect = pg_writer_expect,
    .begin_blind = pg_writer_begin_blind,
    .epochs = pg_writer_epochs,
    .news = pg_writer_news,
    .look_up = pg_look_up,
    .refresh = pg_writer_refresh,
    .follow = pg_follow,
    .unfollow = pg_unfollow,
};

const store_driver_ops store_postgres_driver = {
    .name = "postgres",
    .reader = &postgres_reader,
    .shared = &shared_ops,
    .open = driver_open,
    .close = driver_close,
    .inspect = driver_inspect,
    .begin = pg_writer_begin,
    .find_streams = pg_find_streams,
    .find_events = pg_find_events,
    .read_stream = pg_read_stream,
    .find_command = pg_find_command,
    .write = pg_writer_write,
    .expire_commands = pg_writer_expire_commands,
    .keep_time = pg_writer_keep_time,
    .probe = pg_writer_probe,
    .adopt = pg_writer_adopt,
    .commit = pg_writer_commit,
    .rollback = pg_writer_rollback,
};
