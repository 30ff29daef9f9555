/* test_workers.c: the pool runs every accepted job once, is bounded, and drains on stop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "kernel/workers.h"
#include "support/alloc_fault.h"

typedef struct gate {
    sem_t entered;
    sem_t leave;
    atomic_uint done;
} gate;

static void gate_init(gate *g)
{
    sem_init(&g->entered, 0, 0);
    sem_init(&g->leave, 0, 0);
    atomic_init(&g->done, 0);
}

static void pass_gate(void *arg)
{
    gate *g = arg;
    sem_post(&g->entered);
    sem_wait(&g->leave);
    atomic_fetch_add(&g->done, 1);
}

static void count_job(void *arg)
{
    atomic_fetch_add((atomic_uint *)arg, 1);
}

static ex_workers *start(uint32_t threads, uint32_t limit)
{
    ex_workers *w = NULL;
    ex_error err;
    assert_int_equal(ex_workers_start("test", threads, limit, &w, &err), EX_OK);
    return w;
}

static void test_workers_refuse_bad_arguments(void **state)
{
    (void)state;
    static const struct {
        const char *name, *pool;
        uint32_t threads, limit;
    } cases[] = {
        {"no threads", "p", 0, 1},
        {"too many threads", "p", 257, 1},
        {"no queue", "p", 1, 0},
        {"huge queue", "p", 1, 1048577},
        {"long name", "elevenchars", 1, 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ex_workers *w = NULL;
        ex_error err;
        if (ex_workers_start(cases[i].pool, cases[i].threads, cases[i].limit, &w, &err) !=
            EX_EINVAL)
            fail_msg("%s was accepted", cases[i].name);
        assert_null(w);
    }
}

typedef struct producer {
    ex_workers *pool;
    atomic_uint *runs;
    unsigned accepted, refused;
} producer;

static void *produce(void *arg)
{
    producer *p = arg;
    for (int i = 0; i < 5000; i++) {
        ex_status s = ex_workers_submit(p->pool, count_job, p->runs, NULL);
        if (s == EX_OK)
            p->accepted++;
        else if (s == EX_EOVERLOADED)
            p->refused++;
    }
    return NULL;
}

static void test_workers_run_each_accepted_job_once(void **state)
{
    (void)state;
    enum { PRODUCERS = 4 };
    atomic_uint runs = 0;
    ex_workers *w = start(3, 64);
    pthread_t threads[PRODUCERS];
    producer p[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        p[i] = (producer){.pool = w, .runs = &runs};
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &p[i]), 0);
    }
    unsigned accepted = 0;
    for (int i = 0; i < PRODUCERS; i++) {
        pthread_join(threads[i], NULL);
        accepted += p[i].accepted;
        assert_int_equal(p[i].accepted + p[i].refused, 5000);
    }
    ex_workers_stop(w); /* drains */
    assert_true(accepted > 0);
    assert_int_equal(atomic_load(&runs), accepted);
}

static void test_workers_refuse_when_the_queue_is_full(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_workers *w = start(1, 2);
    assert_int_equal(ex_workers_submit(w, pass_gate, &g, NULL), EX_OK);
    sem_wait(&g.entered); /* the only thread is busy now */
    assert_int_equal(ex_workers_submit(w, pass_gate, &g, NULL), EX_OK);
    assert_int_equal(ex_workers_submit(w, pass_gate, &g, NULL), EX_OK);
    assert_int_equal(ex_workers_queued(w), 2);
    ex_error err;
    assert_int_equal(ex_workers_submit(w, pass_gate, &g, &err), EX_EOVERLOADED);
    assert_true(ex_status_is_retryable(err.status));
    for (int i = 0; i < 3; i++)
        sem_post(&g.leave);
    ex_workers_stop(w);
    assert_int_equal(atomic_load(&g.done), 3);
}

typedef struct resubmit {
    gate g;
    ex_workers *pool;
    ex_status status;
} resubmit;

static void submit_again(void *arg)
{
    resubmit *r = arg;
    sem_post(&r->g.entered);
    /* until stop has closed the pool: a full queue is the other possible answer before that */
    do
        r->status = ex_workers_submit(r->pool, count_job, &r->g.done, NULL);
    while (r->status != EX_ECLOSED);
}

