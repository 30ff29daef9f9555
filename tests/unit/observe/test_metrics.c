/* test_metrics.c: registration, sharded updates, bounded label sets, and the text format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "observe/metrics.h"
#include "support/alloc_fault.h"

static ex_metrics *new_registry(void)
{
    ex_metrics *m = NULL;
    assert_int_equal(ex_metrics_new("excore", &m, NULL), EX_OK);
    return m;
}

/* The whole exposition as a NUL-terminated string; the caller frees it. */
static char *write_text(ex_metrics *m)
{
    ex_buf b;
    ex_buf_init(&b, 0);
    ex_metrics_write(m, &b);
    ex_buf_put_char(&b, '\0');
    assert_int_equal(ex_buf_status(&b), EX_OK);
    return b.ptr;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static size_t count_of(const char *text, const char *part)
{
    size_t n = 0;
    for (const char *p = strstr(text, part); p; p = strstr(p + 1, part))
        n++;
    return n;
}

/* R-07-13 */
static void test_metrics_refuse_wrong_and_duplicate_names(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_histogram *h = NULL;
    ex_counter *c = NULL;
    ex_metric_desc taken = {"taken_seconds", "h", {NULL}};
    assert_int_equal(ex_metrics_histogram(m, &taken, EX_BUCKETS_SECONDS, 11, &h, NULL), EX_OK);
    static const struct {
        const char *name;
        ex_metric_desc d;
        ex_status want;
    } cases[] = {
        {"blank", {"a b", "h", {NULL}}, EX_EINVAL},
        {"dash", {"a-b", "h", {NULL}}, EX_EINVAL},
        {"not ASCII", {"\xc3\xa4", "h", {NULL}}, EX_EINVAL},
        {"label with a dash", {"a_total", "h", {"x-y"}}, EX_EINVAL},
        {"label with a colon", {"a_total", "h", {"x:y"}}, EX_EINVAL},
        {"label begins with a digit", {"a_total", "h", {"1x"}}, EX_EINVAL},
        {"empty label", {"a_total", "h", {""}}, EX_EINVAL},
        {"reserved label", {"a_total", "h", {"__x"}}, EX_EINVAL},
        {"label twice", {"a_total", "h", {"x", "x"}}, EX_EINVAL},
        {"duplicate", {"taken_seconds", "h", {NULL}}, EX_EEXISTS},
        {"series of a histogram", {"taken_seconds_count", "h", {NULL}}, EX_EEXISTS},
        {"right", {"a_total", "h", {"x", "y"}}, EX_OK},
        {"a second time", {"a_total", "h", {"x", "y"}}, EX_EEXISTS},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_error err;
        ex_status got = ex_metrics_counter(m, &cases[i].d, &c, &err);
        if (got != cases[i].want)
            fail_msg("%s: got %s", cases[i].name, ex_status_code(got));
    }
    ex_metric_desc le = {"b_seconds", "h", {"le"}};
    assert_int_equal(ex_metrics_histogram(m, &le, EX_BUCKETS_SECONDS, 11, &h, NULL), EX_EINVAL);
    static const double falling[] = {2, 1};
    ex_metric_desc d = {"c_seconds", "h", {NULL}};
    assert_int_equal(ex_metrics_histogram(m, &d, falling, 2, &h, NULL), EX_EINVAL);
    assert_int_equal(ex_metrics_histogram(m, &d, falling, 0, &h, NULL), EX_EINVAL);
    ex_metrics_free(m);
    assert_int_equal(ex_metrics_new("9x", &m, NULL), EX_EINVAL);
    ex_metrics_free(NULL);
}

static void test_metrics_text_of_each_kind(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_counter *c = NULL;
    ex_gauge *g = NULL;
    ex_histogram *h = NULL;
    static const double bounds[] = {0.1, 2.5, 1e9};
    ex_metric_desc cd = {"requests_total", "Line one\nand a \\ here.", {NULL}};
    ex_metric_desc gd = {"depth", "Depth.", {NULL}};
    ex_metric_desc hd = {"took_seconds", "Time.", {NULL}};
    assert_int_equal(ex_metrics_counter(m, &cd, &c, NULL), EX_OK);
    assert_int_equal(ex_metrics_gauge(m, &gd, &g, NULL), EX_OK);
    assert_int_equal(ex_metrics_histogram(m, &hd, bounds, 3, &h, NULL), EX_OK);
    ex_counter_add(c, 1);
    ex_counter_add(c, UINT64_C(1) << 40);
    ex_gauge_set(g, 5);
    ex_gauge_add(g, -12);
    static const double values[] = {0.05, 0.1, 0.25, 3e9};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        ex_histogram_observe(h, values[i]);
    ex_histogram_observe(h, NAN); /* not counted: it would spoil the sum */
    assert_int_equal(ex_counter_value(c), (UINT64_C(1) << 40) + 1);
    assert_int_equal(ex_gauge_value(g), -7);
    char *text = write_text(m);
    assert_string_equal(text, "# HELP excore_requests_total Line one\\nand a \\\\ here.\n"
                              "# TYPE excore_requests_total counter\n"
                              "excore_requests_total 1099511627777\n"
                              "# HELP excore_depth Depth.\n"
                              "# TYPE excore_depth gauge\n"
                              "excore_depth -7\n"
                              "# HELP excore_took_seconds Time.\n"
                              "# TYPE excore_took_seconds histogram\n"
                              "excore_took_seconds_bucket{le=\"0.1\"} 2\n"
                              "excore_took_seconds_bucket{le=\"2.5\"} 3\n"
                              "excore_took_seconds_bucket{le=\"1000000000\"} 3\n"
                              "excore_took_seconds_bucket{le=\"+Inf\"} 4\n"
                              "excore_took_seconds_sum 3000000000.4\n"
                              "excore_took_seconds_count 4\n");
    free(text);
    ex_metrics_free(m);
}

static void test_metrics_escape_label_values(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_counter *c = NULL;
    ex_histogram *h = NULL;
    static const double bound[] = {1};
    ex_metric_desc cd = {"a_total", "A.", {"path", "status"}};
    ex_metric_desc hd = {"b_seconds", "B.", {"path"}};
    assert_int_equal(ex_metrics_counter(m, &cd, &c, NULL), EX_OK);
    assert_int_equal(ex_metrics_histogram(m, &hd, bound, 1, &h, NULL), EX_OK);
    ex_counter *one = ex_counter_with(c, (ex_slice[]){EX_S("a\"b\\c\nd"), EX_S("")});
    ex_counter_add(one, 2);
    /* the same values give the same series; a shifted border between values another one */
    assert_ptr_equal(one, ex_counter_with(c, (ex_slice[]){EX_S("a\"b\\c\nd"), EX_S("")}));
    assert_ptr_not_equal(one, ex_counter_with(c, (ex_slice[]){EX_S("a\"b\\c\n"), EX_S("d")}));
    ex_histogram_observe(ex_histogram_with(h, (ex_slice[]){EX_S("/x")}), 0.5);
    char *text = write_text(m);
    assert_has(text, "excore_a_total{path=\"a\\\"b\\\\c\\nd\",status=\"\"} 2\n");
    assert_has(text, "excore_b_seconds_bucket{path=\"/x\",le=\"1\"} 1\n");
    assert_has(text, "excore_b_seconds_bucket{path=\"/x\",le=\"+Inf\"} 1\n");
    assert_has(text, "excore_b_seconds_sum{path=\"/x\"} 0.5\n");
    assert_has(text, "excore_b_seconds_count{path=\"/x\"} 1\n");
    assert_null(strstr(text, "other")); /* nothing was folded */
    free(text);
    ex_metrics_free(m);
}

/* R-07-15 */
static void test_metrics_fold_label_sets_over_the_bound_into_other(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_counter *c = NULL;
    ex_metric_desc d = {"a_total", "A.", {"type", "outcome"}};
    assert_int_equal(ex_metrics_counter(m, &d, &c, NULL), EX_OK);
    for (int i = 0; i < EX_METRIC_SETS_MAX + 25; i++) {
        char value[16];
        int n = snprintf(value, sizeof(value), "t%d", i);
        ex_slice values[] = {ex_slice_of(value, (size_t)n), EX_S("ok")};
        ex_counter_add(ex_counter_with(c, values), 1);
    }
    char *text = write_text(m);
    assert_int_equal(count_of(text, "excore_a_total{"), EX_METRIC_SETS_MAX + 1);
    assert_has(text, "excore_a_total{type=\"other\",outcome=\"other\"} 25\n");
    assert_has(text, "excore_a_total{type=\"t999\",outcome=\"ok\"} 1\n");
    assert_null(strstr(text, "t1000"));
    free(text);
    /* a set made before the bound was reached is still found */
    ex_counter *first = ex_counter_with(c, (ex_slice[]){EX_S("t0"), EX_S("ok")});
    ex_counter_add(first, 1);
    assert_int_equal(ex_counter_value(first), 2);
    ex_metrics_free(m);
}

static void test_metrics_fold_values_that_cannot_be_labels(void **state)
{
    (void)state;
    char longest[256];
    memset(longest, 'x', sizeof(longest));
    const struct {
        const char *name;
        ex_slice value;
        bool is_folded;
    } cases[] = {
        {"255 bytes", {longest, 255}, false},      {"256 bytes", {longest, 256}, true},
        {"bad UTF-8", EX_S("a\xff"), true},        {"cut character", EX_S("a\xe2\x82"), true},
        {"surrogate", EX_S("\xed\xa0\x80"), true}, {"good UTF-8", EX_S("\xe2\x82\xac"), false},
    };
    ex_metrics *m = new_registry();
    ex_gauge *g = NULL;
    ex_metric_desc d = {"a", "A.", {"v"}};
    assert_int_equal(ex_metrics_gauge(m, &d, &g, NULL), EX_OK);
    ex_gauge *other = ex_gauge_with(g, (ex_slice[]){EX_S("other")});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if ((ex_gauge_with(g, &cases[i].value) == other) != cases[i].is_folded)
            fail_msg("%s", cases[i].name);
    }
    ex_metrics_free(m);
}

