/* tcp_proxy.c: see tcp_proxy.h. One thread polls all flows; what was read waits in a queue until it
 * is due. */
#include "support/tcp_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define FLOWS_MAX  256
#define PIECE_SIZE 16384
#define QUEUED_MAX 64 /* pieces of one direction; then the socket is not read */

typedef struct piece {
    struct piece *next;
    uint64_t due_ns;
    size_t at, len;
    char bytes[PIECE_SIZE];
} piece;

typedef struct direction {
    piece *first, *last;
    uint32_t count;
    bool is_ended; /* nothing more comes in */
} direction;

typedef struct flow {
    int ends[2];    /* client, server; -1: closed */
    direction d[2]; /* from ends[i] to the other */
    bool is_frozen, is_mute;
    bool has_asked; /* the client spoke last */
} flow;

struct tcp_proxy {
    pthread_t thread;
    int listener, wake;
    uint16_t port;
    struct sockaddr_in server;
    /* guarded by mu */
    pthread_mutex_t mu;
    flow flows[FLOWS_MAX];
    uint32_t count;
    bool is_frozen, is_refusing, is_stopping;
    uint64_t delay_ns, turns;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void poke(tcp_proxy *p)
{
    uint64_t one = 1;
    (void)!write(p->wake, &one, sizeof(one));
}

/* ---- Flows; mu is held ---- */

static void close_flow(flow *f)
{
    for (int i = 0; i < 2; i++) {
        if (f->ends[i] >= 0)
            (void)close(f->ends[i]);
        f->ends[i] = -1;
        for (piece *x = f->d[i].first, *next; x; x = next) {
            next = x->next;
            free(x);
        }
        f->d[i] = (direction){0};
    }
}

static void accept_flow(tcp_proxy *p)
{
    int one = 1, client = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_good = client >= 0 && server >= 0 && p->count < FLOWS_MAX && !p->is_refusing &&
                   connect(server, (struct sockaddr *)&p->server, sizeof(p->server)) == 0;
    if (!is_good) {
        if (client >= 0)
            (void)close(client);
        if (server >= 0)
            (void)close(server);
        return;
    }
    (void)fcntl(server, F_SETFL, O_NONBLOCK);
    (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    p->flows[p->count++] = (flow){.ends = {client, server}};
}

static void take_in(tcp_proxy *p, flow *f, int from)
{
    direction *d = &f->d[from];
    while (d->count < QUEUED_MAX && !d->is_ended) {
        piece *x = malloc(sizeof(*x));
        ssize_t n = x ? read(f->ends[from], x->bytes, sizeof(x->bytes)) : -1;
        if (n <= 0) {
            free(x);
            d->is_ended = n == 0 || (errno != EAGAIN && errno != EINTR);
            return;
        }
        p->turns += from == 0 && !f->has_asked;
        f->has_asked = from == 0;
        x->next = NULL;
        x->at = 0;
        x->len = (size_t)n;
        x->due_ns = now_ns() + p->delay_ns;
        *(d->last ? &d->last->next : &d->first) = x;
        d->last = x;
        d->count++;
    }
}

/* True: the flow is over. */
static bool give_out(flow *f, int from)
{
    direction *d = &f->d[from];
    uint64_t now = now_ns();
    while (d->first && d->first->due_ns <= now) {
        piece *x = d->first;
        ssize_t n = send(f->ends[!from], x->bytes + x->at, x->len - x->at, MSG_NOSIGNAL);
        if (n < 0)
            return errno != EAGAIN && errno != EINTR;
        x->at += (size_t)n;
        if (x->at < x->len)
            return false;
        d->first = x->next;
        d->last = d->first ? d->last : NULL;
        d->count--;
        free(x);
    }
    return d->is_ended && !d->first;
}

static bool is_still(const tcp_proxy *p, const flow *f)
{
    return p->is_frozen || f->is_frozen || f->ends[0] < 0;
}

/* What to poll for, and until when. */
static nfds_t prepare(tcp_proxy *p, struct pollfd *fds, uint64_t *until_ns)
{
    nfds_t n = 0;
    fds[n++] = (struct pollfd){.fd = p->wake, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = p->is_frozen ? -1 : p->listener, .events = POLLIN};
    for (uint32_t i = 0; i < p->count; i++) {
        flow *f = &p->flows[i];
        for (int from = 0; from < 2; from++) {
            direction *in = &f->d[from], *out = &f->d[!from];
            uint64_t now = now_ns();
            bool is_due = out->first && out->first->due_ns <= now;
            if (out->first && !is_due && !is_still(p, f) && out->first->due_ns < *until_ns)
                *until_ns = out->first->due_ns;
            bool is_wanted = in->count < QUEUED_MAX && !in->is_ended && !(f->is_mute && from == 1);
            short events = (short)((is_wanted ? POLLIN : 0) | (is_due ? POLLOUT : 0));
            fds[n++] = (struct pollfd){.fd = is_still(p, f) || !events ? -1 : f->ends[from],
                                       .events = events};
        }
    }
    return n;
}

static void *run(void *arg)
{
    tcp_proxy *p = arg;
    static _Thread_local struct pollfd fds[2 + 2 * FLOWS_MAX];
    (void)pthread_mutex_lock(&p->mu);
    while (!p->is_stopping) {
        uint64_t until = now_ns() + 1000000000, count, now;
        nfds_t n = prepare(p, fds, &until);
        (void)pthread_mutex_unlock(&p->mu);
        now = now_ns();
        uint64_t left = until > now ? until - now : 0;
        struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
        (void)ppoll(fds, n, &t, NULL);
        (void)pthread_mutex_lock(&p->mu);
        if (fds[0].revents)
            (void)!read(p->wake, &count, sizeof(count));
        if (fds[1].revents && !p->is_frozen)
            accept_flow(p);
        for (uint32_t i = 0; i < p->count; i++) {
            flow *f = &p->flows[i];
            bool is_over = false;
            for (int from = 0; from < (f->is_mute ? 1 : 2) && !is_still(p, f); from++) {
                take_in(p, f, from);
                is_over |= give_out(f, from);
            }
            if (is_over)
                close_flow(f);
        }
    }
    (void)pthread_mutex_unlock(&p->mu);
    return NULL;
}

/* ---- The test's side ---- */

static const char *after_host(const char *url)
{
    const char *at = strstr(url, "@127.0.0.1:");
    assert_non_null(at);
    return at + strlen("@127.0.0.1:");
}

tcp_proxy *tcp_proxy_start(void)
{
    tcp_proxy *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    (void)pthread_mutex_init(&p->mu, NULL);
    p->server = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons((uint16_t)strtoul(after_host(postgres_tcp_url()), NULL, 10))};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(own);
    p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->listener, (struct sockaddr *)&own, len), 0);
    assert_int_equal(listen(p->listener, 64), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&own, &len), 0);
    p->port = ntohs(own.sin_port);
    assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
    return p;
}

