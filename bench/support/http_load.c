/* http_load.c: an epoll loop over keep-alive connections. */
#include "support/http_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/report.h"

#define REQUEST_SIZE 2048
#define ANSWER_SIZE  8192

typedef struct connection {
    int fd;
    bool is_busy;
    double sent_at;
    size_t have;
    char answer[ANSWER_SIZE];
} connection;

typedef struct generator {
    const http_load *load;
    connection *connections;
    int epoll;
    double start;
    uint64_t sent, answered;
    float *latencies_ms;
    size_t latency_room;
} generator;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

size_t http_answer_length(const char *text, size_t len, int *ret_status)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - text) + 4;
    const char *field = memmem(text, head, "content-length: ", 16);
    size_t body = field ? strtoul(field + 16, NULL, 10) : 0;
    if (len < head + body)
        return 0;
    *ret_status = atoi(text + strlen("HTTP/1.1 "));
    return head + body;
}

static void send_request(generator *g, connection *c)
{
    char request[REQUEST_SIZE];
    size_t len = g->load->write(g->load->ctx, g->sent++, request, sizeof(request));
    c->sent_at = bench_seconds();
    c->is_busy = true;
    c->have = 0;
    /* one small request on an idle connection: the socket's buffer takes it whole */
    if (send(c->fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("send");
}

static void keep_latency(generator *g, double ms)
{
    if (g->answered == g->latency_room) {
        g->latency_room = g->latency_room ? g->latency_room * 2 : 65536;
        g->latencies_ms = realloc(g->latencies_ms, g->latency_room * sizeof(float));
        if (!g->latencies_ms)
            die("realloc");
    }
    g->latencies_ms[g->answered++] = (float)ms;
}

static void receive(generator *g, connection *c)
{
    int status = 0;
    ssize_t n = recv(c->fd, c->answer + c->have, sizeof(c->answer) - c->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("recv");
    c->have += (size_t)n;
    size_t len = http_answer_length(c->answer, c->have, &status);
    if (!len && c->have < sizeof(c->answer))
        return;
    if (status != g->load->status) {
        fprintf(stderr, "bench: expected status %d, got\n%.*s\n", g->load->status, (int)c->have,
                c->answer);
        exit(1);
    }
    double now = bench_seconds();
    keep_latency(g, (now - c->sent_at) * 1e3);
    c->is_busy = false;
    if (now - g->start < g->load->seconds)
        send_request(g, c);
}

static void open_connections(generator *g)
{
    for (uint32_t i = 0; i < g->load->connections; i++) {
        connection *c = &g->connections[i];
        c->fd = bench_server_connect(g->load->server, true);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(g->epoll, EPOLL_CTL_ADD, c->fd, &event))
            die("epoll_ctl");
    }
}

static void loop(generator *g)
{
    struct epoll_event events[64];
    g->start = bench_seconds();
    for (uint32_t i = 0; i < g->load->connections; i++)
        send_request(g, &g->connections[i]);
    while (g->answered < g->sent) {
        int n = epoll_wait(g->epoll, events, 64, 5000);
        if (n == 0) {
            fprintf(stderr, "bench: no answer for five seconds\n");
            exit(1);
        }
        for (int i = 0; i < n; i++)
            receive(g, events[i].data.ptr);
    }
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

void http_load_run(const http_load *load, http_load_result *ret)
{
    generator g = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    g.connections = calloc(load->connections, sizeof(connection));
    if (!g.connections || g.epoll < 0)
        die("bench");
    open_connections(&g);
    loop(&g);
    ret->rate = (double)g.answered / (bench_seconds() - g.start);
    qsort(g.latencies_ms, g.answered, sizeof(float), compare_floats);
    ret->p50_ms = (double)g.latencies_ms[g.answered / 2];
    ret->p99_ms = (double)g.latencies_ms[g.answered - 1 - g.answered / 100];
    for (uint32_t i = 0; i < load->connections; i++)
        (void)close(g.connections[i].fd);
    (void)close(g.epoll);
    free(g.connections);
    free(g.latencies_ms);
}
