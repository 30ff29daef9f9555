/* sse.c: one loop's clients share a hub: one store watcher, one timer, one scratch buffer.
 *
 * Happy path: a commit wakes the hub's watcher on the sequencer's thread, which
 * posts to the loop once however many commits follow; the loop pumps every
 * client: poll the subscription, collect frames, write them in one go.
 *
 * A client is in exactly one of these conditions, and whoever ends it pumps again:
 *
 *   idle        live, nothing new                   the hub's post
 *   filling     behind the ring: a thread reads     the post of fill_run
 *   blocked     the output or the budget is full    on_drain
 *   scheduled   had its turn, others come first     its own post
 *
 * Ending: on_close comes exactly once, from the connection. A thread that still
 * fills then holds the client; its post frees it. */
#include "api/sse/sse.h"

#include "api/log_token.h"
#include "api/sse/frame.h"
#include "io/timer.h"
#include "kernel/workers.h"
#include "store/tail.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FILL_THREADS       2
#define HUBS_MAX           64
#define WRITE_BYTES        ((size_t)64 << 10) /* frames collected before they are handed to the output */
#define TURN_BYTES         ((size_t)256 << 10) /* a client's share before the loop sees the others */
#define SCRATCH_KEEP_BYTES ((size_t)1 << 20)
#define NS_PER_MS          1000000

typedef struct hub hub;
typedef struct client client;

struct client {
    /* immutable */
    hub *hub;
    ex_subscription *sub;
    bool is_one_stream;
    bool is_unnamed;
    /* loop thread; sub belongs to the filling thread while is_filling */
    http_exchange *x;
    client *prev, *next;
    bool is_filling, is_blocked, is_scheduled, is_pumping;
    bool is_closed;    /* on_close was called: x is gone */
    bool is_ended;     /* we ended the answer: on_close is to come */
    bool is_caught_up; /* said so, and still live */
    bool is_quiet;     /* nothing was sent since the last heartbeat */
    bool has_filled;   /* and nothing was taken since */
    bool is_searching; /* the last filling found nothing that the filter wants */
    ex_id epoch;       /* of the log, as the client knows it */
    ex_post turn;
    /* the filling thread, then handed over by the post */
    ex_status fill_status;
    ex_post filled;
};

struct hub {
    ex_watcher watcher;
    /* immutable after it was taken into use */
    sse_service *service;
    ex_loop *loop;
    ex_post wake;
    /* any thread */
    atomic_bool is_wake_posted;
    /* loop thread */
    client *clients;
    ex_timer *heartbeat;
    ex_buf scratch;
};

struct sse_service {
    sse_options options;
    ex_workers *fillers;
    ex_gauge *open_gauge;
    ex_counter *sent_counter;
    atomic_uint open_count;
    /* guarded by mu */
    pthread_mutex_t mu;
    hub hubs[HUBS_MAX];
    size_t hub_count;
};

static void pump(client *c);

/* ---- Output ---- */

static void end(client *c)
{
    if (c->is_closed || c->is_ended)
        return;
    c->is_ended = true;
    http_stream_end(c->x);
}

/* Hand the collected frames over. A frame that did not fit into memory ends the answer: the client
 * comes back and resumes before it. */
static void flush(client *c)
{
    ex_buf *out = &c->hub->scratch;
    if (ex_buf_status(out)) {
        end(c);
    } else if (out->len && !c->is_closed && !c->is_ended) {
        c->is_quiet = false;
        if (!http_stream_write(c->x, ex_buf_slice(out)))
            c->is_blocked = true;
    }
    if (out->cap > SCRATCH_KEEP_BYTES) {
        ex_buf_done(out);
        ex_buf_init(out, 0);
    }
    ex_buf_reset(out);
}

static void put_number_frame(ex_buf *out, ex_slice name, const char *key, uint64_t n)
{
    char data[64];
    int len = snprintf(data, sizeof(data), "{\"%s\":%" PRIu64 "}", key, n);
    sse_put_frame(out, name, ex_slice_of(data, (size_t)len));
}

