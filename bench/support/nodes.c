/* nodes.c: children with two pipes: "ready" and the rate come up, "go" is the end of the other. */
#include "support/nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void be_node(const nodes_load *load, uint32_t node, const int go[2], const int up[2])
{
    char none;
    close(go[1]);
    close(up[0]);
    void *opened = load->open(load->ctx, node);
    if (write(up[1], "r", 1) != 1 || read(go[0], &none, 1) != 0)
        fail("bench: a node lost its parent");
    double rate = load->run(opened);
    if (write(up[1], &rate, sizeof(rate)) != (ssize_t)sizeof(rate))
        fail("bench: a node lost its parent");
    load->close(opened);
    _exit(0);
}

double nodes_run(const nodes_load *load)
{
    int go[2], up[2]; /* a rate is below PIPE_BUF, so those of several nodes do not mix */
    double sum = 0, rate;
    char ready;
    if (pipe(go) || pipe(up))
        fail("bench: pipe");
    fflush(stdout);
    for (uint32_t i = 0; i < load->count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            fail("bench: fork");
        if (pid == 0)
            be_node(load, i, go, up);
    }
    close(go[0]);
    close(up[1]);
    for (uint32_t i = 0; i < load->count; i++)
        if (read(up[0], &ready, 1) != 1)
            fail("bench: a node did not start");
    close(go[1]);
    for (uint32_t i = 0; i < load->count; i++) {
        if (read(up[0], &rate, sizeof(rate)) != (ssize_t)sizeof(rate))
            fail("bench: a node gave no rate");
        sum += rate;
    }
    close(up[0]);
    for (uint32_t i = 0; i < load->count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            fail("bench: a node failed");
    }
    return sum;
}
