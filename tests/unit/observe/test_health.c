/* test_health.c: checks run in parallel, are limited in time, shared, remembered, and drained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <excore/clock.h>

#include "kernel/log.h"
#include "observe/health.h"
#include "support/alloc_fault.h"

static ex_health *new_health(uint32_t limit_ms, uint32_t keep_ms)
{
    ex_health *h = NULL;
    ex_health_options o = {limit_ms, keep_ms};
    assert_int_equal(ex_health_new(&o, &h, NULL), EX_OK);
    return h;
}

static void add(ex_health *h, const char *name, ex_health_fn *run, void *ctx)
{
    ex_health_check c = {.name = name, .run = run, .ctx = ctx};
    assert_int_equal(ex_health_add(h, &c, NULL), EX_OK);
}

static void expect(ex_health *h, const char *want)
{
    ex_buf b;
    ex_buf_init(&b, 0);
    bool is_healthy = ex_health_run(h, &b);
    ex_buf_put_char(&b, '\0');
    assert_int_equal(ex_buf_status(&b), EX_OK);
    assert_string_equal(b.ptr, want);
    assert_int_equal(is_healthy, strstr(want, "\"unhealthy\"") == NULL);
    ex_buf_done(&b);
}

static ex_status pass(void *ctx, ex_error *err)
{
    (void)err;
    if (ctx)
        atomic_fetch_add((atomic_int *)ctx, 1);
    return EX_OK;
}

static ex_status fail_with_text(void *ctx, ex_error *err)
{
    (void)ctx;
    return ex_raise(err, EX_EAGAIN, "no \"route\"\n");
}

static ex_status fail_silently(void *ctx, ex_error *err)
{
    (void)ctx;
    (void)err;
    return EX_EDATABASE;
}

typedef struct gate {
    sem_t entered, leave;
    atomic_int runs, freed;
} gate;

static void gate_init(gate *g)
{
    memset(g, 0, sizeof(*g));
    sem_init(&g->entered, 0, 0);
    sem_init(&g->leave, 0, 0);
}

static ex_status hang(void *ctx, ex_error *err)
{
    gate *g = ctx;
    (void)err;
    atomic_fetch_add(&g->runs, 1);
    sem_post(&g->entered);
    while (sem_wait(&g->leave))
        continue;
    return EX_OK;
}

static void gate_freed(void *ctx)
{
    atomic_fetch_add(&((gate *)ctx)->freed, 1);
}

/* R-07-18 */
static void test_health_without_checks_is_healthy(void **state)
{
    (void)state;
    ex_health *h = NULL;
    assert_int_equal(ex_health_new(NULL, &h, NULL), EX_OK);
    ex_buf b;
    ex_buf_init(&b, 0);
    bool is_healthy = false;
    assert_true(ex_health_peek(h, &b, &is_healthy));
    assert_true(is_healthy);
    ex_buf_done(&b);
    expect(h, "{\"status\":\"healthy\",\"checks\":{}}");
    ex_health_free(h);
    ex_health_free(NULL);
}

/* R-07-18, R-07-19 */
static void test_health_reports_each_check(void **state)
{
    (void)state;
    ex_health *h = new_health(5000, 1);
    add(h, "a", pass, NULL);
    expect(h, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\"}}");
    add(h, "b", fail_with_text, NULL);
    add(h, "c", fail_silently, NULL);
    char want[256];
    (void)snprintf(want, sizeof(want),
                   "{\"status\":\"unhealthy\",\"checks\":{\"a\":\"ok\","
                   "\"b\":\"error: no \\\"route\\\"\\n\",\"c\":\"error: %s\"}}",
                   ex_status_text(EX_EDATABASE));
    expect(h, want);
    /* R-07-20: adding a name again replaces, removing tells whether it existed */
    add(h, "b", pass, NULL);
    assert_true(ex_health_remove(h, "c"));
    assert_false(ex_health_remove(h, "c"));
    expect(h, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\",\"b\":\"ok\"}}");
    ex_health_free(h);
}

