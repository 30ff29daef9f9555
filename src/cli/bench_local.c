/* bench_local.c: the load through the library: one thread submits, the sequencer answers.
 *
 * Each append in flight has a slot. The sequencer's callback measures, and puts the
 * slot on the free list; the submitting thread takes the whole list at once, so a
 * batch costs one wake-up. */
#include "cli/bench_run.h"
#include "kernel/deadline.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

typedef struct slot slot;

typedef struct load {
    ex_store *store;
    bench_run *run;
    slot *slots;
    char *data; /* of all slots */
    pthread_mutex_t mu;
    pthread_cond_t is_free;
    slot *free_list;     /* guarded by mu */
    uint32_t busy;       /* guarded by mu: slots not on the list */
    bool is_waiting;     /* guarded by mu */
    uint64_t next_event; /* submitting thread */
} load;

struct slot {
    load *load;
    slot *next;
    uint64_t sent_ns;
    char name[BENCH_NAME_SIZE];
    ex_new_event event;
    ex_stream_write write;
    ex_append append;
    ex_appended appended;
};

static void put_back(slot *s)
{
    load *l = s->load;
    pthread_mutex_lock(&l->mu);
    s->next = l->free_list;
    l->free_list = s;
    l->busy--;
    if (l->is_waiting)
        pthread_cond_signal(&l->is_free);
    pthread_mutex_unlock(&l->mu);
}

static void on_done(void *ctx, ex_status status, const ex_appended *appended, const ex_error *err)
{
    (void)appended;
    slot *s = ctx;
    bench_answered(s->load->run, s->sent_ns, status ? err : NULL);
    put_back(s);
}

/* All free slots; waits up to a tick when there is none. */
static slot *take_free(load *l)
{
    struct timespec until;
    uint64_t at = bench_now_ns() + BENCH_TICK_MS * UINT64_C(1000000);
    until.tv_sec = (time_t)(at / 1000000000);
    until.tv_nsec = (long)(at % 1000000000);
    pthread_mutex_lock(&l->mu);
    l->is_waiting = true;
    while (!l->free_list && bench_now_ns() < at)
        (void)pthread_cond_timedwait(&l->is_free, &l->mu, &until); /* the loop looks again */
    l->is_waiting = false;
    slot *list = l->free_list;
    l->free_list = NULL;
    for (slot *s = list; s; s = s->next)
        l->busy++;
    pthread_mutex_unlock(&l->mu);
    return list;
}

static ex_status submit(slot *s, ex_error *err)
{
    load *l = s->load;
    uint64_t n = l->next_event++;
    s->write.stream = bench_stream_name(l->run, n, s->name);
    s->event.data = bench_event_data(l->run, n, (char *)(uintptr_t)s->event.data.ptr);
    s->sent_ns = bench_now_ns();
    return ex_store_append_async(l->store, &s->append, &s->appended, on_done, s, err);
}

static ex_status run(load *l, ex_error *err)
{
    ex_status status = EX_OK;
    while (!status && !bench_is_over(l->run)) {
        for (slot *s = take_free(l), *next = NULL; s; s = next) {
            next = s->next; /* before the callback can use it again */
            if (!status)
                status = submit(s, err);
            if (status)
                put_back(s); /* was not queued */
        }
        bench_tick(l->run);
    }
    return status;
}

static void wait_for_answers(load *l)
{
    pthread_mutex_lock(&l->mu);
    l->is_waiting = true;
    while (l->busy > 0)
        pthread_cond_wait(&l->is_free, &l->mu);
    pthread_mutex_unlock(&l->mu);
}

static void init_slots(load *l)
{
    for (uint32_t i = 0; i < l->run->in_flight; i++) {
        slot *s = &l->slots[i];
        s->load = l;
        s->event.type = EX_S("BenchEvent");
        s->event.data.ptr = l->data + (size_t)i * l->run->event_bytes;
        s->write.events = &s->event;
        s->write.event_count = 1;
        s->write.expected = EX_NO_STREAM;
        s->append.writes = &s->write;
        s->append.write_count = 1;
        s->next = l->free_list;
        l->free_list = s;
    }
}

ex_status bench_local(ex_store *store, bench_run *r, ex_error *err)
{
    load l = {.store = store, .run = r};
    pthread_mutex_init(&l.mu, NULL);
    ex_cond_init(&l.is_free);
    l.slots = calloc(r->in_flight, sizeof(*l.slots));
    l.data = calloc(r->in_flight, r->event_bytes);
    ex_status status = EX_OK;
    if (!l.slots || !l.data) {
        status = ex_raise(err, EX_ENOMEM, "out of memory");
        goto out;
    }
    init_slots(&l);
    r->started_ns = r->shown_ns = bench_now_ns();
    status = run(&l, err);
    wait_for_answers(&l);
    r->ended_ns = bench_now_ns();
out:
    free(l.slots);
    free(l.data);
    pthread_cond_destroy(&l.is_free);
    pthread_mutex_destroy(&l.mu);
    return status;
}
