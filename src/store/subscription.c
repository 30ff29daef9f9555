/* subscription.c: catch up from the log, then follow the ring.
 *
 * Happy path: poll hands out what the chunk holds, then what the ring holds;
 * at the head it says so, and next waits for a commit. When the ring does not
 * hold position + 1, poll asks for fill, which reads one part of the log as a
 * cursor does (fetch.c, hence with the index for the filter). The part knows up
 * to which position everything was looked at, also what the filter passed over;
 * when its slice of time ended before it found anything, it is empty.
 *
 * Failure: fill changes nothing when it fails, so it can be repeated.
 *
 * One history: what is in hand was read under a generation of the log's identity
 * (log_identity.h). When that has moved, it is dropped, and the position must
 * still be current in the epoch that it was reached in; else the subscription is
 * over. An event of a new epoch cannot be seen before the epoch, so looking after
 * each reading is enough.
 *
 * One stream: `version` decides what is delivered, `position` where the ring
 * is entered; the stream's versions and positions rise together. */
#include "store/subscription.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "kernel/deadline.h"
#include "store/fetch.h"
#include "store/position_check.h"

#define CHUNK_EVENTS 1000
#define CHUNK_BYTES  ((size_t)1 << 20)
/* Nobody tells a read-only store of the commits of another process: it asks this often. */
#define PROBE_MS 50

/* ---- Open and close ---- */

static uint64_t at(const ex_subscription *sub)
{
    return atomic_load_explicit(&sub->position, memory_order_relaxed);
}

static void wake_reader(ex_watcher *w, uint64_t head)
{
    (void)head;
    ex_subscription *sub =
        (ex_subscription *)(void *)((char *)w - offsetof(ex_subscription, watcher));
    /* Ordered against the reader, which sets the flag and then looks at the head again. */
    if (!atomic_load(&sub->is_waiting))
        return;
    pthread_mutex_lock(&sub->mu);
    pthread_cond_signal(&sub->wake);
    pthread_mutex_unlock(&sub->mu);
}

static void init_waiting(ex_subscription *sub)
{
    pthread_mutex_init(&sub->mu, NULL);
    ex_cond_init(&sub->wake);
    sub->watcher.wake = wake_reader;
}

static void link_subscription(ex_subscription *sub)
{
    store_live *l = sub->live;
    pthread_mutex_lock(&l->mu);
    sub->next = l->subscriptions;
    if (sub->next != NULL)
        sub->next->prev = sub;
    l->subscriptions = sub;
    pthread_mutex_unlock(&l->mu);
}

static void unlink_subscription(ex_subscription *sub)
{
    store_live *l = sub->live;
    pthread_mutex_lock(&l->mu);
    if (sub->prev != NULL)
        sub->prev->next = sub->next;
    else
        l->subscriptions = sub->next;
    if (sub->next != NULL)
        sub->next->prev = sub->prev;
    pthread_mutex_unlock(&l->mu);
}

/* Where it starts: at a version of one stream, its place in the log yet unknown, or in the log. */
static void set_start(ex_subscription *sub, const ex_subscribe *subscribe)
{
    if (subscribe->stream.len != 0) {
        char *name = (char *)(sub + 1);
        memcpy(name, subscribe->stream.ptr, subscribe->stream.len);
        sub->stream = ex_slice_of(name, subscribe->stream.len);
        sub->stream_hash = name_hash(sub->stream);
        sub->is_one_stream = true;
        sub->version = subscribe->after;
        return;
    }
    atomic_init(&sub->position, subscribe->after);
}

/* From then on it is current, or it is said. */
static ex_status set_epoch(ex_subscription *sub, const ex_id *epoch, ex_error *err)
{
    ex_log_epoch current;
    uint64_t generation;
    do { /* until both are of one identity */
        generation = log_identity_generation(&sub->store->identity);
        current = log_identity_current(&sub->store->identity);
    } while (generation != log_identity_generation(&sub->store->identity));
    sub->epoch = current.id;
    sub->generation = generation;
    if (!epoch)
        return EX_OK;
    uint64_t position = atomic_load(&sub->position);
    return store_check_epoch(sub->store, epoch, position, NULL, err);
}