/* Which log the client's events are of, and where it ends. */
static void put_log_frame(client *c, ex_slice name, const char *key)
{
    ex_store *store = c->hub->service->options.store;
    char data[192], text[LOG_TOKEN_TEXT_SIZE];
    const log_token token = {ex_store_log_id(store), c->epoch};
    int len = snprintf(data, sizeof(data), "{\"head\":%" PRIu64 ",\"%s\":\"%s\"}",
                       ex_store_head(store), key, log_token_text(&token, text).ptr);
    sse_put_frame(&c->hub->scratch, name, ex_slice_of(data, (size_t)len));
}

/* ---- Life of a client ---- */

static void heartbeat(void *arg)
{
    hub *h = arg;
    uint64_t now_ms = (uint64_t)(ex_now_us(h->service->options.clock) / 1000);
    client *next = NULL;
    for (client *c = h->clients; c; c = next) {
        next = c->next;
        if (c->is_quiet && !c->is_blocked) {
            put_number_frame(&h->scratch, EX_S("heartbeat"), "timestamp", now_ms);
            flush(c);
        }
        c->is_quiet = true;
    }
}

static void on_wake(void *arg)
{
    hub *h = arg;
    /* cleared before looking: a commit from here on posts again */
    atomic_store(&h->is_wake_posted, false);
    client *next = NULL;
    for (client *c = h->clients; c; c = next) {
        next = c->next;
        pump(c);
    }
}

static void wake_hub(ex_watcher *w, uint64_t head)
{
    hub *h = (hub *)w; /* its first member */
    (void)head;
    if (!atomic_exchange(&h->is_wake_posted, true))
        ex_loop_post(h->loop, &h->wake);
}

/* The first client of a loop starts watch and timer, the last one ends them: a loop without
 * clients has no handle of ours, and no commit posts to it. */
static bool hub_add(hub *h, client *c)
{
    if (!h->clients) {
        const sse_options *o = &h->service->options;
        h->heartbeat = ex_timer_start(h->loop, o->heartbeat_ms, heartbeat, h);
        if (!h->heartbeat)
            return false;
        ex_store_watch(o->store, &h->watcher);
    }
    c->next = h->clients;
    if (c->next)
        c->next->prev = c;
    h->clients = c;
    return true;
}

static void hub_remove(hub *h, client *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        h->clients = c->next;
    if (c->next)
        c->next->prev = c->prev;
    if (h->clients)
        return;
    ex_store_unwatch(h->service->options.store, &h->watcher);
    ex_timer_stop(h->heartbeat);
    h->heartbeat = NULL;
}

static void count_open(sse_service *s, int delta)
{
    if (delta > 0)
        atomic_fetch_add(&s->open_count, 1);
    else
        atomic_fetch_sub(&s->open_count, 1);
    ex_gauge_add(s->open_gauge, delta);
}

/* Free a closed client once nothing else holds it. */
static void release(client *c)
{
    if (!c->is_closed || c->is_filling || c->is_scheduled || c->is_pumping)
        return;
    ex_subscription_close(c->sub);
    free(c);
}

static void on_close(void *arg)
{
    client *c = arg;
    assert(!c->is_closed);
    c->is_closed = true;
    hub_remove(c->hub, c);
    count_open(c->hub->service, -1);
    ex_subscription_stop(c->sub); /* a thread that fills it comes back soon */
    release(c);
}

static void on_drain(void *arg)
{
    client *c = arg;
    c->is_blocked = false;
    pump(c);
}

/* A client whose events are no longer in the log is told before its stream ends: it would come back
 * and go on behind other events. */
static void end_with(client *c, ex_status status)
{
    if (status == EX_ELOGCHANGED || status == EX_EAHEAD) {
        c->epoch = ex_store_epoch(c->hub->service->options.store).id;
        put_log_frame(c, EX_S("log-changed"), "now"); /* not `log`: its events are not of it */
        flush(c);
    }
    end(c);
}

/* ---- Catching up ---- */

static void on_filled(void *arg)
{
    client *c = arg;
    gate *g = c->hub->service->options.gate;
    c->is_filling = false;
    c->has_filled = c->fill_status == EX_OK;
    if (c->is_closed) {
        release(c);
    } else if (c->fill_status == EX_OK || c->fill_status == EX_ETIMEOUT) {
        pump(c); /* after a time-out (no read connection was free) it fills again */
    } else {
        end_with(c, c->fill_status);
    }
    gate_leave(g);
}

