/* server.c: the life of an HTTP server: bind, start the loops, drain, stop.
 *
 * Each loop thread has a listening socket of its own on the same port
 * (SO_REUSEPORT when there is more than one), so the kernel spreads the
 * connections and the threads share nothing but counters.
 *
 * Ending: drain lets answers finish; stop closes the connections, then waits
 * until every handler has answered its exchange, because those are the loops'
 * memory. The caller therefore stops the server before what its handlers use. */
#include "api/http/transport.h"
#include "kernel/deadline.h"

#include <excore/clock.h>

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct http_server {
    http_shared shared;
    uint16_t port;
    uint32_t shard_count;
    http_shard **shards;
    /* guarded by mu */
    pthread_mutex_t mu;
    pthread_cond_t changed;
    size_t conns; /* sums over the shards that are ending */
    size_t exchanges;
};

/* ---- Calls into a loop thread ---- */

typedef struct shard_call {
    ex_post post;
    http_shard *shard;
    int (*fn)(http_shard *s, void *arg);
    void *arg;
    int rc;
    bool is_done;
    pthread_mutex_t mu;
    pthread_cond_t done;
} shard_call;

static void run_call(void *arg)
{
    shard_call *call = arg;
    int rc = call->fn(call->shard, call->arg);
    (void)pthread_mutex_lock(&call->mu); /* fails only on misuse, here and below */
    call->rc = rc;
    call->is_done = true;
    (void)pthread_cond_signal(&call->done);
    (void)pthread_mutex_unlock(&call->mu);
}

/* Run fn on the shard's thread and wait for it. */
static int call_shard(http_shard *s, int (*fn)(http_shard *s, void *arg), void *arg)
{
    shard_call call = {.shard = s, .fn = fn, .arg = arg};
    call.post = (ex_post){.fn = run_call, .arg = &call};
    (void)pthread_mutex_init(&call.mu, NULL); /* default attributes cannot fail on Linux */
    (void)pthread_cond_init(&call.done, NULL);
    ex_loop_post(s->loop, &call.post);
    (void)pthread_mutex_lock(&call.mu);
    while (!call.is_done)
        (void)pthread_cond_wait(&call.done, &call.mu);
    (void)pthread_mutex_unlock(&call.mu);
    (void)pthread_mutex_destroy(&call.mu);
    (void)pthread_cond_destroy(&call.done);
    return call.rc;
}

/* ---- Starting ---- */

typedef struct bind_request {
    struct sockaddr_storage address;
    socklen_t address_len;
    bool is_shared;
    uint16_t port; /* out */
} bind_request;

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons(port);
}

static ex_status resolve(const http_options *o, bind_request *ret, ex_error *err)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", o->port); /* five digits fit */
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int rc = getaddrinfo(o->host, port, &hints, &found);
    if (rc)
        return ex_raise(err, EX_EINVAL, "cannot listen on \"%s\": %s", o->host, gai_strerror(rc));
    memcpy(&ret->address, found->ai_addr, found->ai_addrlen);
    ret->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    return EX_OK;
}

