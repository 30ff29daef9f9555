/* test_rest_guard.c: what a web page of somebody else can make a browser send (issue 9, item 9):
 * forms that change something, and names that lead here. (G-901, G-902) */
#include "support/api_server.h"
#include "support/h2_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- An application with a command that needs no body ---- */

typedef struct door {
    int64_t opened;
} door;
static const ex_type door_type = {"Door", 1, sizeof(door), NULL, 0, NULL};

typedef struct open_door {
    ex_slice door_id;
} open_door;
EX_TYPE(open_door, "OpenDoor", EX_KEY(open_door, door_id));

typedef struct door_opened {
    ex_slice door_id;
} door_opened;
EX_TYPE(door_opened, "DoorOpened", EX_KEY(door_opened, door_id));

static ex_status decide_open(const door *d, const open_door *c, ex_decision *decision)
{
    (void)d;
    return ex_emit(decision, door_opened, .door_id = c->door_id);
}

static void on_opened(door *d, const door_opened *e, ex_arena *memory)
{
    (void)e;
    (void)memory;
    d->opened++;
}

#define DOOR_COMMANDS(COMMAND) COMMAND(door, open_door, "open", decide_open)
#define DOOR_EVENTS(EVENT)     EVENT(door, door_opened, on_opened)
extern const ex_aggregate door_aggregate;
EX_AGGREGATE(door, "door", DOOR_COMMANDS, DOOR_EVENTS);

static const ex_aggregate *const aggregates[] = {&door_aggregate};
static const ex_context house = {"house", aggregates, 1, NULL, 0, NULL, 0};
static const ex_context *const contexts[] = {&house};
static const ex_app app = {EX_APP_ABI, "house", contexts, 1};

static void start(api_server *s, const char *host, const char *hosts)
{
    api_server_start(s, &(api_server_options){.in_memory = true,
                                              .app = &app,
                                              .http = {.host = host, .hosts = hosts}});
}

/* ---- Forms and foreign origins ---- */

#define OPEN  "/v1/house/door/d/open"
#define JSON  "Content-Type: application/json\r\n"
#define EVENT "{\"events\":[{\"type\":\"T\",\"data\":1}]}"

