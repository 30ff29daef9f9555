/* test_pg_hosts.c: a URL with several hosts, of which some do not answer, refuse, or are not what
 * is wanted. One host is the real server; the others are sockets of this test. */
#include "sql/postgres/pg_conn.h"
#include "support/postgres.h"

#include <arpa/inet.h>
#include <excore/clock.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static ex_error err;

static uint64_t now_ms(void)
{
    return ex_monotonic_ns(ex_clock_system()) / 1000000;
}

/* ---- Hosts that do not answer ---- */

#define CROWD 8

typedef struct silent {
    int fds[1 + CROWD];
    uint16_t port;
} silent;

/* A listener that accepts nothing and says nothing. With a crowd its queue is full as well, so that
 * the kernel drops whoever comes: what a machine does that is gone. */
static silent silent_open(bool has_crowd)
{
    silent s;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    for (int i = 0; i <= CROWD; i++)
        s.fds[i] = -1;
    s.fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s.fds[0] >= 0);
    assert_int_equal(bind(s.fds[0], (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(s.fds[0], has_crowd ? 0 : 16), 0);
    assert_int_equal(getsockname(s.fds[0], (struct sockaddr *)&at, &size), 0);
    for (int i = 1; has_crowd && i <= CROWD; i++) {
        s.fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(s.fds[i], (struct sockaddr *)&at, size); /* under way is enough */
    }
    s.port = ntohs(at.sin_port);
    return s;
}

static void silent_close(const silent *s)
{
    for (int i = 0; i <= CROWD; i++)
        if (s->fds[i] >= 0)
            (void)close(s->fds[i]);
}

/* A port on which nobody listens. */
static uint16_t closed_port(void)
{
    silent s = silent_open(false);
    silent_close(&s);
    return s.port;
}

/* The server's URL, with another host before its own. */
static const char *url_behind(uint16_t port, const char *parameters)
{
    static char url[POSTGRES_URL_SIZE];
    const char *real = postgres_tcp_url();
    const char *host = strchr(real, '@') + 1;
    (void)snprintf(url, sizeof(url), "%.*s127.0.0.1:%u,%s?%s", (int)(host - real), real, port, host,
                   parameters);
    return url;
}

static ex_status open_behind(uint16_t port, const char *parameters, uint32_t timeout_ms,
                             ex_pg **ret)
{
    err.message[0] = '\0';
    return ex_pg_open(
        &(ex_pg_options){.url = url_behind(port, parameters), .connect_timeout_ms = timeout_ms},
        ret, &err);
}

/* ---- Tests ---- */

static void test_pg_hosts_goes_on_to_the_next(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool is_listening, has_crowd;
        const char *parameters;
    } cases[] = {
        {"accepts and says nothing", true, false, "target_session_attrs=read-write"},
        {"drops whoever comes", true, true, "target_session_attrs=primary"},
        {"refuses", false, false, "target_session_attrs=any"},
        {"prefers a standby, and there is none", false, false,
         "target_session_attrs=prefer-standby"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        silent s = silent_open(cases[i].has_crowd);
        uint16_t port = cases[i].is_listening ? s.port : closed_port();
        ex_pg *pg = NULL;
        uint64_t begun = now_ms();
        if (open_behind(port, cases[i].parameters, 2000, &pg))
            fail_msg("%s: %s", cases[i].name, err.message);
        assert_true(now_ms() - begun < 1900); /* half of it for the first host */
        assert_int_equal(ex_pg_ping(pg, 1000, &err), EX_OK);
        ex_pg_close(pg);
        silent_close(&s);
    }
}

/* Every host says why, within the time of the whole. */
static void test_pg_hosts_names_each_reason(void **state)
{
    (void)state;
    silent s = silent_open(false);
    ex_pg *pg = NULL;
    char want[32];
    uint64_t begun = now_ms();
    assert_int_equal(open_behind(s.port, "target_session_attrs=standby", 600, &pg), EX_EAGAIN);
    assert_true(now_ms() - begun < 1500);
    (void)snprintf(want, sizeof(want), "127.0.0.1:%u/", s.port);
    assert_non_null(strstr(err.message, want));
    assert_non_null(strstr(err.message, "no answer in time; "));
    assert_non_null(strstr(err.message, "not in hot standby"));
    silent_close(&s);
}

/* As with libpq: a server that refuses the password is the one that was meant. */
static void test_pg_hosts_ends_at_a_refusal(void **state)
{
    (void)state;
    silent s = silent_open(false);
    char url[POSTGRES_URL_SIZE];
    const char *host = strchr(postgres_tcp_url(), '@') + 1;
    size_t n = strcspn(host, "/");
    ex_pg *pg = NULL;
    (void)snprintf(url, sizeof(url), "postgres://excore:wrong@%.*s,127.0.0.1:%u%s", (int)n, host,
                   s.port, host + n);
    uint64_t begun = now_ms();
    assert_int_equal(
        ex_pg_open(&(ex_pg_options){.url = url, .connect_timeout_ms = 20000}, &pg, &err),
        EX_EDATABASE);
    assert_non_null(strstr(err.message, "password"));
    assert_null(strstr(err.message, "; "));
    assert_true(now_ms() - begun < 5000);
    silent_close(&s);
}

static void *cancel(void *pg)
{
    ex_pg_cancel(pg);
    return NULL;
}

/* The cancel goes to the server that the connection is with, not to the first of the list. */
static void test_pg_hosts_cancels_at_the_right_one(void **state)
{
    (void)state;
    silent s = silent_open(false);
    ex_pg *pg = NULL;
    pthread_t thread;
    assert_int_equal(open_behind(s.port, "target_session_attrs=read-write", 1000, &pg), EX_OK);
    uint64_t begun = now_ms();
    assert_int_equal(ex_pg_send(pg, EX_S("SELECT pg_sleep(60)"), NULL, &err), EX_OK);
    assert_int_equal(ex_pg_sync(pg, &err), EX_OK);
    assert_int_equal(pthread_create(&thread, NULL, cancel, pg), 0);
    assert_int_equal(ex_pg_recv(pg, NULL, &err), EX_ECANCELLED);
    pthread_join(thread, NULL);
    assert_true(now_ms() - begun < 1900); /* at the first it would take two seconds to give up */
    assert_false(ex_pg_is_broken(pg));
    ex_pg_close(pg);
    silent_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pg_hosts_goes_on_to_the_next),
        cmocka_unit_test(test_pg_hosts_names_each_reason),
        cmocka_unit_test(test_pg_hosts_ends_at_a_refusal),
        cmocka_unit_test(test_pg_hosts_cancels_at_the_right_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
