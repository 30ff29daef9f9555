/* http_world.h: a real server with handlers for the tests of HTTP: answers at once, answers
 * later from another thread, echoes, streams with and without manners, failures.
 *
 *     GET /hello  POST /echo  GET /show/{name}?a=  GET /slow  GET /fails/{how}
 *     GET /stream?n=BLOCKS  GET /flood  GET /quiet  GET /last */
#ifndef EXCORE_TESTS_HTTP_WORLD_H
#define EXCORE_TESTS_HTTP_WORLD_H

#include "api/http/http.h"
#include "support/http_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

typedef struct world {
    http_server *server;
    ex_metrics *metrics;
    atomic_int calls; /* of any handler */
    atomic_int closes;
    atomic_int drains;
    atomic_int answers;
    atomic_int orphans;
    atomic_bool may_answer; /* slow() */
    atomic_bool was_told_to_stop;
} world;

/* Wait for a condition, at most ten seconds. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        int waited = 0;                                                                            \
        while (!(condition) && waited++ < 10000)                                                   \
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);                         \
        assert_true(condition);                                                                    \
    } while (0)

/** Start the server with these options and its own metrics; fails the test when it cannot. */
void world_set_up(world *w, http_options *o);
void world_tear_down(world *w);
/** The same with one connection to it. */
void world_open(world *w, http_client *c, http_options o);
void world_close(world *w, http_client *c);
void expect_body(const http_reply *r, const char *want);
/** Read the connection's next answer, which must be this one; body NULL: any. */
void expect_reply(http_client *c, int status, const char *body);
/** The connection can still be used. */
void expect_hello(http_client *c);
/** Send `text`: the answer must have this status and the connection must end. `name` is the case.
 */
void expect_refusal(uint16_t port, const char *name, ex_slice text, int status);

#endif
