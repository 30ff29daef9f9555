/* bench_slices.c: how long a read of one event takes beside abandoned page reads.
 *
 * Behind a long log eight clients ask for a page of events with two tags that are
 * never together, and go away; another client reads one event. A round is four of
 * that, and counts with its slowest one. The same without those eight. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/condition_load.h"
#include "support/http_load.h"
#include "support/report.h"

#define ABANDONED 8
#define READS     4       /* of a round */
#define REST_US   700000u /* until the server has noticed that they have gone */
#define TARGET_MS 100

static void ask(int fd, const char *path)
{
    char request[256];
    int len =
        snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nhost: localhost\r\n\r\n", path);
    if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) {
        perror("send");
        exit(1);
    }
}

static void read_answer(int fd)
{
    char answer[4096];
    size_t have = 0;
    int status = 0;
    while (http_answer_length(answer, have, &status) == 0) {
        ssize_t n = recv(fd, answer + have, sizeof(answer) - have, 0);
        if (n <= 0) {
            fprintf(stderr, "bench: a read was not answered\n");
            exit(1);
        }
        have += (size_t)n;
    }
    if (status != 200) {
        fprintf(stderr, "bench: a read was answered with %d\n", status);
        exit(1);
    }
}

static void abandon(const bench_server *server)
{
    int fds[ABANDONED];
    for (int i = 0; i < ABANDONED; i++) {
        fds[i] = bench_server_connect(server, false);
        ask(fds[i], "/v1/events?tags=n:0,n:1&limit=1");
    }
    for (int i = 0; i < ABANDONED; i++)
        (void)close(fds[i]);
}

/* Milliseconds of the slowest read. */
static double run_round(const bench_server *server, bool has_abandoned)
{
    double slowest = 0;
    int fd = bench_server_connect(server, false);
    for (int i = 0; i < READS; i++) {
        if (has_abandoned)
            abandon(server);
        double begun = bench_seconds();
        ask(fd, "/v1/events?after=10&limit=1");
        read_answer(fd);
        double took = (bench_seconds() - begun) * 1e3;
        slowest = took > slowest ? took : slowest;
        if (has_abandoned)
            (void)usleep(REST_US);
    }
    (void)close(fd);
    return slowest;
}

int main(int argc, char **argv)
{
    uint64_t events = (uint64_t)bench_option(argc, argv, "--events", 200000);
    int rounds = (int)bench_option(argc, argv, "--rounds", 5);
    samples alone = {0}, beside = {0};
    bench_server server;
    char dir[64], what[128];
    condition_load_fill(bench_dir("slices", dir, sizeof(dir)), events);
    bench_server_start(&server, dir);
    for (int i = 0; i < rounds; i++) {
        samples_add(&alone, run_round(&server, false));
        samples_add(&beside, run_round(&server, true));
    }
    bench_server_stop(&server);
    (void)snprintf(what, sizeof(what),
                   "a read of one event, behind %.3g million events, slowest of %d",
                   (double)events / 1e6, READS); /* fits */
    report_only(what, &alone, " ms");
    (void)snprintf(what, sizeof(what), "the same beside %d abandoned searches of the whole log",
                   ABANDONED); /* fits */
    report_at_most(what, &beside, " ms", TARGET_MS);
    return 0;
}
