/* bench_remote.c: the load over HTTP/1.1: one thread, epoll, one kept connection for each append in
 * flight, no pipelining. Plain sockets, so that the client costs less than the server that it
 * measures. It reads just enough of an answer: the status, the content length, the body's end. */
#include "cli/bench_run.h"

#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_BYTES        16384
#define REQUEST_SLACK_BYTES 1024
#define EVENTS_AT_ONCE      256
#define FINISH_NS           UINT64_C(5000000000) /* for answers still to come at the end */

typedef struct connection {
    int fd;
    bool is_busy;
    bool waits_for_room; /* EPOLLOUT is asked for */
    uint64_t sent_ns;
    char *request;
    size_t request_len, request_at;
    char answer[ANSWER_BYTES];
    size_t answer_len;
} connection;

typedef struct load {
    bench_run *run;
    int epoll_fd;
    char host[256], port[8];
    struct addrinfo *addresses;
    connection *connections;
    char *data;
    uint32_t busy;
    uint64_t next_event;
} load;

/* http://HOST[:PORT][/] */
static ex_status take_url(load *l, const char *url, ex_error *err)
{
    const char *at = url;
    if (strncmp(url, "http://", 7) == 0)
        at += 7;
    else if (strstr(url, "://"))
        return ex_raise(err, EX_EINVAL, "bench speaks plain HTTP to http://HOST:PORT, not to %s",
                        url);
    size_t len = strcspn(at, "/");
    if (at[len] && at[len + 1])
        return ex_raise(err, EX_EINVAL, "%s: bench wants no path after the address", url);
    ex_slice host = ex_slice_of(at, len), port = EX_S("80");
    const char *colon = memrchr(at, ':', len);
    if (colon && !memchr(colon, ']', len - (size_t)(colon - at))) {
        host.len = (size_t)(colon - at);
        port = ex_slice_of(colon + 1, len - host.len - 1);
    }
    if (host.len > 2 && host.ptr[0] == '[')
        host = ex_slice_of(host.ptr + 1, host.len - 2);
    if (host.len == 0 || host.len >= sizeof(l->host) || port.len == 0 ||
        port.len >= sizeof(l->port))
        return ex_raise(err, EX_EINVAL, "%s is no http://HOST:PORT", url);
    (void)snprintf(l->host, sizeof(l->host), "%.*s", EX_ARG(host));
    (void)snprintf(l->port, sizeof(l->port), "%.*s", EX_ARG(port));
    return EX_OK;
}

static ex_status resolve(load *l, ex_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int code = getaddrinfo(l->host, l->port, &hints, &l->addresses);
    if (code)
        return ex_raise(err, EX_EUPSTREAM, "%s: %s", l->host, gai_strerror(code));
    return EX_OK;
}

static ex_status connect_one(load *l, connection *c, ex_error *err)
{
    int reason = 0;
    for (const struct addrinfo *a = l->addresses; a; a = a->ai_next) {
        c->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (c->fd < 0)
            return ex_raise(err, EX_EUPSTREAM, "cannot open a socket: %s", strerror(errno));
        if (connect(c->fd, a->ai_addr, a->ai_addrlen) == 0)
            break;
        reason = errno;
        close(c->fd);
        c->fd = -1;
    }
    if (c->fd < 0)
        return ex_raise(err, EX_EUPSTREAM, "cannot connect to %s port %s: %s", l->host, l->port,
                        strerror(reason));
    const int on = 1;
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
    c->waits_for_room = false;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
        return ex_raise(err, EX_EUPSTREAM, "epoll: %s", strerror(errno));
    return EX_OK;
}

static void drop(load *l, connection *c, const char *why)
{
    ex_error err = {0};
    (void)ex_raise(&err, EX_EUPSTREAM, "%s", why);
    if (c->is_busy) {
        bench_answered(l->run, c->sent_ns, &err);
        c->is_busy = false;
        l->busy--;
    }
    close(c->fd);
    c->fd = -1;
}

/* Write on; what the socket does not take waits for EPOLLOUT. */
static void push(load *l, connection *c)
{
    while (c->request_at < c->request_len) {
        ssize_t n = send(c->fd, c->request + c->request_at, c->request_len - c->request_at,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            drop(l, c, strerror(errno));
            return;
        }
        if (n < 0 && errno == EAGAIN)
            break;
        c->request_at += n > 0 ? (size_t)n : 0;
    }
    bool is_behind = c->request_at < c->request_len;
    if (is_behind == c->waits_for_room)
        return;
    struct epoll_event event = {.events = is_behind ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = c};
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, c->fd, &event); /* cannot fail: it is there */
    c->waits_for_room = is_behind;
}

static void send_next(load *l, connection *c)
{
    char name[BENCH_NAME_SIZE];
    uint64_t n = l->next_event++;
    ex_slice stream = bench_stream_name(l->run, n, name);
    ex_slice data = bench_event_data(l->run, n, l->data);
    static const char head[] = "{\"expected\":\"no_stream\",\"events\":[{\"type\":\"BenchEvent\","
                               "\"data\":";
    static const char foot[] = "}]}";
    size_t body_len = sizeof(head) - 1 + data.len + sizeof(foot) - 1;
    int len = snprintf(c->request, REQUEST_SLACK_BYTES + data.len,
                       "POST /v1/streams/%.*s HTTP/1.1\r\nHost: %s:%s\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s%.*s%s",
                       EX_ARG(stream), l->host, l->port, body_len, head, EX_ARG(data), foot);
    c->request_len = (size_t)len;
    c->request_at = 0;
    c->answer_len = 0;
    c->is_busy = true;
    l->busy++;
    c->sent_ns = bench_now_ns();
    push(l, c);
}

