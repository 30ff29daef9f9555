/* server.c: fork, the ready line on a pipe, /proc. */
#include "support/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/report.h"

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static const char *path_from(const char *variable, const char *fallback)
{
    const char *path = getenv(variable);
    return path ? path : fallback;
}

static void run_server(const char *dir, int out)
{
    const char *program = path_from("EXCORE", "build/release/excore");
    if (dup2(out, STDOUT_FILENO) < 0)
        die("dup2");
    execl(program, program, "serve", "--data", dir, "--listen", "127.0.0.1:0", "--app",
          path_from("ORDERS", "build/release/examples/orders/orders.so"), "--log-level", "error",
          (char *)NULL);
    die(program);
}

/* "excore: serving http://127.0.0.1:PORT (…)" */
static uint16_t read_port(int in)
{
    char line[1024];
    size_t len = 0;
    while (len < sizeof(line) - 1) {
        ssize_t n = read(in, line + len, sizeof(line) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        line[len] = '\0';
        const char *url = strstr(line, "http://127.0.0.1:");
        if (url && strchr(url, '\n'))
            return (uint16_t)atoi(url + strlen("http://127.0.0.1:"));
    }
    fprintf(stderr, "bench: the server did not become ready\n");
    exit(1);
}

void bench_server_start(bench_server *s, const char *dir)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        die("pipe");
    double start = bench_seconds();
    s->pid = fork();
    if (s->pid < 0)
        die("fork");
    if (s->pid == 0)
        run_server(dir, ends[1]);
    (void)close(ends[1]);
    s->port = read_port(ends[0]);
    s->ready_seconds = bench_seconds() - start;
    (void)close(ends[0]); /* it says nothing more on standard output */
}

void bench_server_stop(bench_server *s)
{
    int status = 0;
    if (kill(s->pid, SIGTERM) || waitpid(s->pid, &status, 0) != s->pid || status != 0)
        fprintf(stderr, "bench: the server ended with %d\n", status);
    s->pid = 0;
}

double bench_server_resident_mb(const bench_server *s)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)s->pid); /* fits */
    FILE *f = fopen(path, "r");
    double kib = 0;
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = atof(line + 6);
    if (f)
        (void)fclose(f); /* was only read */
    return kib * 1024 / 1e6;
}

int bench_server_connect(const bench_server *s, bool is_nonblocking)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(s->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)))
        die("connect");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
        (is_nonblocking && fcntl(fd, F_SETFL, O_NONBLOCK)))
        die("socket");
    return fd;
}
