/* server_follower.h: a client that follows the whole log as server-sent events, through all
 * crashes.
 *
 * It resumes with Last-Event-ID where it was, so over all of its connections it
 * must see every position once and in order; it fails the run at the first that
 * is not the next. What it saw is then compared with the log: events that were
 * shown must never be taken back. */
#ifndef EXCORE_TESTS_SERVER_FOLLOWER_H
#define EXCORE_TESTS_SERVER_FOLLOWER_H

#include "crash/server_log.h"

#include <pthread.h>

typedef struct server_follower {
    uint64_t last;    /* position of the last event it saw */
    uint64_t checked; /* compared with the log up to here */
    uint64_t *hashes; /* of what it saw after `checked` */
    size_t room;
    uint16_t port;
    pthread_t thread;
} server_follower;

/** Frees what a zero-initialised one got. */
void server_follower_done(server_follower *f);
/** Follow on a thread until the connection ends. */
void server_follower_start(server_follower *f, uint16_t port);
void server_follower_join(server_follower *f);
/** Connect and read up to `head`. */
void server_follower_catch_up(server_follower *f, uint16_t port, uint64_t head);
/** Compare what it saw since the last call. The log must have been read up to there. */
void server_follower_check(server_follower *f, const server_log *log);

#endif
