/* pg_proxy.c: see pg_proxy.h. */
#include "support/pg_proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "support/temp_dir.h"

enum { PAIRS = 32, CHUNK = 1 << 16, TICK_MS = 5 };

#define PROXY_CHECK(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            perror("pg_proxy: " #condition);                                                       \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

typedef struct pair {
    int client, server; /* -1: free */
    unsigned cut_at;    /* pieces until it ends; 0: it does not */
} pair;

/* What the server has not got yet. */
typedef struct held {
    int server; /* -1: nothing */
    size_t size;
    char bytes[CHUNK];
} held;

struct pg_proxy {
    temp_dir dir;
    char url[1200];
    struct sockaddr_un server;
    int listener;
    pthread_t thread;
    pair pairs[PAIRS]; /* the thread's */
    held held;         /* the thread's, until has_held */
    atomic_bool is_stopping, refuses, refuses_after, holds, has_held;
    _Atomic(const char *) mark;
    atomic_uint answers, questions, losses, groups;
    atomic_uint cuts, cut_at, lost_before_cuts;
};

/* ---- Addresses ---- */

static size_t decode(const char *from, size_t len, char *to, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len && n + 1 < size; i++) {
        unsigned byte = (unsigned char)from[i];
        if (from[i] == '%' && sscanf(from + i + 1, "%2x", &byte) == 1)
            i += 2;
        to[n++] = (char)byte;
    }
    to[n] = '\0';
    return n;
}

static void set_address(struct sockaddr_un *a, const char *dir, const char *port)
{
    a->sun_family = AF_UNIX;
    int len = snprintf(a->sun_path, sizeof(a->sun_path), "%s/.s.PGSQL.%.*s", dir,
                       (int)strspn(port, "0123456789"), port);
    PROXY_CHECK(len > 0 && (size_t)len < sizeof(a->sun_path));
}

static int listen_at(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    PROXY_CHECK(fd >= 0 && bind(fd, (const struct sockaddr *)a, sizeof(*a)) == 0);
    PROXY_CHECK(listen(fd, PAIRS) == 0);
    return fd;
}

/* ---- Passing on ---- */

static void end(pair *p)
{
    (void)close(p->client);
    (void)close(p->server);
    p->client = p->server = -1;
}

static unsigned next_cut(pg_proxy *p)
{
    if (atomic_load(&p->cuts) == 0 || atomic_load(&p->losses) == atomic_load(&p->lost_before_cuts))
        return 0;
    atomic_fetch_sub(&p->cuts, 1);
    return atomic_load(&p->cut_at);
}

static void accept_one(pg_proxy *p)
{
    int client = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair *free_one = NULL;
    for (int i = 0; i < PAIRS; i++)
        if (p->pairs[i].client < 0)
            free_one = &p->pairs[i];
    bool is_connected =
        client >= 0 && server >= 0 && free_one && !atomic_load(&p->refuses) &&
        connect(server, (const struct sockaddr *)&p->server, sizeof(p->server)) == 0;
    if (is_connected) {
        *free_one = (pair){client, server, next_cut(p)};
        return;
    }
    (void)close(client);
    (void)close(server);
}

/* One of those that are to be lost. */
static bool take_one(pg_proxy *p, atomic_uint *left, const char *bytes, size_t n, const char *mark,
                     size_t mark_len)
{
    if (atomic_load(left) == 0 || !memmem(bytes, n, mark, mark_len))
        return false;
    atomic_fetch_sub(left, 1);
    if (atomic_load(&p->refuses_after))
        atomic_store(&p->refuses, true);
    return true;
}

static bool is_lost(pg_proxy *p, bool is_answer, const char *bytes, size_t n)
{
    const char *mark = is_answer ? "COMMIT" : atomic_load(&p->mark);
    size_t len = mark ? strlen(mark) + is_answer : 0; /* a tag ends with a NUL */
    return mark && take_one(p, is_answer ? &p->answers : &p->questions, bytes, n, mark, len);
}

static bool is_cut(pg_proxy *p, pair *c)
{
    return c->cut_at && atomic_load(&p->cut_at) && --c->cut_at == 0;
}

/* The server knows nothing of it yet. */
static void hold(pg_proxy *p, pair *c, const char *bytes, size_t n)
{
    p->held.server = c->server;
    p->held.size = n;
    memcpy(p->held.bytes, bytes, n);
    (void)close(c->client);
    c->client = c->server = -1;
    atomic_store(&p->has_held, true);
}

static void pass_on(pg_proxy *p, pair *c, bool is_answer)
{
    static _Thread_local char bytes[CHUNK];
    ssize_t n = read(is_answer ? c->server : c->client, bytes, sizeof(bytes));
    bool lost = n > 0 && (is_cut(p, c) || is_lost(p, is_answer, bytes, (size_t)n));
    if (n > 0 && !is_answer && memmem(bytes, (size_t)n, "S\0\0\0\4", 5)) /* Sync */
        atomic_fetch_add(&p->groups, 1);
    ssize_t sent = 0;
    while (!lost && n > sent) {
        ssize_t w =
            send(is_answer ? c->client : c->server, bytes + sent, (size_t)(n - sent), MSG_NOSIGNAL);
        if (w <= 0)
            break;
        sent += w;
    }
    if (lost && !is_answer && atomic_exchange(&p->holds, false)) {
        hold(p, c, bytes, (size_t)n);
    } else if (n <= 0 || sent < n) {
        end(c);
    }
    if (lost)
        atomic_fetch_add(&p->losses, 1); /* last: whoever waits for it finds it done */
}