static void test_health_refuses_bad_names_and_too_many(void **state)
{
    (void)state;
    ex_health *h = new_health(5000, 1);
    char name[EX_HEALTH_NAME_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ex_health_check c = {.name = name, .run = pass};
    assert_int_equal(ex_health_add(h, &c, NULL), EX_EINVAL);
    c.name = "";
    assert_int_equal(ex_health_add(h, &c, NULL), EX_EINVAL);
    c.name = name;
    for (int i = 0; i < EX_HEALTH_CHECKS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "c%d", i);
        assert_int_equal(ex_health_add(h, &c, NULL), EX_OK);
    }
    c.name = "one-more";
    assert_int_equal(ex_health_add(h, &c, NULL), EX_ETOOLARGE);
    c.name = "c0"; /* replacing needs no room */
    assert_int_equal(ex_health_add(h, &c, NULL), EX_OK);
    ex_health_free(h);
}

static void test_health_peek_never_runs_a_check(void **state)
{
    (void)state;
    atomic_int runs = 0;
    ex_health *h = new_health(5000, 1);
    add(h, "a", pass, &runs);
    ex_buf b;
    ex_buf_init(&b, 0);
    bool is_healthy;
    assert_false(ex_health_peek(h, &b, &is_healthy));
    assert_int_equal(b.len, 0);
    ex_buf_done(&b);
    ex_health_free(h); /* would wait for a run */
    assert_int_equal(atomic_load(&runs), 0);
}

typedef struct probe {
    ex_health *h;
    ex_buf out;
    bool is_healthy;
} probe;

static void *run_probe(void *arg)
{
    probe *p = arg;
    ex_buf_init(&p->out, 0);
    p->is_healthy = ex_health_run(p->h, &p->out);
    ex_buf_put_char(&p->out, '\0');
    return NULL;
}

/* R-07-19: all checks are inside at once, or this never ends. */
static void test_health_checks_run_in_parallel(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_health *h = new_health(60000, 1);
    add(h, "a", hang, &g);
    add(h, "b", hang, &g);
    add(h, "c", hang, &g);
    probe p = {.h = h};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, run_probe, &p), 0);
    for (int i = 0; i < 3; i++)
        sem_wait(&g.entered);
    for (int i = 0; i < 3; i++)
        sem_post(&g.leave);
    pthread_join(t, NULL);
    assert_string_equal(p.out.ptr, "{\"status\":\"healthy\",\"checks\":"
                                   "{\"a\":\"ok\",\"b\":\"ok\",\"c\":\"ok\"}}");
    ex_buf_done(&p.out);
    ex_health_free(h);
}

/* R-07-20: many parallel probes run each check once. */
static void test_health_probes_share_one_run(void **state)
{
    (void)state;
    enum { PROBES = 64 };
    gate g;
    gate_init(&g);
    ex_health *h = new_health(60000, 60000);
    add(h, "a", hang, &g);
    pthread_t t[PROBES];
    static probe p[PROBES];
    for (int i = 0; i < PROBES; i++) {
        p[i] = (probe){.h = h};
        assert_int_equal(pthread_create(&t[i], NULL, run_probe, &p[i]), 0);
    }
    sem_wait(&g.entered);
    sem_post(&g.leave);
    for (int i = 0; i < PROBES; i++) {
        pthread_join(t[i], NULL);
        assert_true(p[i].is_healthy);
        assert_string_equal(p[i].out.ptr, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\"}}");
        ex_buf_done(&p[i].out);
    }
    for (int i = 0; i < 1000; i++)
        expect(h, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\"}}");
    assert_int_equal(atomic_load(&g.runs), 1);
    ex_buf b;
    ex_buf_init(&b, 0);
    bool is_healthy = false;
    assert_true(ex_health_peek(h, &b, &is_healthy));
    assert_true(is_healthy && b.len > 0);
    ex_buf_done(&b);
    ex_health_free(h);
}

