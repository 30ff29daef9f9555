/* test_loop.c: posting to an event loop, and ending it. */
#include "io/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define POSTERS    4
#define POSTS_EACH 5000

typedef struct counter {
    ex_loop *loop;
    atomic_int ran;
    int last[POSTERS]; /* loop thread */
    bool is_ordered;
} counter;

typedef struct job {
    ex_post post;
    counter *counter;
    int poster;
    int number;
} job;

typedef struct poster {
    counter *counter;
    int index;
    job *jobs;
} poster;

static void run_job(void *arg)
{
    job *j = arg;
    counter *c = j->counter;
    if (c->last[j->poster] != j->number - 1 || !ex_loop_is_current(c->loop))
        c->is_ordered = false;
    c->last[j->poster] = j->number;
    atomic_fetch_add(&c->ran, 1);
}

static void *poster_main(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < POSTS_EACH; i++) {
        job *j = &p->jobs[i];
        *j = (job){.counter = p->counter, .poster = p->index, .number = i + 1};
        j->post = (ex_post){.fn = run_job, .arg = j};
        ex_loop_post(p->counter->loop, &j->post);
    }
    return NULL;
}

/* Every post runs once, on the loop's thread, in its poster's order; stopping runs what is queued.
 */
static void test_loop_runs_posts_of_many_threads_in_order(void **state)
{
    (void)state;
    counter c = {.is_ordered = true};
    assert_int_equal(ex_loop_start("test", &c.loop, NULL), EX_OK);
    assert_false(ex_loop_is_current(c.loop));
    poster posters[POSTERS];
    pthread_t threads[POSTERS];
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.counter = &c, .index = i, .jobs = calloc(POSTS_EACH, sizeof(job))};
        assert_int_equal(pthread_create(&threads[i], NULL, poster_main, &posters[i]), 0);
    }
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    ex_loop_stop(c.loop);
    assert_int_equal(atomic_load(&c.ran), POSTERS * POSTS_EACH);
    assert_true(c.is_ordered);
    for (int i = 0; i < POSTERS; i++)
        free(posters[i].jobs);
}

typedef struct relay {
    ex_loop *loop;
    ex_post post;
    int left;
    bool is_inside;
    bool was_nested;
} relay;

static void run_relay(void *arg)
{
    relay *r = arg;
    r->was_nested = r->was_nested || r->is_inside;
    r->is_inside = true;
    if (--r->left > 0)
        ex_loop_post(r->loop, &r->post);
    r->is_inside = false;
}

/* A job may post itself again; it never runs inside the call that posts. Stop waits for the chain.
 */
static void test_loop_post_from_a_job_runs_later(void **state)
{
    (void)state;
    relay r = {.left = 1000};
    assert_int_equal(ex_loop_start("test", &r.loop, NULL), EX_OK);
    r.post = (ex_post){.fn = run_relay, .arg = &r};
    ex_loop_post(r.loop, &r.post);
    ex_loop_stop(r.loop);
    assert_int_equal(r.left, 0);
    assert_false(r.was_nested);
}

typedef struct timer_box {
    ex_loop *loop;
    ex_post post;
    uv_timer_t timer;
    int ticks;
} timer_box;

static void on_tick(uv_timer_t *t)
{
    timer_box *b = t->data;
    if (++b->ticks == 3)
        uv_close((uv_handle_t *)t, NULL);
}

static void start_timer(void *arg)
{
    timer_box *b = arg;
    (void)uv_timer_init(ex_loop_uv(b->loop), &b->timer); /* cannot fail */
    b->timer.data = b;
    (void)uv_timer_start(&b->timer, on_tick, 1, 1); /* cannot fail */
}

static void test_loop_stop_waits_for_open_handles(void **state)
{
    (void)state;
    timer_box b = {0};
    assert_int_equal(ex_loop_start("test", &b.loop, NULL), EX_OK);
    b.post = (ex_post){.fn = start_timer, .arg = &b};
    ex_loop_post(b.loop, &b.post);
    ex_loop_stop(b.loop);
    assert_int_equal(b.ticks, 3);
}

static void write_to_closed(void *arg)
{
    int *fds = arg;
    (void)close(fds[0]);
    fds[0] = (int)write(fds[1], "x", 1); /* raises SIGPIPE where it is not blocked */
}

/* A peer that closes must not kill the process, even where nobody has set SIG_IGN. */
static void test_loop_thread_survives_sigpipe(void **state)
{
    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ex_loop *loop;
    assert_int_equal(ex_loop_start("test", &loop, NULL), EX_OK);
    ex_post post = {.fn = write_to_closed, .arg = fds};
    ex_loop_post(loop, &post);
    ex_loop_stop(loop);
    assert_int_equal(fds[0], -1);
    (void)close(fds[1]);
}

static void test_loop_stop_accepts_null(void **state)
{
    (void)state;
    ex_loop_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop_runs_posts_of_many_threads_in_order),
        cmocka_unit_test(test_loop_post_from_a_job_runs_later),
        cmocka_unit_test(test_loop_stop_waits_for_open_handles),
        cmocka_unit_test(test_loop_thread_survives_sigpipe),
        cmocka_unit_test(test_loop_stop_accepts_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
