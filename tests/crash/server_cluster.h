/* server_cluster.h: several `excore serve` nodes on one PostgreSQL, and writers that go on while
 * nodes come and go.
 *
 * A writer lives through orders of its own, one command after the other, at whichever node it
 * reaches. A command without an answer is sent again, with its key, at another node until one
 * answers: so every command takes effect once, and the state of an order is always known. */
#ifndef EXCORE_TESTS_SERVER_CLUSTER_H
#define EXCORE_TESTS_SERVER_CLUSTER_H

#include "crash/server_log.h"
#include "crash/server_process.h"
#include "sql/postgres/pg_conn.h"
#include "support/postgres.h"
#include "support/temp_dir.h"

#include <pthread.h>
#include <stdatomic.h>

#define CLUSTER_NODES   3
#define CLUSTER_WRITERS 3

typedef struct cluster_writer {
    struct server_cluster *cluster;
    unsigned index;
    uint64_t random;
    unsigned order; /* number of the one that it works on */
    unsigned step;
    attempt **attempts; /* all of them, each was answered */
    size_t count, room;
    pthread_t thread;
} cluster_writer;

typedef struct server_cluster {
    temp_dir dir;
    char url[POSTGRES_URL_SIZE];
    char schema[EX_PG_NAME_SIZE];
    char logs[CLUSTER_NODES][96];
    server_options options[CLUSTER_NODES];
    server_process nodes[CLUSTER_NODES];
    ex_pg *pg; /* to look */
    server_orders *orders;
    server_log *log;
    cluster_writer writers[CLUSTER_WRITERS];
    /* any thread */
    atomic_uint ports[CLUSTER_NODES]; /* 0: not to be asked */
    atomic_ullong numbers;            /* of attempts */
    atomic_ullong resent;
    atomic_bool is_ending;
} server_cluster;

/** A new schema and no node yet. @param lease as a setting, "runtime.lease_time=300ms" */
void cluster_init(server_cluster *c, const char *lease);
/** Ends what runs, drops the schema. */
void cluster_done(server_cluster *c);

/** Start a node and wait until it is ready. */
void cluster_start(server_cluster *c, unsigned node);
/** SIGKILL. */
void cluster_kill(server_cluster *c, unsigned node);
/** SIGTERM; the node must end with 0. */
void cluster_end(server_cluster *c, unsigned node);
/** No new request goes to it, or it may be asked again. */
void cluster_avoid(server_cluster *c, unsigned node);
void cluster_use(server_cluster *c, unsigned node);

/** The node that holds the lease, CLUSTER_NODES: none of those that run. */
unsigned cluster_holder(server_cluster *c, const char *lease);
/** Ask for one number. */
int64_t cluster_ask(server_cluster *c, const char *sql);

void cluster_write(server_cluster *c);
/** Let every writer finish what it began, and read and check the log. */
void cluster_stop_writing(server_cluster *c);

#endif