static void fill_run(void *arg)
{
    client *c = arg;
    c->fill_status = ex_subscription_fill(c->sub, NULL);
    ex_loop_post(c->hub->loop, &c->filled);
}

static void start_fill(client *c)
{
    sse_service *s = c->hub->service;
    c->is_caught_up = false;
    if (gate_enter(s->options.gate, NULL)) {
        end(c);
        return;
    }
    c->is_filling = true;
    /* cannot be full: it has a place for every client. Who searches lets others go first. */
    if (c->is_searching) {
        ex_workers_submit_again(s->fillers, fill_run, c);
    } else if (ex_workers_submit(s->fillers, fill_run, c, NULL)) {
        c->is_filling = false;
        end(c);
        gate_leave(s->options.gate);
    }
}

static void on_turn(void *arg)
{
    client *c = arg;
    c->is_scheduled = false;
    if (c->is_closed)
        release(c);
    else
        pump(c);
}

static void schedule(client *c)
{
    c->is_scheduled = true;
    ex_loop_post(c->hub->loop, &c->turn);
}

/* The log goes on in a new epoch, and all that the client has is still in it. */
static void tell_epoch(client *c)
{
    ex_id epoch = ex_subscription_epoch(c->sub);
    if (ex_id_eq(&epoch, &c->epoch))
        return;
    c->epoch = epoch;
    put_log_frame(c, EX_S("epoch"), "log");
}

/* Send what the subscription has at hand, up to a turn's share. EX_OK: the share is used up. */
static ex_status send_ready(client *c)
{
    ex_buf *out = &c->hub->scratch;
    size_t sent = 0;
    uint64_t events = 0;
    ex_status st = EX_OK;
    while (!c->is_blocked && !c->is_ended && !c->is_closed && sent < TURN_BYTES) {
        ex_event event;
        if (!http_stream_has_room(c->x)) { /* asked before the event is copied for this client */
            c->is_blocked = true;
            break;
        }
        st = ex_subscription_poll(c->sub, &event, NULL);
        tell_epoch(c);
        if (st)
            break;
        sse_put_event(out, &event, c->is_one_stream ? event.version : event.position,
                      !c->is_unnamed);
        events++;
        c->is_searching = false;
        if (out->len >= WRITE_BYTES || ex_buf_status(out)) {
            sent += out->len;
            flush(c);
        }
    }
    if (st == EX_ETIMEOUT && !c->is_caught_up) {
        put_number_frame(out, EX_S("caught-up"), "position", ex_subscription_position(c->sub));
        c->is_caught_up = true;
    }
    flush(c);
    ex_counter_add(c->hub->service->sent_counter, events);
    return st;
}

static void pump(client *c)
{
    if (c->is_closed || c->is_ended || c->is_blocked || c->is_filling || c->is_scheduled ||
        c->is_pumping)
        return;
    c->is_pumping = true; /* on_close and on_drain may come from within a write */
    c->is_searching = c->has_filled;
    c->has_filled = false;
    ex_status st = send_ready(c);
    bool can_go_on = !c->is_closed && !c->is_ended && !c->is_blocked;
    if (can_go_on && st == EX_EAGAIN)
        start_fill(c);
    else if (can_go_on && st == EX_OK)
        schedule(c);
    else if (st != EX_OK && st != EX_EAGAIN && st != EX_ETIMEOUT)
        end_with(c, st);
    c->is_pumping = false;
    release(c);
}

/* ---- Opening ---- */

static hub *hub_of(sse_service *s, ex_loop *loop)
{
    hub *h = NULL;
    (void)pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < s->hub_count && !h; i++)
        if (s->hubs[i].loop == loop)
            h = &s->hubs[i];
    if (!h && s->hub_count < HUBS_MAX) {
        h = &s->hubs[s->hub_count++];
        h->service = s;
        h->loop = loop;
        h->watcher.wake = wake_hub;
        h->wake = (ex_post){.fn = on_wake, .arg = h};
        ex_buf_init(&h->scratch, 0);
    }
    (void)pthread_mutex_unlock(&s->mu);
    return h;
}