/* With SO_REUSEPORT a second server would bind the same port in silence: ask without it first. */
static int probe_port(const bind_request *b)
{
    int fd = socket(b->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return uv_translate_sys_error(errno);
    int rc = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
                     bind(fd, (const struct sockaddr *)&b->address, b->address_len)
                 ? uv_translate_sys_error(errno)
                 : 0;
    (void)close(fd); /* nothing was written to it */
    return rc;
}

static int listen_call(http_shard *s, void *arg)
{
    bind_request *b = arg;
    int rc = shard_listen(s, (const struct sockaddr *)&b->address, b->is_shared);
    return rc ? rc : shard_port(s, &b->port);
}

static int open_call(http_shard *s, void *arg)
{
    (void)arg;
    return shard_open(s);
}

static ex_status listen_all(http_server *s, ex_error *err)
{
    const http_options *o = &s->shared.options;
    bind_request b = {.is_shared = s->shard_count > 1};
    ex_status status = resolve(o, &b, err);
    if (status)
        return status;
    int rc = b.is_shared && o->port ? probe_port(&b) : 0;
    for (uint32_t i = 0; rc == 0 && i < s->shard_count; i++) {
        rc = call_shard(s->shards[i], listen_call, &b);
        set_port(&b.address, b.port); /* the others join the first one's port */
    }
    if (rc)
        return ex_raise(err, EX_EFILESYSTEM, "cannot listen on %s:%u: %s", o->host, o->port,
                        uv_strerror(rc));
    s->port = b.port;
    return EX_OK;
}

static void count_quiet(http_shard *shard);

static ex_status start_shard(http_server *s, uint32_t index, ex_error *err)
{
    char name[16];
    (void)snprintf(name, sizeof(name), "http-%u", index % 1000); /* always fits */
    http_shard *shard = calloc(1, sizeof(*shard));
    if (!shard)
        return ex_raise(err, EX_ENOMEM, "HTTP loop");
    shard->shared = &s->shared;
    shard->owner = s;
    shard->on_quiet = count_quiet;
    ex_status status = ex_loop_start(name, &shard->loop, err);
    if (status) {
        free(shard);
        return status;
    }
    status = http_core_init(&shard->core, &s->shared, shard->loop, err);
    if (status) {
        ex_loop_stop(shard->loop);
        free(shard);
        return status;
    }
    s->shards[s->shard_count++] = shard;
    int rc = call_shard(shard, open_call, NULL);
    return rc ? ex_raise(err, EX_EFILESYSTEM, "HTTP loop: %s", uv_strerror(rc)) : EX_OK;
}

ex_status http_server_start(const http_options *options, const http_route *routes,
                            size_t route_count, http_server **ret, ex_error *err)
{
    http_server *s = calloc(1, sizeof(*s));
    if (!s)
        return ex_raise(err, EX_ENOMEM, "HTTP server");
    (void)pthread_mutex_init(&s->mu, NULL); /* default attributes cannot fail on Linux */
    ex_cond_init(&s->changed);
    ex_status status = http_shared_init(&s->shared, options, routes, route_count, err);
    if (status)
        goto out;
    uint32_t loops = s->shared.options.loops;
    s->shards = calloc(loops, sizeof(http_shard *));
    if (!s->shards) {
        status = ex_raise(err, EX_ENOMEM, "HTTP server");
        goto out;
    }
    for (uint32_t i = 0; i < loops; i++)
        if ((status = start_shard(s, i, err)))
            goto out;
    if ((status = listen_all(s, err)))
        goto out;
    *ret = s;
    s = NULL;
out:
    http_server_stop(s);
    return status;
}

uint16_t http_server_port(const http_server *s)
{
    return s->port;
}

/* ---- Ending ---- */

/* Each shard adds its own numbers; what it added last is in reported_*. */
static void count_quiet(http_shard *shard)
{
    http_server *s = shard->owner;
    size_t conns = shard->core.conn_count, exchanges = shard->core.exchange_count;
    if (conns == shard->reported_conns && exchanges == shard->reported_exchanges)
        return;
    (void)pthread_mutex_lock(&s->mu);
    s->conns += conns - shard->reported_conns;
    s->exchanges += exchanges - shard->reported_exchanges;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->mu);
    shard->reported_conns = conns;
    shard->reported_exchanges = exchanges;
}

static int drain_call(http_shard *s, void *arg)
{
    (void)arg;
    shard_stop_listening(s);
    s->is_ending = true;
    http_core_drain(&s->core);
    s->on_quiet(s);
    return 0;
}

static int close_all_call(http_shard *s, void *arg)
{
    (void)arg;
    shard_stop_listening(s);
    s->is_ending = true;
    http_core_close_all(&s->core);
    s->on_quiet(s);
    return 0;
}

static int close_call(http_shard *s, void *arg)
{
    (void)arg;
    shard_close(s);
    return 0;
}

void http_server_drain(http_server *s, uint32_t timeout_ms)
{
    for (uint32_t i = 0; i < s->shard_count; i++)
        (void)call_shard(s->shards[i], drain_call, NULL);
    uint64_t until_ns = ex_monotonic_ns(ex_clock_system()) + (uint64_t)timeout_ms * 1000000;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    (void)pthread_mutex_lock(&s->mu);
    while (s->conns > 0 && pthread_cond_timedwait(&s->changed, &s->mu, &until) != ETIMEDOUT)
        continue;
    (void)pthread_mutex_unlock(&s->mu);
}

static void close_shards(http_server *s)
{
    for (uint32_t i = 0; i < s->shard_count; i++)
        (void)call_shard(s->shards[i], close_all_call, NULL);
    (void)pthread_mutex_lock(&s->mu);
    while (s->conns > 0 || s->exchanges > 0)
        (void)pthread_cond_wait(&s->changed, &s->mu);
    (void)pthread_mutex_unlock(&s->mu);
    for (uint32_t i = 0; i < s->shard_count; i++) {
        http_shard *shard = s->shards[i];
        (void)call_shard(shard, close_call, NULL);
        ex_loop_stop(shard->loop);
        http_core_done(&shard->core);
        free(shard);
    }
}

void http_server_stop(http_server *s)
{
    if (!s)
        return;
    if (s->shards)
        close_shards(s);
    free(s->shards);
    http_shared_done(&s->shared);
    (void)pthread_mutex_destroy(&s->mu);
    (void)pthread_cond_destroy(&s->changed);
    free(s);
}