enum { THREADS = 8, ROUNDS = 20000 };

typedef struct shared {
    ex_metrics *m;
    ex_counter *plain, *family;
    ex_gauge *gauge;
    ex_histogram *histogram;
} shared;

static void *hammer(void *arg)
{
    shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        ex_counter_add(s->plain, 1);
        ex_gauge_add(s->gauge, i % 2 ? -1 : 1);
        ex_histogram_observe(s->histogram, i % 4);
        if (i % 100 == 0)
            ex_counter_add(
                ex_counter_with(s->family, (ex_slice[]){i % 200 ? EX_S("a") : EX_S("b")}), 1);
    }
    return NULL;
}

static void test_metrics_lose_no_update_of_eight_threads(void **state)
{
    (void)state;
    shared s = {.m = new_registry()};
    static const double bounds[] = {0, 1, 2};
    ex_metric_desc plain = {"p_total", "P.", {NULL}}, family = {"f_total", "F.", {"k"}};
    ex_metric_desc gauge = {"g", "G.", {NULL}}, histogram = {"h", "H.", {NULL}};
    assert_int_equal(ex_metrics_counter(s.m, &plain, &s.plain, NULL), EX_OK);
    assert_int_equal(ex_metrics_counter(s.m, &family, &s.family, NULL), EX_OK);
    assert_int_equal(ex_metrics_gauge(s.m, &gauge, &s.gauge, NULL), EX_OK);
    assert_int_equal(ex_metrics_histogram(s.m, &histogram, bounds, 3, &s.histogram, NULL), EX_OK);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &s), 0);
    for (int i = 0; i < 20; i++)
        free(write_text(s.m)); /* readers run against the writers */
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(ex_counter_value(s.plain), THREADS * ROUNDS);
    assert_int_equal(ex_gauge_value(s.gauge), 0);
    char *text = write_text(s.m);
    assert_has(text, "excore_f_total{k=\"a\"} 800\n");
    assert_has(text, "excore_f_total{k=\"b\"} 800\n");
    assert_has(text, "excore_h_bucket{le=\"1\"} 80000\n");
    assert_has(text, "excore_h_bucket{le=\"+Inf\"} 160000\n");
    assert_has(text, "excore_h_sum 240000\n");
    assert_has(text, "excore_h_count 160000\n");
    free(text);
    ex_metrics_free(s.m);
}

