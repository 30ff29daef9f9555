/* test_settings.c: the table of keys against the options structures, and what --listen accepts. */
#include "app/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static settings load(const ex_config_flag *flags, size_t count)
{
    settings s = {0};
    ex_error err = {0};
    ex_buf faults;
    ex_buf_init(&faults, 0);
    if (settings_load(NULL, flags, count, &s, &faults, &err))
        fail_msg("%s: %.*s", err.message, EX_ARG(ex_buf_slice(&faults)));
    ex_buf_done(&faults);
    return s;
}

/* The defaults of the table are those that the headers promise for zero-initialised fields. */
static void test_settings_defaults_match_the_headers(void **state)
{
    (void)state;
    settings s = load(NULL, 0);
    assert_string_equal(s.data, "./data");
    assert_string_equal(s.app, "");
    assert_string_equal(s.http.host, "127.0.0.1");
    const struct {
        const char *name;
        uint64_t got, want;
    } fields[] = {
        {"port", s.http.port, 8080},
        {"loops", s.http.loops, 1},
        {"header_limit_bytes", s.http.header_limit_bytes, 64 << 10},
        {"header_count_limit", s.http.header_count_limit, 100},
        {"body_limit_bytes", s.http.body_limit_bytes, 4 << 20},
        {"header_timeout_ms", s.http.header_timeout_ms, 10000},
        {"body_timeout_ms", s.http.body_timeout_ms, 30000},
        {"idle_timeout_ms", s.http.idle_timeout_ms, 60000},
        {"write_timeout_ms", s.http.write_timeout_ms, 30000},
        {"connection_limit", s.http.connection_limit, 10000},
        {"inflight_limit", s.http.inflight_limit, 4096},
        {"output_limit_bytes", s.http.output_limit_bytes, 1 << 20},
        {"memory_limit_bytes", s.http.memory_limit_bytes, 64 << 20},
        {"address_percent", s.http.address_percent, 75},
        {"connection_memory_bytes", s.http.connection_memory_bytes, 16 << 20},
        {"h2_streams_limit", s.http.h2_streams_limit, 128},
        {"shutdown_timeout_ms", s.shutdown_timeout_ms, 30000},
        {"durability", s.store.durability, EX_DURABILITY_FULL},
        {"queue_limit", s.store.queue_limit, 16384},
        {"batch_limit", s.store.batch_limit, 2048},
        {"events_per_append", s.store.events_per_append, 10000},
        {"event_limit_bytes", s.store.event_limit_bytes, 1 << 20},
        {"ring_limit_bytes", s.store.ring_limit_bytes, 8 << 20},
        {"reader_limit", s.store.reader_limit, 8},
        {"page_cache_bytes", s.store.page_cache_bytes, 8 << 20},
        {"slow_ms", s.store.slow_ms, 200},
        {"command_ttl_s", s.store.command_ttl_s, 604800},
        {"outcome_wait_ms", s.store.outcome_wait_ms, 10000},
        {"state_cache_bytes", s.runtime.state_cache_bytes, 64 << 20},
        {"state_cache_count", s.runtime.state_cache_count, 100000},
        {"state_limit_bytes", s.runtime.state_limit_bytes, 4 << 20},
        {"view_batch_events", s.runtime.view_batch_events, 1000},
        {"view_retry_ms", s.runtime.view_retry_ms, 1000},
        {"view_attempts", s.runtime.view_attempts, 3},
        {"view_parked_limit", s.runtime.view_parked_limit, 1000},
        {"decide_warn_ms", s.runtime.decide_warn_ms, 100},
        {"query_readers", s.runtime.query_readers, 4},
        {"query_timeout_ms", s.runtime.query_timeout_ms, 30000},
        {"reader_threads", s.api.reader_threads, 4},
        {"reader_queue_limit", s.api.reader_queue_limit, 1024},
        {"page_timeout_ms", s.api.page_timeout_ms, 5000},
        {"page_limit_bytes", s.api.page_limit_bytes, 4 << 20},
        {"stream_page_events", s.api.stream_page_events, 1000},
        {"log_page_events", s.api.log_page_events, 100},
        {"page_events_limit", s.api.page_events_limit, 1000},
        {"sse_connection_limit", s.api.sse_connection_limit, 1000},
        {"sse_heartbeat_ms", s.api.sse_heartbeat_ms, 15000},
        {"min_position_timeout_ms", s.api.min_position_timeout_ms, 5000},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (fields[i].got != fields[i].want)
            fail_msg("%s: %llu", fields[i].name, (unsigned long long)fields[i].got);
    settings_done(&s);
}

/* The texts, and everything else with the pointers taken out. */
static settings without_pointers(const settings *s, ex_buf *texts)
{
    settings bare = *s;
    const char **const fields[] = {
        &bare.data,           &bare.app,        &bare.http.host,       &bare.http.hosts,
        &bare.log.level_name, &bare.log.output, &bare.log.service_name};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        ex_buf_printf(texts, "%s|", *fields[i]);
        *fields[i] = NULL;
    }
    bare.config = NULL;
    return bare;
}

static bool is_same(const settings *a, const settings *b)
{
    ex_buf a_texts, b_texts;
    ex_buf_init(&a_texts, 0);
    ex_buf_init(&b_texts, 0);
    settings bare_a = without_pointers(a, &a_texts), bare_b = without_pointers(b, &b_texts);
    bool same = memcmp(&bare_a, &bare_b, sizeof(bare_a)) == 0 &&
                ex_slice_eq(ex_buf_slice(&a_texts), ex_buf_slice(&b_texts));
    ex_buf_done(&a_texts);
    ex_buf_done(&b_texts);
    return same;
}

