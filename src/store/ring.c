/* ring.c: the ring of recent events: a deque of blocks in order of position.
 *
 * Happy path: the sequencer packs a batch without the lock, then pushes the
 * block and drops old ones under it; a reader finds its block by binary
 * search. Failure: when a block or the deque cannot be allocated, the ring
 * forgets everything up to the new head, so that readers go to the log. */
#include "store/ring.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A reader pins the block that it reads, so blocks of a large batch are cut at about this size. */
#define BLOCK_TARGET_BYTES (64 * 1024)
#define SLOTS_MIN          64

struct ring {
    /* immutable */
    size_t limit_bytes;
    /* atomic; moved under mu, so that the deque and the head agree there */
    _Atomic uint64_t head;
    /* guarded by mu */
    pthread_mutex_t mu;
    event_block **slots; /* a deque of `count` blocks from slot `first`, wrapping */
    size_t capacity;     /* a power of two */
    size_t first;
    size_t count;
    size_t block_bytes;
    uint64_t events;
};

ex_status ring_new(size_t limit_bytes, uint64_t head, ring **ret, ex_error *err)
{
    ring *r = calloc(1, sizeof *r);
    event_block **slots = calloc(SLOTS_MIN, sizeof *slots);
    if (r == NULL || slots == NULL) {
        free(r);
        free(slots);
        return ex_raise(err, EX_ENOMEM, "no memory for the ring of recent events");
    }
    r->limit_bytes = limit_bytes;
    r->slots = slots;
    r->capacity = SLOTS_MIN;
    atomic_init(&r->head, head);
    pthread_mutex_init(&r->mu, NULL);
    *ret = r;
    return EX_OK;
}

void ring_free(ring *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->count; i++)
        event_block_unref(r->slots[(r->first + i) & (r->capacity - 1)]);
    pthread_mutex_destroy(&r->mu);
    free(r->slots);
    free(r);
}

/* ---- The deque; all of it with mu held ---- */

static event_block *block_at(const ring *r, size_t index)
{
    assert(index < r->count);
    return r->slots[(r->first + index) & (r->capacity - 1)];
}

static size_t bytes_used(const ring *r)
{
    return r->block_bytes + r->capacity * sizeof(event_block *);
}

static bool grow(ring *r)
{
    size_t capacity = r->capacity * 2;
    event_block **slots = malloc(capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    for (size_t i = 0; i < r->count; i++)
        slots[i] = block_at(r, i);
    free(r->slots);
    r->slots = slots;
    r->capacity = capacity;
    r->first = 0;
    return true;
}

static void drop_oldest(ring *r)
{
    event_block *b = block_at(r, 0);
    r->first = (r->first + 1) & (r->capacity - 1);
    r->count--;
    r->block_bytes -= event_block_bytes(b);
    r->events -= event_block_count(b);
    event_block_unref(b);
}

static bool push(ring *r, event_block *b)
{
    if (r->count == r->capacity && !grow(r))
        return false;
    r->slots[(r->first + r->count) & (r->capacity - 1)] = b;
    r->count++;
    r->block_bytes += event_block_bytes(b);
    r->events += event_block_count(b);
    return true;
}

/* ---- Publishing ---- */

/* Take over `b` (NULL: there is none to keep) and move the head to `last`. */
static void publish_block(ring *r, event_block *b, uint64_t last)
{
    pthread_mutex_lock(&r->mu);
    if (b == NULL || !push(r, b)) {
        event_block_unref(b);
        while (r->count != 0)
            drop_oldest(r);
    }
    while (r->count != 0 && bytes_used(r) > r->limit_bytes)
        drop_oldest(r);
    atomic_store(&r->head, last);
    pthread_mutex_unlock(&r->mu);
}

/* How many of the events go into one block: at least one. */
static size_t block_length(const ex_event *events, size_t count)
{
    size_t bytes = event_block_measure(events, 1);
    size_t n = 1;
    while (n < count && bytes < BLOCK_TARGET_BYTES) {
        bytes += sizeof(packed_event) + packed_size(&events[n]);
        n++;
    }
    return n;
}

void ring_publish(ring *r, const ex_event *events, size_t count)
{
    while (count != 0) {
        assert(events[0].position == ring_head(r) + 1);
        size_t n = block_length(events, count);
        assert(events[n - 1].position == events[0].position + n - 1);
        publish_block(r, event_block_new(events, n), events[n - 1].position);
        events += n;
        count -= n;
    }
}

void ring_skip(ring *r, uint64_t head)
{
    assert(head >= ring_head(r));
    publish_block(r, NULL, head);
}

void ring_restart(ring *r, uint64_t head)
{
    publish_block(r, NULL, head);
}

/* ---- Reading ---- */

uint64_t ring_head(const ring *r)
{
    return atomic_load(&r->head);
}

/* Index of the block that holds a position between the first held and the head. */
static size_t search(const ring *r, uint64_t position)
{
    size_t low = 0;
    size_t high = r->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (event_block_first(block_at(r, middle)) <= position)
            low = middle;
        else
            high = middle;
    }
    return low;
}

ring_found ring_find(ring *r, uint64_t position, event_block **ret_block)
{
    if (position > ring_head(r))
        return RING_AT_END;
    ring_found found = RING_BEHIND;
    pthread_mutex_lock(&r->mu);
    if (r->count != 0 && event_block_first(block_at(r, 0)) <= position) {
        event_block *b = block_at(r, search(r, position));
        assert(event_block_first(b) <= position && position <= event_block_last(b));
        *ret_block = event_block_ref(b);
        found = RING_FOUND;
    }
    pthread_mutex_unlock(&r->mu);
    return found;
}

ring_usage ring_measure(ring *r)
{
    pthread_mutex_lock(&r->mu);
    ring_usage usage = {.bytes = bytes_used(r), .events = r->events, .blocks = r->count};
    pthread_mutex_unlock(&r->mu);
    return usage;
}
