/* test_thread.c: a thread of ours has a name and leaves signals to the program. */
#include "kernel/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

typedef struct seen {
    sigset_t mask;
    atomic_bool may_end;
} seen;

static void *look(void *arg)
{
    seen *s = arg;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    while (!atomic_load(&s->may_end))
        (void)sched_yield();
    return NULL;
}

static seen start_and_look(const char *name, char *ret_name, size_t size)
{
    seen s = {0};
    pthread_t t;
    assert_int_equal(ex_thread_start(&t, name, look, &s, NULL), EX_OK);
    assert_int_equal(pthread_getname_np(t, ret_name, size), 0);
    atomic_store(&s.may_end, true);
    assert_int_equal(pthread_join(t, NULL), 0);
    return s;
}

static void test_thread_blocks_signals_but_those_of_its_own_faults(void **state)
{
    (void)state;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    const int others[] = {SIGINT,  SIGTERM, SIGHUP,  SIGPIPE, SIGCHLD,
                          SIGALRM, SIGPROF, SIGUSR1, SIGRTMIN};
    char name[16];
    sigset_t before, after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    seen s = start_and_look("test", name, sizeof(name));
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        assert_int_equal(sigismember(&s.mask, faults[i]), 0);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(sigismember(&s.mask, others[i]), 1);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    for (int n = 1; n <= SIGRTMAX; n++) /* its maker's mask is as before */
        assert_int_equal(sigismember(&after, n), sigismember(&before, n));
}

static void test_thread_has_a_name_cut_to_what_fits(void **state)
{
    (void)state;
    char name[16];
    (void)start_and_look("ex-sequencer", name, sizeof(name));
    assert_string_equal(name, "ex-sequencer");
    (void)start_and_look("view-a_very_long_name", name, sizeof(name));
    assert_string_equal(name, "view-a_very_lon");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_blocks_signals_but_those_of_its_own_faults),
        cmocka_unit_test(test_thread_has_a_name_cut_to_what_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