static void test_health_results_are_kept_for_their_time_only(void **state)
{
    (void)state;
    atomic_int runs = 0;
    ex_health *h = new_health(5000, 20);
    add(h, "a", pass, &runs);
    uint64_t start = ex_monotonic_ns(ex_clock_system());
    while (atomic_load(&runs) < 3)
        expect(h, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\"}}");
    assert_true(ex_monotonic_ns(ex_clock_system()) - start >= 40 * UINT64_C(1000000));
    ex_health_free(h);
}

/* R-07-19: a hanging check is a timeout, is not started again, and does not delay the others. */
static void test_health_hanging_check_times_out_alone(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    atomic_int runs = 0;
    ex_health *h = new_health(300, 1); /* the others have this long on a busy machine */
    ex_health_check c = {.name = "stuck", .run = hang, .ctx = &g, .free_ctx = gate_freed};
    assert_int_equal(ex_health_add(h, &c, NULL), EX_OK);
    add(h, "fine", pass, &runs);
    static const char want[] =
        "{\"status\":\"unhealthy\",\"checks\":{\"stuck\":\"error: timeout\",\"fine\":\"ok\"}}";
    while (atomic_load(&runs) < 3) /* three rounds */
        expect(h, want);
    assert_int_equal(atomic_load(&g.runs), 1);
    /* replaced while it hangs: the new one works, the old context lives on until its run ends */
    add(h, "stuck", pass, NULL);
    assert_int_equal(atomic_load(&g.freed), 0);
    expect(h, "{\"status\":\"healthy\",\"checks\":{\"stuck\":\"ok\",\"fine\":\"ok\"}}");
    sem_post(&g.leave);
    ex_health_free(h); /* waits for the run */
    assert_int_equal(atomic_load(&g.freed), 1);
}

typedef struct slow_check {
    atomic_bool is_slow, fails;
    gate g;
} slow_check;

static ex_status run_slow(void *ctx, ex_error *err)
{
    slow_check *s = ctx;
    ex_status result = atomic_load(&s->fails) ? ex_raise(err, EX_EAGAIN, "it was away") : EX_OK;
    if (atomic_load(&s->is_slow))
        (void)hang(&s->g, NULL);
    return result;
}

/* issue 8, item 14; G-809: a check that takes its time is answered for by its last outcome; what a
 * late run finds is known to the next answer; beyond the limit it is a timeout. */
static void test_health_answers_from_what_is_known(void **state)
{
    (void)state;
    slow_check s = {.is_slow = false};
    gate_init(&s.g);
    static const char ok[] = "{\"status\":\"healthy\",\"checks\":{\"slow\":\"ok\"}}";
    static const char away[] =
        "{\"status\":\"unhealthy\",\"checks\":{\"slow\":\"error: it was away\"}}";
    ex_health *h = NULL;
    const ex_health_options o = {.limit_ms = 60000, .keep_ms = 1, .wait_ms = 20};
    assert_int_equal(ex_health_new(&o, &h, NULL), EX_OK);
    add(h, "slow", run_slow, &s);
    expect(h, ok);
    atomic_store(&s.fails, true);
    atomic_store(&s.is_slow, true);
    usleep(2000); /* results are kept for one */
    expect(h, ok);
    expect(h, ok);
    assert_int_equal(atomic_load(&s.g.runs), 1);
    sem_post(&s.g.leave);
    ex_buf b;
    ex_buf_init(&b, 0);
    while (ex_health_run(h, &b)) /* the next runs hang, too */
        continue;
    ex_buf_done(&b);
    expect(h, away);
    for (int i = 0; i < 10; i++)
        sem_post(&s.g.leave);
    ex_health_free(h);
}

static void test_health_check_that_recovers_is_run_again(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_health *h = new_health(30, 1);
    add(h, "slow", hang, &g);
    expect(h, "{\"status\":\"unhealthy\",\"checks\":{\"slow\":\"error: timeout\"}}");
    for (int i = 0; i < 10000; i++)
        sem_post(&g.leave); /* from now on it does not hang */
    ex_buf b;
    ex_buf_init(&b, 0);
    while (!ex_health_run(h, &b))
        continue;
    ex_buf_done(&b);
    assert_true(atomic_load(&g.runs) >= 2);
    ex_health_free(h);
}