static ex_status client_new(sse_service *s, hub *h, const ex_subscribe *subscribe, client **ret,
                            ex_error *err)
{
    client *c = calloc(1, sizeof(*c));
    if (!c)
        return ex_raise(err, EX_ENOMEM, "no memory for a stream of events");
    ex_status st = ex_store_subscribe(s->options.store, subscribe, &c->sub, err);
    if (!st && !hub_add(h, c)) {
        ex_subscription_close(c->sub);
        st = ex_raise(err, EX_ENOMEM, "no memory for a timer");
    }
    if (st) {
        free(c);
        return st;
    }
    c->hub = h;
    c->is_one_stream = subscribe->stream.len != 0;
    c->turn = (ex_post){.fn = on_turn, .arg = c};
    c->filled = (ex_post){.fn = on_filled, .arg = c};
    *ret = c;
    return EX_OK;
}

static void add_headers(http_exchange *x)
{
    http_add_header(x, "cache-control", EX_S("no-cache"));
    http_add_header(x, "x-accel-buffering", EX_S("no"));
}

static void begin(client *c, http_exchange *x)
{
    ex_buf *out = &c->hub->scratch;
    c->x = x;
    c->is_pumping = true;
    add_headers(x);
    http_stream_begin(x, 200, "text/event-stream", on_drain, on_close, c);
    ex_buf_put(out, EX_S("retry: 1000\n"));
    c->epoch = ex_subscription_epoch(c->sub);
    put_log_frame(c, EX_S("connected"), "log");
    flush(c);
    c->is_pumping = false;
    if (c->is_closed)
        release(c);
    else
        pump(c);
}

void sse_open(sse_service *s, http_exchange *x, const ex_subscribe *subscribe, bool is_unnamed)
{
    ex_error err = {0};
    client *c = NULL;
    hub *h = NULL;
    ex_status st = EX_OK;
    if (http_request_method(x) == HTTP_HEAD_) { /* nobody follows by it */
        add_headers(x);
        http_stream_begin(x, 200, "text/event-stream", NULL, NULL, NULL);
        return;
    }
    if (atomic_load(&s->open_count) >= s->options.connection_limit) {
        st = ex_raise(&err, EX_EOVERLOADED,
                      "%" PRIu32 " event streams are open, no more are allowed",
                      s->options.connection_limit);
        ex_error_set_code(&err, "TOO_MANY_STREAMS");
    } else if (!(h = hub_of(s, http_loop(x)))) {
        st = ex_raise(&err, EX_EOVERLOADED, "more than %d event loops", HUBS_MAX);
    } else {
        st = client_new(s, h, subscribe, &c, &err);
    }
    if (st) {
        http_respond_error(x, &err);
        return;
    }
    c->is_unnamed = is_unnamed;
    count_open(s, 1);
    begin(c, x);
}

/* ---- The service ---- */

static ex_status register_metrics(sse_service *s, ex_metrics *m, ex_error *err)
{
    static const ex_metric_desc open = {.name = "sse_connections", .help = "Open event streams."};
    static const ex_metric_desc sent = {.name = "sse_events_sent_total",
                                        .help = "Stored events sent over event streams."};
    if (!m)
        return EX_OK;
    ex_status st = ex_metrics_gauge(m, &open, &s->open_gauge, err);
    return st ? st : ex_metrics_counter(m, &sent, &s->sent_counter, err);
}

ex_status sse_service_new(const sse_options *options, sse_service **ret, ex_error *err)
{
    sse_service *s = calloc(1, sizeof(*s));
    if (!s)
        return ex_raise(err, EX_ENOMEM, "no memory for the event streams");
    s->options = *options;
    (void)pthread_mutex_init(&s->mu, NULL); /* cannot fail with default attributes on Linux */
    ex_status st = register_metrics(s, options->metrics, err);
    if (!st) /* the loops may overshoot the limit by a few: the check and the count are two steps */
        st = ex_workers_start("sse", FILL_THREADS, options->connection_limit + HUBS_MAX,
                              &s->fillers, err);
    if (st) {
        sse_service_free(s);
        return st;
    }
    *ret = s;
    return EX_OK;
}

void sse_service_stop(sse_service *s)
{
    if (!s)
        return;
    ex_workers_stop(s->fillers);
    s->fillers = NULL;
}

void sse_service_free(sse_service *s)
{
    if (!s)
        return;
    sse_service_stop(s);
    for (size_t i = 0; i < s->hub_count; i++)
        ex_buf_done(&s->hubs[i].scratch);
    (void)pthread_mutex_destroy(&s->mu);
    free(s);
}