static void test_metrics_accept_null(void **state)
{
    (void)state;
    ex_counter_add(NULL, 1);
    ex_gauge_set(NULL, 1);
    ex_gauge_add(NULL, 1);
    ex_histogram_observe(NULL, 1);
    assert_int_equal(ex_counter_value(NULL), 0);
    assert_int_equal(ex_gauge_value(NULL), 0);
    assert_null(ex_counter_with(NULL, NULL));
    assert_null(ex_gauge_with(NULL, NULL));
    assert_null(ex_histogram_with(NULL, NULL));
}

static void refresh(void *ctx)
{
    ex_gauge_add(ctx, 1);
}

static void test_metrics_call_collectors_before_each_exposition(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_gauge *g = NULL;
    ex_metric_desc d = {"g", "G.", {NULL}};
    assert_int_equal(ex_metrics_gauge(m, &d, &g, NULL), EX_OK);
    assert_int_equal(ex_metrics_on_collect(m, refresh, g), EX_OK);
    assert_int_equal(ex_metrics_on_collect(m, refresh, g), EX_OK);
    free(write_text(m));
    char *text = write_text(m);
    assert_has(text, "excore_g 4\n");
    free(text);
    ex_metrics_free(m);
}

static void test_metrics_forget_a_collector_that_was_taken_back(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_gauge *g = NULL;
    ex_gauge *gone = NULL;
    ex_metric_desc d = {"g", "G.", {NULL}};
    ex_metric_desc d_gone = {"gone", "Gone.", {NULL}};
    assert_int_equal(ex_metrics_gauge(m, &d, &g, NULL), EX_OK);
    assert_int_equal(ex_metrics_gauge(m, &d_gone, &gone, NULL), EX_OK);
    assert_int_equal(ex_metrics_on_collect(m, refresh, gone), EX_OK);
    assert_int_equal(ex_metrics_on_collect(m, refresh, g), EX_OK);
    free(write_text(m));
    ex_metrics_off_collect(m, refresh, gone);
    ex_metrics_off_collect(NULL, refresh, gone);
    char *text = write_text(m);
    assert_has(text, "excore_g 2\n");
    assert_has(text, "excore_gone 1\n");
    free(text);
    ex_metrics_free(m);
}

