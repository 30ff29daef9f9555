/* store.c: opening and closing a store, and what can be asked of it as a whole. */
#include <stdlib.h>

#include "sql/postgres/pg_url.h"
#include "store/describe.h"
#include "store/head_known.h"
#include "store/import.h"
#include "store/query_check.h"
#include "store/sequencer.h"
#include "store/store_end.h"
#include "store/store_internal.h"
#include "store/store_metrics.h"

#define READER_TIMEOUT_MS 10000

/* ---- Options ---- */

static void set_default(uint32_t *option, uint32_t value)
{
    if (*option == 0)
        *option = value;
}

static ex_status fill_options(ex_store_options *o, const ex_store_options *given, const char *dir,
                              ex_error *err)
{
    *o = given ? *given : (ex_store_options){0};
    o->in_memory |= dir && strcmp(dir, EX_STORE_MEMORY) == 0;
    set_default(&o->queue_limit, 16384);
    set_default(&o->batch_limit, 2048);
    set_default(&o->events_per_append, 10000);
    set_default(&o->event_limit_bytes, 1u << 20);
    set_default(&o->ring_limit_bytes, 8u << 20);
    set_default(&o->reader_limit, 8);
    set_default(&o->page_cache_bytes, 8u << 20);
    set_default(&o->command_ttl_s, 604800);
    set_default(&o->answer_timeout_ms, 20000);
    set_default(&o->outcome_wait_ms, 10000); /* for a server that starts again */
    if (!o->clock)
        o->clock = ex_clock_system();
    if (o->durability != EX_DURABILITY_FULL && o->durability != EX_DURABILITY_NORMAL)
        return ex_raise(err, EX_EINVAL, "unknown durability %d", (int)o->durability);
    if (o->in_memory && o->read_only)
        return ex_raise(err, EX_EINVAL, "a store in memory cannot be opened read-only");
    if (o->answer_timeout_ms < 1000)
        return ex_raise(err, EX_EINVAL, "answer_timeout_ms is below 1000");
    if (o->event_limit_bytes > (512u << 20))
        return ex_raise(err, EX_EINVAL, "event_limit_bytes is above 512 MiB");
    return EX_OK;
}

/* ---- Opening ---- */

static const store_driver_ops *driver_of(const char *place)
{
    return ex_pg_is_url(place) ? &store_postgres_driver : &store_sqlite_driver;
}

static ex_status open_driver(ex_store *s, const store_internals *internals, ex_error *err)
{
    const ex_store_options *o = &s->options;
    store_driver_options options = {
        .dir = s->dir.path,
        .shown = s->dir.shown,
        .read_only = o->read_only,
        .must_exist = o->must_exist,
        .new_log = o->new_log,
        .without_wal = o->without_wal,
        .migrate = o->migrate,
        .durability = o->durability,
        .identity = &s->identity,
        .page_cache_bytes = o->page_cache_bytes,
        .outcome_wait_ms = o->outcome_wait_ms,
        .on_slow = o->on_slow,
        .slow_ctx = o->slow_ctx,
        .slow_ms = o->slow_ms,
        .answer_timeout_ms = o->answer_timeout_ms,
        .sqlite_vfs = internals ? internals->sqlite_vfs : NULL,
        .checkpoint_pages = internals ? internals->checkpoint_pages : 0,
    };
    s->driver.ops = internals && internals->driver ? internals->driver
                    : o->in_memory                 ? &store_memory_driver
                                                   : driver_of(s->dir.path);
    return s->driver.ops->open(&options, &s->driver.impl, err);
}

static ex_status open_directory(ex_store *s, const char *dir, ex_error *err)
{
    const ex_store_options *o = &s->options;
    if (o->in_memory)
        return EX_OK;
    ex_status st = store_directory_init(&s->dir, dir, o->read_only || o->must_exist, err);
    if (st || o->read_only || ex_pg_is_url(dir))
        return st;
    return store_directory_lock(&s->dir, o->must_exist, o->clock, &s->lock, err);
}

static ex_status start(ex_store *s, ex_error *err)
{
    uint64_t head = 0;
    ex_status st = reader_pool_init(&s->readers, &s->driver, s->options.reader_limit,
                                    READER_TIMEOUT_MS, s->options.clock, err);
    if (st == EX_OK)
        st = ex_store_read_head(s, &head, err);
    if (st == EX_OK)
        st = live_init(&s->live, &s->options, head, err);
    atomic_store(&s->head, head);
    atomic_store(&s->heard, head);
    atomic_store(&s->known_ns, head_known_now_ns());
    if (st == EX_OK)
        st = store_metrics_init(s->metrics, s->options.metrics, s->driver.ops->name, err);
    if (st == EX_OK && !s->options.read_only)
        st = wal_report_start(&s->wal, &s->driver, s->options.metrics, err);
    if (st == EX_OK)
        ex_gauge_set(s->metrics->log_head, (int64_t)head);
    if (st == EX_OK)
        ex_gauge_set(s->metrics->log_epochs, (int64_t)ex_store_epochs(s, NULL, 0));
    if (st == EX_OK && !s->options.read_only)
        st = sequencer_start(s, &s->sequencer, err);
    if (st == EX_OK)
        st = head_known_metrics(s, err);
    return st;
}