void tcp_proxy_stop(tcp_proxy *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->mu);
    p->is_stopping = true;
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
    (void)pthread_join(p->thread, NULL);
    for (uint32_t i = 0; i < p->count; i++)
        close_flow(&p->flows[i]);
    (void)close(p->listener);
    (void)close(p->wake);
    (void)pthread_mutex_destroy(&p->mu);
    free(p);
}

const char *tcp_proxy_url(const tcp_proxy *p, const char *name, char ret[POSTGRES_URL_SIZE])
{
    char url[POSTGRES_URL_SIZE - 64];
    const char *real = postgres_tcp_url(), *port = after_host(real);
    (void)snprintf(url, sizeof(url), "%.*s%u%s", (int)(port - real), real, (unsigned)p->port,
                   port + strspn(port, "0123456789"));
    return postgres_schema_url(url, name, ret);
}

uint32_t tcp_proxy_flows(tcp_proxy *p)
{
    (void)pthread_mutex_lock(&p->mu);
    uint32_t count = p->count;
    (void)pthread_mutex_unlock(&p->mu);
    return count;
}

uint64_t tcp_proxy_turns(tcp_proxy *p)
{
    (void)pthread_mutex_lock(&p->mu);
    uint64_t turns = p->turns;
    (void)pthread_mutex_unlock(&p->mu);
    return turns;
}

void tcp_proxy_freeze(tcp_proxy *p, bool is_frozen)
{
    (void)pthread_mutex_lock(&p->mu);
    p->is_frozen = is_frozen;
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
}

void tcp_proxy_freeze_flow(tcp_proxy *p, uint32_t number)
{
    (void)pthread_mutex_lock(&p->mu);
    assert_true(number < p->count);
    p->flows[number].is_frozen = true;
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
}

void tcp_proxy_mute_flow(tcp_proxy *p, uint32_t number)
{
    (void)pthread_mutex_lock(&p->mu);
    assert_true(number < p->count);
    p->flows[number].is_mute = true;
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
}

void tcp_proxy_refuse(tcp_proxy *p, bool is_refusing)
{
    (void)pthread_mutex_lock(&p->mu);
    p->is_refusing = is_refusing;
    for (uint32_t i = 0; is_refusing && i < p->count; i++)
        close_flow(&p->flows[i]);
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
}

void tcp_proxy_delay(tcp_proxy *p, uint32_t delay_us)
{
    (void)pthread_mutex_lock(&p->mu);
    p->delay_ns = (uint64_t)delay_us * 1000;
    (void)pthread_mutex_unlock(&p->mu);
    poke(p);
}