ex_status ex_store_subscribe(ex_store *s, const ex_subscribe *subscribe, ex_subscription **ret,
                             ex_error *err)
{
    if (subscribe->stream.len > EX_STREAM_NAME_MAX)
        return ex_raise(err, EX_EINVAL, "stream name of %zu bytes, at most %d are possible",
                        subscribe->stream.len, EX_STREAM_NAME_MAX);
    if (subscribe->stream.len != 0 && subscribe->filter != NULL)
        return ex_raise(err, EX_EINVAL, "a subscription to one stream takes no filter");
    if (subscribe->after >= INT64_MAX)
        return ex_raise(err, EX_EINVAL, "a subscription after %llu, beyond any position",
                        (unsigned long long)subscribe->after);
    ex_subscription *sub = calloc(1, sizeof *sub + subscribe->stream.len);
    if (sub == NULL)
        return ex_raise(err, EX_ENOMEM, "no memory for a subscription");
    if (subscribe->filter != NULL) {
        ex_status status = filter_new(subscribe->filter, &sub->filter, err);
        if (status != EX_OK) {
            free(sub);
            return status;
        }
    }
    sub->store = s;
    sub->live = store_live_of(s);
    sub->seen_head = UINT64_MAX;
    set_start(sub, subscribe);
    ex_status status = set_epoch(sub, subscribe->epoch, err);
    if (status != EX_OK) {
        filter_free(sub->filter);
        free(sub);
        return status;
    }
    sub->is_placed = sub->is_one_stream
                         ? sub->version == 0
                         : sub->live->ring != NULL && at(sub) <= ring_head(sub->live->ring);
    init_waiting(sub);
    link_subscription(sub);
    *ret = sub;
    return EX_OK;
}

void ex_subscription_close(ex_subscription *sub)
{
    if (sub == NULL)
        return;
    assert(!atomic_load(&sub->is_waiting));
    if (sub->is_watching)
        watch_remove(&sub->live->watchers, &sub->watcher);
    unlink_subscription(sub);
    event_block_unref(sub->block);
    chunk_done(&sub->chunk);
    filter_free(sub->filter);
    pthread_cond_destroy(&sub->wake);
    pthread_mutex_destroy(&sub->mu);
    free(sub);
}

/* ---- Taking events from memory ---- */

/* `id` is that of the event there. */
static void move_to(ex_subscription *sub, uint64_t position, const ex_id *id)
{
    assert(position >= at(sub));
    sub->event_id = *id;
    atomic_store_explicit(&sub->position, position, memory_order_relaxed);
}

/* Past what a filter has left out: the event there was not seen. */
static void skip_to(ex_subscription *sub, uint64_t position)
{
    static const ex_id unseen;
    if (position != at(sub))
        move_to(sub, position, &unseen);
}

static uint64_t known_head(const ex_subscription *sub)
{
    return sub->live->ring != NULL ? ring_head(sub->live->ring) : sub->seen_head;
}

static bool wants(const ex_subscription *sub, const packed_event *p, const char *bytes)
{
    if (!sub->is_one_stream)
        return filter_matches(sub->filter, p, bytes);
    return p->stream_hash == sub->stream_hash && p->version > sub->version &&
           ex_slice_eq(packed_stream(p, bytes), sub->stream);
}

/* The next wanted event of the block in hand; lets go of the block when there is none. */
static bool take_from_block(ex_subscription *sub, ex_event *ret)
{
    event_block *b = sub->block;
    uint64_t first = event_block_first(b);
    uint64_t last = event_block_last(b);
    for (uint64_t p = at(sub) + 1; p <= last; p++) {
        size_t index = (size_t)(p - first);
        const packed_event *packed = event_block_packed(b, index);
        if (wants(sub, packed, event_block_data(b, index))) {
            unpack_event(packed, event_block_data(b, index), ret);
            sub->version = packed->version;
            move_to(sub, p, &packed->id);
            return true;
        }
    }
    move_to(sub, last, &event_block_packed(b, event_block_count(b) - 1)->id);
    sub->block = NULL;
    event_block_unref(b);
    return false;
}

static bool take_from_chunk(ex_subscription *sub, ex_event *ret)
{
    const ex_event *e = chunk_take(&sub->chunk);
    if (e != NULL) {
        *ret = *e;
        sub->version = ret->version;
        move_to(sub, ret->position, &ret->id);
        if (sub->chunk.taken == sub->chunk.count)
            skip_to(sub, sub->chunk_end); /* behind the last one only what the filter passes over */
        return true;
    }
    chunk_done(&sub->chunk);
    return false;
}

/* ---- One history ---- */

static bool has_log_changed(const ex_subscription *sub)
{
    return log_identity_generation(&sub->store->identity) != sub->generation;
}