static double value_of(const char *text, const char *name)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    if (!at)
        fail_msg("no %s in:\n%s", name, text);
    return strtod(at + strlen(line), NULL);
}

/* R-07-14, T-6 build_info */
static void test_metrics_describe_the_process(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    assert_int_equal(ex_metrics_add_process(m, "1.2.3", "abc\"def", NULL), EX_OK);
    assert_int_equal(ex_metrics_add_process(m, "1.2.3", "abc", NULL), EX_EEXISTS);
    char *text = write_text(m);
    assert_has(text, "excore_build_info{version=\"1.2.3\",commit=\"abc\\\"def\"} 1\n");
    assert_true(value_of(text, "process_cpu_seconds_total") >= 0);
    assert_true(value_of(text, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(text, "process_virtual_memory_bytes") >
                value_of(text, "process_resident_memory_bytes"));
    assert_true(value_of(text, "process_max_fds") >= 64);
    assert_true(value_of(text, "process_start_time_seconds") > 1.5e9);
    double open_before = value_of(text, "process_open_fds");
    free(text);
    int fd = dup(1);
    assert_true(fd >= 0);
    text = write_text(m);
    assert_true(value_of(text, "process_open_fds") == open_before + 1);
    free(text);
    close(fd);
    ex_metrics_free(m);
}

static void test_metrics_text_passes_promtool(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0)
        skip();
    ex_metrics *m = new_registry();
    ex_counter *c = NULL;
    ex_gauge *g = NULL;
    ex_histogram *h = NULL;
    ex_metric_desc cd = {"http_request_count_total", "Requests.", {"method", "path"}};
    ex_metric_desc gd = {"queue_depth", "Waiting \\ jobs\nnow.", {NULL}};
    ex_metric_desc hd = {"http_request_duration_seconds", "Time.", {"path"}};
    assert_int_equal(ex_metrics_counter(m, &cd, &c, NULL), EX_OK);
    assert_int_equal(ex_metrics_gauge(m, &gd, &g, NULL), EX_OK);
    assert_int_equal(ex_metrics_histogram(m, &hd, EX_BUCKETS_FINE, 13, &h, NULL), EX_OK);
    assert_int_equal(ex_metrics_add_process(m, "0.1.0", "deadbeef", NULL), EX_OK);
    ex_counter_add(ex_counter_with(c, (ex_slice[]){EX_S("GET"), EX_S("/a\"b\\c\nd")}), 1);
    ex_histogram_observe(ex_histogram_with(h, (ex_slice[]){EX_S("/x")}), 0.003);
    char *text = write_text(m);
    FILE *tool = popen("promtool check metrics", "w");
    assert_non_null(tool);
    assert_int_equal(fwrite(text, 1, strlen(text), tool), strlen(text));
    assert_int_equal(pclose(tool), 0);
    free(text);
    ex_metrics_free(m);
}