/* Every key reaches a field: setting it to its largest value changes the structure, and no number
 * is cut on the way (the largest values of the table fit their fields). */
static void test_settings_every_key_fills_a_field(void **state)
{
    (void)state;
    size_t count = 0;
    const ex_config_key *keys = settings_keys(&count);
    assert_true(count > 40);
    for (size_t i = 0; i < count; i++) {
        const ex_config_key *k = &keys[i];
        char text[32] = "other";
        if (k->type == EX_CONFIG_ENUM)
            (void)snprintf(text, sizeof(text), "%s", strchr(k->choices, '|') + 1);
        if (strcmp(k->name, "log.level") == 0)
            (void)snprintf(text, sizeof(text), "warn");
        text[strcspn(text, "|")] = '\0';
        bool is_number = k->max != 0;
        if (is_number)
            (void)snprintf(text, sizeof(text), "%lld%s", (long long)k->max,
                           k->type == EX_CONFIG_DURATION ? "ms" : "");
        /* the pairs that are checked against each other */
        const ex_config_flag flags[] = {
            {"api.page_events_limit", "100000"}, {"runtime.state_cache", "64GiB"}, {k->name, text}};
        settings before = load(flags, 2), after = load(flags, 3);
        bool is_pair = strcmp(k->name, flags[0].key) == 0 || strcmp(k->name, flags[1].key) == 0;
        if (is_same(&before, &after) != is_pair)
            fail_msg("%s fills nothing", k->name);
        settings_done(&before);
        settings_done(&after);
    }
}

static void test_settings_zero_never_means_default(void **state)
{
    (void)state;
    size_t count = 0;
    const ex_config_key *keys = settings_keys(&count);
    for (size_t i = 0; i < count; i++)
        if (keys[i].max != 0 && keys[i].min == 0 && strcmp(keys[i].name, "server.port") != 0 &&
            strcmp(keys[i].name, "server.shutdown_timeout") != 0)
            fail_msg("%s accepts 0 (R-01-31)", keys[i].name);
}

static void test_settings_faults_of_two_keys(void **state)
{
    (void)state;
    static const ex_config_flag flags[] = {{"api.page_events_limit", "10"},
                                           {"runtime.state_cache", "1MiB"},
                                           {"store.data", ""},
                                           {"server.host", ""},
                                           {"server.hosts", "a.example, b:80"}};
    settings s = {0};
    ex_buf faults;
    ex_buf_init(&faults, 0);
    assert_int_equal(settings_load(NULL, flags, 5, &s, &faults, NULL), EX_EINVAL);
    static const char *const wanted[] = {"api.stream_page_events: ",
                                         "api.log_page_events: ",
                                         "runtime.state_limit: ",
                                         "store.data: ",
                                         "server.host: ",
                                         "server.hosts: \"b:80\""};
    ex_buf_put_char(&faults, '\0');
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        assert_non_null(strstr(faults.ptr, wanted[i]));
    ex_buf_done(&faults);
}

static void test_settings_log_variables(void **state)
{
    (void)state;
    static const ex_config_flag json[] = {{"log.format", "json"}};
    setenv("LOG_PRETTY", "1", 1);
    setenv("LOG_LEVEL", "error", 1);
    settings s = load(NULL, 0);
    assert_int_equal(s.log.format, EX_LOG_PRETTY);
    assert_string_equal(s.log.level_name, "error");
    settings_done(&s);
    s = load(json, 1);
    assert_int_equal(s.log.format, EX_LOG_JSON);
    settings_done(&s);
    unsetenv("LOG_PRETTY");
    unsetenv("LOG_LEVEL");
}

static void test_settings_listen(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host, *port; /* NULL: refused */
    } cases[] = {
        {"127.0.0.1:8080", "127.0.0.1", "8080"},
        {"localhost:0", "localhost", "0"},
        {"[::1]:8080", "::1", "8080"},
        {"[::]:1", "::", "1"},
        {":8080", "::", "8080"},
        {"8080", "127.0.0.1", "8080"},
        {"::1:8080", NULL, NULL},
        {"1::8080", NULL, NULL},
        {"[::1:8080", NULL, NULL},
        {"[]:80", NULL, NULL},
        {"host:", NULL, NULL},
        {"host:http", NULL, NULL},
        {"host:-1", NULL, NULL},
        {"", NULL, NULL},
        {"host:12345678901234567890", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[64] = "", port[16] = "";
        ex_status status =
            settings_split_listen(cases[i].text, host, sizeof(host), port, sizeof(port), NULL);
        if ((status == EX_OK) != (cases[i].host != NULL) ||
            (status == EX_OK &&
             (strcmp(host, cases[i].host) != 0 || strcmp(port, cases[i].port) != 0)))
            fail_msg("'%s' gives '%s' and '%s'", cases[i].text, host, port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings_defaults_match_the_headers),
        cmocka_unit_test(test_settings_every_key_fills_a_field),
        cmocka_unit_test(test_settings_zero_never_means_default),
        cmocka_unit_test(test_settings_faults_of_two_keys),
        cmocka_unit_test(test_settings_log_variables),
        cmocka_unit_test(test_settings_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