/* What is in hand may be of the epoch before. */
static ex_status take_in_epochs(ex_subscription *sub, ex_error *err)
{
    ex_log_epoch current;
    uint64_t generation;
    ex_status status;
    do {
        status = store_check_epoch(sub->store, &sub->epoch, at(sub), &generation, err);
        current = log_identity_current(&sub->store->identity);
    } while (generation != log_identity_generation(&sub->store->identity));
    if (status != EX_OK)
        return status;
    sub->epoch = current.id;
    sub->generation = generation;
    chunk_done(&sub->chunk);
    event_block_unref(sub->block);
    sub->block = NULL;
    return EX_OK;
}

static ex_status take(ex_subscription *sub, ex_event *ret, ex_error *err)
{
    if (!sub->is_placed)
        return EX_EAGAIN;
    if (take_from_chunk(sub, ret))
        return EX_OK;
    for (;;) {
        if (sub->block != NULL && has_log_changed(sub))
            return EX_EAGAIN; /* before anything of a block that was found just now */
        if (sub->block != NULL && take_from_block(sub, ret))
            return EX_OK;
        if (at(sub) >= known_head(sub))
            return atomic_load(&sub->live->is_closed)
                       ? ex_raise(err, EX_ECLOSED, "store is closing")
                       : EX_ETIMEOUT;
        if (sub->live->ring == NULL ||
            ring_find(sub->live->ring, at(sub) + 1, &sub->block) != RING_FOUND)
            return EX_EAGAIN;
    }
}

ex_status ex_subscription_poll(ex_subscription *sub, ex_event *ret, ex_error *err)
{
    if (atomic_load(&sub->is_stopped))
        return ex_raise(err, EX_ECANCELLED, "subscription was stopped");
    ex_status status = has_log_changed(sub) ? take_in_epochs(sub, err) : EX_OK;
    if (status != EX_OK)
        return status;
    uint64_t head = known_head(sub);
    status = take(sub, ret, err);
    atomic_store_explicit(&sub->is_live, at(sub) >= head, memory_order_relaxed);
    return status;
}

/* ---- Reading the log ---- */

static store_scan scan_of(const ex_subscription *sub)
{
    if (sub->is_one_stream)
        return (store_scan){.is_stream = true, .stream = sub->stream, .from = sub->version + 1};
    return (store_scan){.from = at(sub) + 1, .filter = filter_plain(sub->filter)};
}

static bool is_in_ring(ex_subscription *sub)
{
    if (sub->live->ring == NULL)
        return false;
    return sub->block != NULL ||
           ring_find(sub->live->ring, at(sub) + 1, &sub->block) != RING_BEHIND;
}

/* It was not known from memory that the log has what the subscription is to begin behind. */
static ex_status find_place(ex_subscription *sub, ex_error *err)
{
    ex_status status = sub->is_one_stream
                           ? position_check_stream(sub->store, sub->stream, sub->version, err)
                           : position_check_log(sub->store, at(sub), err);
    sub->is_placed = status == EX_OK;
    return status;
}

/* Up to where a part has looked. In one stream that is known at its end only. */
static uint64_t end_of_part(const ex_subscription *sub, const fetch *f, const chunk *c)
{
    uint64_t last = c->count != 0 ? c->events[c->count - 1].position : at(sub);
    uint64_t looked_at = last;
    if (!sub->is_one_stream)
        looked_at = fetch_position(f);
    else if (f->is_at_end)
        looked_at = f->scan.upto;
    return looked_at > last ? looked_at : last;
}

ex_status ex_subscription_fill(ex_subscription *sub, ex_error *err)
{
    const fetch_bounds bounds = {
        .events = CHUNK_EVENTS, .bytes = CHUNK_BYTES, .is_stopped = &sub->is_stopped};
    chunk c = {0};
    if (!sub->is_placed) {
        ex_status status = find_place(sub, err);
        if (status != EX_OK)
            return status;
    }
    if (sub->chunk.taken < sub->chunk.count || is_in_ring(sub))
        return EX_OK;
    const store_scan scan = scan_of(sub);
    fetch f = fetch_of(&scan);
    ex_status status = fetch_more(sub->store, &f, &bounds, &c, err);
    if (sub->live->ring == NULL) { /* nobody tells us: another process opens epochs */
        ex_status refreshed = store_refresh_epochs(sub->store, err);
        status = refreshed == EX_OK ? status : refreshed;
    }
    if (has_log_changed(sub)) { /* whatever was read: poll looks what that means */
        chunk_done(&c);
        return EX_OK;
    }
    if (status != EX_OK) {
        chunk_done(&c);
        return status;
    }
    uint64_t last = end_of_part(sub, &f, &c);
    ex_counter_add(sub->live->metrics.fills, 1);
    chunk_done(&sub->chunk);
    sub->chunk = c;
    sub->chunk_end = last;
    if (c.count == 0)
        skip_to(sub, last);
    sub->seen_head = f.scan.upto > last ? f.scan.upto : last;
    return EX_OK;
}

