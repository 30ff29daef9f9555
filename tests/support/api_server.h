/* api_server.h: a whole server for one test: store, HTTP surface, listener on a port of its own. */
#ifndef EXCORE_TESTS_SUPPORT_API_SERVER_H
#define EXCORE_TESTS_SUPPORT_API_SERVER_H

#include "api/rest/api.h"
#include "observe/health.h"
#include "support/http_client.h"
#include "support/temp_dir.h"

#include <jansson.h>

typedef struct api_server_options {
    bool in_memory;    /* else SQLite in a directory of its own */
    const char *place; /* [none] a postgres:// URL instead */
    ex_store_options store;
    api_options api; /* store, runtime, metrics and health are filled in */
    http_options http;
    const ex_app *app;          /* NULL: no runtime */
    ex_runtime_options runtime; /* dir and metrics are filled in */
    const char *openapi;        /* [none] what /openapi.json answers */
    uint32_t drain_ms;          /* [2000] */
} api_server_options;

typedef struct api_server {
    temp_dir dir;
    ex_store *store;
    ex_runtime *runtime;
    ex_metrics *metrics;
    ex_health *health;
    api *api;
    http_server *http;
    uint32_t drain_ms;
    uint16_t port;
} api_server;

/** Fails the test when anything does not start. */
void api_server_start(api_server *s, const api_server_options *options);
/** The first half of stopping: what was accepted is answered, the listener is gone, the store is
 * open. */
void api_server_stop_serving(api_server *s);
/** In the order that api.h asks for. */
void api_server_stop(api_server *s);

/** An answer with its body as JSON (NULL when it is none). */
typedef struct api_answer {
    int status;
    json_t *json;
    http_reply reply;
} api_answer;

/** One call on a connection of its own. A NULL body sends none; a body goes as application/json
 * unless `headers` (lines with CRLF) name a content type. Fails the test when no answer comes. */
api_answer api_call(const api_server *s, const char *method, const char *path, const char *headers,
                    const char *body);
void api_answer_done(api_answer *a);
/** Call, check the status and throw the answer away. */
void api_expect(const api_server *s, const char *method, const char *path, const char *headers,
                const char *body, int status);
/** The answer must be this problem; code and field NULL: any. `what` names the case. */
void api_check_problem(const api_answer *a, const char *what, int status, const char *code,
                       const char *field);
/** A request and the problem that answers it. */
typedef struct api_refusal {
    const char *name, *method, *path, *headers, *body;
    int status;
    const char *code, *field;
} api_refusal;
/** Each is refused as it says, and nothing is stored. */
void api_expect_refusals(const api_server *s, const api_refusal *rows, size_t count);
/** Member of an answer; fails the test when it is not there or of another kind. */
json_int_t api_int(const json_t *object, const char *key);
const char *api_text(const json_t *object, const char *key);
json_t *api_item(const json_t *object, const char *key, size_t index);

/** Append `count` events {"n":1…} of the type through the library. */
void api_append(const api_server *s, const char *stream, const char *type, uint32_t count,
                size_t padding);

#endif