static void test_workers_refuse_jobs_while_stopping(void **state)
{
    (void)state;
    resubmit r = {0};
    gate_init(&r.g);
    r.pool = start(1, 4);
    assert_int_equal(ex_workers_submit(r.pool, submit_again, &r, NULL), EX_OK);
    sem_wait(&r.g.entered);
    ex_workers_stop(r.pool);
    assert_int_equal(r.status, EX_ECLOSED);
    assert_true(atomic_load(&r.g.done) <= 4); /* what was queued before did run */
    ex_workers_stop(NULL);
}

static void test_workers_run_in_parallel(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_workers *w = start(4, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ex_workers_submit(w, pass_gate, &g, NULL), EX_OK);
    for (int i = 0; i < 4; i++)
        sem_wait(&g.entered); /* all four are inside at once, or this never ends */
    for (int i = 0; i < 4; i++)
        sem_post(&g.leave);
    ex_workers_stop(w);
    assert_int_equal(atomic_load(&g.done), 4);
}

/* ---- Jobs that come again (issue 8, item 12) ---- */

static char turns[16];
static atomic_uint turn_count;

static void note_long(void *arg)
{
    (void)arg;
    turns[atomic_fetch_add(&turn_count, 1)] = 'l';
}

static void note_short(void *arg)
{
    (void)arg;
    turns[atomic_fetch_add(&turn_count, 1)] = 's';
}

/* New jobs pass by those that come again, but for every fourth place; the limit is for new ones. */
static void test_workers_let_short_jobs_pass_by_long_ones(void **state)
{
    (void)state;
    gate g;
    gate_init(&g);
    ex_workers *w = start(1, 8);
    assert_int_equal(ex_workers_submit(w, pass_gate, &g, NULL), EX_OK);
    sem_wait(&g.entered); /* the only thread is busy now */
    ex_workers_submit_again(w, note_long, NULL);
    ex_workers_submit_again(w, note_long, NULL);
    for (int i = 0; i < 6; i++)
        assert_int_equal(ex_workers_submit(w, note_short, NULL, NULL), EX_OK);
    assert_int_equal(ex_workers_queued(w), 8);
    assert_int_equal(ex_workers_submit(w, note_short, NULL, NULL), EX_EOVERLOADED);
    ex_workers_submit_again(w, note_long, NULL);
    sem_post(&g.leave);
    ex_workers_stop(w); /* drains */
    turns[atomic_load(&turn_count)] = '\0';
    assert_string_equal(turns, "ssslsssll");
}

typedef struct thread_facts {
    bool term_is_blocked, segv_is_blocked;
    char name[16];
} thread_facts;

static void look_at_thread(void *arg)
{
    thread_facts *f = arg;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    f->term_is_blocked = sigismember(&mask, SIGTERM) == 1;
    f->segv_is_blocked = sigismember(&mask, SIGSEGV) == 1;
    pthread_getname_np(pthread_self(), f->name, sizeof(f->name));
}

static void test_workers_block_signals_and_have_names(void **state)
{
    (void)state;
    thread_facts f = {0};
    ex_workers *w = start(1, 1);
    assert_int_equal(ex_workers_submit(w, look_at_thread, &f, NULL), EX_OK);
    ex_workers_stop(w);
    assert_true(f.term_is_blocked);
    assert_false(f.segv_is_blocked);
    assert_string_equal(f.name, "test-0");
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    assert_int_equal(sigismember(&mask, SIGTERM), 0); /* the starter's mask is as before */
}

static ex_status start_and_stop(void *ctx)
{
    (void)ctx;
    ex_workers *w = NULL;
    ex_status status = ex_workers_start("test", 2, 4, &w, NULL);
    if (status == EX_OK)
        ex_workers_stop(w);
    return status;
}

static void test_workers_survive_each_failing_allocation(void **state)
{
    (void)state;
    assert_true(alloc_fault_torture("workers", start_and_stop, NULL) >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_workers_refuse_bad_arguments),
        cmocka_unit_test(test_workers_run_each_accepted_job_once),
        cmocka_unit_test(test_workers_refuse_when_the_queue_is_full),
        cmocka_unit_test(test_workers_refuse_jobs_while_stopping),
        cmocka_unit_test(test_workers_let_short_jobs_pass_by_long_ones),
        cmocka_unit_test(test_workers_run_in_parallel),
        cmocka_unit_test(test_workers_block_signals_and_have_names),
        cmocka_unit_test(test_workers_survive_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
