/* server.h: the real program, started as a child of the benchmark. */
#ifndef EXCORE_BENCH_SERVER_H
#define EXCORE_BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct bench_server {
    pid_t pid;
    uint16_t port;
    double ready_seconds; /* from the fork to its ready line */
} bench_server;

/** Start `excore serve` over `dir` on a free port of 127.0.0.1 with the orders example.
 *  The program lies where the environment's EXCORE and ORDERS say. Exits on failure. */
void bench_server_start(bench_server *s, const char *dir);
/** SIGTERM and wait. */
void bench_server_stop(bench_server *s);
/** Resident memory in MB (VmRSS, 1,000,000 bytes each). */
double bench_server_resident_mb(const bench_server *s);
/** A connected socket with TCP_NODELAY. Exits on failure. */
int bench_server_connect(const bench_server *s, bool is_nonblocking);

#endif