/* ---- Waiting ---- */

/* A time to come, for pthread_cond_timedwait: the kernel's clock, whatever clock the store has. */
static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static bool has_passed(const struct timespec *deadline)
{
    struct timespec now = ex_deadline(0);
    return !is_before(&now, deadline);
}

static bool is_quiet(const ex_subscription *sub)
{
    return !atomic_load(&sub->is_stopped) && !atomic_load(&sub->live->is_closed) &&
           at(sub) >= known_head(sub) && !has_log_changed(sub);
}

/* Sleep until there may be something to do or the deadline (NULL: none) passed. */
static void wait_for_commit(ex_subscription *sub, const struct timespec *deadline)
{
    if (!sub->is_watching) {
        watch_add(&sub->live->watchers, &sub->watcher);
        sub->is_watching = true;
    }
    pthread_mutex_lock(&sub->mu);
    atomic_store(&sub->is_waiting, true);
    int error = 0;
    while (error != ETIMEDOUT && is_quiet(sub)) {
        error = deadline != NULL ? pthread_cond_timedwait(&sub->wake, &sub->mu, deadline)
                                 : pthread_cond_wait(&sub->wake, &sub->mu);
    }
    atomic_store(&sub->is_waiting, false);
    pthread_mutex_unlock(&sub->mu);
}

/* Read-only store: wait a moment, then ask the database. */
static void wait_and_probe(ex_subscription *sub, const struct timespec *deadline)
{
    struct timespec probe = ex_deadline(PROBE_MS);
    wait_for_commit(sub, deadline != NULL && is_before(deadline, &probe) ? deadline : &probe);
    uint64_t head = ex_store_head(sub->store);
    if (head > sub->seen_head)
        sub->seen_head = head;
    if (head >= at(sub))
        return;
    ex_status status = store_refresh_epochs(sub->store, NULL);
    (void)status; /* a failure is met again when something is to be read */
}

static void wait_for_news(ex_subscription *sub, const struct timespec *deadline)
{
    if (sub->live->ring != NULL)
        wait_for_commit(sub, deadline);
    else
        wait_and_probe(sub, deadline);
}

ex_status ex_subscription_next(ex_subscription *sub, int64_t timeout_ms, ex_event *ret,
                               ex_error *err)
{
    struct timespec until = ex_deadline(timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
    const struct timespec *deadline = timeout_ms < 0 ? NULL : &until;
    for (bool is_last_try = false;; is_last_try = deadline != NULL && has_passed(deadline)) {
        ex_status status = ex_subscription_poll(sub, ret, err);
        bool is_behind = status == EX_EAGAIN;
        if (is_behind && is_last_try) /* filled, and found nothing that the filter wants */
            status = EX_ETIMEOUT;
        else if (is_behind)
            status = ex_subscription_fill(sub, err);
        if (is_behind && status == EX_OK)
            continue;
        if (status != EX_ETIMEOUT) /* also what fill met while it waited for a read connection */
            return status;
        if (is_last_try)
            return ex_raise(err, EX_ETIMEOUT, "no new event within %lld ms", (long long)timeout_ms);
        if (!is_behind)
            wait_for_news(sub, deadline);
    }
}

/* ---- Any thread ---- */

uint64_t ex_subscription_position(const ex_subscription *sub)
{
    return atomic_load_explicit(&sub->position, memory_order_relaxed);
}

ex_id ex_subscription_epoch(const ex_subscription *sub)
{
    return sub->epoch;
}

ex_id ex_subscription_event_id(const ex_subscription *sub)
{
    return sub->event_id;
}

bool ex_subscription_is_live(const ex_subscription *sub)
{
    return atomic_load_explicit(&sub->is_live, memory_order_relaxed);
}

void ex_subscription_stop(ex_subscription *sub)
{
    pthread_mutex_lock(&sub->mu);
    atomic_store(&sub->is_stopped, true);
    pthread_cond_signal(&sub->wake);
    pthread_mutex_unlock(&sub->mu);
}
