/* tcp_proxy.h: a TCP proxy on loopback between a test and its PostgreSQL, for the faults that no
 * closed socket shows: packets that are swallowed, one dead flow, a slow network.
 *
 * A frozen flow stays open on both sides and moves nothing, as behind a firewall that forgot it. */
#ifndef EXCORE_TESTS_SUPPORT_TCP_PROXY_H
#define EXCORE_TESTS_SUPPORT_TCP_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "support/postgres.h"

typedef struct tcp_proxy tcp_proxy;

/** Start one before the tests' PostgreSQL (TCP). Fails the test when it cannot. */
tcp_proxy *tcp_proxy_start(void);
/** NULL is accepted. Every flow is closed. */
void tcp_proxy_stop(tcp_proxy *p);
/** The URL of the tests' PostgreSQL through the proxy, with a schema of its own for `name`. */
const char *tcp_proxy_url(const tcp_proxy *p, const char *name, char ret[POSTGRES_URL_SIZE]);

/** Flows accepted so far; the next one has this number. */
uint32_t tcp_proxy_flows(tcp_proxy *p);
/** Round trips so far, of all flows: a client that speaks after its server did begins one. */
uint64_t tcp_proxy_turns(tcp_proxy *p);
/** From now on nothing moves, on flows that are and on those to come; false: it goes on. */
void tcp_proxy_freeze(tcp_proxy *p, bool is_frozen);
/** The same for one flow, for good. */
void tcp_proxy_freeze_flow(tcp_proxy *p, uint32_t number);
/** For good, too, but only the answers: what the client sends arrives. */
void tcp_proxy_mute_flow(tcp_proxy *p, uint32_t number);
/** Close every flow and the ones to come, as when no server runs; false: it runs again. */
void tcp_proxy_refuse(tcp_proxy *p, bool is_refusing);
/** Every byte arrives so much later, in each direction. */
void tcp_proxy_delay(tcp_proxy *p, uint32_t delay_us);

#endif
