/* last_resort.c: see last_resort.h. */
#include "app/last_resort.h"

#include "kernel/deadline.h"
#include "kernel/log.h"
#include "kernel/thread.h"

#include <errno.h>
#include <unistd.h>

static void *run(void *arg)
{
    last_resort *l = arg;
    struct timespec until = ex_deadline(l->limit_ms);
    int rc = 0;
    (void)pthread_mutex_lock(&l->mu);
    while (!l->is_over && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&l->changed, &l->mu, &until);
    bool is_over = l->is_over;
    (void)pthread_mutex_unlock(&l->mu);
    if (is_over)
        return NULL;
    EX_LOG(EX_LOG_ERROR, "the time of server.shutdown_timeout is over and a part still works: "
                         "ending without it; what was not acknowledged may be stored or not");
    _exit(1);
}

void last_resort_start(last_resort *l, uint64_t limit_ms)
{
    l->limit_ms = limit_ms;
    (void)pthread_mutex_init(&l->mu, NULL); /* cannot fail on Linux */
    ex_cond_init(&l->changed);
    l->is_running = ex_thread_start(&l->thread, "ex-last-resort", run, l, NULL) == EX_OK;
}

void last_resort_stop(last_resort *l)
{
    (void)pthread_mutex_lock(&l->mu);
    l->is_over = true;
    (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->mu);
    if (l->is_running)
        (void)pthread_join(l->thread, NULL);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->mu);
}
