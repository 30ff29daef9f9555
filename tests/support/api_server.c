/* api_server.c: see api_server.h. */
#include "support/api_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

static void must(ex_status st, const ex_error *err)
{
    if (st)
        fail_msg("%s: %s (%s:%d)", err->code, err->message, err->file ? err->file : "", err->line);
}

void api_server_start(api_server *s, const api_server_options *options)
{
    ex_error err = {0};
    api_options ao = options->api;
    http_options ho = options->http;
    ex_store_options so = options->store;
    const http_route *routes;
    size_t route_count;
    memset(s, 0, sizeof(*s));
    s->dir = temp_dir_make();
    s->drain_ms = options->drain_ms ? options->drain_ms : 2000;
    const char *place = options->place ? options->place : s->dir.path;
    must(ex_metrics_new("excore", &s->metrics, &err), &err);
    must(ex_health_new(NULL, &s->health, &err), &err);
    so.in_memory = options->in_memory;
    so.metrics = s->metrics;
    must(ex_store_open(place, &so, &s->store, &err), &err);
    if (options->app) {
        ex_runtime_options ro = options->runtime;
        ro.dir = options->in_memory ? NULL : place;
        ro.metrics = s->metrics;
        must(ex_runtime_start(s->store, options->app, &ro, &s->runtime, &err), &err);
    }
    ao.store = s->store;
    ao.runtime = s->runtime;
    ao.metrics = s->metrics;
    ao.health = s->health;
    must(api_new(&ao, &s->api, &err), &err);
    if (options->openapi)
        must(api_set_openapi(s->api, ex_str(options->openapi), &err), &err);
    api_routes(s->api, &routes, &route_count);
    ho.metrics = s->metrics;
    ho.hosts = ho.hosts ? ho.hosts : ""; /* as the program does */
    must(http_server_start(&ho, routes, route_count, &s->http, &err), &err);
    s->port = http_server_port(s->http);
}

void api_server_stop_serving(api_server *s)
{
    http_server_drain(s->http, s->drain_ms);
    api_stop(s->api);
    http_server_stop(s->http);
    s->http = NULL;
}

void api_server_stop(api_server *s)
{
    if (s->http)
        api_server_stop_serving(s);
    api_free(s->api);
    ex_runtime_stop(s->runtime);
    ex_store_close(s->store);
    ex_health_free(s->health);
    ex_metrics_free(s->metrics);
    temp_dir_remove(&s->dir);
}

api_answer api_call(const api_server *s, const char *method, const char *path, const char *headers,
                    const char *body)
{
    api_answer a = {0};
    char lines[4096];
    bool is_typed = headers && strcasestr(headers, "content-type:");
    int n = snprintf(lines, sizeof(lines), "%s%s", headers ? headers : "",
                     body && !is_typed ? "Content-Type: application/json\r\n" : "");
    assert_true(n >= 0 && (size_t)n < sizeof(lines));
    if (strcmp(method, "HEAD") == 0) {
        http_client c;
        assert_true(http_client_open(&c, s->port));
        assert_true(http_client_request(&c, method, path, lines, EX_S("")));
        assert_true(http_client_read_head_only(&c, &a.reply));
        http_client_close(&c);
    } else if (!http_call(s->port, method, path, lines, ex_str(body), &a.reply)) {
        fail_msg("no answer to %s %s", method, path);
    }
    a.status = a.reply.status;
    a.json = a.reply.body.len
                 ? json_loadb(a.reply.body.ptr, a.reply.body.len, JSON_REJECT_DUPLICATES, NULL)
                 : NULL;
    return a;
}

void api_answer_done(api_answer *a)
{
    json_decref(a->json);
    http_reply_done(&a->reply);
}

void api_expect(const api_server *s, const char *method, const char *path, const char *headers,
                const char *body, int status)
{
    api_answer a = api_call(s, method, path, headers, body);
    if (a.status != status)
        fail_msg("%s %s: %d, not %d: %.*s", method, path, a.status, status, (int)a.reply.body.len,
                 a.reply.body.ptr ? a.reply.body.ptr : "");
    api_answer_done(&a);
}

static bool is_text(const json_t *object, const char *key, const char *want)
{
    const char *text = json_string_value(json_object_get(object, key));
    return !want || (text && strcmp(text, want) == 0);
}

void api_check_problem(const api_answer *a, const char *what, int status, const char *code,
                       const char *field)
{
    ex_slice type = http_reply_header(&a->reply, "content-type");
    if (a->status != status || !is_text(a->json, "code", code) ||
        !is_text(a->json, "field", field) ||
        !ex_slice_starts(type, EX_S("application/problem+json")))
        fail_msg("%s: %d %.*s", what, a->status, (int)a->reply.body.len,
                 a->reply.body.ptr ? a->reply.body.ptr : "");
}

void api_expect_refusals(const api_server *s, const api_refusal *rows, size_t count)
{
    uint64_t head = ex_store_head(s->store);
    for (size_t i = 0; i < count; i++) {
        const api_refusal *r = &rows[i];
        api_answer a = api_call(s, r->method, r->path, r->headers, r->body);
        api_check_problem(&a, r->name, r->status, r->code, r->field);
        api_answer_done(&a);
    }
    assert_int_equal(ex_store_head(s->store), head);
}

json_int_t api_int(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    if (!json_is_integer(v))
        fail_msg("\"%s\" is no integer", key);
    return json_integer_value(v);
}

const char *api_text(const json_t *object, const char *key)
{
    json_t *v = json_object_get(object, key);
    if (!json_is_string(v))
        fail_msg("\"%s\" is no text", key);
    return json_string_value(v);
}

json_t *api_item(const json_t *object, const char *key, size_t index)
{
    json_t *v = json_array_get(json_object_get(object, key), index);
    if (!v)
        fail_msg("\"%s\" has no item %zu", key, index);
    return v;
}

void api_append(const api_server *s, const char *stream, const char *type, uint32_t count,
                size_t padding)
{
    char *data = malloc(padding + 64);
    assert_non_null(data);
    for (uint32_t i = 1; i <= count; i++) {
        ex_error err = {0};
        int n = snprintf(data, padding + 64, "{\"n\":%u,\"pad\":\"", i);
        memset(data + n, 'x', padding);
        memcpy(data + n + padding, "\"}", 2);
        ex_new_event e = {.type = ex_str(type), .data = ex_slice_of(data, (size_t)n + padding + 2)};
        ex_stream_write w = {.stream = ex_str(stream), .events = &e, .event_count = 1};
        ex_append append = {.writes = &w, .write_count = 1};
        must(ex_store_append(s->store, &append, NULL, &err), &err);
    }
    free(data);
}