/* Length of the whole answer, 0 when it is not known yet, SIZE_MAX when it is none of ours. */
static size_t whole_length(const connection *c)
{
    const char *end = memmem(c->answer, c->answer_len, "\r\n\r\n", 4);
    if (!end)
        return c->answer_len == ANSWER_BYTES ? SIZE_MAX : 0;
    for (const char *line = c->answer; line < end; line = strstr(line, "\r\n") + 2)
        if (strncasecmp(line, "content-length:", 15) == 0)
            return (size_t)(end + 4 - c->answer) + strtoul(line + 15, NULL, 10);
    return SIZE_MAX;
}

static void take_answer(load *l, connection *c)
{
    ex_error err = {0};
    bool is_good = c->answer_len > 12 && c->answer[9] == '2';
    if (!is_good)
        (void)ex_raise(&err, EX_EUPSTREAM, "HTTP status %.3s", c->answer + 9);
    bench_answered(l->run, c->sent_ns, is_good ? NULL : &err);
    c->is_busy = false;
    l->busy--;
}

static void pull(load *l, connection *c)
{
    ssize_t n =
        recv(c->fd, c->answer + c->answer_len, ANSWER_BYTES - 1 - c->answer_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(l, c, n == 0 ? "the server closed the connection" : strerror(errno));
        return;
    }
    c->answer_len += (size_t)n;
    c->answer[c->answer_len] = '\0';
    size_t whole = whole_length(c);
    if (whole > ANSWER_BYTES - 1)
        drop(l, c, "the server's answer is not understood");
    else if (whole > 0 && c->answer_len >= whole)
        take_answer(l, c);
}

static ex_status keep_busy(load *l, ex_error *err)
{
    for (uint32_t i = 0; i < l->run->in_flight; i++) {
        connection *c = &l->connections[i];
        ex_status status = c->fd < 0 ? connect_one(l, c, err) : EX_OK;
        if (status)
            return status;
        if (!c->is_busy)
            send_next(l, c);
    }
    return EX_OK;
}

static void handle_events(load *l, bool sends_on)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(l->epoll_fd, events, EVENTS_AT_ONCE, BENCH_TICK_MS);
    for (int i = 0; i < count; i++) {
        connection *c = events[i].data.ptr;
        if (c->fd >= 0 && events[i].events & EPOLLOUT)
            push(l, c);
        if (c->fd >= 0 && events[i].events & ~(uint32_t)EPOLLOUT)
            pull(l, c);
        if (sends_on && c->fd >= 0 && !c->is_busy)
            send_next(l, c);
    }
}

/* A connection that broke is made again, at most once in a tick. */
static ex_status run(load *l, ex_error *err)
{
    ex_status status = keep_busy(l, err);
    uint64_t repaired_ns = bench_now_ns();
    while (!status && !bench_is_over(l->run)) {
        handle_events(l, true);
        bench_tick(l->run);
        if (bench_now_ns() - repaired_ns > BENCH_TICK_MS * UINT64_C(1000000)) {
            status = keep_busy(l, err);
            repaired_ns = bench_now_ns();
        }
    }
    uint64_t end_ns = bench_now_ns();
    while (l->busy > 0 && bench_now_ns() - end_ns < FINISH_NS)
        handle_events(l, false);
    return status;
}

/* A connection is a descriptor; the usual soft limit is 1024. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* socket() tells when it is too low */
}

static ex_status open_connections(load *l, ex_error *err)
{
    bench_run *r = l->run;
    size_t request_bytes = REQUEST_SLACK_BYTES + r->event_bytes;
    l->data = malloc(r->event_bytes);
    l->connections = calloc(r->in_flight, sizeof(*l->connections));
    for (uint32_t i = 0; l->connections && i < r->in_flight; i++)
        l->connections[i].fd = -1;
    if (!l->data || !l->connections)
        return ex_raise(err, EX_ENOMEM, "out of memory");
    for (uint32_t i = 0; i < r->in_flight; i++) {
        connection *c = &l->connections[i];
        c->request = malloc(request_bytes);
        if (!c->request)
            return ex_raise(err, EX_ENOMEM, "out of memory");
        ex_status status = connect_one(l, c, err);
        if (status)
            return status;
    }
    return EX_OK;
}

static void close_connections(load *l)
{
    for (uint32_t i = 0; l->connections && i < l->run->in_flight; i++) {
        free(l->connections[i].request);
        if (l->connections[i].fd >= 0)
            close(l->connections[i].fd);
    }
    free(l->connections);
    free(l->data);
}

ex_status bench_remote(const char *url, bench_run *r, ex_error *err)
{
    load l = {.run = r, .epoll_fd = -1};
    ex_status status = take_url(&l, url, err);
    if (!status)
        status = resolve(&l, err);
    if (status)
        return status;
    raise_descriptor_limit();
    l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll_fd < 0)
        status = ex_raise(err, EX_EUPSTREAM, "epoll: %s", strerror(errno));
    if (!status)
        status = open_connections(&l, err);
    if (!status) {
        r->started_ns = r->shown_ns = bench_now_ns();
        status = run(&l, err);
        r->ended_ns = bench_now_ns();
    }
    close_connections(&l);
    if (l.epoll_fd >= 0)
        close(l.epoll_fd);
    freeaddrinfo(l.addresses);
    return status;
}