static void test_health_free_leaves_a_hanging_check_behind(void **state)
{
    (void)state;
    static gate g;
    gate_init(&g);
    ex_health *h = new_health(20, 1);
    ex_health_check c = {.name = "stuck", .run = hang, .ctx = &g, .free_ctx = gate_freed};
    assert_int_equal(ex_health_add(h, &c, NULL), EX_OK);
    expect(h, "{\"status\":\"unhealthy\",\"checks\":{\"stuck\":\"error: timeout\"}}");
    ex_health_free(h);
    assert_int_equal(atomic_load(&g.freed), 0); /* still in use */
    sem_post(&g.leave);
    while (atomic_load(&g.freed) == 0)
        sched_yield();
}

/* Returns long after the limit, once somebody is about to remove it. */
static ex_status outlive_limit(void *ctx, ex_error *err)
{
    gate *g = ctx;
    (void)err;
    sem_post(&g->entered);
    while (sem_wait(&g->leave))
        continue;
    (void)usleep(100000);
    atomic_fetch_add(&g->runs, 1);
    return EX_OK;
}

/* A server was stopped while a check hung on its database: the store was freed under it. G-803;
 * issue 8, item 14 */
static void test_health_removing_waits_for_who_borrows_its_context(void **state)
{
    enum { REMOVE, REPLACE, FREE, WAYS };
    (void)state;
    for (int way = REMOVE; way < WAYS; way++) {
        gate g;
        gate_init(&g);
        ex_health *h = new_health(10, 1);
        add(h, "slow", outlive_limit, &g);
        expect(h, "{\"status\":\"unhealthy\",\"checks\":{\"slow\":\"error: timeout\"}}");
        sem_wait(&g.entered);
        sem_post(&g.leave);
        if (way == REMOVE)
            assert_true(ex_health_remove(h, "slow"));
        else if (way == REPLACE)
            add(h, "slow", pass, NULL);
        if (way != FREE)
            assert_int_equal(atomic_load(&g.runs), 1);
        ex_health_free(h);
        assert_int_equal(atomic_load(&g.runs), 1);
    }
}

/* R-07-22 */
static void test_health_draining_is_unhealthy_at_once(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_health *h = new_health(60000, 60000);
    add(h, "a", hang, &g);
    probe p = {.h = h};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, run_probe, &p), 0);
    sem_wait(&g.entered);
    ex_health_drain(h); /* the round under way does not hold the answer back */
    pthread_join(t, NULL);
    assert_false(p.is_healthy);
    assert_non_null(strstr(p.out.ptr, "shutting down"));
    ex_buf_reset(&p.out);
    bool is_healthy = true;
    assert_true(ex_health_peek(h, &p.out, &is_healthy));
    assert_false(is_healthy);
    ex_buf_done(&p.out);
    sem_post(&g.leave);
    ex_health_free(h);
}

static void *churn(void *arg)
{
    ex_health *h = arg;
    for (int i = 0; i < 200; i++) {
        ex_health_check c = {.name = "moving", .run = pass};
        if (ex_health_add(h, &c, NULL))
            return (void *)1;
        (void)ex_health_remove(h, "moving"); /* another thread may have been first */
    }
    return NULL;
}

static void test_health_checks_come_and_go_while_probes_run(void **state)
{
    (void)state;
    ex_health *h = new_health(5000, 1);
    add(h, "a", pass, NULL);
    pthread_t t[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, h), 0);
    ex_buf b;
    ex_buf_init(&b, 0);
    for (int i = 0; i < 200; i++) {
        ex_buf_reset(&b);
        assert_true(ex_health_run(h, &b));
    }
    ex_buf_done(&b);
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    expect(h, "{\"status\":\"healthy\",\"checks\":{\"a\":\"ok\"}}");
    ex_health_free(h);
}

