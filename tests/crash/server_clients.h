/* server_clients.h: the load: threads that each keep one connection and send attempts until it
 * ends.
 *
 * A client works on an order of its own, where every command must succeed because
 * the order's state is known, also across crashes; on hot orders together with all
 * others; on streams of its own and shared ones. Now and then it repeats what was
 * acknowledged, and asks the view for what it wrote.
 *
 * With several nodes on one store client N writes to node N % node_count, and asks any. */
#ifndef EXCORE_TESTS_SERVER_CLIENTS_H
#define EXCORE_TESTS_SERVER_CLIENTS_H

#include "crash/server_log.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLIENTS        6
#define LOAD_NODES_MAX 3

typedef struct server_client {
    /* set before its thread starts */
    struct server_load *load;
    unsigned index;
    uint64_t random;
    /* its thread's; kept over rounds: own_number */
    http_client http;
    unsigned own_number; /* of its own order */
    order_stage own_stage;
    uint32_t own_lines;
    uint64_t exact_version; /* of its own stream */
    attempt **attempts;
    size_t attempt_count, attempt_room;
    uint64_t repeated, rows_asked;
    pthread_t thread;
} server_client;

typedef struct server_load {
    server_client clients[CLIENTS];
    uint16_t ports[LOAD_NODES_MAX];
    unsigned node_count;
    atomic_ullong next_number;             /* of attempts */
    atomic_bool is_ending[LOAD_NODES_MAX]; /* from here on a connection may end, and 503 is fine */
    atomic_bool may_refuse; /* 503 is fine from a node that goes on: the same is sent again */
    atomic_bool is_over;    /* end with what is under way */
} server_load;

/** Start all clients against running nodes. `log` and `orders` say where the last round ended. */
void server_load_start(server_load *load, const uint16_t *ports, unsigned node_count,
                       const server_log *log, const server_orders *orders);
/** Call it before the signal. */
void server_load_expect_end(server_load *load, unsigned node);
/** The database is about to go away for a while. */
void server_load_expect_refusals(server_load *load);
/** Ask the clients of nodes that go on to end. */
void server_load_stop(server_load *load);
/** Wait until every connection has ended. The attempts of the round are then in the clients. */
void server_load_join(server_load *load);
/** Repeat at a node what got no answer or 503, which must now be answered as the log demands, and
 *  some of the others. @return how many */
uint64_t server_load_repeat(server_load *load, const server_log *log, uint16_t port,
                            uint64_t *random);
typedef void server_attempt_fn(void *ctx, const attempt *a);
/** Each attempt of the round. */
void server_load_each(const server_load *load, server_attempt_fn *fn, void *ctx);
/** The log must agree with what the clients were told in this round. */
void server_load_check(const server_load *load, const server_log *log);
/** Frees the attempts of the round; a taken one (NULL in the array) is passed over. */
void server_load_clear(server_load *load);
void server_load_done(server_load *load);

#endif
