/* interrupt.c: see interrupt.h. */
#include "cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "kernel/thread.h"

#define EXIT_SECOND_SIGNAL 130

static struct {
    pthread_mutex_t mu;
    void (*fn)(void *ctx); /* guarded by mu */
    void *ctx;
    atomic_bool came;
} state = {.mu = PTHREAD_MUTEX_INITIALIZER};

static void own_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGTERM);
}

static void *wait_for_signals(void *arg)
{
    (void)arg;
    sigset_t set;
    int number = 0;
    own_signals(&set);
    for (;;) {
        if (sigwait(&set, &number) != 0)
            continue;
        if (atomic_exchange(&state.came, true))
            _exit(EXIT_SECOND_SIGNAL);
        pthread_mutex_lock(&state.mu);
        if (state.fn)
            state.fn(state.ctx);
        pthread_mutex_unlock(&state.mu);
    }
    return NULL;
}

ex_status interrupt_start(ex_error *err)
{
    sigset_t set;
    pthread_t thread;
    own_signals(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* fails only for a bad first argument */
    ex_status st = ex_thread_start(&thread, "interrupt", wait_for_signals, NULL, err);
    if (!st)
        (void)pthread_detach(thread);
    return st;
}

void interrupt_on(void (*fn)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&state.mu);
    state.fn = fn;
    state.ctx = ctx;
    if (fn && atomic_load(&state.came))
        fn(ctx);
    pthread_mutex_unlock(&state.mu);
}

bool interrupt_came(void)
{
    return atomic_load(&state.came);
}