static void *run(void *arg)
{
    pg_proxy *p = arg;
    while (!atomic_load(&p->is_stopping)) {
        struct pollfd fds[2 * PAIRS + 1];
        for (int i = 0; i < PAIRS; i++) {
            fds[2 * i] = (struct pollfd){.fd = p->pairs[i].client, .events = POLLIN};
            fds[2 * i + 1] = (struct pollfd){.fd = p->pairs[i].server, .events = POLLIN};
        }
        fds[2 * PAIRS] = (struct pollfd){.fd = p->listener, .events = POLLIN};
        if (poll(fds, 2 * PAIRS + 1, TICK_MS) <= 0)
            continue;
        for (int i = 0; i < 2 * PAIRS; i++)
            if (fds[i].revents && p->pairs[i / 2].client >= 0)
                pass_on(p, &p->pairs[i / 2], i % 2);
        if (fds[2 * PAIRS].revents)
            accept_one(p);
    }
    return NULL;
}

/* ---- Life ---- */

pg_proxy *pg_proxy_new(const char *url)
{
    static const char key[] = "host=";
    char dir[256];
    pg_proxy *p = calloc(1, sizeof(*p));
    PROXY_CHECK(p);
    const char *host = strstr(url, key), *port = strstr(url, "port=");
    PROXY_CHECK(host && port);
    host += strlen(key);
    size_t len = strcspn(host, "&");
    (void)decode(host, len, dir, sizeof(dir));
    set_address(&p->server, dir, port + 5);
    p->dir = temp_dir_make_fast();
    (void)snprintf(p->url, sizeof(p->url), "%.*s%s%s", (int)(host - url), url, p->dir.path,
                   host + len); /* fits */
    struct sockaddr_un own = {0};
    set_address(&own, p->dir.path, port + 5);
    p->listener = listen_at(&own);
    for (int i = 0; i < PAIRS; i++)
        p->pairs[i] = (pair){-1, -1, 0};
    p->held.server = -1;
    PROXY_CHECK(pthread_create(&p->thread, NULL, run, p) == 0);
    return p;
}

void pg_proxy_free(pg_proxy *p)
{
    if (!p)
        return;
    atomic_store(&p->is_stopping, true);
    (void)pthread_join(p->thread, NULL); /* our own thread, joined once */
    for (int i = 0; i < PAIRS; i++)
        if (p->pairs[i].client >= 0)
            end(&p->pairs[i]);
    if (p->held.server >= 0)
        (void)close(p->held.server);
    (void)close(p->listener);
    temp_dir_remove(&p->dir);
    free(p);
}

const char *pg_proxy_url(const pg_proxy *p)
{
    return p->url;
}

void pg_proxy_lose_commit_answers(pg_proxy *p, unsigned count)
{
    atomic_store(&p->answers, count);
}

void pg_proxy_lose_question(pg_proxy *p, const char *mark)
{
    atomic_store(&p->mark, mark);
    atomic_store(&p->questions, 1);
}

void pg_proxy_hold_question(pg_proxy *p, const char *mark)
{
    atomic_store(&p->holds, true);
    pg_proxy_lose_question(p, mark);
}

void pg_proxy_deliver(pg_proxy *p)
{
    char bytes[512];
    while (!atomic_load(&p->has_held))
        (void)poll(NULL, 0, 1);
    /* a session that the server has ended by itself takes nothing */
    for (size_t at = 0; at < p->held.size;) {
        ssize_t n = send(p->held.server, p->held.bytes + at, p->held.size - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    (void)shutdown(p->held.server, SHUT_WR);
    while (read(p->held.server, bytes, sizeof(bytes)) > 0) {
    }
    (void)close(p->held.server);
    p->held.server = -1;
    atomic_store(&p->has_held, false);
}

void pg_proxy_cut_connections(pg_proxy *p, unsigned at, unsigned count)
{
    atomic_store(&p->lost_before_cuts, atomic_load(&p->losses));
    atomic_store(&p->cut_at, at);
    atomic_store(&p->cuts, count);
}

void pg_proxy_refuse_after_loss(pg_proxy *p)
{
    atomic_store(&p->refuses_after, true);
}

void pg_proxy_admit(pg_proxy *p)
{
    atomic_store(&p->refuses_after, false);
    atomic_store(&p->refuses, false);
}

unsigned pg_proxy_losses(pg_proxy *p)
{
    return atomic_load(&p->losses);
}

unsigned pg_proxy_groups(pg_proxy *p)
{
    return atomic_load(&p->groups);
}
