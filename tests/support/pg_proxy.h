/* pg_proxy.h: stands between a client and PostgreSQL's socket, and loses what it is told to.
 *
 * It has a thread of its own; asserts nothing there. One connection of the client is one of the
 * server; both end together. */
#ifndef EXCORE_TESTS_PG_PROXY_H
#define EXCORE_TESTS_PG_PROXY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pg_proxy pg_proxy;

/** For the server of a URL with host=SOCKET-DIRECTORY (postgres_url()). Ends the program when it
 *  cannot be made. */
pg_proxy *pg_proxy_new(const char *url);
/** All connections end. NULL is accepted. */
void pg_proxy_free(pg_proxy *p);
/** The URL with the proxy in the server's place, until pg_proxy_free. */
const char *pg_proxy_url(const pg_proxy *p);

/** The answers to the next `count` COMMITs do not reach the client: its connection ends instead. */
void pg_proxy_lose_commit_answers(pg_proxy *p, unsigned count);
/** The next bytes of the client that hold `mark` (borrowed) do not reach the server; the connection
 *  ends. */
void pg_proxy_lose_question(pg_proxy *p, const char *mark);
/** The same, but the bytes are late, not lost: the server's side of the connection stays open, and
 *  they wait for pg_proxy_deliver. One at a time. */
void pg_proxy_hold_question(pg_proxy *p, const char *mark);
/** The server gets what was held, reads it and ends the session; then it returns. */
void pg_proxy_deliver(pg_proxy *p);
/** From the next loss on, each of the next `count` connections ends instead of passing on the
 *  `at`-th piece, of either side. 0, 0: no more, of those that are open either. */
void pg_proxy_cut_connections(pg_proxy *p, unsigned at, unsigned count);
/** With the next loss, and until told otherwise, no connection is let through. */
void pg_proxy_refuse_after_loss(pg_proxy *p);
/** Connections are let through again. */
void pg_proxy_admit(pg_proxy *p);
/** Connections and answers that were lost since it was made. */
unsigned pg_proxy_losses(pg_proxy *p);
/** Groups of statements that were sent since it was made: each one is a round trip. */
unsigned pg_proxy_groups(pg_proxy *p);

#endif
