/* shared_model.c: see shared_model.h. */
#include "support/shared_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <unistd.h>

#include "store/store_internal.h"

shared_model_state shared_model;

static struct {
    void *impl; /* the driver in memory */
    const store_lookup *lookup;
    bool is_wrong;
} model;

static ex_status model_open(const store_driver_options *options, void **ret, ex_error *err)
{
    ex_status st = store_memory_driver.open(options, ret, err);
    memset(&model, 0, sizeof(model));
    shared_model_reset();
    model.impl = *ret;
    return st;
}

static ex_status model_look_up(void *impl, const store_lookup *lookup, ex_error *err)
{
    for (uint32_t i = 0; i < lookup->command_count; i++) {
        ex_command_record record;
        lookup->commands[i].is_known = true;
        lookup->commands[i].is_found =
            store_memory_driver.find_command(impl, lookup->commands[i].record.command_id,
                                             lookup->arena, &record, err) == EX_OK;
    }
    return store_memory_driver.find_streams(impl, lookup->streams, lookup->stream_count, err);
}

static ex_status model_look_up_inside(void *impl, const store_lookup *lookup, ex_error *err)
{
    atomic_fetch_add(&shared_model.looked_up, 1);
    return model_look_up(impl, lookup, err);
}

static void model_expect(void *impl, uint64_t known, bool is_brief, const store_lookup *lookup)
{
    (void)impl, (void)known, (void)is_brief;
    model.lookup = lookup;
}

static ex_status model_begin(void *impl, store_head *ret, ex_error *err)
{
    atomic_fetch_add(&shared_model.begun, 1);
    model.is_wrong = false;
    ex_status st = atomic_load(&shared_model.begin_fails);
    if (st) {
        void (*on_failing)(void) = atomic_exchange(&shared_model.on_failing, NULL);
        if (on_failing)
            on_failing();
        return ex_raise(err, st, "the model cannot begin");
    }
    st = store_memory_driver.begin(impl, ret, err);
    if (model.lookup)
        atomic_fetch_add(&shared_model.asked, 1);
    if (st == EX_OK && model.lookup)
        st = model_look_up(impl, model.lookup, err);
    return st;
}

static ex_status model_begin_blind(void *impl, uint64_t known, store_head *ret, ex_error *err)
{
    if (atomic_load(&shared_model.begin_fails))
        return EX_EAGAIN;
    atomic_fetch_add(&shared_model.begun_blind, 1);
    ex_status st = store_memory_driver.begin(impl, ret, err);
    model.is_wrong = ret->position != known;
    ret->position = known;
    return st;
}

static bool model_epochs(void *impl, store_epochs *ret)
{
    (void)impl;
    bool has = shared_model.epochs.count != 0;
    *ret = shared_model.epochs;
    shared_model.epochs.count = 0;
    return has;
}

static void model_news(void *impl, store_news *ret)
{
    (void)impl;
    *ret = (store_news){0}; /* too many to tell: the store asks for all it needs */
}

static ex_status model_refresh(void *impl, uint64_t known, bool is_brief, store_head *ret,
                               ex_error *err)
{
    (void)known, (void)is_brief;
    return store_memory_driver.begin(impl, ret, err);
}

static ex_status model_follow(void *impl, store_follow_fn *fn, void *ctx, ex_error *err)
{
    (void)impl, (void)fn, (void)ctx, (void)err; /* others are met by the next batch only */
    return EX_OK;
}

static void model_unfollow(void *impl)
{
    (void)impl;
}

static ex_status model_write(void *impl, const store_write *w, ex_error *err)
{
    for (uint32_t i = 0; i < w->event_count; i++) {
        store_stream stored = {.name = w->streams[i]->name}, *asked = &stored;
        (void)store_memory_driver.find_streams(impl, &asked, 1, err);
        model.is_wrong |= w->streams[i]->id == 0 && stored.id;
    }
    return model.is_wrong ? EX_OK : store_memory_driver.write(impl, w, err);
}

static ex_status model_commit(void *impl, ex_error *err)
{
    ex_status fails = model.is_wrong ? EX_EAGAIN : shared_model.commit_fails;
    shared_model.commit_fails = EX_OK;
    if (fails)
        return ex_raise(err, fails, "the model's commit fails");
    atomic_fetch_add(&shared_model.committed, 1);
    return store_memory_driver.commit(impl, err);
}

static void model_rollback(void *impl)
{
    atomic_fetch_add(&shared_model.rolled_back, 1);
    store_memory_driver.rollback(impl);
}

static ex_status model_match(void *reader, store_match *m, ex_error *err)
{
    atomic_fetch_add(&shared_model.searching, 1);
    while (atomic_load(&shared_model.holds_searches))
        (void)usleep(1000);
    atomic_fetch_sub(&shared_model.searching, 1);
    return store_memory_driver.reader->match(reader, m, err);
}

static const store_shared_ops model_shared = {
    .expect = model_expect,
    .begin_blind = model_begin_blind,
    .epochs = model_epochs,
    .news = model_news,
    .look_up = model_look_up_inside,
    .refresh = model_refresh,
    .follow = model_follow,
    .unfollow = model_unfollow,
};

/* ---- The store ---- */

ex_status shared_model_open_with(const ex_store_options *options, ex_store **ret, ex_error *err)
{
    static store_driver_ops driver;
    static store_reader_ops reader;
    reader = *store_memory_driver.reader;
    reader.match = model_match;
    driver = store_memory_driver;
    driver.reader = &reader;
    driver.shared = &model_shared;
    driver.open = model_open;
    driver.begin = model_begin;
    driver.write = model_write;
    driver.commit = model_commit;
    driver.rollback = model_rollback;
    const store_internals internals = {.driver = &driver};
    return store_open_with(NULL, options, &internals, ret, err);
}

ex_status shared_model_open(ex_store **ret, ex_error *err)
{
    return shared_model_open_with(&(ex_store_options){.in_memory = true}, ret, err);
}

void shared_model_reset(void)
{
    atomic_store(&shared_model.begun, 0);
    atomic_store(&shared_model.begun_blind, 0);
    atomic_store(&shared_model.asked, 0);
    atomic_store(&shared_model.looked_up, 0);
    atomic_store(&shared_model.committed, 0);
    atomic_store(&shared_model.rolled_back, 0);
    shared_model.commit_fails = EX_OK;
    atomic_store(&shared_model.begin_fails, EX_OK);
    atomic_store(&shared_model.on_failing, NULL);
    atomic_store(&shared_model.holds_searches, false);
}

void shared_model_others_append(const char *stream, const char *type, const char *data)
{
    store_head head;
    store_stream s = {.name = ex_str(stream)}, *streams = &s;
    const store_driver_ops *d = &store_memory_driver;
    assert_int_equal(d->begin(model.impl, &head, NULL), EX_OK);
    assert_int_equal(d->find_streams(model.impl, &streams, 1, NULL), EX_OK);
    ex_event event = {.position = head.position + 1,
                      .version = s.version + 1,
                      .stream = ex_str(stream),
                      .type = ex_str(type),
                      .content_type = EX_S("application/json"),
                      .data = ex_str(data),
                      .metadata = EX_S("{}"),
                      .schema_version = 1};
    assert_int_equal(ex_id_new(&event.id, NULL), EX_OK);
    store_write w = {.events = &event, .streams = &streams, .event_count = 1};
    assert_int_equal(d->write(model.impl, &w, NULL), EX_OK);
    assert_int_equal(d->commit(model.impl, NULL), EX_OK);
}