ex_status store_open_with(const char *dir, const ex_store_options *options,
                          const store_internals *internals, ex_store **ret, ex_error *err)
{
    ex_store *s = calloc(1, sizeof(*s));
    if (!s)
        return ex_raise(err, EX_ENOMEM, "no memory for a store");
    s->lock = (lock_file)LOCK_FILE_NONE;
    write_state_init(&s->writes);
    log_identity_init(&s->identity);
    s->metrics = calloc(1, sizeof(*s->metrics));
    ex_status st = s->metrics ? fill_options(&s->options, options, dir, err)
                              : ex_raise(err, EX_ENOMEM, "no memory for a store");
    if (st == EX_OK)
        st = open_directory(s, dir, err);
    if (st == EX_OK)
        st = open_driver(s, internals, err);
    if (st == EX_OK)
        st = start(s, err);
    if (st) {
        ex_store_close(s);
        return st;
    }
    *ret = s;
    return EX_OK;
}

ex_status ex_store_open(const char *dir, const ex_store_options *options, ex_store **ret,
                        ex_error *err)
{
    return store_open_with(dir, options, NULL, ret, err);
}

ex_status ex_store_inspect(const char *place, ex_store_format *ret, ex_error *err)
{
    store_directory dir = {0};
    store_format format = {0};
    ex_status st = store_directory_init(&dir, place, true, err);
    if (st)
        return st;
    const store_driver_options options = {
        .dir = dir.path, .shown = dir.shown, .read_only = true, .must_exist = true};
    const store_driver_ops *ops = driver_of(dir.path);
    st = ops->inspect(&options, &format, err);
    store_directory_done(&dir);
    if (st)
        return st;
    *ret = (ex_store_format){.engine = ops->name, .found = format.found, .known = format.known};
    memcpy(ret->features, format.features.all, sizeof(ret->features));
    memcpy(ret->unwritable, format.features.unwritable, sizeof(ret->unwritable));
    memcpy(ret->missing, format.features.missing, sizeof(ret->missing));
    return EX_OK;
}

void ex_store_close(ex_store *s)
{
    if (!s)
        return;
    head_known_metrics_done(s);
    sequencer_stop(s->sequencer);
    live_close(&s->live);
    live_done(&s->live);
    reader_pool_done(&s->readers);
    wal_report_stop(&s->wal);
    if (s->driver.impl)
        s->driver.ops->close(s->driver.impl);
    lock_file_close(&s->lock);
    log_identity_done(&s->identity);
    write_state_done(&s->writes);
    if (s->metrics)
        store_metrics_done(s->metrics);
    free(s->metrics);
    store_directory_done(&s->dir);
    free(s);
}

void ex_store_end_by(ex_store *s, uint64_t deadline_ns)
{
    const store_shared_ops *shared = s->driver.ops->shared;
    if (shared && shared->end_by)
        shared->end_by(s->driver.impl, deadline_ns);
}

/* ---- Asking ---- */

ex_status ex_store_submit(ex_store *s, ex_submission *sub, ex_error *err)
{
    if (!s->sequencer)
        return ex_raise(err, EX_EREADONLY, "the store is open for reading only");
    return sequencer_submit(s->sequencer, sub, err);
}

void ex_store_submit_again(ex_store *s, ex_submission *sub)
{
    sequencer_submit_again(s->sequencer, sub);
}

store_live *store_live_of(ex_store *s)
{
    return &s->live;
}

uint64_t ex_store_head(ex_store *s)
{
    uint64_t head = atomic_load_explicit(&s->head, memory_order_acquire);
    uint64_t fresh = head;
    if (s->sequencer || ex_store_read_head(s, &fresh, NULL) != EX_OK)
        return head;
    atomic_store_explicit(&s->head, fresh, memory_order_release);
    return fresh;
}

ex_status ex_store_stream_version_at(ex_store *s, ex_slice stream, uint64_t upto, uint64_t *ret,
                                     ex_error *err)
{
    ex_status st = store_name_check(stream, "stream", err);
    void *reader = NULL;
    if (st == EX_OK)
        st = reader_pool_take(&s->readers, &reader, err);
    if (st)
        return st;
    /* As cursors see it: what is behind the head is not published, or its outcome is not known. */
    uint64_t head = INT64_MAX;
    if (s->sequencer)
        head = atomic_load_explicit(&s->head, memory_order_acquire);
    st = s->driver.ops->reader->stream_version(reader, stream, upto > head ? upto : head, ret, err);
    reader_pool_give(&s->readers, reader, st != EX_OK);
    return st;
}

ex_status ex_store_stream_version(ex_store *s, ex_slice stream, uint64_t *ret, ex_error *err)
{
    return ex_store_stream_version_at(s, stream, 0, ret, err);
}