static void test_guard_refuses_what_a_form_can_send(void **state)
{
    (void)state;
    /* clang-format off */
    static const api_refusal rows[] = {
        {"form without a body", "POST", OPEN, NULL, NULL, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"urlencoded", "POST", OPEN, "Content-Type: application/x-www-form-urlencoded\r\n", "", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"urlencoded with a body", "POST", OPEN, "Content-Type: Application/X-WWW-Form-URLencoded; charset=UTF-8\r\n", "a=b", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"multipart", "POST", OPEN, "Content-Type: multipart/form-data; boundary=x\r\n", "--x--", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"text", "POST", OPEN, "Content-Type: text/plain\r\n", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"text with a parameter", "POST", OPEN, "Content-Type: text/plain;application/json\r\n", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"empty type", "POST", OPEN, "Content-Type:\r\n", "{}", 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type"},
        {"two types", "POST", OPEN, "Content-Type: text/plain\r\nContent-Type: application/json\r\n", "{}", 415, NULL, NULL},
        {"append as text", "POST", "/v1/streams/s", "Content-Type: text/plain\r\n", EVENT, 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
        {"append of several as text", "POST", "/v1/append", "Content-Type: text/plain\r\n", "{\"writes\":[]}", 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
        {"a header does not make text JSON", "POST", "/v1/streams/s", "Content-Type: text/plain\r\nX-Requested-With: x\r\n", EVENT, 415, "UNSUPPORTED_MEDIA_TYPE", NULL},
        {"foreign page", "POST", OPEN, JSON "Origin: http://evil.example\r\n", "{}", 403, "FOREIGN_ORIGIN", "Origin"},
        {"foreign page with the key", "POST", OPEN, "Idempotency-Key: 1\r\nOrigin: https://evil.example:8080\r\n", NULL, 403, "FOREIGN_ORIGIN", "Origin"},
        {"page without an origin", "POST", OPEN, JSON "Origin: null\r\n", "{}", 403, "FOREIGN_ORIGIN", "Origin"},
        {"foreign address", "POST", OPEN, JSON "Origin: http://192.0.2.1\r\n", "{}", 403, "FOREIGN_ORIGIN", "Origin"},
        {"a name that begins like an address", "POST", OPEN, JSON "Origin: http://127.0.0.1.evil.example\r\n", "{}", 403, "FOREIGN_ORIGIN", "Origin"},
        {"the browser says so", "POST", OPEN, JSON "Sec-Fetch-Site: cross-site\r\n", "{}", 403, "FOREIGN_ORIGIN", "Sec-Fetch-Site"},
        {"foreign page appends", "POST", "/v1/streams/s", JSON "Origin: http://evil.example\r\n", EVENT, 403, "FOREIGN_ORIGIN", "Origin"},
    };
    /* clang-format on */
    api_server s;
    start(&s, NULL, "");
    api_expect_refusals(&s, rows, sizeof(rows) / sizeof(rows[0]));
    api_server_stop(&s);
}

static void test_guard_takes_what_programs_send(void **state)
{
    (void)state;
    static const struct {
        const char *headers, *body;
    } cases[] = {
        {JSON, NULL},
        {JSON, "{}"},
        {"Content-Type: application/json; charset=utf-8\r\n", "{}"},
        {"Idempotency-Key: k-1\r\n", NULL},
        {"X-Requested-With: curl\r\n", NULL},
        {"X-Requested-With: curl\r\nContent-Type: application/x-www-form-urlencoded\r\n", ""},
        {JSON "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n", "{}"},
        {JSON "Origin: http://localhost:3000\r\n", "{}"}, /* a page under development, by a proxy */
        {JSON "Origin: http://127.0.0.1:8080\r\n", "{}"},
        {JSON "Origin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\n", "{}"},
        {JSON "Sec-Fetch-Site: none\r\n", "{}"},
    };
    api_server s;
    start(&s, NULL, "shop.example");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        api_expect(&s, "POST", OPEN, cases[i].headers, cases[i].body, 201);
    /* reading changes nothing, whoever asks: the browser keeps the answer from a foreign page */
    api_expect(&s, "GET", "/v1/events", "Origin: http://evil.example\r\n", NULL, 200);
    api_server_stop(&s);
}

/* ---- Names that lead here ---- */

static int ask(const api_server *s, const char *path, const char *host)
{
    char text[512];
    http_client c;
    http_reply r;
    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.%c\r\n%s%s%s\r\n", path, host ? '1' : '0',
                   host ? "Host: " : "", host ? host : "", host ? "\r\n" : "");
    assert_true(http_client_open(&c, s->port));
    assert_true(http_client_send_text(&c, text) && http_client_read(&c, &r));
    int status = r.status;
    http_reply_done(&r);
    http_client_close(&c);
    return status;
}

typedef struct host_case {
    const char *host;
    int status;
} host_case;

static void expect_hosts(const char *listen, const char *hosts, const host_case *cases,
                         size_t count)
{
    api_server s;
    start(&s, listen, hosts);
    for (size_t i = 0; i < count; i++) {
        int status = ask(&s, "/v1/events", cases[i].host);
        if (status != cases[i].status)
            fail_msg("Host: %s: %d", cases[i].host ? cases[i].host : "(none)", status);
        assert_int_equal(ask(&s, "/health/live", cases[i].host), 200); /* probes */
        assert_int_equal(ask(&s, "/health/ready", cases[i].host), 200);
        assert_int_equal(ask(&s, "/metrics", cases[i].host), cases[i].status);
        assert_int_equal(ask(&s, "/v1/status", cases[i].host), cases[i].status);
    }
    api_server_stop(&s);
}

static void test_guard_answers_to_the_names_that_it_knows(void **state)
{
    (void)state;
    static const host_case plain[] = {
        {"localhost", 200},
        {"LOCALHOST:8080", 200},
        {"localhost.:80", 200},
        {"shop.localhost", 200},
        {"127.0.0.1", 200},
        {"127.0.0.1:9999", 200},
        {"[::1]:8080", 200},
        {"192.0.2.7:80", 200}, /* no name leads there but by itself */
        {NULL, 200},
        {"evil.example", 421},
        {"evil.example:8080", 421},
        {"127.0.0.1.evil.example", 421},
        {"127.evil.example", 421},
        {"localhost.evil.example", 421},
        {"evillocalhost", 421},
        {"", 421},
        {"[evil.example]", 421},
        {"excore", 421},
    };
    expect_hosts(NULL, "", plain, sizeof(plain) / sizeof(plain[0]));
    static const host_case named[] = {
        {"Excore:8080", 200},      {"a.shop.example", 200}, {"localhost", 200},
        {"shop.example", 421},     {"xshop.example", 421},  {"evil.example", 421},
        {"a.shop.example.x", 421},
    };
    expect_hosts(NULL, "excore, *.shop.example", named, sizeof(named) / sizeof(named[0]));
    static const host_case any[] = {{"evil.example", 200}};
    expect_hosts(NULL, "*", any, 1);
    char machine[256];
    assert_int_equal(gethostname(machine, sizeof(machine)), 0);
    const host_case open[] = {{machine, 200}, {"10.1.2.3:8080", 200}, {"evil.example", 421}};
    expect_hosts("0.0.0.0", "", open, 3);
}

static int ask_h2(const api_server *s, const char *authority, const char *method,
                  const char *content_type)
{
    h2_client c;
    nghttp2_nv nva[] = {H2_NV(":method", method), H2_NV(":scheme", "http"), H2_NV(":path", OPEN),
                        H2_NV(":authority", authority), H2_NV("content-type", content_type)};
    h2_open(&c, s->port, false);
    int32_t id = nghttp2_submit_request(c.session, NULL, nva, *content_type ? 5 : 4, NULL, NULL);
    assert_true(id > 0);
    h2_await(&c, &c.answers[id]);
    int status = c.answers[id].status;
    h2_close(&c);
    return status;
}

static void test_guard_holds_over_http2(void **state)
{
    (void)state;
    api_server s;
    start(&s, NULL, "");
    assert_int_equal(ask_h2(&s, "localhost", "POST", "application/json"), 201);
    assert_int_equal(ask_h2(&s, "localhost", "POST", ""), 415);
    assert_int_equal(ask_h2(&s, "localhost", "POST", "text/plain"), 415);
    assert_int_equal(ask_h2(&s, "evil.example", "POST", "application/json"), 421);
    assert_int_equal(ask_h2(&s, "evil.example", "GET", ""), 421);
    api_server_stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_refuses_what_a_form_can_send),
        cmocka_unit_test(test_guard_takes_what_programs_send),
        cmocka_unit_test(test_guard_answers_to_the_names_that_it_knows),
        cmocka_unit_test(test_guard_holds_over_http2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
