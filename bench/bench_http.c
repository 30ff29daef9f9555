/* bench_http.c: durable commands over HTTP/1.1, and how soon a follower sees an event.
 *
 * Both against the real server with the orders example. Commands: 64
 * connections kept alive, each creates orders, beside GET /health/live over the
 * same connections. Live: one connection appends an event at a time, another
 * one follows the log; the clock runs from the answer to the event. */
#include <excore/store.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/http_load.h"
#include "support/report.h"
#include "support/sse_reader.h"
#include "support/yardstick.h"

#define CONNECTIONS 64

/* ---- Commands ---- */

static size_t write_command(void *ctx, uint64_t number, char *out, size_t room)
{
    static const char body[] = "{\"customer_id\":\"customer-42\"}";
    const char *round = ctx;
    (void)number;
    return (size_t)snprintf(out, room, /* fits */
                            "POST /v1/orders/order/%s-%llu/create HTTP/1.1\r\nhost: localhost\r\n"
                            "content-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
                            round, (unsigned long long)number, sizeof(body) - 1, body);
}

static size_t write_health(void *ctx, uint64_t number, char *out, size_t room)
{
    (void)ctx, (void)number;
    return (size_t)snprintf(out, room, "GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n");
}

static void measure_commands(const bench_server *server, double seconds, int rounds)
{
    samples commands = {0}, health = {0}, p50 = {0}, p99 = {0}, bare = {0};
    char bare_dir[64];
    ex_store *store = NULL;
    ex_error err;
    bench_require(ex_store_open(bench_dir("bare", bare_dir, sizeof(bare_dir)), NULL, &store, &err),
                  &err); /* makes the tables */
    ex_store_close(store);
    http_load_result result;
    char round[16];
    for (int i = 0; i < rounds; i++) {
        http_load load = {server, CONNECTIONS, seconds, 201, write_command, round};
        (void)snprintf(round, sizeof(round), "%d", i); /* fits */
        http_load_run(&load, &result);
        samples_add(&commands, result.rate);
        samples_add(&p50, result.p50_ms);
        samples_add(&p99, result.p99_ms);
        load = (http_load){server, CONNECTIONS, seconds, 200, write_health, NULL};
        http_load_run(&load, &result);
        samples_add(&health, result.rate);
        double commit_ms = 0;
        bench_require(yardstick_commit(bare_dir, CONNECTIONS, seconds / 2, &commit_ms, &err), &err);
        samples_add(&bare, commit_ms);
    }
    report_ratio("durable commands over HTTP/1.1, 64 connections", &commands, "GET /health/live",
                 &health, 0.4);
    report_only("their latency, p50", &p50, " ms");
    report_only("bare commits of 64 rows, p99", &bare, " ms");
    report_at_most("their latency, p99", &p99, " ms",
                   1.5 * samples_median(&bare) + samples_median(&p50));
}

/* ---- Live ---- */

typedef struct live {
    int fd; /* appends */
    sse_reader reader;
    char answer[4096];
    size_t have;
} live;

static void append_one(live *l, uint32_t number)
{
    char request[512], body[256];
    int size = snprintf(body, sizeof(body),
                        "{\"events\":[{\"type\":\"Ticked\",\"data\":{\"number\":%u}}]}", number);
    int len = snprintf(request, sizeof(request),
                       "POST /v1/streams/tick-%u HTTP/1.1\r\nhost: localhost\r\n"
                       "content-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
                       number % 100, size, body);
    l->have = 0;
    if (send(l->fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        perror("send");
        exit(1);
    }
}

/* True when the answer is whole. */
static bool read_answer(live *l)
{
    int status = 0;
    ssize_t n = recv(l->fd, l->answer + l->have, sizeof(l->answer) - l->have, 0);
    l->have += n > 0 ? (size_t)n : 0;
    if (!http_answer_length(l->answer, l->have, &status) && n > 0)
        return false;
    if (status != 201) {
        fprintf(stderr, "bench: an append was answered with %d\n", status);
        exit(1);
    }
    return true;
}

/* One event: milliseconds from its request to the follower, and from its answer to the follower;
 * negative when the follower had it first. */
static void time_one(live *l, uint32_t number, double *ret_from_request, double *ret_from_answer)
{
    uint64_t before = l->reader.events;
    double sent = bench_seconds(), answered = 0, received = 0;
    append_one(l, number);
    while (answered == 0 || received == 0) {
        struct pollfd fds[] = {{.fd = l->fd, .events = POLLIN},
                               {.fd = l->reader.fd, .events = POLLIN}};
        if (poll(fds, 2, 5000) <= 0) {
            fprintf(stderr, "bench: no event for five seconds\n");
            exit(1);
        }
        double now = bench_seconds();
        if (fds[0].revents && read_answer(l))
            answered = now;
        if (fds[1].revents)
            sse_reader_read(&l->reader);
        if (received == 0 && l->reader.events > before)
            received = now;
    }
    *ret_from_request = (received - sent) * 1e3;
    *ret_from_answer = (received - answered) * 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static samples percentile(double *values, uint32_t count, uint32_t percent)
{
    samples s = {0};
    qsort(values, count, sizeof(double), compare_doubles);
    samples_add(&s, values[(uint64_t)(count - 1) * percent / 100]);
    return s;
}

static void measure_live(const bench_server *server, uint32_t events)
{
    live l = {.fd = bench_server_connect(server, false)};
    double *from_request = calloc(events, sizeof(double));
    double *from_answer = calloc(events, sizeof(double));
    if (!from_request || !from_answer)
        exit(1);
    sse_reader_open(&l.reader, server, 0);
    while (!l.reader.is_caught_up)
        sse_reader_read(&l.reader);
    for (uint32_t i = 0; i < events; i++)
        time_one(&l, i, &from_request[i], &from_answer[i]);
    samples s = percentile(from_answer, events, 50);
    report_only("append acknowledged to event-stream client received, idle server, p50", &s, " ms");
    s = percentile(from_answer, events, 99);
    report_at_most("the same, p99", &s, " ms", 5);
    s = percentile(from_request, events, 50);
    report_only("append sent to event-stream client received, p50", &s, " ms");
    s = percentile(from_request, events, 99);
    report_only("the same, p99", &s, " ms");
    sse_reader_close(&l.reader);
    (void)close(l.fd);
    free(from_request);
    free(from_answer);
}

int main(int argc, char **argv)
{
    double seconds = bench_option(argc, argv, "--seconds", 1);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    uint32_t events = (uint32_t)bench_option(argc, argv, "--events", 1000);
    bench_server server;
    char dir[64];
    bench_server_start(&server, bench_dir("http", dir, sizeof(dir)));
    measure_commands(&server, seconds, rounds);
    bench_server_stop(&server);
    bench_server_start(&server, bench_dir("live", dir, sizeof(dir)));
    measure_live(&server, events);
    bench_server_stop(&server);
    return 0;
}