static ex_status register_and_write(void *ctx)
{
    (void)ctx;
    ex_metrics *m = NULL;
    ex_counter *c = NULL;
    ex_gauge *g = NULL;
    ex_histogram *h = NULL;
    ex_buf out;
    ex_metric_desc cd = {"c_total", "C.", {"k"}}, gd = {"g", "G.", {NULL}}, hd = {"h", "H.", {"k"}};
    ex_buf_init(&out, 0);
    ex_status status = ex_metrics_new("excore", &m, NULL);
    if (!status)
        status = ex_metrics_counter(m, &cd, &c, NULL);
    if (!status)
        status = ex_metrics_gauge(m, &gd, &g, NULL);
    if (!status)
        status = ex_metrics_histogram(m, &hd, EX_BUCKETS_FINE, 13, &h, NULL);
    if (!status)
        status = ex_metrics_on_collect(m, refresh, g);
    if (!status) {
        ex_metrics_write(m, &out);
        status = ex_buf_status(&out);
    }
    ex_buf_done(&out);
    ex_metrics_free(m);
    return status;
}

static void test_metrics_survive_each_failing_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("metrics", register_and_write, NULL) > 10);
}

static void test_metrics_count_as_other_without_memory(void **state)
{
    (void)state;
    ex_metrics *m = new_registry();
    ex_counter *c = NULL;
    ex_metric_desc d = {"c_total", "C.", {"k"}};
    assert_int_equal(ex_metrics_counter(m, &d, &c, NULL), EX_OK);
    alloc_fault_arm(1, true);
    ex_counter *one = ex_counter_with(c, (ex_slice[]){EX_S("a")});
    ex_counter_add(one, 3);
    assert_true(alloc_fault_disarm() > 0);
    ex_counter *later = ex_counter_with(c, (ex_slice[]){EX_S("a")}); /* memory is back */
    assert_ptr_not_equal(one, later);
    ex_counter_add(later, 1);
    char *text = write_text(m);
    assert_has(text, "excore_c_total{k=\"other\"} 3\n");
    assert_has(text, "excore_c_total{k=\"a\"} 1\n");
    free(text);
    ex_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics_refuse_wrong_and_duplicate_names),
        cmocka_unit_test(test_metrics_text_of_each_kind),
        cmocka_unit_test(test_metrics_escape_label_values),
        cmocka_unit_test(test_metrics_fold_label_sets_over_the_bound_into_other),
        cmocka_unit_test(test_metrics_fold_values_that_cannot_be_labels),
        cmocka_unit_test(test_metrics_lose_no_update_of_eight_threads),
        cmocka_unit_test(test_metrics_accept_null),
        cmocka_unit_test(test_metrics_call_collectors_before_each_exposition),
        cmocka_unit_test(test_metrics_forget_a_collector_that_was_taken_back),
        cmocka_unit_test(test_metrics_describe_the_process),
        cmocka_unit_test(test_metrics_text_passes_promtool),
        cmocka_unit_test(test_metrics_survive_each_failing_allocation),
        cmocka_unit_test(test_metrics_count_as_other_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
