/* server_process.h: `excore serve` as a child of the test.
 *
 * The child dies with the test. What it logs is appended to the file that its
 * options name. A start either gives a ready line or says why not. One thread. */
#ifndef EXCORE_TESTS_SERVER_PROCESS_H
#define EXCORE_TESTS_SERVER_PROCESS_H

#include <excore/base.h>

#include <sys/types.h>

#define SERVER_SETTINGS_MAX 8

typedef struct server_options {
    const char *data;                          /* directory of the store */
    const char *log;                           /* file for its standard error */
    const char *app;                           /* shared object */
    const char *settings[SERVER_SETTINGS_MAX]; /* key=value; NULL ends them */
} server_options;

typedef struct server_process {
    pid_t pid; /* 0: none */
    int out;   /* its standard output */
    const char *log;
    uint16_t port;
} server_process;

/** fork and exec; false when that failed. */
bool server_spawn(server_process *p, const server_options *options);
/** Wait (20 s) for the ready line and take the port from it; false: it ended or said something
 * else. */
bool server_wait_ready(server_process *p);
/** @return false when it is gone already */
bool server_signal(const server_process *p, int number);
/** Wait (30 s) for the end; `p` is then free again. @return as of waitpid; -1: it did not end, and
 * was killed */
int server_wait_end(server_process *p);

/* ---- Those that must go well: otherwise the run fails, and names the log ---- */

/** Spawn and wait until it is ready. */
void server_start(server_process *p, const server_options *options);
/** Spawn, and kill it before or just after it is ready. */
void server_start_and_kill(server_process *p, const server_options *options, uint32_t after_ms);
/** SIGKILL was sent, if perhaps to one that had ended by itself: that is what this tells. */
void server_was_killed(server_process *p);
/** SIGTERM was sent: it ends with 0. */
void server_ended_in_order(server_process *p);

#endif