/* R-07-20: a failure is logged with its cause, once while it stays the same. */
static void test_health_logs_changes_with_their_cause(void **state)
{
    (void)state;
    char path[] = "/tmp/excore-health-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    ex_log_options o = {.level = EX_LOG_WARN, .format = EX_LOG_JSON, .output = path};
    assert_int_equal(ex_log_open(&o, NULL), EX_OK);
    ex_health *h = new_health(5000, 1);
    atomic_int rounds = 0;
    add(h, "rounds", pass, &rounds);
    add(h, "db", fail_with_text, NULL);
    ex_buf b;
    ex_buf_init(&b, 0);
    while (atomic_load(&rounds) < 3)
        assert_false(ex_health_run(h, &b));
    ex_buf_done(&b);
    ex_health_free(h);
    ex_log_close();
    char text[2048];
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    unlink(path);
    assert_true(n > 0);
    text[n] = '\0';
    char *first = strstr(text, "\"check\":\"db\",\"error\":\"no \\\"route\\\"\\n\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"check\":\"db\""));
}

static void test_health_without_memory_is_unhealthy_not_gone(void **state)
{
    (void)state;
    ex_health *h = new_health(5000, 1);
    add(h, "a", pass, NULL);
    char bytes[256];
    ex_buf out = {.ptr = bytes, .cap = sizeof(bytes), .limit_bytes = sizeof(bytes)};
    alloc_fault_arm(1, true);
    bool is_healthy = ex_health_run(h, &out);
    ex_health_check c = {.name = "b", .run = pass};
    ex_status status = ex_health_add(h, &c, NULL);
    assert_true(alloc_fault_disarm() > 0);
    assert_int_equal(status, EX_ENOMEM);
    assert_false(is_healthy);
    assert_int_equal(ex_buf_status(&out), EX_OK);
    assert_true(ex_slice_eq(ex_buf_slice(&out), EX_S("{\"status\":\"unhealthy\",\"checks\":{}}")));
    ex_buf b;
    ex_buf_init(&b, 0);
    while (!ex_health_run(h, &b)) /* recovers with the next round */
        continue;
    ex_buf_done(&b);
    ex_health_free(h);
}

/* A minor check that fails is told, and the service can serve all the same; a major one outweighs
 * it. */
static void test_health_is_degraded_when_only_minor_checks_fail(void **state)
{
    (void)state;
    ex_health *h = new_health(5000, 1);
    const ex_health_check minor = {.name = "views", .run = fail_with_text, .is_minor = true};
    add(h, "store", pass, NULL);
    assert_int_equal(ex_health_add(h, &minor, NULL), EX_OK);
    expect(h, "{\"status\":\"degraded\",\"checks\":{\"store\":\"ok\","
              "\"views\":\"error: no \\\"route\\\"\\n\"}}");
    add(h, "store", fail_with_text, NULL);
    expect(h, "{\"status\":\"unhealthy\",\"checks\":{\"store\":\"error: no \\\"route\\\"\\n\","
              "\"views\":\"error: no \\\"route\\\"\\n\"}}");
    ex_health_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_without_checks_is_healthy),
        cmocka_unit_test(test_health_reports_each_check),
        cmocka_unit_test(test_health_is_degraded_when_only_minor_checks_fail),
        cmocka_unit_test(test_health_refuses_bad_names_and_too_many),
        cmocka_unit_test(test_health_peek_never_runs_a_check),
        cmocka_unit_test(test_health_checks_run_in_parallel),
        cmocka_unit_test(test_health_probes_share_one_run),
        cmocka_unit_test(test_health_results_are_kept_for_their_time_only),
        cmocka_unit_test(test_health_hanging_check_times_out_alone),
        cmocka_unit_test(test_health_answers_from_what_is_known),
        cmocka_unit_test(test_health_check_that_recovers_is_run_again),
        cmocka_unit_test(test_health_free_leaves_a_hanging_check_behind),
        cmocka_unit_test(test_health_removing_waits_for_who_borrows_its_context),
        cmocka_unit_test(test_health_draining_is_unhealthy_at_once),
        cmocka_unit_test(test_health_checks_come_and_go_while_probes_run),
        cmocka_unit_test(test_health_logs_changes_with_their_cause),
        cmocka_unit_test(test_health_without_memory_is_unhealthy_not_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
